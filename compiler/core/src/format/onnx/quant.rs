//! Quantization while reading: values that carry scale and zero point. Which ONNX operators say so
//! is the business of `ops/quantize.rs`.
//!
//! int8 values carry the parameters of the DequantizeLinear that reads them. A float32 constant
//! carries them when it is the dequantization of int8 data, so that the reader may treat weights as
//! the floats they stand for and the pass `fuse-quantization` finds the integers again.

use super::build::Builder;
use crate::graph::{NodeId, ValueId};
use crate::op::{FlipSign, Op, OpError, QuantRule, Reshape, Select};
use crate::tensor::{DType, QuantParams, Shape, Tensor};

impl Builder<'_> {
    /// Quantization of a value.
    #[must_use]
    pub fn quant(&self, value: ValueId) -> Option<QuantParams> {
        self.graph.value(value)?.quant.clone()
    }

    /// A constant with quantization.
    pub fn quantized_constant(&mut self, tensor: Tensor, quant: QuantParams) -> ValueId {
        let value = self.constant(tensor);
        if let Some(v) = self.graph.value_mut(value) {
            v.quant = Some(quant);
        }
        value
    }

    /// The same elements, read with these parameters. An alias: other readers of the value may see
    /// plain integers, or other parameters.
    ///
    /// # Errors
    /// None in practice.
    pub fn labelled(&mut self, x: ValueId, quant: Option<QuantParams>) -> Result<ValueId, OpError> {
        if self.quant(x) == quant {
            return Ok(x);
        }
        let op = Reshape { shape: Shape(self.shape(x)) };
        match (quant, self.data(x)) {
            (Some(quant), Some(tensor)) => {
                Ok(self.quantized_constant(tensor.as_ref().clone(), quant))
            }
            (quant, _) => {
                let alias = self.add(op, &[x])?;
                if let Some(value) = self.graph.value_mut(alias) {
                    value.quant = quant;
                }
                Ok(alias)
            }
        }
    }

    /// A value of integers that stand for themselves; constants of the file are that already.
    ///
    /// # Errors
    /// None in practice.
    pub fn plain(&mut self, x: ValueId) -> Result<ValueId, OpError> {
        if self.ty(x).dtype != DType::I8 || self.quant(x).is_none() {
            return Ok(x);
        }
        self.labelled(x, None)
    }

    /// Elements of all operands will stand in one result: int8 ones with the parameters they share,
    /// which constants without take from the others, else as plain integers.
    ///
    /// # Errors
    /// None in practice.
    pub fn together(
        &mut self,
        of: &[ValueId],
    ) -> Result<(Vec<ValueId>, Option<QuantParams>), OpError> {
        let shared = |q: &QuantParams| q.scales.len() == 1;
        let is_int8 = of.iter().all(|&v| self.ty(v).dtype == DType::I8);
        let known: Vec<QuantParams> =
            of.iter().filter_map(|&v| self.quant(v)).filter(|q| is_int8 && shared(q)).collect();
        let agree = known.iter().all(|q| *q == known[0]);
        let others = of.iter().filter(|&&v| !self.is_unlabelled(v)).count();
        let quant = known.first().filter(|_| agree && known.len() == others).cloned();
        let each = |&v: &ValueId| match &quant {
            None => self.plain(v),
            Some(q) => self.labelled(v, Some(q.clone())),
        };
        Ok((of.iter().map(each).collect::<Result<_, _>>()?, quant))
    }

    fn is_unlabelled(&self, value: ValueId) -> bool {
        self.data(value).is_some() && self.quant(value).is_none()
    }

    /// Chooses by a condition from operands of one type.
    ///
    /// # Errors
    /// Operands that do not fit.
    pub fn select(&mut self, condition: ValueId, of: [ValueId; 2]) -> Result<ValueId, OpError> {
        let (of, quant) = self.together(&of)?;
        let operands: Vec<ValueId> = std::iter::once(condition).chain(of).collect();
        self.add_quantized(Select, &operands, quant)
    }

    /// uint8 as int8, or int8 as uint8, 128 apart.
    ///
    /// # Errors
    /// Other types.
    pub fn flipped(&mut self, x: ValueId) -> Result<ValueId, OpError> {
        if let Some(node) = self.graph.get(x.node)
            && matches!(node.op, Op::FlipSign(_))
            && let Some(&before) = self.graph.operands(x.node).first()
        {
            return Ok(before);
        }
        self.add(FlipSign, &[x])
    }

    /// What moved or compared int8 elements stand for: what the operand's do.
    pub(super) fn inherited(&self, id: NodeId) -> Option<QuantParams> {
        let node = self.graph.get(id)?;
        if node.op.quant_rule() != QuantRule::SameAsInput {
            return None;
        }
        let operand = self.graph.value(*self.graph.operands(id).first()?)?;
        let is_int8 = operand.ty.dtype == DType::I8;
        operand.quant.clone().filter(|q| is_int8 && q.scales.len() == 1)
    }

    /// Quantization of a constant that was computed by moving elements of a constant.
    pub(super) fn moved(&self, id: NodeId) -> Option<QuantParams> {
        let node = self.graph.get(id)?;
        let operands = self.graph.operands(id);
        let operand = self.graph.value(*operands.first()?)?;
        let quant = operand.quant.as_ref()?;
        let shape = &node.results.first()?.ty.shape;
        let axis = match (&node.op, quant.axis) {
            (Op::Transpose(t), Some(axis)) => Some(t.permutation.iter().position(|&p| p == axis)?),
            (Op::Reshape(_), Some(axis)) => Some(kept_axis(&operand.ty.shape, shape, axis)?),
            (
                Op::Transpose(_)
                | Op::Reshape(_)
                | Op::Slice(_)
                | Op::Split(_)
                | Op::Tile(_)
                | Op::BroadcastTo(_)
                | Op::Gather(_),
                None,
            ) => None,
            _computed => return None,
        };
        Some(QuantParams { axis, ..quant.clone() })
    }
}

