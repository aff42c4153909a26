//! Cumulative: running sums or products along an axis. TFLite CUMSUM.

use super::{OpError, Operator, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::combine::{Combine, Numbers, has_arithmetic};
use crate::kir::{Expr, KernelBuilder, float, idx};

/// y[i] = x[0] combined with all up to x[i]. Integers wrap.
#[derive(Clone, Debug, PartialEq)]
pub struct Cumulative {
    /// Dimension along which elements are combined.
    pub axis: usize,
    /// Sum or product.
    pub combine: Combine,
    /// y[i] leaves x[i] out.
    pub exclusive: bool,
    /// From the last element to the first.
    pub reverse: bool,
}

impl Cumulative {
    /// Lines before, along and within the axis.
    fn extents(&self, s: &Signature<'_>) -> Result<[usize; 3], OpError> {
        let x = s.operand(0)?.shape();
        let extent = x.0.get(self.axis).copied().ok_or_else(|| {
            OpError::invalid(format!("axis {} does not exist in {x}", self.axis))
        })?;
        let outer = x.0.iter().take(self.axis).product();
        Ok([outer, extent, x.0.iter().skip(self.axis + 1).product()])
    }
}

impl Operator for Cumulative {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if !has_arithmetic(x.dtype()) || x.quant.is_some() {
            return Err(OpError::types(s));
        }
        if self.combine.neutral().is_none() {
            return Err(OpError::unsupported("running extremes are not supported"));
        }
        self.extents(s)?;
        Ok(vec![x.ty.clone()])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let [outer, extent, inner] = self.extents(s)?;
        let values = Numbers::of(&x.data).ok_or_else(|| OpError::types(s))?;
        let start = |n| values.neutral(n, self.combine).ok_or_else(|| OpError::types(s));
        let mut y = start(x.data.len())?;
        for o in 0..outer {
            for i in 0..inner {
                let mut sum = start(1)?;
                for p in 0..extent {
                    let p = if self.reverse { extent - 1 - p } else { p };
                    let at = (o * extent + p) * inner + i;
                    if self.exclusive {
                        y.copy(at, &sum, 0);
                    }
                    sum.update(0, &values, at, self.combine);
                    if !self.exclusive {
                        y.copy(at, &sum, 0);
                    }
                }
            }
        }
        let data = y.data().ok_or_else(|| OpError::types(s))?;
        Ok(vec![Tensor { shape: x.shape.clone(), data }])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let [outer, extent, inner] = self.extents(s)?;
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let neutral = self.combine.neutral().ok_or_else(|| OpError::types(s))?;
        let ty = k.load_wide(x, idx(0)).ty();
        let neutral = match ty.is_float() {
            true => float(f32::from(neutral)),
            false => Expr::Int(neutral.into(), ty),
        };
        k.for_("o", outer, |k, o| {
            k.for_("i", inner, |k, i| {
                let first = k.let_("first", o.clone() * idx(extent * inner) + i);
                let sum = k.var("sum", neutral.clone());
                k.for_("p", extent, |k, p| {
                    let p = if self.reverse { idx(extent - 1) - p } else { p };
                    let at = k.let_("at", first.clone() + p * idx(inner));
                    let value = k.load_wide(x, at.clone());
                    if self.exclusive {
                        // The element is read first: the result may lie over the operand.
                        let value = k.let_("v", value);
                        k.store(y, at, sum.into());
                        let next = self.combine.expr(k, sum.into(), value);
                        k.assign(sum, next);
                    } else {
                        let next = self.combine.expr(k, sum.into(), value);
                        k.assign(sum, next);
                        k.store(y, at, sum.into());
                    }
                });
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices};
    use crate::tensor::DType;

    #[test]
    fn lowering_equals_evaluation() {
        for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            for axis in 0..3 {
                for combine in [Combine::Sum, Combine::Product] {
                    let op = Cumulative { axis, combine, exclusive, reverse };
                    check(op.clone(), &[Spec::f32(&[2, 3, 4])], &[]);
                    let types = [DType::I8, DType::U16, DType::I32, DType::I64, DType::U64];
                    check(op, &[Spec::of(types[axis + usize::from(reverse)], &[3, 1, 5])], &[]);
                }
            }
        }
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        let combine = Combine::Product;
        let op = Cumulative { axis: 1, combine, exclusive: true, reverse: true };
        check_indices(op, &[Spec::f32(&[2, 3, 4])], &[]);
    }
}
