//! DepthwiseConv2d over NHWC: every input channel has `multiplier` filters of its own.
//! TFLite DEPTHWISE_CONV_2D. Operands: input, constant weights [1][kh][kw][out], optional bias.

use super::conv2d::dims4;
use super::weights::{self, Layer};
use super::{Arithmetic, OpError, Operator, QuantRule, Signature};
use crate::tensor::{Tensor, TensorData, TensorType};
use crate::kernels::conv::ConvBuffers;
use crate::kernels::depthwise::Depthwise;
use crate::geometry::{Axis, Padding, Window};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;

/// `y[c * multiplier + m] = activation(conv(x[c], w[c * multiplier + m]) + b)`.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthwiseConv2d {
    /// Vertical and horizontal step.
    pub stride: (usize, usize),
    /// Vertical and horizontal distance between taps.
    pub dilation: (usize, usize),
    /// Padding scheme.
    pub padding: Padding,
    /// Fused activation.
    pub activation: Activation,
}

impl DepthwiseConv2d {
    fn depthwise(&self, s: &Signature<'_>) -> Result<Depthwise, OpError> {
        let (x, w) = (s.operand(0)?.shape(), s.operand(1)?.shape());
        let ([n, h, width, c], [one, kh, kw, o]) = (dims4(x, "input")?, dims4(w, "weights")?);
        if one != 1 || c == 0 || o == 0 || o % c != 0 {
            return Err(OpError::invalid(format!(
                "weights {w} do not give {c} input channels the same number of filters"
            )));
        }
        let axis = |input, kernel, stride, dilation, ends| {
            Axis::new(input, kernel, stride, dilation, ends).ok_or_else(|| {
                OpError::invalid(format!(
                    "input {x}, weights {w}, stride {:?} and dilation {:?} give no output",
                    self.stride, self.dilation
                ))
            })
        };
        let y = axis(h, kh, self.stride.0, self.dilation.0, self.padding.rows())?;
        let x = axis(width, kw, self.stride.1, self.dilation.1, self.padding.columns())?;
        Ok(Depthwise { window: Window { batch: n, y, x }, in_channels: c, multiplier: o / c })
    }
}

impl Operator for DepthwiseConv2d {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 3)?;
        let d = self.depthwise(s)?;
        let channels = d.in_channels * d.multiplier;
        weights::check(s, channels, 3)?;
        let dims = [d.window.batch, d.window.y.output, d.window.x.output, channels];
        Ok(vec![TensorType::new(s.operand(0)?.dtype(), dims.as_slice().into())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let d = self.depthwise(s)?;
        let channels = d.in_channels * d.multiplier;
        let shape = s.result(0)?.shape().clone();
        let data = match s.arithmetic()? {
            Arithmetic::Int8 => {
                let layer = Layer::int8(s, inputs, channels, self.activation)?;
                let mut out = Vec::new();
                each_output(&d, &mut |taps, c| {
                    let sum: i32 = taps.iter().map(|&(x, w)| layer.dot(x, w, 1)).sum();
                    out.push(layer.finish(layer.bias(c) + sum, c));
                });
                TensorData::I8(out)
            }
            Arithmetic::Real => {
                let (x, w, b) = weights::float_operands(s, inputs)?;
                let mut out = Vec::new();
                each_output(&d, &mut |taps, c| {
                    let sum: f32 = taps.iter().map(|&(i, j)| x[i] * w[j]).sum();
                    out.push(self.activation.apply_f32(sum + b.map_or(0.0, |b| b[c])));
                });
                TensorData::F32(out)
            }
        };
        Ok(vec![Tensor { shape, data }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Weights { axis: 3 }
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        let taps = s.operands.get(1).map_or(0, |w| w.shape().0.iter().take(3).product::<usize>());
        let outputs = s.results.first().map_or(0, |r| r.shape().elements());
        taps as u64 * outputs as u64
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn has_channels(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let d = self.depthwise(s)?;
        let channels = d.in_channels * d.multiplier;
        let input = k.operand(s, 0, "x")?;
        let weights = k.operand(s, 1, "weights")?;
        let (bias, finish, pad) = weights::lower(s, k, channels, self.activation, |c, w| {
            w.iter().skip(c).step_by(channels)
        })?;
        let output = k.result(s, 0, "y")?;
    let zero_weights = weights::zero_point(s)?;
        d.build(k, &ConvBuffers { input, weights, bias, output, pad, zero_weights }, &finish);
        Ok(())
    }
}

/// Input index and weight index of one tap.
type Tap = (usize, usize);

/// Calls `f` with the in-bounds taps (input index, weight index) and channel of every output.
fn each_output(d: &Depthwise, f: &mut dyn FnMut(&[Tap], usize)) {
    let (y, x) = (d.window.y, d.window.x);
    let channels = d.in_channels * d.multiplier;
    for p in 0..d.window.batch * y.output * x.output {
        let (n, oy, ox) = (p / (y.output * x.output), p / x.output % y.output, p % x.output);
        for c in 0..channels {
            let mut taps = Vec::with_capacity(y.kernel * x.kernel);
            for (ky, kx) in (0..y.kernel).flat_map(|ky| (0..x.kernel).map(move |kx| (ky, kx))) {
                if let (Some(iy), Some(ix)) = (y.inside(oy, ky), x.inside(ox, kx)) {
                    let at = ((n * y.input + iy) * x.input + ix) * d.in_channels + c / d.multiplier;
                    taps.push((at, (ky * x.kernel + kx) * channels + c));
                }
            }
            f(&taps, c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;
    use crate::op::testing::{Spec, check, check_quant};
    use crate::tensor::QuantParams;

    #[test]
    fn rounded_once_with_and_without_a_weight_zero_point() {
        for (zero, quant) in [(0, (0.2, 3)), (-128, (0.4, -128)), (55, (2.0, 9))] {
            let x = Spec::i8(&[1, 5, 4, 6], 0.125, 9);
            let w = Spec::i8(&[1, 3, 3, 6], 0.0625, zero).constant(3);
            let (stride, dilation, activation) = ((1, 1), (1, 1), Activation::None);
            let op = DepthwiseConv2d { stride, dilation, padding: Padding::Same, activation };
            let to = QuantParams::per_tensor(quant.0, quant.1).half_even();
            check_quant(op, &[x, w], &to);
        }
    }

    #[test]
    fn lowering_equals_evaluation() {
        for (stride, dilation, multiplier, kernel) in
            [(1, 1, 1, 3), (2, 1, 1, 3), (1, 2, 2, 3), (1, 1, 3, 6)]
        {
            let op = |activation| DepthwiseConv2d {
                stride: (stride, stride),
                dilation: (dilation, dilation),
                padding: Padding::Same,
                activation,
            };
            let channels = 5 * multiplier;
            let x = Spec::i8(&[1, 6, 7, 5], 0.05, 17);
            let scales = (0..channels).map(|i| 0.004 + 0.001 * i as f32).collect();
            let w = Spec::i8(&[1, kernel, kernel, channels], 1.0, 0).per_axis(3, scales).constant(5);
            let b = Spec::of(DType::I32, &[channels]).constant(6);
            check(op(Activation::None), &[x, w, b], &[(0.3, 4)]);
            let x = Spec::f32(&[1, 6, 7, 5]);
            let w = Spec::f32(&[1, kernel, kernel, channels]).constant(5);
            check(op(Activation::Relu), &[x, w], &[]);
        }
    }
}
