//! RoiAlign: regions of images resampled to one size. ONNX RoiAlign. Operands: images
//! `[n, channels, height, width]`, regions `[r, 4]` as x and y of two corners, the image of each.

use super::indexing::{limited, limited_expr};
use super::{OpError, Operator, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kir::{BinOp, Buf, Expr, Intrinsic, KernelBuilder, Ty, Var, float, idx};

/// Samples of one bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Mean of the samples.
    Mean,
    /// The largest share that a pixel has in a sample (so defines ONNX).
    Max,
}

/// Image numbers as in `indexing`. Samples further than one pixel outside of the image count as 0.
#[derive(Clone, Debug, PartialEq)]
pub struct RoiAlign {
    /// Rows of the result.
    pub height: usize,
    /// Columns of the result.
    pub width: usize,
    /// Samples along each edge of a bin.
    pub samples: usize,
    /// Region coordinates times this are pixels.
    pub scale: f32,
    /// Pixel centres lie at .5: regions keep their size. Otherwise they are at least one pixel large.
    pub half_pixel: bool,
    /// What becomes of samples.
    pub pooling: Pooling,
}

/// images, channels, height, width, regions.
fn extents(s: &Signature<'_>) -> Result<[usize; 5], OpError> {
    let [x, regions, numbers] = [s.operand(0)?, s.operand(1)?, s.operand(2)?].map(|o| o.shape());
    match (x.0.as_slice(), regions.0.as_slice(), numbers.0.as_slice()) {
        (&[n, c, h, w], &[r, 4], &[m]) if r == m && x.elements() > 0 => Ok([n, c, h, w, r]),
        _other => Err(OpError::invalid(format!(
            "images {x}, regions {regions} and image numbers {numbers} do not fit"
        ))),
    }
}

/// A position along one axis, ready to be interpolated.
#[derive(Clone, Copy)]
struct Sample {
    low: usize,
    high: usize,
    /// Share of `high`.
    share: f32,
    outside: bool,
}

fn sample(at: f32, extent: usize) -> Sample {
    let last = (extent - 1) as f32;
    let inside = tinycc_rt::min_f32(tinycc_rt::max_f32(at, 0.0), last);
    let low = inside as usize;
    let outside = at < -1.0 || at > extent as f32;
    Sample { low, high: (low + 1).min(extent - 1), share: inside - low as f32, outside }
}

impl RoiAlign {
    /// Start and bin of a region along one axis.
    fn bin(&self, from: f32, to: f32, bins: usize) -> (f32, f32) {
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let (start, end) = (from * self.scale - offset, to * self.scale - offset);
        let size = end - start;
        let size = if self.half_pixel { size } else { tinycc_rt::max_f32(size, 1.0) };
        (start, size / bins as f32)
    }

    fn value(&self, plane: &[f32], width: usize, y: Sample, x: Sample) -> f32 {
        if y.outside || x.outside {
            return 0.0;
        }
        let pixel = |row: usize, column: usize| plane[row * width + column];
        let (up, left) = (1.0 - y.share, 1.0 - x.share);
        let parts = [
            up * left * pixel(y.low, x.low),
            up * x.share * pixel(y.low, x.high),
            y.share * left * pixel(y.high, x.low),
            y.share * x.share * pixel(y.high, x.high),
        ];
        let join = match self.pooling {
            Pooling::Mean => |a: f32, b: f32| a + b,
            Pooling::Max => tinycc_rt::max_f32,
        };
        join(join(join(parts[0], parts[1]), parts[2]), parts[3])
    }
}

