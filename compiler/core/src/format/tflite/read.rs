//! From TFLite bytes to a graph. Every index, size and number of the file is checked. Who reads a
//! tensor that cannot be read is passed over: every problem is reported, and none twice.

use super::file::{open, operator_name};
use super::generated as fb;
use super::lstm;
use super::ops::{OpContext, Operand, READERS, is_known};
use super::table::TensorEntry;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::{ReadOptions, remove_refused};
use crate::graph::{Graph, Value, ValueId};
use crate::op::{Op, OpError, Signature};
use crate::tensor::DType;
use std::collections::BTreeSet;

/// Reads what can be read of a model, with the problems of the rest.
///
/// # Errors
/// Not a TFLite file, or a damaged one: nothing of it can be read.
pub fn read_partly(
    bytes: &[u8],
    options: &ReadOptions,
) -> Result<(Graph, Diagnostics), Diagnostics> {
    let file = Origin { file: options.file.clone(), ..Origin::default() };
    let model = open(bytes, &file)?;
    Ok(Reader::new(model, options, file)?.run())
}

/// What is known while a file is read.
pub(super) struct Reader<'a> {
    pub model: fb::Model<'a>,
    pub subgraph: fb::SubGraph<'a>,
    pub options: &'a ReadOptions,
    pub file: Origin,
    pub graph: Graph,
    pub tensors: Vec<TensorEntry>,
    /// A reference of the file leads nowhere.
    pub is_dangling: bool,
    /// Places of operators that were refused.
    pub refused: BTreeSet<Origin>,
    pub problems: Diagnostics,
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
        let (tensors, refused) = (Vec::new(), BTreeSet::new());
        let is_dangling = false;
        Ok(Self { model, subgraph, options, file, graph, tensors, is_dangling, refused, problems })
    }

    fn run(mut self) -> (Graph, Diagnostics) {
        self.refuse_unknown_operators();
        self.read_tensors();
        self.read_inputs();
        for index in 0..self.subgraph.operators().map_or(0, |o| o.len()) {
            self.read_operator(index);
        }
        self.read_outputs();
        remove_refused(&mut self.graph, &self.refused);
        (self.graph, self.problems.merged())
    }

    pub fn problem(&mut self, code: Code, origin: Origin, message: impl Into<String>) {
        self.problems.push(Diagnostic::new(code, origin, message));
    }

    pub fn tensor_origin(&self, tensor: &str) -> Origin {
        Origin { tensor: tensor.to_string(), ..self.file.clone() }
    }

    /// The place of an operator. It has no name in the file; its first output has.
    fn place(&self, index: usize, op: &fb::Operator<'_>) -> Origin {
        let tensors = self.subgraph.tensors();
        let output = op.outputs().and_then(|o| o.iter().next());
        let output = output.and_then(|i| usize::try_from(i).ok());
        let tensor = output.and_then(|i| tensors.filter(|t| i < t.len()).map(|t| t.get(i)));
        let name = tensor.and_then(|t| t.name()).unwrap_or_default().to_string();
        Origin { index: Some(index), name, ..self.file.clone() }
    }

    /// First of all, so that a user sees every missing operator of a model at once.
    fn refuse_unknown_operators(&mut self) {
        for (index, op) in self.subgraph.operators().into_iter().flatten().enumerate() {
            let origin = self.place(index, &op);
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
    }

    fn read_operator(&mut self, index: usize) {
        let Some(op) = self.subgraph.operators().and_then(|o| o.iter().nth(index)) else { return };
        let Some(name) = operator_name(&self.model, &op).ok().filter(|name| is_known(name)) else {
            return self.refuse_results(&op);
        };
        let origin = Origin { operator: name.clone(), ..self.place(index, &op) };
        if op.large_custom_options_size() != 0 {
            let message = "options behind the flatbuffer are not supported";
            self.problem(Code::UnsupportedOperator, origin, message);
            return self.refuse_results(&op);
        }
        let mut touched =
            op.inputs().into_iter().flatten().chain(op.outputs().into_iter().flatten());
        if touched.any(|t| self.is_refused(t)) {
            return self.refuse_results(&op);
        }
        let before = self.problems.0.len();
        self.read_accepted(op, &name, origin.clone());
        if self.problems.0.len() > before {
            self.refused.insert(origin);
            self.refuse_results(&op);
        }
    }

    /// Marks the results of an operator that was not read.
    fn refuse_results(&mut self, op: &fb::Operator<'_>) {
        let results: Vec<i32> = op.outputs().into_iter().flatten().collect();
        let mut is_dangling = results.is_empty();
        for tensor in results {
            match usize::try_from(tensor).ok().and_then(|i| self.tensors.get_mut(i)) {
                Some(entry) => entry.refused = true,
                None => is_dangling = true,
            }
        }
        if is_dangling {
            self.pass_over_unwritten();
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
            if self.is_refused(index) {
                continue;
            }
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
