//! Dequantize -> operator -> Quantize becomes the operator's integer form. ONNX files say in this way
//! that a layer is quantized; after the pass the graph is what a TFLite file of the same network gives.
//!
//! Rules, applied until none applies:
//! * Dequantize sinks below operators that move or compare elements, Quantize rises above them: both
//!   exact, and it brings them next to the layers that compute.
//! * Quantize of Dequantize is nothing, or a rescaling of int8.
//! * A layer between both becomes its integer form (`layers`, `pairs`): within one step of the ONNX
//!   formula, as integer kernels round where they rescale.
//! * Functions of one quantized element become a table of the formula itself (`elementwise`): exact.
//!
//! What stays float, and why, is told by [`float_reason`].

mod edit;
mod elementwise;
mod layers;
mod pairs;
mod reason;
#[cfg(test)]
mod tests;

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, NodeId, ValueId};
use crate::op::{Dequantize, FlipSign, MaxPool2d, Op, Quantize, Reshape};
use crate::tensor::{DType, QuantParams};
use edit::{Quantized, as_int8, dequantized, is_sole_use, replace};
pub use reason::{float_reason, is_quantized};

/// The pass.
pub const PASS: Pass = Pass {
    name: "fuse-quantization",
    about: "make dequantize -> operator -> quantize the integer form of the operator",
    run,
};

/// Only what quantized values between operators that move them are: int8, and of which scale.
pub const SETTLE_MOVES: Pass = Pass {
    name: "settle-moves",
    about: "give moved bytes the type and scale of the quantized values they are",
    run: |graph| Ok(rounds(graph, settle)),
};

/// Each round moves every Quantize by one operator at least, and a Dequantize as far as it goes. A
/// network needs a few dozen; a chain made up to take long stays float.
const MAX_ROUNDS: usize = 10_000;
/// Nodes looked at in all rounds.
const MAX_VISITS: usize = 20_000_000;

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let total = rounds(graph, rewrite);
    forget_constants(graph);
    Ok(total)
}

/// Applies a rule to all nodes until it changes nothing.
fn rounds(graph: &mut Graph, rule: fn(&mut Graph, NodeId) -> Option<()>) -> usize {
    let (mut total, mut visits) = (0, 0usize);
    for _ in 0..MAX_ROUNDS {
        let mut changes = 0;
        let schedule = graph.schedule();
        visits = visits.saturating_add(schedule.len());
        for id in schedule {
            changes += usize::from(rule(graph, id).is_some());
        }
        graph.remove_dead();
        total += changes;
        if changes == 0 || visits > MAX_VISITS {
            break;
        }
    }
    total
}

/// Float constants need their quantization no longer.
fn forget_constants(graph: &mut Graph) {
    for id in graph.nodes() {
        let Some(node) = graph.get_mut(id) else { continue };
        for value in node.results.iter_mut().filter(|v| v.ty.dtype == DType::F32) {
            value.quant = None;
        }
    }
}

/// What makes moved bytes quantized values, at one node.
fn settle(graph: &mut Graph, id: NodeId) -> Option<()> {
    let op = &graph.get(id)?.op;
    if let Op::FlipSign(_) = op {
        return flip_back(graph, id);
    }
    if !moves(op) {
        return None;
    }
    // Only what was moved itself: other operators take their operands for plain integers.
    let before = graph.operands(id).first()?.node;
    let is_moved = moves(&graph.get(before)?.op) && moved_operands(graph, before).is_some();
    let labelled = if is_moved { alias(graph, id) } else { None };
    labelled.or_else(|| sink_flip(graph, id))
}

/// One rewrite at one node, `None` when there is none.
fn rewrite(graph: &mut Graph, id: NodeId) -> Option<()> {
    let op = &graph.get(id)?.op;
    if let Op::Quantize(_) = op {
        return cancel(graph, id)
            .or_else(|| join_twins(graph, id))
            .or_else(|| rise(graph, id))
            .or_else(|| elementwise::tabulate(graph, id))
            .or_else(|| layers::fuse(graph, id))
            .or_else(|| pairs::fuse(graph, id));
    }
    if let Op::FlipSign(_) = op {
        return flip_back(graph, id);
    }
    if let Op::ArgMax(_) | Op::ArgMin(_) = op {
        return position(graph, id);
    }
    if moves(op) {
        return alias(graph, id).or_else(|| sink(graph, id)).or_else(|| sink_flip(graph, id));
    }
    None
}

/// Operators whose results are elements of operand 0 (Concat and Pack: of all operands), or their
/// zero: they do the same to int8 as to what it stands for.
fn moves(op: &Op) -> bool {
    // Everything that is not listed computes. A padding value would have to be quantized.
    if let Op::MaxPool2d(MaxPool2d(a)) = op {
        return a.activation == crate::numeric::Activation::None;
    }
    matches!(
        op,
        Op::BroadcastTo(_)
            | Op::Concat(_)
            | Op::DepthToSpace(_)
            | Op::Gather(_)
            | Op::MirrorPad(_)
            | Op::Pack(_)
            | Op::Pad(_)
            | Op::ReduceMax(_)
            | Op::ReduceMin(_)
            | Op::Reshape(_)
            | Op::ResizeNearest(_)
            | Op::Slice(_)
            | Op::SpaceToDepth(_)
            | Op::Split(_)
            | Op::Tile(_)
            | Op::Transpose(_)
            | Op::Unpack(_)
    )
}

