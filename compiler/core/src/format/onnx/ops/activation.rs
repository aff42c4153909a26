//! Activation functions and powers, made of smaller operators where the core has none for them.

use super::Context;
use crate::format::onnx::build::Builder;
use crate::graph::ValueId;
use crate::numeric::{Activation, small_float};
use crate::op::{
    Abs, Cast, Elu, Exp, Gelu, HardSwish, Log, Logistic, Maximum, Minimum, Neg, OpError, PRelu,
    Pow, Relu, Rsqrt, Sqrt, Square, Tanh,
};
use crate::tensor::DType;

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Largest whole exponent that becomes multiplications.
const MAX_POWER: i32 = 16;

/// x for x >= 0, else slope * x; the slope broadcasts to x.
pub fn prelu(c: &mut Context<'_, '_>) -> Read {
    let (x, slope) = (c.operand(0)?, c.operand(1)?);
    Ok(vec![c.build.add(PRelu, &[x, slope])?])
}

/// relu(x) + alpha * min(elu(x / divisor), 0), where elu(x) = e^x - 1 for x < 0.
fn exponential(c: &mut Context<'_, '_>, alpha: f32, divisor: f32, scale: f32) -> Read {
    let x = c.operand(0)?;
    if (alpha, divisor, scale) == (1.0, 1.0, 1.0) {
        return Ok(vec![c.build.apply(Elu, x)?]);
    }
    let positive = c.build.apply(Relu { kind: Activation::Relu }, x)?;
    let positive = c.build.scaled(positive, scale)?;
    let inner = c.build.scaled(x, 1.0 / divisor)?;
    let negative = c.build.apply(Elu, inner)?;
    let zero = c.build.number(0.0)?;
    let negative = c.build.add(Minimum, &[negative, zero])?;
    let negative = c.build.scaled(negative, alpha * scale)?;
    Ok(vec![c.build.plus(positive, negative)?])
}

/// x for x >= 0, else alpha * (e^x - 1).
pub fn elu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.0)?;
    exponential(c, alpha, 1.0, 1.0)
}

/// x for x >= 0, else alpha * (e^(x / alpha) - 1).
pub fn celu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.0)?;
    if alpha == 0.0 {
        return Err(OpError::invalid("alpha must not be 0"));
    }
    exponential(c, alpha, alpha, 1.0)
}

/// gamma * (x for x > 0, else alpha * (e^x - 1)).
pub fn selu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.673_263_2)?;
    let gamma = c.attributes.float("gamma", 1.050_701)?;
    exponential(c, alpha, 1.0, gamma)
}

/// x * P(X <= x) of the standard normal distribution; "tanh" approximates it.
pub fn gelu(c: &mut Context<'_, '_>) -> Read {
    let approximate = match c.attributes.text("approximate")?.unwrap_or("none") {
        "none" => false,
        "tanh" => true,
        other => return Err(OpError::invalid(format!("approximate \"{other}\" does not exist"))),
    };
    let x = c.operand(0)?;
    Ok(vec![c.build.apply(Gelu { approximate }, x)?])
}

/// x * min(max(x + 3, 0), 6) / 6.
pub fn hard_swish(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    Ok(vec![c.build.apply(HardSwish, x)?])
}

/// max(0, min(1, alpha * x + beta)).
pub fn hard_sigmoid(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 0.2)?;
    let beta = c.attributes.float("beta", 0.5)?;
    let x = c.operand(0)?;
    let line = c.build.scaled(x, alpha)?;
    let line = c.build.offset(line, beta)?;
    let (zero, one) = (c.build.number(0.0)?, c.build.number(1.0)?);
    let above = c.build.add(Maximum, &[line, zero])?;
    Ok(vec![c.build.add(Minimum, &[above, one])?])
}

