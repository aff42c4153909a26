//! Comparisons, choices, and functions that few networks need. Sine and its kin are not among the stick's
//! layers.

use super::elementwise::{aligned, plain_binary, unary};
use crate::format::openvino::file::{Elem, Wire};
use crate::format::openvino::held::{Call, Held};
use crate::op::{Bitwise, Compare, Connective, Function, Mod, OpError, Relation};
use crate::tensor::DType;

/// Factor that lifts every number that float16 can tell from 0 and its smallest neighbours beyond 1.
const STEEP: f32 = 65504.0;

/// A relation; yields truth values.
pub fn compare(call: &mut Call<'_, '_>, op: &Compare) -> Result<Held, OpError> {
    let kind = match op.relation {
        Relation::Equal => "Equal",
        Relation::NotEqual => "NotEqual",
        Relation::Less => "Less",
        Relation::LessOrEqual => "LessEqual",
        Relation::Greater => "Greater",
        Relation::GreaterOrEqual => "GreaterEqual",
    };
    truth(call, kind)
}

/// A connective of truth values.
pub fn bitwise(call: &mut Call<'_, '_>, op: &Bitwise) -> Result<Held, OpError> {
    if call.s.operand(0)?.dtype() != DType::Bool {
        return Err(OpError::unsupported("bits of integers have no form in an OpenVINO file"));
    }
    if call.e.is_myriad() {
        return connective_of_numbers(call, op.connective);
    }
    let kind = match op.connective {
        Connective::And => "LogicalAnd",
        Connective::Or => "LogicalOr",
        Connective::Xor => "LogicalXor",
    };
    truth(call, kind)
}

/// The stick's compiler mixes up the types of truth values that come from several layers: as 0 and 1 they
/// are real numbers.
fn connective_of_numbers(call: &mut Call<'_, '_>, connective: Connective) -> Result<Held, OpError> {
    let ([a, b], order) = aligned(call)?;
    let (a, b) = (call.e.convert(&a, Elem::F32), call.e.convert(&b, Elem::F32));
    let (kind, how) = match connective {
        Connective::And => ("Multiply", "a * b > 0.5"),
        Connective::Or => ("Maximum", "Maximum(a, b) > 0.5"),
        Connective::Xor => ("SquaredDifference", "(a - b)^2 > 0.5"),
    };
    let number = call.e.binary(kind, &a, &b)?;
    let half = call.e.scalar(0.5, number.dims.len());
    let wire = relation(call, "Greater", &number, &half)?;
    call.rewritten(how);
    Ok(Held::Tensor { wire, order })
}

fn truth(call: &mut Call<'_, '_>, kind: &'static str) -> Result<Held, OpError> {
    let ([a, b], order) = aligned(call)?;
    let (a, b) = (call.real_on_stick(a), call.real_on_stick(b));
    Ok(Held::Tensor { wire: relation(call, kind, &a, &b)?, order })
}

fn relation(
    call: &mut Call<'_, '_>,
    kind: &'static str,
    a: &Wire,
    b: &Wire,
) -> Result<Wire, OpError> {
    let like = call.e.binary(kind, a, b)?;
    // The helper thinks of numbers.
    let layer = call.e.network.layers.get_mut(like.port.layer);
    if let Some((elem, _)) = layer.and_then(|l| l.outputs.first_mut()) {
        *elem = Elem::Bool;
    }
    Ok(Wire { elem: Elem::Bool, ..like })
}

/// condition ? a : b.
pub fn select(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (condition, a, b) = (call.plain(0)?, call.plain(1)?, call.plain(2)?);
    let elem = a.elem;
    let (a, b) = (call.real_on_stick(a), call.real_on_stick(b));
    let data = vec![("auto_broadcast", "numpy".to_string())];
    let dims = call.result()?;
    let wire = call.e.one(("Select", 1), data, &[&condition, &a, &b], a.elem, dims);
    Ok(Held::plain(call.e.convert(&wire, elem)))
}

/// A remainder. The stick's plugin makes Sign of Mod, which it does not have.
pub fn modulo(call: &mut Call<'_, '_>, op: &Mod) -> Result<Held, OpError> {
    if !call.e.is_myriad() {
        return plain_binary(call, if op.truncated { "Mod" } else { "FloorMod" });
    }
    if !op.truncated {
        let ([a, b], order) = aligned(call)?;
        let elem = a.elem;
        let (a, b) = (call.real_on_stick(a), call.real_on_stick(b));
        let wire = call.e.binary("FloorMod", &a, &b)?;
        return Ok(Held::Tensor { wire: call.e.convert(&wire, elem), order });
    }
    let ([a, b], order) = aligned(call)?;
    let quotient = call.e.binary("Divide", &a, &b)?;
    let negative = call.e.unary(("Negative", 1), &quotient);
    let half = |call: &mut Call<'_, '_>, x| {
        let positive = call.e.unary(("ReLU", 1), x);
        call.e.unary(("Floor", 1), &positive)
    };
    let (up, down) = (half(call, &quotient), half(call, &negative));
    let whole = call.e.binary("Subtract", &up, &down)?;
    let product = call.e.binary("Multiply", &whole, &b)?;
    call.rewritten("a - b * (Floor(ReLU(a / b)) - Floor(ReLU(-a / b)))");
    Ok(Held::Tensor { wire: call.e.binary("Subtract", &a, &product)?, order })
}

/// -1, 0 or 1; on the stick by a steep line, exact beyond 1 / 65504.
pub fn sign(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    if !call.e.is_myriad() {
        return unary(call, ("Sign", 1));
    }
    let (x, order) = call.any(0)?;
    let steep = call.e.with_scalar("Multiply", &x, STEEP)?;
    call.rewritten("Clamp(x * 65504, -1, 1)");
    Ok(Held::Tensor { wire: call.e.clamp(&steep, -1.0, 1.0), order })
}

/// A function of one element.
pub fn math(call: &mut Call<'_, '_>, function: Function) -> Result<Held, OpError> {
    let kind = match function {
        Function::Ceil => return unary(call, ("Ceiling", 1)),
        Function::Erf => return unary(call, ("Erf", 1)),
        Function::RoundEven => return super::elementwise::round(call),
        Function::Acos => ("Acos", 1),
        Function::Acosh => ("Acosh", 4),
        Function::Asin => ("Asin", 1),
        Function::Asinh => ("Asinh", 4),
        Function::Atan => ("Atan", 1),
        Function::Atanh => ("Atanh", 4),
        Function::Cos => ("Cos", 1),
        Function::Cosh => ("Cosh", 1),
        Function::Sin => ("Sin", 1),
        Function::Sinh => ("Sinh", 1),
        Function::Tan => ("Tan", 1),
    };
    if call.e.is_myriad() {
        return Err(OpError::unsupported(format!("the stick's plugin has no {}", kind.0))
            .help("compute it before the network or with --target openvino"));
    }
    unary(call, kind)
}
