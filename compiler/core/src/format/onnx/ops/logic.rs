//! Comparisons, truth values, bits and choices between elements.

use super::Context;
use super::fill::choose_constant;
use crate::graph::ValueId;
use crate::op::{Bitwise, Cast, Compare, Connective, Mod, OpError, Relation, Shift};
use crate::tensor::{DType, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

fn compare(c: &mut Context<'_, '_>, relation: Relation) -> Read {
    let (a, b) = (c.operand(0)?, c.operand(1)?);
    Ok(vec![c.build.add(Compare { relation }, &[a, b])?])
}

fn connect(c: &mut Context<'_, '_>, connective: Connective) -> Read {
    let (a, b) = (c.operand(0)?, c.operand(1)?);
    Ok(vec![c.build.add(Bitwise { connective }, &[a, b])?])
}

macro_rules! readers {
    ($($name:ident => $form:ident($what:expr);)*) => {
        $(#[doc = concat!("ONNX operator `", stringify!($name), "`.")]
        pub fn $name(c: &mut Context<'_, '_>) -> Read {
            $form(c, $what)
        })*
    };
}

readers! {
    equal => compare(Relation::Equal);
    less => compare(Relation::Less);
    less_or_equal => compare(Relation::LessOrEqual);
    greater => compare(Relation::Greater);
    greater_or_equal => compare(Relation::GreaterOrEqual);
    and => connect(Connective::And);
    or => connect(Connective::Or);
    xor => connect(Connective::Xor);
}

/// Every bit the other way; a truth value has one.
pub fn not(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dtype = c.build.ty(x).dtype;
    let ones = if dtype == DType::Bool { 1 } else { -1 };
    let ones = TensorData::from_i128(dtype, &[ones])
        .ok_or_else(|| OpError::unsupported(format!("bits of {dtype} are not supported")))?;
    let ones = c.build.tensor(Vec::new(), ones)?;
    Ok(vec![c.build.add(Bitwise { connective: Connective::Xor }, &[x, ones])?])
}

/// Bits moved in the direction of an attribute.
pub fn bit_shift(c: &mut Context<'_, '_>) -> Read {
    let left = match c.attributes.text("direction")?.unwrap_or("") {
        "LEFT" => true,
        "RIGHT" => false,
        other => return Err(OpError::invalid(format!("direction \"{other}\" does not exist"))),
    };
    let (a, b) = (c.operand(0)?, c.operand(1)?);
    Ok(vec![c.build.add(Shift { left }, &[a, b])?])
}

/// Remainders, with the sign of the divisor or, by attribute, of the dividend.
pub fn modulo(c: &mut Context<'_, '_>) -> Read {
    let truncated = c.attributes.flag("fmod", false)?;
    let (a, b) = (c.operand(0)?, c.operand(1)?);
    Ok(vec![c.build.add(Mod { truncated }, &[a, b])?])
}

/// Chooses by a condition; a constant one may decide for one operand as a whole.
pub fn choose(c: &mut Context<'_, '_>) -> Read {
    let (condition, a, b) = (c.operand(0)?, c.operand(1)?, c.operand(2)?);
    if c.build.data(condition).is_some() {
        return choose_constant(c);
    }
    Ok(vec![c.build.select(condition, [a, b])?])
}

/// Operand 0, small floats as float32: that has all their values.
fn comparable(c: &mut Context<'_, '_>) -> Result<ValueId, OpError> {
    let x = c.operand(0)?;
    let DType::Small(_) = c.build.ty(x).dtype else { return Ok(x) };
    c.build.apply(Cast { to: DType::F32 }, x)
}

/// NaN is what differs from itself.
pub fn is_nan(c: &mut Context<'_, '_>) -> Read {
    let x = comparable(c)?;
    Ok(vec![c.build.add(Compare { relation: Relation::NotEqual }, &[x, x])?])
}

/// Infinities of the signs that attributes name.
pub fn is_inf(c: &mut Context<'_, '_>) -> Read {
    let x = comparable(c)?;
    let mut found = None;
    for (name, limit) in
        [("detect_negative", f64::NEG_INFINITY), ("detect_positive", f64::INFINITY)]
    {
        if !c.attributes.flag(name, true)? {
            continue;
        }
        let limit = c.build.number_like(x, limit)?;
        let is = c.build.add(Compare { relation: Relation::Equal }, &[x, limit])?;
        found = Some(match found {
            None => is,
            Some(other) => c.build.add(Bitwise { connective: Connective::Or }, &[other, is])?,
        });
    }
    if let Some(found) = found {
        return Ok(vec![found]);
    }
    let shape = c.build.shape(x);
    let none = TensorData::zeros(DType::Bool, shape.iter().product());
    Ok(vec![c.build.tensor(shape, none)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::case;

    #[test]
    fn of_floats() {
        let pair = |name: &str| case(name).input(&[3], &[1.0, 2.0, f32::NAN]).input(&[1], &[2.0]);
        let of = |name: &str| pair(name).run(13).expect("reads").to_i64().expect("truth values");
        assert_eq!(of("Equal"), [0, 1, 0]);
        assert_eq!(of("Less"), [1, 0, 0]);
        assert_eq!(of("LessOrEqual"), [1, 1, 0]);
        assert_eq!(of("Greater"), [0, 0, 0]);
        assert_eq!(of("GreaterOrEqual"), [0, 1, 0]);
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
        let of = |c: crate::format::onnx::testing::Case| c.run(13).expect("reads").to_i64();
        assert_eq!(of(case("IsNaN").input(&[4], &odd)), Some(vec![1, 0, 0, 0]));
        let inf = || case("IsInf").input(&[4], &odd);
        assert_eq!(of(inf()), Some(vec![0, 1, 1, 0]));
        assert_eq!(of(inf().int("detect_negative", 0)), Some(vec![0, 1, 0, 0]));
        let none = inf().int("detect_negative", 0).int("detect_positive", 0);
        assert_eq!(of(none), Some(vec![0, 0, 0, 0]));
        case("Mod").input(&[2], &[-7.5, 7.5]).floats(&[], &[2.0]).int("fmod", 1).gives(
            13,
            &[2],
            &[-1.5, 1.5],
        );
        case("BitShift")
            .ints(&[1], &[1])
            .ints(&[1], &[1])
            .text("direction", "UP")
            .refused(13, "does not exist");
    }

    #[test]
    fn of_constants() {
        let of = |name: &str, a: &[i64], b: &[i64]| {
            let c = case(name).ints(&[a.len()], a).ints(&[b.len()], b);
            c.run(18).expect("reads").to_i64().expect("integers")
        };
        assert_eq!(of("BitwiseAnd", &[6, -1], &[3]), [2, 3]);
        assert_eq!(of("BitwiseOr", &[6, 0], &[3]), [7, 3]);
        assert_eq!(of("BitwiseXor", &[6, 0], &[3]), [5, 3]);
        assert_eq!(of("Mod", &[7, -7], &[3]), [1, 2]);
        let y = case("BitwiseNot").ints(&[2], &[0, 6]).run(18).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![-1, -7]));
    }
}
