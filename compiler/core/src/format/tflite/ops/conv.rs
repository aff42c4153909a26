//! Readers of layers with weights.

use super::{OpContext, Reading, activation, extent, padding};
use crate::op::{Conv2d, DepthwiseConv2d, FullyConnected, OpError};

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
