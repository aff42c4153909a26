//! What pooling operators have in common: geometry checks, reference loops, lowering. Not an
//! operator itself.

use super::conv2d::dims4;
use super::{Arithmetic, Elements, OpError, Reuse, Signature};
use crate::kernels::pool::{Pool, PoolKind};
use crate::kernels::window::{Axis, Padding, Window};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;
use crate::tensor::{DType, Rounding, Tensor, TensorData, TensorType};

/// Attributes of a pooling operator.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolAttributes {
    /// Height and width of the window.
    pub window: (usize, usize),
    /// Vertical and horizontal step.
    pub stride: (usize, usize),
    /// Padding scheme; padded positions do not count.
    pub padding: Padding,
    /// Fused activation.
    pub activation: Activation,
}

/// Windows up to this many taps have sums of int8 elements that fit int32.
const MAX_TAPS: usize = 1 << 23;

impl PoolAttributes {
    fn pool(&self, s: &Signature<'_>, kind: PoolKind) -> Result<Pool, OpError> {
        let shape = s.operand(0)?.shape();
        let [batch, h, w, channels] = dims4(shape, "input")?;
        let axis = |input, kernel, stride, ends| {
            Axis::new(input, kernel, stride, 1, ends).ok_or_else(|| {
                OpError::invalid(format!(
                    "input {shape}, window {:?} and stride {:?} give no output",
                    self.window, self.stride
                ))
            })
        };
        let (kh, kw) = self.window;
        if kh.checked_mul(kw).is_none_or(|taps| taps > MAX_TAPS) {
            return Err(OpError::unsupported(format!(
                "the window {kh}x{kw} has more than {MAX_TAPS} taps"
            )));
        }
        let y = axis(h, kh, self.stride.0, self.padding.rows())?;
        let x = axis(w, kw, self.stride.1, self.padding.columns())?;
        let window = Window { batch, y, x };
        let quant = s.results.first().and_then(|r| r.quant);
        let rounding = quant.map_or_else(Rounding::default, |q| q.rounding);
        Ok(Pool { window, channels, kind, rounding })
    }

    /// Result type.
    ///
    /// # Errors
    /// Other than one NHWC operand of int8 (per tensor) or float32, or no output.
    pub fn infer(&self, s: &Signature<'_>, kind: PoolKind) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        match s.arithmetic()? {
            Arithmetic::Real => {}
            Arithmetic::Int8 => {
                x.per_tensor()?;
                s.result(0)?.per_tensor()?;
            }
        }
        let pool = self.pool(s, kind)?;
        let Window { batch, y, x: columns } = pool.window;
        let dims = [batch, y.output, columns.output, pool.channels];
        Ok(vec![TensorType::new(x.dtype(), dims.as_slice().into())])
    }

    /// Evaluates straight from the definition: `int8` and `real` map the taps of one result inside
    /// the input, row by row, to its value before the activation.
    ///
    /// # Errors
    /// Other types.
    pub fn eval(
        &self,
        s: &Signature<'_>,
        inputs: &[&Tensor],
        kind: PoolKind,
        int8: impl Fn(&[i8]) -> i32,
        real: impl Fn(&[f32]) -> f32,
    ) -> Result<Vec<Tensor>, OpError> {
        let pool = self.pool(s, kind)?;
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let data = match s.elements(x)? {
            Elements::Int8(v) => {
                let (scale, zero_point) = s.result(0)?.per_tensor()?;
                let (lo, hi) = self.activation.range_i8(scale, zero_point);
                let one = |taps: &[i8]| int8(taps).clamp(lo, hi) as i8;
                TensorData::I8(each_window(&pool, v, one))
            }
            Elements::Real(v) => {
                TensorData::F32(each_window(&pool, v, |t| self.activation.apply_f32(real(t))))
            }
        };
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data }])
    }

    /// Windows that start at their own result (no padding before, same extents) read nothing that
    /// was overwritten.
    #[must_use]
    pub fn reuse(&self, s: &Signature<'_>, kind: PoolKind) -> Reuse {
        let same = matches!((s.operand(0), s.result(0)), (Ok(x), Ok(y)) if x.ty == y.ty);
        match self.pool(s, kind) {
            Ok(p) if same && p.window.y.before == 0 && p.window.x.before == 0 => {
                Reuse::InPlace(vec![0])
            }
            _other => Reuse::None,
        }
    }

    /// Builds the kernel.
    ///
    /// # Errors
    /// As [`PoolAttributes::infer`].
    pub fn lower(
        &self,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        kind: PoolKind,
    ) -> Result<(), OpError> {
        let pool = self.pool(s, kind)?;
        let buffers = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        if s.operand(0)?.dtype() == DType::F32 {
            pool.build(k, buffers, &|v| self.activation.lower_f32(v));
            return Ok(());
        }
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        let (lo, hi) = self.activation.range_i8(scale, zero_point);
        let all = (lo, hi) == (-128, 127);
        pool.build(k, buffers, &|v| if all { v } else { v.clamp(lo, hi) });
        Ok(())
    }
}

