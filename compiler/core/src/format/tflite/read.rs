//! From TFLite bytes to a graph. Every index, size and number of the file is checked; problems of
//! one kind are all reported together.

use super::generated as fb;
use super::lstm;
use super::ops::{OpContext, Operand, READERS};
use super::summary::{open, operator_name};
use super::tensor::{self, Role};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::ReadOptions;
use crate::format::bind::bind;
use crate::graph::{Graph, Value, ValueId};
use crate::op::{Constant, Input, Op, OpError, Signature};
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorData, TensorType};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Reads a model.
///
/// # Errors
/// Not a TFLite file; a damaged one; operators, types or dynamic shapes that are not supported.
/// All problems of one phase are reported together.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Graph, Diagnostics> {
    let file = Origin { file: options.file.clone(), ..Origin::default() };
    let model = open(bytes, &file)?;
    Reader::new(model, options, file)?.run()
}

/// A tensor of the file after checking.
struct TensorEntry {
    name: String,
    ty: TensorType,
    quant: Option<QuantParams>,
    /// Defined so far: constants at once, others when their producer was read.
    value: Option<ValueId>,
    constant: Option<Arc<Tensor>>,
    /// Its operator was refused: readers of it are passed over, so that one problem stays one.
    refused: bool,
}

impl TensorEntry {
    /// Whether the file holds elements of it. An empty tensor may be a constant or computed.
    fn has_data(&self) -> bool {
        self.constant.as_ref().is_some_and(|c| !c.data.is_empty())
    }
}

struct Reader<'a> {
    model: fb::Model<'a>,
    subgraph: fb::SubGraph<'a>,
    options: &'a ReadOptions,
    file: Origin,
    graph: Graph,
    tensors: Vec<TensorEntry>,
    problems: Diagnostics,
}

impl<'a> Reader<'a> {
    fn new(
        model: fb::Model<'a>,
        options: &'a ReadOptions,
        file: Origin,
    ) -> Result<Self, Diagnostics> {
        let malformed = |m: &str| Diagnostic::new(Code::MalformedModel, file.clone(), m);
        if model.version() != 3 {
            let message = format!("schema version {} is not supported, only 3", model.version());
            return Err(malformed(&message).help("convert the model with a current tool").into());
        }
        let subgraphs = model.subgraphs();
        let subgraph = subgraphs
            .and_then(|s| s.iter().next())
            .ok_or_else(|| malformed("the model has no subgraph"))?;
        let graph = Graph::new();
        let problems = Diagnostics::default();
        Ok(Self { model, subgraph, options, file, graph, tensors: Vec::new(), problems })
    }

    fn run(mut self) -> Result<Graph, Diagnostics> {
        self.refuse_unknown_operators()?;
        self.read_tensors();
        self.take_problems()?;
        self.read_inputs();
        self.take_problems()?;
        for index in 0..self.subgraph.operators().map_or(0, |o| o.len()) {
            self.read_operator(index);
        }
        self.take_problems()?;
        self.read_outputs();
        self.take_problems()?;
        self.graph.remove_dead();
        crate::graph::verify::verify(&self.graph)?;
        Ok(self.graph)
    }

    fn take_problems(&mut self) -> Result<(), Diagnostics> {
        std::mem::take(&mut self.problems).merged().into_result(())
    }

    fn problem(&mut self, code: Code, origin: Origin, message: impl Into<String>) {
        self.problems.push(Diagnostic::new(code, origin, message));
    }

    fn tensor_origin(&self, tensor: &str) -> Origin {
        Origin { tensor: tensor.to_string(), ..self.file.clone() }
    }

    /// First of all, so that a user sees every missing operator of a model at once.
    fn refuse_unknown_operators(&mut self) -> Result<(), Diagnostics> {
        for (index, op) in self.subgraph.operators().into_iter().flatten().enumerate() {
            let origin = Origin { index: Some(index), ..self.file.clone() };
            match operator_name(&self.model, &op) {
                Err(message) => self.problem(Code::MalformedModel, origin, message),
                Ok(name) => {
                    if !is_known(&name) {
                        let origin = Origin { operator: name.clone(), ..origin };
                        let d = Diagnostic::new(
                            Code::UnknownOperator,
                            origin,
                            format!("operator {name} is not supported"),
                        );
                        self.problems.push(d.help(unknown_help(&name)));
                    }
                }
            }
        }
        self.take_problems()
    }

