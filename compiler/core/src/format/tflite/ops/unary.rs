//! Readers of operators with one data operand and a result of the same shape: elementwise ones and
//! those along the last dimension.

use super::{OpContext, Reading, activation};
use crate::numeric::Activation;
use crate::op::{
    Abs, Elu, Exp, Floor, Gelu, HardSwish, L2Normalization, LeakyRelu, Log, LogSoftmax, Neg, Op,
    OpError, Relu, Rsqrt, Softmax, Sqrt, Square, Tanh,
};

/// Readers of operators without options.
macro_rules! plain {
    ($($reader:ident => $op:expr;)*) => {
        $(pub(super) fn $reader(c: &OpContext<'_>) -> Result<Reading, OpError> { unary(c, $op) })*
    };
}

plain! {
    abs => Abs;
    elu => Elu;
    exp => Exp;
    floor => Floor;
    hard_swish => HardSwish;
    log => Log;
    log_softmax => LogSoftmax;
    neg => Neg;
    relu => Relu { kind: Activation::Relu };
    relu6 => Relu { kind: Activation::Relu6 };
    relu_n1_to_1 => Relu { kind: Activation::ReluN1To1 };
    rsqrt => Rsqrt;
    sqrt => Sqrt;
    square => Square;
    tanh => Tanh;
}

pub(super) fn gelu(c: &OpContext<'_>) -> Result<Reading, OpError> {
    // The converter may leave out a table that holds only its default.
    let options = c.op.builtin_options_as_gelu_options();
    unary(c, Gelu { approximate: options.is_some_and(|o| o.approximate()) })
}

pub(super) fn l2_normalization(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_l2_norm_options())?;
    if activation(o.fused_activation_function())? != Activation::None {
        return Err(OpError::unsupported("a fused activation is not supported here"));
    }
    unary(c, L2Normalization)
}

pub(super) fn leaky_relu(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_leaky_relu_options())?;
    unary(c, LeakyRelu { alpha: o.alpha() })
}

pub(super) fn softmax(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_softmax_options())?;
    unary(c, Softmax { beta: o.beta() })
}

/// One data operand.
fn unary(c: &OpContext<'_>, op: impl Into<Op>) -> Result<Reading, OpError> {
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}
