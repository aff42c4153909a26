//! Convolutions and matrix products. Spatial operators go through channels last: a transpose before
//! and after, which the pass `layout` moves and cancels.

use super::Context;
use super::spatial::{Plane, Span, Windows};
use crate::format::onnx::build::{Builder, TO_CHANNELS_LAST};
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{Add, BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, Mul, OpError};
use crate::tensor::{Shape, Tensor, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Conv: groups of one channel are depthwise.
pub fn conv(c: &mut Context<'_, '_>) -> Read {
    let (x, w) = (c.operand(0)?, c.operand(1)?);
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let (Some(&channels), Some(kernel)) = (dims.get(1), weights.get(2..)) else {
        return Err(OpError::invalid("input or weights have too few dimensions"));
    };
    if dims.len() != weights.len() {
        return Err(OpError::invalid("input and weights have different numbers of dimensions"));
    }
    let group = groups(c, channels)?;
    if weights[1] != channels / group {
        return Err(OpError::invalid(format!(
            "the weights take {} channels, a group of the input has {}",
            weights[1],
            channels / group
        )));
    }
    let windows = Windows::read(c, &dims, Some(kernel))?;
    let bias = c.optional(2);
    Ok(vec![convolve(&mut c.build, [x, w], bias, &windows, group)?])
}

/// The attribute "group", a divisor of the channels.
///
/// # Errors
/// It does not divide them.
pub fn groups(c: &Context<'_, '_>, channels: usize) -> Result<usize, OpError> {
    let group = c.attributes.int("group")?.unwrap_or(1);
    let group = usize::try_from(group).ok().filter(|&g| g > 0 && channels.is_multiple_of(g));
    group.ok_or_else(|| OpError::invalid("the groups do not divide the channels"))
}

/// Convolution of `x` (batch, channels, spatial) with weights `[out][in / group][kernel]` over one
/// to three spatial dimensions.
///
/// # Errors
/// Operands that do not fit.
pub fn convolve(
    b: &mut Builder<'_>,
    [x, w]: [ValueId; 2],
    bias: Option<ValueId>,
    windows: &Windows,
    group: usize,
) -> Made {
    let (dims, plane) = (b.shape(x), windows.plane());
    let last = b.channels_last(x)?;
    let y = match windows.0.as_slice() {
        [depth, _, _] => in_depth(b, [last, w], bias, *depth, plane, group)?,
        _flat => flat(b, [last, w], bias, plane, group)?,
    };
    b.channels_first(y, dims.len())
}

/// Convolution of a NHWC value with weights `[out][in / group][kw]` or `[out][in / group][kh][kw]`.
fn flat(
    b: &mut Builder<'_>,
    [x, w]: [ValueId; 2],
    bias: Option<ValueId>,
    plane: Plane,
    group: usize,
) -> Made {
    let channels = b.shape(x).last().copied().unwrap_or(0);
    let (out, depth) = match b.shape(w).as_slice() {
        &[out, depth, ..] => (out, depth),
        _few => return Err(OpError::invalid("the weights have too few dimensions")),
    };
    let Plane { kernel, stride, dilation, padding } = plane;
    let activation = Activation::None;
    let w = b.reshape(w, vec![out, depth, kernel.0, kernel.1])?;
    if group > 1 && group == channels && out.is_multiple_of(channels) {
        // [out][1][kh][kw] -> [1][kh][kw][out]
        let w = b.transpose(w, &[1, 2, 3, 0])?;
        let op = DepthwiseConv2d { stride, dilation, padding, activation };
        return b.add(op, &operands(x, w, bias));
    }
    let w = b.transpose(w, &TO_CHANNELS_LAST)?;
    let op = Conv2d { stride, dilation, padding, activation };
    b.add(op, &operands(x, w, bias))
}

/// Planes of weights over three spatial dimensions: each is a convolution of its own.
const MAX_PLANES: usize = 256;

/// Three spatial dimensions: for each plane of the weights one convolution of all frames that it
/// meets, summed.
fn in_depth(
    b: &mut Builder<'_>,
    [x, w]: [ValueId; 2],
    bias: Option<ValueId>,
    depth: Span,
    plane: Plane,
    group: usize,
) -> Made {
    let frames = depth.axis()?.output;
    if depth.kernel > MAX_PLANES {
        return Err(OpError::unsupported(format!(
            "weights of {} planes are not supported, only up to {MAX_PLANES}",
            depth.kernel
        )));
    }
    let mut ends = vec![(0, 0); 5];
    ends[1] = depth.pads();
    let x = b.padded(x, &ends)?;
    let [n, _, h, width, channels] = dims5(b, x)?;
    let [out, per_group, taps, kh, kw] = dims5(b, w)?;
    let mut sum = None;
    for tap in 0..taps {
        let part = b.part(x, 1, (tap * depth.dilation, depth.stride as i64, frames))?;
        let part = b.reshape(part, vec![n * frames, h, width, channels])?;
        let weights = b.part(w, 2, (tap, 1, 1))?;
        let weights = b.reshape(weights, vec![out, per_group, kh, kw])?;
        let first = bias.filter(|_| tap == 0);
        let part = flat(b, [part, weights], first, plane, group)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => b.plus(sum, part)?,
        });
    }
    let y = sum.ok_or_else(|| OpError::invalid("the window has no taps"))?;
    match b.shape(y).as_slice() {
        &[_, h, w, c] => b.reshape(y, vec![n, frames, h, w, c]),
        _other => Err(OpError::invalid("the frames have no channels")),
    }
}

