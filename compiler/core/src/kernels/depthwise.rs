//! The portable depthwise convolution: one filter per output channel, channels innermost. int8 and
//! float32, any channel multiplier.

use super::conv::{ConvBuffers, Finish, PADDING};
use super::window::{Pixel, inside};
use crate::geometry::Window;
use crate::kir::{Expr, KernelBuilder, Var, idx, int};

/// Interior windows up to this many taps are unrolled: constant offsets, no loop overhead.
const UNROLL: usize = 25;
/// Channels that share the border checks of one tap.
const TILE: usize = 4;

/// A depthwise convolution with everything known but the input. Weights are `[kh][kw][out]`.
#[derive(Clone, Debug)]
pub struct Depthwise {
    /// Geometry.
    pub window: Window,
    /// Input channels.
    pub in_channels: usize,
    /// Outputs per input channel.
    pub multiplier: usize,
}

impl Depthwise {
    fn out_channels(&self) -> usize {
        self.in_channels * self.multiplier
    }

    /// Builds the loops.
    pub fn build(&self, k: &mut KernelBuilder, b: &ConvBuffers, finish: &Finish) {
        let taps = self.window.y.kernel * self.window.x.kernel;
        let out = self.out_channels();
        self.window.pixels(k, &mut |k, pixel| {
            let tile = if pixel.interior && taps <= UNROLL { 1 } else { TILE };
            let full = out / tile * tile;
            k.for_step("c", full, tile, |k, c| self.tile(k, b, finish, pixel, &c, tile));
            if out > full {
                self.tile(k, b, finish, pixel, &idx(full), out - full);
            }
        });
    }

    fn tile(
        &self,
        k: &mut KernelBuilder,
        b: &ConvBuffers,
        finish: &Finish,
        pixel: &Pixel,
        c: &Expr,
        n: usize,
    ) {
        let acc = b.accumulators(k, c, n);
        let (y, x) = (self.window.y, self.window.x);
        let row_start = pixel.batch.clone() * idx(y.input) + pixel.iy.clone();
        let first = (row_start * idx(x.input) + pixel.ix.clone()) * idx(self.in_channels);
        let first = k.let_("x0", first);
        if pixel.interior && y.kernel * x.kernel <= UNROLL {
            for ky in 0..y.kernel {
                for kx in 0..x.kernel {
                    let at = (ky * y.dilation * x.input + kx * x.dilation) * self.in_channels;
                    let tap = idx((ky * x.kernel + kx) * self.out_channels());
                    self.tap(k, b, &acc, Some(first.clone() + idx(at)), c, tap);
                }
            }
        } else {
            self.looped_taps(k, b, pixel, c, &acc, &first);
        }
        let out = k.let_("o", pixel.out.clone() * idx(self.out_channels()) + c.clone());
        for (j, &acc) in acc.iter().enumerate() {
            let value = finish.apply(k, acc.into(), &(c.clone() + idx(j)));
            k.store(b.output, out.clone() + idx(j), value);
        }
    }

    fn looped_taps(
        &self,
        k: &mut KernelBuilder,
        b: &ConvBuffers,
        pixel: &Pixel,
        c: &Expr,
        acc: &[Var],
        first: &Expr,
    ) {
        let (y, x) = (self.window.y, self.window.x);
        k.for_("ky", y.kernel, |k, ky| {
            let iy = k.let_("ty", pixel.iy.clone() + ky.clone() * idx(y.dilation));
            let row = first.clone() + ky.clone() * idx(y.dilation * x.input * self.in_channels);
            let row = k.let_("x1", row);
            k.for_("kx", x.kernel, |k, kx| {
                let tap = (ky * idx(x.kernel) + kx.clone()) * idx(self.out_channels());
                let tap = k.let_("w1", tap);
                let at = row.clone() + kx.clone() * idx(x.dilation * self.in_channels);
                if pixel.interior {
                    self.tap(k, b, acc, Some(at), c, tap);
                    return;
                }
                let ix = k.let_("tx", pixel.ix.clone() + kx * idx(x.dilation));
                k.if_else(
                    inside(&y, &iy).and(inside(&x, &ix)),
                    |k| self.tap(k, b, acc, Some(at), c, tap.clone()),
                    |k| {
                        if b.pad != 0 {
                            k.comment(PADDING);
                            self.tap(k, b, acc, None, c, tap.clone());
                        }
                    },
                );
            });
        });
    }

    /// One tap for all channels of the tile.
    fn tap(
        &self,
        k: &mut KernelBuilder,
        b: &ConvBuffers,
        acc: &[Var],
        at: Option<Expr>,
        c: &Expr,
        tap: Expr,
    ) {
        for (j, &acc) in acc.iter().enumerate() {
            let channel = (c.clone() + idx(j)) / idx(self.multiplier);
            let value = match &at {
                Some(at) => k.load_wide(b.input, at.clone() + channel),
                None => int(i64::from(b.pad)),
            };
            let weight = b.weight(k, tap.clone() + c.clone() + idx(j));
            k.accumulate(acc, value * weight);
        }
    }
}
