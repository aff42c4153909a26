//! Operators made of positions that are computed and compared at run time.

use super::Context;
use crate::graph::ValueId;
use crate::op::{
    Cast, Compare, Concat, Gather, OpError, Range, Relation, ScatterNd, Select, Slice,
};
use crate::tensor::{DType, Shape, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Elements of tables made here.
const MAX_ELEMENTS: usize = 1 << 20;

/// 0, 1, ... as int64, along dimension `axis` of `rank`.
fn count(c: &mut Context<'_, '_>, n: usize, axis: usize, rank: usize) -> Made {
    if n > MAX_ELEMENTS {
        return Err(OpError::unsupported(format!("{n} positions are too many")));
    }
    let mut dims = vec![1; rank];
    dims[axis] = n;
    c.build.tensor(dims, TensorData::I64((0..n as i64).collect()))
}

fn number(c: &mut Context<'_, '_>, value: i64) -> Made {
    c.build.tensor(Vec::new(), TensorData::I64(vec![value]))
}

/// Any numbers as int64.
fn whole(c: &mut Context<'_, '_>, x: ValueId) -> Made {
    if c.build.ty(x).dtype == DType::I64 {
        return Ok(x);
    }
    c.build.apply(Cast { to: DType::I64 }, x)
}

fn compare(c: &mut Context<'_, '_>, relation: Relation, a: ValueId, b: ValueId) -> Made {
    c.build.add(Compare { relation }, &[a, b])
}

/// The second of two values (operand 2) where an index names the place along a new axis of `depth`
/// (operand 1), the first one elsewhere.
pub fn one_hot(c: &mut Context<'_, '_>) -> Read {
    let (indices, values) = (c.operand(0)?, c.operand(2)?);
    let depth = c.constant(1)?;
    let known = depth.to_i64().or_else(|| Some(vec![*depth.as_f32()?.first()? as i64]));
    let depth = known.as_deref().and_then(|d| d.first().copied());
    let depth = depth.and_then(|d| usize::try_from(d).ok()).filter(|&d| d > 0);
    let depth = depth.ok_or_else(|| OpError::invalid("operand 1 (the depth) is not possible"))?;
    let mut dims = c.build.shape(indices);
    let rank = dims.len() + 1;
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-1), rank)?;
    if c.build.shape(values) != [2] {
        return Err(OpError::invalid("operand 2 should hold two values"));
    }
    // Negative indices count from the end; those beyond match no place.
    let index = whole(c, indices)?;
    let (zero, extent) = (number(c, 0)?, number(c, depth as i64)?);
    let from_end = c.build.plus(index, extent)?;
    let is_negative = compare(c, Relation::Less, index, zero)?;
    let index = c.build.add(Select, &[is_negative, from_end, index])?;
    dims.insert(axis, 1);
    let index = c.build.reshape(index, dims)?;
    let places = count(c, depth, axis, rank)?;
    let is_hot = compare(c, Relation::Equal, index, places)?;
    let part = |c: &mut Context<'_, '_>, begin| {
        let ranges = vec![Range { begin, step: 1, size: 1 }];
        c.build.add(Slice { ranges, shape: Shape(Vec::new()) }, &[values])
    };
    let (off, on) = (part(c, 0)?, part(c, 1)?);
    Ok(vec![c.build.add(Select, &[is_hot, on, off])?])
}

/// The upper or lower triangle of the last two dimensions of `x`, from the diagonal that lies `k`
/// above the main one; zeros elsewhere.
///
/// # Errors
/// An operand without matrices, `k` that is no integer.
pub fn triangle(c: &mut Context<'_, '_>, x: ValueId, k: ValueId, upper: bool) -> Read {
    let ty = c.build.ty(x);
    let [.., rows, columns] = *ty.shape.0.as_slice() else {
        return Err(OpError::invalid("the input has no matrices"));
    };
    let k = whole(c, k)?;
    let k = c.build.reshape(k, vec![1, 1])?;
    let (row, column) = (count(c, rows, 0, 2)?, count(c, columns, 1, 2)?);
    let diagonal = c.build.plus(row, k)?;
    let relation = if upper { Relation::GreaterOrEqual } else { Relation::LessOrEqual };
    let is_kept = compare(c, relation, column, diagonal)?;
    let zero = c.build.tensor(Vec::new(), TensorData::zeros(ty.dtype, 1))?;
    Ok(vec![c.build.select(is_kept, [x, zero])?])
}

