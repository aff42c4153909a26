//! Readers of operators that pick parts of a tensor. The masks of STRIDED_SLICE end here: the graph
//! knows only plain ranges.

use super::{OpContext, Reading};
use crate::op::{Gather, OpError, Range, Slice};
use crate::tensor::Shape;

pub(super) fn gather(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_gather_options())?;
    let (x, indices) = (c.operand(0)?, c.operand(1)?);
    let axis = c.axis(i64::from(o.axis()), x.ty.shape.rank())?;
    let batch_dims =
        c.axis(i64::from(o.batch_dims()), indices.ty.shape.rank() + 1).map_err(|_| {
            OpError::invalid(format!("{} batch dimensions of {}", o.batch_dims(), indices.ty.shape))
        })?;
    // A negative count is relative to the rank itself, one less than the limit above.
    let batch_dims = if o.batch_dims() < 0 { batch_dims.saturating_sub(1) } else { batch_dims };
    let operands = vec![x.value, indices.value];
    Ok(Reading { op: Gather { axis, batch_dims }.into(), operands })
}

/// Operands: data, begin, size (-1: all that is left).
pub(super) fn slice(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let x = c.operand(0)?;
    let dims = &x.ty.shape.0;
    let (begin, size) = (c.constant_ints(1)?, c.constant_ints(2)?);
    let wrong =
        || OpError::invalid(format!("{size:?} elements from {begin:?} leave {}", x.ty.shape));
    if begin.len() != dims.len() || size.len() != dims.len() {
        return Err(wrong());
    }
    let mut ranges = Vec::with_capacity(dims.len());
    for (axis, &extent) in dims.iter().enumerate() {
        let begin = usize::try_from(begin[axis]).map_err(|_| wrong())?;
        let size = match size[axis] {
            -1 => extent.checked_sub(begin).ok_or_else(wrong)?,
            n => usize::try_from(n).map_err(|_| wrong())?,
        };
        ranges.push(Range { begin, step: 1, size });
    }
    let shape = Shape(ranges.iter().map(|r| r.size).collect());
    Ok(Reading { op: Slice { ranges, shape }.into(), operands: vec![x.value] })
}

/// The five masks of STRIDED_SLICE, one bit per entry of `begin`.
struct Masks {
    begin: i32,
    end: i32,
    ellipsis: i32,
    new_axis: i32,
    shrink: i32,
    /// `end` counts from `begin`.
    offset: bool,
}

fn bit(mask: i32, i: usize) -> bool {
    i < 32 && mask >> i & 1 != 0
}

/// Operands: data, begin, end, strides.
pub(super) fn strided_slice(c: &OpContext<'_>) -> Result<Reading, OpError> {
    let o = c.options(c.op.builtin_options_as_strided_slice_options())?;
    let masks = Masks {
        begin: o.begin_mask(),
        end: o.end_mask(),
        ellipsis: o.ellipsis_mask(),
        new_axis: o.new_axis_mask(),
        shrink: o.shrink_axis_mask(),
        offset: o.offset(),
    };
    let x = c.operand(0)?;
    let (begin, end) = (c.constant_ints(1)?, c.constant_ints(2)?);
    let strides = c.constant_ints(3)?;
    let op = resolve(&x.ty.shape, &masks, &begin, &end, &strides)?;
    Ok(Reading { op: op.into(), operands: vec![x.value] })
}

/// Walks the entries: each takes one dimension, except the ellipsis, which takes as many as the
/// others leave, and new axes, which take none. Dimensions without an entry are taken whole.
fn resolve(
    x: &Shape,
    masks: &Masks,
    begin: &[i64],
    end: &[i64],
    strides: &[i64],
) -> Result<Slice, OpError> {
    let entries = begin.len();
    if end.len() != entries || strides.len() != entries {
        return Err(OpError::invalid("begin, end and strides differ in length"));
    }
    let is_ellipsis = |i: usize| bit(masks.ellipsis, i);
    let is_new = |i: usize| bit(masks.new_axis, i) && !is_ellipsis(i);
    let ellipses = (0..entries).filter(|&i| is_ellipsis(i)).count();
    let taken = (0..entries).filter(|&i| !is_ellipsis(i) && !is_new(i)).count();
    if ellipses > 1 || taken > x.rank() {
        return Err(OpError::invalid(format!(
            "{entries} ranges with {ellipses} ellipses do not fit {x}"
        )));
    }
    let (mut ranges, mut shape): (Vec<Range>, Vec<usize>) = (Vec::new(), Vec::new());
    let whole = |extent: usize| Range { begin: 0, step: 1, size: extent };
    for i in 0..entries {
        if is_ellipsis(i) {
            for &extent in x.0.iter().skip(ranges.len()).take(x.rank() - taken) {
                ranges.push(whole(extent));
                shape.push(extent);
            }
        } else if is_new(i) {
            shape.push(1);
        } else {
            let extent = x.0.get(ranges.len()).copied().unwrap_or(0);
            let range = range(extent, masks, i, (begin[i], end[i], strides[i]))?;
            ranges.push(range);
            if !bit(masks.shrink, i) {
                shape.push(range.size);
            }
        }
    }
    for &extent in x.0.iter().skip(ranges.len()) {
        ranges.push(whole(extent));
        shape.push(extent);
    }
    Ok(Slice { ranges, shape: Shape(shape) })
}

