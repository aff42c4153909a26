//! The order of dimensions at a model's inputs and outputs: another one than the file's costs a
//! transpose per port, which the pass `layout` cancels against those inside.

use crate::graph::{Graph, Value, ValueId};
use crate::op::{Input, Op, Transpose};
use crate::tensor::{Shape, TensorType};

/// Where the channels of an image or signal stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[n, c, h, w]`, and `[n, c, w]`: ONNX.
    ChannelsFirst,
    /// `[n, h, w, c]`, and `[n, w, c]`: TensorFlow Lite.
    ChannelsLast,
}

/// Moves the channels of all inputs and outputs of three to five dimensions from where the file has
/// them to where the caller wants them.
pub(super) fn apply(graph: &mut Graph, file: Layout, wanted: Layout) {
    if file == wanted {
        return;
    }
    for id in graph.inputs().to_vec() {
        input(graph, id.result(0), wanted);
    }
    for (index, value) in graph.outputs().to_vec().into_iter().enumerate() {
        let moved = output(graph, value, wanted);
        graph.set_output(index, moved);
    }
}

/// Whether a value has a layout at all.
fn has_channels(value: &Value) -> bool {
    (3..=5).contains(&value.ty.shape.rank())
        && value.quant.as_ref().is_none_or(|q| q.axis.is_none())
}

/// The permutation that moves the channels of `rank` dimensions to where `to` has them.
fn permutation(rank: usize, to: Layout) -> Vec<usize> {
    let last = rank.saturating_sub(1);
    match to {
        Layout::ChannelsFirst => [0, last].into_iter().chain(1..last).collect(),
        Layout::ChannelsLast => [0].into_iter().chain(2..rank).chain([1]).collect(),
    }
}

fn opposite(layout: Layout) -> Layout {
    match layout {
        Layout::ChannelsFirst => Layout::ChannelsLast,
        Layout::ChannelsLast => Layout::ChannelsFirst,
    }
}

fn permuted(ty: &TensorType, permutation: &[usize]) -> TensorType {
    let dims = permutation.iter().filter_map(|&i| ty.shape.0.get(i).copied()).collect();
    TensorType::new(ty.dtype, Shape(dims))
}

/// The input takes the wanted order; its readers get the file's.
fn input(graph: &mut Graph, value: ValueId, wanted: Layout) {
    let Some(old) = graph.value(value).filter(|v| has_channels(v)).cloned() else { return };
    let rank = old.ty.shape.rank();
    let ty = permuted(&old.ty, &permutation(rank, wanted));
    let users = graph.users(value);
    let Some(node) = graph.get_mut(value.node) else { return };
    let origin = node.origin.clone();
    node.op = Op::from(Input { ty: ty.clone() });
    if let Some(result) = node.results.first_mut() {
        result.ty = ty;
    }
    let back = Transpose { permutation: permutation(rank, opposite(wanted)) };
    let back = graph.add_with(back.into(), &[value], vec![old], origin).result(0);
    for (user, operand) in users {
        graph.connect(back, user, operand);
    }
    graph.replace_output(value, back);
}

fn output(graph: &mut Graph, value: ValueId, wanted: Layout) -> ValueId {
    let Some(old) = graph.value(value).filter(|v| has_channels(v)).cloned() else { return value };
    let permutation = permutation(old.ty.shape.rank(), wanted);
    let ty = permuted(&old.ty, &permutation);
    let origin = graph.get(value.node).map(|n| n.origin.clone()).unwrap_or_default();
    let op = Transpose { permutation };
    graph.add_with(op.into(), &[value], vec![Value { ty, ..old }], origin).result(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Origin;
    use crate::op::Neg;
    use crate::tensor::{DType, Tensor, TensorData};

    /// -x of `[1, 2, 3, 4]`, with an input that has no channels beside it.
    fn net() -> Graph {
        let mut graph = Graph::new();
        let mut add = |dims: &[usize]| {
            let ty = TensorType::new(DType::F32, dims.into());
            let value = Value { name: "x".into(), ty: ty.clone(), quant: None };
            graph.add(Input { ty }.into(), vec![value], Origin::default()).result(0)
        };
        let (x, flat) = (add(&[1, 2, 3, 4]), add(&[5]));
        let value = graph.value(x).expect("added").clone();
        let y = graph.add_with(Neg.into(), &[x], vec![value], Origin::default()).result(0);
        graph.set_outputs(vec![y, flat, x]);
        graph
    }

    #[test]
    fn ports_are_permuted_and_the_rest_is_the_same() {
        let mut graph = net();
        let floats = |n: usize| TensorData::F32((0..n).map(|i| i as f32).collect());
        let tensor =
            |dims: &[usize]| Tensor { shape: dims.into(), data: floats(dims.iter().product()) };
        let before =
            crate::evaluate::run(&graph, &[tensor(&[1, 2, 3, 4]), tensor(&[5])]).expect("runs");
        apply(&mut graph, Layout::ChannelsFirst, Layout::ChannelsLast);
        crate::graph::verify::verify(&graph).expect("valid");
        let last = {
            let data = floats(24);
            let order: Vec<usize> = (0..12).flat_map(|p| [p, 12 + p]).collect();
            Tensor { shape: [1, 3, 4, 2].as_slice().into(), data: data.gather(&order) }
        };
        let after = crate::evaluate::run(&graph, &[last.clone(), tensor(&[5])]).expect("runs");
        assert_eq!(after[0].shape.0, [1, 3, 4, 2]);
        let order: Vec<usize> = (0..12).flat_map(|p| [p, 12 + p]).collect();
        assert_eq!(after[0].data, before[0].data.gather(&order));
        assert_eq!((&after[1], &after[2]), (&before[1], &last));
        let mut same = net();
        apply(&mut same, Layout::ChannelsLast, Layout::ChannelsLast);
        assert_eq!(same.nodes().len(), 3);
    }

    #[test]
    fn permutations_are_inverse() {
        assert_eq!(permutation(4, Layout::ChannelsLast), [0, 2, 3, 1]);
        assert_eq!(permutation(4, Layout::ChannelsFirst), [0, 3, 1, 2]);
        assert_eq!(permutation(3, Layout::ChannelsLast), [0, 2, 1]);
        assert_eq!(permutation(5, Layout::ChannelsFirst), [0, 4, 1, 2, 3]);
    }
}