    fn read_tensors(&mut self) {
        let mut overrides = self.options.input_shapes.clone();
        let mut open = Vec::new();
        let inputs: Vec<i32> = self.subgraph.inputs().into_iter().flatten().collect();
        let states = self.sequence_states();
        for (index, tensor) in self.subgraph.tensors().into_iter().flatten().enumerate() {
            let name = match tensor.name() {
                Some(name) if !name.is_empty() => name.to_string(),
                _unnamed => format!("tensor_{index}"),
            };
            let is_input = inputs.contains(&(index as i32));
            let shape = overrides.remove(&name).filter(|_| is_input);
            let role = match (is_input, self.options.input_shapes.is_empty()) {
                (true, _) => Role::Input,
                (false, true) => Role::Inner,
                (false, false) => Role::Outdated,
            };
            let is_state = tensor.is_variable() && !states.contains(&(index as i32));
            let entry = match is_state {
                true => Err(self.state(&name)),
                false => self.tensor_entry(&tensor, &name, role, shape),
            };
            match entry {
                Ok(entry) => self.tensors.push(entry),
                Err(problem) => {
                    // Open inputs make everything after them open: naming the inputs is enough.
                    if problem.code != Code::DynamicShape || is_input {
                        self.problems.push(*problem);
                    } else {
                        open.push(*problem);
                    }
                    // Keeps the numbering, so that later messages name the right tensors.
                    let ty = TensorType::new(DType::I8, Shape(vec![0]));
                    let entry = TensorEntry {
                        name,
                        ty,
                        quant: None,
                        value: None,
                        constant: None,
                        refused: true,
                    };
                    self.tensors.push(entry);
                }
            }
        }
        if !self.problems.0.iter().any(|p| p.code == Code::DynamicShape) {
            self.problems.0.extend(open);
        }
        for name in overrides.into_keys() {
            let known: Vec<&str> = inputs
                .iter()
                .filter_map(|&i| self.tensors.get(usize::try_from(i).ok()?))
                .map(|t| t.name.as_str())
                .collect();
            let message = format!("--input-shape names \"{name}\", which is not an input");
            let help = format!("the inputs are: {}", known.join(", "));
            let d = Diagnostic::new(Code::BadOption, self.file.clone(), message).help(help);
            self.problems.push(d);
        }
    }

    fn state(&self, name: &str) -> Box<Diagnostic> {
        let message = "variable tensors (state between calls) are not supported yet";
        Diagnostic::new(Code::UnsupportedOperator, self.tensor_origin(name), message).into()
    }

    /// Tensors that are state of sequence operators only: it begins at zero in every call, so that
    /// nothing has to be kept.
    fn sequence_states(&self) -> BTreeSet<i32> {
        let ops = self.subgraph.operators().into_iter().flatten();
        let is_lstm =
            |op: &fb::Operator<'_>| operator_name(&self.model, op).is_ok_and(|n| n == lstm::NAME);
        let inputs = ops.filter(is_lstm).filter_map(|op| op.inputs());
        inputs.flat_map(|i| i.iter().skip(lstm::STATES.start).take(lstm::STATES.len())).collect()
    }

    fn tensor_entry(
        &self,
        file_tensor: &fb::Tensor<'_>,
        name: &str,
        role: Role,
        shape: Option<Vec<usize>>,
    ) -> Result<TensorEntry, Box<Diagnostic>> {
        let origin = self.tensor_origin(name);
        let error = |code, message: String| Diagnostic::new(code, origin.clone(), message);
        let dtype = tensor::dtype(file_tensor.type_())
            .map_err(|(m, help)| error(Code::UnsupportedType, m).help(help))?;
        if file_tensor.sparsity().is_some() {
            return Err(error(Code::UnsupportedType, "sparse tensors are not supported".into())
                .help("convert the model without sparsity")
                .into());
        }
        let shape = match shape {
            Some(dims) => tensor::checked(dims, &origin)?,
            None => tensor::static_shape(file_tensor, role, &origin)?,
        };
        let ty = TensorType::new(dtype, shape);
        let quant = tensor::quantization(file_tensor, &ty.shape, dtype)
            .map_err(|m| error(Code::InvalidOperator, m).help("quantize the model again"))?;
        let constant = self
            .constant_data(file_tensor, &ty)
            .map_err(|m| error(Code::MalformedModel, m))?
            .map(Arc::new);
        Ok(TensorEntry { name: name.to_string(), ty, quant, value: None, constant, refused: false })
    }

