//! From ONNX bytes to a graph: opset versions, initializers, one reader per node, of the main graph
//! and of the graphs inside of it. Every name, index and size is checked; problems of one kind are
//! all reported together.

use super::build::{Builder, Memo};
use super::function::Functions;
use super::ops::{Context, find};
use super::scope::{Entry, Scope};
use super::wire::WireError;
use super::{external, flow, inputs, order, tensor, wire};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::ReadOptions;
use crate::graph::{Graph, Value, ValueId};
use crate::op::{Constant, OpError};
use crate::tensor::Tensor;
use onnx_protobuf::{GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Opsets of the default domain that the readers know.
pub const OPSETS: std::ops::RangeInclusive<i64> = 1..=27;
/// Constants computed while reading must not fill the memory: they may take this, and some times what
/// the file has.
const MAX_FOLDED_BYTES: usize = 64 << 20;
/// How many times the bytes of the file constants computed while reading may take.
const FOLDED_PER_BYTE: usize = 8;
/// Nodes in a file, and nodes read in all when functions and bodies are inlined; far more than a
/// network has.
pub(super) const MAX_NODES: usize = 100_000;
/// Nodes read in the bodies of loops, all iterations together.
pub(super) const MAX_UNROLLED: usize = 4096;
/// Graphs and function calls inside of one another.
const MAX_DEPTH: usize = 32;

/// The message, not looked into.
///
/// # Errors
/// No ONNX file, or not all of one.
pub(super) fn open(bytes: &[u8], file: &Origin) -> Result<ModelProto, Diagnostics> {
    let problem = |code, message: String| Diagnostic::new(code, file.clone(), message);
    let incomplete = |why: &dyn std::fmt::Display| {
        problem(Code::NotAModel, format!("not a complete ONNX model: {why}"))
            .help("the file may be truncated; export or download it again")
    };
    wire::check(bytes).map_err(|e| match e {
        WireError::Length(_) | WireError::Tag(_) => incomplete(&e),
        WireError::Nesting | WireError::Size => problem(Code::MalformedModel, e.to_string()),
    })?;
    Ok(ModelProto::parse_from_bytes(bytes).map_err(|e| incomplete(&e))?)
}

/// Reads a model.
///
/// # Errors
/// Not an ONNX file; a damaged one; operators, types or dynamic shapes that are not supported.
/// All problems of one phase are reported together.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Graph, Diagnostics> {
    let file = Origin { file: options.file.clone(), ..Origin::default() };
    let mut model = open(bytes, &file)?;
    external::embed(&mut model, &options.external, &file)?;
    let malformed = |m: &str| Diagnostic::new(Code::MalformedModel, file.clone(), m);
    let graph = model.graph.as_ref().ok_or_else(|| malformed("the model has no graph"))?;
    if graph.node.len() > MAX_NODES {
        return Err(malformed(&format!("more than {MAX_NODES} nodes")).into());
    }
    let opset = opset(&model, graph, &file)?;
    let outside = options.external.values().flatten().map(|file| file.len());
    let size = outside.fold(bytes.len(), usize::saturating_add);
    let mut reader = Reader {
        options,
        functions: Functions::of(&model),
        opset,
        graph: Graph::new(),
        named: BTreeSet::new(),
        shared: BTreeMap::new(),
        budget: size.saturating_mul(FOLDED_PER_BYTE).saturating_add(MAX_FOLDED_BYTES),
        memo: Memo::default(),
        wide: BTreeMap::new(),
        has_suppression: false,
        nodes_left: MAX_NODES,
        unrolled_left: MAX_UNROLLED,
        problems: Diagnostics::default(),
    };
    reader.run(graph, file)?;
    reader.graph.remove_dead();
    crate::graph::verify::verify(&reader.graph)?;
    Ok(reader.graph)
}

/// The version of the default domain in a list of imports.
pub(super) fn default_opset(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|o| is_default(&o.domain)).map(|o| o.version)
}

