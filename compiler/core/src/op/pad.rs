//! Pad: surrounds the operand with a constant. TFLite PAD and PADV2. Operands: input, optional
//! padding value.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::{Expr, KernelBuilder, idx};

/// Without a padding value, pads with what stands for 0: the result's zero point (numerics: TFLM
/// `PadEval`), or 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Elements before the operand, per dimension.
    pub before: Vec<usize>,
    /// Elements after it, per dimension.
    pub after: Vec<usize>,
}

/// Shape of a padded tensor.
///
/// # Errors
/// Another number of paddings than dimensions, or too many elements.
pub(super) fn padded(x: &Shape, before: &[usize], after: &[usize]) -> Result<Shape, OpError> {
    if before.len() != x.rank() || after.len() != x.rank() {
        return Err(OpError::invalid(format!(
            "paddings for {} and {} dimensions, but {x} has {}",
            before.len(),
            after.len(),
            x.rank()
        )));
    }
    let grown = |(i, &d): (usize, &usize)| d.saturating_add(before[i]).saturating_add(after[i]);
    movement::result_shape(x.0.iter().enumerate().map(grown).collect())
}

/// The copy of the operand into its place in the padded result.
pub(super) fn interior(x: &Shape, y: &Shape, before: &[usize]) -> AffineCopy {
    let (source, target) = (x.strides(), y.strides());
    let dims = x.0.iter().enumerate().map(|(i, &extent)| Dim {
        extent,
        source: source[i] as i64,
        target: target[i] as i64,
    });
    let base: usize = before.iter().zip(&target).map(|(b, t)| b * t).sum();
    AffineCopy { dims: dims.collect(), source_base: 0, target_base: base as i64 }
}

impl Pad {
    /// Disjoint regions that make up the padding: before and after the operand along each
    /// dimension, within the operand along outer and over everything along inner dimensions.
    fn regions(&self, x: &Shape, y: &Shape) -> Vec<AffineCopy> {
        let stride = y.strides();
        let mut regions = Vec::new();
        for d in 0..x.rank() {
            let sides = [(0, self.before[d]), (self.before[d] + x.0[d], self.after[d])];
            for (start, count) in sides.into_iter().filter(|&(_, count)| count > 0) {
                let outer: usize = (0..d).map(|j| self.before[j] * stride[j]).sum();
                let dims = (0..x.rank()).map(|j| Dim {
                    extent: match j.cmp(&d) {
                        std::cmp::Ordering::Less => x.0[j],
                        std::cmp::Ordering::Equal => count,
                        std::cmp::Ordering::Greater => y.0[j],
                    },
                    source: 0,
                    target: stride[j] as i64,
                });
                let base = outer + start * stride[d];
                regions.push(AffineCopy {
                    dims: dims.collect(),
                    source_base: 0,
                    target_base: base as i64,
                });
            }
        }
        regions
    }

    fn none(&self) -> bool {
        self.before.iter().chain(&self.after).all(|&n| n == 0)
    }
}

/// What stands for 0 in the result.
fn zero(s: &Signature<'_>) -> Result<TensorData, OpError> {
    let y = s.result(0)?;
    Ok(match (y.dtype(), y.quant) {
        // In range: `infer` checked it.
        (DType::I8, Some(quant)) => TensorData::I8(vec![quant.zero_point() as i8]),
        (dtype, _) => TensorData::zeros(dtype, 1),
    })
}

impl Operator for Pad {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 2)?;
        let (x, y) = (s.operand(0)?, s.result(0)?);
        if let Some(value) = s.operands.get(1) {
            if value.dtype() != x.dtype() {
                return Err(OpError::types(s));
            }
            if value.shape().elements() != 1 {
                return Err(OpError::invalid(format!(
                    "the padding value {} should be one element",
                    value.shape()
                )));
            }
            if let (Some(a), Some(b)) = (value.quant, y.quant)
                && (a.scale(), a.zero_point()) != (b.scale(), b.zero_point())
            {
                return Err(OpError::unsupported(
                    "the padding value is quantized otherwise than the result",
                )
                .help("store the padding value with the result's scale and zero point"));
            }
        } else if let Some(quant) = y.quant.filter(|_| x.dtype() == DType::I8)
            && i8::try_from(quant.zero_point()).is_err()
        {
            let zero_point = quant.zero_point();
            return Err(OpError::invalid(format!("zero point {zero_point} is not an int8")));
        }
        let shape = padded(x.shape(), &self.before, &self.after)?;
        Ok(vec![TensorType::new(x.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let shape = s.result(0)?.shape().clone();
        let value = match inputs.get(1) {
            Some(value) => (*value).clone(),
            None => Tensor { shape: Shape(vec![1]), data: zero(s)? },
        };
        let padding = x.data.len();
        let mut order = vec![padding; shape.elements()];
        interior(&x.shape, &shape, &self.before).for_each(&mut |from, to| order[to] = from);
        let all =
            movement::joined(&[x, &value], x.data.dtype()).ok_or_else(|| OpError::types(s))?;
        Ok(vec![Tensor { shape, data: all.gather(&order) }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.none())
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (from, to) = (s.operand(0)?.shape(), s.result(0)?.shape());
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        if !self.none() {
            let value = value(s, k)?;
            for region in self.regions(from, to) {
                region.fill(k, y, &value);
            }
        }
        interior(from, to, &self.before).build(k, x, y);
        Ok(())
    }
}

/// The padding value: a literal, or an element read once when it is computed at run time.
fn value(s: &Signature<'_>, k: &mut KernelBuilder) -> Result<Expr, OpError> {
    let known = match s.operands.get(1) {
        None => movement::literal(&zero(s)?),
        Some(value) => value.constant.and_then(|t| movement::literal(&t.data)),
    };
    if let Some(literal) = known {
        return Ok(literal);
    }
    let buffer = k.operand(s, 1, "value")?;
    let load = k.load(buffer, idx(0));
    Ok(k.let_("pad", load))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for (before, after) in
            [([0, 0, 0], [0, 0, 0]), ([1, 0, 2], [0, 3, 1]), ([0, 2, 0], [0, 2, 0])]
        {
            let pad = Pad { before: before.to_vec(), after: after.to_vec() };
            let x = Spec::i8(&[2, 3, 4], 0.1, -7);
            check(pad.clone(), std::slice::from_ref(&x), &[(0.1, -7)]);
            let value = Spec::i8(&[1], 0.1, -7);
            check(pad.clone(), &[x.clone(), value.clone().constant(3)], &[(0.1, -7)]);
            check(pad.clone(), &[x, value], &[(0.1, -7)]);
            check(pad.clone(), &[Spec::f32(&[2, 3, 4])], &[]);
            check(pad, &[Spec::of(DType::I64, &[2, 3, 4])], &[]);
        }
        let pad = Pad { before: vec![1, 1], after: vec![0, 1] };
        check(pad, &[Spec::of(DType::I16, &[2, 0])], &[]);
    }
}
