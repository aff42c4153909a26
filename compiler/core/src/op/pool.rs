//! What pooling operators have in common: geometry checks, reference loops, lowering. Not an
//! operator itself.

use super::conv2d::dims4;
use super::{Arithmetic, Elements, OpError, Reuse, Signature};
use crate::geometry::{Axis, Padding, Window};
use crate::kernels::pool::{Pool, PoolKind, Ties};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// Attributes of a pooling operator.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolAttributes {
    /// Height and width of the window.
    pub window: (usize, usize),
    /// Vertical and horizontal step.
    pub stride: (usize, usize),
    /// Vertical and horizontal distance between taps.
    pub dilation: (usize, usize),
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
        let axis = |input, kernel, stride, dilation, ends| {
            let axis = Axis::new(input, kernel, stride, dilation, ends).ok_or_else(|| {
                OpError::invalid(format!(
                    "input {shape}, window {:?} and stride {:?} give no output",
                    self.window, self.stride
                ))
            })?;
            if !meets_input(&axis) {
                return Err(OpError::unsupported(format!(
                    "input {shape}: some window {:?} lies in the padding entirely",
                    self.window
                ))
                .help("paddings should be smaller than the window"));
            }
            Ok(axis)
        };
        let (kh, kw) = self.window;
        if kh.checked_mul(kw).is_none_or(|taps| taps > MAX_TAPS) {
            return Err(OpError::unsupported(format!(
                "the window {kh}x{kw} has more than {MAX_TAPS} taps"
            )));
        }
        let (stride, dilation) = (self.stride, self.dilation);
        let y = axis(h, kh, stride.0, dilation.0, self.padding.rows())?;
        let x = axis(w, kw, stride.1, dilation.1, self.padding.columns())?;
        let window = Window { batch, y, x };
        let quant = s.results.first().and_then(|r| r.quant);
        let ties = quant.map_or(Ties::Away, Ties::of);
        Ok(Pool { window, channels, kind, ties })
    }

    /// Result type.
    ///
    /// # Errors
    /// Other than one NHWC operand of int8 (per tensor) or float32, or no output; the maximum also takes
    /// int8 and uint8 without quantization.
    pub fn infer(&self, s: &Signature<'_>, kind: PoolKind) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if !is_plain(s, kind)? {
            match s.arithmetic()? {
                Arithmetic::Real => {}
                Arithmetic::Int8 => {
                    x.per_tensor()?;
                    s.result(0)?.per_tensor()?;
                }
            }
        } else if self.activation != Activation::None {
            return Err(OpError::types(s));
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
        let shape = s.result(0)?.shape().clone();
        if is_plain(s, kind)? {
            if let TensorData::I8(v) = &x.data {
                let data = TensorData::I8(each_window(&pool, v, largest));
                return Ok(vec![Tensor { shape, data }]);
            }
            let TensorData::U8(v) = &x.data else { return Err(OpError::types(s)) };
            let data = TensorData::U8(each_window(&pool, v, largest));
            return Ok(vec![Tensor { shape, data }]);
        }
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
        Ok(vec![Tensor { shape, data }])
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
        if is_plain(s, kind)? {
            pool.build(k, buffers, &|v| v);
            return Ok(());
        }
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        let (lo, hi) = self.activation.range_i8(scale, zero_point);
        let all = (lo, hi) == (-128, 127);
        pool.build(k, buffers, &|v| if all { v } else { v.clamp(lo, hi) });
        Ok(())
    }
}

/// Whether the elements are plain integers: only the maximum is defined for them.
fn is_plain(s: &Signature<'_>, kind: PoolKind) -> Result<bool, OpError> {
    let x = s.operand(0)?;
    let is_byte = matches!(x.dtype(), DType::I8 | DType::U8);
    Ok(kind == PoolKind::Max && is_byte && x.quant.is_none())
}

fn largest<T: Copy + Ord + Default>(taps: &[T]) -> T {
    taps.iter().copied().max().unwrap_or_default()
}

/// Most results for which each window is looked at.
const MAX_LOOKED_AT: usize = 1 << 16;

/// Whether every window has a tap inside the input. `false` also for extents too large to tell.
fn meets_input(axis: &Axis) -> bool {
    let span = (axis.kernel - 1) * axis.dilation;
    if axis.before <= span && axis.dilation <= axis.input {
        // Neighbouring taps cannot skip the input: what remains is a window that starts behind it.
        return axis.position(axis.output - 1, 0) < axis.input as i64;
    }
    axis.output <= MAX_LOOKED_AT && (0..axis.output).all(|o| positions(axis, o).next().is_some())
}

