//! Gelu: x * P(X <= x) of the standard normal distribution. TFLite GELU.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float};
use crate::numeric::math;
use std::f32::consts::FRAC_1_SQRT_2;

/// TensorFlow Lite Micro lacks it; int8 follows its float32 table rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Gelu {
    /// Tanh form instead of the error function.
    pub approximate: bool,
}

/// sqrt(2 / pi).
const ROOT_2_OVER_PI: f32 = 0.797_884_6;
/// Coefficient of x^3 in the tanh form.
const CUBIC: f32 = 0.044_715;

impl Operator for Gelu {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        unary::eval_real(s, inputs, |x| {
            let bend = if self.approximate {
                math::tanh(ROOT_2_OVER_PI * (x + CUBIC * x * x * x))
            } else {
                math::erf(x * FRAC_1_SQRT_2)
            };
            0.5 * x * (1.0 + bend)
        })
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32_named(s, k, |x| {
            let bend = if self.approximate {
                let cube = float(CUBIC) * x.clone() * x.clone() * x.clone();
                let inner = float(ROOT_2_OVER_PI) * (x.clone() + cube);
                Expr::call(Intrinsic::Tanh, vec![inner])
            } else {
                Expr::call(Intrinsic::Erf, vec![x.clone() * float(FRAC_1_SQRT_2)])
            };
            float(0.5) * x * (float(1.0) + bend)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        for approximate in [false, true] {
            check(Gelu { approximate }, &[Spec::f32(&[2, 31])], &[]);
            check(Gelu { approximate }, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
        }
    }

    #[test]
    fn the_two_forms_differ() {
        let y = |approximate| {
            eval_i8(&Gelu { approximate }, (1.0, 0), (0.0001, 0), &[0, -3, -100, 100])
        };
        assert_eq!(y(false), [0, -40, 0, 127]);
        assert_eq!(y(true), [0, -36, 0, 127]);
    }
}
