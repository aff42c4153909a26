//! Tanh: hyperbolic tangent. TFLite TANH.

use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder};
use crate::numeric::math;
use crate::op::unary::{self, Q4};

/// The operator has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Tanh;

impl Operator for Tanh {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [(scale, zero_point), _] = unary::quantization(s)?;
        let q4 = Q4::new(scale);
        let int8 = |x| q4.apply(i32::from(x) - zero_point, tinycc_rt::tanh_q4, 24, 0);
        unary::eval(s, inputs, math::tanh, int8)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Fixed { scale: 1.0 / 128.0, zero_point: 0 }
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| Expr::call(Intrinsic::Tanh, vec![x]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        check(Tanh, &[Spec::f32(&[2, 31])], &[]);
        check(Tanh, &[Spec::i8(&[3, 50], 0.03, -7)], &[(1.0 / 128.0, 0)]);
    }

    #[test]
    fn int8_saturates() {
        let y = eval_i8(&Tanh, (0.5, 0), (1.0 / 128.0, 0), &[-127, -1, 0, 1, 127]);
        assert_eq!(y, [-128, -59, 0, 59, 127]);
    }

    #[test]
    fn huge_scales_saturate_everywhere() {
        for scale in [8.0, 10.0, 1000.0] {
            let y = eval_i8(&Tanh, (scale, 0), (1.0 / 128.0, 0), &[-1, 0, 1]);
            assert_eq!(y, [-128, -128, 127], "as TensorFlow Lite Micro, zero included");
        }
    }
}
