//! Resize and Upsample. Where a resize kernel computes the same, that one is used; all other modes
//! are weighted picks per axis, whose positions are computed here: a few gathers, or a constant matrix
//! where an axis shrinks a lot.

use super::Context;
use crate::graph::ValueId;
use crate::op::{BatchMatmul, Gather, OpError, ResizeBilinear, ResizeNearest, Sampling};
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
    /// The part that is resized, begin and end as fractions of the extent.
    part: (f64, f64),
}

/// Attributes of a resize.
#[derive(Clone, Copy, Debug)]
struct Rule<'a> {
    mode: Mode,
    coordinates: &'a str,
    nearest: &'a str,
    exclude_outside: bool,
    antialias: bool,
    /// Value of what lies outside of the resized part.
    beyond: f32,
}

/// Up to opset 10: positions x / scale, rounded down; scales are an attribute before opset 9.
pub fn upsample(c: &mut Context<'_, '_>) -> Read {
    let mode = mode(c)?;
    if matches!(mode, Mode::Cubic(_)) {
        return Err(OpError::invalid("mode \"cubic\" does not exist in this opset"));
    }
    let rule = Rule {
        mode,
        coordinates: "asymmetric",
        nearest: "floor",
        exclude_outside: false,
        antialias: false,
        beyond: 0.0,
    };
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
    let rule = Rule {
        mode: mode(c)?,
        coordinates: c.attributes.text("coordinate_transformation_mode")?.unwrap_or("half_pixel"),
        nearest: c.attributes.text("nearest_mode")?.unwrap_or("round_prefer_floor"),
        exclude_outside: c.attributes.flag("exclude_outside", false)?,
        antialias: c.attributes.flag("antialias", false)?,
        beyond: c.attributes.float("extrapolation_value", 0.0)?,
    };
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let named = match c.attributes.ints("axes")? {
        Some(list) => list.iter().map(|&a| c.axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if named.iter().enumerate().any(|(i, a)| named[..i].contains(a)) {
        return Err(OpError::invalid("attribute \"axes\" names an axis twice"));
    }
    let scales = floats(c, 2)?.filter(|s| !s.is_empty());
    let sizes = c.ints(3)?.filter(|s| !s.is_empty());
    let mut axes = match (scales, sizes) {
        (Some(scales), None) => by_scales(c, named, &scales)?,
        (None, Some(sizes)) if sizes.len() == named.len() => by_sizes(c, named, &sizes)?,
        _other => return Err(OpError::invalid("needs scales or sizes, one for each axis")),
    };
    if rule.coordinates == "tf_crop_and_resize" {
        let count = axes.len();
        let roi = floats(c, 1)?.filter(|roi| roi.len() == 2 * count);
        let roi = roi.ok_or_else(|| {
            OpError::invalid(format!("operand 1 (roi) should hold {} floats", 2 * count))
        })?;
        for (i, axis) in axes.iter_mut().enumerate() {
            axis.part = (f64::from(roi[i]), f64::from(roi[i + count]));
        }
    }
    resize_axes(c, x, &axes, rule)
}

/// The extents wanted, or the nearest ones of the same proportions.
fn by_sizes(c: &Context<'_, '_>, axes: Vec<usize>, sizes: &[i64]) -> Result<Vec<Axis>, OpError> {
    let dims = c.build.shape(c.operand(0)?);
    let mut all = Vec::new();
    for (axis, &size) in axes.into_iter().zip(sizes) {
        let to = usize::try_from(size).ok().filter(|&n| n > 0 && n <= i32::MAX as usize);
        let to = to.ok_or_else(|| OpError::invalid(format!("size {size} is wrong")))?;
        let from = dims[axis];
        all.push(Axis { axis, from, to, scale: to as f64 / from as f64, part: (0.0, 1.0) });
    }
    let scales = all.iter().map(|a| a.scale);
    let common = match c.attributes.text("keep_aspect_ratio_policy")?.unwrap_or("stretch") {
        "stretch" => None,
        "not_larger" => scales.reduce(f64::min),
        "not_smaller" => scales.reduce(f64::max),
        other => {
            let message = format!("keep_aspect_ratio_policy \"{other}\" does not exist");
            return Err(OpError::invalid(message));
        }
    };
    if let Some(scale) = common {
        for axis in &mut all {
            axis.scale = scale;
            axis.to = (scale * axis.from as f64 + 0.5).floor().clamp(1.0, 1e9) as usize;
        }
    }
    Ok(all)
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
        let (to, scale) = (extent as usize, f64::from(scale));
        out.push(Axis { axis, from, to, scale, part: (0.0, 1.0) });
    }
    Ok(out)
}

fn resize_axes(c: &mut Context<'_, '_>, x: ValueId, axes: &[Axis], rule: Rule<'_>) -> Read {
    let is_same = |a: &Axis| a.from == a.to && a.scale == 1.0 && a.part == (0.0, 1.0);
    let changed: Vec<Axis> = axes.iter().copied().filter(|a| !is_same(a)).collect();
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
    if !fits || rule.antialias || axes.iter().any(|a| a.to == 1) {
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

/// Picks per result that are gathers; more are a matrix.
const MAX_PICKS: usize = 4;
/// Elements of a matrix.
const MAX_MATRIX: usize = 1 << 22;

/// Weighted sums of picks along one axis.
fn along(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axis: Axis,
    rule: Rule<'_>,
) -> Result<ValueId, OpError> {
    let mut all: Vec<Vec<(usize, f32)>> = Vec::new();
    let mut beyond = vec![0.0; axis.to];
    for (i, beyond) in beyond.iter_mut().enumerate() {
        let position = position(&axis, rule.coordinates, i)?;
        let is_outside = !(0.0..=axis.from as f64 - 1.0).contains(&position);
        if rule.coordinates == "tf_crop_and_resize" && is_outside {
            *beyond = rule.beyond;
            all.push(Vec::new());
        } else {
            all.push(picks(&axis, rule, position)?);
        }
    }
    let most = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut y = match most > MAX_PICKS {
        true => product(c, x, axis, &all)?,
        false => sum(c, x, axis, &all)?,
    };
    if beyond.iter().any(|&v| v != 0.0) {
        let beyond = along_axis(c, x, axis, beyond)?;
        y = c.build.plus(y, beyond)?;
    }
    Ok(y)
}

/// Numbers along one axis, to be broadcast.
fn along_axis(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axis: Axis,
    values: Vec<f32>,
) -> Result<ValueId, OpError> {
    let mut dims = vec![1; c.build.shape(x).len() - axis.axis];
    dims[0] = values.len();
    c.build.tensor(dims, TensorData::F32(values))
}

/// One gather per pick, times its weights, summed.
fn sum(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axis: Axis,
    all: &[Vec<(usize, f32)>],
) -> Result<ValueId, OpError> {
    let most = all.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut sum = None;
    for t in 0..most {
        let picks: Vec<(usize, f32)> =
            all.iter().map(|p| p.get(t).copied().unwrap_or((0, 0.0))).collect();
        let indices = picks.iter().map(|p| p.0 as i32).collect();
        let indices = c.build.tensor(vec![axis.to], TensorData::I32(indices))?;
        let mut part = c.build.add(Gather { axis: axis.axis, batch_dims: 0 }, &[x, indices])?;
        if picks.iter().any(|p| p.1 != 1.0) {
            let weights = along_axis(c, x, axis, picks.iter().map(|p| p.1).collect())?;
            part = c.build.times(part, weights)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => c.build.plus(sum, part)?,
        });
    }
    sum.ok_or_else(|| OpError::invalid("the result has no elements"))
}

/// A constant matrix from the samples of an axis to the resized ones.
fn product(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axis: Axis,
    all: &[Vec<(usize, f32)>],
) -> Result<ValueId, OpError> {
    let size = axis.from.checked_mul(axis.to).filter(|&n| n <= MAX_MATRIX);
    let size = size.ok_or_else(|| {
        OpError::unsupported(format!("axis {} is too long to resize like this", axis.axis))
    })?;
    let mut matrix = vec![0.0; size];
    for (row, picks) in matrix.chunks_mut(axis.from).zip(all) {
        picks.iter().for_each(|&(i, weight)| row[i] += weight);
    }
    let matrix = c.build.tensor(vec![1, axis.to, axis.from], TensorData::F32(matrix))?;
    let mut dims = c.build.shape(x);
    let outer = dims.iter().take(axis.axis).product();
    let inner = dims.iter().skip(axis.axis + 1).product();
    dims[axis.axis] = axis.to;
    let x = c.build.reshape(x, vec![outer, axis.from, inner])?;
    let y = c.build.add(BatchMatmul { adj_x: false, adj_y: false }, &[matrix, x])?;
    c.build.reshape(y, dims)
}

/// Where output sample `i` lies among the input samples (ONNX, Resize). The length of the result is
/// the scaled one, which need not be whole.
fn position(axis: &Axis, coordinates: &str, i: usize) -> Result<f64, OpError> {
    let (x, from) = (i as f64, axis.from as f64);
    let width = axis.scale * from;
    let half = (x + 0.5) / axis.scale - 0.5;
    Ok(match coordinates {
        "half_pixel" => half,
        "half_pixel_symmetric" => from / 2.0 * (1.0 - axis.to as f64 / width) + half,
        "pytorch_half_pixel" if axis.to > 1 => half,
        "align_corners" if width != 1.0 && axis.to > 1 => x * (from - 1.0) / (width - 1.0),
        "pytorch_half_pixel" | "align_corners" => 0.0,
        "asymmetric" => x / axis.scale,
        "tf_crop_and_resize" => {
            let (begin, end) = axis.part;
            match axis.to > 1 {
                true => (begin + x * (end - begin) / (width - 1.0)) * (from - 1.0),
                false => (begin + end) / 2.0 * (from - 1.0),
            }
        }
        other => {
            return Err(OpError::invalid(format!(
                "coordinate_transformation_mode \"{other}\" does not exist"
            )));
        }
    })
}

/// Keys' cubic convolution kernel.
fn cubic(a: f64, distance: f64) -> f64 {
    let t = distance.abs();
    if t <= 1.0 {
        return ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    }
    if t < 2.0 { ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a } else { 0.0 }
}

/// Input indices and their weights for one position. Indices outside stand for the outermost
/// sample, or count nothing with `exclude_outside`.
fn picks(axis: &Axis, rule: Rule<'_>, position: f64) -> Result<Vec<(usize, f32)>, OpError> {
    let last = axis.from as f64 - 1.0;
    let inside = |index: f64| index.clamp(0.0, last) as usize;
    let low = position.floor();
    // Antialiasing widens the kernel where the axis shrinks.
    let squeeze = if rule.antialias { axis.scale.min(1.0) } else { 1.0 };
    let reach = match rule.mode {
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
        Mode::Linear => 1.0,
        Mode::Cubic(_) => 2.0,
    };
    let kernel = |distance: f64| match rule.mode {
        Mode::Cubic(a) => cubic(a, distance),
        Mode::Nearest | Mode::Linear => (1.0 - distance.abs()).max(0.0),
    };
    let half = f64::ceil(reach / squeeze);
    if half > MAX_EXTENT as f64 {
        return Err(OpError::unsupported(format!("axis {} shrinks too much", axis.axis)));
    }
    let count = 2 * half as usize;
    let weigh = |t: usize| {
        let index = low + 1.0 - half + t as f64;
        (index, kernel((index - position) * squeeze))
    };
    let weights: Vec<(f64, f64)> = (0..count).map(weigh).collect();
    let counts = |index: f64| !rule.exclude_outside || (0.0..=last).contains(&index);
    let total: f64 = weights.iter().filter(|w| counts(w.0)).map(|w| w.1).sum();
    let divided = (rule.exclude_outside || rule.antialias) && total != 0.0;
    let total = if divided { total } else { 1.0 };
    let normed = |(index, weight): (f64, f64)| {
        (inside(index), if counts(index) { (weight / total) as f32 } else { 0.0 })
    };
    Ok(weights.into_iter().map(normed).collect())
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
        two_to_four("linear", "tf_crop_and_resize").refused(13, "roi");
        two_to_four("linear", "diagonal").refused(13, "diagonal");
        let huge = case("Resize").input(&[1, 3], &[1.0, 2.0, 3.0]).none();
        huge.floats(&[2], &[1e30, 1.0]).refused(13, "not possible");
    }
    /// From 1.5 to 4.5, of which 3 is the last sample.
    fn part(mode: &str) -> Case {
        let c = case("Resize").input(&[1, 4], &[1.0, 2.0, 3.0, 4.0]);
        let c = c.floats(&[4], &[0.0, 0.5, 1.0, 1.5]).none().ints(&[2], &[1, 3]);
        c.text("mode", mode).text("coordinate_transformation_mode", "tf_crop_and_resize")
    }

    #[test]
    fn parts_and_what_lies_beyond() {
        part("linear").gives(13, &[1, 3], &[2.5, 4.0, 0.0]);
        let beyond = part("linear").float("extrapolation_value", 7.0);
        beyond.gives(13, &[1, 3], &[2.5, 4.0, 7.0]);
        part("nearest").gives(13, &[1, 3], &[2.0, 4.0, 0.0]);
    }

    #[test]
    fn antialiasing_widens_the_kernel() {
        // Distances 1.5, 0.5, 0.5, 1.5 of two: weights 0.25, 0.75, 0.75, 0.25.
        let c = case("Resize").input(&[1, 8], &[0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0]).none();
        let c = c.floats(&[2], &[1.0, 0.5]).text("mode", "linear").int("antialias", 1);
        c.gives(18, &[1, 4], &[1.0, 3.0, 0.0, 0.0]);
        let c = case("Resize").input(&[1, 8], &[1.0; 8]).none().floats(&[2], &[1.0, 0.375]);
        let c = c.text("mode", "cubic").int("antialias", 1).int("exclude_outside", 1);
        c.gives(18, &[1, 3], &[1.0, 1.0, 1.0]);
    }

    #[test]
    fn proportions_are_kept() {
        let of = |policy| {
            let c = case("Resize").input(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).none().none();
            c.ints(&[2], &[4, 3]).text("keep_aspect_ratio_policy", policy)
        };
        of("not_larger").gives(18, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(of("not_smaller").run(18).expect("reads").shape.0, [4, 6]);
        of("round").refused(18, "round");
    }
}
