//! The portable convolution: NHWC input, OHWI weights, a tile of four output channels sharing each
//! input load. Fully connected layers are the 1x1 case. int8 and float32.

use super::requantize::Requantize;
use super::window::{Pixel, inside};
use crate::geometry::Window;
use crate::kir::{Buf, Expr, KernelBuilder, Ty, Var, float, idx, int};
use crate::numeric::Activation;
use crate::op::OpError;
use crate::tensor::TensorData;

/// Output channels computed together: four accumulators and four weight streams fit the registers
/// of the smallest cores.
const TILE: usize = 4;
/// Taps of an interior run per loop iteration: constant offsets, a quarter of the loop overhead.
const UNROLL: usize = 4;
/// Comment of the branch that stands for a tap outside the input.
pub(super) const PADDING: &str = "Outside the input: padding is the zero point.";

/// A convolution with everything known but the input.
#[derive(Clone, Debug)]
pub struct Conv {
    /// Geometry.
    pub window: Window,
    /// Input channels of all groups.
    pub in_channels: usize,
    /// Output channels of all groups.
    pub out_channels: usize,
    /// Groups; channels divide evenly.
    pub groups: usize,
}

/// What happens to an accumulator.
#[derive(Clone, Debug)]
pub enum Finish {
    /// int8: requantize per output channel.
    Int(Requantize),
    /// float32: clamp.
    Float(Activation),
}

impl Finish {
    /// The value to store for `acc`.
    #[must_use]
    pub fn apply(&self, k: &KernelBuilder, acc: Expr, channel: &Expr) -> Expr {
        match self {
            Finish::Int(requantize) => requantize.apply(k, acc, channel),
            Finish::Float(activation) => activation.lower_f32(acc),
        }
    }
}

/// Buffers of a convolution.
#[derive(Clone, Debug)]
pub struct ConvBuffers {
    /// Input, NHWC.
    pub input: Buf,
    /// Weights, OHWI.
    pub weights: Buf,
    /// One accumulator start per output channel, `None` for zero.
    pub bias: Option<Buf>,
    /// Output, NHWC.
    pub output: Buf,
    /// What a padded tap reads: the input zero point.
    pub pad: i32,
    /// What is subtracted from every weight; 0 for symmetric ones and floats.
    pub zero_weights: i32,
}

impl ConvBuffers {
    /// A weight minus its zero point.
    #[must_use]
    pub fn weight(&self, k: &KernelBuilder, at: Expr) -> Expr {
        let weight = k.load_wide(self.weights, at);
        if self.zero_weights == 0 { weight } else { weight - int(i64::from(self.zero_weights)) }
    }

    /// Declares the accumulators of `n` output channels from `channel` on, set to their biases.
    pub fn accumulators(&self, k: &mut KernelBuilder, channel: &Expr, n: usize) -> Vec<Var> {
        (0..n)
            .map(|j| {
                let start = match self.bias {
                    Some(bias) => k.load(bias, channel.clone() + idx(j)),
                    None if self.input.ty == Ty::F32 => float(0.0),
                    None => int(0),
                };
                k.var(&format!("acc{j}"), start)
            })
            .collect()
    }
}

/// `b[c] - zero_point * sum` of the weights of channel c minus theirs, and the largest magnitude any partial sum
/// can reach (numerics 3.5). `per_channel(c)` yields the weights of output channel c.
///
/// # Errors
/// An accumulator could overflow int32.
pub fn fold_zero_point<'a, I: Iterator<Item = &'a i8>>(
    bias: Option<&[i32]>,
    channels: usize,
    (zero_point, zero_weights): (i32, i32),
    per_channel: impl Fn(usize) -> I,
) -> Result<(Vec<i32>, i64), OpError> {
    let mut folded = Vec::with_capacity(channels);
    let mut bound = 0i64;
    for c in 0..channels {
        let (mut sum, mut magnitude) = (0i64, 0i64);
        for &w in per_channel(c) {
            let w = i64::from(w) - i64::from(zero_weights);
            sum += w;
            magnitude += w.abs();
        }
        let start = i64::from(bias.map_or(0, |b| b[c])) - i64::from(zero_point) * sum;
        let reach = start.abs() + 128 * magnitude;
        if reach > i64::from(i32::MAX) {
            return Err(OpError::unsupported(format!(
                "the accumulator of output channel {c} can reach {reach}, beyond int32"
            ))
            .help("check the bias: its scale should be input scale * weight scale"));
        }
        bound = bound.max(reach);
        folded.push(start as i32);
    }
    Ok((folded, bound))
}

/// `acc[j] += x[at + i] * w[wat + j * taps + i]` for `i in 0..length`.
struct Run {
    /// `None` reads padding.
    at: Option<Expr>,
    wat: Expr,
    length: usize,
    /// Taps per loop iteration.
    unroll: usize,
}

impl Conv {
    /// Builds the loops.
    pub fn build(&self, k: &mut KernelBuilder, b: &ConvBuffers, finish: &Finish) {
        let group_out = self.out_channels / self.groups;
        self.window.pixels(k, &mut |k, pixel| {
            k.for_("g", self.groups, |k, g| {
                let full = group_out / TILE * TILE;
                k.for_step("oc", full, TILE, |k, oc| {
                    self.tile(k, b, finish, pixel, &g, &oc, TILE);
                });
                if group_out > full {
                    self.tile(k, b, finish, pixel, &g, &idx(full), group_out - full);
                }
            });
        });
    }

