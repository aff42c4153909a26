//! Log: natural logarithm. TFLite LOG.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder};
use crate::numeric::math;

/// The operator has no attributes. TensorFlow Lite Micro has it in float32 only;
/// int8 follows its float32 table rule.
/// Outside the domain: 0 gives the smallest result, negative numbers that of real 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Log;

impl Operator for Log {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        unary::eval_real(s, inputs, math::log)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| Expr::call(Intrinsic::Log, vec![x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        check(Log, &[Spec::f32(&[2, 31])], &[]);
        check(Log, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
    }

    #[test]
    fn int8_is_total() {
        assert_eq!(eval_i8(&Log, (1.0, 0), (0.1, 5), &[1, 2, 10, 0, -1]), [5, 12, 28, -128, 5]);
    }
}
