//! GatherNd: tuples of indices pick slices. Operands: data, indices whose last dimension is the
//! tuple.

use super::indexing::{Tuples, check_type};
use super::{OpError, Operator, QuantRule, Signature, movement};
use crate::tensor::{Tensor, TensorType};
use crate::kir::KernelBuilder;

/// y[b, i, ..] = x[b, indices[b, i, 0], indices[b, i, 1], .., ..]; indices as in `indexing`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherNd {
    /// Leading dimensions that data and indices share.
    pub batch_dims: usize,
}

impl GatherNd {
    fn plan(&self, s: &Signature<'_>) -> Result<Tuples, OpError> {
        Tuples::new(s.operand(0)?.shape(), s.operand(1)?.shape(), self.batch_dims)
    }
}

impl Operator for GatherNd {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        check_type(s)?;
        self.plan(s)?.check(s)?;
        let (x, indices) = (s.operand(0)?, &s.operand(1)?.shape().0);
        let (depth, outer) = indices.split_last().ok_or_else(|| OpError::types(s))?;
        let slice = x.shape().0.iter().skip(self.batch_dims + depth);
        let shape = movement::result_shape(outer.iter().chain(slice).copied().collect())?;
        Ok(vec![TensorType::new(x.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let (Some(x), Some(indices)) = (inputs.first(), inputs.get(1).and_then(|t| t.to_i64()))
        else {
            return Err(OpError::types(s));
        };
        let plan = self.plan(s)?;
        let places = plan.places(&indices).into_iter();
        let order: Vec<usize> = places.flat_map(|p| p..p + plan.slice).collect();
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: x.data.gather(&order) }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        self.plan(s)?.build(s, k, &mut |k, number, place| {
            let value = k.load(x, place);
            k.store(y, number, value);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices, graph_of};
    use crate::tensor::{DType, TensorData};

    #[test]
    fn lowering_equals_evaluation() {
        let x = || Spec::of(DType::U16, &[2, 30, 40, 3]);
        for depth in 1..=4 {
            let indices = Spec::of(DType::I64, &[2, 5, depth]);
            check(GatherNd { batch_dims: 0 }, &[x(), indices], &[]);
        }
        check(GatherNd { batch_dims: 1 }, &[x(), Spec::of(DType::I32, &[2, 7, 2])], &[]);
        check(GatherNd { batch_dims: 2 }, &[x(), Spec::of(DType::I32, &[2, 30, 1])], &[]);
        let indices = TensorData::I64(vec![0, -1, 1, 2, -2, 0]);
        let indices = || Spec::of(DType::I64, &[3, 2]).data(indices.clone());
        check(GatherNd { batch_dims: 0 }, &[x(), indices()], &[]);
        check(GatherNd { batch_dims: 0 }, &[Spec::i8(&[2, 3], 0.1, 3), indices()], &[(0.1, 3)]);
    }

    #[test]
    fn misfits_are_refused() {
        let operands = [Spec::f32(&[3, 4]), Spec::of(DType::I32, &[3, 1])];
        let graph = graph_of(&GatherNd { batch_dims: 1 }.into(), &operands, &[]);
        let s = graph.signature(graph.outputs()[0].node);
        assert!(GatherNd { batch_dims: 2 }.infer(&s).is_err());
        assert!(GatherNd { batch_dims: usize::MAX }.infer(&s).is_err());
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for dtype in [DType::I32, DType::I64] {
            let operands = [Spec::f32(&[2, 3, 4, 5]), Spec::of(dtype, &[2, 9, 2])];
            check_indices(GatherNd { batch_dims: 1 }, &operands, &[]);
        }
    }
}
