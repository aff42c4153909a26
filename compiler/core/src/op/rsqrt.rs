//! Rsqrt: 1 / sqrt(x). TFLite RSQRT.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float};
use crate::numeric::Multiplier;

/// The operator has no attributes. int8: zero gives the largest result; negative numbers, where
/// TensorFlow Lite Micro stops with an error, do too.
#[derive(Clone, Debug, PartialEq)]
pub struct Rsqrt;

/// Fraction bits of the inverse root between the two rescalings.
const FRACTION: i32 = 20;

impl Operator for Rsqrt {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [(scale, zero_point), (result_scale, result_zero_point)] = unary::quantization(s)?;
        let rescale = 1.0 / (f64::from(scale).sqrt() * f64::from(result_scale));
        let rescale = Multiplier::from_real(rescale);
        let int8 = |x: i8| {
            let y = rsqrt_i8(i32::from(x) - zero_point, rescale);
            y.saturating_add(result_zero_point).clamp(-128, 127) as i8
        };
        unary::eval(s, inputs, |x| 1.0 / x.sqrt(), int8)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| float(1.0) / Expr::call(Intrinsic::Sqrt, vec![x]))
    }
}

/// Inverse root of `x`, already minus its zero point, rescaled; not yet plus the zero point.
/// Two steps as in TensorFlow Lite Micro, with [`FRACTION`] more bits between them.
fn rsqrt_i8(x: i32, rescale: Multiplier) -> i32 {
    let exponent = rescale.exponent - FRACTION;
    if x <= 0 || exponent > 30 {
        return i32::MAX;
    }
    if exponent < -31 {
        return 0;
    }
    let (root, shift) = (tinycc_rt::inv_sqrt_multiplier(x), tinycc_rt::inv_sqrt_exponent(x));
    let root = tinycc_rt::requantize(1, root, shift + FRACTION);
    tinycc_rt::requantize(root, rescale.mantissa, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        check(Rsqrt, &[Spec::f32(&[2, 31])], &[]);
        check(Rsqrt, &[Spec::i8(&[3, 50], 0.05, -128)], &[(0.04, 3)]);
    }

    #[test]
    fn int8_is_total() {
        let y = eval_i8(&Rsqrt, (1.0, 0), (0.01, 0), &[1, 4, 16, 0, -1]);
        assert_eq!(y, [100, 50, 25, 127, 127]);
        assert_eq!(rsqrt_i8(1, Multiplier::of(1 << 30, 60)), i32::MAX);
        assert_eq!(rsqrt_i8(1, Multiplier::of(1 << 30, -31)), 0);
    }
}
