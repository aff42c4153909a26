//! Arithmetic on constant integers and truth values, as exporters write it for shapes: element by
//! element, with broadcasting. Values computed at run time never come here.

use crate::kernels::elementwise::Broadcast;
use crate::op::OpError;
use crate::tensor::{DType, Tensor, TensorData};

/// Elements as int64; `None` for floats.
fn wide(t: &Tensor) -> Option<Vec<i64>> {
    match &t.data {
        TensorData::F32(_) => None,
        TensorData::Bool(v) => Some(v.iter().map(|&b| i64::from(b != 0)).collect()),
        TensorData::I8(_) | TensorData::I16(_) | TensorData::I32(_) | TensorData::I64(_) => {
            t.to_i64()
        }
    }
}

fn narrow(values: Vec<i64>, dtype: DType) -> Option<TensorData> {
    Some(match dtype {
        DType::I64 => TensorData::I64(values),
        DType::I32 => TensorData::I32(all(values, |v| i32::try_from(v).ok())?),
        DType::I16 => TensorData::I16(all(values, |v| i16::try_from(v).ok())?),
        DType::I8 => TensorData::I8(all(values, |v| i8::try_from(v).ok())?),
        DType::Bool => TensorData::Bool(values.into_iter().map(|v| u8::from(v != 0)).collect()),
        DType::F32 => return None,
    })
}

fn all<T>(values: Vec<i64>, f: impl Fn(i64) -> Option<T>) -> Option<Vec<T>> {
    values.into_iter().map(f).collect()
}

/// The result of a binary operator on two constants of one type, if it is one of those here.
///
/// # Errors
/// Shapes that do not broadcast, division by zero, overflow, more than `max_bytes`.
pub fn binary(
    op: &str,
    a: &Tensor,
    b: &Tensor,
    max_bytes: usize,
) -> Result<Option<Tensor>, OpError> {
    let (Some(x), Some(y)) = (wide(a), wide(b)) else { return Ok(None) };
    let predicate = matches!(
        op,
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor"
    );
    let Some(f) = function(op) else { return Ok(None) };
    let plan = Broadcast::new(&a.shape, &b.shape).ok_or_else(|| {
        OpError::invalid(format!("shapes {} and {} do not broadcast", a.shape, b.shape))
    })?;
    let shape = crate::kernels::elementwise::broadcast(&a.shape, &b.shape).unwrap_or_default();
    if shape.elements().saturating_mul(size_of::<i64>()) > max_bytes {
        return Err(OpError::unsupported(format!(
            "the constants of the model grow too large: {op} gives {shape}"
        )));
    }
    let mut out = Some(Vec::new());
    plan.for_each(&mut |i, j| {
        let value = f(x[i], y[j]);
        out = out.take().zip(value).map(|(mut all, v)| {
            all.push(v);
            all
        });
    });
    let dtype = if predicate { DType::Bool } else { a.data.dtype() };
    out.and_then(|v| narrow(v, dtype))
        .and_then(|data| Tensor::new(shape, data))
        .map(Some)
        .ok_or_else(|| OpError::invalid(format!("{op} of constants overflows or divides by zero")))
}

type Function = fn(i64, i64) -> Option<i64>;

fn function(op: &str) -> Option<Function> {
    let f: Function = match op {
        "Add" => i64::checked_add,
        "Sub" => i64::checked_sub,
        "Mul" => i64::checked_mul,
        "Div" => i64::checked_div,
        "Mod" => |x, y| x.checked_rem_euclid(y).map(|r| if y < 0 && r != 0 { r + y } else { r }),
        "Max" => |x, y| Some(x.max(y)),
        "Min" => |x, y| Some(x.min(y)),
        "Equal" => |x, y| Some(i64::from(x == y)),
        "Less" => |x, y| Some(i64::from(x < y)),
        "LessOrEqual" => |x, y| Some(i64::from(x <= y)),
        "Greater" => |x, y| Some(i64::from(x > y)),
        "GreaterOrEqual" => |x, y| Some(i64::from(x >= y)),
        "And" => |x, y| Some(x & y),
        "Or" => |x, y| Some(x | y),
        "Xor" => |x, y| Some(x ^ y),
        _other => return None,
    };
    Some(f)
}
