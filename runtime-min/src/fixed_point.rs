//! Fixed-point functions after gemmlowp: reciprocal, exponential, logistic, tanh, logarithm, inverse
//! square root; no tables here.
//!
//! Qm.n is a number with n fraction bits in an `i32`; Q0.31 cannot hold 1 and uses `i32::MAX`.
//! Products are `mul_q31`.

use crate::requantize::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul};
use crate::round::{clz, max_i32, min_i32};

/// Product of a Qm.n and a Q0.31 as Qm.n.
#[inline]
const fn mul_q31(a: i32, b: i32) -> i32 {
    saturating_rounding_doubling_high_mul(a, b)
}

/// `x * 2^exponent` for `exponent` in -31..=31: saturates to the left, rounds half away from zero
/// to the right.
#[inline]
pub const fn saturating_rounding_multiply_by_pot(x: i32, exponent: i32) -> i32 {
    if exponent <= 0 {
        return rounding_divide_by_pot(x, exponent.wrapping_neg());
    }
    let limit = i32::MAX.wrapping_shr(exponent.cast_unsigned());
    if x > limit {
        i32::MAX
    } else if x < -limit {
        i32::MIN
    } else {
        x.wrapping_shl(exponent.cast_unsigned())
    }
}

/// 2 / (1 + a) in Q2.29 for `a >= 0` in Q0.31, by three Newton-Raphson steps.
const fn two_over_one_plus_x(a: i32) -> i32 {
    // 48/17 and -32/17 in Q2.29: the start with the least largest error on 1/2..1.
    const START: i32 = 1_515_870_810;
    const SLOPE: i32 = -1_010_580_540;
    let half = ((a as i64 + i32::MAX as i64 + 1) >> 1) as i32;
    let mut x = START.wrapping_add(mul_q31(half, SLOPE));
    let mut step = 0;
    while step < 3 {
        let error = (1i32 << 29).wrapping_sub(mul_q31(half, x));
        x = x.wrapping_add(saturating_rounding_multiply_by_pot(mul_q31(x, error), 2));
        step += 1;
    }
    x
}

/// 1 / (1 + a) in Q0.31 for `a >= 0` in Q0.31.
pub const fn one_over_one_plus_x(a: i32) -> i32 {
    saturating_rounding_multiply_by_pot(two_over_one_plus_x(a), 1)
}

/// (1 - a) / (1 + a) in Q0.31 for `a >= 0` in Q0.31. Rust only.
pub const fn one_minus_x_over_one_plus_x(a: i32) -> i32 {
    let x = two_over_one_plus_x(a).wrapping_sub(1 << 29);
    saturating_rounding_multiply_by_pot(x, 2)
}

/// Natural logarithm in Q5.26 of `x` in Q12.19, for `x >= 2^19`, that is of numbers from 1 on.
///
/// x = 2^k * r; two candidates, r in [1/sqrt(2), 1) and r times sqrt(1/2), leave the one that lies
/// nearer to 2^(-1/4), and a rational function of q = 2 * (r - 2^(-1/4)) gives its logarithm.
pub const fn log_q12(x: i32) -> i32 {
    const LN_2: i32 = 1_488_522_236;
    const ROOT_HALF: i32 = 1_518_500_250;
    const FOURTH_ROOT_HALF: i32 = 1_805_811_301;
    // Coefficients of the rational function in Q0.31.
    const NUMERATOR: i32 = 117_049_297;
    const SQUARE: i32 = 127_690_142;
    const CONSTANT: i32 = 1_057_819_769;
    const LINEAR: i32 = 638_450_708;
    // Powers of two in Q6.25; the candidates stand a quarter above and below them.
    let zeros = clz(x.cast_unsigned());
    let scaled = mul_q31(saturating_rounding_multiply_by_pot(x, zeros - 1), ROOT_HALF);
    let upper = saturating_rounding_multiply_by_pot(scaled, 1);
    let upper_power = (12 - zeros) * (1 << 25) + (1 << 23);
    let headroom = clz(mul_q31(x, ROOT_HALF).cast_unsigned()) - 1;
    let lower = saturating_rounding_multiply_by_pot(x, headroom);
    let lower_power = (12 - headroom) * (1 << 25) - (1 << 23);
    let r = min_i32(upper, lower);
    let power = max_i32(upper_power, lower_power);

    let p = ((r as i64 + FOURTH_ROOT_HALF as i64 + 1) >> 1) as i32;
    let q = (r - FOURTH_ROOT_HALF) * 2;
    let square = mul_q31(q, q);
    let numerator = mul_q31(q, r) + mul_q31(mul_q31(q, square), NUMERATOR);
    let denominator = mul_q31(p, CONSTANT + q + mul_q31(SQUARE, square)) + mul_q31(LINEAR, q);
    let fraction = mul_q31(rounding_divide_by_pot(numerator, 6), one_over_one_plus_x(denominator));
    saturating_rounding_multiply_by_pot(mul_q31(power, LN_2) + fraction, 1)
}

/// Multiplier of 1 / sqrt(x) as [`requantize`](crate::requantize()) takes it, together with
/// [`inv_sqrt_exponent`]. `x <= 1` counts as 1.
///
/// Five Newton steps y = 1.5 * y - x / 2 * y^3 from y = 1, with x moved into [1/4, 1) of Q3.28.
pub const fn inv_sqrt_multiplier(x: i32) -> i32 {
    const HALF_ROOT_2: i32 = 1_518_500_250;
    if x <= 1 {
        return i32::MAX;
    }
    let pairs = inv_sqrt_pairs(x);
    let normal = if pairs < 0 { x / 4 } else { x << (2 * pairs) };
    let half = rounding_divide_by_pot(normal >> 1, 1);
    let mut y = 1i32 << 28;
    let mut step = 0;
    while step < 5 {
        let cube = saturating_rounding_multiply_by_pot(mul_q31(mul_q31(y, y), y), 6);
        y = saturating_rounding_multiply_by_pot(mul_q31(3 << 27, y) - mul_q31(half, cube), 3);
        step += 1;
    }
    let multiplier = mul_q31(y, HALF_ROOT_2);
    // Exponents above 0 go into the multiplier.
    if pairs > 11 { multiplier << (pairs - 11) } else { multiplier }
}

