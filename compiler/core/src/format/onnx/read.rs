//! From ONNX bytes to a graph: opset versions, inputs, initializers, one reader per node. Every
//! name, index and size is checked; problems of one kind are all reported together.

use super::attribute::Attributes;
use super::build::Builder;
use super::ops::{Context, find};
use super::{order, tensor};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::ReadOptions;
use crate::format::bind::bind;
use crate::graph::{Graph, Value, ValueId};
use crate::op::{Constant, Input, OpError};
use crate::tensor::{Shape, Tensor, TensorType};
use onnx_protobuf::tensor_shape_proto::dimension::Value as Extent;
use onnx_protobuf::type_proto::Value as Kind;
use onnx_protobuf::{GraphProto, Message, ModelProto, NodeProto, ValueInfoProto};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Opsets of the default domain that the readers know.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=27;
/// Constants computed while reading must not fill the memory.
const MAX_FOLDED_BYTES: usize = 64 << 20;
/// Nodes in a file; far more than a network has.
pub(super) const MAX_NODES: usize = 100_000;

/// Whether the bytes look like an ONNX file. ONNX has no magic number: a file begins with the field
/// `ir_version`, or, where an old exporter leaves that out, is a sequence of fields with a graph.
#[must_use]
pub fn recognise(bytes: &[u8]) -> bool {
    const GRAPH: u64 = 7 << 3 | 2;
    // What follows the version: producer, its version, domain, model version, documentation, graph,
    // opset imports, metadata.
    const FIELDS: [u8; 8] = [0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72];
    if bytes.len() < 2 {
        return false;
    }
    if let Some((0x08, mut rest)) = bytes.split_first().map(|(&first, rest)| (first, rest)) {
        let is_version = varint(&mut rest).is_some_and(|v| (1..1000).contains(&v));
        return is_version && rest.first().is_none_or(|tag| FIELDS.contains(tag));
    }
    let (mut rest, mut has_graph) = (bytes, false);
    while !rest.is_empty() {
        let Some(tag) = varint(&mut rest) else { return false };
        let Some(value) = varint(&mut rest) else { return false };
        match tag & 7 {
            0 => {}
            2 => match usize::try_from(value).ok().and_then(|n| rest.get(n..)) {
                Some(after) => rest = after,
                None => return false,
            },
            _never => return false,
        }
        has_graph |= tag == GRAPH;
    }
    has_graph
}

/// A protobuf number of at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The message, not looked into.
///
/// # Errors
/// No ONNX file, or not all of one.
pub(super) fn open(bytes: &[u8], file: &Origin) -> Result<ModelProto, Diagnostics> {
    ModelProto::parse_from_bytes(bytes).map_err(|e| {
        let message = format!("not a complete ONNX model: {e}");
        Diagnostic::new(Code::NotAModel, file.clone(), message)
            .help("the file may be truncated; export or download it again")
            .into()
    })
}

/// Reads a model.
///
/// # Errors
/// Not an ONNX file; a damaged one; operators, types or dynamic shapes that are not supported.
/// All problems of one phase are reported together.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Graph, Diagnostics> {
    let file = Origin { file: options.file.clone(), ..Origin::default() };
    let model = open(bytes, &file)?;
    let malformed = |m: &str| Diagnostic::new(Code::MalformedModel, file.clone(), m);
    let graph = model.graph.as_ref().ok_or_else(|| malformed("the model has no graph"))?;
    if graph.node.len() > MAX_NODES {
        return Err(malformed(&format!("more than {MAX_NODES} nodes")).into());
    }
    let opset = opset(&model, graph, &file)?;
    let reader = Reader {
        proto: graph,
        options,
        file,
        opset,
        graph: Graph::new(),
        values: BTreeMap::new(),
        named: BTreeSet::new(),
        budget: MAX_FOLDED_BYTES,
        wide: BTreeMap::new(),
        refused: BTreeSet::new(),
        problems: Diagnostics::default(),
    };
    reader.run()
}

