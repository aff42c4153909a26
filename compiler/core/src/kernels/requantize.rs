//! From int32 accumulators to int8 results, per channel or per tensor.

use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, int};
use crate::numeric::{Multiplier, requantize_function};
use crate::tensor::TensorData;

/// How accumulators of one layer become int8.
#[derive(Clone, Debug)]
pub struct Requantize {
    scale: Scale,
    zero_point: i32,
    lo: i32,
    hi: i32,
}

#[derive(Clone, Debug)]
enum Scale {
    One(Multiplier),
    PerChannel { function: Intrinsic, mantissa: Buf, exponent: Buf },
}

impl Requantize {
    /// Declares the constants. One multiplier serves all channels; otherwise one each.
    pub fn declare(
        k: &mut KernelBuilder,
        multipliers: &[Multiplier],
        zero_point: i32,
        (lo, hi): (i32, i32),
    ) -> Self {
        let first = multipliers.first().copied().unwrap_or(Multiplier::from_real(0.0));
        if multipliers.iter().all(|&m| m == first) {
            return Self { scale: Scale::One(first), zero_point, lo, hi };
        }
        let plain = multipliers.iter().all(|m| m.is_plain_shift());
        let function = requantize_function(first.rounding, plain, lo >= zero_point);
        let last = |m: &Multiplier| if plain { -m.exponent - 1 } else { m.exponent };
        let mantissa = multipliers.iter().map(|m| m.mantissa).collect();
        let exponent = multipliers.iter().map(|m| last(m) as i8).collect();
        let name = if plain { "shift" } else { "exponent" };
        Self {
            scale: Scale::PerChannel {
                function,
                mantissa: k.constant("multiplier", TensorData::I32(mantissa)),
                exponent: k.constant(name, TensorData::I8(exponent)),
            },
            zero_point,
            lo,
            hi,
        }
    }

    /// The clamped int8 value of `acc` for `channel`.
    #[must_use]
    pub fn apply(&self, k: &KernelBuilder, acc: Expr, channel: &Expr) -> Expr {
        let scaled = match &self.scale {
            Scale::One(m) => m.requantize(acc, self.lo >= self.zero_point),
            Scale::PerChannel { function, mantissa, exponent } => Expr::call(
                *function,
                vec![
                    acc,
                    k.load(*mantissa, channel.clone()),
                    k.load_wide(*exponent, channel.clone()),
                ],
            ),
        };
        // Rounded to even, a multiplier without a right shift saturates: no room for a zero point.
        if let Expr::Call(Intrinsic::RequantizeNearest, _) = &scaled {
            let (lo, hi) = (self.lo - self.zero_point, self.hi - self.zero_point);
            return scaled.clamp(lo, hi) + int(i64::from(self.zero_point));
        }
        (scaled + int(i64::from(self.zero_point))).clamp(self.lo, self.hi)
    }
}