/// Whether a domain is that of the standard's operators.
pub(super) fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// Version of the default domain. A model without nodes of that domain need not name it.
fn opset(model: &ModelProto, graph: &GraphProto, file: &Origin) -> Result<i64, Diagnostics> {
    let error = |code, message: String| Diagnostic::new(code, file.clone(), message);
    let found = default_opset(&model.opset_import)
        .or_else(|| {
            let is_other = |n: &NodeProto| !is_default(&n.domain);
            (!graph.node.is_empty() && graph.node.iter().all(is_other)).then_some(*OPSETS.end())
        })
        .ok_or_else(|| error(Code::MalformedModel, "the model names no opset".into()))?;
    if OPSETS.contains(&found) {
        return Ok(found);
    }
    Err(error(Code::MalformedModel, unknown_opset(found))
        .help("convert the model with onnx.version_converter")
        .into())
}

pub(super) fn unknown_opset(found: i64) -> String {
    format!("opset {found} is not supported, only {} to {}", OPSETS.start(), OPSETS.end())
}

/// Why a node has no results.
#[derive(Debug)]
pub enum Refusal {
    /// What is wrong with it.
    Error(OpError),
    /// Problems inside of it, which were reported.
    Reported,
}

impl From<OpError> for Refusal {
    fn from(error: OpError) -> Self {
        Refusal::Error(error)
    }
}

/// The values of a node's outputs, in order.
pub(super) type Results = Result<Vec<ValueId>, Refusal>;

/// A node of the file with what is known about it.
#[derive(Debug)]
pub(super) struct Site<'s> {
    pub scope: &'s Scope<'s>,
    pub node: &'s NodeProto,
    pub origin: Origin,
    pub operands: Vec<Option<ValueId>>,
}

/// What is shared by all graphs of the model while they are read.
pub(super) struct Reader<'a> {
    pub options: &'a ReadOptions,
    pub functions: Functions<'a>,
    /// Version of the default domain in the main graph.
    pub opset: i64,
    pub graph: Graph,
    /// Values that have a name: it stays when another name is given to them.
    named: BTreeSet<ValueId>,
    /// Constants by the address of their message: a loop's body has them once, not per iteration.
    shared: BTreeMap<usize, ValueId>,
    /// Bytes that constants computed while reading may still take.
    budget: usize,
    memo: Memo,
    /// float32 values behind narrowed ones.
    wide: BTreeMap<ValueId, ValueId>,
    /// Whether a NonMaxSuppression was read.
    has_suppression: bool,
    nodes_left: usize,
    unrolled_left: usize,
    pub problems: Diagnostics,
}

