//! Values between the elements of a tensor, at positions computed at run time: GridSample and
//! DeformConv, and the positions of AffineGrid. All of it is arithmetic on positions and gathers.

use super::Context;
use super::conv::{convolve, groups};
use super::spatial::{Windows, extents};
use crate::format::onnx::build::Builder;
use crate::graph::ValueId;
use crate::op::{
    Abs, BatchMatmul, Cast, Compare, Concat, Floor, Function, Gather, Math, Maximum, Minimum,
    OpError, Relation, Select,
};
use crate::tensor::{DType, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Elements of a plane that float32 numbers tell apart.
const MAX_PLANE: usize = 1 << 24;
/// Groups of channels with offsets of their own.
const MAX_PARTS: usize = 256;
/// Positions that are constants.
const MAX_POINTS: usize = 1 << 20;

/// What is computed between elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// What lies outside of the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beyond {
    Zeros,
    Border,
    Reflection,
}

/// How positions become values.
#[derive(Clone, Copy, Debug)]
struct Rule {
    mode: Mode,
    beyond: Beyond,
    /// Reflection happens at the centres of the outermost elements, not at their edges.
    align_corners: bool,
}

impl Rule {
    /// The first and last position that is not reflected.
    fn edges(self, extent: usize) -> (f32, f32) {
        let n = extent as f32;
        if self.align_corners { (0.0, n - 1.0) } else { (-0.5, n - 0.5) }
    }
}

/// An element near a position: its index along one axis, and its weight; 1 without.
type Pick = (ValueId, Option<ValueId>);

/// Samples the spatial axes of the operand at a grid of positions in -1 to 1.
pub fn grid_sample(c: &mut Context<'_, '_>) -> Read {
    let rule = Rule {
        mode: match c.attributes.text("mode")?.unwrap_or("linear") {
            "nearest" => Mode::Nearest,
            "linear" | "bilinear" => Mode::Linear,
            "cubic" | "bicubic" => Mode::Cubic,
            other => return Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
        },
        beyond: match c.attributes.text("padding_mode")?.unwrap_or("zeros") {
            "zeros" => Beyond::Zeros,
            "border" => Beyond::Border,
            "reflection" => Beyond::Reflection,
            other => {
                return Err(OpError::invalid(format!("padding_mode \"{other}\" does not exist")));
            }
        },
        align_corners: c.attributes.flag("align_corners", false)?,
    };
    let (x, grid) = (c.operand(0)?, c.operand(1)?);
    let (dims, places) = (c.build.shape(x), c.build.shape(grid));
    let rank = dims.len().saturating_sub(2);
    let fits = rank > 0 && places.len() == rank + 2 && places[0] == dims[0];
    if !fits || places.last() != Some(&rank) {
        return Err(OpError::invalid(format!("a grid {places:?} does not fit an input {dims:?}")));
    }
    if rank > 3 || rule.mode == Mode::Cubic && rank != 2 {
        return Err(OpError::unsupported(format!(
            "{rank} spatial dimensions are not supported: only 1 to 3, 2 with mode \"cubic\""
        )));
    }
    let points: usize = places[1..=rank].iter().product();
    let b = &mut c.build;
    let mut at = Vec::new();
    for axis in 0..rank {
        // The last axis comes first in the grid.
        let part = b.part(grid, rank + 1, (rank - 1 - axis, 1, 1))?;
        let part = b.reshape(part, vec![dims[0], points])?;
        at.push(denormalised(b, part, dims[axis + 2], rule)?);
    }
    let y = sample(b, x, at, rule)?;
    Ok(vec![b.reshape(y, [&dims[..2], &places[1..=rank]].concat())?])
}

/// -1 to 1 -> positions, rounded as the definition rounds: that decides between neighbours.
fn denormalised(b: &mut Builder<'_>, grid: ValueId, extent: usize, rule: Rule) -> Made {
    let n = extent as f32;
    let from_zero = b.offset(grid, 1.0)?;
    if rule.align_corners {
        let half = b.scaled(from_zero, 0.5)?;
        return b.scaled(half, n - 1.0);
    }
    let wide = b.scaled(from_zero, n)?;
    let wide = b.offset(wide, -1.0)?;
    b.scaled(wide, 0.5)
}

