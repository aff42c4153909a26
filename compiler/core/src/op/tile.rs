//! Tile: repeats the operand along each dimension. TFLite TILE.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// Extents multiply by the repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// How often the operand appears along each dimension.
    pub repeats: Vec<usize>,
}

impl Tile {
    fn map(&self, x: &Shape) -> AffineCopy {
        let result = Shape(x.0.iter().zip(&self.repeats).map(|(d, r)| d * r).collect());
        let (source, target) = (x.strides(), result.strides());
        let mut dims = Vec::new();
        for (i, &extent) in x.0.iter().enumerate() {
            let (from, to) = (source[i] as i64, target[i] as i64);
            let block = to * extent as i64;
            dims.push(Dim { extent: self.repeats[i], source: 0, target: block });
            dims.push(Dim { extent, source: from, target: to });
        }
        AffineCopy { dims, source_base: 0, target_base: 0 }
    }
}

impl Operator for Tile {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if self.repeats.len() != x.shape().rank() {
            return Err(OpError::invalid(format!(
                "{:?} repeats for the {} dimensions of {}",
                self.repeats,
                x.shape().rank(),
                x.shape()
            )));
        }
        let dims = x.shape().0.iter().zip(&self.repeats).map(|(d, r)| d.saturating_mul(*r));
        Ok(vec![TensorType::new(x.dtype(), movement::result_shape(dims.collect())?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &[self.map(s.operand(0)?.shape())])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.repeats.iter().all(|&r| r == 1))
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
        for repeats in [[1, 1, 1], [2, 1, 3], [1, 3, 1], [3, 2, 2]] {
            let x = Spec::i8(&[2, 3, 4], 0.1, 0);
            check(Tile { repeats: repeats.to_vec() }, &[x], &[(0.1, 0)]);
        }
    }
}
