//! Resizing images.

use crate::format::openvino::held::{Call, FIRST, Held};
use crate::op::{OpError, ResizeBilinear, ResizeNearest, Sampling};

struct Mode {
    mode: &'static str,
    coordinates: &'static str,
    nearest: &'static str,
}

/// Interpolate over rows and columns to `size`.
fn interpolate(
    call: &mut Call<'_, '_>,
    size: (usize, usize),
    mode: &Mode,
) -> Result<Held, OpError> {
    let x = call.arranged(0, &FIRST)?;
    let &[n, c, h, w] = x.dims.as_slice() else {
        return Err(OpError::invalid("the input should have 4 dimensions"));
    };
    let sizes = call.e.ints(&[size.0 as i64, size.1 as i64]);
    let scales = [size.0 as f32 / h as f32, size.1 as f32 / w as f32];
    let scales = call.e.floats(vec![2], &scales);
    let axes = call.e.ints(&[2, 3]);
    let data = vec![
        ("mode", mode.mode.to_string()),
        ("shape_calculation_mode", "sizes".to_string()),
        ("coordinate_transformation_mode", mode.coordinates.to_string()),
        ("nearest_mode", mode.nearest.to_string()),
        ("antialias", "false".to_string()),
        ("pads_begin", "0,0,0,0".to_string()),
        ("pads_end", "0,0,0,0".to_string()),
        ("cube_coeff", "-0.75".to_string()),
    ];
    let dims = vec![n, c, size.0, size.1];
    let wire = call.e.one(("Interpolate", 4), data, &[&x, &sizes, &scales, &axes], x.elem, dims);
    Ok(Held::first(wire))
}

/// How positions of the result become positions of the operand.
fn coordinates(sampling: Sampling, half_pixel: &'static str) -> &'static str {
    match (sampling.align_corners, sampling.half_pixel_centers) {
        (true, _) => "align_corners",
        (false, true) => half_pixel,
        (false, false) => "asymmetric",
    }
}

/// The nearest element, below the position or, with aligned corners, beside it.
pub fn nearest(call: &mut Call<'_, '_>, op: &ResizeNearest) -> Result<Held, OpError> {
    let nearest = if op.sampling.align_corners { "round_prefer_ceil" } else { "floor" };
    let coordinates = coordinates(op.sampling, "tf_half_pixel_for_nn");
    interpolate(call, op.size, &Mode { mode: "nearest", coordinates, nearest })
}

/// Linear between the four elements around a position.
pub fn bilinear(call: &mut Call<'_, '_>, op: &ResizeBilinear) -> Result<Held, OpError> {
    let coordinates = coordinates(op.sampling, "half_pixel");
    interpolate(call, op.size, &Mode { mode: "linear_onnx", coordinates, nearest: "floor" })
}
