//! What elementwise unary operators have in common. Not an operator itself.

use super::{Elements, OpError, Signature, integer};
use crate::kernels::elementwise;
use crate::kir::{Expr, KernelBuilder, Ty};
use crate::numeric::Multiplier;
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// One operand of an accepted type; the result has the same type and shape.
///
/// # Errors
/// Other operand counts or types; int8 without per-tensor quantization on both sides.
pub fn infer(s: &Signature<'_>, accepted: &[DType]) -> Result<Vec<TensorType>, OpError> {
    s.expect_operands(1, 1)?;
    let x = s.operand(0)?;
    if !accepted.contains(&x.dtype()) {
        return Err(OpError::types(s));
    }
    if x.dtype() == DType::I8 {
        x.per_tensor()?;
        s.result(0)?.per_tensor()?;
    }
    Ok(vec![x.ty.clone()])
}

/// [`infer`], and plain integers.
///
/// # Errors
/// As [`infer`].
pub fn infer_numeric(s: &Signature<'_>, accepted: &[DType]) -> Result<Vec<TensorType>, OpError> {
    if !integer::is_plain(s) {
        return infer(s, accepted);
    }
    s.expect_operands(1, 1)?;
    Ok(vec![s.operand(0)?.ty.clone()])
}

/// Applies `f` to plain integers; the result wraps to its own type.
///
/// # Errors
/// Any other type.
pub fn eval_int(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    f: impl Fn(i128) -> i128,
) -> Result<Vec<Tensor>, OpError> {
    let x = inputs.first().ok_or_else(|| OpError::types(s))?;
    let values = x.data.to_i128().ok_or_else(|| OpError::types(s))?;
    let values: Vec<i128> = values.into_iter().map(f).collect();
    let data = TensorData::from_i128(x.data.dtype(), &values).ok_or_else(|| OpError::types(s))?;
    Ok(vec![Tensor { shape: x.shape.clone(), data }])
}

/// The kernel of plain integers; `f` gets them named and converted to `ty`.
///
/// # Errors
/// No operand.
pub fn lower_int(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    ty: Ty,
    f: impl Fn(Expr) -> Expr,
) -> Result<(), OpError> {
    let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
    let n = s.result(0)?.shape().elements();
    elementwise::unary(k, n, x, y, |k, v| f(k.let_("v", v.cast(ty))));
    Ok(())
}

/// Applies `real` to float32 elements or `int8` to int8 elements.
///
/// # Errors
/// Any other type.
pub fn eval(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    real: impl Fn(f32) -> f32,
    int8: impl Fn(i8) -> i8,
) -> Result<Vec<Tensor>, OpError> {
    let x = inputs.first().ok_or_else(|| OpError::types(s))?;
    let data = match s.elements(x)? {
        Elements::Real(v) => TensorData::F32(v.iter().map(|&x| real(x)).collect()),
        Elements::Int8(v) => TensorData::I8(v.iter().map(|&x| int8(x)).collect()),
    };
    Ok(vec![Tensor { shape: x.shape.clone(), data }])
}

/// Scale and zero point of operand and result; 1 and 0 for types that are not quantized.
///
/// # Errors
/// int8 without per-tensor quantization.
pub fn quantization(s: &Signature<'_>) -> Result<[(f32, i32); 2], OpError> {
    if s.operand(0)?.dtype() != DType::I8 {
        return Ok([(1.0, 0); 2]);
    }
    Ok([s.operand(0)?.per_tensor()?, s.result(0)?.per_tensor()?])
}

/// Applies `real` to float32 elements, and to int8 elements by the float32 rule of TensorFlow Lite
/// Micro's tables: round(real(scale * (q - zero_point)) * (1 / result_scale)) + result_zero_point.
///
/// # Errors
/// Any other type.
pub fn eval_real(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    real: impl Fn(f32) -> f32,
) -> Result<Vec<Tensor>, OpError> {
    let [(scale, zero_point), (result_scale, result_zero_point)] = quantization(s)?;
    let inverse = 1.0 / result_scale;
    let int8 = |q: i8| {
        let y = real(scale * (i32::from(q) - zero_point) as f32);
        let rounded = i64::from(tinycc_rt::round_half_away_f32(y * inverse));
        (rounded + i64::from(result_zero_point)).clamp(-128, 127) as i8
    };
    eval(s, inputs, &real, int8)
}

/// An int8 operand moved into Q4.27, as fixed-point logistic and tanh take it (numerics 4.3).
#[derive(Clone, Copy, Debug)]
pub struct Q4 {
    multiplier: Multiplier,
    radius: i64,
}

impl Q4 {
    /// For operands of this scale.
    #[must_use]
    pub fn new(scale: f32) -> Self {
        let real = f64::from(scale) * f64::from(1u32 << 27);
        // Not the multiplier's exponent, which ends at 30: from scale 8 on nothing is inside.
        let radius = 15.0 * f64::from(1u32 << 27) / 2f64.powi(libm::frexp(real).1);
        Self { multiplier: Multiplier::from_real(real), radius: radius.floor() as i64 }
    }

    /// `function` of `x`, which is already minus its zero point, in units of 2^(shift - 31) plus
    /// `offset`; inputs beyond +-15 give the ends of int8.
    #[must_use]
    pub fn apply(self, x: i32, function: fn(i32) -> i32, shift: i32, offset: i32) -> i8 {
        if i64::from(x) <= -self.radius {
            return -128;
        }
        if i64::from(x) >= self.radius {
            return 127;
        }
        let y = function(self.multiplier.apply(x));
        (tinycc_rt::rounding_divide_by_pot(y, shift) + offset).clamp(-128, 127) as i8
    }
}

/// [`lower_f32`] for functions that use the element more than once.
///
/// # Errors
/// Operands that are not float32.
pub fn lower_f32_named(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    f: impl Fn(Expr) -> Expr,
) -> Result<(), OpError> {
    if s.operand(0)?.dtype() != DType::F32 {
        return Err(OpError::types(s));
    }
    let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
    let n = s.result(0)?.shape().elements();
    elementwise::unary(k, n, x, y, |k, v| f(k.let_("v", v)));
    Ok(())
}

/// The float kernel. int8 has none: the `tabulate` pass replaces it before lowering.
///
/// # Errors
/// Operands that are not float32.
pub fn lower_f32(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    f: impl Fn(Expr) -> Expr,
) -> Result<(), OpError> {
    if s.operand(0)?.dtype() != DType::F32 {
        return Err(OpError::types(s));
    }
    let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
    let n = s.result(0)?.shape().elements();
    elementwise::unary(k, n, x, y, |_, v| f(v));
    Ok(())
}
