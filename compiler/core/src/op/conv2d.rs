//! Conv2d over NHWC with OHWI weights: strides, dilation, SAME/VALID, groups, fused activation.
//! TFLite CONV_2D. Operands: input, constant weights, optional constant bias.

use super::weights::{self, Layer};
use super::{Arithmetic, OpError, Operator, QuantRule, Signature};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kernels::conv::{Conv, ConvBuffers};
use crate::kernels::pointwise::Pointwise;
use crate::geometry::{Axis, Padding, Window};
use crate::kir::KernelBuilder;
use crate::lower::Core;
use crate::numeric::Activation;

/// y = activation(conv(x, w) + b).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Vertical and horizontal step.
    pub stride: (usize, usize),
    /// Vertical and horizontal distance between taps.
    pub dilation: (usize, usize),
    /// Padding scheme.
    pub padding: Padding,
    /// Fused activation.
    pub activation: Activation,
}

impl Conv2d {
    /// Geometry from the operand shapes; groups = input channels / weight channels.
    fn conv(&self, s: &Signature<'_>) -> Result<Conv, OpError> {
        let (x, w) = (s.operand(0)?.shape(), s.operand(1)?.shape());
        let ([n, h, width, c], [o, kh, kw, i]) = (dims4(x, "input")?, dims4(w, "weights")?);
        if i == 0 || c % i != 0 || o % (c / i).max(1) != 0 || c == 0 || o == 0 {
            return Err(OpError::invalid(format!(
                "{c} input channels and weights {w} do not form whole groups"
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
        Ok(Conv {
            window: Window { batch: n, y, x },
            in_channels: c,
            out_channels: o,
            groups: c / i,
        })
    }
}

impl Conv2d {
    /// The register tile, where it applies; says whether it did.
    fn lower_pointwise(
        &self,
        conv: &Conv,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
    ) -> Result<bool, OpError> {
        if !Pointwise::applies(conv, 0) {
            return Ok(false);
        }
        let weights = weights::constant(s, 1)?.as_i8().ok_or_else(|| OpError::types(s))?;
        let per = conv.in_channels;
        let (bias, _) = weights::fold(s, conv.out_channels, |c, w| w[c * per..][..per].iter())?;
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        let mut pointwise = Pointwise {
            conv,
            weights: weights.to_vec(),
            bias,
            multipliers: weights::multipliers(s, conv.out_channels)?,
            zero_point,
            range: self.activation.range_i8(scale, zero_point),
        };
        let reach = pointwise.settle_constant_channels();
        if !Pointwise::applies(conv, reach) {
            return Ok(false);
        }
        let (input, output) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        pointwise.build(k, input, output);
        Ok(true)
    }
}

/// The four extents of an NHWC or OHWI tensor.
pub(super) fn dims4(shape: &Shape, what: &str) -> Result<[usize; 4], OpError> {
    <[usize; 4]>::try_from(shape.0.as_slice())
        .map_err(|_| OpError::invalid(format!("{what} {shape} should have 4 dimensions")))
}

impl Operator for Conv2d {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 3)?;
        let conv = self.conv(s)?;
        weights::check(s, conv.out_channels, 0)?;
        let dims = [conv.window.batch, conv.window.y.output, conv.window.x.output, conv.out_channels];
        Ok(vec![TensorType::new(s.operand(0)?.dtype(), dims.as_slice().into())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let conv = self.conv(s)?;
        let shape = s.result(0)?.shape().clone();
        let data = match s.arithmetic()? {
            Arithmetic::Int8 => {
                let layer = Layer::int8(s, inputs, conv.out_channels, self.activation)?;
                TensorData::I8(eval_i8(&conv, &layer))
            }
            Arithmetic::Real => TensorData::F32(eval_f32(&conv, s, inputs, self.activation)?),
        };
        Ok(vec![Tensor { shape, data }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Weights { axis: 0 }
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        let taps = s.operands.get(1).map_or(0, |w| w.shape().0.iter().skip(1).product::<usize>());
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
        let conv = self.conv(s)?;
        if k.core() == Core::CortexM4
            && s.operand(0)?.dtype() == DType::I8
            && weights::zero_point(s)? == 0
            && self.lower_pointwise(&conv, s, k)?
        {
            return Ok(());
        }
        lower(&conv, s, k, self.activation)
    }
}

/// The portable kernel; fully connected layers share it.
pub(super) fn lower(
    conv: &Conv,
    s: &Signature<'_>,
    k: &mut KernelBuilder,
    activation: Activation,
) -> Result<(), OpError> {
    let input = k.operand(s, 0, "x")?;
    let weights = k.operand(s, 1, "weights")?;
    let per = s.operand(1)?.shape().elements() / conv.out_channels.max(1);
    let (bias, finish, pad) =
        weights::lower(s, k, conv.out_channels, activation, |c, w| w[c * per..][..per].iter())?;
    let output = k.result(s, 0, "y")?;
    let zero_weights = weights::zero_point(s)?;
    conv.build(k, &ConvBuffers { input, weights, bias, output, pad, zero_weights }, &finish);
    Ok(())
}

/// Plain int8 convolution straight from the definition.
fn eval_i8(conv: &Conv, layer: &Layer<'_>) -> Vec<i8> {
    let (y, x) = (conv.window.y, conv.window.x);
    let (group_in, group_out) =
        (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let mut out = Vec::new();
    for n in 0..conv.window.batch {
        for oy in 0..y.output {
            for ox in 0..x.output {
                for oc in 0..conv.out_channels {
                    let mut acc = layer.bias(oc);
                    for ky in 0..y.kernel {
                        for kx in 0..x.kernel {
                            let (Some(iy), Some(ix)) = (y.inside(oy, ky), x.inside(ox, kx)) else {
                                continue;
                            };
                            let at = ((n * y.input + iy) * x.input + ix) * conv.in_channels
                                + oc / group_out * group_in;
                            let wat = ((oc * y.kernel + ky) * x.kernel + kx) * group_in;
                            acc += layer.dot(at, wat, group_in);
                        }
                    }
                    out.push(layer.finish(acc, oc));
                }
            }
        }
    }
    out
}

/// float32 convolution as one matrix product per group over gathered patches.
fn eval_f32(
    conv: &Conv,
    s: &Signature<'_>,
    inputs: &[&Tensor],
    activation: Activation,
) -> Result<Vec<f32>, OpError> {
    let (input, weights, bias) = weights::float_operands(s, inputs)?;
    let (y, x) = (conv.window.y, conv.window.x);
    let (group_in, group_out) =
        (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let taps = y.kernel * x.kernel * group_in;
    let pixels = conv.window.batch * y.output * x.output;
    let mut out = vec![0.0f32; pixels * conv.out_channels];
    let mut patches = vec![0.0f32; pixels * taps];
    for g in 0..conv.groups {
        for (p, patch) in patches.chunks_mut(taps).enumerate() {
            let (n, oy, ox) =
                (p / (y.output * x.output), p / x.output % y.output, p % x.output);
            for (t, run) in patch.chunks_mut(group_in).enumerate() {
                let at = match (y.inside(oy, t / x.kernel), x.inside(ox, t % x.kernel)) {
                    (Some(iy), Some(ix)) => {
                        ((n * y.input + iy) * x.input + ix) * conv.in_channels + g * group_in
                    }
                    _padding => {
                        run.fill(0.0);
                        continue;
                    }
                };
                run.copy_from_slice(&input[at..at + group_in]);
            }
        }
        let w = &weights[g * group_out * taps..(g + 1) * group_out * taps];
        let product = weights::gemm_transposed(&patches, w, (pixels, taps, group_out))?;
        for (p, row) in product.chunks(group_out).enumerate() {
            let at = p * conv.out_channels + g * group_out;
            out[at..at + group_out].copy_from_slice(row);
        }
    }
    for (i, v) in out.iter_mut().enumerate() {
        *v = activation.apply_f32(*v + bias.map_or(0.0, |b| b[i % conv.out_channels]));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_quant};
    use crate::tensor::QuantParams;

    fn conv(stride: usize, dilation: usize, padding: Padding, activation: Activation) -> Conv2d {
        Conv2d {
            stride: (stride, stride),
            dilation: (dilation, dilation),
            padding,
            activation,
        }
    }

    fn scales(n: usize) -> Vec<f32> {
        (0..n).map(|i| 0.002 + 0.0007 * i as f32).collect()
    }

    #[test]
    fn int8_lowering_equals_evaluation() {
        for (stride, dilation, padding) in [
            (1, 1, Padding::Same),
            (2, 1, Padding::Same),
            (2, 1, Padding::Valid),
            (1, 2, Padding::Same),
        ] {
            for groups in [1, 2] {
                let x = Spec::i8(&[2, 7, 6, 4], 0.03, -11);
                let w = Spec::i8(&[6, 3, 3, 4 / groups], 1.0, 0).per_axis(0, scales(6)).constant(7);
                let b = Spec::of(DType::I32, &[6]).constant(8);
                let op = conv(stride, dilation, padding, Activation::Relu);
                check(op, &[x, w, b], &[(0.07, -128)]);
            }
        }
    }

    #[test]
    fn pointwise_any_shape() {
        for (pixels, ci, co) in [(1, 1, 1), (2, 3, 5), (3, 4, 2), (7, 8, 3), (10, 13, 6)] {
            for (quant, activation) in [
                ((0.05, -128), Activation::Relu6),
                ((0.05, 5), Activation::None),
                ((0.00021, 5), Activation::ReluN1To1),
            ] {
                let x = Spec::i8(&[1, 1, pixels, ci], 0.03, 9);
                let w = Spec::i8(&[co, 1, 1, ci], 1.0, 0).per_axis(0, scales(co)).constant(3);
                let b = Spec::of(DType::I32, &[co]).constant(4);
                check(conv(1, 1, Padding::Valid, activation), &[x, w, b], &[quant]);
            }
        }
    }

    #[test]
    fn rounded_once_with_and_without_a_weight_zero_point() {
        for (kernel, zero, quant) in [
            (1, 0, (0.2, 3)),
            (1, 0, (0.25, -128)),
            (1, 0, (0.0002, 3)),
            (1, -100, (0.2, 3)),
            (3, 127, (1.7, -5)),
            (3, 0, (2.0, -5)),
        ] {
            let x = Spec::i8(&[2, 5, 4, 6], 0.125, 9);
            let w = Spec::i8(&[4, kernel, kernel, 6], 0.0625, zero).constant(3);
            let b = Spec::of(DType::I32, &[4]).constant(4);
            let op = conv(1, 1, Padding::Same, Activation::Relu);
            check_quant(op, &[x, w, b], &QuantParams::per_tensor(quant.0, quant.1).half_even());
        }
    }

    #[test]
    fn strided_pointwise() {
        let x = Spec::i8(&[2, 5, 7, 6], 0.03, 9);
        let w = Spec::i8(&[4, 1, 1, 6], 0.01, 0).constant(3);
        check(conv(2, 1, Padding::Same, Activation::None), &[x, w], &[(0.2, 3)]);
    }

    #[test]
    fn float_lowering_equals_evaluation() {
        let x = Spec::f32(&[1, 6, 5, 4]);
        let w = Spec::f32(&[6, 3, 2, 2]).constant(1);
        let b = Spec::f32(&[6]).constant(2);
        for padding in [Padding::Same, Padding::Valid] {
            check(conv(2, 1, padding, Activation::Relu6), &[x.clone(), w.clone(), b.clone()], &[]);
            check(conv(1, 1, padding, Activation::None), &[x.clone(), w.clone()], &[]);
        }
    }
}
