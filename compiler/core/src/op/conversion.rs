//! Conversion of elements between any two types: what Cast and CastFloat8 have in common. Not an
//! operator itself.

use super::{OpError, Signature, integer};
use crate::kir::{BinOp, Expr, Intrinsic, KernelBuilder, Ty, float, int};
use crate::numeric::small_float::{self, Rounding, SATURATE};
use crate::tensor::{DType, SmallType, Tensor, TensorData};

/// A conversion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    /// Element type of the result.
    pub to: DType,
    /// Of 8-bit floats: numbers too large become the largest.
    pub saturate: bool,
    /// Of powers of two (float8 e8m0).
    pub rounding: Rounding,
}

/// Smallest and largest value of a float type that fit an integer type after truncation.
pub fn float_range(from: DType, to: DType) -> Option<(f64, f64)> {
    if !to.is_int() {
        return None;
    }
    let bits = 8 * to.size() as i32;
    let (lo, power) = match to.is_unsigned() {
        true => (0.0, bits),
        false => (-(2f64.powi(bits - 1)), bits - 1),
    };
    // One unit in the last place below a power of two, and not above the largest integer.
    let digits = if from == DType::F64 { 53 } else { 24 };
    let hi = 2f64.powi(power) - 2f64.powi((power - digits).max(0));
    Some((lo, hi))
}

/// An element on its way.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn to_f32(self) -> f32 {
        match self {
            Number::Int(v) => v as f32,
            Number::Float(v) => v as f32,
        }
    }

    fn to_f64(self) -> f64 {
        match self {
            Number::Int(v) => v as f64,
            Number::Float(v) => v,
        }
    }

    /// float32 that may be rounded again.
    fn to_odd_f32(self) -> f32 {
        match self {
            Number::Int(v) => v as f32,
            Number::Float(v) => small_float::rounded_to_odd(v),
        }
    }

    fn to_int(self, range: Option<(f64, f64)>) -> i128 {
        match (self, range) {
            (Number::Int(v), _) => v,
            (Number::Float(v), Some((lo, hi))) => {
                let v = if v > lo { v } else { lo };
                v.min(hi) as i128
            }
            (Number::Float(v), None) => i128::from(v != 0.0),
        }
    }
}

/// `None` for no type.
fn numbers(data: &TensorData) -> Option<Vec<Number>> {
    let float = |x: f32| Number::Float(x.into());
    let format = small_float::format(data.dtype());
    Some(match (data, format) {
        (TensorData::F64(v), _) => v.iter().map(|&x| Number::Float(x)).collect(),
        (TensorData::F32(v), _) => v.iter().map(|&x| float(x)).collect(),
        (TensorData::F16(v) | TensorData::BF16(v), Some(f)) => {
            v.iter().map(|&x| float(tinycc_rt::widen_float(x.into(), f))).collect()
        }
        (TensorData::Small(_, v), Some(f)) => {
            v.iter().map(|&x| float(tinycc_rt::widen_float(x.into(), f))).collect()
        }
        (TensorData::Small(SmallType::F8E8M0, v), _) => {
            v.iter().map(|&x| float(small_float::power(x))).collect()
        }
        (TensorData::Small(SmallType::I2 | SmallType::I4, v), _) => {
            v.iter().map(|&x| Number::Int(x.cast_signed().into())).collect()
        }
        (TensorData::Small(_, v), _) => v.iter().map(|&x| Number::Int(x.into())).collect(),
        _integers => data.to_i128()?.into_iter().map(Number::Int).collect(),
    })
}

/// The plain type whose numbers a type's elements are.
fn plain(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        DType::Small(SmallType::I2 | SmallType::I4 | SmallType::U2 | SmallType::U4) => DType::I32,
        DType::Small(_) => DType::F32,
        DType::I8
        | DType::U8
        | DType::I16
        | DType::U16
        | DType::I32
        | DType::U32
        | DType::I64
        | DType::U64
        | DType::F32
        | DType::F64
        | DType::Bool => dtype,
    }
}