fn dims5(b: &Builder<'_>, x: ValueId) -> Result<[usize; 5], OpError> {
    <[usize; 5]>::try_from(b.shape(x))
        .map_err(|d| OpError::invalid(format!("{d:?} should have 5 dimensions")))
}

fn operands(x: ValueId, w: ValueId, bias: Option<ValueId>) -> Vec<ValueId> {
    [Some(x), Some(w), bias].into_iter().flatten().collect()
}

/// Gemm: alpha * A' B' + beta * C.
pub fn gemm(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.0)?;
    let beta = c.attributes.float("beta", 1.0)?;
    gemm_scaled(c, alpha, beta)
}

/// The same with given factors.
///
/// # Errors
/// As [`gemm`].
pub fn gemm_scaled(c: &mut Context<'_, '_>, alpha: f32, beta: f32) -> Read {
    let (mut a, mut b) = (c.operand(0)?, c.operand(1)?);
    let flag = |name: &str| c.attributes.flag(name, false);
    let (trans_a, trans_b) = (flag("transA")?, flag("transB")?);
    if c.build.shape(a).len() != 2 || c.build.shape(b).len() != 2 {
        return Err(OpError::invalid("both operands should be matrices"));
    }
    if trans_a {
        a = c.build.transpose(a, &[1, 0])?;
    }
    if alpha != 1.0 {
        let factor = c.scalar(alpha)?;
        b = c.build.add(Mul { activation: Activation::None }, &[b, factor])?;
    }
    let mut bias = c.optional(2);
    if let Some(value) = bias.filter(|_| beta != 1.0) {
        let factor = c.scalar(beta)?;
        bias = Some(c.build.add(Mul { activation: Activation::None }, &[value, factor])?);
    }
    let columns = c.build.shape(b)[usize::from(!trans_b)];
    let is_constant = c.build.data(b).is_some();
    let row = bias.and_then(|v| as_row(c, v, columns));
    if is_constant && (row.is_some() || bias.is_none()) {
        let w = if trans_b { b } else { c.build.transpose(b, &[1, 0])? };
        return Ok(vec![dense(&mut c.build, a, w, row)?]);
    }
    let y = c.build.add(BatchMatmul { adj_x: false, adj_y: trans_b }, &[a, b])?;
    match bias {
        None => Ok(vec![y]),
        Some(bias) => Ok(vec![c.build.add(Add { activation: Activation::None }, &[y, bias])?]),
    }
}

/// Rows of `x` times a matrix `[out][in]`. ONNX never flattens: the rows are as long as the matrix
/// says, which the operator checks where it keeps the dimensions.
fn dense(b: &mut Builder<'_>, x: ValueId, w: ValueId, bias: Option<ValueId>) -> Made {
    let op = FullyConnected { activation: Activation::None, keep_dims: true };
    b.add(op, &operands(x, w, bias))
}

/// A constant that is one value per column, repeated when it is a single one.
fn as_row(c: &mut Context<'_, '_>, value: ValueId, columns: usize) -> Option<ValueId> {
    let tensor = c.build.data(value)?;
    let data = match tensor.as_f32()? {
        [one] => vec![*one; columns],
        many if many.len() == columns && tensor.shape.0.last() == Some(&columns) => many.to_vec(),
        _matrix => return None,
    };
    let row = Tensor::new(Shape(vec![columns]), TensorData::F32(data))?;
    Some(c.build.constant(row))
}