/// Version of the default domain. A model without nodes of that domain need not name it.
fn opset(model: &ModelProto, graph: &GraphProto, file: &Origin) -> Result<i64, Diagnostics> {
    let error = |code, message: String| Diagnostic::new(code, file.clone(), message);
    let found = model
        .opset_import
        .iter()
        .find(|o| o.domain.is_empty() || o.domain == "ai.onnx")
        .map(|o| o.version)
        .or_else(|| {
            let is_other = |n: &NodeProto| !matches!(n.domain.as_str(), "" | "ai.onnx");
            (!graph.node.is_empty() && graph.node.iter().all(is_other)).then_some(*OPSETS.end())
        })
        .ok_or_else(|| error(Code::MalformedModel, "the model names no opset".into()))?;
    if OPSETS.contains(&found) {
        return Ok(found);
    }
    let message =
        format!("opset {found} is not supported, only {} to {}", OPSETS.start(), OPSETS.end());
    Err(error(Code::MalformedModel, message)
        .help("convert the model with onnx.version_converter")
        .into())
}

struct Reader<'a> {
    proto: &'a GraphProto,
    options: &'a ReadOptions,
    file: Origin,
    opset: i64,
    graph: Graph,
    /// Values defined so far, by name.
    values: BTreeMap<&'a str, ValueId>,
    /// Values that have a name: it stays when another name is given to them.
    named: BTreeSet<ValueId>,
    /// Bytes that constants computed while reading may still take.
    budget: usize,
    /// float32 values behind narrowed ones.
    wide: BTreeMap<ValueId, ValueId>,
    /// Results of nodes that were not read: readers of them are passed over.
    refused: BTreeSet<&'a str>,
    problems: Diagnostics,
}

