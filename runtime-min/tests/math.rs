//! The float32 functions against float64 references, over all exponents; every float in release
//! builds with TINYCC_EXHAUSTIVE=1.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use tinycc_rt as rt;

/// Distance of `y` from the exact result in units of the last place of the rounded exact result.
fn ulps(y: f32, exact: f64) -> f64 {
    let nearest = exact as f32;
    if y == nearest || y.is_nan() && exact.is_nan() {
        return 0.0;
    }
    if !y.is_finite() || !nearest.is_finite() {
        // Next to the overflow threshold: as if the largest float were followed by 2^128.
        let finite =
            |v: f32| if v.is_infinite() { 2f64.powi(128).copysign(v.into()) } else { v.into() };
        return (finite(y) - exact).abs() / 2f64.powi(104);
    }
    let exponent = (nearest.abs().to_bits() >> 23).max(1).cast_signed() - 127 - 23;
    (f64::from(y) - exact).abs() / 2f64.powi(exponent)
}

/// Every n-th bit pattern, with n odd so that all mantissas and signs occur.
fn sweep() -> impl Iterator<Item = f32> {
    let exhaustive = std::env::var_os("TINYCC_EXHAUSTIVE").is_some();
    let stride = if exhaustive { 1 } else { 2039 };
    (0..=u32::MAX).step_by(stride).map(f32::from_bits)
}

/// Asserts the largest error over the sweep and that signed zeros, infinities and NaN agree.
fn check(name: &str, bound: f64, f: fn(f32) -> f32, exact: fn(f64) -> f64) {
    let mut worst = (0.0, 0.0);
    let edges = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
    let tiny = [f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-45, -1e-45, 1.0, -1.0];
    for x in sweep().chain(edges).chain(tiny) {
        let (y, reference) = (f(x), exact(x.into()));
        let error = ulps(y, reference);
        assert!(error <= bound, "{name}({x:e}) = {y:e}, not {reference:e}: {error} ulp");
        if y == 0.0 && reference == 0.0 {
            assert_eq!(y.is_sign_negative(), reference.is_sign_negative(), "{name}({x:e})");
        }
        if error > worst.1 {
            worst = (x, error);
        }
    }
    println!("{name}: at most {:.3} ulp, at {:e}", worst.1, worst.0);
}

#[test]
fn transcendental_functions_are_within_two_ulp() {
    check("expf", 2.0, rt::expf, f64::exp);
    check("expm1f", 2.0, rt::expm1f, f64::exp_m1);
    check("logf", 2.0, rt::logf, f64::ln);
    check("tanhf", 2.0, rt::tanhf, f64::tanh);
    check("erff", 2.0, rt::erff, libm::erf);
}

#[test]
fn functions_through_float64_are_within_one_ulp() {
    check("sinf", 0.501, rt::sinf, libm::sin);
    check("cosf", 0.501, rt::cosf, libm::cos);
    check("atanf", 0.501, rt::atanf, libm::atan);
    check("log1pf", 0.501, rt::log1pf, libm::log1p);
}

/// Two operands: every pair of some hundred bit patterns.
fn pairs() -> impl Iterator<Item = (f32, f32)> {
    let edges = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -3.0, 16_777_217.0, f32::MIN_POSITIVE];
    let ends = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, 1e-45, -1e-42, 7e-41];
    let random = (0..=u32::MAX).step_by(9_176_527).map(f32::from_bits);
    let near = (0..200u16).map(|i| f32::from(i) * 0.37 - 20.0);
    let all: Vec<f32> = edges.into_iter().chain(ends).chain(random).chain(near).collect();
    let other = all.clone();
    all.into_iter().flat_map(move |x| other.clone().into_iter().map(move |y| (x, y)))
}

#[test]
fn powers_and_remainders() {
    let mut worst = 0f64;
    for (x, y) in pairs() {
        let (have, want) = (rt::powf(x, y), libm::pow(x.into(), y.into()));
        let error = ulps(have, want);
        assert!(error <= 0.501, "powf({x:e}, {y:e}) = {have:e}, not {want:e}: {error} ulp");
        if want as f32 == 0.0 {
            assert_eq!(have.is_sign_negative(), want.is_sign_negative(), "powf({x:e}, {y:e})");
        }
        worst = worst.max(error);
        let (have, want) = (rt::fmodf(x, y), x % y);
        let same = have.to_bits() == want.to_bits() || have.is_nan() && want.is_nan();
        assert!(same, "fmodf({x:e}, {y:e}) = {have:e}, not {want:e}");
    }
    println!("powf: at most {worst:.3} ulp");
    for x in sweep().chain([0.5, 1.5, -0.5, 2.5, 8_388_607.5]) {
        let (have, want) = (rt::rintf(x), x.round_ties_even());
        assert!(have.to_bits() == want.to_bits() || have.is_nan() && want.is_nan(), "rintf({x:e})");
    }
    assert_eq!((rt::powf(3.0, 6.0), rt::powf(-2.0, 3.0)), (729.0, -8.0));
}

#[test]
fn root_floor_and_magnitude_are_exact() {
    for x in sweep().chain([0.0, -0.0, 1.0, -1.0, 2.0, 4.0, 0.25, f32::INFINITY, 8_388_607.5]) {
        // Rounding the float64 root again is correct: it has more than 2 * 24 + 1 bits.
        let (root, exact) = (rt::sqrtf(x), f64::from(x).sqrt() as f32);
        assert!(root.to_bits() == exact.to_bits() || root.is_nan() && exact.is_nan(), "{x:e}");
        let (floor, exact) = (rt::floorf(x), x.floor());
        assert!(floor.to_bits() == exact.to_bits() || floor.is_nan() && exact.is_nan(), "{x:e}");
        assert_eq!(rt::fabsf(x).to_bits(), x.abs().to_bits(), "{x:e}");
    }
}

#[test]
fn functions_saturate_where_the_result_rounds_to_the_limit() {
    assert_eq!((rt::tanhf(10.5), rt::tanhf(-9.5)), (1.0, -1.0));
    assert_eq!((rt::erff(4.5), rt::erff(-3.95)), (1.0, -1.0));
    assert_eq!((rt::expf(-105.0), rt::expf(-103.9), rt::expf(89.5)), (0.0, 1e-45, f32::INFINITY));
    assert!(rt::expf(88.722_83).is_finite() && rt::expf(88.722_84).is_infinite());
    assert_eq!((rt::expm1f(-17.9), rt::expm1f(-200.0)), (-1.0, -1.0));
}
