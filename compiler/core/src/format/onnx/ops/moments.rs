//! Normalisations by mean and variance computed at run time, made of reductions and arithmetic.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Mean, OpError, ReduceAttributes, Rsqrt, Sqrt, Square};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

pub(super) fn mean(c: &mut Context<'_, '_>, x: ValueId, axes: &[usize]) -> Made {
    let attributes = ReduceAttributes { axes: axes.to_vec(), keep_dims: true };
    c.build.apply(Mean(attributes), x)
}

/// x - mean, and the mean.
pub(super) fn centred(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axes: &[usize],
) -> Result<(ValueId, ValueId), OpError> {
    let average = mean(c, x, axes)?;
    Ok((c.build.minus(x, average)?, average))
}

/// 1 / sqrt(mean of squares + epsilon).
fn inverse_deviation(c: &mut Context<'_, '_>, x: ValueId, axes: &[usize], epsilon: f32) -> Made {
    let squares = c.build.apply(Square, x)?;
    let variance = mean(c, squares, axes)?;
    let variance = c.build.offset(variance, epsilon)?;
    c.build.apply(Rsqrt, variance)
}

/// Over the dimensions from `axis` on; then times scale, plus bias. Results: y, mean, 1 / deviation.
pub fn layer(c: &mut Context<'_, '_>) -> Read {
    let (x, scale) = (c.operand(0)?, c.operand(1)?);
    let rank = c.build.shape(x).len();
    let first = c.axis(c.attributes.int("axis")?.unwrap_or(-1), rank)?;
    let axes: Vec<usize> = (first..rank).collect();
    let epsilon = c.attributes.float("epsilon", 1e-5)?;
    let (difference, average) = centred(c, x, &axes)?;
    let inverse = inverse_deviation(c, difference, &axes, epsilon)?;
    let mut y = c.build.times(difference, inverse)?;
    y = c.build.times(y, scale)?;
    if let Some(bias) = c.optional(2) {
        y = c.build.plus(y, bias)?;
    }
    Ok(vec![y, average, inverse])
}

/// Over the dimensions from `axis` on, without the mean; then times scale.
pub fn rms(c: &mut Context<'_, '_>) -> Read {
    let (x, scale) = (c.operand(0)?, c.operand(1)?);
    let rank = c.build.shape(x).len();
    let first = c.axis(c.attributes.int("axis")?.unwrap_or(-1), rank)?;
    let axes: Vec<usize> = (first..rank).collect();
    let epsilon = c.attributes.float("epsilon", 1e-5)?;
    let inverse = inverse_deviation(c, x, &axes, epsilon)?;
    let y = c.build.times(x, inverse)?;
    Ok(vec![c.build.times(y, scale)?])
}

/// A vector with one element per channel, as `[channels, 1, ...]`.
pub(super) fn per_channel(c: &mut Context<'_, '_>, operand: usize, dims: &[usize]) -> Made {
    let value = c.operand(operand)?;
    let channels = dims.get(1).copied().unwrap_or(0);
    if c.build.shape(value) != [channels] {
        return Err(OpError::invalid(format!(
            "operand {operand} should hold one number for each of the {channels} channels"
        )));
    }
    let mut shape = vec![1; dims.len().saturating_sub(1).max(1)];
    shape[0] = channels;
    c.build.reshape(value, shape)
}

/// Each channel of each sample by itself; then times scale, plus bias, per channel.
pub fn instance(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    if dims.len() < 3 {
        return Err(OpError::invalid("the input has no spatial dimensions"));
    }
    let axes: Vec<usize> = (2..dims.len()).collect();
    let epsilon = c.attributes.float("epsilon", 1e-5)?;
    let (scale, bias) = (per_channel(c, 1, &dims)?, per_channel(c, 2, &dims)?);
    let (difference, _) = centred(c, x, &axes)?;
    let inverse = inverse_deviation(c, difference, &axes, epsilon)?;
    let y = c.build.times(difference, inverse)?;
    let y = c.build.times(y, scale)?;
    Ok(vec![c.build.plus(y, bias)?])
}

/// Groups of channels; then times scale, plus bias, per group.
pub fn group_18(c: &mut Context<'_, '_>) -> Read {
    group(c, true)
}

/// Groups of channels; then times scale, plus bias, per channel.
pub fn group_21(c: &mut Context<'_, '_>) -> Read {
    group(c, false)
}

