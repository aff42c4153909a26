//! Replaces operators whose operands are all constant by their value.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::verify::is_data;
use crate::graph::{Graph, Value};
use crate::op::{Constant, Op};
use std::sync::Arc;

/// The pass.
pub const PASS: Pass = Pass {
    name: "fold-constants",
    about: "evaluate operators whose operands are all constant",
    run,
};

/// Results larger than this stay operators: folding must not blow up flash.
const MAX_BYTES: usize = 1 << 20;

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let mut changes = 0;
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let signature = graph.signature(id);
        let constants: Option<Vec<_>> = signature.operands.iter().map(|o| o.constant).collect();
        let Some(inputs) = constants.filter(|c| !c.is_empty() && !is_data(&node.op)) else {
            continue;
        };
        if node.results.iter().any(|v| v.ty.bytes() > MAX_BYTES) {
            continue;
        }
        let Ok(tensors) = node.op.eval(&signature, &inputs) else { continue };
        let (origin, values): (_, Vec<Value>) = (node.origin.clone(), node.results.clone());
        for (r, (tensor, value)) in tensors.into_iter().zip(values).enumerate() {
            let op = Op::from(Constant { tensor: Arc::new(tensor) });
            let constant = graph.add(op, vec![value], origin.clone());
            graph.replace_uses(id.result(r), constant.result(0));
        }
        changes += 1;
    }
    graph.remove_dead();
    Ok(changes)
}
