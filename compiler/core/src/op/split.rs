//! Split: cuts one dimension into consecutive parts. TFLite SPLIT and SPLIT_V.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// One result per part.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Dimension that is cut.
    pub axis: usize,
    /// Extents of the parts; their sum is the operand's extent.
    pub sizes: Vec<usize>,
}

impl Split {
    fn maps(&self, s: &Signature<'_>) -> Result<Vec<AffineCopy>, OpError> {
        let dims = &s.operand(0)?.shape().0;
        let outer: usize = dims.iter().take(self.axis).product();
        let inner: usize = dims.iter().skip(self.axis + 1).product();
        let total = self.sizes.iter().sum::<usize>() * inner;
        let mut start = 0;
        let mut maps = Vec::with_capacity(self.sizes.len());
        for size in &self.sizes {
            let run = size * inner;
            maps.push(AffineCopy {
                dims: vec![
                    Dim { extent: outer, source: total as i64, target: run as i64 },
                    Dim { extent: run, source: 1, target: 1 },
                ],
                source_base: start as i64,
                target_base: 0,
            });
            start += run;
        }
        Ok(maps)
    }
}

impl Operator for Split {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let sum = self.sizes.iter().fold(0usize, |n, &size| n.saturating_add(size));
        if x.shape().0.get(self.axis) != Some(&sum) {
            return Err(OpError::invalid(format!(
                "dimension {} of {} cannot be cut into parts of {:?}",
                self.axis,
                x.shape(),
                self.sizes
            )));
        }
        let part = |&size: &usize| {
            let mut dims = x.shape().0.clone();
            dims[self.axis] = size;
            TensorType::new(x.dtype(), Shape(dims))
        };
        Ok(self.sizes.iter().map(part).collect())
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &self.maps(s)?)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.sizes.len() == 1)
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
        let x = Spec::i8(&[4, 5, 6], 0.1, 0);
        for (axis, sizes) in [(0, vec![2, 2]), (1, vec![1, 3, 1]), (2, vec![6]), (2, vec![4, 2])] {
            check(Split { axis, sizes }, std::slice::from_ref(&x), &[(0.1, 0)]);
        }
    }
}