/// Which operands of a moving operator hold the elements it moves; `None` when a padding value is
/// among the others.
fn moved_operands(graph: &Graph, id: NodeId) -> Option<std::ops::Range<usize>> {
    let count = graph.operands(id).len();
    let op = &graph.get(id)?.op;
    if let Op::Concat(_) | Op::Pack(_) = op {
        return Some(0..count);
    }
    let has_value = matches!(op, Op::Pad(_)) && count > 1;
    (!has_value).then_some(0..1)
}

/// Quantize(Dequantize(x)).
fn cancel(graph: &mut Graph, id: NodeId) -> Option<()> {
    let x = dequantized(graph, *graph.operands(id).first()?)?;
    let to = graph.get(id)?.results.first()?.quant.clone()?;
    if (to.scale(), to.zero_point()) == (x.scale, x.zero_point) {
        return stand_in(graph, id, x.value);
    }
    replace(graph, id, Quantize.into(), &[x.value], id)
}

/// Two Quantize of one value to the same parameters are one.
fn join_twins(graph: &mut Graph, id: NodeId) -> Option<()> {
    let x = *graph.operands(id).first()?;
    let quant = graph.get(id)?.results.first()?.quant.clone();
    let is_twin = |&(other, _): &(NodeId, usize)| {
        other < id
            && graph.get(other).is_some_and(|n| {
                matches!(n.op, Op::Quantize(_))
                    && n.results.first().is_some_and(|v| v.quant == quant)
            })
    };
    let twin = graph.users(x).into_iter().find(is_twin)?.0;
    stand_in(graph, id, twin.result(0))
}

/// An int8 reshape to the same shape and quantization is nothing. Where all readers of a value move
/// it and agree on what its elements stand for, that is what the value stands for.
fn alias(graph: &mut Graph, id: NodeId) -> Option<()> {
    let x = *graph.operands(id).first()?;
    let (from, to) = (graph.value(x)?.clone(), graph.get(id)?.results.first()?.clone());
    if to.ty.dtype != DType::I8 || from.ty.dtype != DType::I8 {
        return None;
    }
    if from.quant == to.quant {
        let is_reshape = matches!(graph.get(id)?.op, Op::Reshape(_)) && from.ty == to.ty;
        return if is_reshape { stand_in(graph, id, x) } else { None };
    }
    let agrees = |user: NodeId| {
        graph
            .get(user)
            .is_some_and(|n| moves(&n.op) && n.results.first().is_some_and(|v| v.quant == to.quant))
    };
    if from.quant.is_some() || !graph.users(x).into_iter().all(|(user, _)| agrees(user)) {
        return None;
    }
    graph.value_mut(x)?.quant = to.quant;
    if edit::accepts(graph, x.node) {
        return Some(());
    }
    // What computes x takes its operands for plain integers.
    graph.value_mut(x)?.quant = None;
    None
}

/// int8 to uint8 and back is nothing.
fn flip_back(graph: &mut Graph, id: NodeId) -> Option<()> {
    let between = *graph.operands(id).first()?;
    let Op::FlipSign(_) = graph.get(between.node)?.op else { return None };
    let x = *graph.operands(between.node).first()?;
    let (from, to) = (graph.value(x)?.quant.clone(), graph.get(id)?.results.first()?.clone());
    if from == to.quant {
        return stand_in(graph, id, x);
    }
    replace(graph, id, Reshape { shape: to.ty.shape }.into(), &[x], id)
}

/// Moving what was made uint8: the int8 elements are moved, then made uint8. Operators that put
/// zeros between are left alone: the zeros differ.
fn sink_flip(graph: &mut Graph, id: NodeId) -> Option<()> {
    let node = graph.get(id)?;
    let (op, results, origin) = (node.op.clone(), node.results.clone(), node.origin.clone());
    if matches!(op, Op::Pad(_)) || results.iter().any(|v| v.ty.dtype != DType::U8) {
        return None;
    }
    let mut operands = graph.operands(id);
    let range = moved_operands(graph, id)?;
    let mut quant = None;
    for operand in operands.get_mut(range)? {
        let Op::FlipSign(_) = graph.get(operand.node)?.op else { return None };
        *operand = *graph.operands(operand.node).first()?;
        quant = graph.value(*operand)?.quant.clone();
    }
    if operands
        .iter()
        .any(|&v| graph.value(v).is_some_and(|v| v.ty.dtype == DType::I8 && v.quant != quant))
    {
        return None;
    }
    let mut inner = results.clone();
    for v in &mut inner {
        v.ty.dtype = DType::I8;
        v.quant.clone_from(&quant);
    }
    let moved = graph.add_with(op, &operands, inner, origin.clone());
    if !edit::accepts(graph, moved) {
        return None;
    }
    for (r, value) in results.into_iter().enumerate() {
        let op = FlipSign.into();
        let flipped = graph.add_with(op, &[moved.result(r)], vec![value], origin.clone());
        graph.replace_uses(id.result(r), flipped.result(0));
    }
    Some(())
}

