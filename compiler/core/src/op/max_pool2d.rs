//! MaxPool2d over NHWC: largest of the taps inside the input. TFLite MAX_POOL_2D.

use super::pool::PoolAttributes;
use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::pool::PoolKind;
use crate::kir::KernelBuilder;

/// y = activation(max of the taps inside the input). A NaN tap never wins, as in TensorFlow Lite.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d(pub PoolAttributes);

impl Operator for MaxPool2d {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        self.0.infer(s, PoolKind::Max)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        self.0.eval(
            s,
            inputs,
            PoolKind::Max,
            |taps| taps.iter().copied().max().map_or(-128, i32::from),
            |taps| taps.iter().fold(f32::MIN, |max, &v| tinycc_rt::max_f32(v, max)),
        )
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        self.0.reuse(s, PoolKind::Max)
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn has_channels(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        self.0.lower(s, k, PoolKind::Max)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lowering_equals_evaluation() {
        crate::op::pool::check_all(super::MaxPool2d);
    }
}
