//! Element types of ONNX tensors by number, and `TensorProto` -> the bytes a compiled model's port
//! holds: little-endian elements, types below a byte in one byte each.

use onnx_protobuf::TensorProto;

/// How the bits of an element are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Signed,
    Unsigned,
    /// Exponent bits, mantissa bits, and which bit patterns are no numbers.
    Float(u32, u32, Special),
}

/// The bit patterns of a float format that are no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    /// The highest exponent: infinity and NaN, as IEEE 754.
    Ieee,
    /// All bits of exponent and mantissa set are NaN; no infinity.
    OnlyNan,
    /// Negative zero is NaN; the bias is one higher; no infinity.
    Unsigned0,
    /// Every pattern is a number.
    None,
    /// No sign and no mantissa: a power of two; all bits set are NaN.
    Scale,
}

/// An element type. Widths and formats: ONNX, `onnx.proto` and "Float stored in 8 bits".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// Name as tinycc prints it.
    pub name: &'static str,
    /// Bits of one element in a file.
    bits: usize,
    format: Format,
}

/// A decoded element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer or truth value.
    Int(i128),
    /// A float.
    Float(f64),
}

impl Element {
    /// The type of a `TensorProto.DataType`; `None` for strings, complex numbers and unknown ones.
    #[must_use]
    pub fn of(code: i32) -> Option<Self> {
        use Format::{Float, Signed, Unsigned};
        use Special::{Ieee, OnlyNan, Unsigned0};
        let (name, bits, format) = match code {
            1 => ("float32", 32, Float(8, 23, Ieee)),
            2 => ("uint8", 8, Unsigned),
            3 => ("int8", 8, Signed),
            4 => ("uint16", 16, Unsigned),
            5 => ("int16", 16, Signed),
            6 => ("int32", 32, Signed),
            7 => ("int64", 64, Signed),
            9 => ("bool", 8, Unsigned),
            10 => ("float16", 16, Float(5, 10, Ieee)),
            11 => ("float64", 64, Float(11, 52, Ieee)),
            12 => ("uint32", 32, Unsigned),
            13 => ("uint64", 64, Unsigned),
            16 => ("bfloat16", 16, Float(8, 7, Ieee)),
            17 => ("float8_e4m3fn", 8, Float(4, 3, OnlyNan)),
            18 => ("float8_e4m3fnuz", 8, Float(4, 3, Unsigned0)),
            19 => ("float8_e5m2", 8, Float(5, 2, Ieee)),
            20 => ("float8_e5m2fnuz", 8, Float(5, 2, Unsigned0)),
            21 => ("uint4", 4, Unsigned),
            22 => ("int4", 4, Signed),
            23 => ("float4_e2m1fn", 4, Float(2, 1, Special::None)),
            24 => ("float8_e8m0fnu", 8, Float(8, 0, Special::Scale)),
            25 => ("uint2", 2, Unsigned),
            26 => ("int2", 2, Signed),
            _other => return None,
        };
        Some(Self { name, bits, format })
    }

    /// Bytes of one element in a port.
    #[must_use]
    pub fn size(self) -> usize {
        self.bits.div_ceil(8)
    }

    /// Whether it is a float.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self.format, Format::Float(..))
    }

    /// Distance of 1 to the next larger number; 0 for integers.
    #[must_use]
    pub fn epsilon(self) -> f64 {
        match self.format {
            Format::Float(_, mantissa, _) => 0.5f64.powi(mantissa as i32),
            Format::Signed | Format::Unsigned => 0.0,
        }
    }

    /// The element in little-endian bytes of a port.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Number {
        let raw = bytes.iter().rev().fold(0u64, |all, &b| all << 8 | u64::from(b));
        match self.format {
            Format::Unsigned => Number::Int(i128::from(raw)),
            Format::Signed => {
                let unused = 64 - 8 * bytes.len();
                Number::Int(i128::from(((raw << unused) as i64) >> unused))
            }
            Format::Float(..) if self.bits == 64 => Number::Float(f64::from_bits(raw)),
            Format::Float(exponent, mantissa, special) => {
                Number::Float(float(raw as u32, exponent, mantissa, special))
            }
        }
    }
}

impl Number {
    /// As a real number.
    #[must_use]
    pub fn real(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(x) => x,
        }
    }
}

/// The value of a float of at most 32 bits.
fn float(raw: u32, exponent: u32, mantissa: u32, special: Special) -> f64 {
    if special == Special::Scale {
        return if raw == 0xFF { f64::NAN } else { 2f64.powi(raw as i32 - 127) };
    }
    let (top, field) = ((1u32 << exponent) - 1, raw >> mantissa & ((1 << exponent) - 1));
    let fraction = raw & ((1 << mantissa) - 1);
    let sign = if raw >> (exponent + mantissa) & 1 == 1 { -1.0 } else { 1.0 };
    let all_set = fraction == (1 << mantissa) - 1;
    match special {
        Special::Ieee if field == top => {
            return if fraction == 0 { sign * f64::INFINITY } else { f64::NAN };
        }
        Special::OnlyNan if field == top && all_set => return f64::NAN,
        Special::Unsigned0 if field == 0 && fraction == 0 && sign < 0.0 => return f64::NAN,
        Special::Ieee | Special::OnlyNan | Special::Unsigned0 | Special::None | Special::Scale => {}
    }
    let bias = (1 << (exponent - 1)) - i32::from(special != Special::Unsigned0);
    let part = f64::from(fraction) * 0.5f64.powi(mantissa as i32);
    match field {
        0 => sign * part * 2f64.powi(1 - bias),
        _normal => sign * (1.0 + part) * 2f64.powi(field as i32 - bias),
    }
}

