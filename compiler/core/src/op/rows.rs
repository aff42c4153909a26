//! What operators along the last dimension have in common: softmax, log-softmax, L2 normalization.
//! Not an operator itself.
//!
//! Their kernels reduce a row completely before they store its first element, and then store
//! element `i` after its last read: they may work in place.

use super::{Elements, OpError, Signature};
use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Ty, Var, idx, int};
use crate::numeric::Multiplier;
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// What an operator demands of its int8 form.
#[derive(Clone, Copy, Debug)]
pub struct Int8 {
    /// Scale and zero point of the result.
    pub result: (f32, i32),
    /// Longest row whose sum does not overflow.
    pub longest: usize,
}

/// One float32 or int8 operand with at least one dimension; the result has the same type.
///
/// # Errors
/// Other counts, types or ranks; int8 with another result quantization or longer rows.
pub fn infer(s: &Signature<'_>, int8: Int8) -> Result<Vec<TensorType>, OpError> {
    s.expect_operands(1, 1)?;
    let x = s.operand(0)?;
    if !matches!(x.dtype(), DType::I8 | DType::F32) {
        return Err(OpError::types(s));
    }
    let depth = depth(s)?;
    if x.dtype() == DType::I8 {
        x.per_tensor()?;
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        if (scale, zero_point) != int8.result {
            return Err(OpError::unsupported(format!(
                "the int8 result has scale {scale} and zero point {zero_point}, but must have {} \
                 and {}",
                int8.result.0, int8.result.1
            )));
        }
        if depth > int8.longest {
            return Err(OpError::unsupported(format!(
                "int8 rows of {depth} elements overflow; the longest possible has {}",
                int8.longest
            )));
        }
    }
    Ok(vec![x.ty.clone()])
}

fn depth(s: &Signature<'_>) -> Result<usize, OpError> {
    let shape = s.operand(0)?.shape();
    let last = shape.0.last().copied();
    last.ok_or_else(|| OpError::invalid("needs an operand with at least one dimension"))
}

/// Evaluates row by row; each function gets a row and the place of its result.
///
/// # Errors
/// Any other type.
pub fn eval(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    real: impl Fn(&[f32], &mut Vec<f32>),
    int8: impl Fn(&[i8], &mut Vec<i8>),
) -> Result<Vec<Tensor>, OpError> {
    let x = inputs.first().ok_or_else(|| OpError::types(s))?;
    let depth = depth(s)?.max(1);
    let data = match s.elements(x)? {
        Elements::Real(v) => {
            let mut y = Vec::with_capacity(v.len());
            v.chunks(depth).for_each(|row| real(row, &mut y));
            TensorData::F32(y)
        }
        Elements::Int8(v) => {
            let mut y = Vec::with_capacity(v.len());
            v.chunks(depth).for_each(|row| int8(row, &mut y));
            TensorData::I8(y)
        }
    };
    Ok(vec![Tensor { shape: x.shape.clone(), data }])
}

/// Operand, result and extent of the rows of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// Operand.
    pub x: Buf,
    /// Result.
    pub y: Buf,
    /// Elements per row.
    pub depth: usize,
    count: usize,
}

impl Rows {
    /// Declares the buffers.
    ///
    /// # Errors
    /// Missing operand or result, or a scalar.
    pub fn new(s: &Signature<'_>, k: &mut KernelBuilder) -> Result<Self, OpError> {
        let depth = depth(s)?;
        let count = s.operand(0)?.shape().elements() / depth.max(1);
        Ok(Self { x: k.operand(s, 0, "x")?, y: k.result(s, 0, "y")?, depth, count })
    }

    /// One loop over the rows; `f` gets the index of a row's first element.
    pub fn each(&self, k: &mut KernelBuilder, f: impl FnOnce(&mut KernelBuilder, Expr)) {
        k.for_("row", self.count, |k, row| {
            let first = k.let_("first", row * idx(self.depth));
            f(k, first);
        });
    }

    /// One loop over a row; `f` gets the element's index and its value, widened and named.
    pub fn elements(
        &self,
        k: &mut KernelBuilder,
        first: &Expr,
        f: impl FnOnce(&mut KernelBuilder, Expr, Expr),
    ) {
        k.for_("i", self.depth, |k, i| {
            let at = first.clone() + i;
            let v = k.let_("v", k.load_wide(self.x, at.clone()));
            f(k, at, v);
        });
    }

    /// The largest element of a row.
    pub fn max(&self, k: &mut KernelBuilder, first: &Expr) -> Var {
        let (least, larger) = if self.x.ty == Ty::F32 {
            (Expr::Float(f32::MIN), Intrinsic::MaxF32)
        } else {
            (int(-128), Intrinsic::MaxI32)
        };
        let max = k.var("max", least);
        self.elements(k, first, |k, _, v| k.assign(max, Expr::call(larger, vec![v, max.into()])));
        max
    }
}

/// Largest element of a float row as the kernels compute it: NaN loses.
#[must_use]
pub fn max_f32(row: &[f32]) -> f32 {
    row.iter().fold(f32::MIN, |max, &x| tinycc_rt::max_f32(x, max))
}

/// Distances of int8 elements to the largest of their row, scaled into Q5.26, and their
/// exponentials (numerics 4.4).
#[derive(Clone, Debug)]
pub struct Distances {
    /// From a distance to Q5.26; the exponent is at least 1.
    pub scale: Multiplier,
    /// exp(-distance) in Q0.31. Beyond its end the exponential counts as 0.
    pub exponentials: Vec<i32>,
}

impl Distances {
    /// For operands of this scale, multiplied by `beta`.
    ///
    /// # Errors
    /// A product too small to represent, which TensorFlow Lite Micro refuses as well.
    pub fn new(scale: f32, beta: f32) -> Result<Self, OpError> {
        let real = f64::from(beta) * f64::from(scale) * f64::from(1u32 << 26);
        // Also false for NaN.
        let usable = real > 1.0;
        if !usable {
            return Err(OpError::unsupported(format!(
                "beta {beta} times scale {scale} is too small for the int8 form"
            )));
        }
        let scale = Multiplier::from_real(real.min(2f64.powi(31) - 1.0));
        let radius = (31.0 * 2f64.powi(26) / 2f64.powi(scale.exponent)).floor();
        let last = radius.min(255.0) as i32;
        let exponentials = (0..=last).map(|d| tinycc_rt::exp_q5(scale.apply(-d))).collect();
        Ok(Self { scale, exponentials })
    }

    /// The entry of `table`, which is as long as the exponentials, for a distance of a kernel.
    ///
    /// Distances are not negative, but that takes knowing the data: unsigned, the index is in range
    /// whatever the data, at the same price.
    pub fn lookup(k: &KernelBuilder, table: Buf, len: usize, distance: Expr) -> Expr {
        if len > 255 {
            return k.load(table, distance.cast(Ty::U8).cast(Ty::I32));
        }
        let entry = k.load(table, distance.clone());
        distance.cast(Ty::U32).lt(Expr::Int(len as i64, Ty::U32)).select(entry, int(0))
    }
}
