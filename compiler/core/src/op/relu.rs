//! Relu and its bounded relatives as operators of their own. TFLite RELU, RELU6, RELU_N1_TO_1.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::KernelBuilder;
use crate::numeric::{Activation, Multiplier};

/// The int8 forms differ as they do in TensorFlow Lite Micro: `Relu` rescales and clamps; `Relu6`
/// clamps in the operand's quantization and leaves the numbers as they are, whatever the result
/// declares. It lacks `ReluN1To1`, which follows its float32 table rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Relu {
    /// Which bounds; `None` has none.
    pub kind: Activation,
}

impl Operator for Relu {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [(scale, zero_point), (result_scale, result_zero_point)] = unary::quantization(s)?;
        let real = |x| self.kind.apply_f32(x);
        match self.kind {
            Activation::ReluN1To1 => unary::eval_real(s, inputs, real),
            Activation::Relu6 => {
                let (lo, hi) = self.kind.range_i8(scale, zero_point);
                unary::eval(s, inputs, real, |x| i32::from(x).clamp(lo, hi) as i8)
            }
            Activation::None | Activation::Relu => {
                let (lo, hi) = self.kind.range_i8(result_scale, result_zero_point);
                let rescale = Multiplier::from_real(f64::from(scale) / f64::from(result_scale));
                let int8 = |x: i8| {
                    let y = rescale.apply(i32::from(x) - zero_point);
                    y.saturating_add(result_zero_point).clamp(lo, hi) as i8
                };
                unary::eval(s, inputs, real, int8)
            }
        }
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32(s, k, |x| self.kind.lower_f32(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    const KINDS: [Activation; 4] =
        [Activation::None, Activation::Relu, Activation::Relu6, Activation::ReluN1To1];

    #[test]
    fn lowering_equals_evaluation() {
        for kind in KINDS {
            check(Relu { kind }, &[Spec::f32(&[2, 31])], &[]);
            check(Relu { kind }, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
        }
    }

    #[test]
    fn int8_bounds() {
        let y = KINDS.map(|kind| {
            eval_i8(&Relu { kind }, (0.5, 4), (0.25, 0), &[-1, 4, 5, 100])
        });
        assert_eq!(y, [[-10, 0, 2, 127], [0, 0, 2, 127], [4, 4, 5, 16], [-4, 0, 2, 4]]);
    }
}
