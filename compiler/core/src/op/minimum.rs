//! Minimum of two operands with broadcasting. TFLite MINIMUM.

use super::{OpError, Operator, QuantRule, Reuse, Signature, binary, integer};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, Ty};

/// y = min(a, b). int8 compares raw values, as TensorFlow Lite Micro does: operands and result
/// are meant to share scale and zero point. Plain integers are of any type.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum;

impl Operator for Minimum {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer_numeric(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let dtype = s.operand(0)?.dtype();
        if dtype == DType::F32 {
            return binary::eval_f32(s, inputs, tinycc_rt::min_f32);
        }
        if integer::is_plain(s) {
            return binary::eval_int(s, inputs, i128::min);
        }
        binary::eval_i8(s, inputs, |a, b| a.min(b))
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if dtype == DType::F32 {
            let function = Intrinsic::MinF32;
            return binary::lower(s, k, |_, a, b| Expr::call(function, vec![a, b]));
        }
        let ty = integer::ordered(dtype);
        if ty == Ty::I32 {
            return binary::lower(s, k, |_, a, b| integer::smaller(a, b));
        }
        binary::lower_int(s, k, ty, |_, a, b| integer::smaller(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        let (a, b) = (Spec::i8(&[2, 3, 5], 0.05, -3), Spec::i8(&[3, 1], 0.05, -3));
        check(Minimum, &[a, b], &[(0.05, -3)]);
        crate::op::testing::check_integers(Minimum, |dtype| {
            [Spec::of(dtype, &[2, 3]), Spec::of(dtype, &[3])]
        });
        check(Minimum, &[Spec::f32(&[4, 1, 3]), Spec::f32(&[2, 3])], &[]);
    }
}
