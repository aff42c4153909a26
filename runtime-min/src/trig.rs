//! Sine, cosine and arc tangent in float32 without a libm, computed in float64 and rounded once.
//!
//! Within 1 unit in the last place for every float32, however large; NaN, infinities and zeros as
//! C99 Annex F has them. The coefficients are least-maximum-error fits of the named function.

/// 24 high bits of pi / 2, so that products with whole numbers below 2^29 are exact, and the rest.
const HALF_PI_HIGH: f64 = 1.570_796_310_901_641_8;
const HALF_PI_LOW: f64 = 1.589_325_477_352_819_7e-8;

/// 2 / pi, the bits after the binary point.
const TWO_OVER_PI: [u32; 7] =
    [0xA2F9_836E, 0x4E44_1529, 0xFC27_57D1, 0xF534_DDC0, 0xDB62_9599, 0x3C43_9041, 0xFE51_63AB];

/// `q` and `r` with |x| = q * pi / 2 + r up to multiples of 2 pi, |r| <= pi / 4 and a bit; for finite x.
fn reduce(x: f32) -> (u32, f64) {
    let bits = x.to_bits() & 0x7FFF_FFFF;
    // 2^27
    if bits < 0x4D00_0000 {
        let x = f64::from(f32::from_bits(bits));
        let n = (x * core::f64::consts::FRAC_2_PI + 0.5) as u32;
        let whole = f64::from(n);
        return (n, (x - whole * HALF_PI_HIGH) - whole * HALF_PI_LOW);
    }
    // x = m * 2^e with e >= 4. Bits of 2 / pi that make multiples of 4 are left out; of the others, 96
    // decide.
    let m = u64::from(bits & 0x007F_FFFF | 0x0080_0000);
    let skip = (bits >> 23) - 152;
    let (at, shift) = ((skip / 32) as usize, skip % 32);
    let word = |i: usize| {
        let pair = |i: usize| u64::from(TWO_OVER_PI.get(i).copied().unwrap_or(0));
        (pair(i) << 32 | pair(i + 1)) >> (32 - shift) & 0xFFFF_FFFF
    };
    let low = m * word(at + 2);
    let middle = m * word(at + 1) + (low >> 32);
    let high = m * word(at) + (middle >> 32);
    // Two bits of quadrant, then the fraction of one.
    let top = high << 32 | middle & 0xFFFF_FFFF;
    let fraction = top << 2 | low >> 30 & 3;
    let quadrant = (top >> 62) as u32 + (fraction >> 63) as u32;
    // pi / 2 * 2^-64
    let unit = core::f64::consts::FRAC_PI_2 * f64::from_bits((1023 - 64) << 52);
    (quadrant, fraction.cast_signed() as f64 * unit)
}

/// sin r for |r| <= pi / 4.
#[inline]
fn sin_part(r: f64) -> f64 {
    let z = r * r;
    let p = -0.166_666_666_638_597
        + z * (0.008_333_331_875_870_257
            + z * (-0.000_198_400_871_908_967 + z * 2.724_997_000_974_810_5e-6));
    r + r * z * p
}

/// cos r for |r| <= pi / 4.
#[inline]
fn cos_part(r: f64) -> f64 {
    let z = r * r;
    let p = 0.041_666_666_664_324_22
        + z * (-0.001_388_888_767_279_212_9
            + z * (2.480_060_067_404_849_5e-5 + z * -2.730_098_710_053_789_5e-7));
    1.0 - 0.5 * z + z * z * p
}

/// Sine of x radians; NaN for infinities.
pub fn sinf(x: f32) -> f32 {
    if !x.is_finite() {
        return f32::NAN;
    }
    // x^3 / 6 does not reach the last place.
    if x.to_bits() & 0x7FFF_FFFF < 0x3980_0000 {
        return x;
    }
    let (q, r) = reduce(x);
    let y = if q & 1 == 0 { sin_part(r) } else { cos_part(r) };
    let negative = (q & 2 != 0) != (x < 0.0);
    (if negative { -y } else { y }) as f32
}

/// Cosine of x radians; NaN for infinities.
pub fn cosf(x: f32) -> f32 {
    if !x.is_finite() {
        return f32::NAN;
    }
    let (q, r) = reduce(x);
    let y = if q & 1 == 0 { cos_part(r) } else { sin_part(r) };
    (if q.wrapping_add(1) & 2 == 0 { y } else { -y }) as f32
}

/// Arc tangent in radians, in -pi / 2..=pi / 2.
pub fn atanf(x: f32) -> f32 {
    // x^3 / 3 does not reach the last place.
    if x.is_nan() || x.to_bits() & 0x7FFF_FFFF < 0x3980_0000 {
        return x;
    }
    let a = f64::from(f32::from_bits(x.to_bits() & 0x7FFF_FFFF));
    // atan a = pi / 4 + atan((a - 1) / (a + 1)) = pi / 2 - atan(1 / a)
    let (base, t) = if a > 2.414_213_562_373_095 {
        (core::f64::consts::FRAC_PI_2, -1.0 / a)
    } else if a > 0.414_213_562_373_095 {
        (core::f64::consts::FRAC_PI_4, (a - 1.0) / (a + 1.0))
    } else {
        (0.0, a)
    };
    let z = t * t;
    let p = -0.333_333_333_332_706_9
        + z * (0.199_999_999_524_173_67
            + z * (-0.142_857_083_483_468_17
                + z * (0.111_108_280_078_22
                    + z * (-0.090_842_394_990_635_74
                        + z * (0.076_059_727_561_447_52
                            + z * (-0.060_322_645_169_845_77 + z * 0.033_039_128_042_494_05))))));
    ((base + (t + t * z * p)) as f32).copysign(x)
}
