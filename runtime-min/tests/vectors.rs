//! Runs vectors/*.csv on the Rust functions; the same common.csv runs on C in c_header.rs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use std::collections::BTreeMap;
use tinycc_rt as rt;

const COMMON: &str = include_str!("../vectors/common.csv");
const RUST_ONLY: &str = include_str!("../vectors/rust_only.csv");

/// The function `name` on arguments as they stand in the file; floats are their bits.
fn call(name: &str, a: &[i64]) -> i64 {
    let i = |n: usize| i32::try_from(a[n]).unwrap();
    let u = |n: usize| u32::try_from(a[n]).unwrap();
    let f = |n: usize| f32::from_bits(u(n));
    let signed = |v: i32| i64::from(v);
    match name {
        "clamp" => signed(rt::clamp(i(0), i(1), i(2))),
        "min_i32" => signed(rt::min_i32(i(0), i(1))),
        "max_i32" => signed(rt::max_i32(i(0), i(1))),
        "min_f32" => rt::min_f32(f(0), f(1)).to_bits().into(),
        "max_f32" => rt::max_f32(f(0), f(1)).to_bits().into(),
        "float_bits" => signed(rt::float_bits(f(0))),
        "bits_float" => rt::bits_float(i(0)).to_bits().into(),
        "double_bits" => rt::double_bits(f64::from_bits(a[0].cast_unsigned())),
        "bits_double" => rt::bits_double(a[0]).to_bits().cast_signed(),
        "narrow_float" => signed(rt::narrow_float(f(0), i(1))),
        "widen_float" => rt::widen_float(i(0), i(1)).to_bits().into(),
        "div_round" => signed(rt::div_round(i(0), i(1))),
        "div_round_even" => signed(rt::div_round_even(i(0), i(1))),
        "round_half_away_f32" => signed(rt::round_half_away_f32(f(0))),
        "round_half_even_f32" => rt::round_half_even_f32(f(0)).to_bits().into(),
        "clz" => signed(rt::clz(u(0))),
        "saturating_rounding_doubling_high_mul" => {
            signed(rt::saturating_rounding_doubling_high_mul(i(0), i(1)))
        }
        "rounding_divide_by_pot" => signed(rt::rounding_divide_by_pot(i(0), i(1))),
        "requantize" => signed(rt::requantize(i(0), i(1), i(2))),
        "requantize_nearest" => signed(rt::requantize_nearest(i(0), i(1), i(2))),
        "requantize_shr_nearest" => signed(rt::requantize_shr_nearest(i(0), i(1), i(2))),
        "requantize_shr" => signed(rt::requantize_shr(i(0), i(1), i(2))),
        "requantize_shr_pos" => signed(rt::requantize_shr_pos(i(0), i(1), i(2))),
        "saturating_rounding_multiply_by_pot" => {
            signed(rt::saturating_rounding_multiply_by_pot(i(0), i(1)))
        }
        "one_over_one_plus_x" => signed(rt::one_over_one_plus_x(i(0))),
        "one_minus_x_over_one_plus_x" => signed(rt::one_minus_x_over_one_plus_x(i(0))),
        "log_q12" => signed(rt::log_q12(i(0))),
        "inv_sqrt_pairs" => signed(rt::inv_sqrt_pairs(i(0))),
        "inv_sqrt_multiplier" => signed(rt::inv_sqrt_multiplier(i(0))),
        "inv_sqrt_exponent" => signed(rt::inv_sqrt_exponent(i(0))),
        "exp_q5" => signed(rt::exp_q5(i(0))),
        "logistic_q4" => signed(rt::logistic_q4(i(0))),
        "tanh_q4" => signed(rt::tanh_q4(i(0))),
        "softmax_recip" => signed(rt::softmax_recip(u(0))),
        "softmax_shift" => signed(rt::softmax_shift(u(0))),
        "softmax_finish" => signed(rt::softmax_finish(i(0), i(1), i(2))),
        "load_u32" => {
            // The file holds the word of a little-endian CPU.
            let bytes = [0, 1, 2, 3].map(|n| i8::try_from(a[n]).unwrap());
            u32::from_le_bytes(rt::load_u32(&bytes).to_ne_bytes()).into()
        }
        "sxtb16" => rt::sxtb16(u(0)).into(),
        "sxtb16_ror8" => rt::sxtb16_ror8(u(0)).into(),
        "sadd16" => rt::sadd16(u(0), u(1)).into(),
        "smlad" => signed(rt::smlad(u(0), u(1), i(2))),
        "smmulr" => signed(rt::smmulr(i(0), i(1))),
        "ssat8" => signed(rt::ssat8(i(0))),
        _ => panic!("no function {name}"),
    }
}

/// Runs every row of a file; rows per function.
fn run(file: &'static str) -> BTreeMap<&'static str, usize> {
    let mut rows = BTreeMap::new();
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let (name, fields) = line.split_once(',').unwrap();
        let fields: Vec<i64> = fields.split(',').map(|field| field.parse().unwrap()).collect();
        let (expected, arguments) = fields.split_last().unwrap();
        assert_eq!(call(name, arguments), *expected, "{line}");
        *rows.entry(name).or_default() += 1;
    }
    rows
}

#[test]
fn common_vectors_cover_every_function_of_the_header() {
    let rows = run(COMMON);
    let functions: Vec<_> =
        rt::snippet::all().map(|s| s.name).filter(|&name| name != "assumptions").collect();
    for name in &functions {
        assert!(rows.get(name).is_some_and(|&n| n >= 15), "too few rows for {name}");
    }
    assert_eq!(rows.len(), functions.len());
}

#[test]
fn rust_only_vectors_cover_the_functions_without_c() {
    let rows = run(RUST_ONLY);
    let names: Vec<_> = rows.keys().copied().collect();
    assert_eq!(names, ["exp_q5", "logistic_q4", "one_minus_x_over_one_plus_x", "tanh_q4"]);
    assert!(rows.values().all(|&n| n >= 15));
}

#[test]
fn vectors_are_what_make_py_writes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/make.py");
    let python = std::env::var_os("TINYCC_PYTHON").unwrap_or_else(|| "python3".into());
    match std::process::Command::new(python).args([script, "--check"]).status() {
        Ok(status) => assert!(status.success(), "the vectors differ from what make.py writes"),
        Err(e) => {
            assert!(std::env::var_os("TINYCC_FULL").is_none(), "no python3: {e}");
            eprintln!("NOT TESTED: no python3 ({e})");
        }
    }
}
