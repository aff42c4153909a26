//! Removes operators no output depends on, and results nobody reads of those that can do without.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, NodeId};

/// The pass.
pub const PASS: Pass =
    Pass { name: "remove-dead", about: "remove operators and results that nobody reads", run };

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let mut changes = graph.remove_dead();
    for id in graph.nodes() {
        changes += usize::from(leave_out(graph, id).is_some());
    }
    graph.remove_dead();
    Ok(changes)
}

/// Replaces a node by one without its unread results.
fn leave_out(graph: &mut Graph, id: NodeId) -> Option<()> {
    let node = graph.get(id)?;
    let is_read = |r: usize| {
        let value = id.result(r);
        !graph.users(value).is_empty() || graph.outputs().contains(&value)
    };
    let read: Vec<bool> = (0..node.results.len()).map(is_read).collect();
    let op = node.op.with_results(&read)?;
    let kept: Vec<usize> = (0..read.len()).filter(|&r| read[r]).collect();
    let results = kept.iter().map(|&r| node.results[r].clone()).collect();
    let (operands, origin) = (graph.operands(id), node.origin.clone());
    let new = graph.add_with(op, &operands, results, origin);
    for (to, from) in kept.into_iter().enumerate() {
        graph.replace_uses(id.result(from), new.result(to));
    }
    Some(())
}
