//! Fixed-point functions after gemmlowp: reciprocal, exponential, logistic, tanh; no tables here.
//!
//! Qm.n is a number with n fraction bits in an `i32`; Q0.31 cannot hold 1 and uses `i32::MAX`.
//! Products are `saturating_rounding_doubling_high_mul` (`mul` below).

use crate::requantize::{rounding_divide_by_pot, saturating_rounding_doubling_high_mul as mul};

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
    let mut x = START.wrapping_add(mul(half, SLOPE));
    let mut step = 0;
    while step < 3 {
        let error = (1i32 << 29).wrapping_sub(mul(half, x));
        x = x.wrapping_add(saturating_rounding_multiply_by_pot(mul(x, error), 2));
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
            result = mul(result, FACTORS[i]);
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
    let x2 = mul(x, x);
    let x3 = mul(x2, x);
    let x4 = mul(x2, x2);
    // ((x^4 / 4 + x^3) / 3 + x^2) / 2 = x^4 / 24 + x^3 / 6 + x^2 / 2
    let cubic = mul(rounding_divide_by_pot(x4, 2) + x3, THIRD) + x2;
    let poly = x + rounding_divide_by_pot(cubic, 1);
    EXP_MINUS_EIGHTH + mul(EXP_MINUS_EIGHTH, poly)
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
    fn tanh_is_odd_and_logistic_symmetric() {
        for a in (1..i32::MAX - 7_654_321).step_by(7_654_321) {
            assert_eq!(tanh_q4(-a), -tanh_q4(a));
            assert_eq!(logistic_q4(-a), i32::MAX - logistic_q4(a));
        }
    }
}
