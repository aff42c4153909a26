//! GatherElements: each index picks one element along an axis. Operands: data, indices of the same
//! rank.

use super::indexing::{Picks, check_type};
use super::{OpError, Operator, QuantRule, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kir::KernelBuilder;

/// y[.., i, ..] = x[.., indices[.., i, ..], ..]; indices as in `indexing`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherElements {
    /// Dimension that is indexed.
    pub axis: usize,
}

impl GatherElements {
    fn plan(&self, s: &Signature<'_>) -> Result<Picks, OpError> {
        Picks::new(s.operand(0)?.shape(), s.operand(1)?.shape(), self.axis)
    }
}

impl Operator for GatherElements {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        check_type(s)?;
        self.plan(s)?.check(s)?;
        Ok(vec![TensorType::new(s.operand(0)?.dtype(), s.operand(1)?.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let (Some(x), Some(indices)) = (inputs.first(), inputs.get(1).and_then(|t| t.to_i64()))
        else {
            return Err(OpError::types(s));
        };
        let places: Vec<usize> =
            self.plan(s)?.places(&indices).into_iter().map(|(_, place)| place).collect();
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: x.data.gather(&places) }])
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
        for axis in 0..3 {
            let x = || Spec::of(DType::I16, &[3, 40, 5]);
            let op = GatherElements { axis };
            check(op.clone(), &[x(), Spec::of(DType::I64, &[2, 4, 5])], &[]);
            check(op.clone(), &[x(), Spec::of(DType::I32, &[3, 40, 2])], &[]);
            let indices = TensorData::I32(vec![-1, 0, 1, 2]);
            let indices = Spec::of(DType::I32, &[2, 1, 2]).data(indices);
            check(op, &[Spec::of(DType::F64, &[3, 3, 3]), indices], &[]);
        }
    }

    #[test]
    fn misfits_are_refused() {
        let operands = [Spec::f32(&[3, 4]), Spec::of(DType::I32, &[4, 2])];
        let op = GatherElements { axis: 0 };
        let graph = graph_of(&op.into(), &operands, &[]);
        let s = graph.signature(graph.outputs()[0].node);
        assert!(GatherElements { axis: 1 }.infer(&s).is_err());
        assert!(GatherElements { axis: 2 }.infer(&s).is_err());
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for dtype in [DType::I32, DType::I64] {
            let operands = [Spec::f32(&[3, 4, 5]), Spec::of(dtype, &[2, 9, 5])];
            check_indices(GatherElements { axis: 1 }, &operands, &[]);
        }
    }
}
