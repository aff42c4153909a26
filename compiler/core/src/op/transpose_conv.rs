//! TransposeConv over NHWC with OHWI weights: spreads each input over a window of the output.
//! TFLite TRANSPOSE_CONV. Operands: input, constant weights, optional constant bias.

use super::conv2d::dims4;
use super::weights::{self, Layer};
use super::{Arithmetic, OpError, Operator, QuantRule, Signature};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kernels::conv::ConvBuffers;
use crate::kernels::transpose_conv::{Spread, TransposeConvKernel};
use crate::geometry::{Axis, Ends, Padding};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;

/// `y[i * stride + t - before] = activation(b + sum of x[i] * w[t])`.
#[derive(Clone, Debug, PartialEq)]
pub struct TransposeConv {
    /// Vertical and horizontal distance between outputs of neighbouring inputs.
    pub stride: (usize, usize),
    /// Padding scheme of the convolution that this is the transpose of.
    pub padding: Padding,
    /// Fused activation.
    pub activation: Activation,
    /// Height and width of the result.
    pub output: (usize, usize),
}

impl TransposeConv {
    fn geometry(&self, s: &Signature<'_>) -> Result<TransposeConvKernel, OpError> {
        let (x, w) = (s.operand(0)?.shape(), s.operand(1)?.shape());
        let ([batch, h, width, c], [o, kh, kw, i]) = (dims4(x, "input")?, dims4(w, "weights")?);
        if x.elements() == 0 || w.elements() == 0 || i != c {
            return Err(OpError::invalid(format!("input {x} and weights {w} do not fit")));
        }
        let spread = |input, output: usize, kernel: usize, stride, ends| {
            Self::spread(input, output, kernel, stride, ends).ok_or_else(|| {
                OpError::invalid(format!(
                    "input {x}, weights {w} and stride {:?} do not give an output of {:?}",
                    self.stride, self.output
                ))
            })
        };
        let y = spread(h, self.output.0, kh, self.stride.0, self.padding.rows())?;
        let x = spread(width, self.output.1, kw, self.stride.1, self.padding.columns())?;
        let int8 = s.operand(0)?.dtype() == DType::I8;
        let zero_point = if int8 { s.operand(0)?.per_tensor()?.1 } else { 0 };
        Ok(TransposeConvKernel { batch, y, x, in_channels: c, out_channels: o, zero_point })
    }

    /// The padding is that of a convolution over the output; VALID cuts nothing off. The extents
    /// need not be those of such a convolution: TFLite takes any output shape.
    fn spread(
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
        ends: Ends,
    ) -> Option<Spread> {
        // Every index of the kernel stays below output + 2 * kernel.
        let reach = kernel.checked_mul(2)?.checked_add(output)?;
        if stride == 0 || output == 0 || reach > i32::MAX as usize {
            return None;
        }
        let before = match ends {
            Ends::Valid => 0,
            Ends::Same => Axis::new(output, kernel, stride, 1, Ends::Same)?.before,
            Ends::Explicit(before, _) => Some(before).filter(|&b| b <= i32::MAX as usize - reach)?,
        };
        Some(Spread { input, output, kernel, stride, before })
    }
}