impl Conversion {
    /// Converts a tensor.
    ///
    /// # Errors
    /// None in practice.
    pub fn eval(&self, s: &Signature<'_>, x: &Tensor) -> Result<Tensor, OpError> {
        let from = numbers(&x.data).ok_or_else(|| OpError::types(s))?.into_iter();
        let range = |to| float_range(plain(x.data.dtype()), to);
        let data = match (self.to, small_float::format(self.to)) {
            (DType::F32, _) => TensorData::F32(from.map(Number::to_f32).collect()),
            (DType::F64, _) => TensorData::F64(from.map(Number::to_f64).collect()),
            (to, Some(format)) => {
                let format = if self.saturates() { format | SATURATE } else { format };
                let codes = from.map(|v| tinycc_rt::narrow_float(v.to_odd_f32(), format) as u16);
                match to {
                    DType::F16 => TensorData::F16(codes.collect()),
                    DType::BF16 => TensorData::BF16(codes.collect()),
                    DType::Small(small) => {
                        TensorData::Small(small, codes.map(|c| c as u8).collect())
                    }
                    _other => return Err(OpError::types(s)),
                }
            }
            (DType::Small(SmallType::F8E8M0), _) => {
                let code = |v: Number| {
                    small_float::power_code(v.to_odd_f32(), self.rounding, self.saturate)
                };
                TensorData::Small(SmallType::F8E8M0, from.map(code).collect())
            }
            (DType::Small(small), _) => {
                let bits = from.map(|v| small.from_bits(v.to_int(range(DType::I32)) as u8));
                TensorData::Small(small, bits.collect())
            }
            (to, _) => {
                let ints: Vec<i128> = from.map(|v| v.to_int(range(to))).collect();
                TensorData::from_i128(to, &ints).ok_or_else(|| OpError::types(s))?
            }
        };
        Ok(Tensor { shape: x.shape.clone(), data })
    }

    /// float16 and bfloat16 have infinities for what is too large.
    fn saturates(&self) -> bool {
        self.saturate && matches!(self.to, DType::Small(_))
    }

    /// Builds the kernel.
    ///
    /// # Errors
    /// Missing operand or result.
    pub fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        let from = s.operand(0)?.dtype();
        k.for_("i", n, |k, i| {
            let v = k.load(x, i.clone());
            let number = number(k, v, from);
            let value = self.element(k, number, plain(from));
            k.store(y, i, value);
        });
        Ok(())
    }

    /// The element of type `to` for a number of a plain type.
    fn element(&self, k: &mut KernelBuilder, v: Expr, from: DType) -> Expr {
        if let Some(format) = small_float::format(self.to) {
            let format = if self.saturates() { format | SATURATE } else { format };
            let v = odd(k, v, from);
            return Expr::call(Intrinsic::NarrowFloat, vec![v, int(format.into())]);
        }
        if small_float::is_power(self.to) {
            return self.power_code(k, v, from);
        }
        let DType::Small(small) = self.to else { return whole(k, v, from, self.to) };
        // The low bits, with those above the sign like the sign.
        let v = whole(k, v, from, DType::I32).cast(Ty::U32);
        let mask = integer::literal((1 << small.bits()) - 1, Ty::U32);
        let low = Expr::bin(BinOp::And, v, mask).cast(Ty::I32);
        if !matches!(small, SmallType::I2 | SmallType::I4) {
            return low;
        }
        let sign = int(1 << (small.bits() - 1));
        Expr::bin(BinOp::Xor, low, sign.clone()) - sign
    }

    fn power_code(&self, k: &mut KernelBuilder, v: Expr, from: DType) -> Expr {
        let v = odd(k, v, from);
        let bits = Expr::call(Intrinsic::FloatBits, vec![v]);
        let bits = k.let_("bits", Expr::bin(BinOp::And, bits, int(0x7FFF_FFFF)));
        let exponent = k.let_("exponent", bits.clone().shifted_right(int(23)));
        let fraction = k.let_("fraction", Expr::bin(BinOp::And, bits, int(0x007F_FFFF)));
        let rounds = match self.rounding {
            Rounding::Up => fraction.gt(int(0)),
            Rounding::Down => return exponent,
            Rounding::Nearest => {
                // Half rounds up, but not from the smallest.
                let least = exponent.clone().gt(int(0)).select(int(0x0040_0000), int(0x0040_0001));
                fraction.ge(least)
            }
        };
        let last = if self.saturate { 254 } else { 255 };
        let up = exponent.clone().lt(int(last)).and(rounds);
        up.select(exponent.clone() + int(1), exponent)
    }
}

