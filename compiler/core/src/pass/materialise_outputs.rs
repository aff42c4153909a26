//! Gives constants that are model outputs a copy in the arena, where the caller looks for outputs.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, Value};
use crate::op::{Op, Reshape};

/// The pass.
pub const PASS: Pass = Pass {
    name: "materialise-outputs",
    about: "copy constants that are model outputs into the arena",
    run,
};

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let mut changes = 0;
    for (index, output) in graph.outputs().to_vec().into_iter().enumerate() {
        let Some(node) = graph.get(output.node) else { continue };
        let (Op::Constant(_), Some(value)) = (&node.op, graph.value(output)) else { continue };
        let (value, origin): (Value, _) = (value.clone(), node.origin.clone());
        let copy = Reshape { shape: value.ty.shape.clone() };
        let copy = graph.add_with(copy.into(), &[output], vec![value], origin).result(0);
        graph.set_output(index, copy);
        changes += 1;
    }
    Ok(changes)
}
