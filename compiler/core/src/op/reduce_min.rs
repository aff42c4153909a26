//! Minimum over dimensions. TFLite REDUCE_MIN.

use super::reduce::{self, ReduceAttributes};
use super::{OpError, Operator, QuantRule, Signature, integer};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float, int};

/// Minimum of the reduced elements; int8 compares raw values.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceMin(pub ReduceAttributes);

impl Operator for ReduceMin {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = match integer::is_plain_or_bool(s) {
            true => self.0.infer_any(s)?,
            false => self.0.infer(s)?,
        };
        reduce::same_quantization(s)?;
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain_or_bool(s) {
            let start = integer::limits(s.operand(0)?.dtype()).1;
            return self.0.eval_int(s, inputs, start, i128::min);
        }
        if s.operand(0)?.dtype() == DType::I8 {
            return self.0.eval_i8(s, inputs, 127, i32::min, |v| v as i8);
        }
        self.0.eval_f32(s, inputs, f32::INFINITY, tinycc_rt::min_f32, |v| v)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if integer::is_plain_or_bool(s) {
            let start = integer::limits(dtype).1;
            return self.0.lower_int(s, k, (start, integer::ordered(dtype)), &integer::smaller);
        }
        let (start, f) = if s.operand(0)?.dtype() == DType::I8 {
            (int(127), Intrinsic::MinI32)
        } else {
            (float(f32::INFINITY), Intrinsic::MinF32)
        };
        self.0.lower(s, k, &start, &|a, b| Expr::call(f, vec![a, b]), &|_, v| v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_truth_values() {
        reduce::check_integers(&[DType::Bool], ReduceMin);
    }

    #[test]
    fn lowering_equals_evaluation() {
        reduce::check_all((0.05, -11), ReduceMin);
    }
}
