//! Building graph nodes for one ONNX node: types are inferred as it goes, and what depends on
//! constants only is computed at once (shape arithmetic never becomes code).

use crate::diagnostic::{Code, Origin};
use crate::graph::{Graph, Value, ValueId};
use crate::op::{Cast, Constant, Op, OpError, Reshape, Transpose};
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorType};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Constants computed while reading must not fill the memory: larger ones than this are computed only
/// from operands at least as large, which the file holds.
const MAX_GROWN_BYTES: usize = 1 << 20;

/// NCHW -> NHWC.
pub const TO_CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];
/// NHWC -> NCHW.
pub const TO_CHANNELS_FIRST: [usize; 4] = [0, 3, 1, 2];

/// Results of operators on constants, so that what an unrolled loop computes again from the same
/// weights is there once.
#[derive(Debug, Default)]
pub struct Memo {
    by_operands: BTreeMap<Vec<ValueId>, Vec<(Op, Vec<ValueId>)>>,
}

impl Memo {
    fn find(&self, op: &Op, operands: &[ValueId]) -> Option<Vec<ValueId>> {
        let known = self.by_operands.get(operands)?;
        known.iter().find(|(o, _)| o == op).map(|(_, results)| results.clone())
    }

    fn keep(&mut self, op: Op, operands: &[ValueId], results: &[ValueId]) {
        self.by_operands.entry(operands.to_vec()).or_default().push((op, results.to_vec()));
    }
}

/// Adds nodes that stand for one node of the file.
#[derive(Debug)]
pub struct Builder<'g> {
    /// The graph.
    pub graph: &'g mut Graph,
    /// Where the nodes come from.
    pub origin: Origin,
    /// Name of new values until the result gets its own.
    pub name: String,
    /// Bytes that folded constants may still take, in the whole model.
    pub budget: &'g mut usize,
    /// What was computed from constants.
    pub memo: &'g mut Memo,
    /// float32 values behind narrowed ones: chains of operators stay in float32.
    pub wide: &'g mut BTreeMap<ValueId, ValueId>,
}

