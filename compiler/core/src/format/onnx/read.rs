//! From ONNX bytes to a graph: initializers, inputs, nodes, outputs. Every name, index and
//! size is checked. What cannot be read leaves its names without a meaning, and whoever reads those
//! is passed over: every problem is reported, and none twice.

use super::build::Memo;
use super::function::Functions;
use super::inner::MAX_UNROLLED;
use super::message::{open, opset};
use super::scope::{Entry, Scope};
use super::{external, inputs, order, outputs, tensor};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::{ReadOptions, remove_refused};
use crate::graph::{Graph, Value, ValueId};
use crate::op::{Constant, OpError};
use crate::tensor::Tensor;
use onnx_protobuf::GraphProto;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Constants computed while reading must not fill the memory: they may take this, and some times what
/// the file has.
const MAX_FOLDED_BYTES: usize = 64 << 20;
/// How many times the bytes of the file constants computed while reading may take.
const FOLDED_PER_BYTE: usize = 8;
/// Nodes in a file, and nodes read in all when functions and bodies are inlined; far more than a
/// network has.
pub(super) const MAX_NODES: usize = 100_000;

/// Reads what can be read of a model, with the problems of the rest.
///
/// # Errors
/// Not an ONNX file, or a damaged one: nothing of it can be read.
pub fn read_partly(
    bytes: &[u8],
    options: &ReadOptions,
) -> Result<(Graph, Diagnostics), Diagnostics> {
    let file = Origin { file: options.file.clone(), ..Origin::default() };
    let mut model = open(bytes, &file)?;
    let mut problems = external::embed(&mut model, &options.external, &file);
    let malformed = |m: &str| Diagnostic::new(Code::MalformedModel, file.clone(), m);
    let graph = model.graph.as_ref().ok_or_else(|| malformed("the model has no graph"))?;
    if graph.node.len() > MAX_NODES {
        return Err(malformed(&format!("more than {MAX_NODES} nodes")).into());
    }
    let opset = match opset(&model, graph, &file) {
        Ok(opset) => opset,
        Err(problem) => {
            problems.push(*problem);
            return Err(problems.merged());
        }
    };
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
        uses_nms_rows: false,
        nodes_left: MAX_NODES,
        unrolled_left: MAX_UNROLLED,
        looked_through: BTreeSet::new(),
        refused: BTreeSet::new(),
        problems,
    };
    let problems = reader.run(graph, file);
    Ok((reader.graph, problems))
}

/// What is shared by all graphs of the model while they are read.
pub(super) struct Reader<'a> {
    pub options: &'a ReadOptions,
    pub functions: Functions<'a>,
    /// Version of the default domain in the main graph.
    pub opset: i64,
    pub graph: Graph,
    /// Values that have a name: it stays when another name is given to them.
    pub named: BTreeSet<ValueId>,
    /// Constants by the address of their message: a loop's body has them once, not per iteration.
    pub shared: BTreeMap<usize, ValueId>,
    /// Bytes that constants computed while reading may still take.
    pub budget: usize,
    pub memo: Memo,
    /// float32 values behind narrowed ones.
    pub wide: BTreeMap<ValueId, ValueId>,
    /// Whether `ReadOptions::nms_rows` was of use.
    pub uses_nms_rows: bool,
    pub nodes_left: usize,
    pub unrolled_left: usize,
    /// Graphs and functions that were not read but looked through, by the address of their message.
    pub looked_through: BTreeSet<usize>,
    /// Places of nodes that were refused.
    pub refused: BTreeSet<Origin>,
    pub problems: Diagnostics,
}

impl Reader<'_> {
    fn run(&mut self, proto: &GraphProto, file: Origin) -> Diagnostics {
        let mut scope = Scope::top(file, self.opset);
        self.read_initializers(proto, &mut scope);
        inputs::read(self, proto, &mut scope);
        self.read_nodes(proto, &order::sorted(&proto.node), &mut scope);
        if self.options.nms_rows.is_some() && !self.uses_nms_rows && self.problems.0.is_empty() {
            self.problems.push(crate::format::no_suppression(scope.origin().clone()));
        }
        outputs::read(self, proto, &scope);
        remove_refused(&mut self.graph, &self.refused);
        // What is missing altogether comes first.
        self.problems.0.sort_by_key(|d| d.code != Code::UnknownOperator);
        std::mem::take(&mut self.problems).merged()
    }

    pub fn problem(&mut self, code: Code, origin: Origin, message: impl Into<String>) {
        self.problems.push(Diagnostic::new(code, origin, message));
    }

    /// The constants of a graph. Those of a body are read once, however often the body is.
    pub fn read_initializers<'s>(&mut self, proto: &'s GraphProto, scope: &mut Scope<'s>) {
        for tensor in &proto.sparse_initializer {
            let name = tensor.values.as_ref().map_or("", |values| values.name.as_str());
            let message = "sparse initializers are not supported";
            self.problem(Code::UnsupportedType, scope.tensor(name), message);
            scope.set(name, Entry::Refused);
        }
        for tensor in &proto.initializer {
            let origin = scope.tensor(&tensor.name);
            let address = std::ptr::from_ref(tensor).addr();
            let value = match self.shared.get(&address) {
                Some(&value) => Ok(value),
                None => tensor::read(tensor).map(|t| self.constant(&tensor.name, t, &origin)),
            };
            match value {
                Err(error) if error.code == Code::ExternalData => {
                    scope.set(&tensor.name, Entry::Refused);
                }
                Err(error) => {
                    self.problems.push(tensor_problem(error, origin));
                    scope.set(&tensor.name, Entry::Refused);
                }
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

    pub fn read_nodes<'s>(
        &mut self,
        proto: &'s GraphProto,
        order: &[usize],
        scope: &mut Scope<'s>,
    ) {
        for &index in order {
            if let Some(node) = proto.node.get(index) {
                self.read_node(scope, index, node);
            }
        }
    }
}

/// An error about a tensor of the file, not about an operator.
pub(super) fn tensor_problem(error: OpError, origin: Origin) -> Diagnostic {
    let mut problem = error.into_diagnostic(origin);
    let is_sound = problem.code == Code::UnsupportedOperator;
    problem.code = if is_sound { Code::UnsupportedType } else { Code::MalformedModel };
    problem
}