/// max(x, 0) + ln(1 + e^-|x|), which never overflows.
fn smooth_relu(c: &mut Context<'_, '_>, x: ValueId) -> Made {
    let size = c.build.apply(Abs, x)?;
    let below = c.build.apply(Neg, size)?;
    let small = c.build.apply(Exp, below)?;
    let sum = c.build.offset(small, 1.0)?;
    let log = c.build.apply(Log, sum)?;
    let relu = c.build.apply(Relu { kind: Activation::Relu }, x)?;
    c.build.plus(relu, log)
}

/// ln(1 + e^x).
pub fn softplus(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    Ok(vec![smooth_relu(c, x)?])
}

/// x * tanh(ln(1 + e^x)).
pub fn mish(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let soft = smooth_relu(c, x)?;
    let gate = c.build.apply(Tanh, soft)?;
    Ok(vec![c.build.times(x, gate)?])
}

/// x / (1 + |x|).
pub fn softsign(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let size = c.build.apply(Abs, x)?;
    let below = c.build.offset(size, 1.0)?;
    Ok(vec![c.build.over(x, below)?])
}

/// x * sigmoid(alpha * x).
fn gated(c: &mut Context<'_, '_>, alpha: f32) -> Read {
    let x = c.operand(0)?;
    let inner = c.build.scaled(x, alpha)?;
    let gate = c.build.apply(Logistic, inner)?;
    Ok(vec![c.build.times(x, gate)?])
}

/// Swish: x * sigmoid(alpha * x).
pub fn swish(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.0)?;
    gated(c, alpha)
}

/// QuickGelu: x * sigmoid(alpha * x) with another default.
pub fn quick_gelu(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.702)?;
    gated(c, alpha)
}

/// 1 / x.
pub fn reciprocal(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    Ok(vec![inverse(c, x)?])
}

fn inverse(c: &mut Context<'_, '_>, x: ValueId) -> Made {
    let one = c.build.number(1.0)?;
    c.build.over(one, x)
}

/// x to the power y; constant halves and small whole powers are roots and products.
pub fn pow(c: &mut Context<'_, '_>) -> Read {
    let (x, y) = (c.operand(0)?, c.operand(1)?);
    if let Some(easy) = constant_power(c, x, y)? {
        return Ok(vec![easy]);
    }
    let [base, exponent] = [x, y].map(|v| c.build.ty(v).dtype);
    if !base.is_int() {
        // The result has the type of the base.
        let y = match exponent == base {
            true => y,
            false => c.build.apply(Cast { to: DType::F32 }, y)?,
        };
        return Ok(vec![c.build.add(Pow, &[x, y])?]);
    }
    if exponent.is_int() {
        let y = c.build.apply(Cast { to: base }, y)?;
        return Ok(vec![c.build.add(Pow, &[x, y])?]);
    }
    let [x, y] = [x, y].map(|v| c.build.apply(Cast { to: DType::F32 }, v));
    let power = c.build.add(Pow, &[x?, y?])?;
    Ok(vec![c.build.apply(Cast { to: base }, power)?])
}

/// Powers of floats that need no general power.
fn constant_power(
    c: &mut Context<'_, '_>,
    x: ValueId,
    y: ValueId,
) -> Result<Option<ValueId>, OpError> {
    let Some(exponents) = c.build.data(y) else { return Ok(None) };
    let values: Vec<f32> = match (small_float::to_f32(&exponents.data), exponents.to_i64()) {
        (Some(floats), _) => floats,
        (None, Some(ints)) => ints.iter().map(|&i| i as f32).collect(),
        (None, None) => return Ok(None),
    };
    let &[power] = values.as_slice() else { return Ok(None) };
    let grows = exponents.shape.rank() > c.build.shape(x).len();
    if grows || c.build.ty(x).dtype.is_int() {
        return Ok(None);
    }
    Ok(match power {
        0.5 => Some(c.build.apply(Sqrt, x)?),
        -0.5 => Some(c.build.apply(Rsqrt, x)?),
        p if p.fract() == 0.0 && (1..=MAX_POWER).contains(&(p.abs() as i32)) => {
            let whole = whole_power(&mut c.build, x, p.abs() as i32)?;
            Some(if p < 0.0 { inverse(c, whole)? } else { whole })
        }
        _general => None,
    })
}

