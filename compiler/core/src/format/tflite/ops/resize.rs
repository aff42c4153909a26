//! Readers of operators that change spatial extents.

use super::{OpContext, Reading, extent, extents};
use crate::op::{DepthToSpace, OpError, ResizeBilinear, ResizeNearest, Sampling, SpaceToDepth};

/// Height and width from the constant operand.
fn size(c: &OpContext<'_>) -> Result<(usize, usize), OpError> {
    match extents(&c.constant_ints(1)?, "size")?.as_slice() {
        &[height, width] => Ok((height, width)),
        other => Err(OpError::invalid(format!("size {other:?} should be height and width"))),
    }
}

pub(super) fn nearest(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_resize_nearest_neighbor_options())?;
    let sampling =
        Sampling { align_corners: o.align_corners(), half_pixel_centers: o.half_pixel_centers() };
    let op = ResizeNearest { size: size(c)?, sampling };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn bilinear(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_resize_bilinear_options())?;
    let sampling =
        Sampling { align_corners: o.align_corners(), half_pixel_centers: o.half_pixel_centers() };
    let op = ResizeBilinear { size: size(c)?, sampling };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn space_to_depth(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_space_to_depth_options())?;
    let op = SpaceToDepth { block: extent(o.block_size(), "block size")? };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}

pub(super) fn depth_to_space(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_depth_to_space_options())?;
    let op = DepthToSpace { block: extent(o.block_size(), "block size")? };
    Ok(Reading { op: op.into(), operands: vec![c.operand(0)?.value] })
}
