//! Round: to the nearest integer, ties to the even one. ONNX Round.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::kir::{Expr, Intrinsic, KernelBuilder};
use crate::tensor::{DType, Tensor, TensorType};

/// The operator has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Round;

impl Operator for Round {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        unary::eval_real(s, inputs, tinycc_rt::round_half_even_f32)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| Expr::call(Intrinsic::RoundHalfEvenF32, vec![x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data};
    use crate::tensor::TensorData;

    #[test]
    fn lowering_equals_evaluation() {
        check(Round, &[Spec::f32(&[2, 31])], &[]);
        check(Round, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
        let ties = vec![-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 8388607.5, 1e30, f32::NAN];
        check_data(Round, TensorData::F32(ties), &[]);
    }
}
