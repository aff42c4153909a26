//! Graphs inside of nodes: read in place of the node, as deep and as often as the limits allow.

use super::node::{Refusal, Results, Site};
use super::order;
use super::read::Reader;
use super::scope::{Entry, Scope};
use crate::graph::ValueId;
use crate::op::OpError;
use onnx_protobuf::GraphProto;

/// Nodes read in the bodies of loops, all iterations together.
pub(super) const MAX_UNROLLED: usize = 4096;
/// Graphs and function calls inside of one another.
const MAX_DEPTH: usize = 32;

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

impl Reader<'_> {
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
    pub fn unroll(&mut self, nodes: usize) -> Result<(), OpError> {
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
