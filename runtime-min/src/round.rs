//! Comparison, rounding division, float to integer, leading zeros; no multipliers here.

/// `x` limited to `lo..=hi`, with `lo <= hi`.
#[inline]
pub const fn clamp(x: i32, lo: i32, hi: i32) -> i32 {
    // In this order LLVM finds ssat and usat.
    let x = if x < lo { lo } else { x };
    if x > hi { hi } else { x }
}

/// The smaller of two integers.
#[inline]
pub const fn min_i32(a: i32, b: i32) -> i32 {
    if a < b { a } else { b }
}

/// The larger of two integers.
#[inline]
pub const fn max_i32(a: i32, b: i32) -> i32 {
    if a > b { a } else { b }
}

/// `a < b ? a : b` as in C: `b` if either is NaN or both are equal, unlike [`f32::min`].
#[inline]
pub const fn min_f32(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// `a > b ? a : b` as in C: `b` if either is NaN or both are equal, unlike [`f32::max`].
#[inline]
pub const fn max_f32(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `acc / n` to the nearest integer, ties away from zero, for `n >= 1` (AveragePool).
///
/// Works on magnitudes, so no `acc` overflows; `i32::MIN / 1` is `i32::MIN`.
#[inline]
pub const fn div_round(acc: i32, n: i32) -> i32 {
    let n = n.cast_unsigned();
    let Some(quotient) = acc.unsigned_abs().wrapping_add(n / 2).checked_div(n) else {
        return 0;
    };
    let quotient = quotient.cast_signed();
    if acc < 0 { quotient.wrapping_neg() } else { quotient }
}

/// `acc / n` to the nearest integer, ties to the even one, for `n >= 1` (AveragePool of ONNX).
///
/// `acc` of at most 2^30, which sums of int8 elements are.
#[inline]
pub const fn div_round_even(acc: i32, n: i32) -> i32 {
    let (Some(quotient), Some(rest)) = (acc.checked_div(n), acc.checked_rem(n)) else { return 0 };
    let twice = rest.unsigned_abs().wrapping_mul(2);
    let n = n.cast_unsigned();
    let away = twice > n || (twice == n && quotient & 1 != 0);
    let step = if acc < 0 { -1 } else { 1 };
    if away { quotient.wrapping_add(step) } else { quotient }
}

/// `x` to the nearest integer, ties away from zero; saturates, NaN gives 0 (Quantize to int8).
///
/// Limit the result to `lo - zero_point ..= hi - zero_point` before adding the zero point: the
/// sum of a saturated result and a zero point overflows.
#[inline]
pub const fn round_half_away_f32(x: f32) -> i32 {
    // The cast truncates and saturates; from 2^23 on there is no fraction, hence no carry.
    let whole = x as i32;
    let rest = x - whole as f32;
    if rest >= 0.5 {
        whole.saturating_add(1)
    } else if rest <= -0.5 {
        whole.saturating_sub(1)
    } else {
        whole
    }
}

/// `x` to the nearest integer, ties to the even one; what has no fraction (from 2^23 on, infinity)
/// and NaN stay as they are. IEEE 754 roundToIntegralTiesToEven, ONNX Round.
#[inline]
pub const fn round_half_even_f32(x: f32) -> f32 {
    let magnitude = if x < 0.0 { -x } else { x };
    if magnitude < 8_388_608.0 {
        let whole = magnitude as i32;
        let rest = magnitude - whole as f32;
        let up = rest > 0.5 || (rest == 0.5 && whole & 1 == 1);
        let rounded = if up { (whole + 1) as f32 } else { whole as f32 };
        if x < 0.0 { -rounded } else { rounded }
    } else {
        x
    }
}

/// Number of leading zero bits, 0..=32.
#[inline]
pub const fn clz(x: u32) -> i32 {
    x.leading_zeros().cast_signed()
}
