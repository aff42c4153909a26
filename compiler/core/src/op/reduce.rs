//! What reductions have in common: axes, reference loops, rescaled int8 sums. Not an operator
//! itself.

use super::{Arithmetic, OpError, Signature, integer};
use crate::kernels::reduce::Reduction;
use crate::kernels::requantize::Requantize;
use crate::kir::{Expr, KernelBuilder, Ty, int};
use crate::numeric::Multiplier;
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};

/// Which dimensions are reduced.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceAttributes {
    /// Reduced dimensions, below the rank; order and repetitions do not matter.
    pub axes: Vec<usize>,
    /// Keep reduced dimensions with extent 1.
    pub keep_dims: bool,
}

impl ReduceAttributes {
    /// Loops of the reduction.
    ///
    /// # Errors
    /// No operand, or an axis that does not exist.
    pub fn plan(&self, s: &Signature<'_>) -> Result<Reduction, OpError> {
        let shape = s.operand(0)?.shape();
        Reduction::new(shape, &self.axes).ok_or_else(|| {
            OpError::invalid(format!("axes {:?} do not all exist in input {shape}", self.axes))
        })
    }

    /// Result type.
    ///
    /// # Errors
    /// Other than one operand of int8 (per tensor) or float32; axes that do not exist.
    pub fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        match s.arithmetic()? {
            Arithmetic::Real => {}
            Arithmetic::Int8 => {
                s.operand(0)?.per_tensor()?;
                s.result(0)?.per_tensor()?;
            }
        }
        self.infer_any(s)
    }

    /// [`ReduceAttributes::infer`], and plain integers.
    ///
    /// # Errors
    /// As [`ReduceAttributes::infer`].
    pub fn infer_numeric(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        if integer::is_plain(s) { self.infer_any(s) } else { self.infer(s) }
    }

    /// Result type, for an operand of any type.
    ///
    /// # Errors
    /// Axes that do not exist.
    pub fn infer_any(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        self.plan(s)?;
        let mut dims = Vec::new();
        for (d, &extent) in x.shape().0.iter().enumerate() {
            match (self.axes.contains(&d), self.keep_dims) {
                (false, _) => dims.push(extent),
                (true, true) => dims.push(1),
                (true, false) => {}
            }
        }
        Ok(vec![TensorType::new(x.dtype(), Shape(dims))])
    }

    /// Folds float32 elements.
    ///
    /// # Errors
    /// Another type.
    pub fn eval_f32(
        &self,
        s: &Signature<'_>,
        inputs: &[&Tensor],
        start: f32,
        step: impl Fn(f32, f32) -> f32,
        finish: impl Fn(f32) -> f32,
    ) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().and_then(|t| t.as_f32()).ok_or_else(|| OpError::types(s))?;
        let shape = s.result(0)?.shape().clone();
        let mut acc = vec![start; shape.elements()];
        self.plan(s)?.for_each(&mut |from, to| acc[to] = step(acc[to], x[from]));
        let data = TensorData::F32(acc.into_iter().map(finish).collect());
        Ok(vec![Tensor { shape, data }])
    }

    /// Folds int8 elements in int32.
    ///
    /// # Errors
    /// Another type.
    pub fn eval_i8(
        &self,
        s: &Signature<'_>,
        inputs: &[&Tensor],
        start: i32,
        step: impl Fn(i32, i32) -> i32,
        finish: impl Fn(i32) -> i8,
    ) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().and_then(|t| t.as_i8()).ok_or_else(|| OpError::types(s))?;
        let shape = s.result(0)?.shape().clone();
        let mut acc = vec![start; shape.elements()];
        self.plan(s)?.for_each(&mut |from, to| acc[to] = step(acc[to], i32::from(x[from])));
        let data = TensorData::I8(acc.into_iter().map(finish).collect());
        Ok(vec![Tensor { shape, data }])
    }

    /// Folds plain integers or truth values; the result wraps to its own type. `step` must not
    /// overflow int128, or wrap.
    ///
    /// # Errors
    /// Another type.
    pub fn eval_int(
        &self,
        s: &Signature<'_>,
        inputs: &[&Tensor],
        start: i128,
        step: impl Fn(i128, i128) -> i128,
    ) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let values = x.data.to_i128().ok_or_else(|| OpError::types(s))?;
        let shape = s.result(0)?.shape().clone();
        let mut acc = vec![start; shape.elements()];
        self.plan(s)?.for_each(&mut |from, to| acc[to] = step(acc[to], values[from]));
        let data = TensorData::from_i128(x.data.dtype(), &acc).ok_or_else(|| OpError::types(s))?;
        Ok(vec![Tensor { shape, data }])
    }

    /// Builds the kernel of plain integers or truth values that are accumulated in `ty`.
    ///
    /// # Errors
    /// As [`ReduceAttributes::plan`].
    pub fn lower_int(
        &self,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        (start, ty): (i128, Ty),
        step: &dyn Fn(Expr, Expr) -> Expr,
    ) -> Result<(), OpError> {
        let start = integer::literal(start, ty);
        self.lower(s, k, &start, &|acc, v| step(acc, v.cast(ty)), &|_, v| v)
    }

    /// Builds the kernel; `start` has the accumulator's type.
    ///
    /// # Errors
    /// As [`ReduceAttributes::plan`].
    pub fn lower(
        &self,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        start: &Expr,
        step: &dyn Fn(Expr, Expr) -> Expr,
        finish: &dyn Fn(&KernelBuilder, Expr) -> Expr,
    ) -> Result<(), OpError> {
        let plan = self.plan(s)?;
        if plan.count == 0 {
            // A parameter that is never read would be a warning in C.
            let y = k.result(s, 0, "y")?;
            k.for_("i", s.result(0)?.shape().elements(), |k, i| {
                let value = finish(k, start.clone());
                k.store(y, i, value);
            });
            return Ok(());
        }
        let buffers = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        plan.build(k, buffers, start, step, finish);
        Ok(())
    }
}

