//! Normalisation: batch normalisation as one multiplication and one addition, by neighbouring
//! channels and by norms; softmax and its relatives.

use super::Context;
use super::moments::{centred, mean, per_channel};
use super::pool::{powers, root};
use crate::format::onnx::build::Builder;
use crate::geometry::Padding;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{
    ArgAttributes, ArgMax, AveragePool2d, Cast, Compare, Exp, Log, LogSoftmax, Maximum, Op,
    OpError, PoolAttributes, ReduceAttributes, Relation, Rsqrt, Softmax, Sqrt, Square, Sum,
};
use crate::tensor::{DType, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// (x - mean) / sqrt(variance + epsilon) * scale + bias, per channel.
pub fn batch_normalization(c: &mut Context<'_, '_>) -> Read {
    let trains = c.attributes.flag("training_mode", false)?;
    // Before opset 14 the outputs say so.
    if trains && c.opset >= 14 {
        return batch_statistics(c);
    }
    if trains || c.opset < 14 && c.outputs > 1 {
        return Err(OpError::unsupported("training is supported from opset 14 on only")
            .help("export the model for inference: model.eval()"));
    }
    if let Some((factor, offset)) = folded_parameters(c)? {
        let x = c.operand(0)?;
        let scaled = c.build.times(x, factor)?;
        return Ok(vec![c.build.plus(scaled, offset)?]);
    }
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let (mean, variance) = (per_channel(c, 3, &dims)?, per_channel(c, 4, &dims)?);
    let difference = c.build.minus(x, mean)?;
    Ok(vec![normalised(c, difference, variance, &dims)?])
}

/// difference / sqrt(variance + epsilon) * scale + bias.
fn normalised(
    c: &mut Context<'_, '_>,
    difference: ValueId,
    variance: ValueId,
    dims: &[usize],
) -> Made {
    let epsilon = c.attributes.float("epsilon", 1e-5)?;
    let (scale, bias) = (per_channel(c, 1, dims)?, per_channel(c, 2, dims)?);
    let variance = c.build.offset(variance, epsilon)?;
    let inverse = c.build.apply(Rsqrt, variance)?;
    let factor = c.build.times(inverse, scale)?;
    let y = c.build.times(difference, factor)?;
    c.build.plus(y, bias)
}

/// Mean and variance of the batch; further results are the old ones moved towards them.
fn batch_statistics(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let momentum = c.attributes.float("momentum", 0.9)?;
    let axes: Vec<usize> = (0..dims.len()).filter(|&i| i != 1).collect();
    let (difference, average) = centred(c, x, &axes)?;
    let squares = c.build.apply(Square, difference)?;
    let variance = mean(c, squares, &axes)?;
    let y = normalised(c, difference, variance, &dims)?;
    let mut results = vec![y];
    for (i, now) in [(3, average), (4, variance)] {
        if results.len() >= c.outputs {
            break;
        }
        let before = c.operand(i)?;
        let shape = c.build.shape(before);
        let now = c.build.reshape(now, shape)?;
        let now = c.build.scaled(now, 1.0 - momentum)?;
        let before = c.build.scaled(before, momentum)?;
        results.push(c.build.plus(before, now)?);
    }
    Ok(results)
}

/// Factor f = scale / sqrt(var + epsilon) and offset bias - mean * f of each channel, computed here in
/// double when all parameters are constant float32.
fn folded_parameters(c: &mut Context<'_, '_>) -> Result<Option<(ValueId, ValueId)>, OpError> {
    let dims = c.build.shape(c.operand(0)?);
    let channels = dims.get(1).copied().unwrap_or(0);
    let epsilon = f64::from(c.attributes.float("epsilon", 1e-5)?);
    let mut parameters = Vec::new();
    for i in 1..5 {
        let tensor = c.build.data(c.operand(i)?);
        let Some(values) = tensor.as_ref().and_then(|t| t.as_f32()) else { return Ok(None) };
        if values.len() != channels {
            let message = format!("operand {i} should hold {channels} floats");
            return Err(OpError::invalid(message));
        }
        parameters.push(values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
    }
    let mut shape = vec![1; dims.len().max(2) - 1];
    shape[0] = channels;
    let (mut factor, mut offset) = (Vec::new(), Vec::new());
    let [scale, bias, mean, variance] = parameters.as_slice() else { return Ok(None) };
    for i in 0..channels {
        let f = scale[i] / (variance[i] + epsilon).sqrt();
        factor.push(f as f32);
        offset.push((bias[i] - mean[i] * f) as f32);
    }
    let factor = c.build.tensor(shape.clone(), TensorData::F32(factor))?;
    let offset = c.build.tensor(shape, TensorData::F32(offset))?;
    Ok(Some((factor, offset)))
}

/// x / (bias + alpha * mean of the squares of `size` neighbouring channels)^beta; channels that do
/// not exist are zeros.
pub fn lrn(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let size = c.attributes.int("size")?.and_then(|s| usize::try_from(s).ok());
    let size = size.filter(|&s| s > 0 && s <= i32::MAX as usize);
    let size = size.ok_or_else(|| OpError::invalid("attribute \"size\" is not possible"))?;
    let alpha = c.attributes.float("alpha", 1e-4)?;
    let beta = c.attributes.float("beta", 0.75)?;
    let bias = c.attributes.float("bias", 1.0)?;
    let b = &mut c.build;
    if dims.len() < 2 || dims.contains(&0) {
        return Err(OpError::invalid("the input has no channels"));
    }
    let last = b.channels_last(x)?;
    let shape = b.shape(last);
    let (channels, pixels) = (dims[1], dims.iter().product::<usize>() / dims[1]);
    let squares = b.apply(Square, last)?;
    // Each pixel is a row whose columns are the channels.
    let rows = b.reshape(squares, vec![1, pixels, channels, 1])?;
    let ends = ((size - 1) / 2, (size - 1).div_ceil(2));
    let rows = b.padded(rows, &[(0, 0), (0, 0), ends, (0, 0)])?;
    let pool = PoolAttributes {
        window: (1, size),
        stride: (1, 1),
        dilation: (1, 1),
        padding: Padding::Valid,
        activation: Activation::None,
    };
    let means = b.apply(AveragePool2d(pool), rows)?;
    let means = b.reshape(means, shape)?;
    let means = b.scaled(means, alpha)?;
    let base = b.offset(means, bias)?;
    let factor = inverse_power(b, base, beta)?;
    let y = b.times(last, factor)?;
    Ok(vec![b.channels_first(y, dims.len())?])
}

/// x^-p of a positive value.
fn inverse_power(b: &mut Builder<'_>, x: ValueId, p: f32) -> Made {
    if p == 0.5 {
        return b.apply(Rsqrt, x);
    }
    if p == 0.75 {
        let half = b.apply(Rsqrt, x)?;
        let quarter = b.apply(Sqrt, half)?;
        return b.times(half, quarter);
    }
    let log = b.apply(Log, x)?;
    let log = b.scaled(log, -p)?;
    b.apply(Exp, log)
}

/// x / norm of the elements along one axis; zeros stay zeros.
pub fn lp_normalization(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-1), rank)?;
    let p = match c.attributes.int("p")?.unwrap_or(2) {
        1 => 1,
        2 => 2,
        other => return Err(OpError::invalid(format!("p = {other} is not possible: 1 or 2"))),
    };
    let b = &mut c.build;
    let powers = powers(b, x, p)?;
    let sum = b.apply(Sum(ReduceAttributes { axes: vec![axis], keep_dims: true }), powers)?;
    let norm = root(b, sum, p)?;
    // Only zeros have a norm below that.
    let least = b.number(f32::MIN_POSITIVE)?;
    let norm = b.add(Maximum, &[norm, least])?;
    Ok(vec![b.over(x, norm)?])
}

