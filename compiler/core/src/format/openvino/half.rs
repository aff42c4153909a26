//! float32 to IEEE 754 binary16, rounding to nearest, ties to even. Only what the weights file needs.

/// Largest finite binary16.
pub const MAX: f32 = 65504.0;

/// The bits of the nearest binary16; overflows become infinite, as IEEE 754 says.
#[must_use]
pub fn from_f32(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00; // not a number
    }
    // 65520 is the tie between 65504 and what would be the next number.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14 the result counts steps of 2^-24; adding 0.5 in float32 rounds to such steps.
        let rounded = f32::from_bits(magnitude) + 0.5;
        return sign | (rounded.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let odd = (magnitude >> 13) & 1;
    let rebiased = magnitude - ((127 - 15) << 23);
    sign | ((rebiased + 0xfff + odd) >> 13) as u16
}

/// Decodes; the definition.
fn value(half: u16) -> f64 {
    let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(e - 25),
    };
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// Whether numbers lose no more than the half of a last place of binary16 on the whole: true unless they
/// are so small, or so large, that most of them lose more.
#[must_use]
pub fn represents(values: &[f32]) -> bool {
    let (mut lost, mut sum) = (0.0, 0.0);
    for &v in values.iter().filter(|v| v.is_finite()) {
        lost += (value(from_f32(v)) - f64::from(v)).abs();
        sum += f64::from(v).abs();
    }
    lost <= sum / 2048.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_float16_cannot_hold_are_known() {
        assert!(represents(&[0.0, 0.1, -3.3, 60000.0, f32::INFINITY, 1e-9]) && represents(&[]));
        assert!(!represents(&[1e-7, 2.2e-7]) && !represents(&[70000.0]));
    }

    #[test]
    fn every_half_and_the_middle_of_every_two_round_right() {
        for half in 0..0x7bffu16 {
            let (low, high) = (value(half), value(half + 1));
            assert_eq!(from_f32(low as f32), half);
            assert_eq!(from_f32(-low as f32), half | 0x8000);
            let middle = ((low + high) / 2.0) as f32;
            assert_eq!(from_f32(middle), half + (half & 1), "tie at {middle}");
            assert_eq!(from_f32(f32::from_bits(middle.to_bits() - 1)), half);
            assert_eq!(from_f32(f32::from_bits(middle.to_bits() + 1)), half + 1);
        }
        assert_eq!(from_f32(MAX), 0x7bff);
        assert_eq!((from_f32(65519.99), from_f32(65520.0)), (0x7bff, 0x7c00));
        assert_eq!(from_f32(f32::NEG_INFINITY), 0xfc00);
        assert!(value(from_f32(f32::NAN)).is_nan());
    }
}
