//! What elementwise binary operators with broadcasting have in common. Not an operator itself.

use super::{OpError, Reuse, Signature, integer};
use crate::geometry::broadcast;
use crate::kernels::elementwise::Broadcast;
use crate::kir::{Expr, KernelBuilder, Ty};
use crate::numeric::Activation;
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// Two operands of one accepted type that broadcast; the result has the broadcast shape.
///
/// # Errors
/// Other counts, types or shapes; int8 without per-tensor quantization.
pub fn infer(s: &Signature<'_>, accepted: &[DType]) -> Result<Vec<TensorType>, OpError> {
    s.expect_operands(2, 2)?;
    let (a, b) = (s.operand(0)?, s.operand(1)?);
    if a.dtype() != b.dtype() || !accepted.contains(&a.dtype()) {
        return Err(OpError::types(s));
    }
    if a.dtype() == DType::I8 {
        a.per_tensor()?;
        b.per_tensor()?;
        s.result(0)?.per_tensor()?;
    }
    let shape = broadcast(a.shape(), b.shape()).ok_or_else(|| {
        OpError::invalid(format!("shapes {} and {} do not broadcast", a.shape(), b.shape()))
    })?;
    Ok(vec![TensorType::new(a.dtype(), shape)])
}

/// [`infer`], and plain integers of one type.
///
/// # Errors
/// As [`infer`].
pub fn infer_numeric(s: &Signature<'_>, accepted: &[DType]) -> Result<Vec<TensorType>, OpError> {
    if !integer::is_plain(s) {
        return infer(s, accepted);
    }
    s.expect_operands(2, 2)?;
    let (a, b) = (s.operand(0)?, s.operand(1)?);
    if a.dtype() != b.dtype() {
        return Err(OpError::types(s));
    }
    let shape = broadcast(a.shape(), b.shape()).ok_or_else(|| {
        OpError::invalid(format!("shapes {} and {} do not broadcast", a.shape(), b.shape()))
    })?;
    Ok(vec![TensorType::new(a.dtype(), shape)])
}

/// [`infer_numeric`] for arithmetic with a fused activation, which plain integers do not have.
///
/// # Errors
/// As [`infer`].
pub fn infer_activated(
    s: &Signature<'_>,
    activation: Activation,
    accepted: &[DType],
) -> Result<Vec<TensorType>, OpError> {
    if integer::is_plain(s) && activation != Activation::None {
        return Err(OpError::unsupported("integers with a fused activation are not supported"));
    }
    infer_numeric(s, accepted)
}

fn plan(s: &Signature<'_>) -> Result<Broadcast, OpError> {
    let (a, b) = (s.operand(0)?.shape(), s.operand(1)?.shape());
    Broadcast::new(a, b)
        .ok_or_else(|| OpError::invalid(format!("shapes {a} and {b} do not broadcast")))
}

/// Evaluates float32 elements.
///
/// # Errors
/// Operands of another type.
pub fn eval_f32(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    f: impl Fn(f32, f32) -> f32,
) -> Result<Vec<Tensor>, OpError> {
    let [Some(a), Some(b)] = [0, 1].map(|i| inputs.get(i).and_then(|t| t.as_f32())) else {
        return Err(OpError::types(s));
    };
    let mut out = Vec::new();
    plan(s)?.for_each(&mut |i, j| out.push(f(a[i], b[j])));
    Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: TensorData::F32(out) }])
}

/// Evaluates int8 elements; `f` gets raw integers and returns a value that fits int8.
///
/// # Errors
/// Operands of another type.
pub fn eval_i8(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    f: impl Fn(i32, i32) -> i32,
) -> Result<Vec<Tensor>, OpError> {
    let [Some(a), Some(b)] = [0, 1].map(|i| inputs.get(i).and_then(|t| t.as_i8())) else {
        return Err(OpError::types(s));
    };
    let mut out = Vec::new();
    plan(s)?.for_each(&mut |i, j| out.push(f(i32::from(a[i]), i32::from(b[j])) as i8));
    Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: TensorData::I8(out) }])
}

/// Evaluates plain integers or truth values exactly; the result wraps to its own type.
///
/// # Errors
/// Operands of another type.
pub fn eval_int(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    f: impl Fn(i128, i128) -> i128,
) -> Result<Vec<Tensor>, OpError> {
    let [Some(a), Some(b)] = [0, 1].map(|i| inputs.get(i).and_then(|t| t.data.to_i128())) else {
        return Err(OpError::types(s));
    };
    let mut out = Vec::new();
    plan(s)?.for_each(&mut |i, j| out.push(f(a[i], b[j])));
    let result = s.result(0)?;
    let data = TensorData::from_i128(result.dtype(), &out).ok_or_else(|| OpError::types(s))?;
    Ok(vec![Tensor { shape: result.shape().clone(), data }])
}

/// The result may overwrite an operand of the result's own shape.
#[must_use]
pub fn reuse(s: &Signature<'_>) -> Reuse {
    let full = |i: &usize| match (s.operands.get(*i), s.results.first()) {
        (Some(x), Some(y)) => x.ty == y.ty,
        _missing => false,
    };
    Reuse::InPlace([0, 1].into_iter().filter(full).collect())
}

/// Builds the loops; `f` gets both elements widened (int8 to I32).
///
/// # Errors
/// Shapes that do not broadcast.
pub fn lower(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    f: impl Fn(&mut KernelBuilder, Expr, Expr) -> Expr,
) -> Result<(), OpError> {
    let plan = plan(s)?;
    let (a, b) = (k.operand(s, 0, "a")?, k.operand(s, 1, "b")?);
    let y = k.result(s, 0, "y")?;
    plan.build(k, (a, b, y), f);
    Ok(())
}

/// Builds the loops of plain integers, both elements named and converted to `ty`.
///
/// # Errors
/// Shapes that do not broadcast.
pub fn lower_int(
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    ty: Ty,
    f: impl Fn(&mut KernelBuilder, Expr, Expr) -> Expr,
) -> Result<(), OpError> {
    lower(s, k, |k, a, b| {
        let (a, b) = (k.let_("p", a.cast(ty)), k.let_("q", b.cast(ty)));
        f(k, a, b)
    })
}
