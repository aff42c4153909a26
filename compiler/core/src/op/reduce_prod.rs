//! Product over dimensions. ONNX ReduceProd.

use super::reduce::ReduceAttributes;
use super::{OpError, Operator, Signature, integer};
use crate::kir::{KernelBuilder, float};
use crate::tensor::{DType, Tensor, TensorType};

/// Product of the reduced elements, float32 or plain integers, which wrap.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceProd(pub ReduceAttributes);

impl Operator for ReduceProd {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        if s.operand(0)?.dtype() != DType::F32 && !integer::is_plain(s) {
            return Err(OpError::types(s));
        }
        self.0.infer_any(s)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return self.0.eval_int(s, inputs, 1, i128::wrapping_mul);
        }
        self.0.eval_f32(s, inputs, 1.0, |a, b| a * b, |product| product)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if integer::is_plain(s) {
            let ty = integer::wrapping(s.operand(0)?.dtype());
            return self.0.lower_int(s, k, (1, ty), &|a, b| a * b);
        }
        self.0.lower(s, k, &float(1.0), &|a, b| a * b, &|_, product| product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        super::super::reduce::check_integers(&[], ReduceProd);
        for axes in [vec![0], vec![1, 2], vec![]] {
            check(ReduceProd(ReduceAttributes { axes, keep_dims: true }), &[Spec::f32(&[2, 3, 2])], &[]);
        }
    }
}