/// `[batch, channels, spatial]` at positions `[batch, points]`, one for each spatial axis ->
/// `[batch, channels, points]`.
fn sample(b: &mut Builder<'_>, x: ValueId, at: Vec<ValueId>, rule: Rule) -> Made {
    let dims = b.shape(x);
    let plane: usize = dims.iter().skip(2).product();
    if plane > MAX_PLANE || dims.contains(&0) {
        return Err(OpError::unsupported(format!("planes of {plane} elements are not supported")));
    }
    let x = b.reshape(x, vec![dims[0], dims[1], plane])?;
    let mut picks: Vec<Pick> = Vec::new();
    let mut step = plane;
    for (&extent, at) in dims[2..].iter().zip(at) {
        step /= extent;
        let mut along = Vec::new();
        for (index, weight) in neighbours(b, at, extent, rule)? {
            along.push((b.scaled(index, step as f32)?, weight));
        }
        picks = if picks.is_empty() { along } else { combined(b, &picks, &along)? };
    }
    let mut sum = None;
    for (index, weight) in picks {
        let index = b.apply(Cast { to: DType::I32 }, index)?;
        let mut part = b.add(Gather { axis: 2, batch_dims: 1 }, &[x, index])?;
        if let Some(weight) = weight {
            let dims = b.shape(weight);
            let weight = b.reshape(weight, vec![dims[0], 1, dims[1]])?;
            part = b.times(part, weight)?;
        }
        sum = Some(match sum {
            None => part,
            Some(sum) => b.plus(sum, part)?,
        });
    }
    sum.ok_or_else(|| OpError::invalid("there is nothing to sample"))
}

/// Every pick of one axis with every one of the next.
fn combined(b: &mut Builder<'_>, outer: &[Pick], inner: &[Pick]) -> Result<Vec<Pick>, OpError> {
    let mut all = Vec::new();
    for &(i, v) in outer {
        for &(j, w) in inner {
            let weight = match (v, w) {
                (Some(v), Some(w)) => Some(b.times(v, w)?),
                (one, None) | (None, one) => one,
            };
            all.push((b.plus(i, j)?, weight));
        }
    }
    Ok(all)
}

/// The elements that count at a position along one axis.
fn neighbours(
    b: &mut Builder<'_>,
    at: ValueId,
    extent: usize,
    rule: Rule,
) -> Result<Vec<Pick>, OpError> {
    let mut at = at;
    if rule.mode == Mode::Nearest {
        at = b.apply(Math { function: Function::RoundEven }, at)?;
    }
    at = match rule.beyond {
        Beyond::Zeros => at,
        // Elsewhere than between elements, positions at the edge are as good as outside.
        Beyond::Border if rule.mode == Mode::Cubic => bordered(b, at, extent, rule)?,
        Beyond::Border => limited(b, at, extent)?,
        Beyond::Reflection => reflected(b, at, rule.edges(extent))?,
    };
    if rule.mode == Mode::Nearest {
        return Ok(vec![pick(b, at, None, extent, rule)?]);
    }
    let low = b.apply(Floor, at)?;
    let t = b.minus(at, low)?;
    let weights = weights(b, t, rule.mode)?;
    let first = 1.0 - (weights.len() / 2) as f32;
    let mut all = Vec::new();
    for (i, weight) in weights.into_iter().enumerate() {
        let at = match first + i as f32 {
            0.0 => low,
            distance => b.offset(low, distance)?,
        };
        all.push(pick(b, at, Some(weight), extent, rule)?);
    }
    Ok(all)
}

