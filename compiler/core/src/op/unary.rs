//! What elementwise unary operators have in common. Not an operator itself.

use super::{OpError, Signature};
use crate::graph::{DType, Tensor, TensorData, TensorType};
use crate::kernels::elementwise;
use crate::kir::{Expr, KernelBuilder};

/// One operand of an accepted type; the result has the same type and shape.
///
/// # Errors
/// Other operand counts or types; int8 without per-tensor quantization on both sides.
pub fn infer(s: &Signature<'_>, accepted: &[DType]) -> Result<Vec<TensorType>, OpError> {
    s.expect_operands(1, 1)?;
    let x = s.operand(0)?;
    if !accepted.contains(&x.dtype()) {
        return Err(OpError::types(s));
    }
    if x.dtype() == DType::I8 {
        x.per_tensor()?;
        s.result(0)?.per_tensor()?;
    }
    Ok(vec![x.ty.clone()])
}

/// Applies `real` to float32 elements or `int8` to int8 elements.
///
/// # Errors
/// Any other type.
pub fn eval(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    real: impl Fn(f32) -> f32,
    int8: impl Fn(i8) -> i8,
) -> Result<Vec<Tensor>, OpError> {
    let x = inputs.first().ok_or_else(|| OpError::types(s))?;
    let data = match &x.data {
        TensorData::F32(v) => TensorData::F32(v.iter().map(|&x| real(x)).collect()),
        TensorData::I8(v) => TensorData::I8(v.iter().map(|&x| int8(x)).collect()),
        TensorData::I16(_) | TensorData::I32(_) | TensorData::I64(_) | TensorData::Bool(_) => {
            return Err(OpError::types(s));
        }
    };
    Ok(vec![Tensor { shape: x.shape.clone(), data }])
}

/// The float kernel. int8 has none: the `tabulate` pass replaces it before lowering.
///
/// # Errors
/// Operands that are not float32.
pub fn lower_f32(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    f: impl Fn(Expr) -> Expr,
) -> Result<(), OpError> {
    if s.operand(0)?.dtype() != DType::F32 {
        return Err(OpError::types(s));
    }
    let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
    let n = s.result(0)?.shape().elements();
    elementwise::unary(k, n, x, y, |_, v| f(v));
    Ok(())
}
