//! Layers with constant weights: the weights become int8 again, the bias int32 in units of
//! input scale * weight scale.

use super::edit::{Quantized, accepts, constant, dequantized, integers, is_sole_use};
use crate::graph::{Graph, NodeId, Value, ValueId};
use crate::numeric::Activation;
use crate::op::{Op, QuantRule};
use crate::pass::fuse_activation::activation;
use crate::tensor::{DType, QuantParams, Tensor, TensorData, TensorType};

/// What is needed to make a float layer an integer one.
struct Layer {
    /// The float layer.
    node: NodeId,
    /// Its operator, with the activation that is to be fused.
    op: Op,
    /// Dimension of the weights that counts output channels.
    axis: usize,
    /// Bias in float, of the layer and of an addition after it.
    bias: Option<Vec<f32>>,
}

/// Fuses the layer before Quantize `id`.
pub fn fuse(graph: &mut Graph, id: NodeId) -> Option<()> {
    let float = *graph.operands(id).first()?;
    let layer = find(graph, float)?;
    let operands = graph.operands(layer.node);
    let x = dequantized(graph, *operands.first()?)?;
    let float_weights = *operands.get(1)?;
    let (weights, reach) = match dequantized(graph, float_weights) {
        Some(w) if matches!(layer.op, Op::FullyConnected(_)) => (Weights::at_run_time(&w), None),
        Some(_) => return None,
        None => {
            let (weights, reach) = Weights::read(graph, float_weights, layer.axis)?;
            (weights, Some(reach))
        }
    };
    let channels = *graph.value(float_weights)?.ty.shape.0.get(layer.axis)?;
    let bias = match &layer.bias {
        Some(b) => Some(integer_bias(b, x, &weights.quant, channels)?),
        None => None,
    };
    if let Some(reach) = reach {
        check_reach(&reach, bias.as_deref(), channels)?;
    }
    let origin = graph.get(layer.node)?.origin.clone();
    let mut ids = vec![x.value, weights.add(graph, float_weights)?];
    if let Some(bias) = bias {
        let tensor = Tensor::new([channels].as_slice().into(), TensorData::I32(bias))?;
        let name = format!("{}_bias", graph.value(float)?.name);
        let like = Value { name, ty: tensor.ty(), quant: None };
        ids.push(constant(graph, like, tensor, origin.clone()));
    }
    let value = graph.get(id)?.results.first()?.clone();
    let new = graph.add_with(layer.op, &ids, vec![value], origin);
    if !accepts(graph, new) {
        return None;
    }
    graph.replace_uses(id.result(0), new.result(0));
    Some(())
}

/// The layer that computes `float`, nobody else reading it; an addition of constants is its bias.
fn find(graph: &Graph, float: ValueId) -> Option<Layer> {
    if !is_sole_use(graph, float) {
        return None;
    }
    let node = graph.get(float.node)?;
    let operands = graph.operands(float.node);
    if let Op::Add(add) = &node.op {
        let [a, b] = operands.as_slice() else { return None };
        let (inner, offset) = if floats(graph, *b).is_some() { (*a, *b) } else { (*b, *a) };
        let shape = &graph.value(offset)?.ty.shape.0;
        let (last, result) = (*shape.last()?, *node.results.first()?.ty.shape.0.last()?);
        if floats(graph, offset)?.len() != last || result != last {
            return None;
        }
        let same = graph.value(inner)?.ty.shape == node.results.first()?.ty.shape;
        let mut layer = find(graph, inner).filter(|_| same)?;
        let activation = activation(&mut layer.op)?;
        if *activation != Activation::None {
            return None;
        }
        *activation = add.activation;
        let offset = floats(graph, offset)?;
        layer.bias = Some(match layer.bias {
            Some(b) if b.len() == offset.len() => {
                b.iter().zip(&offset).map(|(a, b)| a + b).collect()
            }
            Some(_) => return None,
            None => offset,
        });
        return Some(layer);
    }
    let QuantRule::Weights { axis } = node.op.quant_rule() else { return None };
    let bias = match operands.get(2) {
        Some(&bias) => Some(floats(graph, bias)?),
        None => None,
    };
    Some(Layer { node: float.node, op: node.op.clone(), axis, bias })
}