/// x^n by squaring.
pub(super) fn whole_power(b: &mut Builder<'_>, x: ValueId, n: i32) -> Made {
    let mut result = None;
    let (mut power, mut rest) = (x, n);
    loop {
        if rest % 2 == 1 {
            result = Some(match result {
                None => power,
                Some(r) => b.times(r, power)?,
            });
        }
        rest /= 2;
        if rest == 0 {
            return result.ok_or_else(|| OpError::invalid("the exponent is below 1"));
        }
        power = b.apply(Square, power)?;
    }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    const X: [f32; 4] = [-4.0, -0.5, 0.0, 2.0];

    fn of(name: &str) -> Case {
        case(name).input(&[4], &X)
    }

    fn check(case: Case, f: impl Fn(f32) -> f32) {
        case.gives(24, &[4], &X.map(f));
    }

    #[test]
    fn activations_follow_their_formulas() {
        let elu = |a: f32| move |x: f32| if x >= 0.0 { x } else { a * x.exp_m1() };
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        check(of("Elu"), elu(1.0));
        check(of("Elu").float("alpha", 2.5), elu(2.5));
        check(of("Selu"), |x| 1.050_701 * elu(1.673_263_2)(x));
        check(
            of("Celu").float("alpha", 2.0),
            |x| if x >= 0.0 { x } else { 2.0 * (x / 2.0).exp_m1() },
        );
        check(of("HardSigmoid"), |x| (0.2 * x + 0.5).clamp(0.0, 1.0));
        check(of("HardSwish"), |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0));
        check(of("Softplus"), |x| x.exp().ln_1p());
        check(of("Softsign"), |x| x / (1.0 + x.abs()));
        check(of("Mish"), |x| x * x.exp().ln_1p().tanh());
        check(of("Swish"), |x| x * sigmoid(x));
        check(of("com.microsoft::QuickGelu"), |x| x * sigmoid(1.702 * x));
        check(of("Ceil"), f32::ceil);
        check(of("PRelu").floats(&[1], &[0.25]), |x| if x >= 0.0 { x } else { 0.25 * x });
        case("Reciprocal").input(&[2], &[4.0, -0.5]).gives(13, &[2], &[0.25, -2.0]);
        // erf(1 / sqrt 2) = 0.682689
        case("Gelu").input(&[2], &[1.0, 0.0]).gives(20, &[2], &[0.841_344_7, 0.0]);
        of("Gelu").text("approximate", "cubic").refused(20, "does not exist");
        of("Celu").float("alpha", 0.0).refused(13, "must not be 0");
    }

    #[test]
    fn powers() {
        let pow = |p: f32| case("Pow").input(&[2], &[4.0, 0.25]).floats(&[], &[p]);
        for p in [0.5, -0.5, 1.0, 2.0, 3.0, 7.0, -2.0] {
            pow(p).gives(13, &[2], &[4.0f32.powf(p), 0.25f32.powf(p)]);
        }
        for p in [0.3, 0.0, -17.0, f32::INFINITY] {
            pow(p).gives(13, &[2], &[4.0f32.powf(p), 0.25f32.powf(p)]);
        }
        let rows = case("Pow").input(&[2, 1], &[2.0, 3.0]).ints(&[3], &[0, 1, 2]);
        rows.gives(13, &[2, 3], &[1.0, 2.0, 4.0, 1.0, 3.0, 9.0]);
        let mixed = case("Pow").ints(&[2], &[2, 3]).floats(&[2], &[3.0, 2.0]).run(13);
        assert_eq!(mixed.expect("reads").to_i64(), Some(vec![8, 9]));
    }
}
