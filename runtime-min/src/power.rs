//! Powers, ln(1 + x), remainders and rounding to even in float32 without a libm; the first two in
//! float64, rounded once.
//!
//! `fmodf` and `rintf` are exact, `powf` and `log1pf` within 1 unit in the last place; special values
//! as C99 Annex F has them, without floating-point exceptions.

/// log2 of a positive, normal float64.
///
/// x = 2^k * m with m in sqrt(1/2)..sqrt(2); with s = (m - 1) / (m + 1), ln m = 2 atanh(s), a series
/// whose terms fall by more than 34.
fn log2(x: f64) -> f64 {
    let bits = x.to_bits().cast_signed();
    let exponent = (bits - core::f64::consts::FRAC_1_SQRT_2.to_bits().cast_signed()) >> 52;
    let m = f64::from_bits((bits - (exponent << 52)).cast_unsigned());
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut sum = 1.0 / 21.0;
    let mut odd = 19u32;
    while odd >= 3 {
        sum = sum * z + 1.0 / f64::from(odd);
        odd -= 2;
    }
    let natural = 2.0 * (s + s * z * sum);
    exponent as f64 + natural * core::f64::consts::LOG2_E
}

/// 2^t for |t| < 1000.
fn exp2(t: f64) -> f64 {
    let n = (t + if t < 0.0 { -0.5 } else { 0.5 }) as i32;
    let r = (t - f64::from(n)) * core::f64::consts::LN_2;
    // e^r = 1 + r (1 + r / 2 (1 + r / 3 (...)))
    let mut sum = 1.0;
    let mut k = 11u32;
    while k >= 1 {
        sum = 1.0 + sum * r / f64::from(k);
        k -= 1;
    }
    sum * f64::from_bits((i64::from(n) + 1023).cast_unsigned() << 52)
}

/// Whether y is a whole number, and an odd one.
#[inline]
fn whole_and_odd(y: f32) -> (bool, bool) {
    let bits = y.to_bits() & 0x7FFF_FFFF;
    let exponent = (bits >> 23).cast_signed() - 127;
    if exponent < 0 {
        return (bits == 0, false);
    }
    if exponent > 23 {
        return (true, false);
    }
    let mantissa = bits & 0x007F_FFFF | 0x0080_0000;
    let unit = 1u32 << (23 - exponent);
    (mantissa & (unit - 1) == 0, mantissa & (2 * unit - 1) == unit)
}

/// x to the power y.
pub fn powf(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f32::NAN;
    }
    let magnitude = f32::from_bits(x.to_bits() & 0x7FFF_FFFF);
    if y.is_infinite() {
        let grows = (magnitude > 1.0) == (y > 0.0);
        return if magnitude == 1.0 {
            1.0
        } else if grows {
            f32::INFINITY
        } else {
            0.0
        };
    }
    let (is_whole, is_odd) = whole_and_odd(y);
    let negative = x.is_sign_negative() && is_odd;
    let size = if magnitude == 0.0 || magnitude.is_infinite() {
        if (magnitude == 0.0) == (y > 0.0) { 0.0 } else { f32::INFINITY }
    } else if x < 0.0 && !is_whole {
        return f32::NAN;
    } else {
        let t = f64::from(y) * log2(f64::from(magnitude));
        if t >= 129.0 {
            f32::INFINITY
        } else if t <= -151.0 {
            0.0
        } else {
            exp2(t) as f32
        }
    };
    if negative { -size } else { size }
}

/// ln(1 + x); NaN below -1.
pub fn log1pf(x: f32) -> f32 {
    if x.is_nan() || x < -1.0 {
        return f32::NAN;
    }
    if x == -1.0 {
        return f32::NEG_INFINITY;
    }
    if x == f32::INFINITY {
        return x;
    }
    let wide = f64::from(x);
    // 2^-12
    if x.to_bits() & 0x7FFF_FFFF < 0x3980_0000 {
        let y = wide * (1.0 - wide * (0.5 - wide * (1.0 / 3.0 - wide * 0.25)));
        return (y as f32).copysign(x);
    }
    (log2(1.0 + wide) * core::f64::consts::LN_2) as f32
}

/// A positive finite number as mantissa, in 2^23..2^24, and stored exponent, below 1 for subnormals.
#[inline]
const fn mantissa_and_exponent(bits: u32) -> (u32, i32) {
    if bits < 0x0080_0000 {
        let lead = bits.leading_zeros() - 8;
        return (bits << lead, 1 - lead.cast_signed());
    }
    (bits & 0x007F_FFFF | 0x0080_0000, (bits >> 23).cast_signed())
}

/// The remainder of x / y with the sign of x; NaN for y = 0 and infinite x. Integer arithmetic, one
/// bit of the quotient per step.
pub const fn fmodf(x: f32, y: f32) -> f32 {
    let (a, b) = (x.to_bits() & 0x7FFF_FFFF, y.to_bits() & 0x7FFF_FFFF);
    if a >= 0x7F80_0000 || b > 0x7F80_0000 || b == 0 {
        return f32::NAN;
    }
    if a < b {
        return x;
    }
    let ((mut rest, mut exponent), (divisor, least)) =
        (mantissa_and_exponent(a), mantissa_and_exponent(b));
    while exponent > least {
        if rest >= divisor {
            rest -= divisor;
        }
        rest <<= 1;
        exponent -= 1;
    }
    if rest >= divisor {
        rest -= divisor;
    }
    let sign = x.to_bits() & 0x8000_0000;
    if rest == 0 {
        return f32::from_bits(sign);
    }
    let lead = rest.leading_zeros().cast_signed() - 8;
    let stored = least - lead;
    let size = if stored >= 1 {
        (rest << lead) & 0x007F_FFFF | stored.cast_unsigned() << 23
    } else if least >= 1 {
        // Subnormal: the unit is that of the exponent 1.
        rest << (least - 1)
    } else {
        // The units of both operands, and so of the remainder, are multiples of the least.
        rest >> (1 - least)
    };
    f32::from_bits(sign | size)
}

/// The nearest whole number, of two the even one.
pub const fn rintf(x: f32) -> f32 {
    let magnitude = f32::from_bits(x.to_bits() & 0x7FFF_FFFF);
    // From 2^23 on every float is whole; below, that addition rounds.
    if magnitude.is_nan() || magnitude >= 8_388_608.0 {
        return x;
    }
    let whole = (magnitude + 8_388_608.0) - 8_388_608.0;
    f32::from_bits(whole.to_bits() | x.to_bits() & 0x8000_0000)
}
