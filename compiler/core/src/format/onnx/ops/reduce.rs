//! Reductions.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Mean, Op, OpError, ReduceAttributes, ReduceMax, ReduceMin, Sum};

type Read = Result<Vec<ValueId>, OpError>;

/// Axes as attribute or operand 1; none means all, unless `noop_with_empty_axes`.
fn reduce(c: &mut Context<'_, '_>, op: fn(ReduceAttributes) -> Op) -> Read {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let listed = match c.attributes.ints("axes")? {
        Some(axes) => Some(axes.to_vec()),
        None => c.ints(1)?,
    };
    let axes = match listed.filter(|a| !a.is_empty()) {
        Some(axes) => c.axes(&axes, rank)?,
        None if c.attributes.flag("noop_with_empty_axes", false)? => return Ok(vec![x]),
        None => (0..rank).collect(),
    };
    let keep_dims = c.attributes.flag("keepdims", true)?;
    Ok(vec![c.build.add(op(ReduceAttributes { axes, keep_dims }), &[x])?])
}

/// Largest element.
pub fn max(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| ReduceMax(a).into())
}

/// Mean of the elements.
pub fn mean(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| Mean(a).into())
}

/// Smallest element.
pub fn min(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| ReduceMin(a).into())
}

/// Sum of the elements.
pub fn sum(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| Sum(a).into())
}
