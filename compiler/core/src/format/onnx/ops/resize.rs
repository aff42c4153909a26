//! Resize and Upsample. Where a resize kernel computes the same, that one is used; all other modes
//! are a few weighted picks per axis, whose positions are computed here.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Gather, OpError, ResizeBilinear, ResizeNearest, Sampling};
use crate::tensor::TensorData;

type Read = Result<Vec<ValueId>, OpError>;

/// Longest axis; the tables of positions are that long.
const MAX_EXTENT: usize = 1 << 18;

/// What is computed between samples.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Nearest,
    Linear,
    /// With the coefficient a of the cubic.
    Cubic(f64),
}

/// One resized axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    axis: usize,
    from: usize,
    to: usize,
    scale: f64,
}

/// Attributes of a resize.
#[derive(Clone, Copy, Debug)]
struct Rule<'a> {
    mode: Mode,
    coordinates: &'a str,
    nearest: &'a str,
    exclude_outside: bool,
}

/// Up to opset 10: positions x / scale, rounded down; scales are an attribute before opset 9.
pub fn upsample(c: &mut Context<'_, '_>) -> Read {
    let mode = mode(c)?;
    if matches!(mode, Mode::Cubic(_)) {
        return Err(OpError::invalid("mode \"cubic\" does not exist in this opset"));
    }
    let rule = Rule { mode, coordinates: "asymmetric", nearest: "floor", exclude_outside: false };
    let scales = match c.attributes.floats("scales")? {
        Some(scales) => scales.to_vec(),
        None => floats(c, 1)?.ok_or_else(|| OpError::invalid("the scales are missing"))?,
    };
    let x = c.operand(0)?;
    let all = (0..c.build.shape(x).len()).collect();
    let axes = by_scales(c, all, &scales)?;
    resize_axes(c, x, &axes, rule)
}