impl Builder<'_> {
    /// Type of a value.
    #[must_use]
    pub fn ty(&self, value: ValueId) -> TensorType {
        let empty = || TensorType::new(DType::F32, Shape(vec![0]));
        self.graph.value(value).map_or_else(empty, |v| v.ty.clone())
    }

    /// Extents of a value.
    #[must_use]
    pub fn shape(&self, value: ValueId) -> Vec<usize> {
        self.ty(value).shape.0
    }

    /// Data of a value, when it is constant.
    #[must_use]
    pub fn data(&self, value: ValueId) -> Option<Arc<Tensor>> {
        let Op::Constant(c) = &self.graph.get(value.node)?.op else { return None };
        Some(c.tensor.clone())
    }

    /// Whether a value is an input of the model.
    #[must_use]
    pub fn is_input(&self, value: ValueId) -> bool {
        self.graph.get(value.node).is_some_and(|n| matches!(n.op, Op::Input(_)))
    }

    /// Names of the inputs a value depends on, for advice to give their values: the value itself, or
    /// lists and single numbers it is computed from. Empty when it depends on anything larger, or on
    /// very many nodes.
    #[must_use]
    pub fn inputs_behind(&self, value: ValueId) -> Vec<String> {
        let (mut names, mut pending) = (BTreeSet::new(), vec![value]);
        let mut seen = BTreeSet::new();
        while let Some(next) = pending.pop() {
            if !seen.insert(next.node) {
                continue;
            }
            if seen.len() > 256 {
                return Vec::new();
            }
            if !self.is_input(next) {
                pending.extend(self.graph.operands(next.node));
            } else if let Some(v) = self.graph.value(next) {
                if next != value && v.ty.shape.rank() > 1 {
                    return Vec::new();
                }
                names.insert(v.name.clone());
            }
        }
        names.into_iter().collect()
    }

    /// A constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let value = Value { name: self.name.clone(), ty: tensor.ty(), quant: None };
        let op = Constant { tensor: Arc::new(tensor) };
        self.graph.add(op.into(), vec![value], self.origin.clone()).result(0)
    }

    /// An operator with one result.
    ///
    /// # Errors
    /// Operands it does not accept.
    pub fn add(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> Result<ValueId, OpError> {
        self.add_quantized(op, operands, None)
    }

    /// An operator with one result of this quantization; by default that of moved int8 elements.
    ///
    /// # Errors
    /// Operands it does not accept.
    pub fn add_quantized(
        &mut self,
        op: impl Into<Op>,
        operands: &[ValueId],
        quant: Option<QuantParams>,
    ) -> Result<ValueId, OpError> {
        self.add_results(op.into(), operands, quant)?
            .first()
            .copied()
            .ok_or_else(|| OpError::invalid("the operator has no result"))
    }

    /// An operator with any number of results.
    ///
    /// float16, bfloat16 and float64 are types of storage: an operator that does not take them
    /// computes in float32 and its results are narrowed.
    ///
    /// # Errors
    /// Operands it does not accept.
    pub fn add_all(
        &mut self,
        op: impl Into<Op>,
        operands: &[ValueId],
    ) -> Result<Vec<ValueId>, OpError> {
        self.add_results(op.into(), operands, None)
    }

    fn add_results(
        &mut self,
        op: Op,
        operands: &[ValueId],
        quant: Option<QuantParams>,
    ) -> Result<Vec<ValueId>, OpError> {
        let is_conversion = matches!(op, Op::Cast(_) | Op::CastFloat8(_) | Op::BitCast(_));
        let storage = operands.iter().map(|&v| self.ty(v).dtype).find(|d| d.is_storage_float());
        let Some(storage) = storage.filter(|_| !is_conversion) else {
            return self.add_plain(op, operands, quant);
        };
        if !operands.iter().any(|v| self.wide.contains_key(v)) {
            let before = self.add_plain(op.clone(), operands, quant.clone());
            if !before.as_ref().is_err_and(|e| e.code == Code::UnsupportedType) {
                return before;
            }
        }
        let wide: Vec<ValueId> =
            operands.iter().map(|&v| self.widened(v)).collect::<Result<_, _>>()?;
        let results = self.add_plain(op, &wide, quant)?;
        results.into_iter().map(|v| self.narrowed(v, storage)).collect()
    }

    /// A value in float32, when its type is one of storage.
    ///
    /// # Errors
    /// None in practice.
    pub fn widened(&mut self, value: ValueId) -> Result<ValueId, OpError> {
        if let Some(&wide) = self.wide.get(&value) {
            return Ok(wide);
        }
        if !self.ty(value).dtype.is_storage_float() {
            return Ok(value);
        }
        let wide = self.add(Cast { to: DType::F32 }, &[value])?;
        self.wide.insert(value, wide);
        Ok(wide)
    }

    /// A float32 value in a type of storage; nobody may read it, then it goes away.
    fn narrowed(&mut self, value: ValueId, storage: DType) -> Result<ValueId, OpError> {
        if self.ty(value).dtype != DType::F32 {
            return Ok(value);
        }
        let narrow = self.add(Cast { to: storage }, &[value])?;
        self.wide.insert(narrow, value);
        Ok(narrow)
    }

    fn add_plain(
        &mut self,
        op: Op,
        operands: &[ValueId],
        quant: Option<QuantParams>,
    ) -> Result<Vec<ValueId>, OpError> {
        let known = if quant.is_none() { self.memo.find(&op, operands) } else { None };
        if let Some(known) = known {
            return Ok(known);
        }
        let id = self.graph.add_with(op, operands, Vec::new(), self.origin.clone());
        let quant = quant.or_else(|| self.inherited(id));
        let types = self.infer(id, quant.as_ref()).inspect_err(|_| {
            self.graph.remove_unread(id);
        })?;
        let name = &self.name;
        let value = |ty: TensorType| Value { name: name.clone(), ty, quant: quant.clone() };
        let results: Vec<Value> = types.into_iter().map(value).collect();
        let count = results.len();
        if let Some(node) = self.graph.get_mut(id) {
            node.results = results;
        }
        if let Some(tensors) = self.folded(id) {
            let is_plain = quant.is_none();
            let quant = quant.or_else(|| self.moved(id));
            let constant = |t| match quant.clone() {
                Some(quant) => self.quantized_constant(t, quant),
                None => self.constant(t),
            };
            let results: Vec<ValueId> = tensors.into_iter().map(constant).collect();
            if let Some(node) = self.graph.get(id).filter(|_| is_plain) {
                self.memo.keep(node.op.clone(), operands, &results);
            }
            return Ok(results);
        }
        Ok((0..count).map(|r| id.result(r)).collect())
    }

    /// Result types. Inference may look at the declared results for their quantization; a node of
    /// this reader has none yet, so it sees one result like operand 0, with the quantization to come.
    fn infer(
        &self,
        id: crate::graph::NodeId,
        quant: Option<&QuantParams>,
    ) -> Result<Vec<TensorType>, OpError> {
        let mut signature = self.graph.signature(id);
        if let Some(first) = signature.operands.first() {
            let results =
                vec![crate::op::ValueInfo { quant, constant: None, name: &self.name, ..*first }];
            signature.results = results;
        }
        self.graph.get(id).map_or_else(|| Ok(Vec::new()), |n| n.op.infer(&signature))
    }

    /// The results of a node whose operands are all constant, while there is room for them. Windows
    /// and matrix products are left to the pass that folds constants: they take long.
    fn folded(&mut self, id: crate::graph::NodeId) -> Option<Vec<Tensor>> {
        let node = self.graph.get(id)?;
        let signature = self.graph.signature(id);
        let inputs: Option<Vec<&Tensor>> = signature.operands.iter().map(|o| o.constant).collect();
        let inputs = inputs.filter(|i| !i.is_empty() && !node.op.takes_long())?;
        let bytes: usize = node.results.iter().map(|v| v.ty.bytes()).sum();
        let given: usize = signature.operands.iter().map(|o| o.ty.bytes()).sum();
        if bytes > MAX_GROWN_BYTES.max(given) {
            return None;
        }
        let left = self.budget.checked_sub(bytes)?;
        let tensors = node.op.eval(&signature, &inputs).ok()?;
        *self.budget = left;
        Some(tensors)
    }

    /// Another shape of the same elements.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn reshape(&mut self, value: ValueId, dims: Vec<usize>) -> Result<ValueId, OpError> {
        if self.shape(value) == dims {
            return Ok(value);
        }
        self.add(Reshape { shape: Shape(dims) }, &[value])
    }

    /// Permuted dimensions; result dimension `i` is operand dimension `permutation[i]`.
    ///
    /// # Errors
    /// No permutation of the value's dimensions.
    pub fn transpose(&mut self, value: ValueId, permutation: &[usize]) -> Result<ValueId, OpError> {
        if permutation.iter().copied().eq(0..self.shape(value).len()) {
            return Ok(value);
        }
        self.add(Transpose { permutation: permutation.to_vec() }, &[value])
    }
}
