//! Reductions, and positions of extremes.

use super::Context;
use crate::graph::ValueId;
use crate::op::{
    Abs, ArgAttributes, ArgMax, ArgMin, Exp, Log, Mean, Op, OpError, ReduceAttributes, ReduceMax,
    ReduceMin, ReduceProd, Sqrt, Square, Sum,
};
use crate::tensor::DType;

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Axes as attribute or operand 1; none means all, unless `noop_with_empty_axes`.
fn attributes(c: &Context<'_, '_>) -> Result<ReduceAttributes, OpError> {
    let rank = c.build.shape(c.operand(0)?).len();
    let listed = match c.attributes.ints("axes")? {
        Some(axes) => Some(axes.to_vec()),
        None => c.ints(1)?,
    };
    let axes = match listed.filter(|a| !a.is_empty()) {
        Some(axes) => c.axes(&axes, rank)?,
        None if c.attributes.flag("noop_with_empty_axes", false)? => Vec::new(),
        None => (0..rank).collect(),
    };
    Ok(ReduceAttributes { axes, keep_dims: c.attributes.flag("keepdims", true)? })
}

fn over(
    c: &mut Context<'_, '_>,
    x: ValueId,
    a: ReduceAttributes,
    op: fn(ReduceAttributes) -> Op,
) -> Made {
    if a.axes.is_empty() { Ok(x) } else { c.build.apply(op(a), x) }
}

fn reduce(c: &mut Context<'_, '_>, op: fn(ReduceAttributes) -> Op) -> Read {
    let (x, a) = (c.operand(0)?, attributes(c)?);
    Ok(vec![over(c, x, a, op)?])
}

/// The sum of what `before` makes of the elements.
fn sum_of(c: &mut Context<'_, '_>, before: fn(&mut Context<'_, '_>, ValueId) -> Made) -> Made {
    let (x, a) = (c.operand(0)?, attributes(c)?);
    let x = before(c, x)?;
    over(c, x, a, |a| Sum(a).into())
}

/// x * x.
fn square(c: &mut Context<'_, '_>, x: ValueId) -> Made {
    if c.build.ty(x).dtype.is_int() { c.build.times(x, x) } else { c.build.apply(Square, x) }
}

/// Largest element.
pub fn max(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| ReduceMax(a).into())
}

/// Mean of the elements; of integers, towards zero.
pub fn mean(c: &mut Context<'_, '_>) -> Read {
    let (x, a) = (c.operand(0)?, attributes(c)?);
    if !c.build.ty(x).dtype.is_int() {
        return Ok(vec![over(c, x, a, |a| Mean(a).into())?]);
    }
    let dims = c.build.shape(x);
    let count: usize = a.axes.iter().map(|&d| dims[d]).product();
    let sum = over(c, x, a, |a| Sum(a).into())?;
    let count = c.build.number_like(sum, count as f64)?;
    Ok(vec![c.build.over(sum, count)?])
}

/// Smallest element.
pub fn min(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| ReduceMin(a).into())
}

/// Sum of the elements.
pub fn sum(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| Sum(a).into())
}

/// Product of the elements.
pub fn product(c: &mut Context<'_, '_>) -> Read {
    reduce(c, |a| ReduceProd(a).into())
}

/// Sum of magnitudes.
pub fn l1(c: &mut Context<'_, '_>) -> Read {
    Ok(vec![sum_of(c, |c, x| c.build.apply(Abs, x))?])
}

/// Root of the sum of squares.
pub fn l2(c: &mut Context<'_, '_>) -> Read {
    let sum = sum_of(c, square)?;
    Ok(vec![c.build.apply(Sqrt, sum)?])
}

/// Sum of squares.
pub fn sum_square(c: &mut Context<'_, '_>) -> Read {
    Ok(vec![sum_of(c, square)?])
}

/// Logarithm of the sum.
pub fn log_sum(c: &mut Context<'_, '_>) -> Read {
    let sum = sum_of(c, |_, x| Ok(x))?;
    Ok(vec![c.build.apply(Log, sum)?])
}

