//! What layers with constant weights have in common: operand checks, bias folding, requantization,
//! reference arithmetic. Not an operator itself.

use super::{Arithmetic, OpError, Signature};
use crate::kernels::conv::{Finish, declare_bias, fold_zero_point};
use crate::kernels::requantize::Requantize;
use crate::kir::{Buf, KernelBuilder};
use crate::numeric::{Activation, Multiplier, channel_multipliers};
use crate::tensor::{DType, Tensor};

/// Checks weights and bias of a layer with `channels` outputs along weight dimension `axis`.
///
/// # Errors
/// Types, quantization or bias length that do not fit.
pub fn check(s: &Signature<'_>, channels: usize, axis: usize) -> Result<(), OpError> {
    check_types(s, channels, axis)?;
    let w = s.operand(1)?;
    let allowed = zero_point_allowed(s);
    if w.dtype() == DType::I8 && !allowed && w.quantized()?.zero_points.iter().any(|&z| z != 0) {
        return Err(OpError::unsupported(format!(
            "weights \"{}\" have a zero point other than 0",
            w.name
        ))
        .help("int8 weights are symmetric in TFLite; quantize the model again"));
    }
    Ok(())
}

/// ONNX has asymmetric weights; the kernels take one zero point for all of them. TensorFlow Lite Micro
/// would ignore it.
fn zero_point_allowed(s: &Signature<'_>) -> bool {
    let is_onnx = |q: &crate::tensor::QuantParams| q.rounding == crate::tensor::Rounding::HalfEven;
    let result = s.results.first().and_then(|r| r.quant);
    let weights = s.operands.get(1).and_then(|w| w.quant);
    result.is_some_and(is_onnx) && weights.is_some_and(|q| q.zero_points.len() == 1)
}

/// Zero point of the weights; 0 for floats.
///
/// # Errors
/// There are no weights.
pub fn zero_point(s: &Signature<'_>) -> Result<i32, OpError> {
    let w = s.operand(1)?;
    let quant = w.quant.filter(|_| w.dtype() == DType::I8);
    Ok(quant.map_or(0, crate::tensor::QuantParams::zero_point))
}

/// [`check`] without the demand that weights are symmetric.
///
/// # Errors
/// As [`check`].
pub fn check_types(s: &Signature<'_>, channels: usize, axis: usize) -> Result<(), OpError> {
    let (x, w) = (s.operand(0)?, s.operand(1)?);
    let bias = s.operands.get(2);
    let bias_type = match s.arithmetic()? {
        Arithmetic::Int8 => DType::I32,
        Arithmetic::Real => DType::F32,
    };
    if w.dtype() != x.dtype() || bias.is_some_and(|b| b.dtype() != bias_type) {
        return Err(OpError::types(s));
    }
    if let Some(b) = bias
        && b.shape().elements() != channels
    {
        return Err(OpError::invalid(format!(
            "the bias has shape {}, but there are {channels} output channels",
            b.shape()
        )));
    }
    if x.dtype() == DType::I8 {
        x.per_tensor()?;
        s.result(0)?.per_tensor()?;
        let quant = w.quantized()?;
        if quant.scales.len() > 1 && quant.axis != Some(axis) {
            return Err(OpError::invalid(format!(
                "weights \"{}\" are quantized along dimension {:?}, expected {axis}",
                w.name, quant.axis
            )));
        }
    }
    Ok(())
}

/// Output multipliers of a layer, one per channel, scales combined in double (numerics 2.2).
///
/// # Errors
/// Missing quantization.
pub fn multipliers(s: &Signature<'_>, channels: usize) -> Result<Vec<Multiplier>, OpError> {
    let (x, _) = s.operand(0)?.per_tensor()?;
    s.result(0)?.per_tensor()?;
    let (y, w) = (s.result(0)?.quantized()?, s.operand(1)?.quantized()?);
    if w.scales.len() != 1 && w.scales.len() != channels {
        return Err(OpError::invalid("as many weight scales as output channels expected"));
    }
    Ok(channel_multipliers(x, w, y, channels))
}

/// The constant data of operand `i`.
///
/// # Errors
/// The operand is computed at run time.
pub fn constant<'a>(s: &Signature<'a>, i: usize) -> Result<&'a Tensor, OpError> {
    let operand = s.operand(i)?;
    operand.constant.ok_or_else(|| {
        OpError::unsupported(format!(
            "tensor \"{}\" must be constant, but is computed at run time",
            operand.name
        ))
    })
}

