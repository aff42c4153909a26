//! Elementwise operators of one and two operands, and Cast.

use super::Context;
use crate::format::onnx::tensor;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::numeric::small_float::{self, Rounding};
use crate::op::{
    Abs, Add, BitCast, Cast, CastFloat8, Compare, Div, Exp, Floor, Function, LeakyRelu, Log,
    Logistic, Math, Maximum, Minimum, Mul, Neg, Op, OpError, Relation, Relu, Select, Sign, Sqrt,
    Sub, Tanh,
};
use crate::tensor::DType;

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
    sigmoid => unary(Logistic);
    sign => unary(Sign);
    sqrt => unary(Sqrt);
    tanh => unary(Tanh);
    add => binary(Add { activation: Activation::None });
    div => binary(Div { activation: Activation::None });
    mul => binary(Mul { activation: Activation::None });
    sub => binary(Sub { activation: Activation::None });
    acos => unary(Math { function: Function::Acos });
    acosh => unary(Math { function: Function::Acosh });
    asin => unary(Math { function: Function::Asin });
    asinh => unary(Math { function: Function::Asinh });
    atan => unary(Math { function: Function::Atan });
    atanh => unary(Math { function: Function::Atanh });
    ceil => unary(Math { function: Function::Ceil });
    cos => unary(Math { function: Function::Cos });
    cosh => unary(Math { function: Function::Cosh });
    erf => unary(Math { function: Function::Erf });
    round => unary(Math { function: Function::RoundEven });
    sin => unary(Math { function: Function::Sin });
    sinh => unary(Math { function: Function::Sinh });
    tan => unary(Math { function: Function::Tan });
}

/// max(x, 0).
pub fn relu(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    if c.build.ty(x).dtype.is_int() {
        let zero = c.build.number_like(x, 0.0)?;
        return Ok(vec![c.build.add(Maximum, &[x, zero])?]);
    }
    unary(c, Relu { kind: Activation::Relu })
}

/// x for x >= 0, else alpha * x.
pub fn leaky_relu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 0.01)?;
    unary(c, LeakyRelu { alpha })
}

/// Any number of operands, joined pair by pair.
fn variadic(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let op = op.into();
    let mut joined = c.operand(0)?;
    for i in 1..c.operands.len() {
        let next = c.operand(i)?;
        joined = c.build.add(op.clone(), &[joined, next])?;
    }
    Ok(vec![joined])
}

/// Largest operand.
pub fn max(c: &mut Context<'_, '_>) -> Read {
    variadic(c, Maximum)
}

/// Smallest operand.
pub fn min(c: &mut Context<'_, '_>) -> Read {
    variadic(c, Minimum)
}

/// Sum of the operands.
pub fn sum(c: &mut Context<'_, '_>) -> Read {
    variadic(c, Add { activation: Activation::None })
}

/// Mean of the operands.
pub fn mean(c: &mut Context<'_, '_>) -> Read {
    let total = variadic(c, Add { activation: Activation::None })?;
    let factor = 1.0 / c.operands.len() as f32;
    total.into_iter().map(|t| c.build.scaled(t, factor)).collect()
}

/// The type that attribute `to` names.
fn target(c: &Context<'_, '_>) -> Result<DType, OpError> {
    let to = c.attributes.int("to")?.and_then(|t| i32::try_from(t).ok());
    tensor::dtype(to.ok_or_else(|| OpError::invalid("attribute \"to\" is missing"))?)
}

/// Conversion to the type of attribute `to`.
pub fn cast(c: &mut Context<'_, '_>) -> Read {
    let to = target(c)?;
    convert(c, to)
}

fn convert(c: &mut Context<'_, '_>, to: DType) -> Read {
    let x = c.operand(0)?;
    if c.build.ty(x).dtype == to {
        return Ok(vec![x]);
    }
    let saturate = c.attributes.flag("saturate", true)?;
    let rounding = match c.attributes.text("round_mode")?.unwrap_or("up") {
        "up" => Rounding::Up,
        "down" => Rounding::Down,
        "nearest" => Rounding::Nearest,
        other => return Err(OpError::invalid(format!("round_mode \"{other}\" does not exist"))),
    };
    match to {
        DType::Small(to) if to.bits() == 8 && !(saturate && rounding == Rounding::Up) => {
            unary(c, CastFloat8 { to, saturate, rounding })
        }
        _plain => unary(c, Cast { to }),
    }
}

/// The same bits as another type of the same width.
pub fn bit_cast(c: &mut Context<'_, '_>) -> Read {
    let to = target(c)?;
    unary(c, BitCast { to })
}

