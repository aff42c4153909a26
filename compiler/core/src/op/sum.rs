//! Sum over dimensions. TFLite SUM.

use super::reduce::{ReduceAttributes, RescaledSum};
use super::{OpError, Operator, Signature, integer};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, float};

/// Sum of the reduced elements; plain integers wrap.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum(pub ReduceAttributes);

impl Sum {
    fn rescale(&self, s: &Signature<'_>) -> Result<RescaledSum, OpError> {
        RescaledSum::new(s, self.0.plan(s)?.count, |m| m)
    }
}

impl Operator for Sum {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = self.0.infer_numeric(s)?;
        if s.operand(0)?.dtype() == DType::I8 && !integer::is_plain(s) {
            self.rescale(s)?;
        }
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return self.0.eval_int(s, inputs, 0, i128::wrapping_add);
        }
        if s.operand(0)?.dtype() == DType::I8 {
            return self.rescale(s)?.eval(&self.0, s, inputs);
        }
        self.0.eval_f32(s, inputs, 0.0, |a, b| a + b, |sum| sum)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if integer::is_plain(s) {
            let ty = integer::wrapping(dtype);
            return self.0.lower_int(s, k, (0, ty), &|a, b| a + b);
        }
        if s.operand(0)?.dtype() == DType::I8 {
            return self.rescale(s)?.lower(&self.0, s, k);
        }
        self.0.lower(s, k, &float(0.0), &|a, b| a + b, &|_, sum| sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap() {
        super::super::reduce::check_integers(&[], Sum);
    }

    #[test]
    fn lowering_equals_evaluation() {
        super::super::reduce::check_all((0.4, 10), Sum);
        super::super::reduce::check_all((0.05, -128), Sum);
    }
}
