//! ScatterNd: a copy of the data in which updates replace, or are combined with, the slices their
//! tuples of indices name. Operands: data, indices whose last dimension is the tuple, updates.

use super::indexing::{Tuples, eval_scatter, scatter_one, start_scatter};
use super::scatter_elements::check_updates;
use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::combine::Combine;
use crate::kir::KernelBuilder;

/// Updates happen in their order; indices as in `indexing`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterNd {
    /// How an update joins what is there; it replaces it without.
    pub reduction: Option<Combine>,
}

fn plan(s: &Signature<'_>) -> Result<Tuples, OpError> {
    Tuples::new(s.operand(0)?.shape(), s.operand(1)?.shape(), 0)
}

impl Operator for ScatterNd {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let plan = plan(s)?;
        let (x, indices) = (s.operand(0)?, &s.operand(1)?.shape().0);
        let (depth, outer) = indices.split_last().ok_or_else(|| OpError::types(s))?;
        let slice = x.shape().0.iter().skip(*depth);
        let wanted: Vec<usize> = outer.iter().chain(slice).copied().collect();
        check_updates(s, self.reduction, &wanted)?;
        plan.check(s)?;
        Ok(vec![x.ty.clone()])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let indices = inputs.get(1).and_then(|t| t.to_i64()).ok_or_else(|| OpError::types(s))?;
        let plan = plan(s)?;
        let slices = plan.places(&indices).into_iter();
        let places: Vec<(usize, usize)> =
            slices.flat_map(|p| p..p + plan.slice).enumerate().collect();
        eval_scatter(s, inputs, self.reduction, &places)
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let y = start_scatter(s, k)?;
        let updates = k.operand(s, 2, "updates")?;
        plan(s)?.build(s, k, &mut |k, number, place| {
            scatter_one(k, self.reduction, (updates, y), number, place);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices};
    use crate::tensor::{DType, TensorData};

    #[test]
    fn lowering_equals_evaluation() {
        for reduction in [None, Some(Combine::Sum), Some(Combine::Larger)] {
            for dtype in [DType::F32, DType::I16, DType::U64] {
                let x = || Spec::of(dtype, &[2, 30, 3]);
                for (depth, shape) in [(1, &[4, 30, 3][..]), (2, &[4, 3]), (3, &[4])] {
                    let indices = Spec::of(DType::I32, &[4, depth]);
                    let operands = [x(), indices, Spec::of(dtype, shape)];
                    check(ScatterNd { reduction }, &operands, &[]);
                }
                let indices = TensorData::I64(vec![1, -1, 0, 7, -2, 7]);
                let indices = Spec::of(DType::I64, &[3, 2]).data(indices);
                check(ScatterNd { reduction }, &[x(), indices, Spec::of(dtype, &[3, 3])], &[]);
            }
        }
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for dtype in [DType::I32, DType::I64] {
            let operands =
                [Spec::f32(&[3, 4, 5]), Spec::of(dtype, &[7, 2]), Spec::f32(&[7, 5])];
            check_indices(ScatterNd { reduction: Some(Combine::Sum) }, &operands, &[]);
        }
    }
}
