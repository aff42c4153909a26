//! float32 to and from floats of 16 bits and fewer, and the bits of floats. Formats are described by
//! one integer, so that one pair of functions serves all.
//!
//! A format has a sign, E exponent bits with a bias, and M fraction bits. It is packed as
//! `M | E << 4 | bias << 8 | kind << 16 | saturate << 18`; kinds are
//!
//! | kind | what the codes at the end mean |
//! |---|---|
//! | 0 | the largest exponent: infinities and NaN, as in IEEE 754 (float16, bfloat16, e5m2) |
//! | 1 | all ones: NaN; no infinities (e4m3fn) |
//! | 2 | the sign alone: NaN; no infinities, one zero (e4m3fnuz, e5m2fnuz) |
//! | 3 | numbers only (e2m1) |
//!
//! `saturate`: numbers too large, and infinities, become the largest number instead of what the kind
//! has for them.

/// The bits of a float32.
#[inline]
pub const fn float_bits(x: f32) -> i32 {
    x.to_bits().cast_signed()
}

/// The float32 of these bits.
#[inline]
pub const fn bits_float(bits: i32) -> f32 {
    f32::from_bits(bits.cast_unsigned())
}

/// The bits of a float64.
#[inline]
pub const fn double_bits(x: f64) -> i64 {
    x.to_bits().cast_signed()
}

/// The float64 of these bits.
#[inline]
pub const fn bits_double(bits: i64) -> f64 {
    f64::from_bits(bits.cast_unsigned())
}

/// The code of `x` in a format, 0..2^16: nearest, ties to even; NaN is -0 where the
/// format has none, as in ml_dtypes.
pub const fn narrow_float(x: f32, format: i32) -> i32 {
    let (m, e) = (format & 15, format >> 4 & 15);
    let (bias, kind) = (format >> 8 & 255, format >> 16 & 3);
    let saturate = (format >> 18 & 1) != 0 || kind == 3;
    let bits = float_bits(x);
    let sign = if bits < 0 { 1 << (e + m) } else { 0 };
    let size = bits & 0x7FFF_FFFF;
    let ones = (1 << (e + m)) - 1;
    // The largest number, one code below infinity or NaN.
    let limit = if kind == 0 {
        (ones >> m << m) - 1
    } else if kind == 1 {
        ones - 1
    } else {
        ones
    };
    if size > 0x7F80_0000 {
        return if kind == 0 {
            sign | limit + 1 | 1 << (m - 1)
        } else if kind == 1 {
            sign | ones
        } else {
            ones + 1
        };
    }
    let stored = size >> 23;
    let (mantissa, from) =
        if stored == 0 { (size, 1) } else { (size & 0x007F_FFFF | 0x0080_0000, stored) };
    // Exponent as the format stores it; below 1 the number is subnormal there.
    let to = from - 127 + bias;
    let deep = if to < 1 { 1 - to } else { 0 };
    let shift = 23 - m + if deep > 3 + m { 3 + m } else { deep };
    let (whole, rest, half) = (mantissa >> shift, mantissa & ((1 << shift) - 1), 1 << (shift - 1));
    let up = if rest > half || rest == half && whole & 1 != 0 { 1 } else { 0 };
    // The leading bit, and a carry, go into the exponent.
    let base = if to < 1 { 0 } else { (to - 1) << m };
    let code = base + whole + up;
    if code > limit {
        return if saturate {
            sign | limit
        } else if kind == 2 {
            ones + 1
        } else {
            sign | limit + 1
        };
    }
    if kind == 2 && code == 0 { 0 } else { sign | code }
}

/// The float32 of a code, exactly.
pub const fn widen_float(code: i32, format: i32) -> f32 {
    let (m, e) = (format & 15, format >> 4 & 15);
    let (bias, kind) = (format >> 8 & 255, format >> 16 & 3);
    if e == 8 {
        return bits_float(code.wrapping_shl(16));
    }
    let ones = (1 << (e + m)) - 1;
    let size = code & ones;
    let negative = code & (ones + 1) != 0;
    let (exponent, fraction) = (size >> m, size & ((1 << m) - 1));
    if kind == 1 && size == ones || kind == 2 && size == 0 && negative {
        return f32::NAN;
    }
    let magnitude = if kind == 0 && exponent == ones >> m {
        bits_float(0x7F80_0000 | fraction << (23 - m))
    } else if exponent == 0 {
        fraction as f32 * bits_float((128 - bias - m) << 23)
    } else {
        bits_float((exponent + 127 - bias) << 23 | fraction << (23 - m))
    };
    if negative { -magnitude } else { magnitude }
}
