//! Accumulator times quantised multiplier; how the multiplier is made is the compiler's part.
//!
//! A positive real factor M is stored as M = `multiplier` / 2^31 * 2^`exponent` with `multiplier`
//! in 2^30..2^31, or as 0, 0. TensorFlow Lite Micro rounds twice, and not alike: ties of the
//! first step go to plus infinity, ties of the second away from zero.

/// `a * b / 2^31` to nearest, ties to plus infinity (gemmlowp `SaturatingRoundingDoublingHighMul`).
///
/// Only `i32::MIN * i32::MIN` saturates.
#[inline]
pub const fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent` to nearest, ties away from zero, for `exponent` in 0..=31
/// (gemmlowp `RoundingDivideByPOT`).
#[inline]
pub const fn rounding_divide_by_pot(x: i32, exponent: i32) -> i32 {
    let exponent = exponent.cast_unsigned();
    let mask = 1u32.wrapping_shl(exponent).wrapping_sub(1).cast_signed();
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    x.wrapping_shr(exponent) + (remainder > threshold) as i32
}

/// `acc * multiplier * 2^(exponent - 31)`, rounded twice: `MultiplyByQuantizedMultiplier` of
/// TensorFlow Lite Micro without `TFLITE_SINGLE_ROUNDING`.
///
/// `exponent` in -31..=30; a left shift wraps, as there.
#[inline]
pub const fn requantize(acc: i32, multiplier: i32, exponent: i32) -> i32 {
    let (left, right) = if exponent > 0 { (exponent, 0) } else { (0, exponent.wrapping_neg()) };
    let shifted = acc.wrapping_shl(left.cast_unsigned());
    rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)
}

/// [`requantize`] at exponent `-shift - 1`, for `shift` in 1..=30 and `multiplier >= 0`, with one
/// multiply-accumulate and one shift.
///
/// With A = `acc * multiplier` and r = `shift + 1` the two roundings collapse to
/// floor((A + 2^(30+r) + s) / 2^(31+r)), where s = 2^30 with the sign of `acc`: the second
/// step's "minus one if negative", scaled by 2^31, turns the first step's +2^30 into -2^30.
#[inline]
pub const fn requantize_shr(acc: i32, multiplier: i32, shift: i32) -> i32 {
    // The low and the high word of 2^(31+shift) + s: bit tricks instead of a conditional.
    let low = 1 << 30 | acc.cast_unsigned() & 1 << 31;
    multiply_add_shift(acc, multiplier, shift, low, acc >> 31)
}

/// [`requantize_shr`] with +2^30 whatever the sign of `acc`, which saves two instructions. Only for
/// results that are then limited to >= 0 (after adding the zero point: to >= the zero point, as ReLU
/// and ReLU6 do).
///
/// A negative `acc` gives a result <= 0 in both functions.
#[inline]
pub const fn requantize_shr_pos(acc: i32, multiplier: i32, shift: i32) -> i32 {
    multiply_add_shift(acc, multiplier, shift, 1 << 30, 0)
}

/// floor((acc * multiplier + 2^(31+shift) + high * 2^32 + low) / 2^(32+shift)).
#[inline]
const fn multiply_add_shift(acc: i32, multiplier: i32, shift: i32, low: u32, high: i32) -> i32 {
    let shift = shift.cast_unsigned();
    let high = (1i32.wrapping_shl(shift) >> 1).wrapping_add(high);
    let start = (high as i64) << 32 | low as i64;
    // |acc * multiplier| <= 2^62, so the sum stays below 2^63 for every shift in range.
    let sum = (acc as i64 * multiplier as i64).wrapping_add(start);
    ((sum >> 32) as i32).wrapping_shr(shift)
}

/// `acc * multiplier * 2^(exponent - 31)` to the nearest integer, ties to even, saturating: rounded
/// once, as ONNX defines the result of quantized operators.
///
/// `exponent` in -31..=30.
#[inline]
pub const fn requantize_nearest(acc: i32, multiplier: i32, exponent: i32) -> i32 {
    let product = acc as i64 * multiplier as i64;
    let shift = 31i32.wrapping_sub(exponent).cast_unsigned();
    let half = 1i64.wrapping_shl(shift.wrapping_sub(1));
    let floor = product.wrapping_shr(shift);
    let rest = product & half.wrapping_mul(2).wrapping_sub(1);
    let up = rest > half || (rest == half && floor & 1 == 1);
    let nearest = floor.wrapping_add(up as i64);
    if nearest > i32::MAX as i64 {
        i32::MAX
    } else if nearest < i32::MIN as i64 {
        i32::MIN
    } else {
        nearest as i32
    }
}

/// [`requantize_nearest`] at exponent `-shift - 1`, for `shift` in 1..=30, with ties to plus infinity:
/// one high word of a product, one addition, one shift.
#[inline]
pub const fn requantize_shr_nearest(acc: i32, multiplier: i32, shift: i32) -> i32 {
    // Half of the divisor is a multiple of 2^32: it leaves the low word alone.
    let high = ((acc as i64 * multiplier as i64) >> 32) as i32;
    let shift = shift.cast_unsigned();
    high.wrapping_add(1i32.wrapping_shl(shift) >> 1).wrapping_shr(shift)
}