fn group(c: &mut Context<'_, '_>, scales_groups: bool) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let &[batch, channels, ..] = dims.as_slice() else {
        return Err(OpError::invalid("the input has no channels"));
    };
    let groups = c.attributes.int("num_groups")?.and_then(|g| usize::try_from(g).ok());
    let groups = groups
        .filter(|&g| g > 0 && channels.is_multiple_of(g))
        .ok_or_else(|| OpError::invalid("attribute \"num_groups\" does not divide the channels"))?;
    let epsilon = c.attributes.float("epsilon", 1e-5)?;
    let scaled = if scales_groups { vec![batch, groups, 1] } else { dims.clone() };
    let (scale, bias) = (per_channel(c, 1, &scaled)?, per_channel(c, 2, &scaled)?);
    let rest: usize = dims.iter().product::<usize>() / (batch * groups).max(1);
    let grouped = c.build.reshape(x, vec![batch, groups, rest])?;
    let (difference, _) = centred(c, grouped, &[2])?;
    let inverse = inverse_deviation(c, difference, &[2], epsilon)?;
    let mut y = c.build.times(difference, inverse)?;
    if !scales_groups {
        y = c.build.reshape(y, dims.clone())?;
    }
    let y = c.build.times(y, scale)?;
    let y = c.build.plus(y, bias)?;
    Ok(vec![c.build.reshape(y, dims)?])
}

/// (x - mean) / (deviation + 1e-9) over `axes`.
pub fn mean_variance(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let axes = c.axes(c.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]), rank)?;
    let (difference, _) = centred(c, x, &axes)?;
    let squares = c.build.apply(Square, difference)?;
    let variance = mean(c, squares, &axes)?;
    let deviation = c.build.apply(Sqrt, variance)?;
    let deviation = c.build.offset(deviation, 1e-9)?;
    Ok(vec![c.build.over(difference, deviation)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::case;

    /// Both rows have mean 2 and variance 1; the second times 10.
    const X: [f32; 4] = [1.0, 3.0, 10.0, 30.0];

    #[test]
    fn means_and_variances_by_hand() {
        let c = case("LayerNormalization").input(&[2, 2], &X).floats(&[2], &[1.0, 2.0]);
        let c = c.floats(&[2], &[0.5, 0.0]).float("epsilon", 0.0);
        c.gives(17, &[2, 2], &[-0.5, 2.0, -0.5, 2.0]);
        let c = case("InstanceNormalization").input(&[1, 2, 2], &X).floats(&[2], &[1.0, 2.0]);
        let c = c.floats(&[2], &[0.5, 0.0]).float("epsilon", 0.0);
        c.gives(13, &[1, 2, 2], &[-0.5, 1.5, -2.0, 2.0]);
        let c = case("GroupNormalization").input(&[1, 2, 2], &X).floats(&[2], &[1.0, 2.0]);
        let c = c.floats(&[2], &[0.5, 0.0]).float("epsilon", 0.0).int("num_groups", 2);
        c.gives(21, &[1, 2, 2], &[-0.5, 1.5, -2.0, 2.0]);
        let c = case("GroupNormalization").input(&[1, 2, 2], &X).floats(&[1], &[2.0]);
        let c = c.floats(&[1], &[0.5]).float("epsilon", 0.0).int("num_groups", 1);
        // Mean 11, variance 131.5.
        let want = X.map(|x| (x - 11.0) / 131.5f32.sqrt() * 2.0 + 0.5);
        c.gives(18, &[1, 2, 2], &want);
        let c = case("RMSNormalization").input(&[1, 2], &[3.0, 4.0]).floats(&[2], &[1.0, 2.0]);
        let root = 12.5f32.sqrt();
        c.float("epsilon", 0.0).gives(23, &[1, 2], &[3.0 / root, 8.0 / root]);
        let c = case("MeanVarianceNormalization").input(&[2, 2], &X).list("axes", &[1]);
        c.gives(13, &[2, 2], &[-1.0, 1.0, -1.0, 1.0]);
    }

    #[test]
    fn misfits_are_refused() {
        let c = case("LayerNormalization").input(&[2, 2], &X).floats(&[2], &[1.0, 2.0]);
        c.int("axis", i64::MIN).refused(17, "axis");
        let c = case("GroupNormalization").input(&[1, 2, 2], &X).floats(&[2], &[1.0, 2.0]);
        c.floats(&[2], &[0.5, 0.0]).int("num_groups", 3).refused(21, "divide");
        let c = case("InstanceNormalization").input(&[1, 2, 2], &X).floats(&[1], &[1.0]);
        c.floats(&[2], &[0.5, 0.0]).refused(13, "channels");
    }
}