/// MatMul: matrices in the last two dimensions, vectors as one row or column.
pub fn matmul(c: &mut Context<'_, '_>) -> Read {
    let (mut a, mut b) = (c.operand(0)?, c.operand(1)?);
    let (left, right) = (c.build.shape(a), c.build.shape(b));
    if left.is_empty() || right.is_empty() {
        return Err(OpError::invalid("scalars cannot be multiplied as matrices"));
    }
    if let &[n] = left.as_slice() {
        a = c.build.reshape(a, vec![1, n])?;
    }
    if let &[n] = right.as_slice() {
        b = c.build.reshape(b, vec![n, 1])?;
    }
    let is_matrix = c.build.data(b).is_some() && c.build.shape(b).len() == 2;
    let y = if is_matrix {
        let w = c.build.transpose(b, &[1, 0])?;
        dense(&mut c.build, a, w, None)?
    } else {
        c.build.add(BatchMatmul { adj_x: false, adj_y: false }, &[a, b])?
    };
    let mut dims = c.build.shape(y);
    if right.len() == 1 {
        dims.pop();
    }
    if left.len() == 1 {
        dims.remove(dims.len() - 1 - usize::from(right.len() > 1));
    }
    Ok(vec![c.build.reshape(y, dims)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// A cube of 3 with one channel: element = its number.
    fn cube() -> Case {
        let x: Vec<f32> = (0..27u8).map(f32::from).collect();
        case("Conv").input(&[1, 1, 3, 3, 3], &x)
    }

    #[test]
    fn three_dimensions_are_sums_over_planes() {
        // Corners of a cube of 2: weights 1 and 100.
        let w = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 100.0];
        let c = || cube().floats(&[1, 1, 2, 2, 2], &w).floats(&[1], &[0.5]);
        let want = [0usize, 1, 3, 4, 9, 10, 12, 13].map(|i| (i + 100 * (i + 13)) as f32 + 0.5);
        c().gives(11, &[1, 1, 2, 2, 2], &want);
        c().list("dilations", &[2, 2, 2]).gives(11, &[1, 1, 1, 1, 1], &[2600.5]);
        let padded = c().list("strides", &[2, 3, 3]).list("pads", &[1, 1, 1, 0, 0, 0]);
        // Depth starts at -1 and 1: the first window ends at element 0, the second at element 18.
        padded.gives(11, &[1, 1, 2, 1, 1], &[0.5, 1800.5]);
    }

    #[test]
    fn matrices_whose_inner_extents_differ_are_refused() {
        for op in ["Gemm", "MatMul"] {
            let x = || case(op).input(&[4, 6], &[0.0; 24]);
            x().floats(&[12, 2], &[0.0; 24]).refused(13, "shapes 4x6 and 12x2 do not fit");
            x().input(&[12, 2], &[0.0; 24]).refused(13, "do not fit");
        }
        let x = || case("Gemm").input(&[4, 6], &[0.0; 24]);
        let bias = x().floats(&[3, 2], &[0.0; 6]).floats(&[2], &[0.0; 2]);
        bias.refused(13, "shapes 4x6 and 3x2 do not fit");
        let turned = x().floats(&[2, 12], &[0.0; 24]).int("transB", 1);
        turned.refused(13, "shapes 4x6 and 12x2 do not fit");
        x().floats(&[6, 3], &[0.0; 18]).int("transA", 1).refused(13, "shapes 6x4 and 6x3 do");
        x().floats(&[6, 2], &[1.0; 12]).gives(13, &[4, 2], &[0.0; 8]);
        let quantized = case("com.microsoft::QGemm").typed(&[4, 6], 3, &[0; 24]);
        let one = |c: crate::format::onnx::testing::Case| c.floats(&[], &[0.5]).typed(&[], 3, &[0]);
        let quantized = one(quantized).typed(&[12, 2], 3, &[0; 24]);
        one(quantized).refused(13, "shapes 4x6 and 12x2 do not fit");
    }

    #[test]
    fn misfits_are_refused() {
        let w = [0.0; 8];
        cube().floats(&[1, 1, 2, 4], &w).refused(11, "different numbers");
        cube().floats(&[1, 2, 2, 2, 1], &w).refused(11, "take 2 channels");
        for op in ["Conv", "ConvTranspose"] {
            let c = case(op).input(&[1, 1, 4], &[0.0; 4]).floats(&[1, 1, 3], &[0.0; 3]);
            c.list("kernel_shape", &[2])
                .refused(11, "\"kernel_shape\" = [2], but the weights have [3]");
        }
        let c = case("Conv").input(&[1, 1, 1, 1, 1, 1], &[0.0]).floats(&[1, 1, 1, 1, 1, 1], &[0.0]);
        c.refused(11, "4 spatial dimensions");
        cube().floats(&[1, 1, 2, 2, 2], &w).list("pads", &[0; 5]).refused(11, "5 pads");
        let huge = cube().floats(&[1, 1, 2, 2, 2], &w).list("pads", &[i64::MAX, 0, 0, 0, 0, 0]);
        huge.refused(11, "give no output");
    }
}
