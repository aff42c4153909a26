//! float32 functions of `<math.h>` without a libm: no tables, no float64, no conversion to integer
//! of unbounded values.
//!
//! `fabsf`, `floorf` and `sqrtf` are exact or correctly rounded, the others within 2 units in the
//! last place; NaN, infinities, zeros and subnormal numbers as C99 Annex F has them, without
//! floating-point exceptions. The coefficients are least-maximum-error fits of the named function.

/// The high bits of ln 2, few enough that products with |n| < 512 are exact, and the rest.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;

/// 2^n for n in -126..=127.
#[inline]
const fn pow2(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23).cast_unsigned())
}

/// x * 2^n for n in -252..=254 and a normal x, rounded once.
#[inline]
const fn scale_by_pow2(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    x * pow2(half) * pow2(n - half)
}

/// `n`, `r` and `s` with e^x = 2^n * (1 + r + s), |r| <= ln(2) / 2, and s small against r; for
/// |x| < 110. NaN gives r = NaN.
#[inline]
fn exp_parts(x: f32) -> (i32, f32, f32) {
    let n = (x * core::f32::consts::LOG2_E + if x < 0.0 { -0.5 } else { 0.5 }) as i32;
    let high = x - n as f32 * LN_2_HIGH;
    let low = n as f32 * LN_2_LOW;
    let r = high - low;
    let lost = (high - r) - low;
    // (e^r - 1 - r) / r^2
    let q = 0.499_999_97
        + r * (0.166_665_43 + r * (0.041_667_2 + r * (0.008_366_519 + r * 0.001_388_252_1)));
    (n, r, r * r * q + lost)
}

/// e^x.
pub fn expf(x: f32) -> f32 {
    if x > 89.0 {
        return f32::INFINITY;
    }
    if x < -104.0 {
        return 0.0;
    }
    let (n, r, s) = exp_parts(x);
    scale_by_pow2(1.0 + (r + s), n)
}

/// e^x - 1, accurate near 0 too.
pub fn expm1f(x: f32) -> f32 {
    if x == 0.0 {
        return x;
    }
    if x > 89.0 {
        return f32::INFINITY;
    }
    if x < -18.0 {
        return -1.0;
    }
    let (n, r, s) = exp_parts(x);
    if n == 0 {
        return r + s;
    }
    if n > 64 {
        return scale_by_pow2(1.0 + (r + s), n);
    }
    let power = pow2(n);
    ((power - 1.0) + power * r) + power * s
}

/// Natural logarithm of x; NaN below 0.
///
/// x = 2^k * (1 + f) with 1 + f in sqrt(1/2)..sqrt(2); with s = f / (2 + f),
/// log(1 + f) = 2 * atanh(s) = 2 s + 2/3 s^3 + ...
pub fn logf(x: f32) -> f32 {
    if x.is_nan() || x < 0.0 {
        return f32::NAN;
    }
    if x == 0.0 {
        return f32::NEG_INFINITY;
    }
    if x == f32::INFINITY {
        return x;
    }
    let subnormal = x < f32::MIN_POSITIVE;
    let bits = if subnormal { x * 33_554_432.0 } else { x }.to_bits().cast_signed();
    // Exponent of the number divided by sqrt(1/2).
    let exponent = (bits - core::f32::consts::FRAC_1_SQRT_2.to_bits().cast_signed()) >> 23;
    let f = f32::from_bits((bits - (exponent << 23)).cast_unsigned()) - 1.0;
    let k = (exponent - if subnormal { 25 } else { 0 }) as f32;
    let s = f / (2.0 + f);
    let z = s * s;
    let tail = z * (0.666_667_76 + z * (0.399_775_6 + z * 0.298_713_62));
    // 2 s = f - half + s * half loses less than the division does.
    let half = 0.5 * f * f;
    k * LN_2_HIGH + (f - (half - (s * (half + tail) + k * LN_2_LOW)))
}

/// Hyperbolic tangent.
pub fn tanhf(x: f32) -> f32 {
    let magnitude = fabsf(x);
    if magnitude < 0.625 {
        let z = x * x;
        let p = -0.333_332_8
            + z * (0.133_314_42
                + z * (-0.053_739_715 + z * (0.020_639_088 + z * -0.005_704_987_3)));
        return (x + x * (z * p)).copysign(x);
    }
    if magnitude > 10.0 {
        return 1f32.copysign(x);
    }
    (1.0 - 2.0 / (expf(2.0 * magnitude) + 1.0)).copysign(x)
}

/// Error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.
pub fn erff(x: f32) -> f32 {
    let magnitude = fabsf(x);
    if magnitude < 0.84 {
        let z = x * x;
        let p = 0.128_379_17
            + z * (-0.376_125_78
                + z * (0.112_828_09
                    + z * (-0.026_806_602 + z * (0.005_058_306_7 + z * -0.000_635_958_7))));
        return x + x * p;
    }
    if magnitude > 4.0 {
        return 1f32.copysign(x);
    }
    // -ln(1 - erf(a))
    let a = magnitude;
    let exponent = 9.391_372e-5
        + a * (1.128_107_2
            + a * (0.636_437_24
                + a * (0.104_600_996
                    + a * (-0.022_556_825 + a * (0.003_127_714_2 + a * -0.000_204_719_59)))));
    (1.0 - expf(-exponent)).copysign(x)
}

/// Square root, correctly rounded; NaN below 0. Integer arithmetic, one bit of the root per step.
pub fn sqrtf(x: f32) -> f32 {
    if x == 0.0 || x == f32::INFINITY {
        return x;
    }
    if x.is_nan() || x < 0.0 {
        return f32::NAN;
    }
    let bits = x.to_bits();
    let stored = (bits >> 23).cast_signed();
    let lead = bits.leading_zeros().cast_signed();
    // x = mantissa * 2^(exponent - 23) with mantissa in 2^23..2^24.
    let (mantissa, exponent) = if stored == 0 {
        (bits << (lead - 8), -118 - lead)
    } else {
        (bits & 0x007F_FFFF | 0x0080_0000, stored - 127)
    };
    // Root of an even power times 2^24..2^26, brought down two bits at a time.
    let mut radicand = mantissa << (7 + (exponent & 1));
    let (mut root, mut rest) = (0u32, 0u32);
    let mut step = 0;
    while step < 25 {
        rest = rest << 2 | radicand >> 30;
        radicand <<= 2;
        let trial = root << 2 | 1;
        root <<= 1;
        if rest >= trial {
            rest -= trial;
            root |= 1;
        }
        step += 1;
    }
    // 25 bits, the last one for rounding: it is never a tie. The carry goes into the exponent.
    let rounded = (root + 1) >> 1;
    f32::from_bits(rounded + (((exponent >> 1) + 126) << 23).cast_unsigned())
}

/// The greatest integer not above x.
pub const fn floorf(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23 & 0xFF).cast_signed() - 127;
    let negative = bits >> 31 != 0;
    if exponent >= 23 || x == 0.0 {
        return x;
    }
    if exponent < 0 {
        return if negative { -1.0 } else { 0.0 };
    }
    let fraction = 0x007F_FFFF >> exponent;
    // Adding the fraction's mask carries over exactly if the fraction is not zero.
    let up = if negative { bits + fraction } else { bits };
    f32::from_bits(up & !fraction)
}

/// Magnitude of x.
#[inline]
pub const fn fabsf(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0x7FFF_FFFF)
}
