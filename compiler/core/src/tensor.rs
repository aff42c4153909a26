//! What flows between operators: element types, shapes, quantization parameters and constant data.
//! The lowest floor of the core: nothing here knows about operators, graphs or kernels.

use std::fmt;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DType {
    /// 8-bit signed integer; quantized when the value carries `QuantParams`.
    I8,
    /// 16-bit signed integer.
    I16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            DType::I8 | DType::Bool => 1,
            DType::I16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 => 8,
        }
    }

    /// Name as in numpy, for example `int8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::F32 => "float32",
            DType::Bool => "bool",
        }
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

/// Affine quantization: real = scale * (q - zero_point). Scales are kept as the file's float32.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantParams {
    /// One scale, or one per index of `axis`. Finite and > 0.
    pub scales: Vec<f32>,
    /// As many zero points as scales.
    pub zero_points: Vec<i32>,
    /// `None`: per tensor. `Some(d)`: per index of dimension `d`.
    pub axis: Option<usize>,
}

impl QuantParams {
    /// Per-tensor parameters.
    #[must_use]
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: None }
    }

    /// The single (or first) scale.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scales.first().copied().unwrap_or(1.0)
    }

    /// The single (or first) zero point.
    #[must_use]
    pub fn zero_point(&self) -> i32 {
        self.zero_points.first().copied().unwrap_or(0)
    }

    /// Scale for channel `c`.
    #[must_use]
    pub fn channel_scale(&self, c: usize) -> f32 {
        if self.scales.len() == 1 { self.scale() } else { self.scales[c] }
    }
}

/// Elements of a constant, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// int8 elements.
    I8(Vec<i8>),
    /// int16 elements.
    I16(Vec<i16>),
    /// int32 elements.
    I32(Vec<i32>),
    /// int64 elements.
    I64(Vec<i64>),
    /// float32 elements.
    F32(Vec<f32>),
    /// Booleans, one byte each, 0 or 1.
    Bool(Vec<u8>),
}

impl TensorData {
    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            TensorData::I8(_) => DType::I8,
            TensorData::I16(_) => DType::I16,
            TensorData::I32(_) => DType::I32,
            TensorData::I64(_) => DType::I64,
            TensorData::F32(_) => DType::F32,
            TensorData::Bool(_) => DType::Bool,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            TensorData::I8(v) => v.len(),
            TensorData::I16(v) => v.len(),
            TensorData::I32(v) => v.len(),
            TensorData::I64(v) => v.len(),
            TensorData::F32(v) => v.len(),
            TensorData::Bool(v) => v.len(),
        }
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
            DType::I16 => TensorData::I16(vec![0; n]),
            DType::I32 => TensorData::I32(vec![0; n]),
            DType::I64 => TensorData::I64(vec![0; n]),
            DType::F32 => TensorData::F32(vec![0.0; n]),
            DType::Bool => TensorData::Bool(vec![0; n]),
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
            DType::I16 => TensorData::I16(chunks(bytes, i16::from_le_bytes)),
            DType::I32 => TensorData::I32(chunks(bytes, i32::from_le_bytes)),
            DType::I64 => TensorData::I64(chunks(bytes, i64::from_le_bytes)),
            DType::F32 => TensorData::F32(chunks(bytes, f32::from_le_bytes)),
            DType::Bool => TensorData::Bool(bytes.iter().map(|&b| u8::from(b != 0)).collect()),
        })
    }

    /// Little-endian bytes of all elements.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            TensorData::I8(v) => v.iter().map(|&x| x as u8).collect(),
            TensorData::I16(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorData::I32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorData::I64(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorData::F32(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            TensorData::Bool(v) => v.clone(),
        }
    }

    /// The elements `index` names, in that order; indices out of range are skipped.
    #[must_use]
    pub fn gather(&self, index: &[usize]) -> Self {
        fn pick<T: Copy>(v: &[T], index: &[usize]) -> Vec<T> {
            index.iter().filter_map(|&i| v.get(i).copied()).collect()
        }
        match self {
            TensorData::I8(v) => TensorData::I8(pick(v, index)),
            TensorData::I16(v) => TensorData::I16(pick(v, index)),
            TensorData::I32(v) => TensorData::I32(pick(v, index)),
            TensorData::I64(v) => TensorData::I64(pick(v, index)),
            TensorData::F32(v) => TensorData::F32(pick(v, index)),
            TensorData::Bool(v) => TensorData::Bool(pick(v, index)),
        }
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

    /// Elements of any integer type widened to i64, `None` for float.
    #[must_use]
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match &self.data {
            TensorData::I8(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            TensorData::I16(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            TensorData::I32(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            TensorData::I64(v) => Some(v.clone()),
            TensorData::Bool(v) => Some(v.iter().map(|&x| i64::from(x)).collect()),
            TensorData::F32(_) => None,
        }
    }
}
