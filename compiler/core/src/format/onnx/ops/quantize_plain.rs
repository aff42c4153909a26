//! Quantization as plain arithmetic, where the core has no operator for it: parameters computed at
//! run time, lists of them along activations, blocks, other types than int8 and uint8. Also
//! DynamicQuantizeLinear, whose parameters are always computed.

use super::Context;
use super::quantize::Operands;
use crate::graph::ValueId;
use crate::op::{
    BroadcastTo, Cast, Function, Math, Maximum, Minimum, OpError, ReduceAttributes, ReduceMax,
    ReduceMin, Reshape,
};
use crate::tensor::{DType, Shape, SmallType};

type Read = Result<Vec<ValueId>, OpError>;

/// To the nearest integer, the even one of two.
const ROUND: Math = Math { function: Function::RoundEven };

/// (x - zero point) * scale.
///
/// # Errors
/// Operands that do not fit.
pub fn dequantized(c: &mut Context<'_, '_>, o: &Operands) -> Result<ValueId, OpError> {
    let x = real(c, o.x)?;
    let x = match o.zero_point.filter(|&z| !is_zero(c, z)) {
        None => x,
        Some(z) => {
            let z = real(c, z)?;
            let z = spread(c, z, o)?;
            c.build.minus(x, z)?
        }
    };
    let scale = spread(c, o.scale, o)?;
    c.build.times(x, scale)
}

/// clamp(round_half_even(x / scale) + zero point) for integers; the nearest float for small floats.
///
/// # Errors
/// Operands that do not fit, or types without a conversion.
pub fn quantized(c: &mut Context<'_, '_>, o: &Operands, to: DType) -> Result<ValueId, OpError> {
    let x = real(c, o.x)?;
    let scale = spread(c, o.scale, o)?;
    let mut y = c.build.over(x, scale)?;
    let Some((lo, hi)) = limits(to) else {
        return c.build.apply(Cast { to }, y);
    };
    y = c.build.apply(ROUND, y)?;
    if let Some(z) = o.zero_point.filter(|&z| !is_zero(c, z)) {
        let z = real(c, z)?;
        let z = spread(c, z, o)?;
        y = c.build.plus(y, z)?;
    }
    let y = limited(c, y, lo, hi)?;
    c.build.apply(Cast { to }, y)
}

fn limited(c: &mut Context<'_, '_>, x: ValueId, lo: f32, hi: f32) -> Result<ValueId, OpError> {
    let (lo, hi) = (c.build.number(lo)?, c.build.number(hi)?);
    let x = c.build.add(Maximum, &[x, lo])?;
    c.build.add(Minimum, &[x, hi])
}

/// Integers as float32; floats as they are.
pub(super) fn real(c: &mut Context<'_, '_>, x: ValueId) -> Result<ValueId, OpError> {
    let dtype = c.build.ty(x).dtype;
    if dtype == DType::F32 || dtype.is_storage_float() {
        return Ok(x);
    }
    c.build.apply(Cast { to: DType::F32 }, x)
}

pub(super) fn is_zero(c: &Context<'_, '_>, x: ValueId) -> bool {
    let data = c.build.data(x).and_then(|t| t.to_i64());
    data.is_some_and(|d| d.iter().all(|&v| v == 0))
}

fn is_small_int(small: SmallType) -> bool {
    matches!(small, SmallType::I2 | SmallType::I4 | SmallType::U2 | SmallType::U4)
}

/// Smallest and largest value of an integer type that float32 holds exactly.
fn limits(to: DType) -> Option<(f32, f32)> {
    let is_narrow = to.is_int() && to.size() <= 2;
    let (bits, is_signed) = if let DType::Small(small) = to {
        if !is_small_int(small) {
            return None;
        }
        (small.bits() as i32, matches!(small, SmallType::I2 | SmallType::I4))
    } else if is_narrow {
        (8 * to.size() as i32, !to.is_unsigned())
    } else {
        return None;
    };
    let power = |n: i32| 2f32.powi(n);
    Some(if is_signed {
        (-power(bits - 1), power(bits - 1) - 1.0)
    } else {
        (0.0, power(bits) - 1.0)
    })
}

/// Parameters in a shape that broadcasts over the tensor.
fn spread(c: &mut Context<'_, '_>, p: ValueId, o: &Operands) -> Result<ValueId, OpError> {
    let (dims, own) = (c.build.shape(o.x), c.build.shape(p));
    let misfit = || OpError::invalid(format!("parameters {own:?} do not fit the tensor {dims:?}"));
    if own.iter().product::<usize>() == 1 && o.block == 0 {
        return c.build.reshape(p, Vec::new());
    }
    let axis = c.axis(o.axis, dims.len())?;
    if o.block == 0 && own == [dims[axis]] {
        let mut shape = vec![1; dims.len() - axis];
        shape[0] = dims[axis];
        return c.build.reshape(p, shape);
    }
    if o.block == 0 {
        // One per row of the last two dimensions, as matrix products have them.
        return if own.len() == dims.len() { Ok(p) } else { Err(misfit()) };
    }
    // Every parameter repeated over its block.
    let fits = own.len() == dims.len()
        && own.iter().zip(&dims).enumerate().all(|(d, (&n, &whole))| match d == axis {
            true => n.checked_mul(o.block) == Some(whole),
            false => n == whole,
        });
    if !fits {
        return Err(misfit());
    }
    let mut split = own.clone();
    split.insert(axis + 1, 1);
    let mut repeated = own.clone();
    repeated.insert(axis + 1, o.block);
    let p = c.build.reshape(p, split)?;
    let p = c.build.add(BroadcastTo { shape: Shape(repeated) }, &[p])?;
    c.build.add(Reshape { shape: Shape(dims) }, &[p])
}

/// y, its scale (max - min) / 255 and its zero point, with the range of x widened to hold 0.
pub fn dynamic_quantize_linear(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let axes: Vec<usize> = (0..c.build.shape(x).len()).collect();
    let all = ReduceAttributes { axes, keep_dims: false };
    let zero = c.build.number(0.0)?;
    let largest = c.build.apply(ReduceMax(all.clone()), x)?;
    let largest = c.build.add(Maximum, &[largest, zero])?;
    let smallest = c.build.apply(ReduceMin(all), x)?;
    let smallest = c.build.add(Minimum, &[smallest, zero])?;
    let range = c.build.minus(largest, smallest)?;
    let steps = c.build.number(255.0)?;
    let scale = c.build.over(range, steps)?;
    // Where all elements are 0 so is the scale: then they are divided by something harmless.
    let least = c.build.number(f32::MIN_POSITIVE)?;
    let divisor = c.build.add(Maximum, &[scale, least])?;
    let below = c.build.minus(zero, smallest)?;
    let below = c.build.over(below, divisor)?;
    let zero_point = limited(c, below, 0.0, 255.0)?;
    let zero_point = c.build.apply(ROUND, zero_point)?;
    let y = c.build.over(x, divisor)?;
    let y = c.build.apply(ROUND, y)?;
    let y = c.build.plus(y, zero_point)?;
    let y = limited(c, y, 0.0, 255.0)?;
    let y = c.build.apply(Cast { to: DType::U8 }, y)?;
    let zero_point = c.build.apply(Cast { to: DType::U8 }, zero_point)?;
    Ok(vec![y, scale, zero_point])
}
