//! What flows between operators: element types, shapes, quantization parameters and constant data.
//! The lowest floor of the core: nothing here knows about operators, graphs or kernels.

pub use crate::quant::{QuantParams, Rounding};
use std::fmt;

/// Element types narrower than a byte or without arithmetic of their own: one byte per element in
/// memory, converted to and from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SmallType {
    /// 2-bit signed integer, held as int8.
    I2,
    /// 4-bit signed integer, held as int8.
    I4,
    /// 2-bit unsigned integer.
    U2,
    /// 4-bit unsigned integer.
    U4,
    /// 1 sign, 2 exponent, 1 fraction bit; finite.
    F4E2M1,
    /// 1 sign, 4 exponent, 3 fraction bits; no infinities.
    F8E4M3Fn,
    /// The same with bias 8, one zero and NaN = 0x80.
    F8E4M3FnUz,
    /// 1 sign, 5 exponent, 2 fraction bits, as in IEEE 754.
    F8E5M2,
    /// The same with bias 16, one zero and NaN = 0x80.
    F8E5M2FnUz,
    /// 8 exponent bits: powers of two.
    F8E8M0,
}

impl SmallType {
    /// All of them.
    pub const ALL: [SmallType; 10] = [
        SmallType::I2,
        SmallType::I4,
        SmallType::U2,
        SmallType::U4,
        SmallType::F4E2M1,
        SmallType::F8E4M3Fn,
        SmallType::F8E4M3FnUz,
        SmallType::F8E5M2,
        SmallType::F8E5M2FnUz,
        SmallType::F8E8M0,
    ];

    /// Significant bits of an element.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            SmallType::I2 | SmallType::U2 => 2,
            SmallType::I4 | SmallType::U4 | SmallType::F4E2M1 => 4,
            SmallType::F8E4M3Fn
            | SmallType::F8E4M3FnUz
            | SmallType::F8E5M2
            | SmallType::F8E5M2FnUz
            | SmallType::F8E8M0 => 8,
        }
    }

    /// The byte of an element with these low bits: sign-extended where the type is signed.
    #[must_use]
    pub fn from_bits(self, bits: u8) -> u8 {
        let shift = 8 - self.bits();
        match self {
            SmallType::I2 | SmallType::I4 => ((bits << shift) as i8 >> shift) as u8,
            SmallType::U2
            | SmallType::U4
            | SmallType::F4E2M1
            | SmallType::F8E4M3Fn
            | SmallType::F8E4M3FnUz
            | SmallType::F8E5M2
            | SmallType::F8E5M2FnUz
            | SmallType::F8E8M0 => bits << shift >> shift,
        }
    }

    /// Name as in the numpy extension `ml_dtypes`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SmallType::I2 => "int2",
            SmallType::I4 => "int4",
            SmallType::U2 => "uint2",
            SmallType::U4 => "uint4",
            SmallType::F4E2M1 => "float4_e2m1fn",
            SmallType::F8E4M3Fn => "float8_e4m3fn",
            SmallType::F8E4M3FnUz => "float8_e4m3fnuz",
            SmallType::F8E5M2 => "float8_e5m2",
            SmallType::F8E5M2FnUz => "float8_e5m2fnuz",
            SmallType::F8E8M0 => "float8_e8m0fnu",
        }
    }
}

/// Element type of a tensor. float32 and the integers compute; float16, bfloat16, float64 and the
/// small types are storage, converted around arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DType {
    /// 8-bit signed integer; quantized when the value carries `QuantParams`.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// 16-bit signed integer.
    I16,
    /// 16-bit unsigned integer.
    U16,
    /// 32-bit signed integer.
    I32,
    /// 32-bit unsigned integer.
    U32,
    /// 64-bit signed integer.
    I64,
    /// 64-bit unsigned integer.
    U64,
    /// IEEE 754 binary16, held as its bits.
    F16,
    /// The upper half of a binary32, held as its bits.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// One byte, 0 or 1.
    Bool,
    /// One byte per element of a type narrower than that, or of an 8-bit float.
    Small(SmallType),
}