/// Exponent, -12..=0, that belongs to [`inv_sqrt_multiplier`] of the same `x`.
pub const fn inv_sqrt_exponent(x: i32) -> i32 {
    if x <= 1 { 0 } else { min_i32(inv_sqrt_pairs(x) - 11, 0) }
}

/// By which power of four to multiply `x >= 2` to get into 2^27..2^29; -1..=13.
pub const fn inv_sqrt_pairs(x: i32) -> i32 {
    (clz(x.cast_unsigned()) - 1) / 2 - 1
}

/// e^a in Q0.31 for `a <= 0` in Q5.26; e^0 is `i32::MAX`. Rust only.
pub const fn exp_q5(a: i32) -> i32 {
    exp_on_negative_values(a, 5)
}

/// e^a in Q0.31 for `a <= 0` with `integer_bits` (2..=5) integer bits.
///
/// a = m - rem with m in [-1/4, 0): a polynomial gives e^m, and one stored factor per set bit of
/// rem, from 1/4 upwards, gives the remainder.
const fn exp_on_negative_values(a: i32, integer_bits: u32) -> i32 {
    // e^-(2^i) in Q0.31 for i = -2..=4.
    const FACTORS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if a == 0 {
        return i32::MAX;
    }
    let quarter_bit = 29 - integer_bits;
    let quarter = 1i32 << quarter_bit;
    let m = (a & (quarter - 1)) - quarter;
    let mut result = exp_on_last_quarter(m << integer_bits);
    let rem = m.wrapping_sub(a);
    let mut i = 0;
    while i < FACTORS.len() && quarter_bit + (i as u32) < 31 {
        if (rem >> (quarter_bit + i as u32)) & 1 != 0 {
            result = mul_q31(result, FACTORS[i]);
        }
        i += 1;
    }
    result
}

/// e^a in Q0.31 for a in [-1/4, 0) in Q0.31: Taylor's series of degree 4 around -1/8.
const fn exp_on_last_quarter(a: i32) -> i32 {
    const EXP_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a + (1 << 28);
    let x2 = mul_q31(x, x);
    let x3 = mul_q31(x2, x);
    let x4 = mul_q31(x2, x2);
    // ((x^4 / 4 + x^3) / 3 + x^2) / 2 = x^4 / 24 + x^3 / 6 + x^2 / 2
    let cubic = mul_q31(rounding_divide_by_pot(x4, 2) + x3, THIRD) + x2;
    let poly = x + rounding_divide_by_pot(cubic, 1);
    EXP_MINUS_EIGHTH + mul_q31(EXP_MINUS_EIGHTH, poly)
}

/// 1 / (1 + e^-a) in Q0.31 for `a` in Q4.27. Rust only.
pub const fn logistic_q4(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let upper = one_over_one_plus_x(exp_on_negative_values(negative_magnitude(a), 4));
    if a > 0 { upper } else { i32::MAX - upper }
}

/// tanh(a) in Q0.31 for `a` in Q4.27. Rust only.
pub const fn tanh_q4(a: i32) -> i32 {
    if a == 0 {
        return 0;
    }
    // The same bits read with one more integer bit are 2a: tanh = (1 - e^-2a) / (1 + e^-2a).
    let t = one_minus_x_over_one_plus_x(exp_on_negative_values(negative_magnitude(a), 5));
    if a > 0 { t } else { -t }
}

/// -|a|, which exists for every `a`.
const fn negative_magnitude(a: i32) -> i32 {
    if a > 0 { -a } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_logistic_follow_the_real_functions_monotonically() {
        let (mut last_exp, mut last_logistic) = (0, 0);
        for step in -1000i32..=0 {
            let e = exp_q5(step * 2_000_000);
            // Neighbouring quarters may overlap by a few units in the last place.
            assert!(e >= last_exp - 4, "exp at {step}");
            last_exp = e;
        }
        for step in -1000i32..=1000 {
            let l = logistic_q4(step * 2_000_000);
            assert!(l >= last_logistic - 4, "logistic at {step}");
            last_logistic = l;
        }
    }

    #[test]
    fn logarithm_and_inverse_root_follow_the_real_functions() {
        // log(2) twice as good as needed for int8 results; one part in 2^19 of the root.
        assert!((log_q12(1 << 20) - 46_516_320).abs() < 64);
        assert_eq!(log_q12(1 << 19), 0);
        for root in [2i64, 3, 10, 1000, 30_000, 46_340] {
            let x = (root * root) as i32;
            let y = i64::from(inv_sqrt_multiplier(x)) * root;
            let error = (y >> -inv_sqrt_exponent(x)) - (1 << 31);
            assert!(error.abs() < 1 << 12, "{root}: {error}");
        }
    }

    #[test]
    fn tanh_is_odd_and_logistic_symmetric() {
        for a in (1..i32::MAX - 7_654_321).step_by(7_654_321) {
            assert_eq!(tanh_q4(-a), -tanh_q4(a));
            assert_eq!(logistic_q4(-a), i32::MAX - logistic_q4(a));
        }
    }
}
