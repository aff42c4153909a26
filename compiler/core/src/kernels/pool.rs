//! Pooling over NHWC: average and maximum of a window, channels innermost. int8 and float32. Taps
//! outside the input do not count, not even as zeros.

use super::window::{Pixel, inside};
use crate::geometry::{Axis, Window};
use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Ty, Var, float, idx, int};
use crate::tensor::{QuantParams, Rounding};

/// Interior windows up to this many taps are unrolled: constant offsets, no loop overhead.
const UNROLL: usize = 16;
/// Channels that share the border checks and address arithmetic of one tap.
const TILE: usize = 4;

/// What is taken of the taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Sum divided by the number of taps inside the input; int8 rounds half away from zero.
    Average,
    /// Maximum.
    Max,
}

/// A pooling layer with everything known but the input.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Geometry.
    pub window: Window,
    /// Channels.
    pub channels: usize,
    /// Average or maximum.
    pub kind: PoolKind,
    /// How averages are rounded.
    pub ties: Ties,
}

/// Which way integer averages half way between two integers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Away from zero, of the elements as they are: TensorFlow Lite.
    Away,
    /// To the even distance from the zero point: ONNX, which rounds the number and adds the zero point.
    /// Only its parity matters, here 0 or 1.
    Even(i32),
}

impl Ties {
    /// Of elements that are quantized like this.
    #[must_use]
    pub fn of(quant: &QuantParams) -> Self {
        match quant.rounding {
            Rounding::HalfAway => Self::Away,
            Rounding::HalfEven => Self::Even(quant.zero_point() & 1),
        }
    }

    /// The average of `count` elements with this sum.
    #[must_use]
    pub fn mean(self, sum: i32, count: i32) -> i32 {
        match self {
            Self::Away => tinycc_rt::div_round(sum, count),
            Self::Even(zero) => tinycc_rt::div_round_even(sum - zero * count, count) + zero,
        }
    }
}

impl Pool {
    /// Builds the loops; `activate` limits the pooled value.
    pub fn build(
        &self,
        k: &mut KernelBuilder,
        (input, output): (Buf, Buf),
        activate: &dyn Fn(Expr) -> Expr,
    ) {
        let Window { y, x, .. } = self.window;
        self.window.pixels(k, &mut |k, pixel| {
            let count = match self.kind {
                PoolKind::Max => int(1),
                PoolKind::Average if pixel.interior => idx(y.kernel * x.kernel),
                PoolKind::Average => {
                    let n = taps_inside(&y, &pixel.iy) * taps_inside(&x, &pixel.ix);
                    k.let_("n", n)
                }
            };
            let row = pixel.batch.clone() * idx(y.input) + pixel.iy.clone();
            let first = (row * idx(x.input) + pixel.ix.clone()) * idx(self.channels);
            let first = k.let_("x0", first);
            let unroll = pixel.interior && y.kernel * x.kernel <= UNROLL;
            let tile = if unroll { 1 } else { TILE };
            let full = self.channels / tile * tile;
            let one_tile = |k: &mut KernelBuilder, c: &Expr, n: usize| {
                let acc: Vec<Var> =
                    (0..n).map(|j| k.var(&format!("acc{j}"), self.start(input))).collect();
                let first = k.let_("xc", first.clone() + c.clone());
                if unroll {
                    self.unrolled(k, input, &acc, &first);
                } else {
                    self.looped(k, input, pixel, &acc, &first);
                }
                let out = k.let_("o", pixel.out.clone() * idx(self.channels) + c.clone());
                for (j, &acc) in acc.iter().enumerate() {
                    let value = activate(divide(acc.into(), &count, self.ties));
                    k.store(output, out.clone() + idx(j), value);
                }
            };
            k.for_step("c", full, tile, |k, c| one_tile(k, &c, tile));
            if self.channels > full {
                one_tile(k, &idx(full), self.channels - full);
            }
        });
    }

    /// Value of an accumulator before the first tap.
    fn start(&self, input: Buf) -> Expr {
        match (self.kind, input.ty == Ty::F32) {
            (PoolKind::Average, true) => float(0.0),
            (PoolKind::Average, false) => int(0),
            (PoolKind::Max, true) => float(f32::MIN),
            (PoolKind::Max, false) => int(if input.ty == Ty::U8 { 0 } else { -128 }),
        }
    }