impl DType {
    /// All types.
    pub const ALL: [DType; 23] = [
        DType::I8,
        DType::U8,
        DType::I16,
        DType::U16,
        DType::I32,
        DType::U32,
        DType::I64,
        DType::U64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
        DType::Bool,
        DType::Small(SmallType::I2),
        DType::Small(SmallType::I4),
        DType::Small(SmallType::U2),
        DType::Small(SmallType::U4),
        DType::Small(SmallType::F4E2M1),
        DType::Small(SmallType::F8E4M3Fn),
        DType::Small(SmallType::F8E4M3FnUz),
        DType::Small(SmallType::F8E5M2),
        DType::Small(SmallType::F8E5M2FnUz),
        DType::Small(SmallType::F8E8M0),
    ];

    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool | DType::Small(_) => 1,
            DType::I16 | DType::U16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 | DType::U64 | DType::F64 => 8,
        }
    }

    /// Name as in numpy, for example `int8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DType::I8 => "int8",
            DType::U8 => "uint8",
            DType::I16 => "int16",
            DType::U16 => "uint16",
            DType::I32 => "int32",
            DType::U32 => "uint32",
            DType::I64 => "int64",
            DType::U64 => "uint64",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::Bool => "bool",
            DType::Small(small) => small.name(),
        }
    }

    /// Whether the type is an integer of at least 8 bits.
    #[must_use]
    pub fn is_int(self) -> bool {
        matches!(
            self,
            DType::I8
                | DType::U8
                | DType::I16
                | DType::U16
                | DType::I32
                | DType::U32
                | DType::I64
                | DType::U64
        )
    }

    /// Whether the type is an unsigned integer of at least 8 bits.
    #[must_use]
    pub fn is_unsigned(self) -> bool {
        matches!(self, DType::U8 | DType::U16 | DType::U32 | DType::U64)
    }

    /// The type of float32, int32, int64 and bool that holds its values; small types stay.
    #[must_use]
    pub fn widened(self) -> DType {
        match self {
            DType::F16 | DType::BF16 | DType::F64 => DType::F32,
            DType::I8 | DType::U8 | DType::I16 | DType::U16 => DType::I32,
            DType::U32 | DType::U64 => DType::I64,
            DType::F32 | DType::I32 | DType::I64 | DType::Bool | DType::Small(_) => self,
        }
    }

    /// Whether the type holds reals that are widened to float32 for arithmetic.
    #[must_use]
    pub fn is_storage_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Static extents, outermost first; empty for a scalar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// Product of the extents. Construction through [`Shape::checked`] guarantees it fits.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.0.iter().fold(1usize, |n, &d| n.saturating_mul(d))
    }

    /// A shape whose element count stays below 2^31, so that every index fits `int32_t`. An extent
    /// of 0 does not excuse the others: strides must fit as well.
    #[must_use]
    pub fn checked(dims: Vec<usize>) -> Option<Self> {
        let mut n: usize = 1;
        for &d in &dims {
            n = n.checked_mul(d.max(1))?;
        }
        (n <= i32::MAX as usize).then_some(Self(dims))
    }

    /// Number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Row-major element strides.
    #[must_use]
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.0.len()];
        for i in (0..self.0.len().saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * self.0[i + 1];
        }
        strides
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    /// `1x96x96x3`, or `scalar`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("scalar");
        }
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i > 0 { "x" } else { "" })?;
        }
        Ok(())
    }
}

/// Element type and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Static shape.
    pub shape: Shape,
}

impl TensorType {
    /// Shorthand constructor.
    #[must_use]
    pub fn new(dtype: DType, shape: Shape) -> Self {
        Self { dtype, shape }
    }

    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shape.elements().saturating_mul(self.dtype.size())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.dtype, self.shape)
    }
}

/// Elements of a constant, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// int8 elements.
    I8(Vec<i8>),
    /// uint8 elements.
    U8(Vec<u8>),
    /// int16 elements.
    I16(Vec<i16>),
    /// uint16 elements.
    U16(Vec<u16>),
    /// int32 elements.
    I32(Vec<i32>),
    /// uint32 elements.
    U32(Vec<u32>),
    /// int64 elements.
    I64(Vec<i64>),
    /// uint64 elements.
    U64(Vec<u64>),
    /// Bits of float16 elements.
    F16(Vec<u16>),
    /// Bits of bfloat16 elements.
    BF16(Vec<u16>),
    /// float32 elements.
    F32(Vec<f32>),
    /// float64 elements.
    F64(Vec<f64>),
    /// Booleans, one byte each, 0 or 1.
    Bool(Vec<u8>),
    /// Small elements, one byte each: integers as two's complement of 8 bits, floats as their bits.
    Small(SmallType, Vec<u8>),
}