impl Operator for RoiAlign {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(3, 3)?;
        let types = [s.operand(0)?.dtype(), s.operand(1)?.dtype()];
        let number = s.operand(2)?.dtype();
        if types != [DType::F32; 2] || !matches!(number, DType::I32 | DType::I64) {
            return Err(OpError::types(s));
        }
        let [_, channels, _, _, regions] = extents(s)?;
        if self.samples == 0 || self.samples > 1 << 10 {
            return Err(OpError::invalid(format!("{} samples are not possible", self.samples)));
        }
        let shape = super::movement::result_shape(vec![regions, channels, self.height, self.width])?;
        if shape.elements() == 0 {
            return Err(OpError::invalid(format!("the result {shape} has no elements")));
        }
        Ok(vec![TensorType::new(DType::F32, shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [Some(images), Some(regions)] = [0, 1].map(|i| inputs.get(i).and_then(|t| t.as_f32()))
        else {
            return Err(OpError::types(s));
        };
        let numbers = inputs.get(2).and_then(|t| t.to_i64()).ok_or_else(|| OpError::types(s))?;
        let [n, channels, h, w, _] = extents(s)?;
        let share = |i: usize| (i as f32 + 0.5, self.samples as f32);
        let mut out = Vec::new();
        for (region, &number) in regions.chunks_exact(4).zip(&numbers) {
            let (x0, bin_x) = self.bin(region[0], region[2], self.width);
            let (y0, bin_y) = self.bin(region[1], region[3], self.height);
            let at = |start: f32, bin: f32, i: usize, of: usize| {
                let (centre, samples) = share(of);
                start + i as f32 * bin + centre * bin / samples
            };
            for c in 0..channels {
                let plane = &images[(limited(number, n) * channels + c) * h * w..][..h * w];
                for place in 0..self.height * self.width {
                    let (i, j) = (place / self.width, place % self.width);
                    let mut all: Option<f32> = None;
                    for sub in 0..self.samples * self.samples {
                        let y = sample(at(y0, bin_y, i, sub / self.samples), h);
                        let x = sample(at(x0, bin_x, j, sub % self.samples), w);
                        let value = self.value(plane, w, y, x);
                        all = Some(match (all, self.pooling) {
                            (None, _) => value,
                            (Some(all), Pooling::Mean) => all + value,
                            (Some(all), Pooling::Max) => tinycc_rt::max_f32(all, value),
                        });
                    }
                    let all = all.unwrap_or(0.0);
                    out.push(match self.pooling {
                        Pooling::Mean => all / (self.samples * self.samples) as f32,
                        Pooling::Max => all,
                    });
                }
            }
        }
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: TensorData::F32(out) }])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let [n, channels, h, w, regions] = extents(s)?;
        let (x, roi) = (k.operand(s, 0, "x")?, k.operand(s, 1, "regions")?);
        let (numbers, y) = (k.operand(s, 2, "numbers")?, k.result(s, 0, "y")?);
        k.for_("r", regions, |k, r| {
            let raw = k.load(numbers, r.clone());
            let image = limited_expr(k, raw, n);
            let image = k.let_("image", image * idx(channels));
            let corner = |k: &KernelBuilder, i: usize| k.load(roi, r.clone() * idx(4) + idx(i));
            let (left, right) = (corner(k, 0), corner(k, 2));
            let (top, bottom) = (corner(k, 1), corner(k, 3));
            let across = self.bin_expr(k, left, right, self.width);
            let down = self.bin_expr(k, top, bottom, self.height);
            k.for_("c", channels, |k, c| {
                let plane = k.let_("plane", (image.clone() + c.clone()) * idx(h * w));
                k.for_("i", self.height, |k, i| {
                    k.for_("j", self.width, |k, j| {
                        let acc = k.var("acc", self.start());
                        let axes = (Axis { at: i.clone(), bin: &down, extent: h }, Axis {
                            at: j.clone(),
                            bin: &across,
                            extent: w,
                        });
                        self.build_samples(k, (x, &plane), axes, acc);
                        let line = (r.clone() * idx(channels) + c.clone()) * idx(self.height) + i;
                        let to = line * idx(self.width) + j;
                        let count = (self.samples * self.samples) as f32;
                        let value = match self.pooling {
                            Pooling::Mean => acc / float(count),
                            Pooling::Max => acc.into(),
                        };
                        k.store(y, to, value);
                    });
                });
            });
        });
        Ok(())
    }
}

/// One axis of a bin: which bin, start and size of bins, extent of the image.
struct Axis<'a> {
    at: Expr,
    bin: &'a (Expr, Expr),
    extent: usize,
}

/// `Sample` in a kernel.
struct SampleExpr {
    low: Expr,
    high: Expr,
    share: Expr,
    outside: Expr,
}

impl RoiAlign {
    /// Value of the accumulator before the first sample.
    fn start(&self) -> Expr {
        match self.pooling {
            Pooling::Mean => float(0.0),
            Pooling::Max => float(f32::NEG_INFINITY),
        }
    }

    fn bin_expr(&self, k: &mut KernelBuilder, from: Expr, to: Expr, bins: usize) -> (Expr, Expr) {
        let offset = float(if self.half_pixel { 0.5 } else { 0.0 });
        let start = k.let_("start", from * float(self.scale) - offset.clone());
        let size = to * float(self.scale) - offset - start.clone();
        let size = match self.half_pixel {
            true => size,
            false => Expr::call(Intrinsic::MaxF32, vec![size, float(1.0)]),
        };
        let bin = k.let_("bin", size / float(bins as f32));
        (start, bin)
    }

