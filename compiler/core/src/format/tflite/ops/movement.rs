//! Readers of operators that reorder, surround or repeat one operand.

use super::{OpContext, Reading, extents, fb};
use crate::op::{BroadcastTo, Mirror, MirrorPad, OpError, Pad, Reshape, Tile, Transpose};
use crate::tensor::Shape;

/// Target shape from the constant operand, else from the options, else as declared for the result.
pub(super) fn reshape(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let x = c.operand(0)?;
    let wanted = match c.operands.get(1).and_then(Option::as_ref) {
        Some(_) => Some(c.constant_ints(1)?),
        None => {
            c.op.builtin_options_as_reshape_options()
                .and_then(|o| o.new_shape())
                .map(|v| v.iter().map(i64::from).collect())
        }
    };
    let Some(wanted) = wanted else { return reshape_to_declared(c) };
    let known: i64 = wanted.iter().filter(|&&d| d >= 0).fold(1, |n, &d| n.saturating_mul(d));
    let total = x.ty.shape.elements() as i64;
    let mut dims = Vec::new();
    for &d in &wanted {
        let extent = if d == -1 && known > 0 { total / known } else { d };
        dims.push(usize::try_from(extent).map_err(|_| {
            OpError::invalid(format!("target shape {wanted:?} has a negative extent"))
        })?);
    }
    let shape = Shape::checked(dims)
        .ok_or_else(|| OpError::invalid(format!("target shape {wanted:?} is too large")))?;
    Ok(Reading { op: Reshape { shape }.into(), operands: vec![x.value] })
}

/// SQUEEZE, EXPAND_DIMS and RESHAPE without a target: the declared result shape says it all.
pub(super) fn reshape_to_declared(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let result = c.results.first().ok_or_else(|| OpError::invalid("it has no result"))?;
    let op = Reshape { shape: result.shape.clone() };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn transpose(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let x = c.operand(0)?;
    let rank = x.ty.shape.rank();
    let axes = c.constant_ints(1)?;
    let permutation: Result<Vec<usize>, OpError> = axes.iter().map(|&a| c.axis(a, rank)).collect();
    Ok(Reading { op: Transpose { permutation: permutation? }.into(), operands: vec![x.value] })
}

/// Elements before and after, per dimension, from the constant operand `[rank, 2]`.
fn paddings(c: &OpContext<'_>) -> Result<(Vec<usize>, Vec<usize>), OpError> {
    let flat = extents(&c.constant_ints(1)?, "padding")?;
    let side = |side: usize| flat.iter().skip(side).step_by(2).copied().collect();
    Ok((side(0), side(1)))
}

pub(super) fn pad(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let (before, after) = paddings(c)?;
    Ok(Reading { op: Pad { before, after }.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn pad_v2(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let (before, after) = paddings(c)?;
    let operands = vec![c.operand(0)?.value, c.operand(2)?.value];
    Ok(Reading { op: Pad { before, after }.into(), operands })
}

pub(super) fn mirror_pad(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_mirror_pad_options())?;
    let mirror = match o.mode() {
        fb::MirrorPadMode::REFLECT => Mirror::Reflect,
        fb::MirrorPadMode::SYMMETRIC => Mirror::Symmetric,
        other => return Err(OpError::invalid(format!("mirror mode {} is not defined", other.0))),
    };
    let (before, after) = paddings(c)?;
    let op = MirrorPad { before, after, mirror };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn tile(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let repeats = extents(&c.constant_ints(1)?, "repeats")?;
    Ok(Reading { op: Tile { repeats }.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn broadcast_to(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let shape = Shape(extents(&c.constant_ints(1)?, "target shape")?);
    Ok(Reading { op: BroadcastTo { shape }.into(), operands: vec![c.operand(0)?.value] })
}
