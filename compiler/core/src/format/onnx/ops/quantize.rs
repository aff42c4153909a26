//! QuantizeLinear and DequantizeLinear. With constant parameters per tensor they become the core's
//! operators, whose int8 side carries the parameters; dequantized constants become floats that carry
//! them. Everything else is plain arithmetic (`quantize_plain`).

use super::{Context, quantize_plain as plain};
use crate::format::onnx::tensor;
use crate::graph::ValueId;
use crate::op::{Cast, Dequantize, OpError, Quantize};
use crate::tensor::{DType, QuantParams, Rounding, Tensor, TensorData};

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
    pub fn read(c: &Context<'_, '_>, o: &Operands) -> Result<Option<Self>, OpError> {
        let Some(data) = c.build.data(o.scale) else { return Ok(None) };
        let Some(scales) = data.as_f32() else { return Ok(None) };
        let zeros = match o.zero_point {
            None => vec![0; scales.len()],
            Some(z) => match c.build.data(z) {
                None => return Ok(None),
                Some(z) => match z.to_i64() {
                    None => return Ok(None),
                    Some(z) => z,
                },
            },
        };
        if o.block != 0 || data.shape.rank() > 1 {
            return Ok(None);
        }
        if !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Ok(None);
        }
        Self::new(c, scales.to_vec(), zeros, o.axis, &c.build.shape(o.x)).map(Some)
    }

    fn new(
        c: &Context<'_, '_>,
        mut scales: Vec<f32>,
        mut zero_points: Vec<i64>,
        axis: i64,
        dims: &[usize],
    ) -> Result<Self, OpError> {
        if zero_points.len() == 1 {
            zero_points = vec![zero_points[0]; scales.len()];
        }
        // Weights of QLinearConv may have one scale and a zero point per channel.
        if scales.len() == 1 && !zero_points.is_empty() {
            scales = vec![scales[0]; zero_points.len()];
        }
        if scales.is_empty() || scales.len() != zero_points.len() {
            let (s, z) = (scales.len(), zero_points.len());
            return Err(OpError::invalid(format!("{s} scales and {z} zero points")));
        }
        let axis = match scales.len() {
            1 => None,
            n => {
                let axis = c.axis(axis, dims.len())?;
                if dims[axis] != n {
                    let message = format!("{n} scales for an extent of {}", dims[axis]);
                    return Err(OpError::invalid(message));
                }
                Some(axis)
            }
        };
        let same = scales.iter().all(|s| *s == scales[0])
            && zero_points.iter().all(|z| *z == zero_points[0]);
        if same {
            return Ok(Self {
                scales: vec![scales[0]],
                zero_points: vec![zero_points[0]],
                axis: None,
            });
        }
        Ok(Self { scales, zero_points, axis })
    }

    /// For the core, of int8 and uint8 elements: uint8 ones become int8, 128 less.
    #[must_use]
    pub fn int8(&self, dtype: DType) -> Option<QuantParams> {
        if !matches!(dtype, DType::I8 | DType::U8) {
            return None;
        }
        let offset = if dtype == DType::U8 { 128 } else { 0 };
        let zero_points: Result<Vec<i32>, _> =
            self.zero_points.iter().map(|&z| i8::try_from(z - offset).map(i32::from)).collect();
        let (scales, axis) = (self.scales.clone(), self.axis);
        let rounding = Rounding::HalfEven;
        Some(QuantParams { scales, zero_points: zero_points.ok()?, axis, rounding })
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
    let operands = Operands::of(c, (0, 1, 2))?;
    Ok(vec![dequantized(c, &operands)?])
}

/// y = clamp(round_half_even(x / scale) + zero point).
pub fn quantize_linear(c: &mut Context<'_, '_>) -> Read {
    let operands = Operands::of(c, (0, 1, 2))?;
    let asked = match c.attributes.int("output_dtype")?.unwrap_or(0) {
        0 => None,
        code => Some(tensor::dtype(i32::try_from(code).unwrap_or(0))?),
    };
    let zero_point = operands.zero_point.map(|z| c.build.ty(z).dtype);
    let to = zero_point.or(asked).unwrap_or(DType::U8);
    if let Some(asked) = asked {
        check_zero_point(c, operands.zero_point, asked)?;
    }
    Ok(vec![quantized(c, &operands, to)?])
}

/// A tensor, its scale and zero point, and how they lie along it.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    /// Integers or floats.
    pub x: ValueId,
    /// Scales.
    pub scale: ValueId,
    /// Zero points, 0 when left out.
    pub zero_point: Option<ValueId>,
    /// Dimension of parameters that are a list.
    pub axis: i64,
    /// Elements along `axis` that share parameters; 0 where there are no blocks.
    pub block: usize,
}

