//! Transpose: permutes dimensions. TFLite TRANSPOSE.

use super::{OpError, Operator, QuantRule, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// Result dimension `i` is operand dimension `permutation[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// A permutation of `0..rank`.
    pub permutation: Vec<usize>,
}

impl Transpose {
    fn map(&self, shape: &Shape) -> AffineCopy {
        let source = shape.strides();
        let result = Shape(self.permutation.iter().map(|&p| shape.0[p]).collect());
        let target = result.strides();
        let dims = self
            .permutation
            .iter()
            .enumerate()
            .map(|(i, &p)| Dim {
                extent: shape.0[p],
                source: source[p] as i64,
                target: target[i] as i64,
            })
            .collect();
        AffineCopy { dims, source_base: 0, target_base: 0 }
    }
}

impl Operator for Transpose {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.shape().rank()) {
            return Err(OpError::invalid(format!(
                "{:?} is not a permutation of the {} dimensions of {}",
                self.permutation,
                x.shape().rank(),
                x.shape()
            )));
        }
        let dims = self.permutation.iter().map(|&p| x.shape().0[p]).collect();
        Ok(vec![TensorType::new(x.dtype(), Shape(dims))])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &[self.map(s.operand(0)?.shape())])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower(s, k, &[self.map(s.operand(0)?.shape())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        let x = Spec::i8(&[2, 3, 4, 5], 0.1, 0);
        check(Transpose { permutation: vec![0, 3, 1, 2] }, std::slice::from_ref(&x), &[(0.1, 0)]);
        check(Transpose { permutation: vec![3, 2, 1, 0] }, &[x], &[(0.1, 0)]);
    }
}
