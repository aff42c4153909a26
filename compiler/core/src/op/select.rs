//! Select: elements of one operand where a condition holds, of another elsewhere, with
//! broadcasting. ONNX Where.

use super::{OpError, Operator, Reuse, Signature, movement};
use crate::geometry::broadcast;
use crate::kernels::elementwise::Broadcast;
use crate::kir::{BinOp, Expr, KernelBuilder, int};
use crate::tensor::{DType, Shape, Tensor, TensorType};

/// y = condition ? a : b, of any type; nothing is computed, so NaN and infinities pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Select;

impl Select {
    fn shape(s: &Signature<'_>) -> Result<Shape, OpError> {
        let shapes = [s.operand(0)?.shape(), s.operand(1)?.shape(), s.operand(2)?.shape()];
        let all = shapes.iter().try_fold(Shape::default(), |all, s| broadcast(&all, s));
        all.ok_or_else(|| {
            let [c, a, b] = shapes;
            OpError::invalid(format!("shapes {c}, {a} and {b} do not broadcast"))
        })
    }

    fn plan(s: &Signature<'_>) -> Result<Broadcast, OpError> {
        let shapes = [s.operand(0)?.shape(), s.operand(1)?.shape(), s.operand(2)?.shape()];
        Broadcast::of(&shapes).ok_or_else(|| OpError::types(s))
    }
}

impl Operator for Select {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(3, 3)?;
        let (condition, a, b) = (s.operand(0)?, s.operand(1)?, s.operand(2)?);
        if condition.dtype() != DType::Bool || a.dtype() != b.dtype() {
            return Err(OpError::types(s));
        }
        // On floats parameters say where they come from, not what they stand for.
        let is_int8 = a.dtype() == DType::I8;
        let result = s.results.first().and_then(|y| y.quant).filter(|_| is_int8);
        if is_int8 && a.quant != b.quant || result.is_some() && result != a.quant {
            return Err(OpError::unsupported(format!(
                "\"{}\", \"{}\" and the result have different scales or zero points",
                a.name, b.name
            )));
        }
        Ok(vec![TensorType::new(a.dtype(), Self::shape(s)?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let &[condition, a, b] = inputs else { return Err(OpError::types(s)) };
        let truth = condition.data.to_i128().ok_or_else(|| OpError::types(s))?;
        let both = movement::joined(&[a, b], a.data.dtype()).ok_or_else(|| OpError::types(s))?;
        let mut order = Vec::new();
        Self::plan(s)?.for_each_at(&mut |at| {
            order.push(if truth[at[0]] != 0 { at[1] } else { a.data.len() + at[2] });
        });
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: both.gather(&order) }])
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        let full = |i: &usize| match (s.operands.get(*i), s.results.first()) {
            (Some(x), Some(y)) => x.ty == y.ty,
            _missing => false,
        };
        Reuse::InPlace([1, 2].into_iter().filter(full).collect())
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let condition = k.operand(s, 0, "condition")?;
        let (a, b) = (k.operand(s, 1, "a")?, k.operand(s, 2, "b")?);
        let y = k.result(s, 0, "y")?;
        Self::plan(s)?.build_at(k, y, |k, at| {
            let truth = k.load_wide(condition, at[0].clone());
            let (a, b) = (k.load(a, at[1].clone()), k.load(b, at[2].clone()));
            Expr::bin(BinOp::Ne, truth, int(0)).select(a, b)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for dtype in DType::ALL {
            let of = |shape: &[usize]| Spec::of(dtype, shape);
            let condition = |shape: &[usize]| Spec::of(DType::Bool, shape);
            check(Select, &[condition(&[2, 3]), of(&[2, 3]), of(&[2, 3])], &[]);
            check(Select, &[condition(&[3, 1]), of(&[]), of(&[2, 1, 5])], &[]);
            check(Select, &[condition(&[]), of(&[4]), of(&[3, 4]).constant(5)], &[]);
        }
    }
}
