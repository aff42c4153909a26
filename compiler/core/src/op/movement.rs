//! What operators that only move data have in common: affine copies from operand 0 into one result
//! each. Not an operator itself.

use super::{OpError, Signature};
use crate::graph::Tensor;
use crate::kernels::affine::AffineCopy;
use crate::kir::KernelBuilder;

/// Evaluates one copy per result.
///
/// # Errors
/// No operand.
pub fn eval(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    copies: &[AffineCopy],
) -> Result<Vec<Tensor>, OpError> {
    let x = inputs.first().ok_or_else(|| OpError::types(s))?;
    let mut results = Vec::with_capacity(copies.len());
    for (r, copy) in copies.iter().enumerate() {
        let shape = s.result(r)?.shape().clone();
        let mut order = vec![0usize; shape.elements()];
        copy.for_each(&mut |from, to| order[to] = from);
        results.push(Tensor { shape, data: x.data.gather(&order) });
    }
    Ok(results)
}

/// Builds one loop nest per result.
///
/// # Errors
/// Missing operand or result.
pub fn lower(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    copies: &[AffineCopy],
) -> Result<(), OpError> {
    let x = k.operand(s, 0, "x")?;
    for (r, copy) in copies.iter().enumerate() {
        let y = k.result(s, r, "y")?;
        copy.build(k, x, y);
    }
    Ok(())
}