/// Weights of the neighbours, from the distance to the one below.
fn weights(b: &mut Builder<'_>, t: ValueId, mode: Mode) -> Result<Vec<ValueId>, OpError> {
    let one = b.number(1.0)?;
    let rest = b.minus(one, t)?;
    if mode == Mode::Linear {
        return Ok(vec![rest, t]);
    }
    // Keys' cubic convolution kernel with a = -0.75.
    const A: f32 = -0.75;
    let polynomial = |b: &mut Builder<'_>, d: ValueId, [cube, square, linear, one]: [f32; 4]| {
        let mut y = b.scaled(d, cube)?;
        for (i, coefficient) in [square, linear, one].into_iter().enumerate() {
            if coefficient != 0.0 {
                y = b.offset(y, coefficient)?;
            }
            if i < 2 {
                y = b.times(y, d)?;
            }
        }
        Ok(y)
    };
    let near = [A + 2.0, -(A + 3.0), 0.0, 1.0];
    let far = [A, -5.0 * A, 8.0 * A, -4.0 * A];
    let (before, behind) = (b.offset(t, 1.0)?, b.offset(rest, 1.0)?);
    Ok(vec![
        polynomial(b, before, far)?,
        polynomial(b, t, near)?,
        polynomial(b, rest, near)?,
        polynomial(b, behind, far)?,
    ])
}

/// An element at a whole position, which may lie outside: then it is another one, or counts nothing.
fn pick(
    b: &mut Builder<'_>,
    at: ValueId,
    weight: Option<ValueId>,
    extent: usize,
    rule: Rule,
) -> Result<Pick, OpError> {
    match rule.beyond {
        Beyond::Border => Ok((limited(b, at, extent)?, weight)),
        Beyond::Reflection => {
            let inside = reflected(b, at, rule.edges(extent))?;
            Ok((limited(b, inside, extent)?, weight))
        }
        Beyond::Zeros => {
            let inside = limited(b, at, extent)?;
            // Whole positions outside are at least 1 away from what they are limited to.
            let distance = b.minus(at, inside)?;
            let distance = b.apply(Abs, distance)?;
            let one = b.number(1.0)?;
            let outside = b.add(Minimum, &[distance, one])?;
            let counts = b.minus(one, outside)?;
            let weight = match weight {
                None => counts,
                Some(weight) => b.times(weight, counts)?,
            };
            Ok((inside, Some(weight)))
        }
    }
}

/// Limited to the elements.
fn limited(b: &mut Builder<'_>, at: ValueId, extent: usize) -> Made {
    let (first, last) = (b.number(0.0)?, b.number(extent as f32 - 1.0)?);
    let at = b.add(Maximum, &[at, first])?;
    b.add(Minimum, &[at, last])
}

/// Limited to the elements when it is beyond the edges; unchanged between an edge and the centre of
/// the outermost element.
fn bordered(b: &mut Builder<'_>, at: ValueId, extent: usize, rule: Rule) -> Made {
    let (first, last) = rule.edges(extent);
    let (first, last) = (b.number(first)?, b.number(last)?);
    let inside = b.add(Maximum, &[at, first])?;
    let inside = b.add(Minimum, &[inside, last])?;
    let is_inside = b.add(Compare { relation: Relation::Equal }, &[inside, at])?;
    let limited = limited(b, at, extent)?;
    b.add(Select, &[is_inside, at, limited])
}

/// Mirrored at both edges until it lies between them: a triangular wave.
fn reflected(b: &mut Builder<'_>, at: ValueId, (first, last): (f32, f32)) -> Made {
    let span = last - first;
    if span <= 0.0 {
        // One element: every position is its own.
        return b.scaled(at, 0.0);
    }
    let from_first = b.offset(at, -first)?;
    let period = b.number(2.0 * span)?;
    let periods = b.over(from_first, period)?;
    let periods = b.apply(Floor, periods)?;
    let gone = b.times(periods, period)?;
    let phase = b.minus(from_first, gone)?;
    let from_last = b.offset(phase, -span)?;
    let from_last = b.apply(Abs, from_last)?;
    let end = b.number(last)?;
    b.minus(end, from_last)
}

