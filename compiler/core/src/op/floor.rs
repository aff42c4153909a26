//! Floor: greatest integer not above x. TFLite FLOOR.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder};

/// The operator has no attributes. TensorFlow Lite Micro has it in float32 only;
/// int8 follows its float32 table rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Floor;

impl Operator for Floor {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        unary::eval_real(s, inputs, f32::floor)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| Expr::call(Intrinsic::Floor, vec![x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        check(Floor, &[Spec::f32(&[2, 31])], &[]);
        check(Floor, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
    }

    #[test]
    fn int8_rounds_down() {
        assert_eq!(eval_i8(&Floor, (0.5, 0), (1.0, 0), &[0, 1, 3, -1, -2]), [0, 0, 1, -1, -1]);
    }
}
