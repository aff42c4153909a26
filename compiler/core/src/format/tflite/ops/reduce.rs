//! Readers of pooling, reductions and positions of extrema.

use super::{OpContext, Reading, activation, extent, padding};
use crate::op::{
    ArgAttributes, ArgMax, ArgMin, AveragePool2d, MaxPool2d, Mean, Op, OpError, PoolAttributes,
    ReduceAttributes, ReduceMax, ReduceMin, Sum,
};

pub(super) fn average_pool_2d(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, AveragePool2d(pool(c)?))
}

pub(super) fn max_pool_2d(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, MaxPool2d(pool(c)?))
}

pub(super) fn mean(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, Mean(reduction(c)?))
}

pub(super) fn sum(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, Sum(reduction(c)?))
}

pub(super) fn reduce_max(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, ReduceMax(reduction(c)?))
}

pub(super) fn reduce_min(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, ReduceMin(reduction(c)?))
}

pub(super) fn arg_max(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, ArgMax(position(c)?))
}

pub(super) fn arg_min(c: &OpContext<'_>) -> Result<Reading, OpError> {
    reading(c, ArgMin(position(c)?))
}

/// Operand 0 is the data; the others became attributes.
fn reading(c: &OpContext<'_>, op: impl Into<Op>) -> Result<Reading, OpError> {
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}

fn pool(c: &OpContext<'_>) -> Result<PoolAttributes, OpError> {
    let o = c.options(c.op.builtin_options_as_pool_2_doptions())?;
    Ok(PoolAttributes {
        dilation: (1, 1),
        window: (extent(o.filter_height(), "window")?, extent(o.filter_width(), "window")?),
        stride: (extent(o.stride_h(), "stride")?, extent(o.stride_w(), "stride")?),
        padding: padding(o.padding())?,
        activation: activation(o.fused_activation_function())?,
    })
}

fn reduction(c: &OpContext<'_>) -> Result<ReduceAttributes, OpError> {
    let o = c.options(c.op.builtin_options_as_reducer_options())?;
    let rank = c.operand(0)?.ty.shape.rank();
    let mut axes = Vec::new();
    for axis in c.constant_ints(1)? {
        axes.push(c.axis(axis, rank)?);
    }
    axes.sort_unstable();
    axes.dedup();
    Ok(ReduceAttributes { axes, keep_dims: o.keep_dims() })
}

/// The declared result type says int32 or int64; some files leave the option out.
fn position(c: &OpContext<'_>) -> Result<ArgAttributes, OpError> {
    let result = c.results.first().ok_or_else(|| OpError::invalid("it has no result"))?;
    let axis = c.axis(c.constant_int(1)?, c.operand(0)?.ty.shape.rank())?;
    Ok(ArgAttributes { axis, index: result.dtype, last: false })
}
