//! ScatterElements: a copy of the data in which each update replaces, or is combined with, the
//! element its index names along an axis. Operands: data, indices, updates of the indices' shape.

use super::indexing::{Picks, check_type, eval_scatter, scatter_one, start_scatter};
use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::combine::{Combine, has_arithmetic};
use crate::kir::KernelBuilder;

/// Updates happen in their order; indices as in `indexing`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterElements {
    /// Dimension that is indexed.
    pub axis: usize,
    /// How an update joins what is there; it replaces it without.
    pub reduction: Option<Combine>,
}

impl ScatterElements {
    fn plan(&self, s: &Signature<'_>) -> Result<Picks, OpError> {
        Picks::new(s.operand(0)?.shape(), s.operand(1)?.shape(), self.axis)
    }
}

/// What both scatters demand of the updates.
///
/// # Errors
/// Another element type than the data's, one without arithmetic that is to be reduced, or
/// another shape.
pub(super) fn check_updates(
    s: &Signature<'_>,
    reduction: Option<Combine>,
    shape: &[usize],
) -> Result<(), OpError> {
    s.expect_operands(3, 3)?;
    check_type(s)?;
    let (x, updates) = (s.operand(0)?, s.operand(2)?);
    if x.dtype() != updates.dtype() || (reduction.is_some() && !has_arithmetic(x.dtype())) {
        return Err(OpError::types(s));
    }
    if updates.shape().0 != shape {
        return Err(OpError::invalid(format!("the updates {} do not fit", updates.shape())));
    }
    Ok(())
}

impl Operator for ScatterElements {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        check_updates(s, self.reduction, &s.operand(1)?.shape().0)?;
        self.plan(s)?.check(s)?;
        Ok(vec![s.operand(0)?.ty.clone()])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let indices = inputs.get(1).and_then(|t| t.to_i64()).ok_or_else(|| OpError::types(s))?;
        let places = self.plan(s)?.places(&indices);
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
        self.plan(s)?.build(s, k, &mut |k, number, place| {
            scatter_one(k, self.reduction, (updates, y), number, place);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices};
    use crate::tensor::{DType, TensorData};

    pub(crate) const REDUCTIONS: [Option<Combine>; 5] = [
        None,
        Some(Combine::Sum),
        Some(Combine::Product),
        Some(Combine::Larger),
        Some(Combine::Smaller),
    ];

    #[test]
    fn lowering_equals_evaluation() {
        for (i, reduction) in REDUCTIONS.into_iter().enumerate() {
            for dtype in [DType::F32, DType::I8, DType::U16, DType::I32, DType::U32, DType::I64] {
                let op = ScatterElements { axis: i % 3, reduction };
                let x = Spec::of(dtype, &[3, 40, 5]);
                let parts = [Spec::of(DType::I64, &[2, 4, 5]), Spec::of(dtype, &[2, 4, 5])];
                check(op, &[&[x][..], &parts].concat(), &[]);
            }
        }
        let op = ScatterElements { axis: 1, reduction: None };
        let indices = TensorData::I32(vec![-1, 0, 1, -3]);
        let indices = Spec::of(DType::I32, &[2, 2]).data(indices);
        let zeros = Spec::of(DType::U64, &[2, 3]).data(TensorData::U64(vec![7; 6]));
        check(op.clone(), &[zeros, indices.clone(), Spec::of(DType::U64, &[2, 2])], &[]);
        let x = Spec::of(DType::Bool, &[2, 3]).constant(3);
        check(op, &[x, indices, Spec::of(DType::Bool, &[2, 2])], &[]);
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for reduction in REDUCTIONS {
            let indices = Spec::of(DType::I64, &[3, 2, 5]);
            let operands = [Spec::f32(&[3, 4, 5]), indices, Spec::f32(&[3, 2, 5])];
            check_indices(ScatterElements { axis: 1, reduction }, &operands, &[]);
        }
    }
}
