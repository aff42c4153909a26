//! Logistic (sigmoid): 1 / (1 + e^-x). TFLite LOGISTIC.

use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::graph::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float};
use crate::numeric::{Multiplier, math};
use crate::op::unary;

/// The operator has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic;

impl Operator for Logistic {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let (scale, zero_point) = match s.operand(0)?.dtype() {
            DType::I8 => s.operand(0)?.per_tensor()?,
            _float => (1.0, 0),
        };
        unary::eval(
            s,
            inputs,
            |x| 1.0 / (1.0 + math::exp(-x)),
            |x| logistic_i8(i32::from(x) - zero_point, scale),
        )
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Fixed { scale: 1.0 / 256.0, zero_point: -128 }
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| {
            let e = Expr::call(Intrinsic::Exp, vec![float(0.0) - x]);
            float(1.0) / (float(1.0) + e)
        })
    }
}

/// Fixed-point int8 logistic (numerics 4.3); `x` is already minus its zero point.
fn logistic_i8(x: i32, scale: f32) -> i8 {
    let m = Multiplier::from_real(f64::from(scale) * f64::from(1u32 << 27));
    let radius = (15.0 * f64::from(1u32 << 27) / 2f64.powi(m.exponent)).floor() as i64;
    if i64::from(x) <= -radius {
        return -128;
    }
    if i64::from(x) >= radius {
        return 127;
    }
    let y = tinycc_rt::logistic_q4(m.apply(x));
    (tinycc_rt::rounding_divide_by_pot(y, 23) - 128).clamp(-128, 127) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        check(Logistic, &[Spec::f32(&[2, 31])], &[]);
    }

    #[test]
    fn int8_saturates_and_is_symmetric() {
        assert_eq!(logistic_i8(-127, 0.5), -128);
        assert_eq!(logistic_i8(0, 0.5), 0);
        assert_eq!(logistic_i8(127, 0.5), 127);
    }
}