impl Operator for TransposeConv {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 3)?;
        let g = self.geometry(s)?;
        weights::check(s, g.out_channels, 0)?;
        if weights::zero_point(s)? != 0 {
            return Err(OpError::unsupported("weights with a zero point are not supported"));
        }
        let dims = vec![g.batch, g.y.output, g.x.output, g.out_channels];
        let shape = Shape::checked(dims)
            .ok_or_else(|| OpError::invalid("the result has more than 2^31 - 1 elements"))?;
        Ok(vec![TensorType::new(s.operand(0)?.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let g = self.geometry(s)?;
        let shape = s.result(0)?.shape().clone();
        let channels = g.out_channels;
        let data = match s.arithmetic()? {
            Arithmetic::Int8 => {
                let layer = Layer::int8(s, inputs, channels, self.activation)?;
                let mut acc: Vec<i32> =
                    (0..shape.elements()).map(|o| layer.bias(o % channels)).collect();
                scatter(&g, &mut |at, wat, to| {
                    acc[to] = acc[to].wrapping_add(layer.dot(at, wat, g.in_channels));
                });
                let finish = |(o, &acc): (usize, &i32)| layer.finish(acc, o % channels);
                TensorData::I8(acc.iter().enumerate().map(finish).collect())
            }
            Arithmetic::Real => {
                let (x, w, b) = weights::float_operands(s, inputs)?;
                let mut acc = vec![0.0f32; shape.elements()];
                scatter(&g, &mut |at, wat, to| {
                    for i in 0..g.in_channels {
                        acc[to] += x[at + i] * w[wat + i];
                    }
                });
                for (o, v) in acc.iter_mut().enumerate() {
                    *v = self.activation.apply_f32(*v + b.map_or(0.0, |b| b[o % channels]));
                }
                TensorData::F32(acc)
            }
        };
        Ok(vec![Tensor { shape, data }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Weights { axis: 0 }
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.geometry(s).map_or(0, |g| {
            let taps = g.y.kernel * g.x.kernel * g.out_channels;
            (g.batch * g.y.input * g.x.input * g.in_channels) as u64 * taps as u64
        })
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn has_channels(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let g = self.geometry(s)?;
        if s.operand(0)?.dtype() == DType::I8 {
            check_reach(s, &g)?;
        }
        let input = k.operand(s, 0, "x")?;
        let weights = k.operand(s, 1, "weights")?;
        // No weights per channel: the bias stays as it is, see `zero_point` of the kernel.
        let (bias, finish, pad) =
            weights::lower(s, k, g.out_channels, self.activation, |_, _| [].iter())?;
        let output = k.result(s, 0, "y")?;
        g.build(k, &ConvBuffers { input, weights, bias, output, pad, zero_weights: 0 }, &finish);
        Ok(())
    }
}

/// Accumulators of an int8 layer must fit int32 however many taps meet.
fn check_reach(s: &Signature<'_>, g: &TransposeConvKernel) -> Result<(), OpError> {
    let w = weights::constant(s, 1)?.as_i8().ok_or_else(|| OpError::types(s))?;
    let bias = match s.operands.len() {
        0..=2 => None,
        _with_bias => Some(weights::constant(s, 2)?.as_i32().ok_or_else(|| OpError::types(s))?),
    };
    let magnitude = (i64::from(g.zero_point) + 128).max(127 - i64::from(g.zero_point));
    for (c, filter) in w.chunks(w.len() / g.out_channels).enumerate() {
        let sum: i64 = filter.iter().map(|&w| i64::from(w).abs()).sum();
        let start = bias.and_then(|b| b.get(c)).map_or(0, |&b| i64::from(b).abs());
        if start + magnitude * sum > i64::from(i32::MAX) {
            return Err(OpError::unsupported(format!(
                "the accumulator of output channel {c} can exceed int32"
            ))
            .help("check the bias: its scale should be input scale * weight scale"));
        }
    }
    Ok(())
}

/// Calls `f(input index, weight index, output index)` for every pair of an input pixel and a tap
/// that meets the output; the indices are those of the first input channel.
fn scatter(g: &TransposeConvKernel, f: &mut dyn FnMut(usize, usize, usize)) {
    let (y, x) = (g.y, g.x);
    for p in 0..g.batch * y.input * x.input {
        let (n, iy, ix) = (p / (y.input * x.input), p / x.input % y.input, p % x.input);
        for (ky, kx) in (0..y.kernel).flat_map(|ky| (0..x.kernel).map(move |kx| (ky, kx))) {
            let (Some(oy), Some(ox)) = (y.reached(iy, ky), x.reached(ix, kx)) else { continue };
            for c in 0..g.out_channels {
                let tap = ((c * y.kernel + ky) * x.kernel + kx) * g.in_channels;
                let to = ((n * y.output + oy) * x.output + ox) * g.out_channels + c;
                f(p * g.in_channels, tap, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    fn op(stride: (usize, usize), padding: Padding, output: (usize, usize)) -> TransposeConv {
        TransposeConv { stride, padding, activation: Activation::None, output }
    }

    #[test]
    fn lowering_equals_evaluation() {
        for (kernel, op) in [
            ((3, 3), op((2, 2), Padding::Same, (8, 6))),
            ((3, 3), op((2, 2), Padding::Valid, (9, 7))),
            ((3, 2), op((1, 1), Padding::Same, (4, 3))),
            ((3, 2), op((1, 1), Padding::Valid, (6, 4))),
            ((4, 4), op((2, 2), Padding::Same, (8, 6))),
            ((2, 1), op((3, 2), Padding::Valid, (12, 6))),
            ((5, 3), op((2, 1), Padding::Same, (7, 3))),
            // Not the extents of any convolution: rows beyond every input get the bias.
            ((2, 2), op((2, 2), Padding::Valid, (13, 3))),
        ] {
            let scales = (0..6).map(|i| 0.002 + 0.0007 * i as f32).collect();
            let weights = [6, kernel.0, kernel.1, 5];
            let x = Spec::i8(&[2, 4, 3, 5], 0.03, -11);
            let w = Spec::i8(&weights, 1.0, 0).per_axis(0, scales).constant(7);
            let b = Spec::of(DType::I32, &[6]).constant(8);
            let relu = TransposeConv { activation: Activation::Relu, ..op.clone() };
            check(op.clone(), &[x.clone(), w.clone(), b], &[(0.07, 3)]);
            check(relu, &[x, w], &[(0.05, -20)]);
            let (x, w) = (Spec::f32(&[2, 4, 3, 5]), Spec::f32(&weights).constant(7));
            let b = Spec::f32(&[6]).constant(9);
            check(op.clone(), &[x.clone(), w.clone(), b], &[]);
            check(op, &[x, w], &[]);
        }
    }
}
