//! ONNX tensors -> core tensors: raw and typed data, element types by number. External data is not
//! read here: the core has no files.

use crate::op::OpError;
use crate::tensor::{DType, Shape, Tensor, TensorData};
use onnx_protobuf::TensorProto;
use onnx_protobuf::tensor_proto::DataLocation;

/// Name of an element type by its number in `TensorProto.DataType`.
#[must_use]
pub fn type_name(code: i32) -> String {
    let names = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
        "FLOAT8E8M0",
    ];
    let known = usize::try_from(code).ok().and_then(|c| names.get(c));
    known.map_or_else(|| format!("number {code}"), |n| (*n).to_string())
}

/// The core's element type. Half-width floats widen to float32.
///
/// # Errors
/// Types the core does not have.
pub fn dtype(code: i32) -> Result<DType, OpError> {
    Ok(match code {
        1 | 10 | 16 => DType::F32,
        3 => DType::I8,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        other => {
            return Err(OpError::unsupported(format!(
                "element type {} is not supported",
                type_name(other)
            )));
        }
    })
}

/// Extents as `usize`, their product in range.
///
/// # Errors
/// Negative extents, or too many elements.
pub fn shape(dims: &[i64]) -> Result<Shape, OpError> {
    let extents: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    extents
        .and_then(Shape::checked)
        .ok_or_else(|| OpError::invalid(format!("the shape {dims:?} is not possible")))
}

/// A constant tensor.
///
/// # Errors
/// Unsupported types, external data, or data that does not fit the shape.
pub fn read(proto: &TensorProto) -> Result<Tensor, OpError> {
    let invalid = OpError::invalid;
    if proto.data_location.enum_value_or_default() == DataLocation::EXTERNAL
        || !proto.external_data.is_empty()
    {
        return Err(OpError::unsupported("its data is in another file, which is not supported")
            .help("save the model with its weights inside: onnx.save(onnx.load(path), new_path)"));
    }
    if proto.segment.is_some() {
        return Err(OpError::unsupported("segments are not supported"));
    }
    let shape = shape(&proto.dims)?;
    let ty = dtype(proto.data_type)?;
    let data = if proto.raw_data.is_empty() { typed(proto) } else { raw(proto, ty) };
    let data = data.ok_or_else(|| {
        invalid(format!("its data is not made of elements of {}", type_name(proto.data_type)))
    })?;
    let (have, want) = (data.len(), shape.elements());
    Tensor::new(shape, data)
        .ok_or_else(|| invalid(format!("it has {have} elements, its shape needs {want}")))
}

fn raw(proto: &TensorProto, ty: DType) -> Option<TensorData> {
    match proto.data_type {
        10 | 16 => {
            if !proto.raw_data.len().is_multiple_of(2) {
                return None;
            }
            let widen = if proto.data_type == 10 { half } else { brain };
            let halves = proto.raw_data.chunks_exact(2);
            Some(TensorData::F32(halves.map(|b| widen(u16::from_le_bytes([b[0], b[1]]))).collect()))
        }
        _plain => TensorData::from_le_bytes(ty, &proto.raw_data),
    }
}

fn typed(proto: &TensorProto) -> Option<TensorData> {
    let ints = &proto.int32_data;
    Some(match proto.data_type {
        1 => TensorData::F32(proto.float_data.clone()),
        3 => TensorData::I8(ints.iter().map(|&v| i8::try_from(v)).collect::<Result<_, _>>().ok()?),
        5 => {
            TensorData::I16(ints.iter().map(|&v| i16::try_from(v)).collect::<Result<_, _>>().ok()?)
        }
        6 => TensorData::I32(ints.clone()),
        7 => TensorData::I64(proto.int64_data.clone()),
        9 => TensorData::Bool(ints.iter().map(|&v| u8::from(v != 0)).collect()),
        // Bits of the half in the low half of each integer.
        10 => TensorData::F32(ints.iter().map(|&v| half(v as u16)).collect()),
        16 => TensorData::F32(ints.iter().map(|&v| brain(v as u16)).collect()),
        _other => return None,
    })
}

/// bfloat16: the upper half of a float32.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits; exact in float32.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 0x3FF));
    let magnitude = match exponent {
        0 => (fraction as f32 * f32::from_bits((127 - 24) << 23)).to_bits(),
        31 => 0xFF << 23 | fraction << 13,
        e => (e + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_widen_exactly() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03FF, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7C00, f32::INFINITY),
        ];
        for (bits, want) in cases {
            assert_eq!(half(bits).to_bits(), f32::to_bits(want), "{bits:#x}");
        }
        assert!(half(0x7E00).is_nan());
        assert_eq!(brain(0xBF80), -1.0);
    }

    #[test]
    fn data_must_fit_the_shape() {
        let mut t = TensorProto { data_type: 1, dims: vec![2], ..Default::default() };
        assert!(read(&t).is_err());
        t.raw_data = vec![0; 8];
        assert_eq!(read(&t).expect("reads").data, TensorData::F32(vec![0.0; 2]));
        t.raw_data = vec![0; 7];
        assert!(read(&t).is_err());
        t.dims = vec![-1];
        assert!(read(&t).is_err());
        t.dims = vec![i64::MAX, i64::MAX];
        assert!(read(&t).is_err());
    }
}
