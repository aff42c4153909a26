//! Readers of layers with weights.

use super::{OpContext, Reading, activation, extent, padding};
use crate::geometry::Padding;
use crate::numeric::Activation;
use crate::op::{BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, OpError, TransposeConv};

pub(super) fn conv_2d(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_conv_2_doptions())?;
    let op = Conv2d {
        stride: (extent(o.stride_h(), "stride")?, extent(o.stride_w(), "stride")?),
        dilation: (
            extent(o.dilation_h_factor(), "dilation")?,
            extent(o.dilation_w_factor(), "dilation")?,
        ),
        padding: padding(o.padding())?,
        activation: activation(o.fused_activation_function())?,
    };
    c.operand(1)?;
    Ok(Reading { op: op.into(), operands: c.data_from(0) })
}

pub(super) fn depthwise_conv_2d(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_depthwise_conv_2_doptions())?;
    // The channel multiplier follows from the shapes; TFLM ignores the option as well.
    let op = DepthwiseConv2d {
        stride: (extent(o.stride_h(), "stride")?, extent(o.stride_w(), "stride")?),
        dilation: (
            extent(o.dilation_h_factor(), "dilation")?,
            extent(o.dilation_w_factor(), "dilation")?,
        ),
        padding: padding(o.padding())?,
        activation: activation(o.fused_activation_function())?,
    };
    c.operand(1)?;
    Ok(Reading { op: op.into(), operands: c.data_from(0) })
}

pub(super) fn fully_connected(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_fully_connected_options())?;
    if o.weights_format() != super::fb::FullyConnectedOptionsWeightsFormat::DEFAULT {
        return Err(OpError::unsupported("shuffled weights are not supported"));
    }
    let op = FullyConnected {
        activation: activation(o.fused_activation_function())?,
        keep_dims: o.keep_num_dims(),
    };
    c.operand(1)?;
    Ok(Reading { op: op.into(), operands: c.data_from(0) })
}

/// Operands in the file: output shape, weights, input, optional bias.
pub(super) fn transpose_conv(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_transpose_conv_options())?;
    let (weights, input) = (c.operand(1)?.value, c.operand(2)?.value);
    let shape = match c.operands.first().and_then(Option::as_ref) {
        Some(shape) if shape.constant.is_some() => c.constant_ints(0)?,
        _not_constant => {
            let result = c.results.first().ok_or_else(|| OpError::invalid("it has no result"))?;
            result.shape.0.iter().map(|&d| d as i64).collect()
        }
    };
    let height_width = match shape.as_slice() {
        &[_, h, w, _] => usize::try_from(h).ok().zip(usize::try_from(w).ok()),
        _other_rank => None,
    };
    let op = TransposeConv {
        stride: (extent(o.stride_h(), "stride")?, extent(o.stride_w(), "stride")?),
        padding: padding(o.padding())?,
        activation: activation(o.fused_activation_function())?,
        output: height_width.ok_or_else(|| {
            OpError::invalid(format!("output shape {shape:?} is not that of an image batch"))
        })?,
    };
    let mut operands = vec![input, weights];
    operands.extend(c.data_from(3));
    Ok(Reading { op: op.into(), operands })
}

/// MediaPipe's custom operator. Operands: input, weights, bias; options: padding (1 is SAME, 2 VALID),
/// horizontal and vertical stride, as int32.
pub(super) fn convolution_2d_transpose_bias(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let bytes = c.op.custom_options().map(|o| o.bytes().to_vec()).unwrap_or_default();
    let (numbers, _rest) = bytes.as_chunks::<4>();
    let numbers: Vec<i32> = numbers.iter().map(|&n| i32::from_le_bytes(n)).collect();
    let &[scheme, stride_w, stride_h, ..] = numbers.as_slice() else {
        return Err(OpError::invalid("its options have fewer than three numbers"));
    };
    let stride = (extent(stride_h, "stride")?, extent(stride_w, "stride")?);
    let (x, w) = (&c.operand(0)?.ty.shape.0, &c.operand(1)?.ty.shape.0);
    let (&[_, h, width, _], &[_, kh, kw, _]) = (x.as_slice(), w.as_slice()) else {
        return Err(OpError::invalid("its input and weights should have 4 dimensions"));
    };
    let (padding, output) = match scheme {
        1 => (Padding::Same, (h.checked_mul(stride.0), width.checked_mul(stride.1))),
        2 => {
            let reach = |x: usize, stride: usize, kernel: usize| {
                x.saturating_sub(1).checked_mul(stride)?.checked_add(kernel)
            };
            (Padding::Valid, (reach(h, stride.0, kh), reach(width, stride.1, kw)))
        }
        other => return Err(OpError::invalid(format!("padding {other} is not defined"))),
    };
    let output =
        output.0.zip(output.1).ok_or_else(|| OpError::invalid("its result is too large"))?;
    let op = TransposeConv { stride, padding, activation: Activation::None, output };
    Ok(Reading { op: op.into(), operands: c.data_from(0) })
}

pub(super) fn batch_matmul(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_batch_mat_mul_options())?;
    let op = BatchMatmul { adj_x: o.adj_x(), adj_y: o.adj_y() };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value, c.operand(1)?.value] })
}
