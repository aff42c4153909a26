//! FullyConnected: x [batch][in] times the transpose of constant weights [out][in], plus bias.
//! TFLite FULLY_CONNECTED. The operand may have any rank; its elements are taken as rows of `in`.

use super::conv2d;
use super::weights::{self, Layer};
use super::{OpError, Operator, QuantRule, Signature};
use crate::graph::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kernels::conv::{Conv, ConvBuffers};
use crate::kernels::window::{Axis, Padding, Window};
use crate::kir::KernelBuilder;
use crate::numeric::{Activation, Multiplier};

/// y = activation(x w^T + b).
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// Fused activation.
    pub activation: Activation,
    /// Keep the leading dimensions of the operand instead of flattening them to one.
    pub keep_dims: bool,
}

impl FullyConnected {
    /// (rows, in, out).
    fn extents(&self, s: &Signature<'_>) -> Result<(usize, usize, usize), OpError> {
        let (x, w) = (s.operand(0)?.shape(), s.operand(1)?.shape());
        let [out, depth] = w.0.as_slice() else {
            return Err(OpError::invalid(format!("weights {w} should have 2 dimensions")));
        };
        if *depth == 0 || *out == 0 || !x.elements().is_multiple_of(*depth) || x.elements() == 0 {
            return Err(OpError::invalid(format!("input {x} is not made of rows of {depth}")));
        }
        Ok((x.elements() / depth, *depth, *out))
    }

    /// Per-tensor weights round the scale product to float32 first, per-channel ones do not
    /// (numerics 2.2).
    fn multipliers(&self, s: &Signature<'_>, out: usize) -> Result<Vec<Multiplier>, OpError> {
        let w = s.operand(1)?.quantized()?;
        if w.scales.len() != 1 {
            return weights::multipliers(s, out);
        }
        let (x, _) = s.operand(0)?.per_tensor()?;
        let (y, _) = s.result(0)?.per_tensor()?;
        let product = x * w.scale();
        Ok(vec![Multiplier::from_real(f64::from(product) / f64::from(y)); out])
    }
}

impl Operator for FullyConnected {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 3)?;
        let (rows, _, out) = self.extents(s)?;
        weights::check(s, out, 0)?;
        let x = s.operand(0)?;
        let mut dims = vec![rows, out];
        if self.keep_dims && x.shape().rank() > 0 {
            dims.clone_from(&x.shape().0);
            dims.pop();
            dims.push(out);
        }
        Ok(vec![TensorType::new(x.dtype(), Shape(dims))])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let (rows, depth, out) = self.extents(s)?;
        let shape = s.result(0)?.shape().clone();
        let data = match s.operand(0)?.dtype() {
            DType::I8 => {
                let multipliers = self.multipliers(s, out)?;
                let layer = Layer::with(s, inputs, multipliers, self.activation)?;
                let one = |i: usize| {
                    let (row, c) = (i / out, i % out);
                    layer.finish(layer.bias(c) + layer.dot(row * depth, c * depth, depth), c)
                };
                TensorData::I8((0..rows * out).map(one).collect())
            }
            DType::F32 => {
                let (x, w, b) = weights::float_operands(s, inputs)?;
                let mut y = weights::gemm_transposed(x, w, (rows, depth, out))?;
                for (i, v) in y.iter_mut().enumerate() {
                    *v = self.activation.apply_f32(*v + b.map_or(0.0, |b| b[i % out]));
                }
                TensorData::F32(y)
            }
            DType::I16 | DType::I32 | DType::I64 | DType::Bool => return Err(OpError::types(s)),
        };
        Ok(vec![Tensor { shape, data }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Weights { axis: 0 }
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.extents(s).map_or(0, |(rows, depth, out)| (rows * depth * out) as u64)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (rows, depth, out) = self.extents(s)?;
        let Some(y) = Axis::new(rows, 1, 1, 1, Padding::Valid) else {
            return Err(OpError::invalid("no rows"));
        };
        let x = Axis { input: 1, output: 1, ..y };
        let window = Window { batch: 1, y, x };
        let conv = Conv { window, in_channels: depth, out_channels: out, groups: 1 };
        if s.operand(0)?.dtype() == DType::F32 {
            return conv2d::lower(&conv, s, k, self.activation);
        }
        let input = k.operand(s, 0, "x")?;
        let weights = k.operand(s, 1, "weights")?;
        let multipliers = self.multipliers(s, out)?;
        let (bias, finish, pad) =
            weights::lower_with(s, k, multipliers, self.activation, |c, w| {
                w[c * depth..][..depth].iter()
            })?;
        let output = k.result(s, 0, "y")?;
        conv.build(k, &ConvBuffers { input, weights, bias, output, pad }, &finish);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for (rows, depth, out) in [(1, 1, 1), (3, 17, 9), (2, 64, 10)] {
            let op = FullyConnected { activation: Activation::Relu, keep_dims: false };
            let x = Spec::i8(&[rows, depth], 0.05, -7);
            let w = Spec::i8(&[out, depth], 0.01, 0).constant(1);
            let b = Spec::of(DType::I32, &[out]).constant(2);
            check(op.clone(), &[x.clone(), w.clone(), b], &[(0.1, -128)]);
            check(op.clone(), &[x, w], &[(0.1, -100)]);
            let (x, w) = (Spec::f32(&[rows, depth]), Spec::f32(&[out, depth]).constant(1));
            check(op, &[x, w, Spec::f32(&[out]).constant(2)], &[]);
        }
    }
}
