//! The 1x1 convolution as a register tile for cores with the DSP extension: three pixels by two
//! output channels per step, int16 activations widened once, int8 weights in consumption order.
//! Any channel and pixel counts, any stride. Source of the recipe: cortex-m-kernels, "1x1
//! convolution" and "Requantization in 5 instructions".

use super::conv::Conv;
use super::requantize::Requantize;
use crate::kir::{
    BinOp, Buf, Cursor, Expr, Intrinsic, KernelBuilder, Tile, TileInst, TileReg, Ty, Var, idx, int,
};
use crate::numeric::Multiplier;
use crate::tensor::{Rounding, TensorData};

/// Pixels per tile.
const PIXELS: usize = 3;
/// Output channels per tile.
const CHANNELS: usize = 2;
/// Input channels per trip of the tile.
const DEPTH: usize = 4;

/// A 1x1 int8 convolution with folded biases.
#[derive(Clone, Debug)]
pub struct Pointwise<'a> {
    /// Geometry: kernel 1x1, one group.
    pub conv: &'a Conv,
    /// Weights `[out][in]`.
    pub weights: Vec<i8>,
    /// Accumulator starts with the input zero point folded in; twice their reach fits int32.
    pub bias: Vec<i32>,
    /// One multiplier per output channel.
    pub multipliers: Vec<Multiplier>,
    /// Output zero point.
    pub zero_point: i32,
    /// Output clamp.
    pub range: (i32, i32),
}

/// How doubled accumulators become int8.
enum Finish {
    /// Five instructions: every exponent is a right shift of 1 to 22.
    Shift { mantissa: Buf, shift: Buf },
    /// Anything else.
    General(Requantize),
}

