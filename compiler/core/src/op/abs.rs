//! Abs: |x|. TFLite ABS.

use super::{OpError, Operator, Reuse, Signature, integer, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder};
use crate::numeric::Multiplier;

/// The operator has no attributes. Of plain integers the smallest stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Abs;

impl Operator for Abs {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer_numeric(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return unary::eval_int(s, inputs, i128::abs);
        }
        let [(scale, zero_point), (result_scale, result_zero_point)] = unary::quantization(s)?;
        let rescale = Multiplier::from_real(f64::from(scale) / f64::from(result_scale));
        let int8 = |x: i8| {
            let y = rescale.apply((i32::from(x) - zero_point).abs());
            y.saturating_add(result_zero_point).clamp(-128, 127) as i8
        };
        unary::eval(s, inputs, f32::abs, int8)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if integer::is_plain(s) {
            return unary::lower_int(s, k, integer::ordered(dtype), |x| {
                let zero = integer::literal(0, x.ty());
                x.clone().lt(zero).select(integer::negative(x.clone()), x)
            });
        }
        unary::lower_f32(s, k, |x| Expr::call(Intrinsic::FAbs, vec![x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn integers_wrap() {
        crate::op::testing::check_integers_unary(Abs);
    }

    #[test]
    fn lowering_equals_evaluation() {
        check(Abs, &[Spec::f32(&[2, 31])], &[]);
        check(Abs, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
    }

    #[test]
    fn int8_saturates() {
        let y = eval_i8(&Abs, (0.5, 10), (0.5, -8), &[10, 12, 8, -128, 127]);
        assert_eq!(y, [-8, -6, -6, 127, 109]);
    }
}
