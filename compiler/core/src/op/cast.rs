//! Cast: converts element types; quantization plays no part. TFLite CAST.

use super::{OpError, Operator, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kir::{BinOp, Expr, Intrinsic, KernelBuilder, Ty, float};

/// y = x as the type `to`.
///
/// Integers wrap. Floats to integer truncate towards zero; values that do not fit saturate to
/// the nearest float of their own type that does, and NaN gives the lowest (C leaves both
/// undefined). To bool: whether it is not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Element type of the result.
    pub to: DType,
}

/// Smallest and largest value of a float type that fit an integer type after truncation.
fn float_range(from: DType, to: DType) -> Option<(f64, f64)> {
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

/// `None` for types without arithmetic.
fn numbers(data: &TensorData) -> Option<Vec<Number>> {
    if let TensorData::F32(v) = data {
        return Some(v.iter().map(|&x| Number::Float(x.into())).collect());
    }
    if let TensorData::F64(v) = data {
        return Some(v.iter().map(|&x| Number::Float(x)).collect());
    }
    Some(data.to_i128()?.into_iter().map(Number::Int).collect())
}

/// Whether the elements of a type are numbers as they lie in memory.
fn is_plain(dtype: DType) -> bool {
    dtype.is_int() || matches!(dtype, DType::Bool | DType::F32 | DType::F64)
}

impl Operator for Cast {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if x.dtype() != self.to && !(is_plain(x.dtype()) && is_plain(self.to)) {
            return Err(OpError::types(s));
        }
        Ok(vec![TensorType::new(self.to, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        if x.data.dtype() == self.to {
            return Ok(vec![(*x).clone()]);
        }
        let from = numbers(&x.data).ok_or_else(|| OpError::types(s))?.into_iter();
        let data = if self.to == DType::F32 {
            TensorData::F32(from.map(Number::to_f32).collect())
        } else if self.to == DType::F64 {
            TensorData::F64(from.map(Number::to_f64).collect())
        } else {
            let range = float_range(x.data.dtype(), self.to);
            let ints: Vec<i128> = from.map(|v| v.to_int(range)).collect();
            TensorData::from_i128(self.to, &ints).ok_or_else(|| OpError::types(s))?
        };
        Ok(vec![Tensor { shape: x.shape.clone(), data }])
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        match s.operands.first() {
            Some(x) if x.dtype() == self.to => Reuse::Alias,
            // Not in place even where sizes agree: C may not see one object as two types.
            _other_type => Reuse::None,
        }
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        let from = s.operand(0)?.dtype();
        let range = float_range(from, self.to);
        k.for_("i", n, |k, i| {
            let v = k.load(x, i.clone());
            let value = match range {
                _ if from == self.to => v,
                Some((lo, hi)) if from == DType::F32 => {
                    let at_least = Expr::call(Intrinsic::MaxF32, vec![v, float(lo as f32)]);
                    Expr::call(Intrinsic::MinF32, vec![at_least, float(hi as f32)])
                }
                Some((lo, hi)) if from == DType::F64 => {
                    let v = k.let_("v", v);
                    let at_least = k.let_("v", v.clone().gt(double(lo)).select(v, double(lo)));
                    at_least.clone().lt(double(hi)).select(at_least, double(hi))
                }
                _ if self.to == DType::Bool => {
                    let zero = match from.is_int() || from == DType::Bool {
                        true => Expr::Int(0, Ty::from(from)),
                        false => float(0.0).cast(Ty::from(from)),
                    };
                    Expr::bin(BinOp::Ne, v, zero)
                }
                _ => v,
            };
            k.store(y, i, value);
        });
        Ok(())
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
    use crate::op::testing::{Spec, check, check_data};

    const ALL: [DType; 11] = [
        DType::I8,
        DType::U8,
        DType::I16,
        DType::U16,
        DType::I32,
        DType::U32,
        DType::I64,
        DType::U64,
        DType::F32,
        DType::F64,
        DType::Bool,
    ];

    #[test]
    fn lowering_equals_evaluation() {
        for from in ALL {
            for to in ALL {
                check(Cast { to }, &[Spec::of(from, &[3, 11])], &[]);
            }
        }
    }

    #[test]
    fn floats_that_do_not_fit() {
        let odd = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e30, -1e30, 2147483648.0];
        for to in ALL {
            check_data(Cast { to }, TensorData::F32(odd.clone()), &[]);
        }
        let doubles = odd.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        for to in ALL {
            check_data(Cast { to }, TensorData::F64(doubles.clone()), &[]);
        }
        let cast = |v: f64, from, to| Number::Float(v).to_int(float_range(from, to));
        assert_eq!(cast(f64::NAN, DType::F32, DType::I8), -128);
        assert_eq!(cast(300.5, DType::F32, DType::I8), 127);
        assert_eq!(cast(f64::INFINITY, DType::F32, DType::I32), 2_147_483_520);
        assert_eq!(cast(f64::INFINITY, DType::F64, DType::I32), 2_147_483_647);
        assert_eq!(cast(-3.5, DType::F64, DType::U64), 0);
    }
}