impl Pointwise<'_> {
    /// Rewrites channels whose result is the same for every input (dead channels often have huge
    /// biases): weights 0, and a small bias that gives that result. Returns how far accumulators
    /// can reach afterwards. Requantization is monotone, so equal ends mean a constant.
    pub fn settle_constant_channels(&mut self) -> i64 {
        let inputs = self.conv.in_channels;
        let mut reach = 0;
        for c in 0..self.conv.out_channels {
            let weights = &mut self.weights[c * inputs..(c + 1) * inputs];
            let (mut least, mut most) = (i64::from(self.bias[c]), i64::from(self.bias[c]));
            for &w in weights.iter() {
                let ends = [-128, 127].map(|x| x * i64::from(w));
                least += ends[0].min(ends[1]);
                most += ends[0].max(ends[1]);
            }
            let (lo, hi) = self.range;
            let result = |acc: i64| {
                let y = i64::from(self.multipliers[c].apply(acc as i32));
                (y + i64::from(self.zero_point)).clamp(i64::from(lo), i64::from(hi)) as i32
            };
            // Left shifts may wrap, and then nothing is monotone.
            if self.multipliers[c].exponent <= 0 && result(least) == result(most) {
                // A quarter of four times the distance from the zero point, exactly.
                self.bias[c] = 4 * (result(least) - self.zero_point);
                // Not quite a quarter, where rounding is to even: ties would have to be looked for.
                let rounding = self.multipliers[c].rounding;
                let odd = i32::from(rounding == Rounding::HalfEven);
                self.multipliers[c] = Multiplier::of(1 << 30 | odd, -1).rounded(rounding);
                weights.fill(0);
            } else {
                reach = reach.max(least.abs()).max(most.abs());
            }
        }
        reach
    }

    /// Whether the tile can compute this convolution; `reach` bounds the accumulators.
    #[must_use]
    pub fn applies(conv: &Conv, reach: i64) -> bool {
        let unit = |a: &crate::geometry::Axis| a.kernel == 1 && a.before == 0;
        // The tile keeps accumulators doubled.
        conv.groups == 1 && unit(&conv.window.y) && unit(&conv.window.x) && reach < 1 << 30
    }

    fn is_half_even(&self) -> bool {
        self.multipliers.first().is_some_and(|m| m.rounding == Rounding::HalfEven)
    }

    fn depth(&self) -> usize {
        self.conv.in_channels.div_ceil(DEPTH)
    }

    /// Per channel pair, four weights of the first channel, four of the second, and so on; missing
    /// channels are zero.
    fn packed(&self) -> Vec<i8> {
        let (inputs, outputs) = (self.conv.in_channels, self.conv.out_channels);
        let mut packed = Vec::new();
        for pair in 0..outputs.div_ceil(CHANNELS) {
            for k in 0..self.depth() {
                for c in 0..CHANNELS {
                    for i in 0..DEPTH {
                        let (o, i) = (pair * CHANNELS + c, k * DEPTH + i);
                        let exists = o < outputs && i < inputs;
                        packed.push(if exists { self.weights[o * inputs + i] } else { 0 });
                    }
                }
            }
        }
        packed
    }

    /// Builds the kernel.
    pub fn build(&self, k: &mut KernelBuilder, input: Buf, output: Buf) {
        let weights = k.constant("weights", TensorData::I8(self.packed()));
        let mut doubled: Vec<i32> = self.bias.iter().map(|b| 2 * b).collect();
        doubled.resize(self.bias.len().div_ceil(CHANNELS) * CHANNELS, 0);
        let bias = k.constant("bias", TensorData::I32(doubled));
        let finish = self.declare_finish(k);
        let wide = k.scratch("wide", Ty::I16, self.depth() * PIXELS * DEPTH);
        let (y, x) = (self.conv.window.y, self.conv.window.x);
        let pixels = self.conv.window.batch * y.output * x.output;
        let outputs = self.conv.out_channels;
        k.for_step("p", pixels, PIXELS, |k, p| {
            let at: Vec<Expr> = self.tile_pixels(k, p, pixels);
            k.comment("Three pixels as doubled int16, bytes 0 2 1 3 of each group of four.");
            self.widen(k, input, wide, &at);
            let full = outputs / CHANNELS * CHANNELS;
            k.for_step("c", full, CHANNELS, |k, c| {
                self.step(k, (weights, bias, wide, output), &finish, &at, &c, CHANNELS);
            });
            if outputs > full {
                self.step(k, (weights, bias, wide, output), &finish, &at, &idx(full), 1);
            }
        });
    }

    fn declare_finish(&self, k: &mut KernelBuilder) -> Finish {
        // As in `is_plain_shift`, with one step less to the right.
        let shifts = |m: &Multiplier| {
            let is_away = m.rounding == Rounding::HalfAway;
            (-22..=-1).contains(&m.exponent) && (is_away || m.mantissa.trailing_zeros() <= 20)
        };
        let plain = self.multipliers.iter().all(shifts);
        if !plain {
            let m = &self.multipliers;
            return Finish::General(Requantize::declare(k, m, self.zero_point, self.range));
        }
        let mantissa = self.multipliers.iter().map(|m| m.mantissa).collect();
        let shift = self.multipliers.iter().map(|m| -m.exponent as i8).collect();
        Finish::Shift {
            mantissa: k.constant("multiplier", TensorData::I32(mantissa)),
            shift: k.constant("shift", TensorData::I8(shift)),
        }
    }

    /// The pixels of a tile. The last tile of an incomplete count starts earlier and computes some
    /// pixels again; with fewer than three pixels in all, one is computed several times.
    fn tile_pixels(&self, k: &mut KernelBuilder, p: Expr, pixels: usize) -> Vec<Expr> {
        if pixels < PIXELS {
            return (0..PIXELS).map(|i| idx(i.min(pixels - 1))).collect();
        }
        let first = if pixels.is_multiple_of(PIXELS) {
            p
        } else {
            let last = idx(pixels - PIXELS);
            k.let_("first", Expr::call(Intrinsic::MinI32, vec![p, last]))
        };
        (0..PIXELS).map(|i| first.clone() + idx(i)).collect()
    }

    /// First input element of output pixel `p`.
    fn source(&self, p: &Expr) -> Expr {
        let (y, x) = (self.conv.window.y, self.conv.window.x);
        let channels = idx(self.conv.in_channels);
        if y.stride == 1 && x.stride == 1 {
            return p.clone() * channels;
        }
        let n = p.clone() / idx(y.output * x.output);
        let oy = p.clone() / idx(x.output) % idx(y.output);
        let ox = p.clone() % idx(x.output);
        ((n * idx(y.input) + oy * idx(y.stride)) * idx(x.input) + ox * idx(x.stride)) * channels
    }

    fn widen(&self, k: &mut KernelBuilder, input: Buf, wide: Buf, at: &[Expr]) {
        let source: Vec<Expr> = at.iter().map(|p| k.let_("x", self.source(p))).collect();
        let (full, rest) = (self.conv.in_channels / DEPTH, self.conv.in_channels % DEPTH);
        let group = |k: &mut KernelBuilder, g: &Expr, present: usize| {
            for (i, source) in source.iter().enumerate() {
                let to = g.clone() * idx(PIXELS * DEPTH) + idx(i * DEPTH);
                for (slot, byte) in [0, 2, 1, 3].into_iter().enumerate() {
                    let value = if byte < present {
                        let x = source.clone() + g.clone() * idx(DEPTH) + idx(byte);
                        k.load_wide(input, x) * int(2)
                    } else {
                        int(0)
                    };
                    k.store(wide, to.clone() + idx(slot), value);
                }
            }
        };
        k.for_("g", full, |k, g| group(k, &g, DEPTH));
        if rest > 0 {
            group(k, &idx(full), rest);
        }
    }

    /// One tile: `stored` of its two channels are kept.
    fn step(
        &self,
        k: &mut KernelBuilder,
        (weights, bias, wide, output): (Buf, Buf, Buf, Buf),
        finish: &Finish,
        at: &[Expr],
        c: &Expr,
        stored: usize,
    ) {
        let mut acc: Vec<Var> = Vec::new();
        for i in 0..PIXELS {
            for j in 0..CHANNELS {
                let start = k.load(bias, c.clone() + idx(j));
                acc.push(k.var(&format!("acc{i}{j}"), start));
            }
        }
        let cursors = vec![
            Cursor { name: "xs".into(), buf: wide, start: int(0), stride: PIXELS * DEPTH * 2 },
            Cursor {
                name: "ws".into(),
                buf: weights,
                start: c.clone() * idx(self.depth() * DEPTH),
                stride: CHANNELS * DEPTH,
            },
        ];
        let body = tile_body();
        k.tile(Tile {
            trips: self.depth(),
            accumulators: acc.clone(),
            cursors,
            registers: 6,
            body,
        });
        if matches!(finish, Finish::Shift { .. }) {
            k.comment("Requantize: acc is doubled, m / 2^(31 + r) its scale; round holds half and the zero point.");
        }
        for j in 0..stored {
            let channel = c.clone() + idx(j);
            let constants = self.channel_constants(k, finish, &channel);
            for (i, p) in at.iter().enumerate() {
                let value = self.convert(k, finish, acc[i * CHANNELS + j], &channel, &constants);
                let to = p.clone() * idx(self.conv.out_channels) + channel.clone();
                k.store(output, to, value);
            }
        }
    }

    /// Mantissa, shift, and rounding term with the zero point of one channel.
    fn channel_constants(&self, k: &mut KernelBuilder, f: &Finish, c: &Expr) -> Vec<Expr> {
        let Finish::Shift { mantissa, shift } = f else { return Vec::new() };
        let m = k.let_("m", k.load(*mantissa, c.clone()));
        let r = k.let_("r", k.load_wide(*shift, c.clone()));
        let half = Expr::bin(BinOp::Shl, int(1), r.clone() - int(1));
        let round = k.let_("round", half * int(2 * i64::from(self.zero_point) + 1));
        vec![m, r, round]
    }

    fn convert(
        &self,
        k: &mut KernelBuilder,
        f: &Finish,
        acc: Var,
        c: &Expr,
        constants: &[Expr],
    ) -> Expr {
        let general = match (f, constants) {
            (Finish::Shift { .. }, [m, r, round]) => {
                let sum = if self.is_half_even() {
                    // The high word of the product, not rounded: the only rounding is the shift.
                    let product = Expr::from(acc).cast(Ty::I64) * m.clone().cast(Ty::I64);
                    product.shifted_right(int(32)).cast(Ty::I32) + round.clone()
                } else {
                    let h = Expr::call(Intrinsic::Smmulr, vec![acc.into(), m.clone()]);
                    let h = k.let_("h", h);
                    h.clone() + h.shifted_right(int(31)) + round.clone()
                };
                let y = Expr::call(Intrinsic::Ssat8, vec![sum.shifted_right(r.clone())]);
                return match self.range {
                    (-128, 127) => y,
                    (lo, hi) => y.clamp(lo, hi),
                };
            }
            (Finish::Shift { .. }, _) => return int(0),
            (Finish::General(general), _) => general,
        };
        general.apply(k, Expr::from(acc).shifted_right(int(1)), c)
    }
}

