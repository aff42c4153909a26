//! Operators on quantized tensors (QOperator format): their operands are dequantized, the float
//! operator applied, the result quantized. The pass `fuse-quantization` makes integer operators of
//! that, so both formats of quantized models give the same code.

use super::quantize::{self, Operands};
use super::{Context, conv, elementwise, movement, norm, pool, reduce};
use crate::graph::ValueId;
use crate::op::OpError;
use crate::tensor::{DType, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
/// Reads the float operator from the operands that were put into the context.
type Float = fn(&mut Context<'_, '_>) -> Read;

/// Operands `i`, scale, zero point as a float; lists of parameters lie along `axis`.
fn float(c: &mut Context<'_, '_>, i: usize, axis: i64) -> Result<ValueId, OpError> {
    let o = Operands::along(c, (i, i + 1, i + 2), axis)?;
    quantize::dequantized(c, &o)
}

/// `y` quantized with scale `i` and zero point `i + 1` of these operands; without a zero point the
/// type is that of `like`.
fn quantized(
    c: &mut Context<'_, '_>,
    y: ValueId,
    operands: &[Option<ValueId>],
    i: usize,
    like: DType,
) -> Result<ValueId, OpError> {
    let get = |i: usize| operands.get(i).copied().flatten();
    let scale = get(i).ok_or_else(|| OpError::invalid(format!("operand {i} is missing")))?;
    let zero_point = get(i + 1);
    let to = zero_point.map_or(like, |z| c.build.ty(z).dtype);
    let o = Operands { x: y, scale, zero_point, axis: 1, block: 0 };
    quantize::quantized(c, &o, to)
}

/// An operator of one quantized operand: x, scale, zero point, scale and zero point of the result.
fn unary(c: &mut Context<'_, '_>, read: Float) -> Read {
    let like = c.build.ty(c.operand(0)?).dtype;
    let x = float(c, 0, 1)?;
    let operands = std::mem::replace(&mut c.operands, vec![Some(x)]);
    let y = first(read(c)?)?;
    Ok(vec![quantized(c, y, &operands, 3, like)?])
}

/// The same with two operands, each followed by its parameters.
fn binary(c: &mut Context<'_, '_>, read: Float) -> Read {
    let like = c.build.ty(c.operand(0)?).dtype;
    let (a, b) = (float(c, 0, 1)?, float(c, 3, 1)?);
    let operands = std::mem::replace(&mut c.operands, vec![Some(a), Some(b)]);
    let y = first(read(c)?)?;
    Ok(vec![quantized(c, y, &operands, 6, like)?])
}

fn first(results: Vec<ValueId>) -> Result<ValueId, OpError> {
    results.first().copied().ok_or_else(|| OpError::invalid("the operator has no result"))
}

/// Channels in the second dimension only.
fn channels_first(c: &Context<'_, '_>) -> Result<(), OpError> {
    match c.attributes.flag("channels_last", false)? {
        false => Ok(()),
        true => Err(OpError::unsupported("channels_last = 1 is not supported")
            .help("quantize the model before onnxruntime optimises its layout")),
    }
}

/// com.microsoft QLinearAdd.
pub fn add(c: &mut Context<'_, '_>) -> Read {
    binary(c, elementwise::add)
}

/// com.microsoft QLinearMul.
pub fn mul(c: &mut Context<'_, '_>) -> Read {
    binary(c, elementwise::mul)
}

/// com.microsoft QLinearSigmoid.
pub fn sigmoid(c: &mut Context<'_, '_>) -> Read {
    unary(c, elementwise::sigmoid)
}

/// com.microsoft QLinearLeakyRelu.
pub fn leaky_relu(c: &mut Context<'_, '_>) -> Read {
    unary(c, elementwise::leaky_relu)
}

/// com.microsoft QLinearSoftmax; its attribute `opset` says which softmax.
pub fn softmax(c: &mut Context<'_, '_>) -> Read {
    let is_old = c.attributes.int("opset")?.is_some_and(|o| o < 13);
    unary(c, if is_old { norm::softmax_1 } else { norm::softmax_13 })
}

/// com.microsoft QLinearAveragePool.
pub fn average_pool(c: &mut Context<'_, '_>) -> Read {
    channels_first(c)?;
    unary(c, pool::average_pool)
}

/// com.microsoft QLinearGlobalAveragePool.
pub fn global_average_pool(c: &mut Context<'_, '_>) -> Read {
    channels_first(c)?;
    unary(c, pool::global_average_pool)
}

/// com.microsoft QLinearReduceMean.
pub fn reduce_mean(c: &mut Context<'_, '_>) -> Read {
    unary(c, reduce::mean)
}

/// com.microsoft QLinearConcat: scale and zero point of the result, then the operands with theirs.
pub fn concat(c: &mut Context<'_, '_>) -> Read {
    let like = c.build.ty(c.operand(2)?).dtype;
    let count = c.operands.len().saturating_sub(2) / 3;
    let mut parts = Vec::new();
    for i in 0..count {
        parts.push(Some(float(c, 2 + 3 * i, 1)?));
    }
    let operands = std::mem::replace(&mut c.operands, parts);
    let y = first(movement::concat(c)?)?;
    Ok(vec![quantized(c, y, &operands, 0, like)?])
}

/// QLinearConv: x, w, result with their parameters, bias in units of input scale * weight scale.
pub fn conv(c: &mut Context<'_, '_>) -> Read {
    let like = c.build.ty(c.operand(0)?).dtype;
    let (x, w) = (float(c, 0, 1)?, float(c, 3, 0)?);
    let bias = match c.optional(8) {
        Some(bias) => Some(bias_in(c, bias, 1, 4)?),
        None => None,
    };
    let operands = std::mem::replace(&mut c.operands, vec![Some(x), Some(w), bias]);
    let y = first(conv::conv(c)?)?;
    Ok(vec![quantized(c, y, &operands, 6, like)?])
}

/// An int32 bias as floats; scales of input and weights are operands `x` and `w`.
fn bias_in(c: &mut Context<'_, '_>, bias: ValueId, x: usize, w: usize) -> Result<ValueId, OpError> {
    let (x, w) = (c.operand(x)?, c.operand(w)?);
    if let (Some(x), Some(w), Some(b)) = (c.build.data(x), c.build.data(w), c.build.data(bias))
        && let (Some([x]), Some(w), Some(b)) = (x.as_f32(), w.as_f32(), b.to_i64())
        && (w.len() == 1 || w.len() == b.len())
    {
        let scale = |i: usize| f64::from(*x) * f64::from(w[if w.len() == 1 { 0 } else { i }]);
        let real = |(i, &b): (usize, &i64)| (scale(i) * b as f64) as f32;
        let data = TensorData::F32(b.iter().enumerate().map(real).collect());
        return c.build.tensor(vec![b.len()], data);
    }
    let scale = c.build.times(x, w)?;
    let bias = super::quantize_plain::real(c, bias)?;
    let dims = c.build.shape(scale);
    let scale = if dims.iter().product::<usize>() == 1 {
        c.build.reshape(scale, Vec::new())?
    } else {
        scale
    };
    c.build.times(bias, scale)
}

/// QLinearMatMul: lists of parameters are one per row of the left matrix, per column of the right.
pub fn matmul(c: &mut Context<'_, '_>) -> Read {
    let like = c.build.ty(c.operand(0)?).dtype;
    let rows = if c.build.shape(c.operand(0)?).len() > 1 { -2 } else { -1 };
    let (a, b) = (float(c, 0, rows)?, float(c, 3, -1)?);
    let operands = std::mem::replace(&mut c.operands, vec![Some(a), Some(b)]);
    let y = first(conv::matmul(c)?)?;
    Ok(vec![quantized(c, y, &operands, 6, like)?])
}

/// com.microsoft QGemm: alpha * A' B' + C with C in units of alpha * scale of A * scale of B;
/// without a scale of the result that is float32.
pub fn gemm(c: &mut Context<'_, '_>) -> Read {
    let like = c.build.ty(c.operand(0)?).dtype;
    let trans_b = c.attributes.flag("transB", false)?;
    let a = float(c, 0, 1)?;
    let b = float(c, 3, if trans_b { 0 } else { 1 })?;
    let bias = match c.optional(6) {
        Some(bias) => Some(bias_in(c, bias, 1, 4)?),
        None => None,
    };
    let alpha = c.attributes.float("alpha", 1.0)?;
    let operands = std::mem::replace(&mut c.operands, vec![Some(a), Some(b), bias]);
    let y = first(conv::gemm_scaled(c, 1.0, 1.0)?)?;
    // Both summands have the factor, so it is one of the result.
    let y = c.build.scaled(y, alpha)?;
    match operands.get(7).copied().flatten() {
        Some(_) => Ok(vec![quantized(c, y, &operands, 7, like)?]),
        None => Ok(vec![y]),
    }
}
