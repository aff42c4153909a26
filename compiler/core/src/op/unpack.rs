//! Unpack: one result per index of a dimension, which disappears. TFLite UNPACK.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// The inverse of `Pack`.
#[derive(Clone, Debug, PartialEq)]
pub struct Unpack {
    /// Dimension that disappears.
    pub axis: usize,
    /// Its extent, which is the number of results.
    pub count: usize,
}

impl Unpack {
    fn maps(&self, s: &Signature<'_>) -> Result<Vec<AffineCopy>, OpError> {
        let dims = &s.operand(0)?.shape().0;
        let outer: usize = dims.iter().take(self.axis).product();
        let inner: usize = dims.iter().skip(self.axis + 1).product();
        let copy = |i: usize| AffineCopy {
            dims: vec![
                Dim { extent: outer, source: (self.count * inner) as i64, target: inner as i64 },
                Dim { extent: inner, source: 1, target: 1 },
            ],
            source_base: (i * inner) as i64,
            target_base: 0,
        };
        Ok((0..self.count).map(copy).collect())
    }
}

impl Operator for Unpack {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let mut dims = x.shape().0.clone();
        if dims.get(self.axis) != Some(&self.count) {
            return Err(OpError::invalid(format!(
                "dimension {} of {} does not have extent {}",
                self.axis,
                x.shape(),
                self.count
            )));
        }
        dims.remove(self.axis);
        Ok(vec![TensorType::new(x.dtype(), Shape(dims)); self.count])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &self.maps(s)?)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.count == 1)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower(s, k, &self.maps(s)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for axis in 0..3 {
            let op = Unpack { axis, count: [2, 3, 4][axis] };
            check(op, &[Spec::i8(&[2, 3, 4], 0.1, 0)], &[(0.1, 0)]);
        }
        check(Unpack { axis: 1, count: 1 }, &[Spec::f32(&[3, 1])], &[]);
    }
}