/// Lets `x`, the same elements, take the place of what `id` computes. An output of the model keeps
/// its name by an alias, which needs no code.
fn stand_in(graph: &mut Graph, id: NodeId, x: ValueId) -> Option<()> {
    let result = id.result(0);
    if graph.outputs().contains(&result) {
        let node = graph.get(id)?;
        if matches!(node.op, Op::Reshape(_)) {
            return None;
        }
        let shape = node.results.first()?.ty.shape.clone();
        return replace(graph, id, Reshape { shape }.into(), &[x], id);
    }
    if graph.users(result).is_empty() {
        return None;
    }
    graph.replace_uses(result, x);
    Some(())
}

/// Moving what was dequantized: the int8 elements are moved, then dequantized.
fn sink(graph: &mut Graph, id: NodeId) -> Option<()> {
    let mut operands = graph.operands(id);
    let range = moved_operands(graph, id)?;
    if graph.get(id)?.results.iter().any(|v| v.ty.dtype != DType::F32) {
        return None;
    }
    let first = operands.get(range.clone())?.iter().find_map(|&v| dequantized(graph, v))?;
    let same = |q: &Quantized| (q.scale, q.zero_point) == (first.scale, first.zero_point);
    for i in range {
        let found = as_int8(graph, operands[i]).filter(same)?;
        operands[i] = found.value;
    }
    let node = graph.get(id)?;
    let (op, results, origin) = (node.op.clone(), node.results.clone(), node.origin.clone());
    let quant = QuantParams::per_tensor(first.scale, first.zero_point).half_even();
    let mut inner = results.clone();
    for v in &mut inner {
        v.ty.dtype = DType::I8;
        v.quant = Some(quant.clone());
    }
    let moved = graph.add_with(op, &operands, inner, origin.clone());
    if !edit::accepts(graph, moved) {
        return None;
    }
    for (r, value) in results.into_iter().enumerate() {
        let float =
            graph.add_with(Dequantize.into(), &[moved.result(r)], vec![value], origin.clone());
        graph.replace_uses(id.result(r), float.result(0));
    }
    Some(())
}

/// Quantize of moved elements: they are quantized first, when nobody else reads the floats.
fn rise(graph: &mut Graph, id: NodeId) -> Option<()> {
    let result = *graph.operands(id).first()?;
    let mover = graph.get(result.node)?;
    let ordered = matches!(mover.op, Op::Maximum(_) | Op::Minimum(_));
    if !(moves(&mover.op) || ordered) || mover.results.len() != 1 || !is_sole_use(graph, result) {
        return None;
    }
    let range = if ordered { 0..2 } else { moved_operands(graph, result.node)? };
    let mut moved = graph.operands(result.node).into_iter().skip(range.start).take(range.len());
    if !moved.all(|v| edit::stand_for_the_same(graph, v, result)) {
        return None;
    }
    let (op, origin) = (mover.op.clone(), mover.origin.clone());
    let quant = graph.get(id)?.results.first()?.quant.clone();
    let mut operands = graph.operands(result.node);
    for operand in operands.get_mut(range)? {
        *operand = quantize(graph, *operand, quant.clone(), &origin)?;
    }
    replace(graph, id, op, &operands, result.node)
}

/// A value quantized: constants at once.
fn quantize(
    graph: &mut Graph,
    x: ValueId,
    quant: Option<QuantParams>,
    origin: &crate::diagnostic::Origin,
) -> Option<ValueId> {
    let mut value = graph.value(x)?.clone();
    value.ty.dtype = DType::I8;
    value.quant = quant;
    if let Op::Constant(c) = &graph.get(x.node)?.op {
        let (params, floats) = (value.quant.as_ref()?, c.tensor.as_f32()?);
        let (scale, zero_point) = (params.scale(), params.zero_point());
        let rounding = params.rounding;
        let one = |&x: &f32| rounding.quantize_i8(x, scale, zero_point);
        let data = crate::tensor::TensorData::I8(floats.iter().map(one).collect());
        let tensor = crate::tensor::Tensor::new(c.tensor.shape.clone(), data)?;
        return Some(edit::constant(graph, value, tensor, origin.clone()));
    }
    let op = Quantize.into();
    Some(graph.add_with(op, &[x], vec![value], origin.clone()).result(0))
}

/// The position of the largest element is the same among the int8 elements.
fn position(graph: &mut Graph, id: NodeId) -> Option<()> {
    let x = dequantized(graph, *graph.operands(id).first()?)?;
    graph.connect(x.value, id, 0);
    Some(())
}