    /// `n` neighbouring output channels of one pixel.
    #[allow(clippy::too_many_arguments, reason = "one inner step of a fixed loop nest")]
    fn tile(
        &self,
        k: &mut KernelBuilder,
        b: &ConvBuffers,
        finish: &Finish,
        pixel: &Pixel,
        g: &Expr,
        oc: &Expr,
        n: usize,
    ) {
        let channel = k.let_("c", g.clone() * idx(self.out_channels / self.groups) + oc.clone());
        let acc = b.accumulators(k, &channel, n);
        self.taps(k, b, pixel, g, &channel, &acc);
        let out = k.let_("o", pixel.out.clone() * idx(self.out_channels) + channel.clone());
        for (j, &acc) in acc.iter().enumerate() {
            let value = finish.apply(k, acc.into(), &(channel.clone() + idx(j)));
            k.store(b.output, out.clone() + idx(j), value);
        }
    }

    fn taps(
        &self,
        k: &mut KernelBuilder,
        b: &ConvBuffers,
        pixel: &Pixel,
        g: &Expr,
        channel: &Expr,
        acc: &[Var],
    ) {
        let (y, x) = (self.window.y, self.window.x);
        let group_in = self.in_channels / self.groups;
        let weights = k.let_("w0", channel.clone() * idx(self.taps_count()));
        let row_start = pixel.batch.clone() * idx(y.input) + pixel.iy.clone();
        let first = (row_start * idx(x.input) + pixel.ix.clone()) * idx(self.in_channels)
            + g.clone() * idx(group_in);
        let first = k.let_("x0", first);
        // Without dilation and groups, a row of taps is one contiguous run.
        let contiguous = pixel.interior && (x.dilation == 1 && self.groups == 1 || x.kernel == 1);
        let unroll = if pixel.interior { UNROLL } else { 1 };
        let run = |at, wat, length| Run { at, wat, length, unroll };
        k.for_("ky", y.kernel, |k, ky| {
            let row = k.let_(
                "x1",
                first.clone() + ky.clone() * idx(y.dilation * x.input * self.in_channels),
            );
            let wrow = k.let_("w1", weights.clone() + ky.clone() * idx(x.kernel * group_in));
            if contiguous {
                self.run(k, b, acc, &run(Some(row), wrow, x.kernel * group_in));
                return;
            }
            let iy = k.let_("ty", pixel.iy.clone() + ky * idx(y.dilation));
            k.for_("kx", x.kernel, |k, kx| {
                let at = row.clone() + kx.clone() * idx(x.dilation * self.in_channels);
                let wat = wrow.clone() + kx.clone() * idx(group_in);
                if pixel.interior {
                    let (at, wat) = (k.let_("x2", at), k.let_("w2", wat));
                    self.run(k, b, acc, &run(Some(at), wat, group_in));
                    return;
                }
                let ix = k.let_("tx", pixel.ix.clone() + kx * idx(x.dilation));
                let wat = k.let_("w2", wat);
                k.if_else(
                    inside(&y, &iy).and(inside(&x, &ix)),
                    |k| self.run(k, b, acc, &run(Some(at), wat.clone(), group_in)),
                    |k| {
                        if b.pad != 0 {
                            k.comment(PADDING);
                            self.run(k, b, acc, &run(None, wat.clone(), group_in));
                        }
                    },
                );
            });
        });
    }

    fn run(&self, k: &mut KernelBuilder, b: &ConvBuffers, acc: &[Var], run: &Run) {
        let Run { at, wat, length, unroll } = run;
        let (length, unroll) = (*length, *unroll);
        let step = |k: &mut KernelBuilder, at: Option<&Expr>, wat: &Expr, u: usize| {
            let value = match at {
                Some(at) => k.load_wide(b.input, at.clone() + idx(u)),
                None => int(i64::from(b.pad)),
            };
            let value = k.let_("v", value);
            for (j, &acc) in acc.iter().enumerate() {
                let weight = b.weight(k, wat.clone() + idx(j * self.taps_count() + u));
                k.accumulate(acc, value.clone() * weight);
            }
        };
        let full = length / unroll * unroll;
        k.for_step("i", full, unroll, |k, i| {
            let at = at.as_ref().map(|at| k.let_("xi", at.clone() + i.clone()));
            let wat = k.let_("wi", wat.clone() + i);
            (0..unroll).for_each(|u| step(k, at.as_ref(), &wat, u));
        });
        let rest = |k: &mut KernelBuilder, i: Expr| {
            let at = at.as_ref().map(|at| at.clone() + i.clone());
            step(k, at.as_ref(), &(wat.clone() + i), 0);
        };
        (full..length).for_each(|i| rest(k, idx(i)));
    }

    /// Weights of one output channel.
    fn taps_count(&self) -> usize {
        self.window.y.kernel * self.window.x.kernel * (self.in_channels / self.groups)
    }
}

/// Declares the accumulator starts of an int8 layer.
pub fn declare_bias(k: &mut KernelBuilder, folded: Vec<i32>) -> Option<Buf> {
    folded.iter().any(|&b| b != 0).then(|| k.constant("bias", TensorData::I32(folded)))
}
