//! The tensor graph.
//!
//! Meaning: a node applies one operator to its operands and defines one or more values. Constants
//! and graph inputs are operators too, so there are no special cases.
//!
//! Invariants (checked by [`verify`](verify::verify) after every pass):
//! * operand numbers live on the edges and are dense: `0..n`, each defined exactly once;
//! * the graph is acyclic; outputs name existing values;
//! * every value's type equals what its operator infers; element counts fit `int32_t`;
//! * quantization parameters are finite, positive and of matching length.
//!
//! petgraph stays private. Three of its habits would break reproducible output, so: ids carry a
//! generation (it reuses indices), operands are sorted by number (it yields newest edges first),
//! and the schedule is our own (its `toposort` depends on edge history).

mod schedule;
pub mod text;
pub mod verify;

use crate::diagnostic::Origin;
use crate::op::{Constant, Op, Signature, ValueInfo};
use crate::tensor::{QuantParams, TensorType};
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;

/// Names a node; stale after the node is removed, and then never names another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Creation number: unique for the life of the graph, the tie-break of the schedule.
    serial: u32,
    index: u32,
}

/// Names one result of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId {
    /// The defining node.
    pub node: NodeId,
    /// Which of its results.
    pub result: u32,
}

/// A value: one result of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name from the source model, or derived from it; not necessarily unique.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
    /// Quantization parameters, if any.
    pub quant: Option<QuantParams>,
}

/// An operator application.
#[derive(Clone, Debug)]
pub struct Node {
    /// The operator with its attributes.
    pub op: Op,
    /// The values it defines.
    pub results: Vec<Value>,
    /// Where it came from.
    pub origin: Origin,
    serial: u32,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    result: u32,
    operand: u32,
}