/// A tensor of the suite.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Element type.
    pub element: Element,
    /// Extents.
    pub dims: Vec<usize>,
    /// Elements as a port holds them.
    pub bytes: Vec<u8>,
}

impl Raw {
    /// Decoded elements.
    pub fn numbers(&self) -> impl Iterator<Item = Number> + '_ {
        self.bytes.chunks_exact(self.element.size()).map(|b| self.element.decode(b))
    }

    /// Type and shape as tinycc prints them.
    #[must_use]
    pub fn ty(&self) -> String {
        format!("{}[{}]", self.element.name, tinycc_core::Shape(self.dims.clone()))
    }

    /// The numbers as `--input-value` takes them.
    #[must_use]
    pub fn text(&self) -> String {
        let text = |n: Number| match n {
            Number::Int(n) => n.to_string(),
            Number::Float(x) => x.to_string(),
        };
        self.numbers().map(text).collect::<Vec<_>>().join(",")
    }
}

/// Reads a tensor; `None` for strings and what is no tensor.
#[must_use]
pub fn read(proto: &TensorProto) -> Option<Raw> {
    let element = Element::of(proto.data_type)?;
    let dims: Vec<usize> =
        proto.dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<_>>()?;
    // Sequences and optionals are other messages, whose fields can have any value here.
    let count = tinycc_core::Shape::checked(dims.clone())?.elements();
    let packed =
        if proto.raw_data.is_empty() { typed(proto, element) } else { proto.raw_data.clone() };
    let bytes = if element.bits < 8 { unpack(&packed, element, count) } else { packed };
    (bytes.len() == count * element.size()).then_some(Raw { element, dims, bytes })
}

/// The typed fields in the form of `raw_data`.
fn typed(proto: &TensorProto, element: Element) -> Vec<u8> {
    // Types below a byte fill whole bytes, one in each number.
    let size = element.size();
    let low = |v: u64| v.to_le_bytes().into_iter().take(size);
    match proto.data_type {
        1 => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        7 => proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        11 => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        12 | 13 => proto.uint64_data.iter().flat_map(|&v| low(v)).collect(),
        _in_int32 => proto.int32_data.iter().flat_map(|&v| low(v as u64)).collect(),
    }
}

/// One element per byte, the first of each byte in its low bits; signed ones fill the byte.
fn unpack(packed: &[u8], element: Element, count: usize) -> Vec<u8> {
    let per_byte = 8 / element.bits;
    let unused = 8 - element.bits;
    let at = |i: usize| {
        let byte = packed.get(i / per_byte).copied().unwrap_or(0);
        let high = byte >> (i % per_byte * element.bits) << unused;
        match element.format {
            Format::Signed => (high as i8 >> unused) as u8,
            Format::Unsigned | Format::Float(..) => high >> unused,
        }
    };
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(code: i32, bytes: &[u8]) -> Number {
        Element::of(code).expect("a type").decode(bytes)
    }

    #[test]
    fn elements_have_their_values() {
        assert_eq!(value(1, &1.5f32.to_le_bytes()), Number::Float(1.5));
        assert_eq!(value(3, &[0xFF]), Number::Int(-1));
        assert_eq!(value(13, &[0xFF; 8]), Number::Int(i128::from(u64::MAX)));
        assert_eq!(value(10, &0x3C01u16.to_le_bytes()), Number::Float(1.0 + 0.5f64.powi(10)));
        assert_eq!(value(10, &1u16.to_le_bytes()), Number::Float(0.5f64.powi(24)), "subnormal");
        assert_eq!(value(16, &0xC040u16.to_le_bytes()), Number::Float(-3.0));
        assert_eq!(value(17, &[0x7E]), Number::Float(448.0), "largest of E4M3FN");
        assert_eq!(value(18, &[0x7F]), Number::Float(240.0), "largest of E4M3FNUZ");
        assert_eq!(value(19, &[0x7B]), Number::Float(57344.0), "largest of E5M2");
        assert_eq!(value(19, &[0xFC]), Number::Float(f64::NEG_INFINITY));
        assert_eq!(value(20, &[0x7F]), Number::Float(57344.0), "largest of E5M2FNUZ");
        assert_eq!(value(23, &[0x7]), Number::Float(6.0), "largest of E2M1");
        assert_eq!(value(24, &[128]), Number::Float(2.0));
    }

    #[test]
    fn small_elements_take_a_byte_each() {
        let int4 = Element::of(22).expect("int4");
        assert_eq!(unpack(&[0x8F, 0x07], int4, 3), [0xFF, 0xF8, 7]);
        let uint2 = Element::of(25).expect("uint2");
        assert_eq!(unpack(&[0b1110_0100], uint2, 4), [0, 1, 2, 3]);
    }
}
