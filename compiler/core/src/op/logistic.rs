//! Logistic (sigmoid): 1 / (1 + e^-x). TFLite LOGISTIC.

use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float};
use crate::numeric::math;
use crate::op::unary::{self, Q4};

/// The operator has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic;

impl Operator for Logistic {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [(scale, zero_point), _] = unary::quantization(s)?;
        let q4 = Q4::new(scale);
        unary::eval(
            s,
            inputs,
            |x| 1.0 / (1.0 + math::exp(-x)),
            |x| q4.apply(i32::from(x) - zero_point, tinycc_rt::logistic_q4, 23, -128),
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
        let at = |x| Q4::new(0.5).apply(x, tinycc_rt::logistic_q4, 23, -128);
        assert_eq!((at(-127), at(0), at(127)), (-128, 0, 127));
    }
}