/// Declares bias and output conversion of a layer; `per_channel(c, w)` yields channel c's weights.
/// Returns the accumulator starts, the conversion, and what a padded tap reads.
///
/// # Errors
/// Operands that are not constant, or accumulators that could overflow.
pub fn lower<'a, I: Iterator<Item = &'a i8>>(
    s: &Signature<'a>,
    k: &mut KernelBuilder,
    channels: usize,
    activation: Activation,
    per_channel: impl Fn(usize, &'a [i8]) -> I,
) -> Result<(Option<Buf>, Finish, i32), OpError> {
    if s.operand(0)?.dtype() == DType::F32 {
        let bias = if s.operands.len() > 2 { Some(k.operand(s, 2, "bias")?) } else { None };
        return Ok((bias, Finish::Float(activation), 0));
    }
    lower_with(s, k, multipliers(s, channels)?, activation, per_channel)
}

/// The int8 part of [`lower`] with multipliers computed by the operator.
///
/// # Errors
/// As [`lower`].
pub fn lower_with<'a, I: Iterator<Item = &'a i8>>(
    s: &Signature<'a>,
    k: &mut KernelBuilder,
    multipliers: Vec<Multiplier>,
    activation: Activation,
    per_channel: impl Fn(usize, &'a [i8]) -> I,
) -> Result<(Option<Buf>, Finish, i32), OpError> {
    let (_, zero_in) = s.operand(0)?.per_tensor()?;
    let (scale_out, zero_out) = s.result(0)?.per_tensor()?;
    let channels = multipliers.len();
    let (folded, _) = fold(s, channels, per_channel)?;
    let bias = declare_bias(k, folded);
    let range = activation.range_i8(scale_out, zero_out);
    let requantize = Requantize::declare(k, &multipliers, zero_out, range);
    Ok((bias, Finish::Int(requantize), zero_in))
}

/// Accumulator starts of an int8 layer with the input zero point folded in, and how far any
/// accumulator can reach.
///
/// # Errors
/// Operands that are not constant, or accumulators that could overflow.
pub fn fold<'a, I: Iterator<Item = &'a i8>>(
    s: &Signature<'a>,
    channels: usize,
    per_channel: impl Fn(usize, &'a [i8]) -> I,
) -> Result<(Vec<i32>, i64), OpError> {
    let weights = constant(s, 1)?.as_i8().ok_or_else(|| OpError::types(s))?;
    let bias = match s.operands.len() {
        0..=2 => None,
        _with_bias => Some(constant(s, 2)?.as_i32().ok_or_else(|| OpError::types(s))?),
    };
    let (_, zero_in) = s.operand(0)?.per_tensor()?;
    fold_zero_point(bias, channels, (zero_in, zero_point(s)?), |c| per_channel(c, weights))
}

/// Operands and parameters of an int8 layer for reference evaluation.
#[derive(Debug)]
pub struct Layer<'a> {
    input: &'a [i8],
    weights: &'a [i8],
    bias: Option<&'a [i32]>,
    zero_in: i32,
    zero_weights: i32,
    zero_out: i32,
    multipliers: Vec<Multiplier>,
    range: (i32, i32),
}

impl<'a> Layer<'a> {
    /// Reads operands and quantization.
    ///
    /// # Errors
    /// Wrong types or missing quantization.
    pub fn int8(
        s: &Signature<'_>,
        inputs: &[&'a Tensor],
        channels: usize,
        activation: Activation,
    ) -> Result<Self, OpError> {
        Self::with(s, inputs, multipliers(s, channels)?, activation)
    }

    /// The same with multipliers computed by the operator.
    ///
    /// # Errors
    /// Wrong types or missing quantization.
    pub fn with(
        s: &Signature<'_>,
        inputs: &[&'a Tensor],
        multipliers: Vec<Multiplier>,
        activation: Activation,
    ) -> Result<Self, OpError> {
        let int8 =
            |i: usize| inputs.get(i).and_then(|t| t.as_i8()).ok_or_else(|| OpError::types(s));
        let bias = match inputs.get(2) {
            Some(t) => Some(t.as_i32().ok_or_else(|| OpError::types(s))?),
            None => None,
        };
        let (scale_out, zero_out) = s.result(0)?.per_tensor()?;
        Ok(Self {
            input: int8(0)?,
            weights: int8(1)?,
            bias,
            zero_in: s.operand(0)?.per_tensor()?.1,
            zero_weights: s.operand(1)?.quantized()?.zero_point(),
            zero_out,
            multipliers,
            range: activation.range_i8(scale_out, zero_out),
        })
    }

    /// Accumulator start of a channel.
    #[must_use]
    pub fn bias(&self, channel: usize) -> i32 {
        self.bias.map_or(0, |b| b[channel])
    }

    /// Sum of (x - zero point) * (w - zero point) over `n` neighbouring elements.
    #[must_use]
    pub fn dot(&self, at: usize, weights_at: usize, n: usize) -> i32 {
        let (x, w) = (&self.input[at..at + n], &self.weights[weights_at..weights_at + n]);
        x.iter()
            .zip(w)
            .map(|(&x, &w)| (i32::from(x) - self.zero_in) * (i32::from(w) - self.zero_weights))
            .sum()
    }

    /// The int8 result of an accumulator.
    #[must_use]
    pub fn finish(&self, acc: i32, channel: usize) -> i8 {
        self.multipliers[channel].finish(acc, self.zero_out, self.range) as i8
    }
}

/// Input, weights, bias.
pub type FloatOperands<'a> = (&'a [f32], &'a [f32], Option<&'a [f32]>);

/// Input, weights and bias as float slices.
///
/// # Errors
/// Other types.
pub fn float_operands<'a>(
    s: &Signature<'_>,
    inputs: &[&'a Tensor],
) -> Result<FloatOperands<'a>, OpError> {
    let float = |i: usize| inputs.get(i).and_then(|t| t.as_f32());
    let (Some(x), Some(w)) = (float(0), float(1)) else { return Err(OpError::types(s)) };
    Ok((x, w, float(2)))
}

/// `a` (m x k, row-major) times the transpose of `b` (n x k): m x n, row-major.
///
/// # Errors
/// Slices whose length does not match.
pub fn gemm_transposed(
    a: &[f32],
    b: &[f32],
    (m, k, n): (usize, usize, usize),
) -> Result<Vec<f32>, OpError> {
    let misfit = |_| OpError::invalid("matrix operands do not fit their shapes");
    let a = ndarray::ArrayView2::from_shape((m, k), a).map_err(misfit)?;
    let b = ndarray::ArrayView2::from_shape((n, k), b).map_err(misfit)?;
    Ok(a.dot(&b.t()).iter().copied().collect())
}