/// 1 at the largest element along an axis, the first of equal ones; 0 elsewhere.
fn one_hot(c: &mut Context<'_, '_>, x: ValueId, axis: usize) -> Made {
    let b = &mut c.build;
    let (dtype, mut dims) = (b.ty(x).dtype, b.shape(x));
    let extent = dims[axis];
    let position = b.apply(ArgMax(ArgAttributes { axis, index: DType::I32, last: false }), x)?;
    dims[axis] = 1;
    let position = b.reshape(position, dims.clone())?;
    let mut shape = vec![1; dims.len() - axis];
    shape[0] = extent;
    let numbers = TensorData::I32((0..extent).map(|i| i as i32).collect());
    let numbers = b.tensor(shape, numbers)?;
    let found = b.add(Compare { relation: Relation::Equal }, &[position, numbers])?;
    b.apply(Cast { to: dtype }, found)
}

/// Hardmax before opset 13: over all dimensions from `axis` on.
pub fn hardmax_1(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(1), dims.len())?;
    let (outer, inner) = dims.split_at(axis);
    let flat = vec![outer.iter().product(), inner.iter().product()];
    let flat = c.build.reshape(x, flat)?;
    let y = one_hot(c, flat, 1)?;
    Ok(vec![c.build.reshape(y, dims)?])
}

/// Hardmax along one axis.
pub fn hardmax_13(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-1), c.build.shape(x).len())?;
    Ok(vec![one_hot(c, x, axis)?])
}

/// Before opset 13: over all dimensions from `axis` on, taken as one.
fn flattened(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(1), dims.len())?;
    let (a, b) = dims.split_at(axis);
    let flat = c.build.reshape(x, vec![a.iter().product(), b.iter().product()])?;
    let y = c.build.apply(op, flat)?;
    Ok(vec![c.build.reshape(y, dims)?])
}

