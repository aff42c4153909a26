//! The end of an int8 softmax row; the exponentials come from a table the compiler writes.
//!
//! A row is computed as: `e[i]` = exponential of the difference to the largest input, Q0.31;
//! `sum` = sum of `rounding_divide_by_pot(e[i], 12)`, Q12.19; then [`softmax_recip`] and
//! [`softmax_shift`] once per row and [`softmax_finish`] per element. A difference below the
//! operator's cut-off gives -128 and is not summed. The largest element alone adds 2^19, so
//! `sum` is never 0.

use crate::fixed_point::one_over_one_plus_x;
use crate::requantize::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};
use crate::round::{clamp, clz};

/// 1 / s in Q0.31, where s is `sum` times the power of two that puts it into [1, 2); `sum >= 1`.
#[inline]
pub const fn softmax_recip(sum: u32) -> i32 {
    let mantissa = sum.wrapping_shl(sum.leading_zeros());
    one_over_one_plus_x(mantissa.wrapping_sub(1 << 31).cast_signed())
}

/// The right shift, 3..=35, that [`softmax_finish`] wants with [`softmax_recip`] of the same `sum`.
#[inline]
pub const fn softmax_shift(sum: u32) -> i32 {
    // 12 integer bits of the sum + 31 - 8 output bits - clz.
    35 - clz(sum)
}

/// int8 output (scale 1/256, zero point -128) for the exponential `e >= 0` in Q0.31.
///
/// From `shift` 32 on (at least 512 nearly equal classes) every product is below one half and
/// the result is -128; TensorFlow Lite Micro's shift is undefined there.
#[inline]
pub const fn softmax_finish(recip: i32, shift: i32, e: i32) -> i32 {
    if shift > 31 {
        return -128;
    }
    let y = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(recip, e), shift);
    clamp(y, 0, 255) - 128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_classes_share_the_probability() {
        for classes in 1..2000u32 {
            let sum = classes * (1 << 19);
            let y = softmax_finish(softmax_recip(sum), softmax_shift(sum), i32::MAX);
            let exact = 256.0 / f64::from(classes);
            let error = f64::from(y + 128) - exact.min(255.0);
            assert!(error.abs() <= 0.500_001, "{classes} classes: {y}");
        }
    }
}