    fn sample_expr(&self, k: &mut KernelBuilder, axis: &Axis<'_>, sub: Expr) -> SampleExpr {
        let (start, bin) = axis.bin;
        let centre = (sub.cast(Ty::F32) + float(0.5)) * bin.clone() / float(self.samples as f32);
        let at = start.clone() + axis.at.clone().cast(Ty::F32) * bin.clone() + centre;
        let at = k.let_("at", at);
        let last = axis.extent - 1;
        let inside = Expr::call(Intrinsic::MaxF32, vec![at.clone(), float(0.0)]);
        let inside = Expr::call(Intrinsic::MinF32, vec![inside, float(last as f32)]);
        let inside = k.let_("inside", inside);
        let low = k.let_("low", inside.clone().cast(Ty::I32));
        let high = Expr::call(Intrinsic::MinI32, vec![low.clone() + idx(1), idx(last)]);
        let share = k.let_("share", inside - low.clone().cast(Ty::F32));
        let below = at.clone().lt(float(-1.0));
        let outside = Expr::bin(BinOp::LogicOr, below, at.gt(float(axis.extent as f32)));
        SampleExpr { low, high: k.let_("high", high), share, outside }
    }

    /// Loops over the samples of one bin of the plane that begins at `plane.1`.
    fn build_samples(
        &self,
        k: &mut KernelBuilder,
        plane: (Buf, &Expr),
        (down, across): (Axis<'_>, Axis<'_>),
        acc: Var,
    ) {
        k.for_("u", self.samples, |k, u| {
            let y = self.sample_expr(k, &down, u);
            k.for_("v", self.samples, |k, v| {
                let x = self.sample_expr(k, &across, v);
                let pixel = |k: &KernelBuilder, row: &Expr, column: &Expr| {
                    let at = plane.1.clone() + row.clone() * idx(across.extent) + column.clone();
                    k.load(plane.0, at)
                };
                let (up, left) = (float(1.0) - y.share.clone(), float(1.0) - x.share.clone());
                let parts = [
                    up.clone() * left.clone() * pixel(k, &y.low, &x.low),
                    up * x.share.clone() * pixel(k, &y.low, &x.high),
                    y.share.clone() * left * pixel(k, &y.high, &x.low),
                    y.share.clone() * x.share.clone() * pixel(k, &y.high, &x.high),
                ];
                let join = |a: Expr, b: Expr| match self.pooling {
                    Pooling::Mean => a + b,
                    Pooling::Max => Expr::call(Intrinsic::MaxF32, vec![a, b]),
                };
                let [a, b, c, d] = parts;
                let value = k.let_("value", join(join(join(a, b), c), d));
                let outside = Expr::bin(BinOp::LogicOr, y.outside.clone(), x.outside.clone());
                let value = outside.select(float(0.0), value);
                k.assign(acc, join(acc.into(), value));
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices};

    #[test]
    fn lowering_equals_evaluation() {
        for (pooling, half_pixel, samples) in
            [(Pooling::Mean, true, 2), (Pooling::Max, false, 2), (Pooling::Mean, false, 1)]
        {
            let op = RoiAlign { height: 2, width: 3, samples, scale: 0.5, half_pixel, pooling };
            for number in [DType::I64, DType::I32] {
                let operands =
                    [Spec::f32(&[2, 3, 4, 5]), Spec::f32(&[3, 4]), Spec::of(number, &[3])];
                check(op.clone(), &operands, &[]);
            }
            // One pixel, and regions far away.
            let op = RoiAlign { scale: 1e30, ..op };
            let operands =
                [Spec::f32(&[1, 1, 1, 1]), Spec::f32(&[3, 4]), Spec::of(DType::I32, &[3])];
            check(op, &operands, &[]);
        }
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for (half_pixel, pooling) in [(true, Pooling::Mean), (false, Pooling::Max)] {
            let op = RoiAlign { height: 2, width: 3, samples: 2, scale: 0.5, half_pixel, pooling };
            let operands =
                [Spec::f32(&[2, 3, 4, 5]), Spec::f32(&[3, 4]), Spec::of(DType::I64, &[3])];
            check_indices(op, &operands, &[]);
        }
    }
}
