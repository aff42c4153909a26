//! AveragePool2d over NHWC: mean of the taps inside the input. TFLite AVERAGE_POOL_2D.

use super::pool::PoolAttributes;
use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::pool::{PoolKind, Ties};
use crate::kir::KernelBuilder;

/// y = activation(sum / number of taps inside the input); int8 works on raw values and rounds half
/// away from zero (numerics 4.1), ONNX's to the even distance from the zero point.
#[derive(Clone, Debug, PartialEq)]
pub struct AveragePool2d(pub PoolAttributes);

impl Operator for AveragePool2d {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        self.0.infer(s, PoolKind::Average)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let quant = s.results.first().and_then(|r| r.quant);
        let ties = quant.map_or(Ties::Away, Ties::of);
        self.0.eval(
            s,
            inputs,
            PoolKind::Average,
            |taps| {
                let sum: i32 = taps.iter().map(|&v| i32::from(v)).sum();
                ties.mean(sum, taps.len() as i32)
            },
            |taps| taps.iter().fold(0.0, |sum, v| sum + v) / taps.len() as f32,
        )
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        self.0.reuse(s, PoolKind::Average)
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn has_channels(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        self.0.lower(s, k, PoolKind::Average)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lowering_equals_evaluation() {
        crate::op::pool::check_all(super::AveragePool2d);
    }
}
