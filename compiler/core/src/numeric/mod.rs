//! Compile-time arithmetic: quantized multipliers, activation ranges, correctly rounded float32
//! functions. What emitted code executes lives in `tinycc-rt`, not here.

pub mod math;
pub mod small_float;

use crate::kir::{Expr, Intrinsic, int};
use crate::tensor::{QuantParams, Rounding};

/// A positive real multiplier as mantissa * 2^(exponent - 31), mantissa in [2^30, 2^31) or 0.
/// Source: numerics 2.1 (TensorFlow Lite `QuantizeMultiplier`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// Q0.31 mantissa.
    pub mantissa: i32,
    /// Power of two.
    pub exponent: i32,
    /// How products are rounded.
    pub rounding: Rounding,
}

impl Multiplier {
    /// Nearest representation of `real` (finite, >= 0); values below 2^-32 become 0.
    #[must_use]
    pub fn from_real(real: f64) -> Self {
        if real == 0.0 || !real.is_finite() {
            return Self::of(0, 0);
        }
        let (fraction, mut exponent) = libm::frexp(real);
        let mut q = (fraction * 2f64.powi(31)).round() as i64;
        if q == 1 << 31 {
            q /= 2;
            exponent += 1;
        }
        if exponent < -31 {
            return Self::of(0, 0);
        }
        if exponent > 30 {
            // Beyond any int32 accumulator; a larger shift would not be defined in C.
            return Self::of(i32::MAX, 30);
        }
        Self::of(q as i32, exponent)
    }

    /// From its parts, with the rounding of TensorFlow Lite Micro.
    #[must_use]
    pub fn of(mantissa: i32, exponent: i32) -> Self {
        Self { mantissa, exponent, rounding: Rounding::HalfAway }
    }

    /// The same with another rounding.
    #[must_use]
    pub fn rounded(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// The requantized value of `acc`.
    #[must_use]
    pub fn apply(self, acc: i32) -> i32 {
        match self.rounding {
            Rounding::HalfAway => tinycc_rt::requantize(acc, self.mantissa, self.exponent),
            Rounding::HalfEven => tinycc_rt::requantize_nearest(acc, self.mantissa, self.exponent),
        }
    }

    /// clamp(apply(acc) + zero_point); saturates where the sum would overflow.
    #[must_use]
    pub fn finish(self, acc: i32, zero_point: i32, (lo, hi): (i32, i32)) -> i32 {
        self.apply(acc).saturating_add(zero_point).clamp(lo, hi)
    }

    /// The expression of [`Multiplier::finish`] for an int8 range. A right-shifting multiplier
    /// leaves headroom for the zero point; any other is clamped before the addition.
    #[must_use]
    pub fn lower_finish(self, acc: Expr, zero_point: i32, (lo, hi): (i32, i32)) -> Expr {
        let zero = int(i64::from(zero_point));
        if self.is_plain_shift() {
            return (self.requantize(acc, lo >= zero_point) + zero).clamp(lo, hi);
        }
        self.requantize(acc, false).clamp(lo - zero_point, hi - zero_point) + zero
    }

    /// Whether the one-multiply closed form is exact for it: numerics 3.3, r >= 2. For results that
    /// are limited to int8 afterwards, where rounding is to even: a tie below 256 needs an accumulator
    /// below 2^(9 - exponent) that is a multiple of 2^(30 - exponent - zeros), with the number of zero
    /// bits that end the mantissa; up to 20 of them leave none but 0, which is no tie.
    #[must_use]
    pub fn is_plain_shift(self) -> bool {
        let ties = self.rounding == Rounding::HalfEven && self.mantissa.trailing_zeros() > 20;
        self.exponent <= -2 && !(ties && self.mantissa != 0)
    }

    /// The expression that requantizes `acc` by this constant. `clamped_at_zero_point` says that
    /// negative results are cut off afterwards, which allows the cheapest form.
    #[must_use]
    pub fn requantize(self, acc: Expr, clamped_at_zero_point: bool) -> Expr {
        let mantissa = int(i64::from(self.mantissa));
        let is_plain = self.is_plain_shift();
        let last = if is_plain { -self.exponent - 1 } else { self.exponent };
        let f = requantize_function(self.rounding, is_plain, clamped_at_zero_point);
        Expr::call(f, vec![acc, mantissa, int(i64::from(last))])
    }
}

/// The run-time function that requantizes: in closed form or not, cut off at the zero point or not.
#[must_use]
pub fn requantize_function(
    rounding: Rounding,
    is_plain: bool,
    clamped_at_zero_point: bool,
) -> Intrinsic {
    match (rounding, is_plain, clamped_at_zero_point) {
        (Rounding::HalfAway, true, true) => Intrinsic::RequantizeShrPos,
        (Rounding::HalfAway, true, false) => Intrinsic::RequantizeShr,
        (Rounding::HalfAway, false, _) => Intrinsic::Requantize,
        (Rounding::HalfEven, true, _) => Intrinsic::RequantizeShrNearest,
        (Rounding::HalfEven, false, _) => Intrinsic::RequantizeNearest,
    }
}

/// Activation fused into an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// None.
    #[default]
    None,
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// min(max(x, -1), 1).
    ReluN1To1,
}

