//! Operators that move data: reshape and its relatives, transpose, concat, split, slice, gather, pad.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Concat, Gather, OpError, Pad, Range, Slice, Split};
use crate::tensor::Shape;

type Read = Result<Vec<ValueId>, OpError>;

/// Target shape from operand 1: 0 copies the operand's extent (unless `allowzero`), one -1 is what
/// remains.
pub fn reshape(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let wanted = c.ints(1)?.ok_or_else(|| OpError::invalid("operand 1 (the shape) is missing"))?;
    let allow_zero = c.attributes.flag("allowzero", false)?;
    let impossible = || OpError::invalid(format!("{dims:?} cannot take the shape {wanted:?}"));
    let mut out = Vec::new();
    let mut open = None;
    for (i, &d) in wanted.iter().enumerate() {
        out.push(match d {
            0 if !allow_zero => *dims.get(i).ok_or_else(impossible)?,
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            d => usize::try_from(d).map_err(|_| impossible())?,
        });
    }
    if let Some(i) = open {
        let known = Shape::checked(out.clone()).ok_or_else(impossible)?.elements();
        let all: usize = dims.iter().product();
        out[i] = all.checked_div(known).filter(|n| n * known == all).ok_or_else(impossible)?;
    }
    Ok(vec![c.build.reshape(x, out)?])
}

/// Two dimensions: those before `axis`, and the others.
pub fn flatten(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let axis = c.attributes.int("axis")?.unwrap_or(1);
    let at = if axis == dims.len() as i64 { dims.len() } else { c.axis(axis, dims.len())? };
    let (a, b) = dims.split_at(at);
    Ok(vec![c.build.reshape(x, vec![a.iter().product(), b.iter().product()])?])
}

/// Axes as attribute (before opset 13) or operand 1.
fn listed_axes(c: &Context<'_, '_>) -> Result<Option<Vec<i64>>, OpError> {
    match c.attributes.ints("axes")? {
        Some(axes) => Ok(Some(axes.to_vec())),
        None => c.ints(1),
    }
}

/// Without the axes of extent 1 that are named, or all of them.
pub fn squeeze(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let gone = match listed_axes(c)? {
        Some(axes) => c.axes(&axes, dims.len())?,
        None => (0..dims.len()).filter(|&i| dims[i] == 1).collect(),
    };
    if let Some(&i) = gone.iter().find(|&&i| dims[i] != 1) {
        return Err(OpError::invalid(format!("axis {i} has extent {}, not 1", dims[i])));
    }
    let kept = (0..dims.len()).filter(|i| !gone.contains(i)).map(|i| dims[i]).collect();
    Ok(vec![c.build.reshape(x, kept)?])
}

/// With axes of extent 1 at the named places of the result.
pub fn unsqueeze(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let mut rest = c.build.shape(x).into_iter();
    let axes = listed_axes(c)?.ok_or_else(|| OpError::invalid("the axes are missing"))?;
    let rank = rest.len() + axes.len();
    let new = c.axes(&axes, rank)?;
    if new.len() != axes.len() {
        return Err(OpError::invalid(format!("axes {axes:?} name a place twice")));
    }
    let dims =
        (0..rank).map(|i| if new.contains(&i) { 1 } else { rest.next().unwrap_or(1) }).collect();
    Ok(vec![c.build.reshape(x, dims)?])
}

/// Permutes dimensions, reverses them without `perm`.
pub fn transpose(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let order = match c.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|&p| c.axis(p, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![c.build.transpose(x, &order)?])
}

/// Joins along `axis`.
pub fn concat(c: &mut Context<'_, '_>) -> Read {
    let first = c.operand(0)?;
    let axis = c.attributes.int("axis")?;
    let axis = axis.ok_or_else(|| OpError::invalid("attribute \"axis\" is missing"))?;
    let axis = c.axis(axis, c.build.shape(first).len())?;
    let operands: Vec<ValueId> = c.operands.iter().flatten().copied().collect();
    if let [one] = operands.as_slice() {
        return Ok(vec![*one]);
    }
    let (operands, quant) = c.build.together(&operands)?;
    Ok(vec![c.build.add_quantized(Concat { axis }, &operands, quant)?])
}