    fn unrolled(&self, k: &mut KernelBuilder, input: Buf, acc: &[Var], first: &Expr) {
        let Window { y, x, .. } = self.window;
        for ky in 0..y.kernel {
            for kx in 0..x.kernel {
                let (iy, ix) = (ky * y.dilation, kx * x.dilation);
                let at = first.clone() + idx((iy * x.input + ix) * self.channels);
                self.tap(k, input, acc, &at);
            }
        }
    }

    fn looped(&self, k: &mut KernelBuilder, input: Buf, pixel: &Pixel, acc: &[Var], first: &Expr) {
        let Window { y, x, .. } = self.window;
        k.for_("ky", y.kernel, |k, ky| {
            let down = ky * idx(y.dilation);
            let rows = match pixel.interior {
                true => int(1),
                false => inside(&y, &(pixel.iy.clone() + down.clone())),
            };
            k.if_(rows, |k| {
                let row = k.let_("x1", first.clone() + down * idx(x.input * self.channels));
                k.for_("kx", x.kernel, |k, kx| {
                    let across = kx * idx(x.dilation);
                    let columns = match pixel.interior {
                        true => int(1),
                        false => inside(&x, &(pixel.ix.clone() + across.clone())),
                    };
                    k.if_(columns, |k| {
                        let at = k.let_("x2", row.clone() + across * idx(self.channels));
                        self.tap(k, input, acc, &at);
                    });
                });
            });
        });
    }

    /// One tap for all channels of the tile.
    fn tap(&self, k: &mut KernelBuilder, input: Buf, acc: &[Var], at: &Expr) {
        for (j, &acc) in acc.iter().enumerate() {
            let value = k.load_wide(input, at.clone() + idx(j));
            match self.kind {
                PoolKind::Average => k.accumulate(acc, value),
                PoolKind::Max => {
                    let float = input.ty == Ty::F32;
                    let max = if float { Intrinsic::MaxF32 } else { Intrinsic::MaxI32 };
                    k.assign(acc, Expr::call(max, vec![value, acc.into()]));
                }
            }
        }
    }
}

/// Number of taps of `axis` inside the input when the first one is at `i`.
fn taps_inside(axis: &Axis, i: &Expr) -> Expr {
    if axis.all_interior() {
        return idx(axis.kernel);
    }
    if axis.dilation != 1 {
        return dilated_taps_inside(axis, i);
    }
    let end = Expr::call(Intrinsic::MinI32, vec![i.clone() + idx(axis.kernel), idx(axis.input)]);
    if axis.before == 0 {
        return end - i.clone();
    }
    end - Expr::call(Intrinsic::MaxI32, vec![i.clone(), int(0)])
}

/// The same with taps `dilation` apart: those before the end less those before the input.
fn dilated_taps_inside(axis: &Axis, i: &Expr) -> Expr {
    // Taps at positions below `limit`: the distance from the first one, in dilations, rounded up.
    let below = |limit: usize| {
        let distance = idx(limit) - i.clone();
        let distance = Expr::call(Intrinsic::MaxI32, vec![distance, int(0)]);
        let taps = (distance + idx(axis.dilation - 1)) / idx(axis.dilation);
        Expr::call(Intrinsic::MinI32, vec![taps, idx(axis.kernel)])
    };
    if axis.before == 0 { below(axis.input) } else { below(axis.input) - below(0) }
}

/// `sum / count`.
fn divide(sum: Expr, count: &Expr, ties: Ties) -> Expr {
    match (count.literal(), sum.ty() == Ty::F32) {
        (Some(1), _) => sum,
        (Some(n), true) => sum / float(n as f32),
        (None, true) => sum / count.clone().cast(Ty::F32),
        (_, false) => match ties {
            Ties::Away => Expr::call(Intrinsic::DivRound, vec![sum, count.clone()]),
            Ties::Even(0) => Expr::call(Intrinsic::DivRoundEven, vec![sum, count.clone()]),
            Ties::Even(zero) => {
                let from_zero = sum - count.clone() * int(zero.into());
                let divided = Expr::call(Intrinsic::DivRoundEven, vec![from_zero, count.clone()]);
                divided + int(zero.into())
            }
        },
    }
}
