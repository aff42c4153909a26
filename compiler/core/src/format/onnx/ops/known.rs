//! Operators whose result has as many elements as the data says: they are computed while reading,
//! so what decides must be constant.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Gather, OpError};
use crate::tensor::{Tensor, TensorData};
use std::sync::Arc;

type Read = Result<Vec<ValueId>, OpError>;

/// Boxes of one class: suppression compares every two of them.
const MAX_BOXES: usize = 4096;

/// Operand `i`, which decides how many elements the result has.
fn decisive(c: &Context<'_, '_>, i: usize) -> Result<Arc<Tensor>, OpError> {
    c.constant(i).map_err(|e| {
        let message = format!("{}, because the size of the result depends on it", e.message);
        OpError { message, ..e }
    })
}

/// Numbers that are in the order of the elements, 0 for 0; `None` for types that are only stored.
fn ranks(data: &TensorData) -> Option<Vec<i128>> {
    // The bits of a positive float ascend with its value.
    let rank = |v: f64| {
        let magnitude = i128::from(v.abs().to_bits());
        if v < 0.0 { -magnitude } else { magnitude }
    };
    match data {
        TensorData::F32(v) => Some(v.iter().map(|&v| rank(v.into())).collect()),
        TensorData::F64(v) => Some(v.iter().map(|&v| rank(v)).collect()),
        TensorData::I8(_)
        | TensorData::U8(_)
        | TensorData::I16(_)
        | TensorData::U16(_)
        | TensorData::I32(_)
        | TensorData::U32(_)
        | TensorData::I64(_)
        | TensorData::U64(_)
        | TensorData::F16(_)
        | TensorData::BF16(_)
        | TensorData::Bool(_)
        | TensorData::Small(..) => data.to_i128(),
    }
}

fn ordered(tensor: &Tensor) -> Result<Vec<i128>, OpError> {
    ranks(&tensor.data).ok_or_else(|| {
        OpError::unsupported(format!("elements of {} cannot be compared", tensor.data.dtype()))
    })
}

fn vector(c: &mut Context<'_, '_>, values: Vec<i64>) -> Result<ValueId, OpError> {
    c.build.tensor(vec![values.len()], TensorData::I64(values))
}

/// Coordinates of all elements that are not 0, one row per dimension.
pub fn non_zero(c: &mut Context<'_, '_>) -> Read {
    let x = decisive(c, 0)?;
    let found = ordered(&x)?.into_iter().enumerate().filter(|(_, v)| *v != 0);
    let found: Vec<usize> = found.map(|(i, _)| i).collect();
    let strides = x.shape.strides();
    let mut rows = Vec::with_capacity(x.shape.rank() * found.len());
    for (&extent, &stride) in x.shape.0.iter().zip(&strides) {
        rows.extend(found.iter().map(|i| (i / stride.max(1) % extent.max(1)) as i64));
    }
    Ok(vec![c.build.tensor(vec![x.shape.rank(), found.len()], TensorData::I64(rows))?])
}

/// The slices along `axis`, or elements, for which the condition (operand 1) is true.
pub fn compress(c: &mut Context<'_, '_>) -> Read {
    let mut x = c.operand(0)?;
    let condition = decisive(c, 1)?.data.to_i128();
    let condition = condition.ok_or_else(|| OpError::invalid("the condition is no truth value"))?;
    let dims = c.build.shape(x);
    let axis = match c.attributes.int("axis")? {
        Some(axis) => c.axis(axis, dims.len())?,
        None => {
            x = c.build.reshape(x, vec![dims.iter().product()])?;
            0
        }
    };
    let extent = c.build.shape(x).get(axis).copied().unwrap_or(0);
    let kept = condition.iter().take(extent).enumerate().filter(|(_, v)| **v != 0);
    let kept: Vec<i32> = kept.map(|(i, _)| i as i32).collect();
    let indices = c.build.tensor(vec![kept.len()], TensorData::I32(kept))?;
    Ok(vec![c.build.add(Gather { axis, batch_dims: 0 }, &[x, indices])?])
}

/// Different slices along `axis`, or elements: themselves, where each is first, which one each
/// slice of the operand is, how often each occurs.
pub fn unique(c: &mut Context<'_, '_>) -> Read {
    let x = decisive(c, 0)?;
    let (flat, axis) = match c.attributes.int("axis")? {
        Some(axis) => (x.shape.0.clone(), c.axis(axis, x.shape.rank())?),
        None => (vec![x.data.len()], 0),
    };
    let keys = ordered(&x)?;
    let (extent, inner) = (flat[axis], flat[axis + 1..].iter().product::<usize>());
    let mut slices: Vec<Vec<i128>> = vec![Vec::new(); extent];
    for (at, key) in keys.into_iter().enumerate() {
        slices[at / inner % extent].push(key);
    }
    let mut order: Vec<usize> = (0..extent).collect();
    order.sort_by(|&a, &b| slices[a].cmp(&slices[b]));
    // Slices that are equal lie together, the first one first: sorting is stable.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match groups.last_mut() {
            Some(group) if slices[group[0]] == slices[i] => group.push(i),
            _new => groups.push(vec![i]),
        }
    }
    if !c.attributes.flag("sorted", true)? {
        groups.sort_by_key(|group| group.first().copied());
    }
    let first: Vec<i64> = groups.iter().filter_map(|g| g.first()).map(|&i| i as i64).collect();
    let mut inverse = vec![0; extent];
    for (number, group) in groups.iter().enumerate() {
        for &i in group {
            inverse[i] = number as i64;
        }
    }
    let counts = groups.iter().map(|g| g.len() as i64).collect();
    let data = c.operand(0)?;
    let data = c.build.reshape(data, flat)?;
    let indices = TensorData::I32(first.iter().map(|&i| i as i32).collect());
    let indices = c.build.tensor(vec![first.len()], indices)?;
    let y = c.build.add(Gather { axis, batch_dims: 0 }, &[data, indices])?;
    Ok(vec![y, vector(c, first)?, vector(c, inverse)?, vector(c, counts)?])
}