/// Entry `i` along a dimension: bounds count from the end when negative and are limited to it.
fn range(
    extent: usize,
    masks: &Masks,
    i: usize,
    (begin, end, step): (i64, i64, i64),
) -> Result<Range, OpError> {
    if step == 0 {
        return Err(OpError::invalid(format!("the stride of entry {i} is 0")));
    }
    let n = extent as i64;
    let (lowest, highest) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let bound = |v: i64| {
        let wrapped = if v < 0 { v.saturating_add(n) } else { v };
        wrapped.max(lowest).min(highest)
    };
    let first = match (bit(masks.begin, i), step > 0) {
        (false, _) => bound(begin),
        (true, true) => 0,
        (true, false) => n - 1,
    };
    if bit(masks.shrink, i) {
        let exists = |v: i64| v >= 0 && v < n;
        // A limited bound would silently pick another element.
        let wrapped = if begin < 0 { begin.saturating_add(n) } else { begin };
        if !exists(first) || !bit(masks.begin, i) && !exists(wrapped) {
            return Err(OpError::invalid(format!("index {begin} does not exist among {extent}")));
        }
        return Ok(Range { begin: first as usize, step: 1, size: 1 });
    }
    let end = if masks.offset { first.saturating_add(end) } else { end };
    let last = match (bit(masks.end, i), step > 0) {
        (false, _) => bound(end),
        (true, true) => n,
        (true, false) => -1,
    };
    let span = if step > 0 { last - first } else { first - last };
    let size = if span > 0 { (span as u64).div_ceil(step.unsigned_abs()) as usize } else { 0 };
    let begin = if size == 0 { 0 } else { first as usize };
    Ok(Range { begin, step, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Masks =
        Masks { begin: 0, end: 0, ellipsis: 0, new_axis: 0, shrink: 0, offset: false };

    fn one(masks: &Masks, begin: i64, end: i64, step: i64) -> (usize, i64, usize) {
        let op = resolve(&Shape(vec![10]), masks, &[begin], &[end], &[step]).expect("fits");
        let r = op.ranges[0];
        (r.begin, r.step, r.size)
    }

    #[test]
    fn bounds_follow_numpy() {
        assert_eq!(one(&NONE, 2, 9, 3), (2, 3, 3));
        assert_eq!(one(&NONE, -3, 100, 1), (7, 1, 3));
        assert_eq!(one(&NONE, -1, -11, -1), (9, -1, 10));
        assert_eq!(one(&NONE, 100, 0, -4), (9, -4, 3));
        assert_eq!(one(&NONE, 5, 5, 1), (0, 1, 0));
        assert_eq!(one(&NONE, i64::MIN, i64::MAX, i64::MAX), (0, i64::MAX, 1));
        assert_eq!(one(&NONE, i64::MAX, i64::MIN, i64::MIN), (9, i64::MIN, 1));
        assert_eq!(one(&Masks { begin: 1, end: 1, ..NONE }, 3, 4, -2), (9, -2, 5));
        assert_eq!(one(&Masks { offset: true, ..NONE }, -4, 3, 1), (6, 1, 3));
    }

    #[test]
    fn entries_take_dimensions() {
        let x = Shape(vec![2, 3, 4, 5]);
        let masks = Masks { ellipsis: 0b10, new_axis: 0b100, shrink: 0b1, ..NONE };
        let op = resolve(&x, &masks, &[1, 0, 0, 1], &[0, 0, 0, 3], &[1; 4]).expect("fits");
        assert_eq!(op.shape, Shape(vec![3, 4, 1, 2]));
        let starts: Vec<(usize, usize)> = op.ranges.iter().map(|r| (r.begin, r.size)).collect();
        assert_eq!(starts, [(1, 1), (0, 3), (0, 4), (1, 2)]);
    }

    #[test]
    fn impossible_entries_are_refused() {
        let x = Shape(vec![4]);
        let shrink = Masks { shrink: 1, ..NONE };
        assert!(resolve(&x, &shrink, &[4], &[5], &[1]).is_err());
        assert!(resolve(&x, &shrink, &[-5], &[0], &[1]).is_err());
        assert!(resolve(&x, &NONE, &[0], &[1], &[0]).is_err());
        assert!(resolve(&x, &NONE, &[0, 0], &[1, 1], &[1, 1]).is_err());
        assert!(resolve(&x, &NONE, &[0], &[1, 1], &[1]).is_err());
    }
}