/// The dimension of `to` that dimension `axis` of `from` becomes by reshaping: equal extent, equal
/// number of elements per step.
fn kept_axis(from: &Shape, to: &Shape, axis: usize) -> Option<usize> {
    let (extent, stride) = (*from.0.get(axis)?, *from.strides().get(axis)?);
    let strides = to.strides();
    (0..to.rank()).find(|&d| to.0[d] == extent && strides[d] == stride)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::onnx::testing::models::{
        attribute, floats, graph, input, int, model, node, output, read,
    };
    use crate::tensor::TensorData;
    use onnx_protobuf::{NodeProto, TensorProto};

    #[test]
    fn reshaping_keeps_an_axis_that_stays_whole() {
        let shape = |d: &[usize]| Shape(d.to_vec());
        assert_eq!(kept_axis(&shape(&[8, 3, 5]), &shape(&[8, 3, 1, 5]), 0), Some(0));
        assert_eq!(kept_axis(&shape(&[8, 3, 5]), &shape(&[8, 3, 1, 5]), 2), Some(3));
        assert_eq!(kept_axis(&shape(&[8, 3]), &shape(&[24]), 0), None);
        assert_eq!(kept_axis(&shape(&[2, 8]), &shape(&[4, 4]), 1), None);
    }
    /// `QuantizeLinear`, then `nodes` from `q` (and `p` of other parameters) to `r`, then
    /// `DequantizeLinear`; code 0 is -1.5 in int8 and -65.5 in uint8.
    fn between(dtype: i32, nodes: Vec<NodeProto>) -> Vec<f32> {
        let zero = if dtype == 3 { 3 } else { 131 };
        let code = |name: &str, value| TensorProto {
            name: name.into(),
            data_type: dtype,
            int32_data: vec![value],
            ..TensorProto::default()
        };
        let mut all = vec![
            node("QuantizeLinear", &["x", "scale", "zero"], &["q"]),
            node("QuantizeLinear", &["x", "wide", "zero"], &["p"]),
            node("Less", &["x", "limit"], &["is_less"]),
        ];
        all.extend(nodes);
        all.push(node("DequantizeLinear", &["r", "scale", "zero"], &["y"]));
        let mut g = graph(all, vec![input("x", &[2, 2])], vec![output("y")]);
        g.initializer = vec![
            floats("scale", &[], &[0.5]),
            floats("wide", &[], &[1.0]),
            floats("limit", &[], &[2.5]),
            code("zero", zero),
            code("next", zero + 1),
        ];
        let mut graph = read(&model(17, g)).expect("reads");
        let x = Tensor::new(Shape(vec![2, 2]), TensorData::F32(vec![1.0, 2.0, 3.0, 4.0]));
        let x = [x.expect("fits")];
        let before = crate::evaluate::run(&graph, &x).expect("runs");
        crate::pass::run_all(&mut graph, crate::pass::LEGALISE).expect("passes");
        let after = crate::evaluate::run(&graph, &x).expect("runs");
        assert_eq!(before[0], after[0], "after the passes");
        before[0].as_f32().expect("floats").to_vec()
    }

    #[test]
    fn integers_are_chosen_between_quantize_and_dequantize() {
        for (dtype, zero) in [(3, -1.5), (2, -65.5)] {
            let trilu = || node("Trilu", &["q"], &["r"]);
            assert_eq!(between(dtype, vec![trilu()]), [1.0, 2.0, zero, 4.0]);
            let choose = |a, b| vec![node("Where", &["is_less", a, b], &["r"])];
            assert_eq!(between(dtype, choose("q", "next")), [1.0, 2.0, 0.5, 0.5]);
            // The codes of other parameters are read with those of the result.
            assert_eq!(between(dtype, choose("p", "q")), [0.5, 1.0, 3.0, 4.0]);
            let join = |a, b| {
                let axis = int("axis", 0);
                let join = node("Concat", &[a, b], &["r"]);
                vec![attribute(join, axis)]
            };
            let (x, half) = ([1.0, 2.0, 3.0, 4.0], [0.5, 1.0, 1.5, 2.0]);
            assert_eq!(between(dtype, join("q", "q")), [x, x].concat());
            assert_eq!(between(dtype, join("q", "p")), [x, half].concat());
            assert_eq!(between(dtype, join("p", "q")), [half, x].concat());
            // Floats behind DequantizeLinear, a constant among them.
            let floats = vec![
                node("DequantizeLinear", &["q", "scale", "zero"], &["a"]),
                node("DequantizeLinear", &["next", "wide", "zero"], &["b"]),
                node("Where", &["is_less", "a", "b"], &["c"]),
                node("QuantizeLinear", &["c", "scale", "zero"], &["r"]),
            ];
            assert_eq!(between(dtype, floats), [1.0, 2.0, 1.0, 1.0]);
        }
    }
}
