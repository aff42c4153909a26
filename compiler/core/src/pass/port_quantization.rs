//! What quantized inputs and outputs stand for, where the file says it only inside: ONNX has the
//! parameters at the DequantizeLinear behind an input and at the QuantizeLinear in front of an output,
//! with moves and the change from uint8 to int8 in between. Computes nothing.

use crate::graph::{Graph, NodeId, ValueId};
use crate::op::Op;
use crate::tensor::{DType, QuantParams};

/// Moves looked through on the way to a label.
const MAX_MOVES: usize = 16;

/// Gives inputs and outputs of plain bytes, and what only moves those, the parameters they have inside,
/// where everything around agrees on them. Parameters of uint8 values are those of uint8.
pub fn label_ports(graph: &mut Graph) {
    for input in graph.inputs().to_vec() {
        let Some(quant) = behind(graph, input.result(0), MAX_MOVES) else { continue };
        let mut open = vec![(input.result(0), quant)];
        while let Some((value, quant)) = open.pop() {
            let Some(known) = graph.value_mut(value).filter(|v| v.quant.is_none()) else {
                continue;
            };
            known.quant = Some(quant.clone());
            for (user, _) in graph.users(value) {
                open.push((user.result(0), through(graph, user, quant.clone())));
            }
        }
    }
    for output in graph.outputs().to_vec() {
        let Some((chain, quant)) = in_front(graph, output) else { continue };
        for value in chain {
            if let Some(known) = graph.value_mut(value) {
                known.quant = Some(quant.clone());
            }
        }
    }
}

fn is_bytes(graph: &Graph, value: ValueId) -> bool {
    graph.value(value).is_some_and(|v| matches!(v.ty.dtype, DType::I8 | DType::U8))
}

fn is_move(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Transpose(_) | Op::FlipSign(_))
}

/// What a move makes of parameters: the same number is 128 further up in uint8.
fn through(graph: &Graph, user: NodeId, quant: QuantParams) -> QuantParams {
    match graph.get(user).filter(|n| matches!(n.op, Op::FlipSign(_))) {
        Some(flip) if flip.results.iter().any(|v| v.ty.dtype == DType::U8) => quant.above(),
        Some(_) => quant.below(),
        None => quant,
    }
}

/// The parameters on which all readers of a value agree.
fn behind(graph: &Graph, value: ValueId, moves: usize) -> Option<QuantParams> {
    let known = graph.value(value).filter(|_| is_bytes(graph, value))?;
    if known.quant.is_some() || moves == 0 {
        return known.quant.clone();
    }
    let of = |user: &(NodeId, usize)| {
        let node = graph.get(user.0).filter(|n| is_move(&n.op))?;
        let quant = behind(graph, user.0.result(0), moves - 1)?;
        if !matches!(node.op, Op::FlipSign(_)) {
            return Some(quant);
        }
        Some(if known.ty.dtype == DType::U8 { quant.above() } else { quant.below() })
    };
    let labels: Vec<Option<QuantParams>> = graph.users(value).iter().map(of).collect();
    let first = labels.first()?.clone().filter(|q| q.scales.len() == 1)?;
    labels.iter().all(|l| l.as_ref() == Some(&first)).then_some(first)
}

/// The values without parameters that only moves lie between, from an output back to a quantized one, and
/// their parameters. `None` if somebody takes one of them for something else.
fn in_front(graph: &Graph, output: ValueId) -> Option<(Vec<ValueId>, QuantParams)> {
    let (mut chain, mut flips, mut value) = (Vec::new(), Vec::new(), output);
    loop {
        let known = graph.value(value).filter(|_| is_bytes(graph, value))?;
        if let Some(quant) = &known.quant {
            let quant = flips.into_iter().fold(quant.clone(), |q, flip| through(graph, flip, q));
            let per_tensor = quant.scales.len() == 1 && !chain.is_empty();
            return per_tensor.then_some((chain, quant));
        }
        let is_alone =
            graph.users(value).iter().all(|(u, _)| graph.get(*u).is_some_and(|n| is_move(&n.op)));
        let node = graph.get(value.node).filter(|n| is_alone && is_move(&n.op))?;
        // The flip changes the type: what lies in front of it keeps its own parameters.
        if let Op::FlipSign(_) = node.op {
            let before = *graph.operands(value.node).first()?;
            graph.value(before).filter(|v| v.quant.is_some())?;
            flips.push(value.node);
        }
        chain.push(value);
        value = *graph.operands(value.node).first()?;
    }
}