/// `$body` with `$v` bound to the vector of any variant.
macro_rules! any_data {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            TensorData::I8($v) => $body,
            TensorData::U8($v) => $body,
            TensorData::I16($v) => $body,
            TensorData::U16($v) => $body,
            TensorData::I32($v) => $body,
            TensorData::U32($v) => $body,
            TensorData::I64($v) => $body,
            TensorData::U64($v) => $body,
            TensorData::F16($v) => $body,
            TensorData::BF16($v) => $body,
            TensorData::F32($v) => $body,
            TensorData::F64($v) => $body,
            TensorData::Bool($v) => $body,
            TensorData::Small(_, $v) => $body,
        }
    };
}

impl TensorData {
    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            TensorData::I8(_) => DType::I8,
            TensorData::U8(_) => DType::U8,
            TensorData::I16(_) => DType::I16,
            TensorData::U16(_) => DType::U16,
            TensorData::I32(_) => DType::I32,
            TensorData::U32(_) => DType::U32,
            TensorData::I64(_) => DType::I64,
            TensorData::U64(_) => DType::U64,
            TensorData::F16(_) => DType::F16,
            TensorData::BF16(_) => DType::BF16,
            TensorData::F32(_) => DType::F32,
            TensorData::F64(_) => DType::F64,
            TensorData::Bool(_) => DType::Bool,
            TensorData::Small(small, _) => DType::Small(*small),
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        any_data!(self, v => v.len())
    }

    /// True when there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Zero-filled data.
    #[must_use]
    pub fn zeros(dtype: DType, n: usize) -> Self {
        match dtype {
            DType::I8 => TensorData::I8(vec![0; n]),
            DType::U8 => TensorData::U8(vec![0; n]),
            DType::I16 => TensorData::I16(vec![0; n]),
            DType::U16 => TensorData::U16(vec![0; n]),
            DType::I32 => TensorData::I32(vec![0; n]),
            DType::U32 => TensorData::U32(vec![0; n]),
            DType::I64 => TensorData::I64(vec![0; n]),
            DType::U64 => TensorData::U64(vec![0; n]),
            DType::F16 => TensorData::F16(vec![0; n]),
            DType::BF16 => TensorData::BF16(vec![0; n]),
            DType::F32 => TensorData::F32(vec![0.0; n]),
            DType::F64 => TensorData::F64(vec![0.0; n]),
            DType::Bool => TensorData::Bool(vec![0; n]),
            DType::Small(small) => TensorData::Small(small, vec![0; n]),
        }
    }

    /// Decodes little-endian bytes; `None` when the length is not a multiple of the element size.
    #[must_use]
    pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Option<Self> {
        if !bytes.len().is_multiple_of(dtype.size()) {
            return None;
        }
        Some(match dtype {
            DType::I8 => TensorData::I8(bytes.iter().map(|&b| b as i8).collect()),
            DType::U8 => TensorData::U8(bytes.to_vec()),
            DType::I16 => TensorData::I16(chunks(bytes, i16::from_le_bytes)),
            DType::U16 => TensorData::U16(chunks(bytes, u16::from_le_bytes)),
            DType::I32 => TensorData::I32(chunks(bytes, i32::from_le_bytes)),
            DType::U32 => TensorData::U32(chunks(bytes, u32::from_le_bytes)),
            DType::I64 => TensorData::I64(chunks(bytes, i64::from_le_bytes)),
            DType::U64 => TensorData::U64(chunks(bytes, u64::from_le_bytes)),
            DType::F16 => TensorData::F16(chunks(bytes, u16::from_le_bytes)),
            DType::BF16 => TensorData::BF16(chunks(bytes, u16::from_le_bytes)),
            DType::F32 => TensorData::F32(chunks(bytes, f32::from_le_bytes)),
            DType::F64 => TensorData::F64(chunks(bytes, f64::from_le_bytes)),
            DType::Bool => TensorData::Bool(bytes.iter().map(|&b| u8::from(b != 0)).collect()),
            DType::Small(small) => TensorData::Small(small, bytes.to_vec()),
        })
    }

    /// Little-endian bytes of all elements.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        any_data!(self, v => v.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// The elements `index` names, in that order; indices out of range are skipped.
    #[must_use]
    pub fn gather(&self, index: &[usize]) -> Self {
        fn pick<T: Copy>(v: &[T], index: &[usize]) -> Vec<T> {
            index.iter().filter_map(|&i| v.get(i).copied()).collect()
        }
        match self {
            TensorData::I8(v) => TensorData::I8(pick(v, index)),
            TensorData::U8(v) => TensorData::U8(pick(v, index)),
            TensorData::I16(v) => TensorData::I16(pick(v, index)),
            TensorData::U16(v) => TensorData::U16(pick(v, index)),
            TensorData::I32(v) => TensorData::I32(pick(v, index)),
            TensorData::U32(v) => TensorData::U32(pick(v, index)),
            TensorData::I64(v) => TensorData::I64(pick(v, index)),
            TensorData::U64(v) => TensorData::U64(pick(v, index)),
            TensorData::F16(v) => TensorData::F16(pick(v, index)),
            TensorData::BF16(v) => TensorData::BF16(pick(v, index)),
            TensorData::F32(v) => TensorData::F32(pick(v, index)),
            TensorData::F64(v) => TensorData::F64(pick(v, index)),
            TensorData::Bool(v) => TensorData::Bool(pick(v, index)),
            TensorData::Small(small, v) => TensorData::Small(*small, pick(v, index)),
        }
    }

    /// Elements of integers and booleans as int128, which holds every one of them; `None` for floats
    /// and small types.
    #[must_use]
    pub fn to_i128(&self) -> Option<Vec<i128>> {
        fn wide<T: Copy + Into<i128>>(v: &[T]) -> Option<Vec<i128>> {
            Some(v.iter().map(|&x| x.into()).collect())
        }
        match self {
            TensorData::I8(v) => wide(v),
            TensorData::U8(v) | TensorData::Bool(v) => wide(v),
            TensorData::I16(v) => wide(v),
            TensorData::U16(v) => wide(v),
            TensorData::I32(v) => wide(v),
            TensorData::U32(v) => wide(v),
            TensorData::I64(v) => wide(v),
            TensorData::U64(v) => wide(v),
            TensorData::F16(_)
            | TensorData::BF16(_)
            | TensorData::F32(_)
            | TensorData::F64(_)
            | TensorData::Small(..) => None,
        }
    }

    /// Integers of a type, each wrapped to its width; `None` for floats and small types. Booleans:
    /// whether not 0.
    #[must_use]
    pub fn from_i128(dtype: DType, values: &[i128]) -> Option<Self> {
        fn narrow<T>(v: &[i128], f: impl Fn(i128) -> T) -> Vec<T> {
            v.iter().map(|&x| f(x)).collect()
        }
        Some(match dtype {
            DType::I8 => TensorData::I8(narrow(values, |x| x as i8)),
            DType::U8 => TensorData::U8(narrow(values, |x| x as u8)),
            DType::I16 => TensorData::I16(narrow(values, |x| x as i16)),
            DType::U16 => TensorData::U16(narrow(values, |x| x as u16)),
            DType::I32 => TensorData::I32(narrow(values, |x| x as i32)),
            DType::U32 => TensorData::U32(narrow(values, |x| x as u32)),
            DType::I64 => TensorData::I64(narrow(values, |x| x as i64)),
            DType::U64 => TensorData::U64(narrow(values, |x| x as u64)),
            DType::Bool => TensorData::Bool(narrow(values, |x| u8::from(x != 0))),
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 | DType::Small(_) => return None,
        })
    }
}

