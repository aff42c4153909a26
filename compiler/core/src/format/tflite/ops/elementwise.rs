//! Readers of elementwise operators.

use super::{OpContext, Reading, activation};
use crate::op::{Add, Logistic, Op, OpError};

pub(super) fn add(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_add_options())?;
    binary(c, Add { activation: activation(o.fused_activation_function())? })
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