impl<'a> Reader<'a> {
    fn run(mut self) -> Result<Graph, Diagnostics> {
        self.refuse_unknown_operators()?;
        self.read_initializers();
        self.take_problems()?;
        self.read_inputs();
        self.take_problems()?;
        for index in order::sorted(&self.proto.node) {
            self.read_node(index, &self.proto.node[index]);
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
        for (index, node) in self.proto.node.iter().enumerate() {
            let name = operator_name(node);
            if find(&name, self.opset).is_none() {
                let origin =
                    Origin { index: Some(index), operator: name.clone(), ..self.file.clone() };
                let message = match name.contains("::") {
                    true => format!("operator {name} is not supported"),
                    false => format!("operator {name} of opset {} is not supported", self.opset),
                };
                let d = Diagnostic::new(Code::UnknownOperator, origin, message);
                self.problems.push(d.help("`tinycc ops` lists the supported operators"));
            }
        }
        self.take_problems()
    }

    fn read_initializers(&mut self) {
        if !self.proto.sparse_initializer.is_empty() {
            let message = "sparse initializers are not supported";
            self.problem(Code::UnsupportedType, self.file.clone(), message);
        }
        for proto in &self.proto.initializer {
            let origin = self.tensor_origin(&proto.name);
            match tensor::read(proto) {
                Err(error) => self.problems.push(tensor_problem(error, origin)),
                Ok(tensor) => {
                    let value = Value { name: proto.name.clone(), ty: tensor.ty(), quant: None };
                    let op = Constant { tensor: Arc::new(tensor) };
                    let node = self.graph.add(op.into(), vec![value], origin.clone());
                    self.define(&proto.name, node.result(0), origin);
                }
            }
        }
    }

    /// Names a value; a name stands for one value only.
    fn define(&mut self, name: &'a str, value: ValueId, origin: Origin) {
        self.named.insert(value);
        if self.values.insert(name, value).is_some() {
            let message = format!("the name \"{name}\" is defined twice");
            self.problem(Code::MalformedModel, origin, message);
        }
    }

    fn read_inputs(&mut self) {
        let mut overrides = self.options.input_shapes.clone();
        let mut given = self.options.input_values.clone();
        let mut names = Vec::new();
        for proto in &self.proto.input {
            // Old files list their initializers as inputs, too: those are constants.
            if self.values.contains_key(proto.name.as_str()) {
                continue;
            }
            names.push(proto.name.clone());
            let origin = self.tensor_origin(&proto.name);
            let dims = overrides.remove(&proto.name);
            if let Some(tensor) = given.remove(&proto.name) {
                self.bind_input(proto, &tensor, dims, origin);
                continue;
            }
            match self.input_type(proto, dims) {
                Err(problem) => self.problems.push(*problem),
                Ok(ty) => {
                    let value = Value { name: proto.name.clone(), ty: ty.clone(), quant: None };
                    let node = self.graph.add(Input { ty }.into(), vec![value], origin.clone());
                    self.define(&proto.name, node.result(0), origin);
                }
            }
        }
        let unknown = overrides.into_keys().map(|name| ("--input-shape", name));
        for (option, name) in unknown.chain(given.into_keys().map(|name| ("--input-value", name))) {
            let message = format!("{option} names \"{name}\", which is not an input");
            let d = Diagnostic::new(Code::BadOption, self.file.clone(), message);
            self.problems.push(d.help(format!("the inputs are: {}", names.join(", "))));
        }
    }

    /// An input the user gives the value of becomes a constant.
    fn bind_input(
        &mut self,
        proto: &'a ValueInfoProto,
        tensor: &Tensor,
        dims: Option<Vec<usize>>,
        origin: Origin,
    ) {
        let Some(Kind::TensorType(ty)) = proto.type_.as_ref().and_then(|t| t.value.as_ref()) else {
            let message = "the input is not a tensor (sequence, map or optional)";
            return self.problem(Code::UnsupportedType, origin, message);
        };
        let dtype = match tensor::dtype(ty.elem_type) {
            Ok(dtype) => dtype,
            Err(error) => return self.problems.push(tensor_problem(error, origin)),
        };
        let known = |value: &Option<Extent>| match value {
            Some(Extent::DimValue(n)) => usize::try_from(*n).ok(),
            _symbol => None,
        };
        let declared: Option<Vec<Option<usize>>> = match dims {
            Some(dims) => Some(dims.into_iter().map(Some).collect()),
            None => ty.shape.as_ref().map(|s| s.dim.iter().map(|d| known(&d.value)).collect()),
        };
        match bind(tensor, dtype, declared.as_deref()) {
            Err(message) => {
                self.problem(Code::BadOption, origin, format!("--input-value: {message}"))
            }
            Ok(tensor) => {
                let value = Value { name: proto.name.clone(), ty: tensor.ty(), quant: None };
                let op = Constant { tensor: Arc::new(tensor) };
                let node = self.graph.add(op.into(), vec![value], origin.clone());
                self.define(&proto.name, node.result(0), origin);
            }
        }
    }

    fn input_type(
        &self,
        proto: &ValueInfoProto,
        shape: Option<Vec<usize>>,
    ) -> Result<TensorType, Box<Diagnostic>> {
        let origin = self.tensor_origin(&proto.name);
        let error = |code, m: String| Diagnostic::new(code, origin.clone(), m);
        let ty = match proto.type_.as_ref().and_then(|t| t.value.as_ref()) {
            Some(Kind::TensorType(t)) => t,
            _other => {
                let message = "the input is not a tensor (sequence, map or optional)";
                return Err(error(Code::UnsupportedType, message.into()).into());
            }
        };
        let dtype = tensor::dtype(ty.elem_type).map_err(|e| tensor_problem(e, origin.clone()))?;
        let dims = match (shape, ty.shape.as_ref()) {
            (Some(dims), _) => dims,
            (None, Some(declared)) => self.static_dims(proto, &declared.dim)?,
            (None, None) => {
                return Err(error(Code::DynamicShape, "the input has no shape".into())
                    .help(format!("give one: --input-shape {}=1x3x32x32", proto.name))
                    .into());
            }
        };
        let shown = format!("{dims:?}");
        Shape::checked(dims).map(|shape| TensorType::new(dtype, shape)).ok_or_else(|| {
            error(Code::InvalidOperator, format!("the shape {shown} is not possible")).into()
        })
    }

    /// The first extent may be open and is then 1 (one sample); all others must be numbers.
    fn static_dims(
        &self,
        proto: &ValueInfoProto,
        dims: &[onnx_protobuf::tensor_shape_proto::Dimension],
    ) -> Result<Vec<usize>, Box<Diagnostic>> {
        let mut out = Vec::new();
        let mut shown = Vec::new();
        let mut is_open = false;
        for (i, dim) in dims.iter().enumerate() {
            let known = match &dim.value {
                // Some exporters write a first extent of 0 for an open one.
                Some(Extent::DimValue(n)) => {
                    usize::try_from(*n).ok().filter(|&n| n > 0 || i > 0 || dims.len() == 1)
                }
                _symbol => None,
            };
            let extent = known.or((i == 0 && dims.len() > 1).then_some(1));
            is_open |= extent.is_none();
            shown.push(extent.map_or("?".to_string(), |n| n.to_string()));
            out.extend(extent);
        }
        if !is_open {
            return Ok(out);
        }
        let shape = shown.join("x");
        let message = format!("the input's shape {shape} is open");
        let help = format!("give it: --input-shape {}={shape} with numbers for ?", proto.name);
        Err(Diagnostic::new(Code::DynamicShape, self.tensor_origin(&proto.name), message)
            .help(help)
            .into())
    }

    fn read_node(&mut self, index: usize, node: &'a NodeProto) {
        let operator = operator_name(node);
        let origin = Origin { index: Some(index), operator: operator.clone(), ..self.file.clone() };
        if node.input.iter().any(|i| self.refused.contains(i.as_str())) {
            return self.refuse(node);
        }
        let mut operands = Vec::new();
        for name in &node.input {
            match (name.is_empty(), self.values.get(name.as_str())) {
                (true, _) => operands.push(None),
                (false, Some(&value)) => operands.push(Some(value)),
                (false, None) => {
                    let message =
                        format!("tensor \"{name}\" is defined nowhere, or only after this node");
                    self.problem(Code::MalformedModel, origin, message);
                    return self.refuse(node);
                }
            }
        }
        let results = self.results(node, &operator, origin.clone(), operands);
        match results {
            Err(error) => {
                self.problems.push(error.into_diagnostic(origin));
                self.refuse(node);
            }
            Ok(results) => self.name_results(node, &results, &origin),
        }
    }

    fn refuse(&mut self, node: &'a NodeProto) {
        self.refused.extend(node.output.iter().map(String::as_str));
    }

    fn results(
        &mut self,
        node: &'a NodeProto,
        operator: &str,
        origin: Origin,
        operands: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, OpError> {
        let read = find(operator, self.opset)
            .ok_or_else(|| OpError::unsupported("the operator is not supported"))?;
        let name = node.output.first().cloned().unwrap_or_default();
        let (budget, wide) = (&mut self.budget, &mut self.wide);
        let builder = Builder { graph: &mut self.graph, origin, name, budget, wide };
        let mut context = Context {
            attributes: Attributes::of(node),
            opset: self.opset,
            operands,
            outputs: node.output.len(),
            build: builder,
        };
        read(&mut context)
    }

    fn name_results(&mut self, node: &'a NodeProto, results: &[ValueId], origin: &Origin) {
        for (i, name) in node.output.iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            let Some(&value) = results.get(i) else {
                self.refused.insert(name);
                let message = format!("its output {i} (\"{name}\") is not supported");
                self.problem(Code::UnsupportedOperator, origin.clone(), message);
                continue;
            };
            let is_new = !self.named.contains(&value);
            if let Some(v) = self.graph.value_mut(value).filter(|_| is_new) {
                v.name.clone_from(name);
            }
            self.define(name, value, origin.clone());
        }
    }

    fn read_outputs(&mut self) {
        let mut outputs = Vec::new();
        for output in &self.proto.output {
            match self.values.get(output.name.as_str()) {
                Some(&value) => outputs.push(value),
                None => {
                    let message = format!("output \"{}\" is computed by no node", output.name);
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

/// An error about a tensor of the file, not about an operator.
fn tensor_problem(error: OpError, origin: Origin) -> Diagnostic {
    let mut problem = error.into_diagnostic(origin);
    let is_sound = problem.code == Code::UnsupportedOperator;
    problem.code = if is_sound { Code::UnsupportedType } else { Code::MalformedModel };
    problem
}

/// `Conv`, or `com.microsoft::Gelu` outside of the default domain.
pub(super) fn operator_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => node.op_type.clone(),
        domain => format!("{domain}::{}", node.op_type),
    }
}
