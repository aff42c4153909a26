//! Pooling over one and two spatial dimensions, and over all of them.

use super::Context;
use super::conv::{Spatial, channels_first, channels_last};
use crate::graph::ValueId;
use crate::kernels::window::Padding;
use crate::numeric::Activation;
use crate::op::{
    AveragePool2d, MaxPool2d, Mean, OpError, Pad, PoolAttributes, ReduceAttributes, ReduceMax,
};
use crate::tensor::{DType, QuantParams};

type Read = Result<Vec<ValueId>, OpError>;

/// Mean of the taps inside the input; with `count_include_pad` padded zeros count, too.
pub fn average_pool(c: &mut Context<'_, '_>) -> Read {
    let include = c.attributes.flag("count_include_pad", false)?;
    let (x, dims, mut spatial) = window(c)?;
    let mut x = channels_last(&mut c.build, x)?;
    if let (true, Padding::Explicit { rows, columns }) = (include, spatial.padding) {
        let (before, after) = (vec![0, rows.0, columns.0, 0], vec![0, rows.1, columns.1, 0]);
        x = c.build.add(Pad { before, after }, &[x])?;
        spatial.padding = Padding::Valid;
    } else if include && spatial.padding == Padding::Same {
        return Err(OpError::unsupported("count_include_pad with auto_pad is not supported"));
    }
    let y = c.build.add(AveragePool2d(attributes(&spatial)), &[x])?;
    Ok(vec![channels_first(&mut c.build, y, dims.len())?])
}

/// Maximum of the taps inside the input.
pub fn max_pool(c: &mut Context<'_, '_>) -> Read {
    let (x, dims, spatial) = window(c)?;
    let is_unsigned = c.build.ty(x).dtype == DType::U8;
    let mut x = if is_unsigned { c.build.flipped(x)? } else { x };
    if c.build.ty(x).dtype == DType::I8 && c.build.quant(x).is_none() {
        // Plain integers, as far as anybody knows: any scale keeps their order.
        x = c.build.labelled(x, Some(QuantParams::per_tensor(1.0, 0).half_even()))?;
    }
    let x = channels_last(&mut c.build, x)?;
    let y = c.build.add(MaxPool2d(attributes(&spatial)), &[x])?;
    let y = channels_first(&mut c.build, y, dims.len())?;
    Ok(vec![if is_unsigned { c.build.flipped(y)? } else { y }])
}

fn window(c: &Context<'_, '_>) -> Result<(ValueId, Vec<usize>, Spatial), OpError> {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let mut spatial = Spatial::read(c, &dims, None)?;
    if spatial.dilation != (1, 1) {
        return Err(OpError::unsupported("dilated pooling is not supported"));
    }
    if c.attributes.flag("ceil_mode", false)? {
        spatial.padding = ceiled(&spatial, &dims);
    }
    Ok((x, dims, spatial))
}

/// `ceil_mode`: more padding behind, so that the last window counts although it is not whole. A
/// window that would begin in the padding behind does not exist.
fn ceiled(s: &Spatial, dims: &[usize]) -> Padding {
    let (rows, columns) = match s.padding {
        Padding::Explicit { rows, columns } => (rows, columns),
        Padding::Valid => ((0, 0), (0, 0)),
        Padding::Same => return Padding::Same,
    };
    let grow = |extent: usize, (before, after): (usize, usize), kernel: usize, stride: usize| {
        let Some(room) = extent.saturating_add(before).saturating_add(after).checked_sub(kernel)
        else {
            return (before, after);
        };
        let last = room.div_ceil(stride) * stride;
        let exists = last < extent.saturating_add(before);
        (before, if exists { after + (last - room) } else { after })
    };
    let height = if dims.len() == 3 { 1 } else { dims[2] };
    Padding::Explicit {
        rows: grow(height, rows, s.kernel.0, s.stride.0),
        columns: grow(dims[dims.len() - 1], columns, s.kernel.1, s.stride.1),
    }
}

fn attributes(s: &Spatial) -> PoolAttributes {
    PoolAttributes {
        window: s.kernel,
        stride: s.stride,
        padding: s.padding,
        activation: Activation::None,
    }
}

fn spatial_axes(c: &Context<'_, '_>) -> Result<(ValueId, ReduceAttributes), OpError> {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    if rank < 3 {
        return Err(OpError::invalid("the input has no spatial dimensions"));
    }
    Ok((x, ReduceAttributes { axes: (2..rank).collect(), keep_dims: true }))
}

/// Mean over all spatial dimensions.
pub fn global_average_pool(c: &mut Context<'_, '_>) -> Read {
    let (x, attributes) = spatial_axes(c)?;
    Ok(vec![c.build.add(Mean(attributes), &[x])?])
}

/// Maximum over all spatial dimensions.
pub fn global_max_pool(c: &mut Context<'_, '_>) -> Read {
    let (x, attributes) = spatial_axes(c)?;
    Ok(vec![c.build.add(ReduceMax(attributes), &[x])?])
}