/// Corners of a box: lowest and highest y, then x.
fn corners(b: &[f32], by_centre: bool) -> [f32; 4] {
    let [p, q, r, s] = [0, 1, 2, 3].map(|i| b.get(i).copied().unwrap_or(0.0));
    if by_centre {
        // x, y of the centre, width, height.
        return [q - s / 2.0, q + s / 2.0, p - r / 2.0, p + r / 2.0];
    }
    // y and x of any two opposite corners.
    [p.min(r), p.max(r), q.min(s), q.max(s)]
}

/// Area of the intersection by that of the union.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |c: [f32; 4]| (c[1] - c[0]).max(0.0) * (c[3] - c[2]).max(0.0);
    let both = area([a[0].max(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].min(b[3])]);
    let union = area(a) + area(b) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

/// The boxes of each class that are left when those that overlap a better one go: rows of (batch,
/// class, box).
pub fn non_max_suppression(c: &mut Context<'_, '_>) -> Read {
    let (boxes, scores) = (decisive(c, 0)?, decisive(c, 1)?);
    let most = c.ints(2)?.and_then(|v| v.first().copied()).unwrap_or(0);
    let most = usize::try_from(most).unwrap_or(0);
    let (limit, least) = (c.float(3)?.unwrap_or(0.0), c.float(4)?);
    let by_centre = c.attributes.flag("center_point_box", false)?;
    let misfit = || OpError::invalid(format!("boxes {} and scores {}", boxes.shape, scores.shape));
    let (&[batches, n, 4], &[b, classes, m]) =
        (boxes.shape.0.as_slice(), scores.shape.0.as_slice())
    else {
        return Err(misfit());
    };
    let (Some(places), Some(values)) = (boxes.as_f32(), scores.as_f32()) else {
        return Err(OpError::unsupported("boxes and scores should be float32"));
    };
    if b != batches || n != m {
        return Err(misfit());
    }
    if n > MAX_BOXES || batches.saturating_mul(classes) > MAX_BOXES {
        return Err(OpError::unsupported(format!("more than {MAX_BOXES} boxes or classes")));
    }
    let mut rows = Vec::new();
    for line in 0..batches * classes {
        let (batch, class) = (line / classes, line % classes);
        let score = |i: usize| values.get(line * n + i).copied().unwrap_or(0.0);
        let place = |i: usize| corners(&places[(batch * n + i) * 4..][..4], by_centre);
        let mut order: Vec<usize> =
            (0..n).filter(|&i| least.is_none_or(|least| score(i) > least)).collect();
        order.sort_by(|&i, &j| score(j).total_cmp(&score(i)));
        let mut kept: Vec<usize> = Vec::new();
        for i in order {
            if kept.len() == most {
                break;
            }
            if kept.iter().all(|&j| overlap(place(i), place(j)) <= limit) {
                kept.push(i);
                rows.extend([batch, class, i].map(|v| v as i64));
            }
        }
    }
    Ok(vec![c.build.tensor(vec![rows.len() / 3, 3], TensorData::I64(rows))?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn ints_of(c: Case, opset: i64) -> (Vec<usize>, Vec<i64>) {
        let y = c.run(opset).expect("reads");
        (y.shape.0.clone(), y.to_i64().expect("integers"))
    }

    #[test]
    fn what_is_not_zero() {
        let c = case("NonZero").floats(&[2, 2], &[1.0, -0.0, -2.0, 3.0]);
        assert_eq!(ints_of(c, 13), (vec![2, 3], vec![0, 1, 1, 0, 0, 1]));
        case("NonZero").input(&[2], &[1.0, 0.0]).refused(13, "the size of the result depends");
    }

    #[test]
    fn chosen_slices() {
        let x = || case("Compress").input(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        x().ints(&[2], &[0, 1]).int("axis", -1).gives(11, &[2, 1], &[2.0, 4.0]);
        x().ints(&[4], &[0, 1, 0, 1]).gives(11, &[2], &[2.0, 4.0]);
        x().input(&[2], &[1.0, 0.0]).refused(11, "--input-value");
    }

    #[test]
    fn different_slices() {
        let c = case("Unique").floats(&[4], &[2.0, -1.0, 2.0, 0.0]);
        c.gives(11, &[3], &[-1.0, 0.0, 2.0]);
        let c = case("Unique").floats(&[4], &[2.0, -1.0, 2.0, 0.0]).int("sorted", 0);
        c.gives(11, &[3], &[2.0, -1.0, 0.0]);
        let c = case("Unique").floats(&[2, 3], &[1.0, 0.0, 1.0, 4.0, 2.0, 4.0]).int("axis", 1);
        c.gives(11, &[2, 2], &[0.0, 1.0, 2.0, 4.0]);
    }

    #[test]
    fn boxes_that_are_left() {
        let boxes = [0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 10.0, 1.0, 11.0];
        let c = case("NonMaxSuppression").floats(&[1, 3, 4], &boxes);
        let c = c.floats(&[1, 1, 3], &[0.9, 0.75, 0.6]).ints(&[1], &[3]).floats(&[1], &[0.5]);
        assert_eq!(ints_of(c, 11), (vec![2, 3], vec![0, 0, 0, 0, 0, 2]));
    }
}
