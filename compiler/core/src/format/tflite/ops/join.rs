//! Readers of operators that join tensors or take them apart.

use super::{OpContext, Reading, activation};
use crate::numeric::Activation;
use crate::op::{Concat, OpError, Pack, Split, Unpack};

pub(super) fn concatenation(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_concatenation_options())?;
    if activation(o.fused_activation_function())? != Activation::None {
        return Err(OpError::unsupported("a fused activation in CONCATENATION is not supported")
            .help("put the activation in an operator of its own; TFLM does not fuse it either"));
    }
    let axis = c.axis(i64::from(o.axis()), c.operand(0)?.ty.shape.rank())?;
    Ok(Reading { op: Concat { axis }.into(), operands: c.data_from(0) })
}

pub(super) fn pack(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_pack_options())?;
    let axis = c.axis(i64::from(o.axis()), c.operand(0)?.ty.shape.rank() + 1)?;
    Ok(Reading { op: Pack { axis }.into(), operands: c.data_from(0) })
}

pub(super) fn unpack(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_unpack_options())?;
    let count = parts(c, o.num())?;
    let x = c.operand(0)?;
    let axis = c.axis(i64::from(o.axis()), x.ty.shape.rank())?;
    Ok(Reading { op: Unpack { axis, count }.into(), operands: vec![x.value] })
}

/// Operands: axis, data.
pub(super) fn split(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_split_options())?;
    let count = parts(c, o.num_splits())?;
    let x = c.operand(1)?;
    let axis = c.axis(c.constant_int(0)?, x.ty.shape.rank())?;
    let extent = x.ty.shape.0[axis];
    if count == 0 || extent % count != 0 {
        return Err(OpError::invalid(format!(
            "dimension {axis} of {} cannot be cut into {count} equal parts",
            x.ty.shape
        )));
    }
    let op = Split { axis, sizes: vec![extent / count; count] };
    Ok(Reading { op: op.into(), operands: vec![x.value] })
}

/// Operands: data, sizes (at most one is -1: the rest), axis.
pub(super) fn split_v(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_split_voptions())?;
    parts(c, o.num_splits())?;
    let x = c.operand(0)?;
    let axis = c.axis(c.constant_int(2)?, x.ty.shape.rank())?;
    let wanted = c.constant_ints(1)?;
    let known = wanted.iter().filter(|&&n| n >= 0).fold(0i64, |sum, &n| sum.saturating_add(n));
    let rest = x.ty.shape.0[axis] as i64 - known;
    let mut sizes = Vec::with_capacity(wanted.len());
    for &n in &wanted {
        let unknown = n == -1 && wanted.iter().filter(|&&m| m == -1).count() == 1;
        sizes.push(usize::try_from(if unknown { rest } else { n }).map_err(|_| {
            OpError::invalid(format!("{} cannot be cut into parts of {wanted:?}", x.ty.shape))
        })?);
    }
    Ok(Reading { op: Split { axis, sizes }.into(), operands: vec![x.value] })
}

/// The option that repeats the number of results; the file bounds it, so it may size memory.
fn parts(c: &OpContext<'_>, option: i32) -> Result<usize, OpError> {
    let results = c.results.len();
    if usize::try_from(option) != Ok(results) {
        return Err(OpError::invalid(format!(
            "it has {results} results, its options say {option}"
        )));
    }
    Ok(results)
}
