//! FullyConnected: x [batch][in] times the transpose of weights [out][in], plus bias.
//! TFLite FULLY_CONNECTED. The operand may have any rank; its elements are taken as rows of `in`.
//!
//! The int8 multiplier s_x * s_w / s_y is combined in double also for per-tensor weights: measured
//! with the pinned TensorFlow Lite Micro, with and without bias, on data that tells it from a
//! product rounded to float32.

use super::conv2d;
use super::weights::{self, Layer};
use super::{Arithmetic, OpError, Operator, QuantRule, Signature};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kernels::conv::Conv;
use crate::kernels::requantize::Requantize;
use crate::geometry::{Axis, Ends, Window};
use crate::kir::{KernelBuilder, idx, int};
use crate::numeric::Activation;

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
        // Only what is flattened may have rows of another length.
        if self.keep_dims && x.0.last().is_some_and(|row| row != depth) {
            return Err(OpError::invalid(format!("shapes {x} and {depth}x{out} do not fit")));
        }
        if *depth == 0 || *out == 0 || !x.elements().is_multiple_of(*depth) || x.elements() == 0 {
            return Err(OpError::invalid(format!("input {x} is not made of rows of {depth}")));
        }
        Ok((x.elements() / depth, *depth, *out))
    }

    /// Weights computed at run time, or with a zero point: nothing can be folded into the bias.
    ///
    /// # Errors
    /// A bias that is not constant, or accumulators that could overflow.
    fn lower_unfolded(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (rows, depth, out) = self.extents(s)?;
        let (_, zero_x) = s.operand(0)?.per_tensor()?;
        let zero_w = s.operand(1)?.quantized()?.zero_point();
        let (scale_y, zero_y) = s.result(0)?.per_tensor()?;
        let mut reach = (depth as u64).saturating_mul(255 * 255);
        let bias = if s.operands.len() > 2 {
            let b = weights::constant(s, 2)?.as_i32().ok_or_else(|| OpError::types(s))?;
            let largest = b.iter().map(|b| b.unsigned_abs()).max().unwrap_or(0);
            reach = reach.saturating_add(u64::from(largest));
            Some(k.operand(s, 2, "bias")?)
        } else {
            None
        };
        if reach > i32::MAX as u64 {
            return Err(OpError::unsupported(format!(
                "accumulators can reach {reach}, beyond int32, as the weights are not known"
            )));
        }
        let (x, w) = (k.operand(s, 0, "x")?, k.operand(s, 1, "weights")?);
        let y = k.result(s, 0, "y")?;
        let range = self.activation.range_i8(scale_y, zero_y);
        let finish = Requantize::declare(k, &weights::multipliers(s, out)?, zero_y, range);
        k.for_("row", rows, |k, row| {
            k.for_("oc", out, |k, oc| {
                let start = bias.map_or(int(0), |b| k.load(b, oc.clone()));
                let acc = k.var("acc", start);
                k.for_("i", depth, |k, i| {
                    let a = k.load_wide(x, row.clone() * idx(depth) + i.clone());
                    let b = k.load_wide(w, oc.clone() * idx(depth) + i);
                    let product = (a - int(i64::from(zero_x))) * (b - int(i64::from(zero_w)));
                    k.accumulate(acc, product);
                });
                let value = finish.apply(k, acc.into(), &oc);
                k.store(y, row * idx(out) + oc, value);
            });
        });
        Ok(())
    }
}

/// Refuses int8 weights with zero points per channel; one for all is subtracted at run time.
fn check_zero_points(s: &Signature<'_>) -> Result<(), OpError> {
    let w = s.operand(1)?;
    match w.quant.filter(|_| w.dtype() == DType::I8) {
        Some(q) if q.zero_points.len() > 1 && q.zero_points.iter().any(|&z| z != 0) => {
            Err(OpError::unsupported(format!("weights \"{}\" have zero points per channel", w.name)))
        }
        _symmetric_or_per_tensor => Ok(()),
    }
}

impl Operator for FullyConnected {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 3)?;
        let (rows, _, out) = self.extents(s)?;
        weights::check_types(s, out, 0)?;
        check_zero_points(s)?;
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
        let data = match s.arithmetic()? {
            Arithmetic::Int8 => {
                let layer = Layer::int8(s, inputs, out, self.activation)?;
                let one = |i: usize| {
                    let (row, c) = (i / out, i % out);
                    layer.finish(layer.bias(c) + layer.dot(row * depth, c * depth, depth), c)
                };
                TensorData::I8((0..rows * out).map(one).collect())
            }
            Arithmetic::Real => {
                let (x, w, b) = weights::float_operands(s, inputs)?;
                let mut y = weights::gemm_transposed(x, w, (rows, depth, out))?;
                for (i, v) in y.iter_mut().enumerate() {
                    *v = self.activation.apply_f32(*v + b.map_or(0.0, |b| b[i % out]));
                }
                TensorData::F32(y)
            }
        };
        Ok(vec![Tensor { shape, data }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Weights { axis: 0 }
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.extents(s).map_or(0, |(rows, depth, out)| (rows * depth * out) as u64)
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (rows, depth, out) = self.extents(s)?;
        let Some(y) = Axis::new(rows, 1, 1, 1, Ends::Valid) else {
            return Err(OpError::invalid("no rows"));
        };
        let x = Axis { input: 1, output: 1, ..y };
        let window = Window { batch: 1, y, x };
        let conv = Conv { window, in_channels: depth, out_channels: out, groups: 1 };
        let w = s.operand(1)?;
        let unfolded = w.constant.is_none() || w.quant.is_some_and(|q| q.zero_point() != 0);
        if w.dtype() == DType::I8 && unfolded {
            return self.lower_unfolded(s, k);
        }
        conv2d::lower(&conv, s, k, self.activation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, graph_of};

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

    #[test]
    fn rows_of_another_length_are_flattened_or_refused() {
        let (x, w) = (Spec::f32(&[4, 6]), Spec::f32(&[2, 12]).constant(1));
        let op = |keep_dims| FullyConnected { activation: Activation::None, keep_dims };
        check(op(false), &[x.clone(), w.clone()], &[]);
        let graph = graph_of(&op(false).into(), &[x, w], &[]);
        let node = graph.outputs()[0].node;
        let error = op(true).infer(&graph.signature(node)).expect_err("rows of 6, not 12");
        assert_eq!(error.message, "shapes 4x6 and 12x2 do not fit");
    }

    #[test]
    fn weights_at_run_time_or_with_a_zero_point() {
        for (rows, depth, out) in [(1, 1, 1), (3, 17, 9)] {
            let op = FullyConnected { activation: Activation::Relu6, keep_dims: false };
            let x = Spec::i8(&[rows, depth], 0.05, 127);
            let b = Spec::of(DType::I32, &[out]).constant(2);
            let dynamic = Spec::i8(&[out, depth], 0.01, 0);
            let shifted = Spec::i8(&[out, depth], 0.01, -128).constant(1);
            check(op.clone(), &[x.clone(), dynamic.clone()], &[(0.1, -128)]);
            check(op.clone(), &[x.clone(), dynamic, b.clone()], &[(0.1, 3)]);
            check(op.clone(), &[x.clone(), shifted, b], &[(0.1, 3)]);
            let scales = (0..out).map(|c| 0.01 + 0.001 * c as f32).collect();
            let per_channel = Spec::i8(&[out, depth], 1.0, 0).per_axis(0, scales);
            check(op.clone(), &[x, per_channel], &[(0.1, 3)]);
            check(op, &[Spec::f32(&[rows, depth]), Spec::f32(&[out, depth])], &[]);
        }
    }
}