impl Operands {
    /// From the operands of these numbers.
    ///
    /// # Errors
    /// Missing operands, or attributes that do not fit.
    pub fn of(
        c: &Context<'_, '_>,
        (x, scale, zero_point): (usize, usize, usize),
    ) -> Result<Self, OpError> {
        let axis = c.attributes.int("axis")?.unwrap_or(1);
        let block = c.attributes.int("block_size")?.unwrap_or(0);
        let block = usize::try_from(block)
            .map_err(|_| OpError::invalid(format!("block_size {block} is negative")))?;
        let (x, scale) = (c.operand(x)?, c.operand(scale)?);
        Ok(Self { x, scale, zero_point: c.optional(zero_point), axis, block })
    }

    /// The same without attributes of the node: parameters lie along `axis`.
    ///
    /// # Errors
    /// Missing operands.
    pub fn along(
        c: &Context<'_, '_>,
        (x, scale, zero_point): (usize, usize, usize),
        axis: i64,
    ) -> Result<Self, OpError> {
        let (x, scale) = (c.operand(x)?, c.operand(scale)?);
        Ok(Self { x, scale, zero_point: c.optional(zero_point), axis, block: 0 })
    }
}

/// A zero point is one of the quantized elements.
///
/// # Errors
/// It has another type than those.
pub fn check_zero_point(
    c: &Context<'_, '_>,
    zero_point: Option<ValueId>,
    elements: DType,
) -> Result<(), OpError> {
    match zero_point.map(|z| c.build.ty(z).dtype).filter(|&own| own != elements) {
        None => Ok(()),
        Some(own) => {
            let message = format!("the zero point is {own}, the quantized elements are {elements}");
            Err(OpError::invalid(message))
        }
    }
}

/// The float that integers stand for.
///
/// # Errors
/// Element types that are not supported, operands that do not fit.
pub fn dequantized(c: &mut Context<'_, '_>, o: &Operands) -> Result<ValueId, OpError> {
    let dtype = c.build.ty(o.x).dtype;
    check_zero_point(c, o.zero_point, dtype)?;
    let Some(params) = Params::read(c, o)? else { return plain::dequantized(c, o) };
    if let Some(data) = c.build.data(o.x)
        && let Some(integers) = data.to_i64()
    {
        return constant(c, &data, &integers, &params);
    }
    match params.int8(dtype) {
        Some(quant) if params.axis.is_none() => {
            let x = if dtype == DType::U8 { c.build.flipped(o.x)? } else { o.x };
            let x = c.build.labelled(x, Some(quant))?;
            c.build.apply(Dequantize, x)
        }
        _other => plain::dequantized(c, o),
    }
}

/// The floats of constant integers. They stay constants although they take four times the bytes:
/// the pass `fuse-quantization` makes them int8 again where a layer computes with integers.
fn constant(
    c: &mut Context<'_, '_>,
    x: &Tensor,
    integers: &[i64],
    params: &Params,
) -> Result<ValueId, OpError> {
    let bytes = integers.len().saturating_mul(4);
    let left = c.build.budget.checked_sub(bytes.saturating_sub(x.ty().bytes()));
    let left = left.ok_or_else(|| OpError::unsupported("the quantized constants are too large"))?;
    *c.build.budget = left;
    let dims = &x.shape.0;
    let real = |(i, &q): (usize, &i64)| {
        let p = params.index(i, dims);
        // As onnxruntime computes it: the difference is a float32, the product rounds once.
        q.saturating_sub(params.zero_points[p]) as f32 * params.scales[p]
    };
    let data = TensorData::F32(integers.iter().enumerate().map(real).collect());
    let tensor = Tensor { shape: x.shape.clone(), data };
    Ok(match params.int8(x.data.dtype()) {
        Some(quant) => c.build.quantized_constant(tensor, quant),
        None => c.build.constant(tensor),
    })
}

