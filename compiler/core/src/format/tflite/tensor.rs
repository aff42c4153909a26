//! What the file says about one tensor, checked: element type, shape, quantization. Its data and
//! its place in the graph are the reader's business.

use super::generated as fb;
use crate::diagnostic::{Code, Diagnostic, Origin};
use crate::graph::verify::check_quant;
use crate::tensor::{DType, QuantParams, Rounding, Shape};

/// What a tensor is in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Model input.
    Input,
    /// Constant, or computed by an operator.
    Inner,
    /// The same where the user replaced input shapes: declared shapes are outdated anyway.
    Outdated,
}

/// More dimensions than any operator handles.
const MAX_RANK: usize = 8;

/// The shape; a dynamic batch has extent 1 in `shape`, other dynamic extents are refused.
///
/// # Errors
/// Open or negative extents, too many dimensions or elements.
pub(super) fn static_shape(
    tensor: &fb::Tensor<'_>,
    role: Role,
    origin: &Origin,
) -> Result<Shape, Box<Diagnostic>> {
    let error = |code, message: String| Diagnostic::new(code, origin.clone(), message);
    let dims: Vec<i32> = tensor.shape().into_iter().flatten().collect();
    if dims.len() > MAX_RANK {
        let message = format!("{} dimensions, at most {MAX_RANK} are supported", dims.len());
        return Err(error(Code::MalformedModel, message).into());
    }
    let signature: Vec<i32> = tensor.shape_signature().into_iter().flatten().collect();
    let mut shape = Vec::with_capacity(dims.len());
    for (i, &d) in dims.iter().enumerate() {
        // A signature of -1 beyond the batch means that the extent 1 in `shape` is no extent.
        let open = d < 0 || (i > 0 && d == 1 && signature.get(i).copied() == Some(-1));
        match usize::try_from(d) {
            Ok(extent) if !open => shape.push(extent),
            _dynamic if d == -1 && i == 0 => shape.push(1),
            _dynamic if d >= -1 && role == Role::Outdated => shape.push(1),
            _dynamic if d >= -1 => {
                return Err(open_shape(&dims, &signature, i, role, origin).into());
            }
            _negative => {
                let message = format!("dimension {i} of shape {dims:?} is negative");
                return Err(error(Code::MalformedModel, message).into());
            }
        }
    }
    checked(shape, origin)
}

/// A shape whose indices fit 32 bits.
///
/// # Errors
/// Too many elements.
pub(super) fn checked(dims: Vec<usize>, origin: &Origin) -> Result<Shape, Box<Diagnostic>> {
    let text = Shape(dims.clone()).to_string();
    Shape::checked(dims).ok_or_else(|| {
        let message = format!("shape {text} has more than 2^31 - 1 elements");
        Diagnostic::new(Code::MalformedModel, origin.clone(), message)
            .help("emitted code counts elements in 32 bits: give the model smaller inputs")
            .into()
    })
}

fn open_shape(
    dims: &[i32],
    signature: &[i32],
    i: usize,
    role: Role,
    origin: &Origin,
) -> Diagnostic {
    let text = dims_text(dims, signature);
    let message = format!("dimension {i} of shape [{text}] is not known at compile time");
    let help = match role {
        Role::Input => format!(
            "export the model with a fixed input shape, or give it with --input-shape {}={}",
            origin.tensor,
            text.replace(", ", "x").replace('?', "N")
        ),
        Role::Inner | Role::Outdated => "export the model with fixed shapes".into(),
    };
    Diagnostic::new(Code::DynamicShape, origin.clone(), message).help(help)
}

fn dims_text(dims: &[i32], signature: &[i32]) -> String {
    let text = |(i, &d): (usize, &i32)| {
        if d == -1 || (i > 0 && signature.get(i) == Some(&-1)) { "?".into() } else { d.to_string() }
    };
    dims.iter().enumerate().map(text).collect::<Vec<_>>().join(", ")
}

/// Element type, or why not and what to do.
///
/// # Errors
/// One that is not handled yet.
pub(super) fn dtype(code: fb::TensorType) -> Result<DType, (String, String)> {
    match code {
        fb::TensorType::INT8 => Ok(DType::I8),
        fb::TensorType::INT16 => Ok(DType::I16),
        fb::TensorType::INT32 => Ok(DType::I32),
        fb::TensorType::INT64 => Ok(DType::I64),
        fb::TensorType::FLOAT16 => Ok(DType::F16),
        fb::TensorType::FLOAT32 => Ok(DType::F32),
        fb::TensorType::BOOL => Ok(DType::Bool),
        other => {
            let name = other.variant_name().map_or_else(|| other.0.to_string(), str::to_lowercase);
            let help = match name.as_str() {
                "uint8" => "quantize the model to int8 (the TFLite converter's default since 2.3)",
                _other => "supported element types are int8 and float32",
            };
            Err((format!("element type {name} is not supported yet"), help.into()))
        }
    }
}

/// Quantization parameters, checked; `None` where the file has none.
pub(super) fn quantization(
    tensor: &fb::Tensor<'_>,
    shape: &Shape,
    dtype: DType,
) -> Result<Option<QuantParams>, String> {
    let Some(q) = tensor.quantization() else { return Ok(None) };
    let scales: Vec<f32> = q.scale().into_iter().flatten().collect();
    if scales.is_empty() {
        return Ok(None);
    }
    let mut zero_points = Vec::new();
    for z in q.zero_point().into_iter().flatten() {
        zero_points.push(i32::try_from(z).map_err(|_| format!("zero point {z} is out of range"))?);
    }
    if dtype == DType::I8
        && let Some(z) = zero_points.iter().find(|z| !(-128..=127).contains(*z))
    {
        return Err(format!("zero point {z} does not fit int8"));
    }
    if zero_points.is_empty() {
        zero_points = vec![0; scales.len()];
    }
    let axis = match scales.len() {
        1 => None,
        _many => {
            let axis = q.quantized_dimension();
            Some(usize::try_from(axis).map_err(|_| format!("quantized dimension {axis}"))?)
        }
    };
    let quant = QuantParams { scales, zero_points, axis, rounding: Rounding::HalfAway };
    match check_quant(&quant, shape) {
        Ok(()) => Ok(Some(quant)),
        // Only int8 values are computed with. Old converters left wrong dimensions on int32
        // biases, whose parameters follow from input and weights anyway.
        Err(_) if dtype != DType::I8 => Ok(None),
        Err(message) => Err(message),
    }
}
