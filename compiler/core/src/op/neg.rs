//! Neg: -x. TFLite NEG.

use super::{OpError, Operator, Reuse, Signature, integer, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, float};

/// The operator has no attributes. TensorFlow Lite Micro has it in float32 only;
/// quantized int8 follows its float32 table rule. Plain integers wrap.
#[derive(Clone, Debug, PartialEq)]
pub struct Neg;

impl Operator for Neg {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer_numeric(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return unary::eval_int(s, inputs, |x| -x);
        }
        unary::eval_real(s, inputs, |x| -x)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if integer::is_plain(s) {
            let ty = integer::wrapping(s.operand(0)?.dtype());
            return unary::lower_int(s, k, ty, integer::negative);
        }
        unary::lower_f32(s, k, |x| x * float(-1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn integers_wrap() {
        crate::op::testing::check_integers_unary(Neg);
    }

    #[test]
    fn lowering_equals_evaluation() {
        check(Neg, &[Spec::f32(&[2, 31])], &[]);
        check(Neg, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
    }

    #[test]
    fn int8_saturates() {
        assert_eq!(eval_i8(&Neg, (0.5, 0), (0.5, 0), &[0, 3, -128]), [0, -3, 127]);
    }
}
