//! Arithmetic on constant integers and truth values, as exporters write it for shapes: element by
//! element, with broadcasting. Values computed at run time never come here.

use crate::kernels::elementwise::Broadcast;
use crate::kernels::reduce::Reduction;
use crate::op::{OpError, ReduceAttributes};
use crate::tensor::{DType, Shape, Tensor, TensorData};

/// Elements as int64; `None` for floats and for uint64 beyond it.
fn wide(t: &Tensor) -> Option<Vec<i64>> {
    t.to_i64()
}

fn narrow(values: Vec<i64>, dtype: DType) -> Option<TensorData> {
    let wide: Vec<i128> = values.into_iter().map(i128::from).collect();
    let data = TensorData::from_i128(dtype, &wide)?;
    (dtype == DType::Bool || data.to_i128()? == wide).then_some(data)
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
    if let (Some(x), Some(y)) = (a.as_f32(), b.as_f32()) {
        return Ok(compare(op, (&a.shape, x), (&b.shape, y)));
    }
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

/// A comparison of constant floats of one shape, or with a scalar: conditions of loops.
fn compare(op: &str, (a, x): (&Shape, &[f32]), (b, y): (&Shape, &[f32])) -> Option<Tensor> {
    let f: fn(f32, f32) -> bool = match op {
        "Equal" => |x, y| x == y,
        "Less" => |x, y| x < y,
        "LessOrEqual" => |x, y| x <= y,
        "Greater" => |x, y| x > y,
        "GreaterOrEqual" => |x, y| x >= y,
        _other => return None,
    };
    let (shape, n) = if a.rank() >= b.rank() { (a, x.len()) } else { (b, y.len()) };
    if !(a == b || x.len() == 1 || y.len() == 1) || n != x.len().max(y.len()) {
        return None;
    }
    let at = |v: &[f32], i: usize| v.get(if v.len() == 1 { 0 } else { i }).copied();
    let values = (0..n).map(|i| Some(u8::from(f(at(x, i)?, at(y, i)?))));
    Tensor::new(shape.clone(), TensorData::Bool(values.collect::<Option<Vec<u8>>>()?))
}

/// The result of a unary operator on a constant integer or truth value, if it is one of those here.
///
/// # Errors
/// Overflow.
pub fn unary(op: &str, x: &Tensor) -> Result<Option<Tensor>, OpError> {
    let f: fn(i64) -> Option<i64> = match op {
        "Abs" => i64::checked_abs,
        "Ceil" | "Floor" | "Round" => Some,
        "Neg" => i64::checked_neg,
        "Not" => |x| Some(i64::from(x == 0)),
        "Sign" => |x| Some(x.signum()),
        _other => return Ok(None),
    };
    let Some(values) = wide(x) else { return Ok(None) };
    values
        .into_iter()
        .map(f)
        .collect::<Option<Vec<_>>>()
        .and_then(|v| narrow(v, x.data.dtype()))
        .and_then(|data| Tensor::new(x.shape.clone(), data))
        .map(Some)
        .ok_or_else(|| OpError::invalid(format!("{op} of a constant overflows")))
}

/// Constant integers reduced by the binary operator `op`; `None` for floats and unknown names.
///
/// # Errors
/// Overflow, axes that do not exist, nothing to reduce.
pub fn reduce(op: &str, x: &Tensor, a: &ReduceAttributes) -> Result<Option<Tensor>, OpError> {
    let (Some(values), Some(f)) = (wide(x), function(op)) else { return Ok(None) };
    let misfit = || OpError::invalid(format!("{} cannot be reduced along {:?}", x.shape, a.axes));
    if values.is_empty() {
        return Err(misfit());
    }
    let plan = Reduction::new(&x.shape, &a.axes).ok_or_else(misfit)?;
    let mut out: Vec<Option<i64>> = vec![None; values.len() / plan.count.max(1)];
    let mut overflows = false;
    plan.for_each(&mut |from, to| {
        let next = match out[to] {
            None => Some(values[from]),
            Some(sum) => f(sum, values[from]),
        };
        overflows |= next.is_none();
        out[to] = next;
    });
    let mut dims = Vec::new();
    for (d, &extent) in x.shape.0.iter().enumerate() {
        match (a.axes.contains(&d), a.keep_dims) {
            (false, _) => dims.push(extent),
            (true, true) => dims.push(1),
            (true, false) => {}
        }
    }
    let all = out.into_iter().collect::<Option<Vec<_>>>().filter(|_| !overflows);
    all.and_then(|v| narrow(v, x.data.dtype()))
        .and_then(|data| Tensor::new(Shape(dims), data))
        .map(Some)
        .ok_or_else(|| OpError::invalid("the reduction of constants overflows"))
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