/// From opset 11 on.
pub fn resize(c: &mut Context<'_, '_>) -> Read {
    if c.attributes.flag("antialias", false)? {
        return Err(OpError::unsupported("antialias is not supported"));
    }
    let policy = c.attributes.text("keep_aspect_ratio_policy")?.unwrap_or("stretch");
    if policy != "stretch" {
        let message = format!("keep_aspect_ratio_policy \"{policy}\" is not supported");
        return Err(OpError::unsupported(message));
    }
    let rule = Rule {
        mode: mode(c)?,
        coordinates: c.attributes.text("coordinate_transformation_mode")?.unwrap_or("half_pixel"),
        nearest: c.attributes.text("nearest_mode")?.unwrap_or("round_prefer_floor"),
        exclude_outside: c.attributes.flag("exclude_outside", false)?,
    };
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let named = match c.attributes.ints("axes")? {
        Some(list) => list.iter().map(|&a| c.axis(a, dims.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..dims.len()).collect(),
    };
    let scales = floats(c, 2)?.filter(|s| !s.is_empty());
    let sizes = c.ints(3)?.filter(|s| !s.is_empty());
    let axes = match (scales, sizes) {
        (Some(scales), None) => by_scales(c, named, &scales)?,
        (None, Some(sizes)) if sizes.len() == named.len() => {
            let mut axes = Vec::new();
            for (&axis, &size) in named.iter().zip(&sizes) {
                let to = usize::try_from(size).ok().filter(|&n| n > 0 && n <= i32::MAX as usize);
                let to = to.ok_or_else(|| OpError::invalid(format!("size {size} is wrong")))?;
                let from = dims[axis];
                axes.push(Axis { axis, from, to, scale: to as f64 / from as f64 });
            }
            axes
        }
        _other => return Err(OpError::invalid("needs scales or sizes, one for each axis")),
    };
    resize_axes(c, x, &axes, rule)
}

fn mode(c: &Context<'_, '_>) -> Result<Mode, OpError> {
    Ok(match c.attributes.text("mode")?.unwrap_or("nearest") {
        "nearest" => Mode::Nearest,
        "linear" | "bilinear" | "trilinear" => Mode::Linear,
        "cubic" => Mode::Cubic(f64::from(c.attributes.float("cubic_coeff_a", -0.75)?)),
        other => return Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
    })
}

fn floats(c: &Context<'_, '_>, i: usize) -> Result<Option<Vec<f32>>, OpError> {
    if c.optional(i).is_none() {
        return Ok(None);
    }
    let tensor = c.constant(i)?;
    tensor
        .as_f32()
        .map(|v| Some(v.to_vec()))
        .ok_or_else(|| OpError::invalid(format!("operand {i} should hold floats")))
}

/// The result extent is the scaled one, rounded down.
fn by_scales(c: &Context<'_, '_>, axes: Vec<usize>, scales: &[f32]) -> Result<Vec<Axis>, OpError> {
    let dims = c.build.shape(c.operand(0)?);
    if scales.len() != axes.len() {
        return Err(OpError::invalid(format!("{} scales for {} axes", scales.len(), axes.len())));
    }
    let mut out = Vec::new();
    for (axis, &scale) in axes.into_iter().zip(scales) {
        let from = dims[axis];
        let extent = (from as f32 * scale).floor();
        if !(1.0..=(1u32 << 30) as f32).contains(&extent) {
            return Err(OpError::invalid(format!("scale {scale} of axis {axis} is not possible")));
        }
        out.push(Axis { axis, from, to: extent as usize, scale: f64::from(scale) });
    }
    Ok(out)
}

fn resize_axes(c: &mut Context<'_, '_>, x: ValueId, axes: &[Axis], rule: Rule<'_>) -> Read {
    let changed: Vec<Axis> =
        axes.iter().copied().filter(|a| a.from != a.to || a.scale != 1.0).collect();
    let mut dims = c.build.shape(x);
    for axis in &changed {
        dims[axis.axis] = axis.to;
    }
    // Before any table of that length is made.
    let longest = changed.iter().map(|a| a.to).max().unwrap_or(0);
    let is_empty = dims.contains(&0) || c.build.shape(x).contains(&0);
    if crate::Shape::checked(dims.clone()).is_none() || is_empty || longest > MAX_EXTENT {
        return Err(OpError::invalid(format!("the result {dims:?} is not possible")));
    }
    if let Some(y) = kernel(c, x, &changed, rule)? {
        return Ok(vec![y]);
    }
    let mut y = x;
    for axis in &changed {
        y = along(c, y, *axis, rule)?;
    }
    Ok(vec![y])
}

/// Resizes that a kernel over height and width computes alike.
fn kernel(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axes: &[Axis],
    rule: Rule<'_>,
) -> Result<Option<ValueId>, OpError> {
    let dims = c.build.shape(x);
    let exact = |a: &Axis| (a.scale - a.to as f64 / a.from as f64).abs() < 1e-6 * a.scale;
    let fits = dims.len() == 4 && !axes.is_empty() && axes.iter().all(|a| a.axis >= 2 && exact(a));
    let sampling = match rule.coordinates {
        "asymmetric" => Sampling::default(),
        "align_corners" => Sampling { align_corners: true, half_pixel_centers: false },
        "half_pixel" => Sampling { align_corners: false, half_pixel_centers: true },
        _other => return Ok(None),
    };
    if !fits || axes.iter().any(|a| a.to == 1) {
        return Ok(None);
    }
    let extent = |axis: usize| axes.iter().find(|a| a.axis == axis).map_or(dims[axis], |a| a.to);
    let size = (extent(2), extent(3));
    let whole = axes.iter().all(|a| a.to % a.from == 0);
    let op: crate::op::Op = match (rule.mode, rule.coordinates, rule.nearest) {
        (Mode::Linear, ..) => ResizeBilinear { size, sampling }.into(),
        // Position i takes sample i / factor; between pixel centres no rounding is in doubt.
        (Mode::Nearest, "half_pixel", "round_prefer_floor" | "round_prefer_ceil")
        | (Mode::Nearest, "asymmetric", "floor")
            if whole =>
        {
            ResizeNearest { size, sampling: Sampling::default() }.into()
        }
        _other => return Ok(None),
    };
    let last = c.build.channels_last(x)?;
    let y = c.build.apply(op, last)?;
    c.build.channels_first(y, 4).map(Some)
}

/// Sum of weighted picks along one axis.
fn along(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axis: Axis,
    rule: Rule<'_>,
) -> Result<ValueId, OpError> {
    let rank = c.build.shape(x).len();
    let mut taps: Vec<(Vec<i32>, Vec<f32>)> = Vec::new();
    for i in 0..axis.to {
        let position = position(&axis, rule.coordinates, i)?;
        for (t, (index, weight)) in picks(&axis, rule, position)?.into_iter().enumerate() {
            if t == taps.len() {
                taps.push((Vec::new(), Vec::new()));
            }
            taps[t].0.push(index);
            taps[t].1.push(weight);
        }
    }
    let mut sum = None;
    for (indices, weights) in taps {
        let indices = c.build.tensor(vec![axis.to], TensorData::I32(indices))?;
        let mut part = c.build.add(Gather { axis: axis.axis, batch_dims: 0 }, &[x, indices])?;
        if rule.mode != Mode::Nearest {
            let mut dims = vec![1; rank - axis.axis];
            dims[0] = axis.to;
            let weights = c.build.tensor(dims, TensorData::F32(weights))?;
            part = c.build.times(part, weights)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => c.build.plus(sum, part)?,
        });
    }
    sum.ok_or_else(|| OpError::invalid("the result has no elements"))
}

/// Where output sample `i` lies among the input samples (ONNX, Resize).
fn position(axis: &Axis, coordinates: &str, i: usize) -> Result<f64, OpError> {
    let (x, from, to) = (i as f64, axis.from as f64, axis.to as f64);
    let half = (x + 0.5) / axis.scale - 0.5;
    Ok(match coordinates {
        "half_pixel" => half,
        "half_pixel_symmetric" => {
            let adjustment = to / (axis.scale * from);
            from / 2.0 * (1.0 - adjustment) + half
        }
        "pytorch_half_pixel" => {
            if axis.to > 1 {
                half
            } else {
                0.0
            }
        }
        "align_corners" => {
            if axis.to > 1 {
                x * (from - 1.0) / (to - 1.0)
            } else {
                0.0
            }
        }
        "asymmetric" => x / axis.scale,
        other => {
            return Err(OpError::unsupported(format!(
                "coordinate_transformation_mode \"{other}\" is not supported"
            )));
        }
    })
}

