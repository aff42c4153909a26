//! Minimum over dimensions. TFLite REDUCE_MIN.

use super::reduce::{self, ReduceAttributes};
use super::{OpError, Operator, QuantRule, Signature};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float, int};

/// Minimum of the reduced elements; int8 compares raw values.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceMin(pub ReduceAttributes);

impl Operator for ReduceMin {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = self.0.infer(s)?;
        reduce::same_quantization(s)?;
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if s.operand(0)?.dtype() == DType::I8 {
            return self.0.eval_i8(s, inputs, 127, i32::min, |v| v as i8);
        }
        self.0.eval_f32(s, inputs, f32::MAX, tinycc_rt::min_f32, |v| v)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (start, f) = if s.operand(0)?.dtype() == DType::I8 {
            (int(127), Intrinsic::MinI32)
        } else {
            (float(f32::MAX), Intrinsic::MinF32)
        };
        self.0.lower(s, k, &start, &|a, b| Expr::call(f, vec![a, b]), &|_, v| v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowering_equals_evaluation() {
        reduce::check_all((0.05, -11), ReduceMin);
    }
}