/// The grid of an affine map: positions of the result, times a matrix for each sample.
pub fn affine_grid(c: &mut Context<'_, '_>) -> Read {
    let theta = c.operand(0)?;
    let size = c.ints(1)?.ok_or_else(|| OpError::invalid("operand 1 (the size) is missing"))?;
    let size = extents(&size, size.len(), 1, "size")?;
    let align_corners = c.attributes.flag("align_corners", false)?;
    let (dims, matrices) = (size.get(2..).unwrap_or_default(), c.build.shape(theta));
    let rank = dims.len();
    let fits = (2..=3).contains(&rank) && matrices == [size[0], rank, rank + 1];
    if !fits {
        return Err(OpError::invalid(format!("matrices {matrices:?} do not fit a size {size:?}")));
    }
    let points = dims.iter().try_fold(1, |n: usize, &d| n.checked_mul(d));
    let points = points
        .filter(|&n| n <= MAX_PLANE)
        .ok_or_else(|| OpError::unsupported(format!("a grid of the size {size:?} is too large")))?;
    let at = |i: usize, n: usize| match (align_corners, n) {
        (true, 1) => 0.0,
        (true, n) => 2.0 * i as f64 / (n as f64 - 1.0) - 1.0,
        (false, n) => (2.0 * i as f64 + 1.0) / n as f64 - 1.0,
    };
    let mut places = Vec::new();
    for point in 0..points {
        // The last axis comes first.
        let mut rest = point;
        for &n in dims.iter().rev() {
            places.push(at(rest % n, n) as f32);
            rest /= n;
        }
        places.push(1.0);
    }
    let places = c.build.tensor(vec![1, points, rank + 1], TensorData::F32(places))?;
    let y = c.build.add(BatchMatmul { adj_x: false, adj_y: true }, &[places, theta])?;
    Ok(vec![c.build.reshape(y, [&size[..1], dims, &[rank]].concat())?])
}

