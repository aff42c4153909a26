//! The deterministic execution order. Memory-aware reordering would live here too; today there is
//! none.

use super::{Graph, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Kahn's algorithm with the lowest creation number first.
pub(super) fn schedule(graph: &Graph) -> Vec<NodeId> {
    let nodes = graph.nodes();
    let mut waiting: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut readers: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let mut ready = BTreeSet::new();
    for &id in &nodes {
        let operands = graph.operands(id);
        if operands.is_empty() {
            ready.insert(id);
        }
        waiting.insert(id, operands.len());
        for operand in operands {
            readers.entry(operand.node).or_default().push(id);
        }
    }
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(id) = ready.pop_first() {
        order.push(id);
        for reader in readers.get(&id).into_iter().flatten() {
            if let Some(n) = waiting.get_mut(reader) {
                *n -= 1;
                if *n == 0 {
                    ready.insert(*reader);
                }
            }
        }
    }
    order
}