/// Part sizes as attribute.
pub fn split_2(c: &mut Context<'_, '_>) -> Read {
    let sizes = c.attributes.ints("split")?.map(<[i64]>::to_vec);
    split(c, sizes)
}

/// Part sizes as operand 1.
pub fn split_13(c: &mut Context<'_, '_>) -> Read {
    let sizes = c.ints(1)?;
    split(c, sizes)
}

fn split(c: &mut Context<'_, '_>, sizes: Option<Vec<i64>>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(0), dims.len())?;
    let sizes = match sizes {
        Some(sizes) => sizes
            .iter()
            .map(|&s| usize::try_from(s))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| OpError::invalid(format!("part sizes {sizes:?} are not possible")))?,
        None => {
            // Equal parts, the last one smaller when they do not divide (opset 18).
            let parts = c.outputs.max(1);
            let size = dims[axis].div_ceil(parts);
            (0..parts).map(|i| size.min(dims[axis].saturating_sub(i * size))).collect()
        }
    };
    c.build.add_all(Split { axis, sizes }, &[x])
}

/// Starts, ends and axes as attributes.
pub fn slice_1(c: &mut Context<'_, '_>) -> Read {
    let missing = || OpError::invalid("attribute \"starts\" or \"ends\" is missing");
    let starts = c.attributes.ints("starts")?.ok_or_else(missing)?.to_vec();
    let ends = c.attributes.ints("ends")?.ok_or_else(missing)?.to_vec();
    let axes = c.attributes.ints("axes")?.map(<[i64]>::to_vec);
    slice(c, &starts, &ends, axes, None)
}

/// Starts, ends, axes and steps as operands.
pub fn slice_10(c: &mut Context<'_, '_>) -> Read {
    let missing = || OpError::invalid("operand 1 (starts) or 2 (ends) is missing");
    let (starts, ends) = (c.ints(1)?.ok_or_else(missing)?, c.ints(2)?.ok_or_else(missing)?);
    let (axes, steps) = (c.ints(3)?, c.ints(4)?);
    slice(c, &starts, &ends, axes, steps)
}

/// The elements from `start` towards `end` (exclusive) in steps; both are clamped to the extent.
fn range(extent: usize, start: i64, end: i64, step: i64) -> Option<Range> {
    let n = i64::try_from(extent).ok()?;
    let wrap = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (lo, hi) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let from = wrap(start).clamp(lo.max(0), hi);
    // An end before the first element stays before it when walking backwards.
    let to = wrap(end).clamp(lo, hi.max(lo));
    let distance = if step > 0 { to - from } else { from - to };
    let size = if distance <= 0 { 0 } else { (distance - 1) / step.checked_abs()? + 1 };
    Some(Range { begin: usize::try_from(from).ok()?, step, size: size as usize })
}

fn slice(
    c: &mut Context<'_, '_>,
    starts: &[i64],
    ends: &[i64],
    axes: Option<Vec<i64>>,
    steps: Option<Vec<i64>>,
) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(OpError::invalid("starts, ends, axes and steps differ in number"));
    }
    let mut ranges: Vec<Range> =
        dims.iter().map(|&size| Range { begin: 0, step: 1, size }).collect();
    for i in 0..starts.len() {
        let axis = c.axis(axes[i], dims.len())?;
        ranges[axis] = Some(steps[i])
            .filter(|&s| s != 0)
            .and_then(|step| range(dims[axis], starts[i], ends[i], step))
            .ok_or_else(|| OpError::invalid(format!("step {} is not possible", steps[i])))?;
    }
    let shape = Shape(ranges.iter().map(|r| r.size).collect());
    Ok(vec![c.build.add(Slice { ranges, shape }, &[x])?])
}

/// Picks along `axis` by the indices of operand 1; negative constants count from the end.
pub fn gather(c: &mut Context<'_, '_>) -> Read {
    let (x, indices) = (c.operand(0)?, c.operand(1)?);
    let dims = c.build.shape(x);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(0), dims.len())?;
    let indices = match c.build.data(indices) {
        None => indices,
        Some(tensor) => {
            let n = dims[axis] as i64;
            let wrap = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
            let values = tensor.to_i64().ok_or_else(|| OpError::invalid("indices are floats"))?;
            let values: Vec<i32> = values
                .into_iter()
                .map(wrap)
                .map(|i| i32::try_from(i).ok().filter(|_| (0..n).contains(&i)))
                .collect::<Option<_>>()
                .ok_or_else(|| OpError::invalid(format!("an index is outside of 0..{n}")))?;
            let data = crate::TensorData::I32(values);
            let tensor = crate::Tensor::new(tensor.shape.clone(), data);
            c.build.constant(tensor.ok_or_else(|| OpError::invalid("indices do not fit"))?)
        }
    };
    Ok(vec![c.build.add(Gather { axis, batch_dims: 0 }, &[x, indices])?])
}