/// Limits as attributes.
pub fn clip_6(c: &mut Context<'_, '_>) -> Read {
    let lo = c.attributes.float("min", f32::MIN)?;
    let hi = c.attributes.float("max", f32::MAX)?;
    clip(c, lo, hi)
}

/// Limits as operands.
pub fn clip_11(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let is_float = !c.build.ty(x).dtype.is_int();
    let known = |c: &Context<'_, '_>, i: usize, open: f32| match c.optional(i) {
        None => Some(open),
        Some(limit) => match small_float::to_f32(&c.build.data(limit)?.data)?.as_slice() {
            &[one] => Some(one),
            _other => None,
        },
    };
    if is_float && let (Some(lo), Some(hi)) = (known(c, 1, f32::MIN), known(c, 2, f32::MAX)) {
        return clip(c, lo, hi);
    }
    let mut y = x;
    if let Some(lo) = c.optional(1) {
        y = c.build.add(Maximum, &[y, lo])?;
    }
    if let Some(hi) = c.optional(2) {
        y = c.build.add(Minimum, &[y, hi])?;
    }
    Ok(vec![y])
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

/// Conversion to the type of operand 1.
pub fn cast_like(c: &mut Context<'_, '_>) -> Read {
    let to = c.build.ty(c.operand(1)?).dtype;
    convert(c, to)
}

/// x where it is above alpha, else 0.
pub fn thresholded_relu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.0)?;
    let x = c.operand(0)?;
    let (limit, zero) = (c.build.number_like(x, alpha.into())?, c.build.number_like(x, 0.0)?);
    let above = c.build.add(Compare { relation: Relation::Greater }, &[x, limit])?;
    Ok(vec![c.build.add(Select, &[above, x, zero])?])
}

/// x + bias below -lambd, x - bias above lambd, else 0.
pub fn shrink(c: &mut Context<'_, '_>) -> Read {
    let bias = f64::from(c.attributes.float("bias", 0.0)?);
    let limit = f64::from(c.attributes.float("lambd", 0.5)?);
    let x = c.operand(0)?;
    let mut number = |value| c.build.number_like(x, value);
    let (bias, zero, low, high) = (number(bias)?, number(0.0)?, number(-limit)?, number(limit)?);
    let is_low = c.build.add(Compare { relation: Relation::Less }, &[x, low])?;
    let is_high = c.build.add(Compare { relation: Relation::Greater }, &[x, high])?;
    let (up, down) = (c.build.plus(x, bias)?, c.build.minus(x, bias)?);
    let rest = c.build.add(Select, &[is_high, down, zero])?;
    Ok(vec![c.build.add(Select, &[is_low, up, rest])?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::case;

    #[test]
    fn limits_at_run_time() {
        let of = || case("Clip").input(&[3], &[-3.0, 0.5, 7.0]);
        of().input(&[], &[-1.0]).input(&[], &[2.0]).gives(13, &[3], &[-1.0, 0.5, 2.0]);
        of().none().input(&[], &[2.0]).gives(13, &[3], &[-3.0, 0.5, 2.0]);
        of().floats(&[], &[0.0]).gives(13, &[3], &[0.0, 0.5, 7.0]);
        let y = case("Clip").ints(&[3], &[-3, 1, 7]).ints(&[], &[0]).ints(&[], &[5]).run(13);
        assert_eq!(y.expect("reads").to_i64(), Some(vec![0, 1, 5]));
    }

    #[test]
    fn functions_by_hand() {
        let x = [-2.0, -0.25, 0.5, 1.5];
        let of = |name: &str| case(name).input(&[4], &x);
        of("Shrink").float("bias", 0.5).float("lambd", 1.0).gives(9, &[4], &[-1.5, 0.0, 0.0, 1.0]);
        of("ThresholdedRelu").float("alpha", 0.5).gives(10, &[4], &[0.0, 0.0, 0.0, 1.5]);
        of("Round").gives(11, &[4], &[-2.0, 0.0, 0.0, 2.0]);
        of("Sign").gives(13, &[4], &[-1.0, -1.0, 1.0, 1.0]);
        for (name, f) in [
            ("Sin", f32::sin as fn(f32) -> f32),
            ("Tan", f32::tan),
            ("Atan", f32::atan),
            ("Cosh", f32::cosh),
            ("Ceil", f32::ceil),
        ] {
            of(name).gives(13, &[4], &x.map(f));
        }
        let y = case("Relu").ints(&[2], &[-1, 3]).run(14).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![0, 3]));
    }
}