    /// Data of a constant tensor; `None` for one that is computed or an input.
    fn constant_data(
        &self,
        tensor: &fb::Tensor<'_>,
        ty: &TensorType,
    ) -> Result<Option<Tensor>, String> {
        let index = tensor.buffer() as usize;
        if tensor.external_buffer() != 0 {
            return Err("its data lies in an external buffer, which is not supported".into());
        }
        let buffer = self.model.buffers().and_then(|b| b.iter().nth(index));
        let Some(buffer) = buffer else {
            // Buffer 0 means "no data" and may be left out altogether.
            return if index == 0 {
                Ok(None)
            } else {
                Err(format!("buffer {index} does not exist"))
            };
        };
        if buffer.offset() > 1 {
            return Err("its data lies behind the flatbuffer, which is not supported".into());
        }
        let Some(data) = buffer.data().filter(|d| !d.is_empty()) else {
            // No bytes mean "computed", unless the tensor has none: a scalar's target shape.
            let empty = ty.bytes() == 0;
            return Ok(empty
                .then(|| Tensor::new(ty.shape.clone(), TensorData::zeros(ty.dtype, 0)))
                .flatten());
        };
        if data.len() != ty.bytes() {
            return Err(format!(
                "buffer {index} has {} bytes, {ty} needs {}",
                data.len(),
                ty.bytes()
            ));
        }
        let data = TensorData::from_le_bytes(ty.dtype, data.bytes())
            .ok_or("its buffer is not a whole number of elements")?;
        Ok(Tensor::new(ty.shape.clone(), data))
    }

    fn read_inputs(&mut self) {
        let mut given = self.options.input_values.clone();
        for index in self.subgraph.inputs().into_iter().flatten() {
            let Some(entry) = usize::try_from(index).ok().and_then(|i| self.tensors.get_mut(i))
            else {
                let message = format!("input: {}", self.missing(index));
                self.problem(Code::MalformedModel, self.file.clone(), message);
                continue;
            };
            if entry.value.is_some() {
                let (name, message) = (entry.name.clone(), "the tensor is listed as input twice");
                self.problem(Code::MalformedModel, self.tensor_origin(&name), message);
                continue;
            }
            if let Some(tensor) = given.remove(&entry.name) {
                let dims: Vec<Option<usize>> = entry.ty.shape.0.iter().copied().map(Some).collect();
                let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
                let bound = bind(&tensor, entry.ty.dtype, Some(&dims));
                entry.constant = bound.as_ref().ok().map(|tensor| Arc::new(tensor.clone()));
                let used = bound.and_then(|_| self.value_of(index));
                if let Err(message) = used {
                    self.problem(Code::BadOption, origin, format!("--input-value: {message}"));
                }
                continue;
            }
            if entry.ty.shape.elements() == 0 {
                let message = format!("the input has no elements: its shape is {}", entry.ty.shape);
                let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
                self.problems.push(
                    Diagnostic::new(Code::InvalidOperator, origin, message)
                        .help("give it a shape with --input-shape, or export the model with one"),
                );
                continue;
            }
            entry.constant = None;
            let value = Value {
                name: entry.name.clone(),
                ty: entry.ty.clone(),
                quant: entry.quant.clone(),
            };
            let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
            let node = self.graph.add(Input { ty: entry.ty.clone() }.into(), vec![value], origin);
            entry.value = Some(node.result(0));
        }
        for name in given.into_keys() {
            let message = format!("--input-value names \"{name}\", which is not an input");
            self.problem(Code::BadOption, self.file.clone(), message);
        }
    }

    fn missing(&self, index: i32) -> String {
        format!("tensor {index} does not exist, the model has {}", self.tensors.len())
    }

    /// The value of tensor `index`, creating the constant at its first use.
    fn value_of(&mut self, index: i32) -> Result<ValueId, String> {
        let missing = self.missing(index);
        let entry =
            usize::try_from(index).ok().and_then(|i| self.tensors.get_mut(i)).ok_or(missing)?;
        if let Some(value) = entry.value {
            return Ok(value);
        }
        if entry.constant.is_none() && entry.ty.shape.elements() == 0 {
            // A tensor without elements needs no data: the target shape of RESHAPE to a scalar.
            let data = TensorData::zeros(entry.ty.dtype, 0);
            entry.constant = Tensor::new(entry.ty.shape.clone(), data).map(Arc::new);
        }
        let Some(tensor) = &entry.constant else {
            return Err(format!(
                "tensor \"{}\" has no data and is read before any operator computes it",
                entry.name
            ));
        };
        let value =
            Value { name: entry.name.clone(), ty: entry.ty.clone(), quant: entry.quant.clone() };
        let origin = Origin { tensor: entry.name.clone(), ..self.file.clone() };
        let op = Constant { tensor: tensor.clone() }.into();
        let node = self.graph.add(op, vec![value], origin);
        entry.value = Some(node.result(0));
        Ok(node.result(0))
    }

