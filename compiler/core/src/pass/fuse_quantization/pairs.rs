//! Operators without weights: sums, products, means, pooling, softmax.

use super::edit::{
    Quantized, accepts, as_int8, constant, dequantized, int8_like, is_sole_use, replace,
};
use crate::geometry::Padding;
use crate::graph::{Graph, NodeId, Value, ValueId};
use crate::numeric::Activation;
use crate::op::{
    AveragePool2d, DepthwiseConv2d, Mean, Op, PoolAttributes, Quantize, ReduceAttributes,
};
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorData, TensorType};

/// Bytes of ones that an average may take.
const MAX_ONES: usize = 16 << 10;

/// Fuses the operator before Quantize `id`.
pub fn fuse(graph: &mut Graph, id: NodeId) -> Option<()> {
    let float = *graph.operands(id).first()?;
    if !is_sole_use(graph, float) {
        return None;
    }
    let op = graph.get(float.node)?.op.clone();
    let result = graph.get(id)?.results.first()?.quant.clone()?;
    let result = (result.scale(), result.zero_point());
    if let Op::AveragePool2d(AveragePool2d(a)) = &op {
        return average_pool(graph, id, float, a, result);
    }
    if let Op::Add(_)
    | Op::Sub(_)
    | Op::Mul(_)
    | Op::SquaredDifference(_)
    | Op::PRelu(_)
    | Op::BatchMatmul(_) = op
    {
        let mut ids = Vec::new();
        for operand in graph.operands(float.node) {
            ids.push(as_int8(graph, operand)?.value);
        }
        return replace(graph, id, op, &ids, float.node);
    }
    if let Op::Mean(_) | Op::Sum(_) = op {
        let x = only_operand(graph, float)?;
        return replace(graph, id, op, &[x.value], float.node);
    }
    if let Op::ResizeBilinear(resize) = &op {
        // With the rounding that is one step.
        resize.steps_off(&graph.signature(float.node)).filter(|&steps| steps <= 0.5)?;
        let x = only_operand(graph, float)?;
        return at_own_scale(graph, id, float, op, x, result);
    }
    if let Op::Softmax(_) | Op::LogSoftmax(_) = op {
        return softmax(graph, id, float, op, result);
    }
    None
}

fn only_operand(graph: &Graph, float: ValueId) -> Option<Quantized> {
    let operands = graph.operands(float.node);
    dequantized(graph, *operands.first()?).filter(|_| operands.len() == 1)
}

/// `op` on int8 with the quantization `own` of its result, rescaled to that of Quantize.
fn through(
    graph: &mut Graph,
    id: NodeId,
    float: ValueId,
    op: Op,
    x: ValueId,
    own: (f32, i32),
    result: (f32, i32),
) -> Option<()> {
    if own == result {
        return replace(graph, id, op, &[x], float.node);
    }
    let value = int8_like(graph, float, own.0, own.1)?;
    let origin = graph.get(float.node)?.origin.clone();
    let inner = graph.add_with(op, &[x], vec![value], origin);
    if !accepts(graph, inner) {
        return None;
    }
    replace(graph, id, Quantize.into(), &[inner.result(0)], id)
}

/// An operator whose integers keep the scale of `x`, then rescaled. Rounding to a coarse scale first
/// could be off by more than a step of a finer one.
fn at_own_scale(
    graph: &mut Graph,
    id: NodeId,
    float: ValueId,
    op: Op,
    x: Quantized,
    result: (f32, i32),
) -> Option<()> {
    if x.scale > result.0 {
        return None;
    }
    through(graph, id, float, op, x.value, (x.scale, x.zero_point), result)
}

/// The integer forms have fixed results. Finer ones would lose precision by rescaling; what reaches
/// further down (a logarithm has no end) would be cut off.
fn softmax(
    graph: &mut Graph,
    id: NodeId,
    float: ValueId,
    op: Op,
    result: (f32, i32),
) -> Option<()> {
    let crate::op::QuantRule::Fixed { scale, zero_point } = op.quant_rule() else { return None };
    let lowest = |(scale, zero_point): (f32, i32)| scale * (-128 - zero_point) as f32;
    let reach = lowest((scale, zero_point)) - result.0 / 2.0;
    let endless = matches!(op, Op::LogSoftmax(_));
    // Small probabilities, rounded at 1/256 and then again, would all but vanish together.
    let is_coarse = matches!(op, Op::Softmax(_)) && result.0 > scale * 1.01;
    if result.0 < scale * 0.999 || is_coarse || (endless && lowest(result) < reach) {
        return None;
    }
    let x = only_operand(graph, float)?;
    through(graph, id, float, op, x.value, (scale, zero_point), result)
}

/// Between equal scales the mean of the integers. Otherwise, where all windows are whole, the mean over
/// everything or a convolution with ones: one rounding, not two.
fn average_pool(
    graph: &mut Graph,
    id: NodeId,
    float: ValueId,
    a: &PoolAttributes,
    result: (f32, i32),
) -> Option<()> {
    let x = only_operand(graph, float)?;
    let own = (x.scale, x.zero_point);
    let taps = a.window.0.checked_mul(a.window.1)?;
    let whole = match a.padding {
        Padding::Valid => true,
        Padding::Explicit { rows, columns } => rows == (0, 0) && columns == (0, 0),
        Padding::Same => false,
    };
    // Sums and the folded zero point stay far inside int32.
    if own == result || !whole || taps > 1 << 20 {
        return at_own_scale(graph, id, float, AveragePool2d(a.clone()).into(), x, result);
    }
    let dims = &graph.value(x.value)?.ty.shape.0;
    let (extents, channels) = (dims.get(1..3)?.to_vec(), *dims.last()?);
    if extents == [a.window.0, a.window.1] && a.activation == Activation::None {
        let op = Mean(ReduceAttributes { axes: vec![1, 2], keep_dims: true });
        return replace(graph, id, op.into(), &[x.value], float.node);
    }
    if taps.checked_mul(channels).is_none_or(|bytes| bytes > MAX_ONES) {
        return None;
    }
    let shape = Shape(vec![1, a.window.0, a.window.1, channels]);
    let ones = Tensor::new(shape.clone(), TensorData::I8(vec![1; shape.elements()]))?;
    let value = Value {
        name: format!("{}_ones", graph.value(float)?.name),
        ty: TensorType::new(DType::I8, shape),
        quant: Some(QuantParams::per_tensor(1.0 / taps as f32, 0)),
    };
    let origin = graph.get(float.node)?.origin.clone();
    let ones = constant(graph, value, ones, origin);
    let op = DepthwiseConv2d {
        stride: a.stride,
        dilation: a.dilation,
        padding: Padding::Valid,
        activation: a.activation,
    };
    replace(graph, id, op.into(), &[x.value, ones], float.node)
}
