//! QuantizeLinear and DequantizeLinear. With constant parameters per tensor they become the core's
//! operators, whose int8 side carries the parameters; dequantized constants become floats that carry
//! them. Everything else is plain arithmetic.

use super::Context;
use crate::graph::ValueId;
use crate::numeric::Rounding;
use crate::op::{Dequantize, OpError, Quantize};
use crate::tensor::{DType, QuantParams, Tensor, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

/// Scale and zero point operands of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    /// One, or one per index of `axis`; finite and positive.
    pub scales: Vec<f32>,
    /// As many.
    pub zero_points: Vec<i64>,
    /// `None` per tensor.
    pub axis: Option<usize>,
}

impl Params {
    /// From operands `scale` and `zero_point` for a tensor of these extents; `None` when they are
    /// computed at run time, hold blocks, or a scale is not positive.
    ///
    /// # Errors
    /// Operands that do not fit each other or the tensor.
    pub fn read(
        c: &Context<'_, '_>,
        (scale, zero_point): (usize, usize),
        axis: i64,
        dims: &[usize],
    ) -> Result<Option<Self>, OpError> {
        let Some(data) = c.build.data(c.operand(scale)?) else { return Ok(None) };
        let Some(scales) = data.as_f32() else { return Ok(None) };
        let zeros = match c.optional(zero_point) {
            None => vec![0; scales.len()],
            Some(z) => match c.build.data(z) {
                None => return Ok(None),
                Some(z) => match z.to_i64() {
                    None => return Ok(None),
                    Some(z) => z,
                },
            },
        };
        if c.attributes.int("block_size")?.unwrap_or(0) != 0 || data.shape.rank() > 1 {
            return Ok(None);
        }
        if !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Ok(None);
        }
        Self::new(c, scales.to_vec(), zeros, axis, dims).map(Some)
    }

    fn new(
        c: &Context<'_, '_>,
        scales: Vec<f32>,
        mut zero_points: Vec<i64>,
        axis: i64,
        dims: &[usize],
    ) -> Result<Self, OpError> {
        if zero_points.len() == 1 {
            zero_points = vec![zero_points[0]; scales.len()];
        }
        if scales.is_empty() || scales.len() != zero_points.len() {
            let (s, z) = (scales.len(), zero_points.len());
            return Err(OpError::invalid(format!("{s} scales and {z} zero points")));
        }
        let same = scales.iter().all(|s| *s == scales[0])
            && zero_points.iter().all(|z| *z == zero_points[0]);
        if same {
            return Ok(Self {
                scales: vec![scales[0]],
                zero_points: vec![zero_points[0]],
                axis: None,
            });
        }
        let axis = c.axis(axis, dims.len())?;
        if dims[axis] != scales.len() {
            let n = scales.len();
            return Err(OpError::invalid(format!("{n} scales for an extent of {}", dims[axis])));
        }
        Ok(Self { scales, zero_points, axis: Some(axis) })
    }

    /// For the core, if the zero points are int8.
    #[must_use]
    pub fn int8(&self) -> Option<QuantParams> {
        let zero_points: Result<Vec<i32>, _> =
            self.zero_points.iter().map(|&z| i8::try_from(z).map(i32::from)).collect();
        let (scales, axis) = (self.scales.clone(), self.axis);
        Some(QuantParams { scales, zero_points: zero_points.ok()?, axis })
    }

    /// Index of the parameters of element `i` of a tensor of these extents.
    fn index(&self, i: usize, dims: &[usize]) -> usize {
        self.axis.map_or(0, |axis| {
            let inner: usize = dims[axis + 1..].iter().product();
            i / inner.max(1) % dims[axis].max(1)
        })
    }
}

/// y = (x - zero point) * scale.
pub fn dequantize_linear(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let axis = c.attributes.int("axis")?.unwrap_or(1);
    let dims = c.build.shape(x);
    let Some(params) = Params::read(c, (1, 2), axis, &dims)? else {
        return Err(OpError::unsupported("scale and zero point must be constant"));
    };
    Ok(vec![dequantized(c, x, &params)?])
}

/// The float that `x` stands for.
///
/// # Errors
/// Element types that are not supported.
pub fn dequantized(
    c: &mut Context<'_, '_>,
    x: ValueId,
    params: &Params,
) -> Result<ValueId, OpError> {
    let ty = c.build.ty(x);
    if let Some(data) = c.build.data(x) {
        return constant(c, &data, params);
    }
    match (ty.dtype, params.int8()) {
        (DType::I8, Some(quant)) if params.axis.is_none() => {
            let x = c.build.labelled(x, Some(quant))?;
            c.build.apply(Dequantize, x)
        }
        _other => Err(OpError::unsupported(format!(
            "{} quantized in this way is not supported",
            ty.dtype
        ))),
    }
}

/// The floats of constant integers. They stay constants although they take four times the bytes:
/// the pass `fuse-quantization` makes them int8 again where a layer computes with integers.
fn constant(c: &mut Context<'_, '_>, x: &Tensor, params: &Params) -> Result<ValueId, OpError> {
    let values = x.to_i64().ok_or_else(|| OpError::invalid("integers expected"))?;
    let bytes = values.len().saturating_mul(4);
    let left = c.build.budget.checked_sub(bytes.saturating_sub(x.ty().bytes()));
    let left = left.ok_or_else(|| OpError::unsupported("the quantized constants are too large"))?;
    *c.build.budget = left;
    let dims = &x.shape.0;
    let real = |(i, &q): (usize, &i64)| {
        let p = params.index(i, dims);
        // As onnxruntime computes it: the difference is a float32, the product rounds once.
        (q.saturating_sub(params.zero_points[p])) as f32 * params.scales[p]
    };
    let data = TensorData::F32(values.iter().enumerate().map(real).collect());
    let tensor = Tensor { shape: x.shape.clone(), data };
    let quant = if x.data.dtype() == DType::I8 { params.int8() } else { None };
    Ok(match quant {
        Some(quant) => c.build.quantized_constant(tensor, quant),
        None => c.build.constant(tensor),
    })
}

/// y = clamp(round_half_even(x / scale) + zero point).
pub fn quantize_linear(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let axis = c.attributes.int("axis")?.unwrap_or(1);
    let dims = c.build.shape(x);
    let Some(params) = Params::read(c, (1, 2), axis, &dims)? else {
        return Err(OpError::unsupported("scale and zero point must be constant"));
    };
    let to = c.optional(2).map_or(DType::I8, |z| c.build.ty(z).dtype);
    Ok(vec![quantized(c, x, &params, to)?])
}

/// The integers of type `to` nearest to `x`.
///
/// # Errors
/// Element types that are not supported.
pub fn quantized(
    c: &mut Context<'_, '_>,
    x: ValueId,
    params: &Params,
    to: DType,
) -> Result<ValueId, OpError> {
    match (to, params.int8()) {
        (DType::I8, Some(quant)) if params.axis.is_none() => {
            let op = Quantize { rounding: Rounding::HalfEven };
            c.build.add_quantized(op, &[x], Some(quant))
        }
        _other => Err(OpError::unsupported(format!("quantizing to {to} is not supported"))),
    }
}