/// Along the attribute `axis`.
fn along(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let x = c.operand(0)?;
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-1), c.build.shape(x).len())?;
    Ok(vec![along_axis(&mut c.build, x, axis, op)?])
}

/// Along an axis, brought to the last place.
fn along_axis(b: &mut Builder<'_>, x: ValueId, axis: usize, op: impl Into<Op>) -> Made {
    let mut order: Vec<usize> = (0..b.shape(x).len()).collect();
    let last = order.len().saturating_sub(1);
    order.swap(axis, last);
    let x = b.transpose(x, &order)?;
    let y = b.apply(op, x)?;
    b.transpose(y, &order)
}

/// Logarithm of softmax along an axis, which must exist.
pub(super) fn log_softmax(b: &mut Builder<'_>, x: ValueId, axis: usize) -> Made {
    if axis >= b.shape(x).len() {
        return Err(OpError::invalid(format!("axis {axis} does not exist")));
    }
    along_axis(b, x, axis, LogSoftmax)
}

/// Softmax before opset 13.
pub fn softmax_1(c: &mut Context<'_, '_>) -> Read {
    flattened(c, Softmax { beta: 1.0 })
}

/// Softmax along one axis.
pub fn softmax_13(c: &mut Context<'_, '_>) -> Read {
    along(c, Softmax { beta: 1.0 })
}

/// Logarithm of softmax before opset 13.
pub fn log_softmax_1(c: &mut Context<'_, '_>) -> Read {
    flattened(c, LogSoftmax)
}

/// Logarithm of softmax along one axis.
pub fn log_softmax_13(c: &mut Context<'_, '_>) -> Read {
    along(c, LogSoftmax)
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn batch(parameters: impl Fn(Case, &[f32]) -> Case) -> Case {
        // Channel 0 holds 1 and 3, channel 1 holds 10 and 30.
        let c = case("BatchNormalization").input(&[2, 2], &[1.0, 10.0, 3.0, 30.0]);
        let c = parameters(parameters(c, &[1.0, 2.0]), &[0.5, 0.0]);
        parameters(parameters(c, &[1.0, 20.0]), &[4.0, 100.0]).float("epsilon", 0.0)
    }

    #[test]
    fn batches_with_constant_and_run_time_parameters() {
        let want = [0.5, -2.0, 1.5, 2.0];
        batch(|c, v| c.floats(&[2], v)).gives(15, &[2, 2], &want);
        batch(|c, v| c.input(&[2], v)).gives(15, &[2, 2], &want);
        batch(|c, v| c.floats(&[3], &[v[0], v[1], 0.0])).refused(15, "2 floats");
    }

    #[test]
    fn statistics_of_the_batch() {
        let c = || batch(|c, v| c.input(&[2], v)).int("training_mode", 1).float("momentum", 0.75);
        c().gives(15, &[2, 2], &[-0.5, -2.0, 1.5, 2.0]);
        c().result(1).gives(15, &[2], &[1.25, 20.0]);
        c().result(2).gives(15, &[2], &[3.25, 100.0]);
        batch(|c, v| c.floats(&[2], v)).result(1).refused(9, "opset 14");
    }

    #[test]
    fn neighbouring_channels() {
        let c = || {
            let c = case("LRN").input(&[1, 3, 1], &[1.0, 2.0, 3.0]).int("size", 2);
            c.float("alpha", 2.0).float("bias", 1.0)
        };
        // Windows reach one channel up: 1 + 4, 4 + 9, 9.
        let bases = [6.0, 14.0, 10.0];
        let want = |p: f32| [0, 1, 2].map(|i| (i + 1) as f32 / f32::powf(bases[i], p));
        for beta in [0.5, 0.75, 1.0] {
            c().float("beta", beta).gives(13, &[1, 3, 1], &want(beta));
        }
        case("LRN").input(&[1, 3, 1], &[0.0; 3]).int("size", 0).refused(13, "size");
    }

    #[test]
    fn norms_and_the_largest() {
        let c = || case("LpNormalization").input(&[2, 2], &[3.0, -4.0, 0.0, 0.0]);
        c().gives(22, &[2, 2], &[0.6, -0.8, 0.0, 0.0]);
        c().int("p", 1).gives(22, &[2, 2], &[3.0 / 7.0, -4.0 / 7.0, 0.0, 0.0]);
        c().int("axis", 0).gives(22, &[2, 2], &[1.0, -1.0, 0.0, 0.0]);
        c().int("p", 3).refused(22, "p = 3");
        let c = || case("Hardmax").input(&[2, 3], &[1.0, 5.0, 5.0, 2.0, 0.0, 1.0]);
        c().gives(13, &[2, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        c().int("axis", 0).gives(13, &[2, 3], &[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        c().int("axis", 0).gives(11, &[2, 3], &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