/// 24 multiply-accumulates in 20 instructions; registers: 0..3 weights, 4 and 5 activations.
fn tile_body() -> Vec<TileInst> {
    let r = TileReg;
    let unpack = |dst, src, ror8| TileInst::Sxtb16 { dst: r(dst), src: r(src), ror8 };
    let mut body = vec![
        TileInst::LoadPair { lo: r(0), hi: r(2), cursor: 1, offset: 0, advance: true },
        unpack(1, 0, true),
        unpack(0, 0, false),
        unpack(3, 2, true),
        unpack(2, 2, false),
    ];
    let stride = (PIXELS * DEPTH * 2) as i32;
    for i in 0..PIXELS {
        let (offset, advance) =
            if i == 0 { (0, true) } else { (i as i32 * DEPTH as i32 * 2 - stride, false) };
        body.push(TileInst::LoadPair { lo: r(4), hi: r(5), cursor: 0, offset, advance });
        for (x, w) in [(4, 0), (5, 1)] {
            for j in 0..CHANNELS {
                let acc = i * CHANNELS + j;
                body.push(TileInst::Smlad { acc, a: r(x), b: r(w + 2 * j as u8) });
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Axis, Ends, Window};

    #[test]
    fn constant_channels_keep_their_result() {
        let axis = Axis::new(4, 1, 1, 1, Ends::Valid).expect("fits");
        let window = Window { batch: 1, y: axis, x: axis };
        let conv = Conv { window, in_channels: 2, out_channels: 3, groups: 1 };
        let tiny = Multiplier::of(1 << 30, -24);
        let plain = Multiplier::of(1 << 30, -6);
        let mut p = Pointwise {
            conv: &conv,
            weights: vec![1, 2, 3, 4, 5, 6],
            bias: vec![2_000_000_000, 10, -2_000_000_000],
            multipliers: vec![tiny, plain, tiny],
            zero_point: 3,
            range: (-128, 127),
        };
        let before: Vec<i32> = [0, 2].map(|c: usize| p.multipliers[c].apply(p.bias[c])).to_vec();
        let reach = p.settle_constant_channels();
        let after: Vec<i32> = [0, 2].map(|c: usize| p.multipliers[c].apply(p.bias[c])).to_vec();
        assert_eq!(before, after);
        assert_eq!(p.weights, [0, 0, 3, 4, 0, 0]);
        assert!(reach < 2000);
    }
}
