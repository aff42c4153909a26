//! The portable transposed convolution in gather form: each output pixel collects the inputs that
//! reach it, so there are no int32 accumulators in memory. NHWC input, OHWI weights.

use super::conv::{ConvBuffers, Finish};
use crate::kir::{Expr, KernelBuilder, Ty, Var, idx, int};

/// Output channels computed together; see the convolution.
const TILE: usize = 4;

/// One spatial axis: input `i` reaches output `i * stride + t - before` through tap `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Input extent.
    pub input: usize,
    /// Output extent.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Distance between outputs of neighbouring inputs.
    pub stride: usize,
    /// Outputs cut off at the start.
    pub before: usize,
}

impl Spread {
    /// The output that input `i` reaches through tap `t`, when there is one.
    #[must_use]
    pub fn reached(&self, i: usize, t: usize) -> Option<usize> {
        (i * self.stride + t).checked_sub(self.before).filter(|&o| o < self.output)
    }

    /// Inputs that reach an output are at `last - j`, tap `first + j * stride`, for `j` below this.
    fn steps(&self) -> usize {
        self.kernel.div_ceil(self.stride)
    }

    /// `(last, first)` of [`Spread::steps`] for output `o`.
    fn sources(&self, k: &mut KernelBuilder, name: &str, o: &Expr) -> (Expr, Expr) {
        let at = k.let_(name, o.clone() + idx(self.before));
        if self.stride == 1 {
            return (at, int(0));
        }
        let last = k.let_(&format!("{name}_in"), at.clone() / idx(self.stride));
        let first = k.let_(&format!("{name}_tap"), at - last.clone() * idx(self.stride));
        (last, first)
    }

    /// Whether `(input, tap)` exists, leaving out what the geometry guarantees.
    fn exists(&self, input: &Expr, tap: &Expr) -> Expr {
        let always = Expr::Int(1, Ty::Bool);
        let in_kernel = if self.kernel.is_multiple_of(self.stride) {
            always.clone()
        } else {
            tap.clone().lt(idx(self.kernel))
        };
        let above = if self.before / self.stride + 1 >= self.steps() {
            always.clone()
        } else {
            input.clone().ge(int(0))
        };
        let last = (self.output - 1 + self.before) / self.stride;
        let below = if last < self.input { always } else { input.clone().lt(idx(self.input)) };
        in_kernel.and(above).and(below)
    }
}

/// A transposed convolution with everything known but the input.
#[derive(Clone, Copy, Debug)]
pub struct TransposeConvKernel {
    /// Batch extent.
    pub batch: usize,
    /// Vertical.
    pub y: Spread,
    /// Horizontal.
    pub x: Spread,
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Zero point of the input. It cannot be folded into the bias: how many taps meet depends on
    /// the output pixel.
    pub zero_point: i32,
}

impl TransposeConvKernel {
    /// Builds the loops; the bias must not have the zero point folded in.
    pub fn build(&self, k: &mut KernelBuilder, b: &ConvBuffers, finish: &Finish) {
        k.for_("n", self.batch, |k, n| {
            k.for_("oy", self.y.output, |k, oy| {
                let rows = self.y.sources(k, "y", &oy);
                k.for_("ox", self.x.output, |k, ox| {
                    let columns = self.x.sources(k, "x", &ox);
                    let row = n.clone() * idx(self.y.output) + oy.clone();
                    let pixel = k.let_("pixel", row * idx(self.x.output) + ox);
                    let pixel = Pixel { n: n.clone(), rows: rows.clone(), columns, pixel };
                    let full = self.out_channels / TILE * TILE;
                    k.for_step("c", full, TILE, |k, c| {
                        self.tile(k, b, finish, &pixel, &c, TILE);
                    });
                    if self.out_channels > full {
                        self.tile(k, b, finish, &pixel, &idx(full), self.out_channels - full);
                    }
                });
            });
        });
    }

    /// `count` neighbouring output channels of one pixel.
    fn tile(
        &self,
        k: &mut KernelBuilder,
        b: &ConvBuffers,
        finish: &Finish,
        pixel: &Pixel,
        c: &Expr,
        count: usize,
    ) {
        let acc = b.accumulators(k, c, count);
        let Pixel { n, rows: (last_y, first_y), columns: (last_x, first_x), pixel } = pixel;
        k.for_("jy", self.y.steps(), |k, jy| {
            let iy = k.let_("iy", last_y.clone() - jy.clone());
            let ky = k.let_("ky", first_y.clone() + jy * idx(self.y.stride));
            k.if_(self.y.exists(&iy, &ky), |k| {
                let row = k.let_("x0", (n.clone() * idx(self.y.input) + iy) * idx(self.x.input));
                let tap_row = (c.clone() * idx(self.y.kernel) + ky) * idx(self.x.kernel);
                let tap_row = k.let_("w0", tap_row);
                k.for_("jx", self.x.steps(), |k, jx| {
                    let ix = k.let_("ix", last_x.clone() - jx.clone());
                    let kx = k.let_("kx", first_x.clone() + jx * idx(self.x.stride));
                    k.if_(self.x.exists(&ix, &kx), |k| {
                        let at = k.let_("x1", (row.clone() + ix) * idx(self.in_channels));
                        let wat = k.let_("w1", (tap_row.clone() + kx) * idx(self.in_channels));
                        self.tap(k, b, &acc, &at, &wat);
                    });
                });
            });
        });
        let out = k.let_("o", pixel.clone() * idx(self.out_channels) + c.clone());
        for (j, &acc) in acc.iter().enumerate() {
            let value = finish.apply(k, acc.into(), &(c.clone() + idx(j)));
            k.store(b.output, out.clone() + idx(j), value);
        }
    }

    /// One tap: all input channels, all output channels of the tile.
    fn tap(&self, k: &mut KernelBuilder, b: &ConvBuffers, acc: &[Var], at: &Expr, wat: &Expr) {
        let filter = self.y.kernel * self.x.kernel * self.in_channels;
        k.for_("i", self.in_channels, |k, i| {
            let mut value = k.load_wide(b.input, at.clone() + i.clone());
            if b.input.ty != Ty::F32 {
                value = value - int(i64::from(self.zero_point));
            }
            let value = k.let_("v", value);
            for (j, &acc) in acc.iter().enumerate() {
                let weight = k.load_wide(b.weights, wat.clone() + i.clone() + idx(j * filter));
                k.accumulate(acc, value.clone() * weight);
            }
        });
    }
}

/// Where the pixel loop stands.
struct Pixel {
    n: Expr,
    rows: (Expr, Expr),
    columns: (Expr, Expr),
    pixel: Expr,
}