/// The integers of type `to` nearest to a float.
///
/// # Errors
/// Element types that are not supported, operands that do not fit.
pub fn quantized(c: &mut Context<'_, '_>, o: &Operands, to: DType) -> Result<ValueId, OpError> {
    let quant = Params::read(c, o)?.filter(|p| p.axis.is_none()).and_then(|p| p.int8(to));
    let Some(quant) = quant else { return plain::quantized(c, o, to) };
    let dtype = c.build.ty(o.x).dtype;
    let x = match dtype.is_int() {
        true => c.build.apply(Cast { to: DType::F32 }, o.x)?,
        false => c.build.widened(o.x)?,
    };
    let y = c.build.add_quantized(Quantize, &[x], Some(quant))?;
    if to == DType::U8 { c.build.flipped(y) } else { Ok(y) }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    const UINT8: i32 = 2;
    const INT8: i32 = 3;
    const INT32: i32 = 6;

    fn integers(case: Case, want: &[i64]) {
        let y = case.run(21).expect("reads");
        assert_eq!(y.to_i64().expect("integers"), want);
    }

    #[test]
    fn quantizing_rounds_to_even_and_saturates() {
        let x = [0.0, 2.0, 3.0, 1000.0, -254.0, -1000.0, 1.0, 5.0];
        let quantize = |zero: i32, ty: i32| {
            case("QuantizeLinear").input(&[8], &x).floats(&[], &[2.0]).typed(&[], ty, &[zero])
        };
        integers(quantize(128, UINT8), &[128, 129, 130, 255, 1, 0, 128, 130]);
        integers(quantize(-3, INT8), &[-3, -2, -1, 127, -128, -128, -3, -1]);
        // Without a zero point the result is uint8.
        let plain = case("QuantizeLinear").input(&[2], &[7.0, -1.0]).floats(&[], &[2.0]);
        integers(plain, &[4, 0]);
    }

    #[test]
    fn lists_of_scales_lie_along_the_axis() {
        let x = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let case = case("QuantizeLinear").input(&[2, 3], &x).floats(&[2], &[1.0, 10.0]);
        integers(case.typed(&[2], UINT8, &[0, 5]).int("axis", 0), &[1, 2, 3, 6, 7, 8]);
    }

    #[test]
    fn constants_are_dequantized() {
        let x = || case("DequantizeLinear").typed(&[2, 2], INT8, &[-4, 6, 100, -128]);
        let per_tensor = x().floats(&[], &[0.5]).typed(&[], INT8, &[2]);
        per_tensor.gives(21, &[2, 2], &[-3.0, 2.0, 49.0, -65.0]);
        let along = x().floats(&[2], &[0.5, 2.0]).typed(&[2], INT8, &[0, 1]);
        along.gives(21, &[2, 2], &[-2.0, 10.0, 50.0, -258.0]);
        let bias = case("DequantizeLinear").typed(&[2], INT32, &[-70_000, 3]);
        bias.floats(&[], &[0.001]).gives(13, &[2], &[-70.0, 0.003]);
    }

    #[test]
    fn parameters_must_fit_the_tensor() {
        let x = || case("DequantizeLinear").typed(&[2, 2], INT8, &[0; 4]);
        x().floats(&[3], &[0.5, 1.0, 2.0]).refused(13, "3 scales");
        x().floats(&[3], &[0.5; 3]).refused(13, "3 scales for an extent of 2");
        let unlike = "the zero point is uint8, the quantized elements are int8";
        x().floats(&[], &[0.5]).typed(&[], UINT8, &[0]).refused(13, unlike);
        let asked = case("QuantizeLinear").input(&[2], &[0.0; 2]).floats(&[], &[0.5]);
        asked.typed(&[], UINT8, &[0]).int("output_dtype", 3).refused(21, unlike);
        let sum = case("MatMulInteger").typed(&[1, 1], UINT8, &[1]);
        let sum = sum.typed(&[1, 1], INT8, &[1]).typed(&[], INT8, &[0]);
        sum.refused(13, "the zero point is int8, the quantized elements are uint8");
    }

    /// onnxruntime takes weights with one scale and a zero point for each column.
    #[test]
    fn one_scale_may_have_many_zero_points() {
        let a = case("QLinearMatMul").typed(&[1, 2], UINT8, &[130, 120]);
        let a = a.floats(&[], &[0.5]).typed(&[], UINT8, &[128]);
        let b = a.typed(&[2, 2], UINT8, &[3, 0, 10, 200]).floats(&[], &[0.25]);
        let y = b.typed(&[2], UINT8, &[5, 0]).floats(&[], &[1.0]).typed(&[], UINT8, &[100]);
        // (1, -4) * ((-0.5, 0), (1.25, 50)) = (-5.5, -200)
        integers(y, &[94, 0]);
    }

    #[test]
    fn a_quantized_product_with_asymmetric_operands() {
        let a = case("QLinearMatMul").typed(&[1, 2], UINT8, &[130, 120]);
        let a = a.floats(&[], &[0.5]).typed(&[], UINT8, &[128]);
        let b = a.typed(&[2, 2], UINT8, &[3, 0, 10, 200]).floats(&[], &[0.25]);
        let y = b.typed(&[], UINT8, &[5]).floats(&[], &[1.0]).typed(&[], UINT8, &[100]);
        // (1, -4) * ((-0.5, -1.25), (1.25, 48.75)) = (-5.5, -196.25)
        integers(y, &[94, 0]);
    }

    #[test]
    fn integer_products_stay_exact_beyond_float32() {
        let n = 700;
        let a = case("MatMulInteger").typed(&[1, n], UINT8, &vec![255; n]);
        let b = a.typed(&[n, 1], UINT8, &vec![255; n]);
        integers(b, &[255 * 255 * 700]);
    }

    #[test]
    fn the_range_of_dynamic_quantization_holds_zero() {
        let x = [0.0, 2.0, -3.0, -2.5, 1.34, 0.5];
        let y = || case("DynamicQuantizeLinear").input(&[6], &x);
        integers(y(), &[153, 255, 0, 26, 221, 179]);
        integers(y().result(2), &[153]);
        integers(case("DynamicQuantizeLinear").input(&[2], &[0.0, 0.0]), &[0, 0]);
    }
}
