//! What a target can do with the operators of a graph, asked for all of them before anything is
//! emitted.

use std::collections::BTreeSet;
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics};
use tinycc_core::graph::verify::is_data;
use tinycc_core::graph::{Graph, NodeId};
use tinycc_core::lower::Core;
use tinycc_core::op::Op;
use tinycc_targets::{Support, Target};

/// The target's answer for every operator that does work at run time, in execution order.
/// Operators on constants only are left out: the compiler computes them itself.
#[must_use]
pub fn survey(graph: &Graph, target: &dyn Target, core: Core) -> Vec<(NodeId, Support)> {
    let mut constant: BTreeSet<NodeId> = BTreeSet::new();
    let mut answers = Vec::new();
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let operands = graph.operands(id);
        let computed = !operands.is_empty() && operands.iter().all(|v| constant.contains(&v.node));
        if matches!(node.op, Op::Constant(_)) || computed {
            constant.insert(id);
        } else if !is_data(&node.op) {
            answers.push((id, target.supports(&node.op, &graph.signature(id), core)));
        }
    }
    answers
}

/// Every operator the target cannot express, as one list of problems.
///
/// # Errors
/// One `TargetUnsupported` per such operator, with the reason.
pub fn unsupported(graph: &Graph, target: &dyn Target, core: Core) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    for (id, support) in survey(graph, target, core) {
        if let (Support::No(reason), Some(node)) = (support, graph.get(id)) {
            let message =
                format!("target {} cannot express this operator: {reason}", target.name());
            problems.push(
                Diagnostic::new(Code::TargetUnsupported, node.origin.clone(), message)
                    .help("`tinycc ops` lists what each target supports"),
            );
        }
    }
    problems.into_result(())
}
