//! ONNX tensors -> core tensors: raw and typed data, element types by number. Data of other files
//! was put in before.

use crate::diagnostic::Code;
use crate::op::OpError;
use crate::tensor::{DType, Shape, SmallType, Tensor, TensorData};
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
        "UINT2",
        "INT2",
    ];
    let known = usize::try_from(code).ok().and_then(|c| names.get(c));
    known.map_or_else(|| format!("number {code}"), |n| (*n).to_string())
}

/// The core's element type.
///
/// # Errors
/// Types the core does not have: texts and complex numbers.
pub fn dtype(code: i32) -> Result<DType, OpError> {
    Ok(match code {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        17 => DType::Small(SmallType::F8E4M3Fn),
        18 => DType::Small(SmallType::F8E4M3FnUz),
        19 => DType::Small(SmallType::F8E5M2),
        20 => DType::Small(SmallType::F8E5M2FnUz),
        21 => DType::Small(SmallType::U4),
        22 => DType::Small(SmallType::I4),
        23 => DType::Small(SmallType::F4E2M1),
        24 => DType::Small(SmallType::F8E8M0),
        25 => DType::Small(SmallType::U2),
        26 => DType::Small(SmallType::I2),
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
/// Unsupported types, or data that does not fit the shape.
pub fn read(proto: &TensorProto) -> Result<Tensor, OpError> {
    let invalid = OpError::invalid;
    if proto.data_location.enum_value_or_default() == DataLocation::EXTERNAL {
        // `external` reported why.
        let error = OpError::invalid("its data is in another file, which was not read");
        return Err(OpError { code: Code::ExternalData, ..error });
    }
    if proto.segment.is_some() {
        return Err(OpError::unsupported("segments are not supported"));
    }
    let shape = shape(&proto.dims)?;
    let ty = dtype(proto.data_type)?;
    let elements = shape.elements();
    let data = match proto.raw_data.is_empty() {
        true => typed(proto, ty, elements),
        false => raw(proto, ty, elements),
    };
    let data = data.ok_or_else(|| {
        invalid(format!("its data is not made of elements of {}", type_name(proto.data_type)))
    })?;
    let (have, want) = (data.len(), shape.elements());
    Tensor::new(shape, data)
        .ok_or_else(|| invalid(format!("it has {have} elements, its shape needs {want}")))
}

fn raw(proto: &TensorProto, ty: DType, elements: usize) -> Option<TensorData> {
    if let DType::Small(small) = ty
        && small.bits() < 8
    {
        return unpack(small, &proto.raw_data, elements);
    }
    TensorData::from_le_bytes(ty, &proto.raw_data)
}

/// Elements packed several to a byte, the first in the lowest bits.
fn unpack(small: SmallType, bytes: &[u8], elements: usize) -> Option<TensorData> {
    let per_byte = (8 / small.bits()) as usize;
    if bytes.len() != elements.div_ceil(per_byte) {
        return None;
    }
    let each = |byte: &u8| {
        let byte = *byte;
        (0..per_byte as u32).map(move |i| small.from_bits(byte >> (i * small.bits())))
    };
    Some(TensorData::Small(small, bytes.iter().flat_map(each).take(elements).collect()))
}

fn typed(proto: &TensorProto, ty: DType, elements: usize) -> Option<TensorData> {
    let ints = &proto.int32_data;
    Some(match ty {
        DType::F32 => TensorData::F32(proto.float_data.clone()),
        DType::F64 => TensorData::F64(proto.double_data.clone()),
        DType::I32 => TensorData::I32(ints.clone()),
        DType::I64 => TensorData::I64(proto.int64_data.clone()),
        DType::U64 => TensorData::U64(proto.uint64_data.clone()),
        DType::U32 => {
            let narrow = proto.uint64_data.iter().map(|&v| u32::try_from(v).ok());
            TensorData::U32(narrow.collect::<Option<_>>()?)
        }
        // Bits of the half in the low half of each integer.
        DType::F16 => TensorData::F16(ints.iter().map(|&v| v as u16).collect()),
        DType::BF16 => TensorData::BF16(ints.iter().map(|&v| v as u16).collect()),
        DType::Bool => TensorData::Bool(ints.iter().map(|&v| u8::from(v != 0)).collect()),
        DType::Small(small) => {
            let bytes: Vec<u8> = ints.iter().map(|&v| v as u8).collect();
            match small.bits() {
                8 => TensorData::Small(small, bytes),
                _packed => unpack(small, &bytes, elements)?,
            }
        }
        DType::I8 | DType::U8 | DType::I16 | DType::U16 => {
            let wide: Vec<i128> = ints.iter().map(|&v| v.into()).collect();
            let data = TensorData::from_i128(ty, &wide)?;
            (data.to_i128()? == wide).then_some(data)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_elements_are_unpacked() {
        let mut t = TensorProto { data_type: 22, dims: vec![3], ..Default::default() };
        t.raw_data = vec![0x8F, 0x07];
        let read_i4 = |t: &TensorProto| read(t).map(|t| t.data.to_le_bytes());
        assert_eq!(read_i4(&t).expect("reads"), [0xFF, 0xF8, 7]);
        t.raw_data = vec![0x8F];
        assert!(read_i4(&t).is_err());
        (t.raw_data, t.int32_data) = (Vec::new(), vec![0x8F, 0x07]);
        assert_eq!(read_i4(&t).expect("reads"), [0xFF, 0xF8, 7]);
        t.data_type = 25;
        t.int32_data = vec![0b11_10_01];
        assert_eq!(read_i4(&t).expect("reads"), [1, 2, 3]);
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
