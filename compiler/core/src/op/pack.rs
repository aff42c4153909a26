//! Pack: stacks operands of one type along a new dimension. TFLite PACK.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// The result has one dimension more, of extent number of operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// Position of the new dimension in the result, `0..=rank`.
    pub axis: usize,
}

impl Pack {
    fn maps(&self, s: &Signature<'_>) -> Result<Vec<AffineCopy>, OpError> {
        let dims = &s.operand(0)?.shape().0;
        let outer: usize = dims.iter().take(self.axis).product();
        let inner: usize = dims.iter().skip(self.axis).product();
        let count = s.operands.len();
        let copy = |i: usize| AffineCopy {
            dims: vec![
                Dim { extent: outer, source: inner as i64, target: (count * inner) as i64 },
                Dim { extent: inner, source: 1, target: 1 },
            ],
            source_base: 0,
            target_base: (i * inner) as i64,
        };
        Ok((0..count).map(copy).collect())
    }
}

impl Operator for Pack {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, usize::MAX)?;
        let first = s.operand(0)?;
        for x in &s.operands {
            if x.dtype() != first.dtype() {
                return Err(OpError::types(s));
            }
            if x.shape() != first.shape() {
                let (a, b) = (first.shape(), x.shape());
                return Err(OpError::invalid(format!("{a} and {b} cannot be stacked")));
            }
        }
        let mut dims = first.shape().0.clone();
        if self.axis > dims.len() {
            return Err(OpError::invalid(format!(
                "axis {} does not exist in a stack of {}",
                self.axis,
                first.shape()
            )));
        }
        dims.insert(self.axis, s.operands.len());
        Ok(vec![TensorType::new(first.dtype(), movement::result_shape(dims)?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval_join(s, inputs, &self.maps(s)?)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        movement::alias_if(s.operands.len() == 1)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower_join(s, k, &self.maps(s)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        let x = Spec::i8(&[2, 3], 0.1, 0);
        for axis in 0..3 {
            check(Pack { axis }, &[x.clone(), x.clone().constant(4), x.clone()], &[(0.1, 0)]);
            check(Pack { axis }, &[Spec::f32(&[2, 3])], &[]);
        }
        check(Pack { axis: 0 }, &[Spec::f32(&[]), Spec::f32(&[])], &[]);
    }
}