fn each_window<T: Copy>(pool: &Pool, data: &[T], f: impl Fn(&[T]) -> T) -> Vec<T> {
    let Window { batch, y, x } = pool.window;
    let mut out = Vec::new();
    let mut taps = Vec::new();
    // Positions of a window that lie inside the input.
    let span = |axis: &Axis, o: usize| {
        let first = axis.position(o, 0);
        let last = first + axis.kernel as i64;
        first.clamp(0, axis.input as i64) as usize..last.clamp(0, axis.input as i64) as usize
    };
    for n in 0..batch {
        for (oy, ox) in (0..y.output).flat_map(|oy| (0..x.output).map(move |ox| (oy, ox))) {
            for c in 0..pool.channels {
                taps.clear();
                for iy in span(&y, oy) {
                    for ix in span(&x, ox) {
                        taps.push(data[((n * y.input + iy) * x.input + ix) * pool.channels + c]);
                    }
                }
                out.push(f(&taps));
            }
        }
    }
    out
}

/// Shared test: geometry, padding and activation variants of one pooling operator.
#[cfg(test)]
pub(super) fn check_all<O: Into<super::Op>>(make: impl Fn(PoolAttributes) -> O) {
    use super::testing::{Spec, check};
    for (window, stride, padding) in [
        ((2, 2), (2, 2), Padding::Valid),
        ((3, 3), (1, 1), Padding::Same),
        ((2, 2), (1, 1), Padding::Same),
        ((3, 2), (2, 3), Padding::Same),
        ((9, 9), (1, 1), Padding::Same),
        ((6, 5), (1, 1), Padding::Valid),
        ((1, 1), (1, 1), Padding::Valid),
    ] {
        for activation in [Activation::None, Activation::Relu6, Activation::ReluN1To1] {
            let attributes = PoolAttributes { window, stride, padding, activation };
            let op = || make(attributes.clone());
            check(op(), &[Spec::i8(&[2, 6, 5, 7], 0.05, -11)], &[(0.05, -11)]);
            check(op(), &[Spec::f32(&[1, 6, 5, 3])], &[]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Spec, graph_of};
    use super::*;
    use crate::op::{MaxPool2d, Op};

    #[test]
    fn hostile_attributes_are_refused() {
        let good = PoolAttributes {
            window: (2, 2),
            stride: (1, 1),
            padding: Padding::Same,
            activation: Activation::None,
        };
        let graph = graph_of(&Op::from(MaxPool2d(good.clone())), &[Spec::f32(&[1, 3, 3, 1])], &[]);
        let node = graph.schedule()[1];
        let s = graph.signature(node);
        let huge = i32::MAX as usize;
        for bad in [
            PoolAttributes { window: (huge, huge), ..good.clone() },
            PoolAttributes { window: (0, 1), ..good.clone() },
            PoolAttributes { window: (4, 1), padding: Padding::Valid, ..good.clone() },
            PoolAttributes { stride: (0, 1), ..good.clone() },
        ] {
            assert!(bad.infer(&s, PoolKind::Max).is_err(), "{bad:?}");
        }
        let wide = PoolAttributes { stride: (huge, huge), ..good };
        assert_eq!(
            wide.infer(&s, PoolKind::Max).map(|t| t[0].shape.0.clone()),
            Ok(vec![1, 1, 1, 1])
        );
    }
}