impl Activation {
    /// Clamp range of quantized int8 results (numerics 2.3; the division is in float32).
    #[must_use]
    pub fn range_i8(self, scale: f32, zero_point: i32) -> (i32, i32) {
        let quantize = |x: f32| {
            let q = ((x / scale).round() as i64).saturating_add(i64::from(zero_point));
            q.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
        };
        let (lo, hi) = match self {
            Activation::None => (-128, 127),
            Activation::Relu => (quantize(0.0).max(-128), 127),
            Activation::Relu6 => (quantize(0.0).max(-128), quantize(6.0).min(127)),
            Activation::ReluN1To1 => (quantize(-1.0).max(-128), quantize(1.0).min(127)),
        };
        // Degenerate scales can cross over; keep lo <= hi so that clamping is defined.
        (lo.min(127), hi.max(lo.min(127)))
    }

    /// Clamp range of float results, if any.
    #[must_use]
    pub fn range_f32(self) -> Option<(Option<f32>, Option<f32>)> {
        match self {
            Activation::None => None,
            Activation::Relu => Some((Some(0.0), None)),
            Activation::Relu6 => Some((Some(0.0), Some(6.0))),
            Activation::ReluN1To1 => Some((Some(-1.0), Some(1.0))),
        }
    }

    /// Applies the activation to a float.
    #[must_use]
    pub fn apply_f32(self, x: f32) -> f32 {
        match self.range_f32() {
            None => x,
            Some((lo, hi)) => {
                let x = lo.map_or(x, |lo| tinycc_rt::max_f32(x, lo));
                hi.map_or(x, |hi| tinycc_rt::min_f32(x, hi))
            }
        }
    }

    /// The expression that applies the activation to a float.
    #[must_use]
    pub fn lower_f32(self, x: Expr) -> Expr {
        let Some((lo, hi)) = self.range_f32() else { return x };
        let x = match lo {
            Some(lo) => Expr::call(Intrinsic::MaxF32, vec![x, Expr::Float(lo)]),
            None => x,
        };
        match hi {
            Some(hi) => Expr::call(Intrinsic::MinF32, vec![x, Expr::Float(hi)]),
            None => x,
        }
    }
}

/// Per-channel multipliers input * weight / output, combined in double (numerics 2.2).
#[must_use]
pub fn channel_multipliers(
    input: f32,
    weights: &QuantParams,
    output: &QuantParams,
    channels: usize,
) -> Vec<Multiplier> {
    (0..channels)
        .map(|c| {
            let product = f64::from(input) * f64::from(weights.channel_scale(c));
            Multiplier::from_real(product / f64::from(output.scale())).rounded(output.rounding)
        })
        .collect()
}

/// Real value of a quantized integer: float32(double(scale) * (q - zero_point)).
#[must_use]
pub fn dequantize(q: i32, scale: f32, zero_point: i32) -> f32 {
    (f64::from(scale) * f64::from(q - zero_point)) as f32
}

impl Rounding {
    /// int8 nearest to a real value: clamp(round(x / scale) + zero_point), float32 division. NaN
    /// gives the zero point (`HalfAway`) or the lowest value (`HalfEven`, which limits first).
    #[must_use]
    pub fn quantize_i8(self, x: f32, scale: f32, zero_point: i32) -> i8 {
        let (lo, hi) = (-128 - i64::from(zero_point), 127 - i64::from(zero_point));
        let steps = match self {
            Rounding::HalfAway => i64::from(tinycc_rt::round_half_away_f32(x / scale)),
            Rounding::HalfEven => {
                let low = tinycc_rt::max_f32(x / scale, lo as f32);
                tinycc_rt::round_half_even_f32(tinycc_rt::min_f32(low, hi as f32)) as i64
            }
        };
        (steps.clamp(lo, hi) + i64::from(zero_point)) as i8
    }
}