/// The number an element of type `from` stands for, as its plain type.
fn number(k: &mut KernelBuilder, v: Expr, from: DType) -> Expr {
    if let Some(format) = small_float::format(from) {
        return Expr::call(Intrinsic::WidenFloat, vec![v.cast(Ty::I32), int(format.into())]);
    }
    if small_float::is_power(from) {
        let code = k.let_("code", v.cast(Ty::I32));
        let is = |n| Expr::bin(BinOp::Eq, code.clone(), int(n));
        let shifted = Expr::bin(BinOp::Shl, code.clone().cast(Ty::U32), int(23)).cast(Ty::I32);
        let bits = is(255).select(int(0x7FC0_0000), shifted);
        let bits = is(0).select(int(0x0040_0000), bits);
        return Expr::call(Intrinsic::BitsFloat, vec![bits]);
    }
    v.cast(Ty::from(plain(from)))
}

/// A float32 that may be rounded again (see [`small_float::rounded_to_odd`]).
fn odd(k: &mut KernelBuilder, v: Expr, from: DType) -> Expr {
    if from != DType::F64 {
        return v.cast(Ty::F32);
    }
    let v = k.let_("v", v);
    let near = k.let_("near", v.clone().cast(Ty::F32));
    let back = k.let_("back", near.clone().cast(Ty::F64));
    let zero = float(0.0).cast(Ty::F64);
    let beyond = v
        .clone()
        .lt(zero)
        .select(back.clone().lt(v.clone()).cast(Ty::I32), back.clone().gt(v.clone()).cast(Ty::I32));
    let bits = Expr::call(Intrinsic::FloatBits, vec![near.clone()]) - beyond;
    let odd = Expr::call(Intrinsic::BitsFloat, vec![Expr::bin(BinOp::Or, bits, int(1))]);
    // NaN is neither below nor above.
    let differs = back.clone().lt(v.clone());
    let differs = Expr::bin(BinOp::LogicOr, differs, back.gt(v));
    differs.select(odd, near)
}

/// A number of a plain type as another plain type: floats are limited first, see [`float_range`].
fn whole(k: &mut KernelBuilder, v: Expr, from: DType, to: DType) -> Expr {
    match float_range(from, to) {
        _ if from == to => v,
        Some((lo, hi)) if from == DType::F32 => {
            let at_least = Expr::call(Intrinsic::MaxF32, vec![v, float(lo as f32)]);
            Expr::call(Intrinsic::MinF32, vec![at_least, float(hi as f32)]).cast(Ty::from(to))
        }
        Some((lo, hi)) if from == DType::F64 => {
            let v = k.let_("v", v);
            let at_least = k.let_("v", v.clone().gt(double(lo)).select(v, double(lo)));
            at_least.clone().lt(double(hi)).select(at_least, double(hi)).cast(Ty::from(to))
        }
        _ if to == DType::Bool => {
            let zero = match from.is_int() || from == DType::Bool {
                true => Expr::Int(0, Ty::from(from)),
                false => float(0.0).cast(Ty::from(from)),
            };
            Expr::bin(BinOp::Ne, v, zero)
        }
        _ => v.cast(Ty::from(to)),
    }
}

/// A float64 limit: 0, or the sum of a power of two and one unit in the last place.
fn double(value: f64) -> Expr {
    let high = value as f32;
    let rest = (value - f64::from(high)) as f32;
    let high = float(high).cast(Ty::F64);
    if rest == 0.0 { high } else { high + float(rest).cast(Ty::F64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_integers() {
        let cast = |v: f64, from, to| Number::Float(v).to_int(float_range(from, to));
        assert_eq!(cast(f64::NAN, DType::F32, DType::I8), -128);
        assert_eq!(cast(300.5, DType::F32, DType::I8), 127);
        assert_eq!(cast(f64::INFINITY, DType::F32, DType::I32), 2_147_483_520);
        assert_eq!(cast(f64::INFINITY, DType::F64, DType::I32), 2_147_483_647);
        assert_eq!(cast(-3.5, DType::F64, DType::U64), 0);
    }
}
