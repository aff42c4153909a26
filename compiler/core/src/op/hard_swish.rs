//! HardSwish: x * min(max(x + 3, 0), 6) / 6. TFLite HARD_SWISH.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, float};
use crate::numeric::{Activation, Multiplier};

/// The operator has no attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct HardSwish;

impl Operator for HardSwish {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = unary::infer(s, &[DType::I8, DType::F32])?;
        if Fixed::new(s)?.output.exponent > 0 {
            return Err(OpError::unsupported(
                "int8 HardSwish needs a result scale of at least 1/128 of the operand's",
            ));
        }
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let fixed = Fixed::new(s)?;
        let real = |x: f32| x * Activation::Relu6.apply_f32(x + 3.0) / 6.0;
        unary::eval(s, inputs, real, |x| fixed.apply(i32::from(x)))
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32_named(s, k, |x| {
            x.clone() * Activation::Relu6.lower_f32(x + float(3.0)) / float(6.0)
        })
    }
}

/// The int8 form in 16-bit fixed point (numerics 4.3); scales are combined in float32.
struct Fixed {
    zero_points: [i32; 2],
    /// From 1/128 of the operand's scale to the result's.
    output: Multiplier,
    /// From 1/128 of the operand's scale to the one where 3.0 is 2^15.
    gate: Multiplier,
}

impl Fixed {
    fn new(s: &Signature<'_>) -> Result<Self, OpError> {
        let [(scale, zero_point), (result_scale, result_zero_point)] = unary::quantization(s)?;
        let fine = scale * (1.0 / 128.0);
        Ok(Self {
            zero_points: [zero_point, result_zero_point],
            output: Multiplier::from_real(f64::from(fine / result_scale)),
            gate: Multiplier::from_real(f64::from(fine / (3.0 / 32768.0))),
        })
    }

    fn apply(&self, x: i32) -> i8 {
        let fine = (x - self.zero_points[0]) * 128;
        let before_shift = rounding_high_mul_16(fine, high_half(self.output));
        // The gate, in Q0.15, goes from 0 at -3 to 1 at 3.
        let left = self.gate.exponent.max(0);
        let mut gate = saturate_16(i64::from(fine) << (left - 1).clamp(0, 16));
        gate = rounding_high_mul_16(gate, high_half(self.gate));
        if left > 0 {
            gate = saturate_16(i64::from(gate) * 2);
        }
        gate = rounding_divide_16(gate, -self.gate.exponent);
        gate = (gate + (1 << 15)) >> 1;
        let product = gate * before_shift / (1 << 15);
        let y = rounding_divide_16(product, -self.output.exponent) + self.zero_points[1];
        y.clamp(-128, 127) as i8
    }
}

/// The multiplier's mantissa as Q0.15.
fn high_half(m: Multiplier) -> i32 {
    ((i64::from(m.mantissa) + (1 << 15)) >> 16).min(0x7FFF) as i32
}

fn saturate_16(x: i64) -> i32 {
    x.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i32
}

/// 2 * a * b / 2^16 of 16-bit numbers to nearest, ties away from zero.
fn rounding_high_mul_16(a: i32, b: i32) -> i32 {
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    saturate_16((product + nudge) / (1 << 15))
}

/// x / 2^shift of a 16-bit number to nearest, ties away from zero; nothing for `shift <= 0`.
/// From shift 16 on TensorFlow Lite Micro's 16-bit mask wraps, and the sign of `x` remains.
fn rounding_divide_16(x: i32, shift: i32) -> i32 {
    match shift {
        16.. if x < 0 => -1,
        16.. => 1,
        _inside => tinycc_rt::rounding_divide_by_pot(x, shift.max(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        check(HardSwish, &[Spec::f32(&[2, 31])], &[]);
        check(HardSwish, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
        check(HardSwish, &[Spec::i8(&[3, 50], 20.0, -7)], &[(20.0, 3)]);
    }

    #[test]
    fn far_coarser_results_keep_a_sign() {
        assert_eq!(eval_i8(&HardSwish, (0.001, 0), (5.0, 5), &[-128, 0, 127]), [4, 6, 6]);
    }

    #[test]
    fn int8_is_zero_below_and_linear_above() {
        let y = eval_i8(&HardSwish, (0.1, 0), (0.1, 5), &[-128, -30, 0, 30, 60, 127]);
        assert_eq!(y, [5, 5, 5, 35, 65, 127]);
    }
}