/// max + ln(sum of e^(x - max)), which never overflows.
pub fn log_sum_exp(c: &mut Context<'_, '_>) -> Read {
    let (x, a) = (c.operand(0)?, attributes(c)?);
    let keep = ReduceAttributes { axes: a.axes.clone(), keep_dims: true };
    let top = over(c, x, keep.clone(), |a| ReduceMax(a).into())?;
    let distance = c.build.minus(x, top)?;
    let small = c.build.apply(Exp, distance)?;
    let sum = over(c, small, keep, |a| Sum(a).into())?;
    let log = c.build.apply(Log, sum)?;
    let y = c.build.plus(log, top)?;
    if a.keep_dims {
        return Ok(vec![y]);
    }
    let dims = c.build.shape(y).into_iter().enumerate();
    let dims = dims.filter(|(i, _)| !a.axes.contains(i)).map(|(_, d)| d).collect();
    Ok(vec![c.build.reshape(y, dims)?])
}

fn position(c: &mut Context<'_, '_>, op: fn(ArgAttributes) -> Op) -> Read {
    let last = c.attributes.flag("select_last_index", false)?;
    let x = c.operand(0)?;
    let mut dims = c.build.shape(x);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(0), dims.len())?;
    let y = c.build.apply(op(ArgAttributes { axis, index: DType::I64, last }), x)?;
    if !c.attributes.flag("keepdims", true)? {
        return Ok(vec![y]);
    }
    dims[axis] = 1;
    Ok(vec![c.build.reshape(y, dims)?])
}

/// Position of the largest element, of equal ones the first, or last with `select_last_index`.
pub fn arg_max(c: &mut Context<'_, '_>) -> Read {
    position(c, |a| ArgMax(a).into())
}

/// Position of the smallest element, chosen likewise.
pub fn arg_min(c: &mut Context<'_, '_>) -> Read {
    position(c, |a| ArgMin(a).into())
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn of(name: &str) -> Case {
        case(name).input(&[2, 2], &[-1.0, 2.0, 3.0, 4.0])
    }

    #[test]
    fn rows_by_hand() {
        let rows = |name| of(name).list("axes", &[1]).int("keepdims", 0);
        rows("ReduceL1").gives(13, &[2], &[3.0, 7.0]);
        rows("ReduceL2").gives(13, &[2], &[5.0f32.sqrt(), 5.0]);
        rows("ReduceSumSquare").gives(13, &[2], &[5.0, 25.0]);
        rows("ReduceLogSum").gives(13, &[2], &[0.0, 7.0f32.ln()]);
        let sums = [(-1f32).exp() + 2f32.exp(), 3f32.exp() + 4f32.exp()];
        rows("ReduceLogSumExp").gives(13, &[2], &sums.map(f32::ln));
        of("ReduceSum").int("noop_with_empty_axes", 1).gives(13, &[2, 2], &[-1.0, 2.0, 3.0, 4.0]);
        of("ReduceMax").ints(&[1], &[-2]).gives(18, &[1, 2], &[3.0, 4.0]);
        of("ReduceMax").ints(&[1], &[2]).refused(18, "axis 2");
    }

    #[test]
    fn positions_and_integers() {
        let y = of("ArgMax").int("axis", 0).int("keepdims", 0).run(13).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![1, 1]));
        let mean = case("ReduceMean").ints(&[3], &[2, 3, 9]).run(18).expect("reads");
        assert_eq!(mean.to_i64(), Some(vec![4]));
        let ties = || case("ArgMax").input(&[3], &[5.0, 5.0, 1.0]);
        let y = ties().int("select_last_index", 1).run(13).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![1]));
        let y = of("ArgMin").int("axis", -1).run(13).expect("reads");
        assert_eq!((y.shape.0.clone(), y.to_i64()), (vec![2, 1], Some(vec![0, 0])));
        let y = case("ReduceProd").ints(&[3], &[2, 3, 4]).run(13).expect("reads");
        assert_eq!((y.shape.0.clone(), y.to_i64()), (vec![1], Some(vec![24])));
        let y = case("ReduceMax").ints(&[3], &[2, 9, 4]).int("keepdims", 0).run(13);
        assert_eq!(y.expect("reads").to_i64(), Some(vec![9]));
        let y = case("ReduceProd").ints(&[2], &[i64::MAX, 3]).run(13).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![i64::MAX.wrapping_mul(3)]));
        of("ReduceProd").gives(13, &[1, 1], &[-24.0]);
        let y = case("ReduceSumSquare").ints(&[3], &[2, -3, 4]).run(13).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![29]));
        let ties = case("ArgMax").input(&[2, 3], &[1.0, 1.0, 0.0, 2.0, 3.0, 3.0]).int("axis", 1);
        let y = ties.int("select_last_index", 1).run(13).expect("reads");
        assert_eq!(y.to_i64(), Some(vec![1, 2]));
    }
}