impl Reader<'_> {
    fn run(&mut self, proto: &GraphProto, file: Origin) -> Result<(), Diagnostics> {
        let mut scope = Scope::top(file, self.opset);
        self.refuse_unknown_operators(proto, &scope)?;
        self.read_initializers(proto, &mut scope);
        self.take_problems()?;
        inputs::read(self, proto, &mut scope);
        self.take_problems()?;
        self.read_nodes(proto, &order::sorted(&proto.node), &mut scope);
        self.take_problems()?;
        if self.options.nms_rows.is_some() && !self.has_suppression {
            self.problems.push(crate::format::no_suppression(scope.origin().clone()));
        }
        self.read_outputs(proto, &scope);
        self.take_problems()
    }

    fn take_problems(&mut self) -> Result<(), Diagnostics> {
        std::mem::take(&mut self.problems).merged().into_result(())
    }

    pub fn problem(&mut self, code: Code, origin: Origin, message: impl Into<String>) {
        self.problems.push(Diagnostic::new(code, origin, message));
    }

    /// First of all, so that a user sees every missing operator of the main graph at once.
    fn refuse_unknown_operators(
        &mut self,
        proto: &GraphProto,
        scope: &Scope<'_>,
    ) -> Result<(), Diagnostics> {
        for (index, node) in proto.node.iter().enumerate() {
            if !self.functions.knows(node) && !is_known(&operator_name(node), scope.opset) {
                let problem = unknown(node, scope.opset).into_diagnostic(scope.place(index, node));
                self.problems.push(problem);
            }
        }
        self.take_problems()
    }

    /// The constants of a graph. Those of a body are read once, however often the body is.
    fn read_initializers<'s>(&mut self, proto: &'s GraphProto, scope: &mut Scope<'s>) {
        if !proto.sparse_initializer.is_empty() {
            let message = "sparse initializers are not supported";
            self.problem(Code::UnsupportedType, scope.origin().clone(), message);
        }
        for tensor in &proto.initializer {
            let origin = scope.tensor(&tensor.name);
            let address = std::ptr::from_ref(tensor).addr();
            let value = match self.shared.get(&address) {
                Some(&value) => Ok(value),
                None => tensor::read(tensor).map(|t| self.constant(&tensor.name, t, &origin)),
            };
            match value {
                Err(error) => self.problems.push(tensor_problem(error, origin)),
                Ok(value) => {
                    self.shared.insert(address, value);
                    self.define(scope, &tensor.name, value, origin);
                }
            }
        }
    }

    /// A constant of the file.
    pub fn constant(&mut self, name: &str, tensor: Tensor, origin: &Origin) -> ValueId {
        let value = Value { name: name.to_string(), ty: tensor.ty(), quant: None };
        let op = Constant { tensor: Arc::new(tensor) };
        self.graph.add(op.into(), vec![value], origin.clone()).result(0)
    }

    /// Names a value; in one graph a name stands for one value only.
    pub fn define<'s>(
        &mut self,
        scope: &mut Scope<'s>,
        name: &'s str,
        value: ValueId,
        origin: Origin,
    ) {
        self.named.insert(value);
        if !scope.set(name, Entry::Value(value)) {
            let message = format!("the name \"{name}\" is defined twice");
            self.problem(Code::MalformedModel, origin, message);
        }
    }

    fn read_nodes<'s>(&mut self, proto: &'s GraphProto, order: &[usize], scope: &mut Scope<'s>) {
        for &index in order {
            if let Some(node) = proto.node.get(index) {
                self.read_node(scope, index, node);
            }
        }
    }

    /// Reads one node and names its results.
    pub fn read_node<'s>(&mut self, scope: &mut Scope<'s>, index: usize, node: &'s NodeProto) {
        let origin = scope.place(index, node);
        let mut operands = Vec::with_capacity(node.input.len());
        for name in &node.input {
            match (name.is_empty(), scope.get(name)) {
                (true, _) | (false, Some(Entry::Absent)) => operands.push(None),
                (false, Some(Entry::Value(value))) => operands.push(Some(value)),
                (false, Some(Entry::Refused)) => return refuse(scope, node),
                (false, None) => {
                    let message =
                        format!("tensor \"{name}\" is defined nowhere, or only after this node");
                    self.problem(Code::MalformedModel, origin, message);
                    return refuse(scope, node);
                }
            }
        }
        let site = Site { scope, node, origin: origin.clone(), operands };
        match self.results(&site) {
            Err(refusal) => {
                if let Refusal::Error(error) = refusal {
                    self.problems.push(error.into_diagnostic(origin));
                }
                refuse(scope, node);
            }
            Ok(results) => self.name_results(scope, node, &results, &origin),
        }
    }

    fn results(&mut self, site: &Site<'_>) -> Results {
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or_else(|| {
            OpError::unsupported(format!("with its functions the model has over {MAX_NODES} nodes"))
        })?;
        if site.scope.is_unrolled {
            self.unroll(1)?;
        }
        if let Some(function) = self.functions.find(site.node) {
            return function.inline(self, site);
        }
        let operator = operator_name(site.node);
        if let Some(read) = flow::find(&operator, site.scope.opset) {
            return read(self, site);
        }
        if operator == "Constant" && site.scope.depth > 0 {
            return self.shared_constant(site);
        }
        Ok(self.apply(site, &operator, site.operands.clone(), site.node.output.len())?)
    }

    /// Nodes for one operator of the standard.
    ///
    /// # Errors
    /// There is no reader, or it refuses.
    pub fn apply(
        &mut self,
        site: &Site<'_>,
        operator: &str,
        operands: Vec<Option<ValueId>>,
        outputs: usize,
    ) -> Result<Vec<ValueId>, OpError> {
        let opset = site.scope.opset;
        let read = find(operator, opset).ok_or_else(|| unknown(site.node, opset))?;
        self.has_suppression |= operator == "NonMaxSuppression";
        let nms_rows = self.options.nms_rows;
        let mut builder = self.builder(site);
        let mut operands = operands;
        if !takes_quantized(operator) {
            // To it they are plain integers: their quantization is that of other readers.
            for operand in operands.iter_mut().flatten() {
                *operand = builder.plain(*operand)?;
            }
        }
        let attributes = site.scope.attributes(site.node);
        read(&mut Context { attributes, opset, operands, outputs, nms_rows, build: builder })
    }

    /// What adds nodes that stand for one node of the file.
    pub fn builder(&mut self, site: &Site<'_>) -> Builder<'_> {
        Builder {
            graph: &mut self.graph,
            origin: site.origin.clone(),
            name: site.node.output.iter().find(|n| !n.is_empty()).cloned().unwrap_or_default(),
            budget: &mut self.budget,
            memo: &mut self.memo,
            wide: &mut self.wide,
        }
    }

    /// A Constant of a body or function: one for all times it is read, unless it depends on the
    /// function's attributes.
    fn shared_constant(&mut self, site: &Site<'_>) -> Results {
        let address = std::ptr::from_ref(site.node).addr();
        let depends = site.node.attribute.iter().any(|a| !a.ref_attr_name.is_empty());
        if let Some(&value) = self.shared.get(&address).filter(|_| !depends) {
            return Ok(vec![value]);
        }
        let results = self.apply(site, "Constant", Vec::new(), 1)?;
        if let ([value], false) = (results.as_slice(), depends) {
            self.shared.insert(address, *value);
        }
        if let Some(value) = results.first().filter(|_| depends) {
            let bytes = self.graph.value(*value).map_or(0, |v| v.ty.bytes());
            self.budget = self.budget.checked_sub(bytes).ok_or_else(|| {
                OpError::unsupported("the constants of the model's functions grow too large")
            })?;
        }
        Ok(results)
    }

    fn name_results<'s>(
        &mut self,
        scope: &mut Scope<'s>,
        node: &'s NodeProto,
        results: &[ValueId],
        origin: &Origin,
    ) {
        for (i, name) in node.output.iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            let Some(&value) = results.get(i) else {
                scope.set(name, Entry::Refused);
                let message = format!("its output {i} (\"{name}\") is not supported");
                self.problem(Code::UnsupportedOperator, origin.clone(), message);
                continue;
            };
            let is_new = !self.named.contains(&value);
            if let Some(v) = self.graph.value_mut(value).filter(|_| is_new) {
                v.name.clone_from(name);
            }
            self.define(scope, name, value, origin.clone());
        }
    }

    fn read_outputs(&mut self, proto: &GraphProto, scope: &Scope<'_>) {
        let mut outputs = Vec::new();
        for output in &proto.output {
            match scope.get(&output.name) {
                Some(Entry::Value(value)) => outputs.push(value),
                Some(Entry::Absent | Entry::Refused) | None => {
                    let message = format!("output \"{}\" is computed by no node", output.name);
                    self.problem(Code::MalformedModel, scope.origin().clone(), message);
                }
            }
        }
        if outputs.is_empty() && self.problems.0.is_empty() {
            let message = "the model has no outputs";
            self.problem(Code::MalformedModel, scope.origin().clone(), message);
        }
        self.graph.set_outputs(outputs);
    }

    /// Reads a graph that is an attribute of a node: the values of its outputs.
    ///
    /// # Errors
    /// It is nested too deeply, has other inputs than `inputs`, or its nodes cannot be read.
    pub fn body(
        &mut self,
        site: &Site<'_>,
        part: &'static str,
        body: &Body<'_>,
        inputs: &[ValueId],
    ) -> Results {
        let mut scope = Scope::inside(site.scope, site.origin.clone(), part);
        check_depth(scope.depth)?;
        let before = self.problems.0.len();
        self.read_initializers(body.graph, &mut scope);
        if body.graph.input.len() != inputs.len() {
            let (have, want) = (body.graph.input.len(), inputs.len());
            let message = format!("its {part} has {have} inputs, {want} are given");
            return Err(OpError::invalid(message).into());
        }
        for (input, &value) in body.graph.input.iter().zip(inputs) {
            if !scope.set(&input.name, Entry::Value(value)) {
                let message = format!("the name \"{}\" is defined twice", input.name);
                return Err(OpError::invalid(message).into());
            }
        }
        self.read_nodes(body.graph, &body.order, &mut scope);
        let names = body.graph.output.iter().map(|o| o.name.as_str());
        self.results_of(&scope, names, before)
    }

    /// The values of some names, unless problems were reported since there were `before`.
    pub fn results_of<'n>(
        &self,
        scope: &Scope<'_>,
        names: impl Iterator<Item = &'n str>,
        before: usize,
    ) -> Results {
        let mut results = Vec::new();
        for name in names {
            match scope.get(name) {
                Some(Entry::Value(value)) => results.push(value),
                Some(Entry::Refused) => return Err(Refusal::Reported),
                Some(Entry::Absent) | None => {
                    let message = format!("its output \"{name}\" is computed by no node");
                    return Err(OpError::invalid(message).into());
                }
            }
        }
        if self.problems.0.len() > before { Err(Refusal::Reported) } else { Ok(results) }
    }

    /// Takes nodes from what may be unrolled.
    fn unroll(&mut self, nodes: usize) -> Result<(), OpError> {
        self.check_unrolled(nodes)?;
        self.unrolled_left = self.unrolled_left.saturating_sub(nodes);
        Ok(())
    }

    /// Whether one more iteration of a body of so many nodes may be read.
    ///
    /// # Errors
    /// It may not.
    pub fn iteration(&mut self, nodes: usize) -> Result<(), OpError> {
        self.check_unrolled(nodes)?;
        // Bodies without nodes must come to an end, too.
        self.unroll(1)
    }

    fn check_unrolled(&self, nodes: usize) -> Result<(), OpError> {
        if nodes <= self.unrolled_left {
            return Ok(());
        }
        let message = format!("unrolled, the loops of the model have over {MAX_UNROLLED} nodes");
        Err(OpError::unsupported(message).help(
            "export the model with fewer iterations, for example a shorter sequence per call",
        ))
    }
}

