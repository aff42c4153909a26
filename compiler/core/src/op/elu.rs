//! Elu: x for x >= 0, e^x - 1 below. TFLite ELU.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float};
use crate::numeric::math;

/// The operator has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Elu;

impl Operator for Elu {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    /// float32 through expm1, the int8 table through exp, as TensorFlow Lite Micro.
    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let int8 = s.operand(0)?.dtype() == DType::I8;
        let below = |x: f32| if int8 { math::exp(x) - 1.0 } else { math::expm1(x) };
        unary::eval_real(s, inputs, |x| if x < 0.0 { below(x) } else { x })
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32_named(s, k, |x| {
            let below = Expr::call(Intrinsic::Expm1, vec![x.clone()]);
            x.clone().lt(float(0.0)).select(below, x)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        check(Elu, &[Spec::f32(&[2, 31])], &[]);
        check(Elu, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
    }

    #[test]
    fn int8_rounds_to_nearest() {
        let y = eval_i8(&Elu, (0.1, 0), (0.1, 0), &[0, 9, -10, -128]);
        assert_eq!(y, [0, 9, -6, -10]);
    }
}