/// An int8 sum that is rescaled: y = clamp(MB(sum x - count * zero point) + zero point).
#[derive(Clone, Copy, Debug)]
pub struct RescaledSum {
    /// Accumulator before the first element: -count * input zero point.
    start: i32,
    multiplier: Multiplier,
    zero_point: i32,
}

/// Sums of up to this many int8 elements minus zero point fit int32.
const MAX_COUNT: usize = 1 << 23;

impl RescaledSum {
    /// Parameters for sums of `count` elements; `multiplier` gets input scale / output scale.
    ///
    /// # Errors
    /// Missing quantization, or sums that could overflow.
    pub fn new(
        s: &Signature<'_>,
        count: usize,
        multiplier: impl Fn(Multiplier) -> Multiplier,
    ) -> Result<Self, OpError> {
        let (scale_in, zero_in) = s.operand(0)?.per_tensor()?;
        let (scale_out, zero_point) = s.result(0)?.per_tensor()?;
        if count > MAX_COUNT {
            return Err(OpError::unsupported(format!(
                "{count} int8 elements reduced to one can overflow int32"
            )));
        }
        let real = f64::from(scale_in) / f64::from(scale_out);
        let rounding = s.result(0)?.quantized()?.rounding;
        let multiplier = multiplier(Multiplier::from_real(real).rounded(rounding));
        let start = i64::from(zero_in) * -(count as i64);
        Ok(Self { start: start as i32, multiplier, zero_point })
    }

    /// Reference evaluation.
    ///
    /// # Errors
    /// Other than int8.
    pub fn eval(
        &self,
        attributes: &ReduceAttributes,
        s: &Signature<'_>,
        inputs: &[&Tensor],
    ) -> Result<Vec<Tensor>, OpError> {
        attributes.eval_i8(
            s,
            inputs,
            self.start,
            |acc, v| acc + v,
            |acc| {
                let y = self.multiplier.apply(acc).saturating_add(self.zero_point);
                y.clamp(-128, 127) as i8
            },
        )
    }

    /// Builds the kernel.
    ///
    /// # Errors
    /// As [`ReduceAttributes::lower`].
    pub fn lower(
        &self,
        attributes: &ReduceAttributes,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
    ) -> Result<(), OpError> {
        let requantize = Requantize::declare(k, &[self.multiplier], self.zero_point, (-128, 127));
        let start = int(i64::from(self.start));
        attributes
            .lower(s, k, &start, &|acc, v| acc + v, &|k, acc| requantize.apply(k, acc, &int(0)))
    }
}

/// Quantization of operand and result must agree, because the kernel compares raw values.
///
/// # Errors
/// It differs; TensorFlow Lite Micro refuses that as well.
pub fn same_quantization(s: &Signature<'_>) -> Result<(), OpError> {
    let (x, y) = (s.operand(0)?, s.result(0)?);
    if x.dtype() == DType::I8 && !integer::is_plain(s) && x.per_tensor()? != y.per_tensor()? {
        return Err(OpError::unsupported(format!(
            "\"{}\" and \"{}\" have different scales or zero points",
            x.name, y.name
        )));
    }
    Ok(())
}

/// Shared test: every type of plain integers, and nothing to reduce.
#[cfg(test)]
pub(super) fn check_integers<O: Into<super::Op>>(
    more: &[DType],
    make: impl Fn(ReduceAttributes) -> O,
) {
    use super::testing::{INTEGERS, Spec, check, check_data, extremes};
    for &dtype in INTEGERS.iter().chain(more) {
        let op = |axes: &[usize]| make(ReduceAttributes { axes: axes.to_vec(), keep_dims: false });
        check(op(&[1]), &[Spec::of(dtype, &[2, 3, 4])], &[]);
        check(op(&[1]), &[Spec::of(dtype, &[2, 0, 4])], &[]);
        if let Some(data) = TensorData::from_i128(dtype, &extremes(dtype)) {
            check_data(op(&[0]), data, &[]);
        }
    }
    let op = make(ReduceAttributes { axes: vec![1], keep_dims: true });
    check(op, &[Spec::f32(&[2, 0, 4])], &[]);
}

/// Shared test: which dimensions are reduced, with and without keeping them.
#[cfg(test)]
pub(super) fn check_all<O: Into<super::Op>>(
    quant: (f32, i32),
    make: impl Fn(ReduceAttributes) -> O,
) {
    use super::testing::{Spec, check};
    for axes in [vec![0], vec![1, 2], vec![2, 1, 1], vec![3], vec![0, 2], vec![0, 1, 2, 3], vec![]]
    {
        for keep_dims in [false, true] {
            let op = || make(ReduceAttributes { axes: axes.clone(), keep_dims });
            check(op(), &[Spec::i8(&[2, 3, 5, 4], 0.05, -11)], &[quant]);
            check(op(), &[Spec::f32(&[2, 3, 5, 4])], &[]);
        }
    }
    let op = make(ReduceAttributes { axes: vec![0], keep_dims: false });
    check(op, &[Spec::i8(&[1], 0.05, -11)], &[quant]);
}
