//! Elementwise operators of one and two operands, and Cast.

use super::Context;
use crate::format::onnx::{ints, tensor};
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{
    Abs, Add, Cast, Div, Exp, Floor, LeakyRelu, Log, Logistic, Maximum, Minimum, Mul, Neg, Op,
    OpError, Relu, Sqrt, Sub, Tanh,
};

type Read = Result<Vec<ValueId>, OpError>;

fn unary(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let x = c.operand(0)?;
    Ok(vec![c.build.add(op, &[x])?])
}

fn binary(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let (a, b) = (c.operand(0)?, c.operand(1)?);
    Ok(vec![c.build.add(op, &[a, b])?])
}

macro_rules! plain {
    ($($name:ident => $form:ident($op:expr);)*) => {
        $(#[doc = concat!("ONNX operator `", stringify!($name), "`.")]
        pub fn $name(c: &mut Context<'_, '_>) -> Read {
            $form(c, $op)
        })*
    };
}

plain! {
    abs => unary(Abs);
    exp => unary(Exp);
    floor => unary(Floor);
    log => unary(Log);
    neg => unary(Neg);
    relu => unary(Relu { kind: Activation::Relu });
    sigmoid => unary(Logistic);
    sqrt => unary(Sqrt);
    tanh => unary(Tanh);
    add => binary(Add { activation: Activation::None });
    div => binary(Div { activation: Activation::None });
    mul => binary(Mul { activation: Activation::None });
    sub => binary(Sub { activation: Activation::None });
}

/// x for x >= 0, else alpha * x.
pub fn leaky_relu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 0.01)?;
    unary(c, LeakyRelu { alpha })
}

/// Any number of operands, joined pair by pair.
fn variadic(c: &mut Context<'_, '_>, name: &str, op: impl Into<Op>) -> Read {
    let op = op.into();
    let mut joined = c.operand(0)?;
    for i in 1..c.operands.len() {
        let next = c.operand(i)?;
        joined = match (c.build.data(joined), c.build.data(next)) {
            (Some(a), Some(b)) => match ints::binary(name, &a, &b, *c.build.budget)? {
                Some(folded) => c.build.constant(folded),
                None => c.build.add(op.clone(), &[joined, next])?,
            },
            _computed => c.build.add(op.clone(), &[joined, next])?,
        };
    }
    Ok(vec![joined])
}

/// Largest operand.
pub fn max(c: &mut Context<'_, '_>) -> Read {
    variadic(c, "Max", Maximum)
}

/// Smallest operand.
pub fn min(c: &mut Context<'_, '_>) -> Read {
    variadic(c, "Min", Minimum)
}

/// Sum of the operands.
pub fn sum(c: &mut Context<'_, '_>) -> Read {
    variadic(c, "Add", Add { activation: Activation::None })
}

/// Mean of the operands.
pub fn mean(c: &mut Context<'_, '_>) -> Read {
    let total = variadic(c, "Add", Add { activation: Activation::None })?;
    let factor = 1.0 / c.operands.len() as f32;
    total.into_iter().map(|t| c.build.scaled(t, factor)).collect()
}

/// Operators on integers and truth values that only constants have: those were folded before.
pub fn constants_only(_: &mut Context<'_, '_>) -> Read {
    Err(OpError::unsupported(
        "of values computed at run time it is not supported, only of constants",
    ))
}

/// Conversion to the type of attribute `to`.
pub fn cast(c: &mut Context<'_, '_>) -> Read {
    let to = c.attributes.int("to")?.and_then(|t| i32::try_from(t).ok());
    let to = tensor::dtype(to.ok_or_else(|| OpError::invalid("attribute \"to\" is missing"))?)?;
    let x = c.operand(0)?;
    if c.build.ty(x).dtype == to {
        return Ok(vec![x]);
    }
    unary(c, Cast { to })
}

/// Limits as attributes.
pub fn clip_6(c: &mut Context<'_, '_>) -> Read {
    let lo = c.attributes.float("min", f32::MIN)?;
    let hi = c.attributes.float("max", f32::MAX)?;
    clip(c, lo, hi)
}

/// Limits as operands.
pub fn clip_11(c: &mut Context<'_, '_>) -> Read {
    let (lo, hi) = (c.float(1)?.unwrap_or(f32::MIN), c.float(2)?.unwrap_or(f32::MAX));
    clip(c, lo, hi)
}

/// min(max(x, lo), hi); the limits of RELU and its relatives become those.
fn clip(c: &mut Context<'_, '_>, lo: f32, hi: f32) -> Read {
    let open = |limit: f32| limit.abs() >= f32::MAX;
    let kind = match (lo, hi) {
        (0.0, 6.0) => Some(Activation::Relu6),
        (-1.0, 1.0) => Some(Activation::ReluN1To1),
        (0.0, hi) if open(hi) => Some(Activation::Relu),
        _other => None,
    };
    if let Some(kind) = kind {
        return unary(c, Relu { kind });
    }
    let mut x = c.operand(0)?;
    if !open(lo) {
        let limit = c.scalar(lo)?;
        x = c.build.add(Maximum, &[x, limit])?;
    }
    if !open(hi) {
        let limit = c.scalar(hi)?;
        x = c.build.add(Minimum, &[x, limit])?;
    }
    Ok(vec![x])
}
