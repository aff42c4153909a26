//! Cast: converts element types; quantization plays no part. TFLite CAST.

use super::{OpError, Operator, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kir::{BinOp, Expr, Intrinsic, KernelBuilder, Ty, float};

/// y = x as the type `to`.
///
/// Integers wrap. float32 to integer truncates towards zero; values that do not fit saturate to
/// the nearest float32 that does, and NaN gives the lowest (C leaves both undefined). To bool:
/// whether it is not zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Element type of the result.
    pub to: DType,
}

/// Smallest and largest float32 that fit an integer type after truncation.
fn float_range(to: DType) -> Option<(f32, f32)> {
    // One unit in the last place below a power of two.
    let below = |power: f32| f32::from_bits(power.to_bits() - 1);
    match to {
        DType::I8 => Some((-128.0, 127.0)),
        DType::I16 => Some((-32768.0, 32767.0)),
        DType::I32 => Some((-2_147_483_648.0, below(2_147_483_648.0))),
        DType::I64 => {
            Some((-9_223_372_036_854_775_808.0, below(9_223_372_036_854_775_808.0)))
        }
        DType::F32 | DType::Bool => None,
    }
}

/// An element on its way.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f32),
}

impl Number {
    fn to_float(self) -> f32 {
        match self {
            Number::Int(v) => v as f32,
            Number::Float(v) => v,
        }
    }

    fn to_int(self, to: DType) -> i64 {
        match (self, float_range(to)) {
            (Number::Int(v), _) => v,
            (Number::Float(v), Some((lo, hi))) => {
                tinycc_rt::min_f32(tinycc_rt::max_f32(v, lo), hi) as i64
            }
            (Number::Float(v), None) => v as i64,
        }
    }

    fn to_bool(self) -> u8 {
        u8::from(match self {
            Number::Int(v) => v != 0,
            Number::Float(v) => v != 0.0,
        })
    }
}

fn numbers(data: &TensorData) -> Vec<Number> {
    match data {
        TensorData::I8(v) => v.iter().map(|&x| Number::Int(i64::from(x))).collect(),
        TensorData::I16(v) => v.iter().map(|&x| Number::Int(i64::from(x))).collect(),
        TensorData::I32(v) => v.iter().map(|&x| Number::Int(i64::from(x))).collect(),
        TensorData::I64(v) => v.iter().map(|&x| Number::Int(x)).collect(),
        TensorData::F32(v) => v.iter().map(|&x| Number::Float(x)).collect(),
        TensorData::Bool(v) => v.iter().map(|&x| Number::Int(i64::from(x))).collect(),
    }
}

impl Operator for Cast {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        Ok(vec![TensorType::new(self.to, s.operand(0)?.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let from = numbers(&x.data).into_iter();
        let data = match self.to {
            DType::I8 => TensorData::I8(from.map(|v| v.to_int(self.to) as i8).collect()),
            DType::I16 => TensorData::I16(from.map(|v| v.to_int(self.to) as i16).collect()),
            DType::I32 => TensorData::I32(from.map(|v| v.to_int(self.to) as i32).collect()),
            DType::I64 => TensorData::I64(from.map(|v| v.to_int(self.to)).collect()),
            DType::F32 => TensorData::F32(from.map(Number::to_float).collect()),
            DType::Bool => TensorData::Bool(from.map(Number::to_bool).collect()),
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
        k.for_("i", n, |k, i| {
            let v = k.load(x, i.clone());
            let value = match (from, float_range(self.to)) {
                (_, _) if from == self.to => v,
                (DType::F32, Some((lo, hi))) => {
                    let at_least = Expr::call(Intrinsic::MaxF32, vec![v, float(lo)]);
                    Expr::call(Intrinsic::MinF32, vec![at_least, float(hi)])
                }
                (DType::F32, None) => Expr::bin(BinOp::Ne, v, float(0.0)),
                (_, None) if self.to == DType::Bool => {
                    let zero = Expr::Int(0, Ty::from(from));
                    Expr::bin(BinOp::Ne, v, zero)
                }
                (_, _) => v,
            };
            k.store(y, i, value);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data};

    const ALL: [DType; 6] =
        [DType::I8, DType::I16, DType::I32, DType::I64, DType::F32, DType::Bool];

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
        assert_eq!(Number::Float(f32::NAN).to_int(DType::I8), -128);
        assert_eq!(Number::Float(300.5).to_int(DType::I8), 127);
        assert_eq!(Number::Float(f32::INFINITY).to_int(DType::I32), 2_147_483_520);
    }
}