fn chunks<T, const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|c| decode(*c)).collect()
}

/// A constant: shape and elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Static shape; its element count equals `data.len()`.
    pub shape: Shape,
    /// Elements.
    pub data: TensorData,
}

impl Tensor {
    /// Couples shape and data; `None` when the counts differ.
    #[must_use]
    pub fn new(shape: Shape, data: TensorData) -> Option<Self> {
        (shape.elements() == data.len()).then_some(Self { shape, data })
    }

    /// Type of the tensor.
    #[must_use]
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.data.dtype(), self.shape.clone())
    }

    /// int8 elements, `None` for any other type.
    #[must_use]
    pub fn as_i8(&self) -> Option<&[i8]> {
        if let TensorData::I8(v) = &self.data { Some(v) } else { None }
    }

    /// int32 elements, `None` for any other type.
    #[must_use]
    pub fn as_i32(&self) -> Option<&[i32]> {
        if let TensorData::I32(v) = &self.data { Some(v) } else { None }
    }

    /// float32 elements, `None` for any other type.
    #[must_use]
    pub fn as_f32(&self) -> Option<&[f32]> {
        if let TensorData::F32(v) = &self.data { Some(v) } else { None }
    }

    /// Elements of any integer type widened to i64; `None` for others and for uint64 beyond it.
    #[must_use]
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        self.data.to_i128()?.into_iter().map(|x| i64::try_from(x).ok()).collect()
    }
}
