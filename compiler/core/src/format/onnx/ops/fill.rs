//! Operators that repeat, choose, generate or rearrange elements.

use super::Context;
use crate::format::onnx::build::{TO_CHANNELS_FIRST, TO_CHANNELS_LAST};
use crate::geometry::broadcast;
use crate::graph::ValueId;
use crate::numeric::small_float;
use crate::op::{
    BroadcastTo, Cast, Combine, Cumulative, DepthToSpace, OpError, SpaceToDepth, Tile,
};
use crate::tensor::{Shape, Tensor, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

/// Elements of constants made here; more would be weights by accident.
const MAX_ELEMENTS: usize = 4 << 20;

fn extents(values: &[i64]) -> Result<Shape, OpError> {
    crate::format::onnx::tensor::shape(values)
}

/// Broadcasts both ways with the shape of operand 1.
pub fn expand(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let wanted = c.ints(1)?.ok_or_else(|| OpError::invalid("operand 1 (the shape) is missing"))?;
    let (from, to) = (Shape(c.build.shape(x)), extents(&wanted)?);
    let shape = broadcast(&from, &to)
        .ok_or_else(|| OpError::invalid(format!("shapes {from} and {to} do not broadcast")))?;
    if shape == from {
        return Ok(vec![x]);
    }
    Ok(vec![c.build.apply(BroadcastTo { shape }, x)?])
}

/// Repeats along each dimension.
pub fn tile(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let repeats = c.ints(1)?.ok_or_else(|| OpError::invalid("operand 1 (repeats) is missing"))?;
    let repeats = extents(&repeats)?.0;
    if repeats.contains(&0) {
        return Err(OpError::unsupported("repeating 0 times leaves no elements"));
    }
    Ok(vec![c.build.apply(Tile { repeats }, x)?])
}

/// Number of elements.
pub fn size(c: &mut Context<'_, '_>) -> Read {
    let n: usize = c.build.shape(c.operand(0)?).iter().product();
    Ok(vec![c.build.tensor(Vec::new(), TensorData::I64(vec![n as i64]))?])
}

/// A constant of the shape in operand 0, of one value.
pub fn constant_of_shape(c: &mut Context<'_, '_>) -> Read {
    let wanted = c.ints(0)?.ok_or_else(|| OpError::invalid("operand 0 (the shape) is missing"))?;
    let shape = extents(&wanted)?;
    let n = shape.elements();
    if n > MAX_ELEMENTS {
        return Err(OpError::unsupported(format!("a constant of {n} elements is too large")));
    }
    let data = match c.attributes.tensor("value")? {
        None => TensorData::F32(vec![0.0; n]),
        Some(value) if value.data.len() == 1 => value.data.gather(&vec![0; n]),
        Some(_) => return Err(OpError::invalid("attribute \"value\" should be one element")),
    };
    Ok(vec![c.build.tensor(shape.0, data)?])
}

/// The element of a constant float.
fn one_float(tensor: &Tensor) -> Option<f64> {
    match (&tensor.data, small_float::to_f32(&tensor.data)?.as_slice()) {
        (TensorData::F64(v), _) => v.first().copied(),
        (_, &[one]) => Some(one.into()),
        _several => None,
    }
}

/// start, start + delta, ... below limit; all three constant.
pub fn range(c: &mut Context<'_, '_>) -> Read {
    let parts = [c.constant(0)?, c.constant(1)?, c.constant(2)?];
    let too_many = || OpError::unsupported("the range has too many elements");
    let zero = || OpError::invalid("the step of the range is 0");
    if let [Some(start), Some(limit), Some(delta)] = parts.each_ref().map(|t| one_float(t)) {
        let count = ((limit - start) / delta).ceil().max(0.0);
        if delta == 0.0 {
            return Err(zero());
        }
        // Also refuses what is no number.
        let n = Some(count).filter(|&n| n <= MAX_ELEMENTS as f64).ok_or_else(too_many)? as usize;
        let values = (0..n).map(|i| start + i as f64 * delta).collect();
        let values = c.build.tensor(vec![n], TensorData::F64(values))?;
        return Ok(vec![c.build.apply(Cast { to: parts[0].data.dtype() }, values)?]);
    }
    let ints: Vec<i64> = parts.iter().filter_map(|t| t.to_i64()).flatten().collect();
    let &[start, limit, delta] = ints.as_slice() else {
        return Err(OpError::invalid("start, limit and delta should be one number each"));
    };
    if delta == 0 {
        return Err(zero());
    }
    let span = i128::from(limit) - i128::from(start);
    let mut count = span / i128::from(delta);
    count += i128::from(span % i128::from(delta) != 0 && (span < 0) == (delta < 0));
    let n = usize::try_from(count.max(0)).ok().filter(|&n| n <= MAX_ELEMENTS);
    let n = n.ok_or_else(too_many)?;
    // The last value lies before the limit: no overflow.
    let values: Vec<i64> =
        (0..n).map(|i| start.wrapping_add(delta.wrapping_mul(i as i64))).collect();
    let dtype = parts[0].data.dtype();
    let wide: Vec<i128> = values.into_iter().map(i128::from).collect();
    let data = TensorData::from_i128(dtype, &wide).filter(|_| dtype.is_int());
    let data =
        data.ok_or_else(|| OpError::invalid(format!("a range of {dtype} does not exist")))?;
    Ok(vec![c.build.tensor(vec![n], data)?])
}

/// Elements of `a` where `mask` of extents `dims` is true, of `b` elsewhere. No arithmetic:
/// infinities and NaN pass.
fn choose(
    c: &mut Context<'_, '_>,
    (mask, dims): (&[bool], Vec<usize>),
    shape: &Shape,
    [a, b]: [ValueId; 2],
) -> Read {
    let wide = |c: &mut Context<'_, '_>, v: ValueId| {
        if c.build.shape(v) == shape.0 {
            return Ok(v);
        }
        c.build.apply(BroadcastTo { shape: shape.clone() }, v)
    };
    if mask.iter().all(|&m| m) {
        return Ok(vec![wide(c, a)?]);
    }
    if mask.iter().all(|&m| !m) {
        return Ok(vec![wide(c, b)?]);
    }
    let mask = mask.iter().map(|&m| u8::from(m)).collect();
    let mask = c.build.tensor(dims, TensorData::Bool(mask))?;
    Ok(vec![c.build.select(mask, [a, b])?])
}

/// Chooses by a constant condition.
pub fn choose_constant(c: &mut Context<'_, '_>) -> Read {
    let (a, b) = (c.operand(1)?, c.operand(2)?);
    let condition = c.constant(0)?;
    let misfit = || OpError::invalid("condition and operands do not broadcast");
    let shape = broadcast(&Shape(c.build.shape(a)), &Shape(c.build.shape(b))).ok_or_else(misfit)?;
    let shape = broadcast(&condition.shape, &shape).ok_or_else(misfit)?;
    if shape.elements() > MAX_ELEMENTS {
        return Err(OpError::unsupported("the result has too many elements to choose"));
    }
    if c.build.ty(a).dtype != c.build.ty(b).dtype {
        return Err(OpError::invalid("operands 1 and 2 differ in type"));
    }
    let mask = condition.to_i64().map(|v| v.into_iter().map(|b| b != 0).collect::<Vec<_>>());
    let mask = mask.ok_or_else(|| OpError::invalid("the condition is no truth value"))?;
    choose(c, (&mask, condition.shape.0.clone()), &shape, [a, b])
}

/// The upper or lower triangle of the last two dimensions; zeros elsewhere.
pub fn trilu(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let ty = c.build.ty(x);
    let dims = ty.shape.0.clone();
    let &[.., rows, columns] = dims.as_slice() else {
        return Err(OpError::invalid("the input has no matrices"));
    };
    let upper = c.attributes.flag("upper", true)?;
    if let Some(k) = c.optional(1).filter(|&k| c.build.data(k).is_none()) {
        return super::positions::triangle(c, x, k, upper);
    }
    let k = match c.ints(1)?.as_deref() {
        None => 0,
        Some(&[k]) => k,
        Some(_) => return Err(OpError::invalid("operand 1 (k) should be one number")),
    };
    let n = rows.saturating_mul(columns);
    if n > MAX_ELEMENTS {
        return Err(OpError::unsupported(format!("triangles of {n} elements are too many")));
    }
    let is_kept = |at: usize| {
        let (row, column) = ((at / columns) as i64, (at % columns) as i64);
        let beyond = column - row;
        if upper { beyond >= k } else { beyond <= k }
    };
    let mask: Vec<bool> = (0..n).map(is_kept).collect();
    let zero = c.build.tensor(Vec::new(), TensorData::zeros(ty.dtype, 1))?;
    choose(c, (&mask, vec![rows, columns]), &ty.shape, [x, zero])
}

/// Ones on a diagonal of a matrix of the operand's shape; its elements are not read.
pub fn eye_like(c: &mut Context<'_, '_>) -> Read {
    let ty = c.build.ty(c.operand(0)?);
    let &[rows, columns] = ty.shape.0.as_slice() else {
        return Err(OpError::invalid("the input is no matrix"));
    };
    let to = match c.attributes.int("dtype")?.map(i32::try_from) {
        None => ty.dtype,
        Some(Ok(code)) => crate::format::onnx::tensor::dtype(code)?,
        Some(Err(_)) => return Err(OpError::invalid("attribute \"dtype\" is no type")),
    };
    let k = c.attributes.int("k")?.unwrap_or(0);
    let n = rows.saturating_mul(columns);
    if n > MAX_ELEMENTS {
        return Err(OpError::unsupported(format!("a constant of {n} elements is too large")));
    }
    let is_one = |at: usize| (at % columns) as i64 == k.saturating_add((at / columns) as i64);
    let ones = (0..n).map(|at| u8::from(is_one(at))).collect();
    let ones = c.build.tensor(vec![rows, columns], TensorData::Bool(ones))?;
    Ok(vec![c.build.apply(Cast { to }, ones)?])
}

fn cumulative(c: &mut Context<'_, '_>, combine: Combine) -> Read {
    let x = c.operand(0)?;
    let axis = c.ints(1)?;
    let Some(&[axis]) = axis.as_deref() else {
        return Err(OpError::invalid("operand 1 (the axis) should be one number"));
    };
    let axis = c.axis(axis, c.build.shape(x).len())?;
    let exclusive = c.attributes.flag("exclusive", false)?;
    let reverse = c.attributes.flag("reverse", false)?;
    Ok(vec![c.build.apply(Cumulative { axis, combine, exclusive, reverse }, x)?])
}

/// Running sums along the axis of operand 1.
pub fn cum_sum(c: &mut Context<'_, '_>) -> Read {
    cumulative(c, Combine::Sum)
}

/// Running products along the axis of operand 1.
pub fn cum_prod(c: &mut Context<'_, '_>) -> Read {
    cumulative(c, Combine::Product)
}

/// Block edge, and the extents of a NCHW operand.
fn blocks(c: &Context<'_, '_>) -> Result<(ValueId, usize, [usize; 4]), OpError> {
    let x = c.operand(0)?;
    let block = c.attributes.int("blocksize")?.and_then(|b| usize::try_from(b).ok());
    let block = block
        .filter(|&b| b > 0 && b < 1 << 15)
        .ok_or_else(|| OpError::invalid("attribute \"blocksize\" is missing or not possible"))?;
    match c.build.shape(x).as_slice() {
        &[n, channels, h, w] => Ok((x, block, [n, channels, h, w])),
        other => Err(OpError::invalid(format!("the input has {} dimensions, not 4", other.len()))),
    }
}

/// Channels become blocks of pixels; block first (DCR) or channel first (CRD) in the channels.
pub fn depth_to_space(c: &mut Context<'_, '_>) -> Read {
    let (x, b, [n, channels, h, w]) = blocks(c)?;
    match c.attributes.text("mode")?.unwrap_or("DCR") {
        "DCR" => {
            let last = c.build.transpose(x, &TO_CHANNELS_LAST)?;
            let y = c.build.apply(DepthToSpace { block: b }, last)?;
            Ok(vec![c.build.transpose(y, &TO_CHANNELS_FIRST)?])
        }
        "CRD" => {
            if !channels.is_multiple_of(b * b) {
                return Err(OpError::invalid(format!("{channels} channels do not make blocks")));
            }
            let kept = channels / (b * b);
            let y = c.build.reshape(x, vec![n, kept, b, b, h, w])?;
            let y = c.build.transpose(y, &[0, 1, 4, 2, 5, 3])?;
            Ok(vec![c.build.reshape(y, vec![n, kept, h * b, w * b])?])
        }
        other => Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
    }
}

/// Blocks of pixels become channels, block first.
pub fn space_to_depth(c: &mut Context<'_, '_>) -> Read {
    let (x, block, _) = blocks(c)?;
    let last = c.build.transpose(x, &TO_CHANNELS_LAST)?;
    let y = c.build.apply(SpaceToDepth { block }, last)?;
    Ok(vec![c.build.transpose(y, &TO_CHANNELS_FIRST)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn pair(name: &str) -> Case {
        case(name).input(&[2], &[1.0, 2.0])
    }

    #[test]
    fn repeated_and_chosen() {
        pair("Expand").ints(&[2], &[2, 1]).gives(13, &[2, 2], &[1.0, 2.0, 1.0, 2.0]);
        pair("Expand").ints(&[1], &[3]).refused(13, "do not broadcast");
        pair("Tile").ints(&[1], &[2]).gives(13, &[4], &[1.0, 2.0, 1.0, 2.0]);
        pair("Tile").ints(&[1], &[i64::MAX]).refused(13, "not possible");
        let c = case("Where").ints(&[2, 1], &[1, 0]).input(&[2], &[1.0, f32::INFINITY]);
        c.floats(&[], &[7.0]).gives(13, &[2, 2], &[1.0, f32::INFINITY, 7.0, 7.0]);
        let c = case("Where").input(&[2], &[1.0, 2.0]).input(&[2], &[1.0, 2.0]);
        c.floats(&[], &[7.0]).refused(13, "float32, float32, float32");
        let c = case("Trilu").input(&[2, 2], &[1.0, 2.0, f32::INFINITY, 4.0]);
        c.gives(14, &[2, 2], &[1.0, 2.0, 0.0, 4.0]);
        let c = case("Trilu").input(&[2, 2], &[1.0, 2.0, 3.0, 4.0]).ints(&[], &[-1]);
        c.int("upper", 0).gives(14, &[2, 2], &[0.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn generated() {
        let of = |c: Case| c.run(13).map(|t| (t.shape.0.clone(), t.to_i64().unwrap_or_default()));
        let numbers = |a, b, c| case("Range").ints(&[], &[a]).ints(&[], &[b]).ints(&[], &[c]);
        assert_eq!(of(numbers(1, 6, 2)), Ok((vec![3], vec![1, 3, 5])));
        assert_eq!(of(numbers(3, 0, -1)), Ok((vec![3], vec![3, 2, 1])));
        assert_eq!(of(numbers(i64::MAX - 1, i64::MAX, 5)), Ok((vec![1], vec![i64::MAX - 1])));
        numbers(i64::MIN, i64::MAX, 1).refused(13, "too many");
        numbers(0, 1, 0).refused(13, "step");
        assert_eq!(of(pair("Size")), Ok((vec![], vec![2])));
        case("ConstantOfShape").ints(&[2], &[1, 2]).gives(13, &[1, 2], &[0.0, 0.0]);
        case("ConstantOfShape").ints(&[1], &[1 << 30]).refused(13, "too large");
        case("ConstantOfShape").ints(&[1], &[-1]).refused(13, "not possible");
    }

    #[test]
    fn diagonals_and_running_sums() {
        let eye = case("EyeLike").input(&[2, 3], &[0.0; 6]).int("k", 1);
        eye.gives(9, &[2, 3], &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        pair("CumSum").ints(&[], &[-1]).gives(14, &[2], &[1.0, 3.0]);
        pair("CumSum").ints(&[], &[0]).int("exclusive", 1).gives(14, &[2], &[0.0, 1.0]);
        pair("CumProd").ints(&[], &[0]).int("reverse", 1).gives(26, &[2], &[2.0, 2.0]);
        pair("CumSum").ints(&[], &[1]).refused(14, "axis 1");
    }

    #[test]
    fn blocks_of_pixels() {
        let x: Vec<f32> = (0..8u8).map(f32::from).collect();
        let deep = || case("DepthToSpace").input(&[1, 8, 1, 1], &x).int("blocksize", 2);
        deep().gives(13, &[1, 2, 2, 2], &[0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
        deep().text("mode", "CRD").gives(13, &[1, 2, 2, 2], &x);
        let wide = case("SpaceToDepth").input(&[1, 2, 2, 2], &x).int("blocksize", 2);
        wide.gives(13, &[1, 8, 1, 1], &[0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
        let bad = case("SpaceToDepth").input(&[1, 2, 2, 2], &x).int("blocksize", i64::MAX);
        bad.refused(13, "blocksize");
    }
}