/// Each sequence of the batch with its first elements, as many as operand 1 says, in reverse.
pub fn reverse_sequence(c: &mut Context<'_, '_>) -> Read {
    let (x, lengths) = (c.operand(0)?, c.operand(1)?);
    let dims = c.build.shape(x);
    let batch = c.axis(c.attributes.int("batch_axis")?.unwrap_or(1), dims.len())?;
    let time = c.axis(c.attributes.int("time_axis")?.unwrap_or(0), dims.len())?;
    if batch == time || c.build.shape(lengths) != [dims[batch]] {
        return Err(OpError::invalid("axes or sequence lengths do not fit the input"));
    }
    let order: Vec<usize> = [batch, time]
        .into_iter()
        .chain((0..dims.len()).filter(|d| ![batch, time].contains(d)))
        .collect();
    let lengths = whole(c, lengths)?;
    let lengths = c.build.reshape(lengths, vec![dims[batch], 1])?;
    let steps = count(c, dims[time], 1, 2)?;
    let is_within = compare(c, Relation::Less, steps, lengths)?;
    let one = number(c, 1)?;
    let last = c.build.minus(lengths, one)?;
    let mirrored = c.build.minus(last, steps)?;
    let indices = c.build.add(Select, &[is_within, mirrored, steps])?;
    let x = c.build.transpose(x, &order)?;
    let y = c.build.add(Gather { axis: 1, batch_dims: 1 }, &[x, indices])?;
    let mut back = vec![0; order.len()];
    for (i, &d) in order.iter().enumerate() {
        back[d] = i;
    }
    Ok(vec![c.build.transpose(y, &back)?])
}

/// A cache (operand 0) with an update (operand 1) written into it along `axis`, from the position
/// that operand 2 gives for each element of the batch.
pub fn tensor_scatter(c: &mut Context<'_, '_>) -> Read {
    let (cache, update) = (c.operand(0)?, c.operand(1)?);
    let (dims, new) = (c.build.shape(cache), c.build.shape(update));
    let rank = dims.len();
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-2), rank)?;
    let misfit = || OpError::invalid(format!("an update {new:?} does not fit a cache {dims:?}"));
    let fits = |d: usize| d == axis || new.get(d) == dims.get(d);
    if axis == 0 || new.len() != rank || !(0..rank).all(fits) || new[axis] > dims[axis] {
        return Err(misfit());
    }
    let (batch, steps) = (dims[0], new[axis]);
    let places = count(c, steps, 1, 2)?;
    let mut at = match c.optional(2) {
        None => {
            let first = c.build.tensor(vec![batch, 1], TensorData::I64(vec![0; batch]))?;
            c.build.plus(first, places)?
        }
        Some(first) => {
            let first = whole(c, first)?;
            let first = c.build.reshape(first, vec![batch, 1])?;
            c.build.plus(first, places)?
        }
    };
    match c.attributes.text("mode")?.unwrap_or("linear") {
        "linear" => {}
        "circular" => {
            // The first position lies in the cache: once around is enough.
            let extent = number(c, dims[axis] as i64)?;
            let around = c.build.minus(at, extent)?;
            let is_within = compare(c, Relation::Less, at, extent)?;
            at = c.build.add(Select, &[is_within, at, around])?;
        }
        other => return Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
    }
    let at = c.build.reshape(at, vec![batch, steps, 1])?;
    let lines = (0..batch * steps).map(|i| (i / steps) as i64).collect();
    let lines = c.build.tensor(vec![batch, steps, 1], TensorData::I64(lines))?;
    let indices = c.build.add(Concat { axis: 2 }, &[lines, at])?;
    let order: Vec<usize> = [0, axis].into_iter().chain((1..rank).filter(|&d| d != axis)).collect();
    let (cache, update) = (c.build.transpose(cache, &order)?, c.build.transpose(update, &order)?);
    let y = c.build.add(ScatterNd { reduction: None }, &[cache, indices, update])?;
    let mut back = vec![0; rank];
    for (i, &d) in order.iter().enumerate() {
        back[d] = i;
    }
    Ok(vec![c.build.transpose(y, &back)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    #[test]
    fn hot_places() {
        let c = case("OneHot").input(&[2], &[1.0, -3.0]).ints(&[1], &[3]);
        let c = c.input(&[2], &[5.0, 2.0]).int("axis", 0);
        c.gives(11, &[3, 2], &[5.0, 2.0, 2.0, 5.0, 5.0, 5.0]);
    }

    #[test]
    fn triangles_below_a_computed_diagonal() {
        let k = |c: Case| c.input(&[], &[1.0]);
        let x = || case("Trilu").input(&[2, 2], &[1.0, 2.0, f32::INFINITY, 4.0]);
        k(x()).gives(14, &[2, 2], &[0.0, 2.0, 0.0, 0.0]);
        k(x()).int("upper", 0).gives(14, &[2, 2], &[1.0, 2.0, f32::INFINITY, 4.0]);
    }

    #[test]
    fn sequences() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let c = case("ReverseSequence").input(&[3, 2], &x).ints(&[2], &[2, 3]);
        c.gives(10, &[3, 2], &[3.0, 6.0, 1.0, 4.0, 5.0, 2.0]);
        let c = case("TensorScatter").input(&[2, 3, 1], &[0.0; 6]).input(&[2, 2, 1], &x[..4]);
        let c = c.ints(&[2], &[2, 0]).text("mode", "circular");
        c.gives(24, &[2, 3, 1], &[2.0, 0.0, 1.0, 3.0, 4.0, 0.0]);
    }
}
