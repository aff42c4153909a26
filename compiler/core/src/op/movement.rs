//! What operators that only move data have in common: affine copies between operands and results.
//! Not an operator itself.

use super::{OpError, Reuse, Signature};
use crate::kernels::affine::AffineCopy;
use crate::kir::{Expr, KernelBuilder, Ty};
use crate::tensor::{DType, Shape, SmallType, Tensor, TensorData};

/// Evaluates one copy from operand 0 per result.
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

/// Builds one loop nest per result, each reading operand 0.
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

/// Evaluates result 0, assembled from one copy per operand.
///
/// # Errors
/// Operands of another element type than the result.
pub fn eval_join(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    copies: &[AffineCopy],
) -> Result<Vec<Tensor>, OpError> {
    let result = s.result(0)?;
    let shape = result.shape().clone();
    let mut order = vec![0usize; shape.elements()];
    let mut start = 0;
    for (x, copy) in inputs.iter().zip(copies) {
        copy.for_each(&mut |from, to| order[to] = start + from);
        start += x.data.len();
    }
    let all = joined(inputs, result.dtype()).ok_or_else(|| OpError::types(s))?;
    Ok(vec![Tensor { shape, data: all.gather(&order) }])
}

/// The elements of several tensors of one type, back to back.
#[must_use]
pub fn joined(tensors: &[&Tensor], dtype: DType) -> Option<TensorData> {
    let mut bytes = Vec::new();
    for tensor in tensors {
        if tensor.data.dtype() != dtype {
            return None;
        }
        bytes.extend(tensor.data.to_le_bytes());
    }
    TensorData::from_le_bytes(dtype, &bytes)
}

/// Builds one loop nest per operand, all writing result 0.
///
/// # Errors
/// Missing operand or result.
pub fn lower_join(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    copies: &[AffineCopy],
) -> Result<(), OpError> {
    let y = k.result(s, 0, "y")?;
    // A parameter that is never read would be a warning in C.
    for (i, copy) in copies.iter().enumerate().filter(|(_, copy)| !copy.is_empty()) {
        let x = k.operand(s, i, "x")?;
        copy.build(k, x, y);
    }
    Ok(())
}

/// `Alias` when the move is the identity.
#[must_use]
pub fn alias_if(identity: bool) -> Reuse {
    if identity { Reuse::Alias } else { Reuse::None }
}

/// A result shape.
///
/// # Errors
/// More than 2^31 - 1 elements.
pub fn result_shape(dims: Vec<usize>) -> Result<Shape, OpError> {
    Shape::checked(dims.clone())
        .ok_or_else(|| OpError::invalid(format!("the result {} is too large", Shape(dims))))
}

/// Element 0 of a constant as a literal of its type.
#[must_use]
pub fn literal(data: &TensorData) -> Option<Expr> {
    let ty = Ty::from(data.dtype());
    Some(match data {
        TensorData::F32(v) => Expr::Float(*v.first()?),
        TensorData::F64(v) => {
            // Every float64 literal in use is a float32 one.
            let narrow = *v.first()? as f32;
            (f64::from(narrow) == *v.first()? || v[0].is_nan()).then_some(())?;
            Expr::Float(narrow).cast(Ty::F64)
        }
        TensorData::U64(v) => Expr::Int(v.first()?.cast_signed(), ty),
        TensorData::F16(v) | TensorData::BF16(v) => Expr::Int(i64::from(*v.first()?), ty),
        TensorData::Small(SmallType::I2 | SmallType::I4, v) => {
            Expr::Int(v.first()?.cast_signed().into(), ty)
        }
        TensorData::Small(_, v) => Expr::Int(i64::from(*v.first()?), ty),
        TensorData::I8(_)
        | TensorData::U8(_)
        | TensorData::I16(_)
        | TensorData::U16(_)
        | TensorData::I32(_)
        | TensorData::U32(_)
        | TensorData::I64(_)
        | TensorData::Bool(_) => Expr::Int(i64::try_from(*data.to_i128()?.first()?).ok()?, ty),
    })
}