/// Convolution whose taps are moved by offsets: all taps are sampled, then the weights applied.
pub fn deform_conv(c: &mut Context<'_, '_>) -> Read {
    let (x, w, offset) = (c.operand(0)?, c.operand(1)?, c.operand(2)?);
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let (&[n, channels, _, _], &[out, depth, kh, kw]) = (dims.as_slice(), weights.as_slice())
    else {
        return Err(OpError::unsupported("only two spatial dimensions are supported"));
    };
    let group = groups(c, channels)?;
    let parts = c.attributes.int("offset_group")?.unwrap_or(1);
    let parts = usize::try_from(parts).ok();
    let parts = parts.filter(|&p| p > 0 && channels.is_multiple_of(p) && p <= MAX_PARTS);
    let parts =
        parts.ok_or_else(|| OpError::invalid("the offset groups do not divide the channels"))?;
    let windows = Windows::read(c, &dims, Some(&[kh, kw]))?;
    let axes = windows.0.iter().map(|s| s.axis()).collect::<Result<Vec<_>, _>>()?;
    let (rows, columns) = (axes[0].output, axes[1].output);
    let (taps, pixels) = (kh * kw, rows * columns);
    let points = taps.checked_mul(pixels).filter(|&p| p <= MAX_POINTS);
    let points = points.ok_or_else(|| OpError::unsupported("the taps are too many to move"))?;
    let wants = |each: usize| [n, parts.saturating_mul(taps).saturating_mul(each), rows, columns];
    let mask = c.optional(4);
    let b = &mut c.build;
    let fits = depth == channels / group
        && b.shape(offset) == wants(2)
        && mask.is_none_or(|m| b.shape(m) == wants(1));
    if !fits {
        return Err(OpError::invalid("weights, offsets or mask do not fit the input"));
    }
    let offset = b.reshape(offset, vec![n, parts, taps, 2, pixels])?;
    let mask = match mask {
        None => None,
        Some(mask) => Some(b.reshape(mask, vec![n, parts, points])?),
    };
    let rule = Rule { mode: Mode::Linear, beyond: Beyond::Zeros, align_corners: true };
    let mut starts = Vec::new();
    for (i, axis) in axes.iter().enumerate() {
        let start = |point: usize| {
            let (tap, pixel) = (point / pixels, point % pixels);
            let both = [(pixel / columns, tap / kw), (pixel % columns, tap % kw)];
            axis.position(both[i].0, both[i].1) as f32
        };
        let start = TensorData::F32((0..points).map(start).collect());
        starts.push(b.tensor(vec![1, points], start)?);
    }
    let mut sampled = Vec::new();
    for part in 0..parts {
        let moved = b.part(offset, 1, (part, 1, 1))?;
        let mut at = Vec::new();
        for (i, &start) in starts.iter().enumerate() {
            let by = b.part(moved, 3, (i, 1, 1))?;
            let by = b.reshape(by, vec![n, points])?;
            at.push(b.plus(by, start)?);
        }
        let each = channels / parts;
        let of = b.part(x, 1, (part * each, 1, each))?;
        let mut values = sample(b, of, at, rule)?;
        if let Some(mask) = mask {
            let mask = b.part(mask, 1, (part, 1, 1))?;
            values = b.times(values, mask)?;
        }
        sampled.push(values);
    }
    let all = match sampled.as_slice() {
        [one] => *one,
        many => b.add(Concat { axis: 1 }, many)?,
    };
    let all = b.reshape(all, vec![n, channels * taps, rows, columns])?;
    let w = b.reshape(w, vec![out, depth * taps, 1, 1])?;
    let bias = c.optional(3);
    let one = Windows::pointwise(&[rows, columns]);
    Ok(vec![convolve(&mut c.build, [all, w], bias, &one, group)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// 1 2 / 3 4 at one place.
    fn at(x: f32, y: f32) -> Case {
        let c = case("GridSample").input(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        c.input(&[1, 1, 1, 2], &[x, y])
    }

    #[test]
    fn places_between_elements() {
        let gives = |c: Case, y: f32| c.gives(20, &[1, 1, 1, 1], &[y]);
        // Without align_corners, -0.5 is the centre of element 0.
        gives(at(-0.5, 0.5), 3.0);
        gives(at(0.0, 0.0), 2.5);
        gives(at(-1.0, -0.5), 0.5);
        gives(at(-1.0, -0.5).text("padding_mode", "border"), 1.0);
        gives(at(-1.0, 0.0).int("align_corners", 1), 2.0);
        gives(at(9.0, 0.0), 0.0);
        gives(at(-2.5, -0.5).text("padding_mode", "reflection"), 2.0);
        gives(at(0.4, -0.6).text("mode", "nearest"), 2.0);
        // Between both rows: the even one.
        gives(at(0.4, 0.0).text("mode", "nearest"), 2.0);
        gives(at(-0.5, 0.5).text("mode", "cubic"), 3.0);
        // Keys' weights half way with a = -0.75: 0.59375 for the two next to it, zeros beyond.
        gives(at(0.0, -0.5).text("mode", "cubic"), 0.59375 * 3.0);
        gives(at(0.0, -0.5).text("mode", "cubic").text("padding_mode", "border"), 1.5);
        at(0.0, 0.0).text("mode", "wild").refused(20, "wild");
    }

    #[test]
    fn affine_grids() {
        let c = case("AffineGrid").input(&[1, 2, 3], &[1.0, 0.0, 0.5, 0.0, 2.0, 0.0]);
        let c = c.ints(&[4], &[1, 1, 1, 2]);
        c.gives(20, &[1, 1, 2, 2], &[0.0, 0.0, 1.0, 0.0]);
        let c = case("AffineGrid").input(&[1, 2, 3], &[1.0, 0.0, 0.5, 0.0, 2.0, 0.0]);
        let c = c.ints(&[4], &[1, 1, 2, 1]).int("align_corners", 1);
        c.gives(20, &[1, 2, 1, 2], &[0.5, -2.0, 0.5, 2.0]);
        let c = case("AffineGrid").input(&[1, 2, 3], &[0.0; 6]).ints(&[4], &[1, 1, 1 << 30, 9]);
        c.refused(20, "too large");
    }

    #[test]
    fn moved_taps() {
        let c = || case("DeformConv").input(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        // One tap on each element, moved half an element to the right.
        let half = [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5];
        let c = |mask: f32| {
            let c = c().floats(&[1, 1, 1, 1], &[2.0]).input(&[1, 2, 2, 2], &half);
            c.floats(&[1], &[1.0]).input(&[1, 1, 2, 2], &[mask; 4])
        };
        c(1.0).gives(19, &[1, 1, 2, 2], &[4.0, 3.0, 8.0, 5.0]);
        c(0.5).gives(19, &[1, 1, 2, 2], &[2.5, 2.0, 4.5, 3.0]);
        c(1.0).int("offset_group", 3).refused(19, "offset groups");
    }
}