    fn read_operator(&mut self, index: usize) {
        let Some(op) = self.subgraph.operators().and_then(|o| o.iter().nth(index)) else { return };
        let Ok(name) = operator_name(&self.model, &op) else { return };
        let origin = Origin { index: Some(index), operator: name.clone(), ..self.file.clone() };
        if op.large_custom_options_size() != 0 {
            let message = "options behind the flatbuffer are not supported";
            return self.problem(Code::UnsupportedOperator, origin, message);
        }
        let touched = |t: i32, tensors: &[TensorEntry]| {
            usize::try_from(t).ok().and_then(|i| tensors.get(i)).is_some_and(|e| e.refused)
        };
        if op.inputs().into_iter().flatten().any(|t| touched(t, &self.tensors)) {
            return self.refuse_results(&op);
        }
        let before = self.problems.0.len();
        self.read_accepted(op, &name, origin);
        if self.problems.0.len() > before {
            self.refuse_results(&op);
        }
    }

    /// Marks the results of an operator that was not read.
    fn refuse_results(&mut self, op: &fb::Operator<'_>) {
        for tensor in op.outputs().into_iter().flatten() {
            if let Some(entry) = usize::try_from(tensor).ok().and_then(|i| self.tensors.get_mut(i))
            {
                entry.refused = true;
            }
        }
    }

    /// The one operator that becomes several.
    fn read_lstm(&mut self, op: &fb::Operator<'a>, origin: Origin) {
        let mut operands = Vec::new();
        for tensor in op.inputs().into_iter().flatten() {
            let entry = usize::try_from(tensor).ok().and_then(|i| self.tensors.get(i));
            operands.push(entry.map(|entry| lstm::Given {
                ty: entry.ty.clone(),
                constant: entry.constant.clone(),
            }));
        }
        let input = op.inputs().and_then(|i| i.iter().next()).unwrap_or(-1);
        let x = match self.value_of(input) {
            Ok(x) => x,
            Err(message) => return self.problem(Code::MalformedModel, origin, message),
        };
        let result = op.outputs().and_then(|o| o.iter().next());
        let index = result.and_then(|i| usize::try_from(i).ok());
        let free = |e: &&TensorEntry| e.value.is_none() && !e.has_data();
        let Some((index, entry)) = index.and_then(|i| Some((i, self.tensors.get(i).filter(free)?)))
        else {
            return self.problem(Code::MalformedModel, origin, "its result is missing or taken");
        };
        let value = Value { name: entry.name.clone(), ty: entry.ty.clone(), quant: None };
        match lstm::read(&mut self.graph, op, (x, &operands), value, &origin) {
            Ok(value) => {
                if let Some(made) = self.graph.value(value) {
                    self.tensors[index].ty = made.ty.clone();
                }
                self.tensors[index].value = Some(value);
            }
            Err(error) => self.problems.push(error.into_diagnostic(origin)),
        }
    }

    fn read_accepted(&mut self, op: fb::Operator<'a>, name: &str, origin: Origin) {
        if name == lstm::NAME {
            return self.read_lstm(&op, origin);
        }
        let mut operands = Vec::new();
        for tensor in op.inputs().into_iter().flatten() {
            if tensor == -1 {
                operands.push(None);
                continue;
            }
            match self.value_of(tensor) {
                Ok(value) => operands.push(Some((tensor as usize, value))),
                Err(message) => return self.problem(Code::MalformedModel, origin, message),
            }
        }
        let mut results = Vec::new();
        for tensor in op.outputs().into_iter().flatten() {
            match usize::try_from(tensor).ok().and_then(|i| self.tensors.get(i)) {
                None => {
                    let message = format!("result: {}", self.missing(tensor));
                    return self.problem(Code::MalformedModel, origin, message);
                }
                Some(entry) if entry.value.is_some() || entry.has_data() => {
                    let message = format!(
                        "tensor \"{}\" is written, but is an input, a constant or written before",
                        entry.name
                    );
                    return self.problem(Code::MalformedModel, origin, message);
                }
                Some(_) => results.push(tensor as usize),
            }
        }
        self.apply_reader(op, name, origin, &operands, &results);
    }

