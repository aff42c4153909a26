//! Readers of elementwise operators.

use super::{OpContext, Reading, activation};
use crate::op::{
    Add, Cast, Dequantize, Div, Logistic, Maximum, Minimum, Mul, Op, OpError, PRelu, Quantize,
    SquaredDifference, Sub,
};
use crate::tensor::DType;

pub(super) fn add(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_add_options())?;
    binary(c, Add { activation: activation(o.fused_activation_function())? })
}

/// The target type is the declared result's; TFLM does not look at the options either.
pub(super) fn cast(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let to = c.results.first().ok_or_else(|| OpError::invalid("has no output"))?.dtype;
    unary(c, Cast { to })
}

pub(super) fn dequantize(c: &OpContext<'_>) -> Result<Reading, OpError> {
    // float16 weights are real numbers already.
    if c.operand(0)?.ty.dtype == DType::F16 {
        return unary(c, Cast { to: DType::F32 });
    }
    unary(c, Dequantize)
}

pub(super) fn div(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_div_options())?;
    binary(c, Div { activation: activation(o.fused_activation_function())? })
}

pub(super) fn maximum(c: &OpContext<'_>) -> Result<Reading, OpError> {
    binary(c, Maximum)
}

pub(super) fn minimum(c: &OpContext<'_>) -> Result<Reading, OpError> {
    binary(c, Minimum)
}

pub(super) fn mul(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_mul_options())?;
    binary(c, Mul { activation: activation(o.fused_activation_function())? })
}

pub(super) fn prelu(c: &OpContext<'_>) -> Result<Reading, OpError> {
    binary(c, PRelu)
}

pub(super) fn quantize(c: &OpContext<'_>) -> Result<Reading, OpError> {
    unary(c, Quantize)
}

pub(super) fn squared_difference(c: &OpContext<'_>) -> Result<Reading, OpError> {
    binary(c, SquaredDifference)
}

pub(super) fn sub(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_sub_options())?;
    binary(c, Sub { activation: activation(o.fused_activation_function())? })
}

pub(super) fn logistic(c: &OpContext<'_>) -> Result<Reading, OpError> {
    unary(c, Logistic)
}

/// Two data operands.
fn binary(c: &OpContext<'_>, op: impl Into<Op>) -> Result<Reading, OpError> {
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value, c.operand(1)?.value] })
}

/// One data operand.
fn unary(c: &OpContext<'_>, op: impl Into<Op>) -> Result<Reading, OpError> {
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}
