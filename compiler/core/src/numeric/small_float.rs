//! Floats of other widths than float32 on the compiler's side: their formats and exact conversions. The
//! arithmetic itself is the run time's.

use crate::tensor::{DType, SmallType, TensorData};

/// Numbers too large become the largest one (see `tinycc_rt::small_float`).
pub const SATURATE: i32 = 1 << 18;

/// How a number becomes a power of two (float8 e8m0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// The next one above.
    Up,
    /// The next one below.
    Down,
    /// The nearest one by fraction, the upper of two.
    Nearest,
}

/// The packed format of a float of 16 bits or fewer; `None` for other types, and for e8m0, which is
/// exponents only.
#[must_use]
pub fn format(dtype: DType) -> Option<i32> {
    let pack = |m: i32, e: i32, bias: i32, kind: i32| Some(m | e << 4 | bias << 8 | kind << 16);
    match dtype {
        DType::F16 => pack(10, 5, 15, 0),
        DType::BF16 => pack(7, 8, 127, 0),
        DType::Small(SmallType::F8E4M3Fn) => pack(3, 4, 7, 1),
        DType::Small(SmallType::F8E4M3FnUz) => pack(3, 4, 8, 2),
        DType::Small(SmallType::F8E5M2) => pack(2, 5, 15, 0),
        DType::Small(SmallType::F8E5M2FnUz) => pack(2, 5, 16, 2),
        DType::Small(SmallType::F4E2M1) => pack(1, 2, 1, 3),
        DType::Small(
            SmallType::F8E8M0 | SmallType::I2 | SmallType::I4 | SmallType::U2 | SmallType::U4,
        )
        | DType::I8
        | DType::U8
        | DType::I16
        | DType::U16
        | DType::I32
        | DType::U32
        | DType::I64
        | DType::U64
        | DType::F32
        | DType::F64
        | DType::Bool => None,
    }
}

/// Whether a type holds powers of two.
#[must_use]
pub fn is_power(dtype: DType) -> bool {
    dtype == DType::Small(SmallType::F8E8M0)
}

/// The float32 of a power's code; 255 is NaN.
#[must_use]
pub fn power(code: u8) -> f32 {
    match code {
        0 => f32::from_bits(0x0040_0000),
        255 => f32::NAN,
        exponent => f32::from_bits(u32::from(exponent) << 23),
    }
}

/// The code of the power that `x` becomes; the sign is not looked at, as ONNX defines it.
#[must_use]
pub fn power_code(x: f32, rounding: Rounding, saturate: bool) -> u8 {
    let bits = x.to_bits();
    let exponent = (bits >> 23) as u8;
    if exponent == 255 {
        return exponent;
    }
    let fraction = bits & 0x007F_FFFF;
    let up = match rounding {
        Rounding::Up => fraction != 0,
        Rounding::Down => false,
        Rounding::Nearest => fraction > 0x0040_0000 || fraction == 0x0040_0000 && exponent > 0,
    };
    exponent + u8::from(up && !(saturate && exponent == 254))
}

/// `x` in float32, rounded to odd: rounding the result again to fewer than 23 bits is as rounding
/// `x` once (S. Boldo, G. Melquiond, "When double rounding is odd", 2005).
#[must_use]
pub fn rounded_to_odd(x: f64) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    if back == x || x.is_nan() {
        return near;
    }
    let truncated = near.to_bits() - u32::from(back.abs() > x.abs());
    f32::from_bits(truncated | 1)
}

/// Elements of a float type of at least 16 bits as float32; `None` for others.
#[must_use]
pub fn to_f32(data: &TensorData) -> Option<Vec<f32>> {
    let format = format(data.dtype());
    match (data, format) {
        (TensorData::F32(v), _) => Some(v.clone()),
        (TensorData::F64(v), _) => Some(v.iter().map(|&x| x as f32).collect()),
        (TensorData::F16(v) | TensorData::BF16(v), Some(f)) => {
            Some(v.iter().map(|&x| tinycc_rt::widen_float(x.into(), f)).collect())
        }
        _other => None,
    }
}

/// Elements in the type that holds their values (`DType::widened`); `None` if that is their own.
#[must_use]
pub fn widened(data: &TensorData) -> Option<TensorData> {
    let to = data.dtype().widened();
    if to == data.dtype() {
        return None;
    }
    if to == DType::F32 {
        return to_f32(data).map(TensorData::F32);
    }
    TensorData::from_i128(to, &data.to_i128()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two() {
        let of = |rounding, x| power(power_code(x, rounding, true));
        assert_eq!([0.124, 0.25, 1.1, -3.0].map(|x| of(Rounding::Up, x)), [0.125, 0.25, 2.0, 4.0]);
        assert_eq!([0.124, 1.9].map(|x| of(Rounding::Down, x)), [0.0625, 1.0]);
        assert_eq!([1.4, 1.5, 1.6].map(|x| of(Rounding::Nearest, x)), [1.0, 2.0, 2.0]);
        assert!(of(Rounding::Up, f32::INFINITY).is_nan());
        assert_eq!(power_code(f32::MAX, Rounding::Up, true), 254);
        assert_eq!(power_code(f32::MAX, Rounding::Up, false), 255);
    }

    #[test]
    fn float64_is_rounded_once() {
        let half = format(DType::F16).expect("a format");
        // Just above the middle of 1 and the next float16: float32 alone would make it a tie.
        let x = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(tinycc_rt::narrow_float(x as f32, half), 0x3C00);
        assert_eq!(tinycc_rt::narrow_float(rounded_to_odd(x), half), 0x3C01);
        assert_eq!(rounded_to_odd(1e300), f32::MAX);
        assert_eq!(rounded_to_odd(-0.5), -0.5);
    }
}