    fn apply_reader(
        &mut self,
        op: fb::Operator<'a>,
        name: &str,
        origin: Origin,
        operands: &[Option<(usize, ValueId)>],
        results: &[usize],
    ) {
        let Ok(found) = READERS.binary_search_by(|(n, _)| (*n).cmp(name)) else { return };
        let context = OpContext {
            op,
            operands: operands
                .iter()
                .map(|o| {
                    o.map(|(index, value)| {
                        let entry = &self.tensors[index];
                        let constant = entry.constant.as_deref();
                        Operand { value, name: &entry.name, ty: entry.ty.clone(), constant }
                    })
                })
                .collect(),
            results: results.iter().map(|&i| self.tensors[i].ty.clone()).collect(),
        };
        let reading = match READERS[found].1(&context) {
            Ok(reading) => reading,
            Err(error) => return self.problems.push(error.into_diagnostic(origin)),
        };
        let values = results
            .iter()
            .map(|&i| {
                let entry = &self.tensors[i];
                let (ty, quant) = (entry.ty.clone(), entry.quant.clone());
                Value { name: entry.name.clone(), ty, quant }
            })
            .collect();
        let node = self.graph.add_with(reading.op, &reading.operands, values, origin.clone());
        // Shapes follow from the operands: after --input-shape the declared ones are outdated.
        let inferred = self
            .graph
            .get(node)
            .map(|n| {
                let signature = self.graph.signature(node);
                are_quantized(&n.op, &signature).and_then(|()| n.op.infer(&signature))
            })
            .unwrap_or(Ok(Vec::new()));
        match inferred {
            Err(error) => return self.problems.push(error.into_diagnostic(origin)),
            Ok(types) if self.options.input_shapes.is_empty() => drop(types),
            Ok(types) => {
                for (&i, ty) in results.iter().zip(types) {
                    self.tensors[i].ty = ty.clone();
                    let r = results.iter().position(|&j| j == i).unwrap_or(0);
                    if let Some(value) = self.graph.value_mut(node.result(r)) {
                        value.ty = ty;
                    }
                }
            }
        }
        for (r, &i) in results.iter().enumerate() {
            self.tensors[i].value = Some(node.result(r));
            self.tensors[i].constant = None;
        }
    }

    fn read_outputs(&mut self) {
        let mut outputs = Vec::new();
        for index in self.subgraph.outputs().into_iter().flatten() {
            match self.value_of(index) {
                Ok(value) => outputs.push(value),
                Err(message) => {
                    let message = format!("output: {message}");
                    self.problem(Code::MalformedModel, self.file.clone(), message);
                }
            }
        }
        if outputs.is_empty() && self.problems.0.is_empty() {
            self.problem(Code::MalformedModel, self.file.clone(), "the model has no outputs");
        }
        self.graph.set_outputs(outputs);
    }
}

/// Whether there is a reader of the operator.
pub(super) fn is_known(name: &str) -> bool {
    name == lstm::NAME || READERS.binary_search_by(|(n, _)| (*n).cmp(name)).is_ok()
}

fn unknown_help(name: &str) -> String {
    if name.starts_with("CUSTOM \"edgetpu") {
        return "this file was compiled for the Edge TPU; give the model it was made from".into();
    }
    if name.starts_with("CUSTOM") {
        return "custom operators have no public definition; export the model with built-in \
                operators only"
            .into();
    }
    "`tinycc ops` lists the supported operators".into()
}

/// The core computes with integers as they are; TFLite has that for 32 bits and more only. Narrower
/// ones stand for reals, and a file without their scales is wrong.
///
/// # Errors
/// Arithmetic on narrow integers that are not quantized.
fn are_quantized(op: &Op, s: &Signature<'_>) -> Result<(), OpError> {
    let is_arithmetic = matches!(
        op,
        Op::Abs(_)
            | Op::Add(_)
            | Op::Div(_)
            | Op::Maximum(_)
            | Op::Minimum(_)
            | Op::Mul(_)
            | Op::Neg(_)
            | Op::ReduceMax(_)
            | Op::ReduceMin(_)
            | Op::Sub(_)
            | Op::Sum(_)
    );
    for x in s.operands.iter().filter(|_| is_arithmetic) {
        if x.dtype() == DType::I8 {
            x.quantized()?;
        } else if x.dtype().is_int() && x.dtype().size() < 4 {
            return Err(OpError::types(s));
        }
    }
    Ok(())
}