/// Constant floats.
fn floats(graph: &Graph, value: ValueId) -> Option<Vec<f32>> {
    let Op::Constant(c) = &graph.get(value.node)?.op else { return None };
    c.tensor.as_f32().map(<[f32]>::to_vec)
}

/// int8 weights and what to do with them.
struct Weights {
    data: Option<Vec<i8>>,
    quant: QuantParams,
    value: Option<ValueId>,
}

impl Weights {
    fn at_run_time(w: &Quantized) -> Self {
        let quant = QuantParams::per_tensor(w.scale, w.zero_point);
        Self { data: None, quant, value: Some(w.value) }
    }

    /// Symmetric where the weights allow it, which asymmetric ones often do: their zero point is
    /// subtracted here. Also the sum of magnitudes of each channel.
    fn read(graph: &Graph, float: ValueId, axis: usize) -> Option<(Self, Vec<i64>)> {
        let (data, mut quant) = integers(graph, float)?;
        let dims = &graph.value(float)?.ty.shape.0;
        if quant.scales.len() > 1 && quant.axis != Some(axis) {
            return None;
        }
        let inner: usize = dims.get(axis + 1..)?.iter().product::<usize>().max(1);
        let extent = *dims.get(axis)?;
        let of = |i: usize| i / inner % extent.max(1);
        let zero = |i: usize| *quant.zero_points.get(of(i)).unwrap_or(&quant.zero_point());
        let centred: Vec<i32> =
            data.iter().enumerate().map(|(i, &q)| q.saturating_sub(zero(i))).collect();
        let mut reach = vec![0i64; extent];
        for (i, w) in centred.iter().enumerate() {
            *reach.get_mut(of(i))? += i64::from(w.unsigned_abs());
        }
        let symmetric: Result<Vec<i8>, _> = centred.iter().map(|&w| i8::try_from(w)).collect();
        let data = match symmetric {
            Ok(data) => {
                quant.zero_points.fill(0);
                data
            }
            // One zero point for all weights is subtracted at run time.
            Err(_) if quant.scales.len() == 1 => {
                let plain: Result<Vec<i8>, _> = data.iter().map(|&w| i8::try_from(w)).collect();
                plain.ok()?
            }
            Err(_) => return None,
        };
        Some((Self { data: Some(data), quant, value: None }, reach))
    }

    fn add(self, graph: &mut Graph, float: ValueId) -> Option<ValueId> {
        let Some(data) = self.data else { return self.value };
        let mut value = graph.value(float)?.clone();
        value.quant = Some(self.quant);
        value.ty = TensorType::new(DType::I8, value.ty.shape);
        let tensor = Tensor::new(value.ty.shape.clone(), TensorData::I8(data))?;
        let origin = graph.get(float.node)?.origin.clone();
        Some(constant(graph, value, tensor, origin))
    }
}

/// Bias in units of input scale * weight scale, to the nearest.
fn integer_bias(
    bias: &[f32],
    x: Quantized,
    weights: &QuantParams,
    channels: usize,
) -> Option<Vec<i32>> {
    let one = |c: usize| {
        let b = if bias.len() == 1 { bias.first() } else { bias.get(c) };
        let unit = f64::from(x.scale) * f64::from(weights.channel_scale(c));
        let q = (f64::from(*b?) / unit).round();
        (q.abs() <= f64::from(i32::MAX)).then_some(q as i32)
    };
    (0..channels).map(one).collect()
}

/// Accumulators must fit int32 whatever the input.
fn check_reach(weights: &[i64], bias: Option<&[i32]>, channels: usize) -> Option<()> {
    let fits = |c: usize| {
        let b = bias.and_then(|b| b.get(c)).copied().unwrap_or(0);
        let reach = weights.get(c).map(|w| w.saturating_mul(255 + 128));
        reach.is_some_and(|r| r.saturating_add(i64::from(b.unsigned_abs())) <= i64::from(i32::MAX))
    };
    (0..channels).all(fits).then_some(())
}
