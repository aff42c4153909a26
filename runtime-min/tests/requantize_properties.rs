//! Equality of the requantisation forms on aimed and random cases; millions in release builds.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use tinycc_rt::{requantize, requantize_shr, requantize_shr_pos};

const CASES: u32 = if cfg!(debug_assertions) { 50_000 } else { 10_000_000 };

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform enough in `lo..=hi`.
    fn range(&mut self, lo: i64, hi: i64) -> i64 {
        lo + (self.next() % (hi - lo + 1).cast_unsigned()).cast_signed()
    }
}

/// The two roundings by their definitions, in 128 bits, for `exponent <= 0`.
fn two_roundings(acc: i32, multiplier: i32, exponent: i32) -> i32 {
    let first = (i128::from(acc) * i128::from(multiplier) + (1 << 30)).div_euclid(1 << 31);
    let divisor = 1i128 << -exponent;
    let magnitude = (2 * first.abs() + divisor) / (2 * divisor);
    i32::try_from(magnitude * first.signum()).unwrap()
}

/// Multiplier, right shift r in 2..=31 and an accumulator: seven of ten next to a tie.
fn case(rng: &mut Rng) -> (i32, i32, i32) {
    let r = rng.range(2, 31);
    let q = match rng.next() % 8 {
        0 => 1 << 30,
        1 => i64::from(i32::MAX),
        2 => rng.range(0, 1 << 30),
        _ => rng.range(1 << 30, i64::from(i32::MAX)),
    };
    let any = rng.range(i64::from(i32::MIN), i64::from(i32::MAX));
    let acc = match rng.next() % 10 {
        // acc * q next to (k + 1/2) * 2^(31+r): a tie of the whole product.
        0..5 if q > 0 => {
            let steps = if rng.next().is_multiple_of(2) { 3 } else { 300 };
            let k = i128::from(rng.range(0, steps));
            let tie = ((2 * k + 1) << (30 + r)) / i128::from(q);
            let acc = i64::try_from(tie).unwrap() + rng.range(-1, 1);
            if rng.next().is_multiple_of(2) { acc } else { -acc }
        }
        // Near zero, where the first rounding decides the sign of the second's argument.
        5..7 => rng.range(-4, 4),
        _ => any,
    };
    (i32::try_from(acc).unwrap_or(any as i32), q as i32, r as i32)
}

#[test]
fn closed_form_equals_two_roundings() {
    let mut rng = Rng(1);
    let mut sign_matters = 0;
    for _ in 0..CASES {
        let (acc, q, r) = case(&mut rng);
        let expected = requantize(acc, q, -r);
        assert_eq!(expected, two_roundings(acc, q, -r), "{acc} {q} {r}");
        assert_eq!(requantize_shr(acc, q, r - 1), expected, "{acc} {q} {r}");
        let pos = requantize_shr_pos(acc, q, r - 1);
        assert_eq!(pos.max(0), expected.max(0), "{acc} {q} {r}");
        sign_matters += u32::from(pos != expected);
    }
    // Otherwise the cases would not tell the two forms apart.
    assert!(sign_matters > CASES / 1000, "only {sign_matters} cases depend on the sign");
}

#[test]
fn every_exponent_without_left_shift_rounds_by_definition() {
    let mut rng = Rng(2);
    for _ in 0..CASES {
        let (acc, q, r) = case(&mut rng);
        for exponent in [0, -1, -r] {
            assert_eq!(requantize(acc, q, exponent), two_roundings(acc, q, exponent));
        }
    }
}

#[test]
fn left_shifts_wrap_before_the_multiply() {
    let mut rng = Rng(3);
    for _ in 0..CASES {
        let (acc, q, r) = case(&mut rng);
        let left = r - 1;
        let wrapped = (i64::from(acc) << left) as i32;
        assert_eq!(requantize(acc, q, left), two_roundings(wrapped, q, 0));
    }
}

#[test]
fn values_measured_on_tensorflow_lite_micro() {
    for (acc, q, exponent, y) in [
        (100, 1_518_500_250, -7, 1),
        (-100, 1_518_500_250, -7, -1),
        (12345, 1 << 30, -1, 3087),
        // A rule that treats both signs alike gives -3087 and -2.
        (-12345, 1 << 30, -1, -3086),
        (3, 1 << 30, 0, 2),
        (-3, 1 << 30, 0, -1),
    ] {
        assert_eq!(requantize(acc, q, exponent), y);
        if exponent <= -2 {
            assert_eq!(requantize_shr(acc, q, -exponent - 1), y);
        }
    }
}

#[test]
fn extremes_stay_in_range() {
    for acc in [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX] {
        for q in [0, 1, 1 << 30, i32::MAX] {
            for r in 2..=31 {
                assert_eq!(requantize_shr(acc, q, r - 1), requantize(acc, q, -r));
                let pos = requantize_shr_pos(acc, q, r - 1);
                assert_eq!(pos.max(0), requantize(acc, q, -r).max(0));
            }
        }
    }
}