/// Positions of the taps of window `o` that lie inside the input.
fn positions(axis: &Axis, o: usize) -> impl Iterator<Item = usize> {
    let (first, step) = (axis.position(o, 0), axis.dilation as i64);
    let start = if first < 0 { first.rem_euclid(step) } else { first };
    let last = first.saturating_add((axis.kernel as i64 - 1).saturating_mul(step));
    let end = last.saturating_add(1).clamp(0, axis.input as i64);
    (start.max(0)..end).step_by(axis.dilation.max(1)).map(|i| i as usize)
}

fn each_window<T: Copy>(pool: &Pool, data: &[T], f: impl Fn(&[T]) -> T) -> Vec<T> {
    let Window { batch, y, x } = pool.window;
    let mut out = Vec::new();
    let mut taps = Vec::new();
    for n in 0..batch {
        for (oy, ox) in (0..y.output).flat_map(|oy| (0..x.output).map(move |ox| (oy, ox))) {
            for c in 0..pool.channels {
                taps.clear();
                for iy in positions(&y, oy) {
                    for ix in positions(&x, ox) {
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
    use super::testing::{Spec, check, check_quant};
    use crate::tensor::QuantParams;
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
            let dilation = (1, 1);
            let attributes = PoolAttributes { window, stride, dilation, padding, activation };
            let op = || make(attributes.clone());
            check(op(), &[Spec::i8(&[2, 6, 5, 7], 0.05, -11)], &[(0.05, -11)]);
            check(op(), &[Spec::f32(&[1, 6, 5, 3])], &[]);
            for zero_point in [-11, 4] {
                let to = QuantParams::per_tensor(0.05, zero_point).half_even();
                check_quant(op(), &[Spec::i8(&[2, 6, 5, 7], 0.05, zero_point)], &to);
            }
        }
    }
    for (window, dilation, padding) in [
        ((2, 2), (2, 3), Padding::Valid),
        ((3, 2), (2, 2), Padding::Same),
        ((2, 3), (2, 1), Padding::Explicit { rows: (2, 1), columns: (0, 2) }),
        // Taps 5 apart over 5 columns: a window keeps one of them.
        ((2, 2), (3, 5), Padding::Explicit { rows: (3, 3), columns: (4, 2) }),
    ] {
        let (stride, activation) = ((2, 1), Activation::None);
        let op = || make(PoolAttributes { window, stride, dilation, padding, activation });
        check(op(), &[Spec::i8(&[2, 6, 5, 7], 0.05, -11)], &[(0.05, -11)]);
        check(op(), &[Spec::f32(&[1, 6, 5, 3])], &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Spec, check, graph_of};
    use super::*;
    use crate::op::{MaxPool2d, Op};

    #[test]
    fn hostile_attributes_are_refused() {
        let good = PoolAttributes {
            window: (2, 2),
            stride: (1, 1),
            dilation: (1, 1),
            padding: Padding::Same,
            activation: Activation::None,
        };
        let graph = graph_of(&Op::from(MaxPool2d(good.clone())), &[Spec::f32(&[1, 3, 3, 1])], &[]);
        let node = graph.schedule()[1];
        let s = graph.signature(node);
        let huge = i32::MAX as usize;
        let explicit = |a, b| Padding::Explicit { rows: (a, b), columns: (0, 0) };
        for bad in [
            PoolAttributes { window: (huge, huge), ..good.clone() },
            PoolAttributes { window: (0, 1), ..good.clone() },
            PoolAttributes { window: (4, 1), padding: Padding::Valid, ..good.clone() },
            PoolAttributes { stride: (0, 1), ..good.clone() },
            PoolAttributes { dilation: (0, 1), ..good.clone() },
            PoolAttributes { padding: explicit(2, 0), ..good.clone() },
            PoolAttributes { padding: explicit(0, 2), ..good.clone() },
            PoolAttributes { padding: explicit(huge, 0), ..good.clone() },
            PoolAttributes { dilation: (7, 1), padding: explicit(4, 4), ..good.clone() },
        ] {
            assert!(bad.infer(&s, PoolKind::Max).is_err(), "{bad:?}");
        }
        let wide = PoolAttributes { stride: (huge, huge), ..good };
        assert_eq!(
            wide.infer(&s, PoolKind::Max).map(|t| t[0].shape.0.clone()),
            Ok(vec![1, 1, 1, 1])
        );
    }
    #[test]
    fn maximum_of_plain_bytes() {
        for dtype in [DType::I8, DType::U8] {
            for padding in [Padding::Valid, Padding::Same] {
                let op = MaxPool2d(PoolAttributes {
                    window: (3, 2),
                    stride: (1, 2),
                    dilation: (1, 2),
                    padding,
                    activation: Activation::None,
                });
                check(op, &[Spec::of(dtype, &[2, 5, 6, 5])], &[]);
            }
        }
    }
}
