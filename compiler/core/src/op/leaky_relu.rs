//! LeakyRelu: x for x > 0, alpha * x below. TFLite LEAKY_RELU.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, float};
use crate::numeric::Multiplier;

/// int8: both branches rescale with scales combined in double (numerics 4.1).
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    /// Slope below zero; may be negative or above 1.
    pub alpha: f32,
}

impl Operator for LeakyRelu {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        if !self.alpha.is_finite() {
            return Err(OpError::invalid(format!("alpha {} is not a finite number", self.alpha)));
        }
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [(scale, zero_point), (result_scale, result_zero_point)] = unary::quantization(s)?;
        let ratio = |slope: f32| {
            f64::from(scale) * f64::from(slope) / f64::from(result_scale)
        };
        let (above, below) = (ratio(1.0), ratio(self.alpha));
        let (above, below) = (Multiplier::from_real(above), Multiplier::from_real(below));
        let int8 = |x: i8| {
            let x = i32::from(x) - zero_point;
            let y = if x >= 0 { above.apply(x) } else { below.apply(x) };
            y.saturating_add(result_zero_point).clamp(-128, 127) as i8
        };
        unary::eval(s, inputs, |x| if x > 0.0 { x } else { x * self.alpha }, int8)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        unary::lower_f32_named(s, k, |x| {
            x.clone().gt(float(0.0)).select(x.clone(), x * float(self.alpha))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, eval_i8};

    #[test]
    fn lowering_equals_evaluation() {
        for alpha in [0.1, 1.5, -0.3, 0.0] {
            check(LeakyRelu { alpha }, &[Spec::f32(&[2, 31])], &[]);
            check(LeakyRelu { alpha }, &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
        }
    }

    #[test]
    fn int8_branches_meet_at_zero() {
        let y = eval_i8(&LeakyRelu { alpha: -0.5 }, (0.1, 0), (0.1, 1), &[-128, -2, 0, 2, 127]);
        assert_eq!(y, [65, 2, 1, 3, 127]);
    }
}
