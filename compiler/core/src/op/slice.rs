//! Slice: every step-th element of a range along each dimension. TFLite SLICE and STRIDED_SLICE,
//! whose masks the reader resolves.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// What is taken of one dimension: `begin, begin + step, ...`, `size` indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First index.
    pub begin: usize,
    /// Distance; negative walks backwards.
    pub step: i64,
    /// Number of indices.
    pub size: usize,
}

/// One range per dimension; the result's shape may drop or add dimensions of extent 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Ranges, outermost dimension first.
    pub ranges: Vec<Range>,
    /// Shape of the result: as many elements as the sizes multiply to.
    pub shape: Shape,
}

impl Slice {
    fn map(&self, x: &Shape) -> AffineCopy {
        let sizes = Shape(self.ranges.iter().map(|r| r.size).collect());
        let (source, target) = (x.strides(), sizes.strides());
        let dims = self.ranges.iter().enumerate().map(|(i, r)| Dim {
            extent: r.size,
            // The step of a single index means nothing and may be huge.
            source: if r.size > 1 { r.step * source[i] as i64 } else { 0 },
            target: target[i] as i64,
        });
        let base: usize = self.ranges.iter().zip(&source).map(|(r, s)| r.begin * s).sum();
        AffineCopy { dims: dims.collect(), source_base: base as i64, target_base: 0 }
    }
}

/// Whether all indices of the range exist in a dimension of this extent.
fn fits(r: &Range, extent: usize) -> bool {
    if r.size == 0 {
        return r.begin <= extent;
    }
    let last = i64::try_from(r.size - 1)
        .ok()
        .and_then(|n| n.checked_mul(r.step))
        .and_then(|n| n.checked_add(i64::try_from(r.begin).ok()?));
    let last_exists = last.is_some_and(|n| n >= 0 && n < extent as i64);
    r.begin < extent && last_exists && (r.size == 1 || r.step != 0)
}

impl Operator for Slice {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let dims = &x.shape().0;
        if dims.len() != self.ranges.len() {
            return Err(OpError::invalid(format!(
                "{} ranges for the {} dimensions of {}",
                self.ranges.len(),
                dims.len(),
                x.shape()
            )));
        }
        for (axis, (r, &extent)) in self.ranges.iter().zip(dims).enumerate() {
            if !fits(r, extent) {
                return Err(OpError::invalid(format!(
                    "{} indices from {} in steps of {} leave dimension {axis} of {}",
                    r.size,
                    r.begin,
                    r.step,
                    x.shape()
                )));
            }
        }
        let sizes = movement::result_shape(self.ranges.iter().map(|r| r.size).collect())?;
        let shape = movement::result_shape(self.shape.0.clone())?;
        if sizes.elements() != shape.elements() {
            return Err(OpError::invalid(format!("a slice of {sizes} cannot have shape {shape}")));
        }
        Ok(vec![TensorType::new(x.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &[self.map(s.operand(0)?.shape())])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        let whole = |(r, &d): (&Range, &usize)| r.size == d && (r.step > 0 || d == 1);
        let identity = s
            .operands
            .first()
            .is_some_and(|x| self.ranges.iter().zip(&x.shape().0).all(whole));
        movement::alias_if(identity)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower(s, k, &[self.map(s.operand(0)?.shape())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;
    use crate::op::testing::{Spec, check, graph_of};

    fn slice(ranges: &[(usize, i64, usize)], shape: &[usize]) -> Slice {
        let range = |&(begin, step, size): &(usize, i64, usize)| Range { begin, step, size };
        Slice { ranges: ranges.iter().map(range).collect(), shape: shape.into() }
    }

    #[test]
    fn lowering_equals_evaluation() {
        let x = [Spec::i8(&[4, 5, 6], 0.1, 0)];
        let quant = [(0.1, 0)];
        check(slice(&[(1, 1, 2), (0, 1, 5), (2, 1, 3)], &[2, 5, 3]), &x, &quant);
        check(slice(&[(3, -1, 4), (4, -2, 3), (0, 5, 2)], &[4, 3, 2]), &x, &quant);
        check(slice(&[(2, 1, 1), (0, 1, 5), (5, i64::MAX, 1)], &[5]), &x, &quant);
        check(slice(&[(0, 1, 4), (0, 1, 5), (0, 1, 6)], &[4, 5, 6]), &x, &quant);
        check(slice(&[(3, -1, 2)], &[2, 1]), &[Spec::of(DType::I16, &[4])], &[]);
    }

    #[test]
    fn ranges_that_leave_the_operand_are_refused() {
        let inside = slice(&[(0, 1, 1)], &[1]);
        let graph = graph_of(&inside.into(), &[Spec::f32(&[4])], &[]);
        let node = graph.outputs()[0].node;
        let s = graph.signature(node);
        for (range, shape) in [
            ((4, 1, 1), &[1][..]),
            ((1, 1, 4), &[4]),
            ((1, -1, 3), &[3]),
            ((0, i64::MAX, 3), &[3]),
            ((0, 0, 2), &[2]),
            ((0, 1, usize::MAX), &[4]),
            ((usize::MAX, 1, 0), &[0]),
            ((0, 1, 2), &[3]),
        ] {
            assert!(slice(&[range], shape).infer(&s).is_err(), "{range:?}");
        }
    }
}