/// Input indices and their weights for one position. Indices outside stand for the outermost
/// sample, or count nothing with `exclude_outside`.
fn picks(axis: &Axis, rule: Rule<'_>, position: f64) -> Result<Vec<(i32, f32)>, OpError> {
    let last = axis.from as f64 - 1.0;
    let inside = |index: f64| index.clamp(0.0, last) as i32;
    let low = position.floor();
    let t = position - low;
    let weights: Vec<(f64, f64)> = match rule.mode {
        Mode::Nearest => {
            let rounded = match rule.nearest {
                "round_prefer_floor" => (position - 0.5).ceil(),
                "round_prefer_ceil" => (position + 0.5).floor(),
                "floor" => low,
                "ceil" => position.ceil(),
                other => {
                    return Err(OpError::invalid(format!("nearest_mode \"{other}\" is unknown")));
                }
            };
            return Ok(vec![(inside(rounded), 1.0)]);
        }
        Mode::Linear => vec![(low, 1.0 - t), (low + 1.0, t)],
        // Keys' cubic convolution kernel.
        Mode::Cubic(a) => {
            let near = |t: f64| ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
            let far = |t: f64| ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a;
            vec![
                (low - 1.0, far(t + 1.0)),
                (low, near(t)),
                (low + 1.0, near(1.0 - t)),
                (low + 2.0, far(2.0 - t)),
            ]
        }
    };
    let counts = |index: f64| !rule.exclude_outside || (0.0..=last).contains(&index);
    let total: f64 = weights.iter().filter(|w| counts(w.0)).map(|w| w.1).sum();
    let total = if rule.exclude_outside && total != 0.0 { total } else { 1.0 };
    let weigh = |(index, weight): (f64, f64)| {
        (inside(index), if counts(index) { (weight / total) as f32 } else { 0.0 })
    };
    Ok(weights.into_iter().map(weigh).collect())
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn two_to_four(mode: &str, coordinates: &str) -> Case {
        let c = case("Resize").input(&[1, 1, 1, 2], &[1.0, 3.0]).none();
        let c = c.floats(&[4], &[1.0, 1.0, 1.0, 2.0]).text("mode", mode);
        c.text("coordinate_transformation_mode", coordinates)
    }

    #[test]
    fn linear_and_nearest_follow_the_coordinates() {
        let row = [1, 1, 1, 4];
        two_to_four("linear", "half_pixel").gives(13, &row, &[1.0, 1.5, 2.5, 3.0]);
        two_to_four("linear", "pytorch_half_pixel").gives(13, &row, &[1.0, 1.5, 2.5, 3.0]);
        two_to_four("linear", "asymmetric").gives(13, &row, &[1.0, 2.0, 3.0, 3.0]);
        let third = 2.0 / 3.0;
        let corners = [1.0, 1.0 + third, 1.0 + 2.0 * third, 3.0];
        two_to_four("linear", "align_corners").gives(13, &row, &corners);
        two_to_four("nearest", "half_pixel").gives(13, &row, &[1.0, 1.0, 3.0, 3.0]);
        let floor = two_to_four("nearest", "half_pixel").text("nearest_mode", "floor");
        floor.gives(13, &row, &[1.0, 1.0, 1.0, 3.0]);
        let ceil = two_to_four("nearest", "asymmetric").text("nearest_mode", "ceil");
        ceil.gives(13, &row, &[1.0, 3.0, 3.0, 3.0]);
    }

    #[test]
    fn cubic_weights_by_hand() {
        // Positions -0.25 and 0.25 with a = -0.75; samples outside repeat the outermost one.
        let far = |t: f32| -0.75 * (t * t * t - 5.0 * t * t + 8.0 * t - 4.0);
        let near = |t: f32| 1.25 * t * t * t - 2.25 * t * t + 1.0;
        let first = far(1.75) + near(0.75) + near(0.25) + 3.0 * far(1.25);
        let second = far(1.25) + near(0.25) + 3.0 * (near(0.75) + far(1.75));
        let want = [first, second, 4.0 - second, 4.0 - first];
        two_to_four("cubic", "half_pixel").gives(13, &[1, 1, 1, 4], &want);
    }

    #[test]
    fn sizes_and_refusals() {
        let c = case("Resize").input(&[1, 3], &[1.0, 2.0, 3.0]).none().none().ints(&[2], &[2, 1]);
        c.text("mode", "linear").gives(13, &[2, 1], &[2.0, 2.0]);
        two_to_four("linear", "tf_crop_and_resize").refused(13, "tf_crop_and_resize");
        let huge = case("Resize").input(&[1, 3], &[1.0, 2.0, 3.0]).none();
        huge.floats(&[2], &[1e30, 1.0]).refused(13, "not possible");
    }
}