/// A graph inside of a node, and the order in which its nodes can be read.
pub(super) struct Body<'s> {
    pub graph: &'s GraphProto,
    order: Vec<usize>,
}

impl<'s> Body<'s> {
    pub fn of(graph: &'s GraphProto) -> Self {
        Self { graph, order: order::sorted(&graph.node) }
    }
}

/// # Errors
/// Graphs or calls are nested too deeply.
pub(super) fn check_depth(depth: usize) -> Result<(), OpError> {
    if depth <= MAX_DEPTH {
        return Ok(());
    }
    let message = format!(
        "graphs and functions are nested more than {MAX_DEPTH} deep, or a function calls itself"
    );
    Err(OpError::unsupported(message))
}

fn refuse<'s>(scope: &mut Scope<'s>, node: &'s NodeProto) {
    for name in node.output.iter().filter(|n| !n.is_empty()) {
        scope.set(name, Entry::Refused);
    }
}

/// Whether there is a reader of that name in an opset.
pub(super) fn is_known(operator: &str, opset: i64) -> bool {
    find(operator, opset).is_some() || flow::find(operator, opset).is_some()
}

fn unknown(node: &NodeProto, opset: i64) -> OpError {
    let name = operator_name(node);
    let message = match name.contains("::") {
        true => format!("operator {name} is not supported"),
        false => format!("operator {name} of opset {opset} is not supported"),
    };
    let error = OpError::unsupported(message);
    OpError { code: Code::UnknownOperator, ..error }
        .help("`tinycc ops` lists the supported operators")
}

/// Operators that move int8 elements, or say themselves what they stand for.
fn takes_quantized(operator: &str) -> bool {
    let name = operator.rsplit("::").next().unwrap_or(operator);
    let moves = [
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MaxPool",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ];
    name == "DequantizeLinear"
        || name.starts_with("QLinear")
        || name == "QGemm"
        || moves.contains(&name)
}

/// An error about a tensor of the file, not about an operator.
pub(super) fn tensor_problem(error: OpError, origin: Origin) -> Diagnostic {
    let mut problem = error.into_diagnostic(origin);
    let is_sound = problem.code == Code::UnsupportedOperator;
    problem.code = if is_sound { Code::UnsupportedType } else { Code::MalformedModel };
    problem
}

/// `Conv`, or `com.microsoft::Gelu` outside of the default domain.
pub(super) fn operator_name(node: &NodeProto) -> String {
    match node.domain.as_str() {
        domain if is_default(domain) => node.op_type.clone(),
        domain => format!("{domain}::{}", node.op_type),
    }
}
