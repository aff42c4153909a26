//! TopK: the largest or smallest elements along an axis, and their positions. TFLite TOPK_V2.

use super::{OpError, Operator, Signature, movement};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kernels::combine::{Numbers, has_arithmetic};
use crate::kir::{Expr, KernelBuilder, Ty, idx, int};

/// Results: elements in order, the best first and equal ones by position; positions. A NaN comes
/// after all others unless it is the first one left.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// Dimension that is searched; `k` elements of it remain.
    pub axis: usize,
    /// How many.
    pub k: usize,
    /// The largest ones, otherwise the smallest.
    pub largest: bool,
    /// Type of the positions: int32 or int64.
    pub index: DType,
}

impl TopK {
    /// Lines before, along and within the axis.
    fn extents(&self, s: &Signature<'_>) -> Result<[usize; 3], OpError> {
        let x = s.operand(0)?.shape();
        let extent = x.0.get(self.axis).copied().filter(|&n| self.k <= n).ok_or_else(|| {
            OpError::invalid(format!("{} elements along axis {} of {x}", self.k, self.axis))
        })?;
        let outer = x.0.iter().take(self.axis).product();
        Ok([outer, extent, x.0.iter().skip(self.axis + 1).product()])
    }

    /// Positions, best first, of the elements of one line.
    fn best<T: Copy + PartialOrd>(&self, line: &[T]) -> Vec<usize> {
        let is_better = |a: T, b: T| if self.largest { a > b } else { a < b };
        let mut left: Vec<usize> = (0..line.len()).collect();
        let mut found = Vec::with_capacity(self.k);
        while found.len() < self.k && !left.is_empty() {
            let first = (1..left.len()).fold(0, |best, i| {
                if is_better(line[left[i]], line[left[best]]) { i } else { best }
            });
            found.push(left.remove(first));
        }
        found
    }
}

impl Operator for TopK {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if !has_arithmetic(x.dtype()) || !matches!(self.index, DType::I32 | DType::I64) {
            return Err(OpError::types(s));
        }
        self.extents(s)?;
        let mut dims = x.shape().0.clone();
        dims[self.axis] = self.k;
        let shape = movement::result_shape(dims)?;
        Ok(vec![TensorType::new(x.dtype(), shape.clone()), TensorType::new(self.index, shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let [outer, extent, inner] = self.extents(s)?;
        let shape = s.result(0)?.shape().clone();
        let numbers = Numbers::of(&x.data).ok_or_else(|| OpError::types(s))?;
        let (mut order, mut positions) =
            (vec![0; shape.elements()], vec![0i128; shape.elements()]);
        for o in 0..outer {
            for i in 0..inner {
                let from = |p: usize| (o * extent + p) * inner + i;
                let best = match &numbers {
                    Numbers::Real(v) => {
                        self.best(&(0..extent).map(|p| v[from(p)]).collect::<Vec<_>>())
                    }
                    Numbers::Whole(_, v) => {
                        self.best(&(0..extent).map(|p| v[from(p)]).collect::<Vec<_>>())
                    }
                };
                for (j, p) in best.into_iter().enumerate() {
                    let to = (o * self.k + j) * inner + i;
                    (order[to], positions[to]) = (from(p), p as i128);
                }
            }
        }
        let positions = TensorData::from_i128(self.index, &positions);
        let positions = positions.ok_or_else(|| OpError::types(s))?;
        let values = x.data.gather(&order);
        Ok([values, positions].map(|data| Tensor { shape: shape.clone(), data }).to_vec())
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let [outer, extent, inner] = self.extents(s)?;
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let positions = k.result(s, 1, "positions")?;
        if self.k == 0 {
            return Ok(());
        }
        // Which elements of a line are in the result already.
        let taken = k.scratch("taken", Ty::U8, extent);
        k.for_("o", outer, |k, o| {
            k.for_("i", inner, |k, i| {
                let first = k.let_("first", o.clone() * idx(extent * inner) + i.clone());
                let to = k.let_("to", o.clone() * idx(self.k * inner) + i);
                k.for_("p", extent, |k, p| k.store(taken, p, int(0)));
                k.for_("j", self.k, |k, j| {
                    let at = |p: Expr| first.clone() + p * idx(inner);
                    let position = k.var("position", int(-1));
                    let best = k.var("best", k.load_wide(x, first.clone()));
                    k.for_("p", extent, |k, p| {
                        let value = k.let_("v", k.load_wide(x, at(p.clone())));
                        let better = match self.largest {
                            true => value.clone().gt(best.into()),
                            false => value.clone().lt(best.into()),
                        };
                        let is_free = Expr::bin(
                            crate::kir::BinOp::Eq,
                            k.load_wide(taken, p.clone()),
                            int(0),
                        );
                        let is_first = Expr::from(position).lt(int(0));
                        let wanted =
                            Expr::bin(crate::kir::BinOp::LogicOr, is_first, better);
                        k.if_(is_free.and(wanted), |k| {
                            k.assign(best, value);
                            k.assign(position, p);
                        });
                    });
                    // There is one: at most as many are taken as there are.
                    k.if_(Expr::from(position).ge(int(0)), |k| {
                        k.store(taken, position.into(), int(1));
                    });
                    let to = k.let_("place", to.clone() + j * idx(inner));
                    k.store(y, to.clone(), best.into());
                    k.store(positions, to, position.into());
                });
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data, check_indices};

    #[test]
    fn lowering_equals_evaluation() {
        for (axis, k) in [(0, 2), (1, 7), (2, 1)] {
            for largest in [false, true] {
                let op = |index| TopK { axis, k, largest, index };
                check(op(DType::I64), &[Spec::f32(&[2, 7, 3])], &[]);
                check(op(DType::I32), &[Spec::i8(&[2, 7, 3], 0.1, 3)], &[(0.1, 3)]);
                check(op(DType::I64), &[Spec::of(DType::U64, &[2, 9, 3])], &[]);
            }
        }
    }

    #[test]
    fn ties_and_nans_keep_their_order() {
        let op = TopK { axis: 0, k: 5, largest: true, index: DType::I64 };
        check_data(op, TensorData::F32(vec![1.0, f32::NAN, 2.0, 1.0, 2.0, f32::NAN]), &[]);
        let op = TopK { axis: 0, k: 4, largest: false, index: DType::I32 };
        assert_eq!(op.best(&[3, 1, 3, 1, 2]), [1, 3, 4, 0]);
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        let op = TopK { axis: 1, k: 5, largest: true, index: DType::I64 };
        check_indices(op, &[Spec::f32(&[2, 7, 3])], &[]);
    }
}