/// The graph. See the module documentation for its invariants.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    dag: StableDiGraph<Node, Use>,
    inputs: Vec<NodeId>,
    outputs: Vec<ValueId>,
    output_names: Vec<String>,
    notes: Vec<String>,
    next_serial: u32,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node without operands; connect it with [`Graph::connect`].
    pub fn add(&mut self, op: Op, results: Vec<Value>, origin: Origin) -> NodeId {
        let serial = self.next_serial;
        self.next_serial += 1;
        let is_input = matches!(op, Op::Input(_));
        let index = self.dag.add_node(Node { op, results, origin, serial });
        let id = NodeId { serial, index: index.index() as u32 };
        if is_input {
            self.inputs.push(id);
        }
        id
    }

    /// Adds a node reading `operands` in that order.
    pub fn add_with(
        &mut self,
        op: Op,
        operands: &[ValueId],
        results: Vec<Value>,
        origin: Origin,
    ) -> NodeId {
        let id = self.add(op, results, origin);
        for (i, &value) in operands.iter().enumerate() {
            self.connect(value, id, i);
        }
        id
    }

    /// Makes `value` operand number `operand` of `user`, replacing what was there.
    /// Unknown ids are ignored; the verifier then reports the missing operand.
    pub fn connect(&mut self, value: ValueId, user: NodeId, operand: usize) {
        let (Some(from), Some(to)) = (self.find(value.node), self.find(user)) else { return };
        let old = self
            .dag
            .edges_directed(to, Direction::Incoming)
            .find(|e| e.weight().operand as usize == operand)
            .map(|e| e.id());
        if let Some(edge) = old {
            self.dag.remove_edge(edge);
        }
        self.dag.add_edge(from, to, Use { result: value.result, operand: operand as u32 });
    }

    fn find(&self, id: NodeId) -> Option<NodeIndex> {
        let index = NodeIndex::new(id.index as usize);
        (self.dag.node_weight(index)?.serial == id.serial).then_some(index)
    }

    /// The node, or `None` when the id is stale.
    #[must_use]
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.dag.node_weight(self.find(id)?)
    }

    /// Mutable access to a node.
    pub fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        let index = self.find(id)?;
        self.dag.node_weight_mut(index)
    }

    /// The value, or `None` when the id is stale.
    #[must_use]
    pub fn value(&self, id: ValueId) -> Option<&Value> {
        self.get(id.node)?.results.get(id.result as usize)
    }

    /// Mutable access to a value.
    pub fn value_mut(&mut self, id: ValueId) -> Option<&mut Value> {
        self.get_mut(id.node)?.results.get_mut(id.result as usize)
    }

    /// Operands in order.
    #[must_use]
    pub fn operands(&self, id: NodeId) -> Vec<ValueId> {
        let Some(index) = self.find(id) else { return Vec::new() };
        let mut uses: Vec<(u32, ValueId)> = self
            .dag
            .edges_directed(index, Direction::Incoming)
            .map(|e| {
                let serial = self.dag[e.source()].serial;
                let node = NodeId { serial, index: e.source().index() as u32 };
                (e.weight().operand, ValueId { node, result: e.weight().result })
            })
            .collect();
        uses.sort_unstable();
        uses.into_iter().map(|(_, v)| v).collect()
    }

    /// Nodes that read `value` with the operand number, by node creation order.
    #[must_use]
    pub fn users(&self, value: ValueId) -> Vec<(NodeId, usize)> {
        let Some(index) = self.find(value.node) else { return Vec::new() };
        let mut users: Vec<(NodeId, usize)> = self
            .dag
            .edges_directed(index, Direction::Outgoing)
            .filter(|e| e.weight().result == value.result)
            .map(|e| {
                let serial = self.dag[e.target()].serial;
                let node = NodeId { serial, index: e.target().index() as u32 };
                (node, e.weight().operand as usize)
            })
            .collect();
        users.sort_unstable();
        users
    }

    /// All nodes in creation order.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = self
            .dag
            .node_indices()
            .map(|i| NodeId { serial: self.dag[i].serial, index: i.index() as u32 })
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Input nodes in model order.
    #[must_use]
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// Output values in model order; a value may occur twice.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// Inputs with their names.
    pub fn named_inputs(&self) -> impl Iterator<Item = (ValueId, &str)> {
        let inputs = self.inputs.iter().map(|node| node.result(0));
        inputs.filter_map(|v| Some((v, self.value(v)?.name.as_str())))
    }

    /// Outputs with what the model calls them: passes exchange the values, the names stay.
    pub fn named_outputs(&self) -> impl Iterator<Item = (ValueId, &str)> {
        self.outputs.iter().copied().zip(self.output_names.iter().map(String::as_str))
    }

    /// Sentences about the model for the user: it can be read, but something about it is odd.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds such a sentence.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Declares the outputs; each is called by the name its value has now.
    pub fn set_outputs(&mut self, outputs: Vec<ValueId>) {
        let name = |&v: &ValueId| self.value(v).map_or_else(String::new, |v| v.name.clone());
        self.output_names = outputs.iter().map(name).collect();
        self.outputs = outputs;
    }

    /// Lets output number `index` be `value`, under the name it has.
    pub fn set_output(&mut self, index: usize, value: ValueId) {
        if let Some(output) = self.outputs.get_mut(index) {
            *output = value;
        }
    }

    /// Lets every user of `old`, and the output list, read `new` instead.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for (user, operand) in self.users(old) {
            self.connect(new, user, operand);
        }
        self.replace_output(old, new);
    }

    /// Lets outputs that are `old` be `new`, under the names they have.
    pub fn replace_output(&mut self, old: ValueId, new: ValueId) {
        for output in self.outputs.iter_mut().filter(|v| **v == old) {
            *output = new;
        }
    }

    /// Removes nodes, except inputs, that no output depends on. Returns how many.
    pub fn remove_dead(&mut self) -> usize {
        let mut live: Vec<NodeId> = self.outputs.iter().map(|v| v.node).collect();
        let mut seen: std::collections::BTreeSet<NodeId> = live.iter().copied().collect();
        while let Some(id) = live.pop() {
            for operand in self.operands(id) {
                if seen.insert(operand.node) {
                    live.push(operand.node);
                }
            }
        }
        let dead: Vec<NodeId> = self
            .nodes()
            .into_iter()
            .filter(|id| !seen.contains(id) && !self.inputs.contains(id))
            .collect();
        for &id in &dead {
            if let Some(index) = self.find(id) {
                self.dag.remove_node(index);
            }
        }
        dead.len()
    }

    /// Removes a node that nothing reads. Returns whether it is gone.
    pub fn remove_unread(&mut self, id: NodeId) -> bool {
        let Some(index) = self.find(id) else { return true };
        let is_read = self.dag.edges_directed(index, Direction::Outgoing).next().is_some();
        let is_port = self.inputs.contains(&id) || self.outputs.iter().any(|v| v.node == id);
        if !is_read && !is_port {
            self.dag.remove_node(index);
        }
        !is_read && !is_port
    }

    /// Execution order: Kahn's algorithm, ties broken by creation order. Nodes on a cycle are
    /// left out, which the verifier reports.
    #[must_use]
    pub fn schedule(&self) -> Vec<NodeId> {
        schedule::schedule(self)
    }

    /// What an operator may know about its operands and results.
    #[must_use]
    pub fn signature(&self, id: NodeId) -> Signature<'_> {
        let info = |v: ValueId| {
            let value = self.value(v)?;
            let constant = if let Op::Constant(Constant { tensor }) = &self.get(v.node)?.op {
                Some(tensor.as_ref())
            } else {
                None
            };
            Some(ValueInfo {
                name: &value.name,
                ty: &value.ty,
                quant: value.quant.as_ref(),
                constant,
            })
        };
        let results = self.get(id).map_or(0, |n| n.results.len());
        Signature {
            operands: self.operands(id).into_iter().filter_map(info).collect(),
            results: (0..results)
                .filter_map(|r| info(ValueId { node: id, result: r as u32 }))
                .collect(),
        }
    }
}

impl NodeId {
    /// The node's result number `result`.
    #[must_use]
    pub fn result(self, result: usize) -> ValueId {
        ValueId { node: self, result: result as u32 }
    }
}
