//! Readers of layers with weights.

use super::{OpContext, Reading, activation, extent, padding};
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

pub(super) fn batch_matmul(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_batch_mat_mul_options())?;
    let op = BatchMatmul { adj_x: o.adj_x(), adj_y: o.adj_y() };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value, c.operand(1)?.value] })
}