/// Amounts and value as attributes.
pub fn pad_2(c: &mut Context<'_, '_>) -> Read {
    let pads = c.attributes.ints("pads")?;
    let pads = pads.ok_or_else(|| OpError::invalid("attribute \"pads\" is missing"))?.to_vec();
    let value = c.attributes.float("value", 0.0)?;
    let value = if value == 0.0 { None } else { Some(c.scalar(value)?) };
    pad(c, &pads, value, None)
}

/// Amounts, value and axes as operands.
pub fn pad_11(c: &mut Context<'_, '_>) -> Read {
    let pads = c.ints(1)?.ok_or_else(|| OpError::invalid("operand 1 (pads) is missing"))?;
    let (value, axes) = (c.optional(2), c.ints(3)?);
    pad(c, &pads, value, axes)
}

/// Longest table of positions.
const MAX_TABLE: i64 = 1 << 18;

/// Elements added to (or, negative, cut from) one axis.
#[derive(Clone, Copy)]
struct Ends {
    axis: usize,
    before: i64,
    after: i64,
}

fn pad(
    c: &mut Context<'_, '_>,
    pads: &[i64],
    value: Option<ValueId>,
    axes: Option<Vec<i64>>,
) -> Read {
    let mut x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
    if pads.len() != 2 * axes.len() {
        return Err(OpError::invalid(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut ends = Vec::new();
    for (i, &a) in axes.iter().enumerate() {
        ends.push(Ends { axis: c.axis(a, rank)?, before: pads[i], after: pads[axes.len() + i] });
    }
    for e in &ends {
        x = crop(c, x, *e)?;
    }
    ends.retain(|e| e.before > 0 || e.after > 0);
    let mode = c.attributes.text("mode")?.unwrap_or("constant");
    if mode == "constant" && !ends.is_empty() {
        return constant_pad(c, x, &ends, value);
    }
    for e in &ends {
        x = repeat_pad(c, x, *e, mode)?;
    }
    Ok(vec![x])
}

/// What negative pads cut off.
fn crop(c: &mut Context<'_, '_>, x: ValueId, e: Ends) -> Result<ValueId, OpError> {
    let cut = |n: i64| usize::try_from(n.min(0).unsigned_abs()).unwrap_or(usize::MAX);
    let (first, last) = (cut(e.before), cut(e.after));
    if first == 0 && last == 0 {
        return Ok(x);
    }
    let mut dims = c.build.shape(x);
    let mut ranges: Vec<Range> =
        dims.iter().map(|&size| Range { begin: 0, step: 1, size }).collect();
    let size = dims[e.axis].checked_sub(first).and_then(|n| n.checked_sub(last));
    let size = size.filter(|&n| n > 0).ok_or_else(|| {
        OpError::unsupported(format!("negative pads leave nothing of axis {}", e.axis))
    })?;
    ranges[e.axis] = Range { begin: first, step: 1, size };
    dims[e.axis] = size;
    c.build.add(Slice { ranges, shape: Shape(dims) }, &[x])
}

/// Surrounds with a value of the operand's own type, which may be computed at run time, or zeros.
fn constant_pad(
    c: &mut Context<'_, '_>,
    x: ValueId,
    ends: &[Ends],
    value: Option<ValueId>,
) -> Read {
    let rank = c.build.shape(x).len();
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for e in ends {
        before[e.axis] = usize::try_from(e.before).unwrap_or(0);
        after[e.axis] = usize::try_from(e.after).unwrap_or(0);
    }
    Ok(vec![match value {
        Some(value) => c.build.add(Pad { before, after }, &[x, value])?,
        None => c.build.pad_zeros(x, before, after)?,
    }])
}

/// Pads one axis by picking elements of it again, as the mode says.
fn repeat_pad(
    c: &mut Context<'_, '_>,
    x: ValueId,
    e: Ends,
    mode: &str,
) -> Result<ValueId, OpError> {
    let mut dims = c.build.shape(x);
    let extent = dims[e.axis] as i64;
    let (before, after) = (e.before.max(0), e.after.max(0));
    let size = extent.saturating_add(before).saturating_add(after);
    dims[e.axis] = usize::try_from(size).unwrap_or(usize::MAX);
    // Before a table of that length is made.
    if Shape::checked(dims).is_none() || extent == 0 || size > MAX_TABLE {
        return Err(OpError::invalid(format!("pads {before} and {after} are not possible")));
    }
    let period = (2 * (extent - 1)).max(1);
    let source: &dyn Fn(i64) -> i64 = match mode {
        "edge" => &|i| i.clamp(0, extent - 1),
        "reflect" => &|i| {
            let i = i.rem_euclid(period);
            if i < extent { i } else { period - i }
        },
        "wrap" => &|i| i.rem_euclid(extent),
        other => return Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
    };
    let indices: Vec<i32> = (0..size).map(|i| source(i - before) as i32).collect();
    let indices = c.build.tensor(vec![indices.len()], crate::TensorData::I32(indices))?;
    c.build.add(Gather { axis: e.axis, batch_dims: 0 }, &[x, indices])
}

/// Cuts or pads around the middle to the extents of operand 1.
pub fn center_crop_pad(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let wanted = c.ints(1)?.ok_or_else(|| OpError::invalid("operand 1 (the shape) is missing"))?;
    let axes = match c.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&a| c.axis(a, dims.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..dims.len()).collect(),
    };
    if axes.len() != wanted.len() {
        return Err(OpError::invalid(format!("{} extents for {} axes", wanted.len(), axes.len())));
    }
    let mut ends = Vec::new();
    for (&axis, &to) in axes.iter().zip(&wanted) {
        let more = to.checked_sub(dims[axis] as i64).filter(|_| to > 0);
        let more = more.ok_or_else(|| OpError::invalid(format!("extent {to} is not possible")))?;
        // An odd element goes behind, as padding and as what is cut.
        let before = more / 2;
        ends.push(Ends { axis, before, after: more - before });
    }
    let mut y = x;
    for e in &ends {
        y = crop(c, y, *e)?;
    }
    ends.retain(|e| e.before > 0 || e.after > 0);
    if ends.is_empty() { Ok(vec![y]) } else { constant_pad(c, y, &ends, None) }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn padded(mode: &str, pads: [i64; 2]) -> Case {
        case("Pad").input(&[3], &[1.0, 2.0, 3.0]).ints(&[2], &pads).text("mode", mode)
    }

    #[test]
    fn pads_of_every_mode_and_sign() {
        padded("constant", [1, 2]).gives(13, &[6], &[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
        padded("edge", [2, 1]).gives(13, &[6], &[1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        padded("reflect", [2, 1]).gives(13, &[6], &[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
        padded("wrap", [1, 2]).gives(19, &[6], &[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]);
        padded("constant", [-1, 1]).gives(13, &[3], &[2.0, 3.0, 0.0]);
        padded("constant", [0, 0]).floats(&[], &[7.0]).gives(13, &[3], &[1.0, 2.0, 3.0]);
        padded("constant", [0, 1]).floats(&[], &[7.0]).gives(13, &[4], &[1.0, 2.0, 3.0, 7.0]);
    }

    #[test]
    fn cut_and_padded_around_the_middle() {
        let c = case("CenterCropPad").input(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let c = c.ints(&[2], &[4, 1]).list("axes", &[1, -2]);
        c.gives(18, &[1, 4], &[0.0, 3.0, 4.0, 0.0]);
        let c = case("CenterCropPad").input(&[2], &[1.0, 2.0]).ints(&[1], &[-1]);
        c.refused(18, "not possible");
    }

    #[test]
    fn hostile_pads_are_refused() {
        padded("edge", [i64::MAX, i64::MAX]).refused(13, "not possible");
        padded("edge", [i64::MIN, 0]).refused(13, "leave nothing");
        padded("constant", [i64::MAX, 1]).refused(13, "too large");
        padded("folded", [1, 1]).refused(13, "does not exist");
    }
}
