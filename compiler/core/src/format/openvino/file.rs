//! The file as data: layers with ports, and the weights they point into. Its text form is in `xml`,
//! what an operator becomes in `ops`.

use std::collections::BTreeMap;

/// Element types of the format that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Elem {
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// 8-bit signed integer.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl Elem {
    /// All of them.
    pub const ALL: [Elem; 7] =
        [Elem::F16, Elem::F32, Elem::I64, Elem::I32, Elem::I8, Elem::U8, Elem::Bool];

    /// Spelling in the attributes `element_type` and `destination_type`.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        match self {
            Elem::F16 => "f16",
            Elem::F32 => "f32",
            Elem::I64 => "i64",
            Elem::I32 => "i32",
            Elem::I8 => "i8",
            Elem::U8 => "u8",
            Elem::Bool => "boolean",
        }
    }

    /// Spelling in the attribute `precision` of a port.
    #[must_use]
    pub fn precision(self) -> &'static str {
        match self {
            Elem::F16 => "FP16",
            Elem::F32 => "FP32",
            Elem::I64 => "I64",
            Elem::I32 => "I32",
            Elem::I8 => "I8",
            Elem::U8 => "U8",
            Elem::Bool => "BOOL",
        }
    }

    /// Its numpy name.
    #[must_use]
    pub fn numpy(self) -> &'static str {
        match self {
            Elem::F16 => "float16",
            Elem::F32 => "float32",
            Elem::I64 => "int64",
            Elem::I32 => "int32",
            Elem::I8 => "int8",
            Elem::U8 => "uint8",
            Elem::Bool => "bool",
        }
    }

    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Elem::I64 => 8,
            Elem::F32 | Elem::I32 => 4,
            Elem::F16 => 2,
            Elem::I8 | Elem::U8 | Elem::Bool => 1,
        }
    }
}

/// One result of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The layer's number, which is its `id`.
    pub layer: usize,
    /// Which of its results.
    pub output: usize,
}

/// A tensor of the file: where it comes from, its type and extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The result.
    pub port: Port,
    /// Element type.
    pub elem: Elem,
    /// Extents, outermost first.
    pub dims: Vec<usize>,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// `Convolution`, `Const`, …
    pub kind: &'static str,
    /// The operator set whose definition holds: 1 to 7.
    pub opset: u8,
    /// Attributes of `<data>`, in order.
    pub data: Vec<(&'static str, String)>,
    /// Operands.
    pub inputs: Vec<Wire>,
    /// Results.
    pub outputs: Vec<(Elem, Vec<usize>)>,
    /// The name, once it has one.
    pub name: Option<String>,
    /// A Convert that only unpacks a float16 constant.
    pub is_decompression: bool,
}

/// The weights file while it grows. Equal constants share their place.
#[derive(Debug, Default)]
pub struct Pool {
    bytes: Vec<u8>,
    /// Length and checksum -> offsets of constants that have them.
    known: BTreeMap<(usize, u64), Vec<usize>>,
}

/// Alignment of every constant, for readers that map the file.
const ALIGN: usize = 64;

impl Pool {
    /// Offset of `data` in the file.
    pub fn place(&mut self, data: &[u8]) -> usize {
        let sum = data.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
        });
        let places = self.known.entry((data.len(), sum)).or_default();
        let same = |&&at: &&usize| self.bytes.get(at..at + data.len()) == Some(data);
        if let Some(&at) = places.iter().find(same) {
            return at;
        }
        let at = self.bytes.len().next_multiple_of(ALIGN);
        self.bytes.resize(at, 0);
        self.bytes.extend_from_slice(data);
        places.push(at);
        at
    }

    /// `size` bytes of the file.
    #[must_use]
    pub fn bytes(&self, offset: usize, size: usize) -> Option<&[u8]> {
        self.bytes.get(offset..)?.get(..size)
    }

    /// The file.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Everything the two files hold.
#[derive(Debug, Default)]
pub struct Network {
    /// Name of the model.
    pub name: String,
    /// 10 or 11.
    pub version: u8,
    /// Layers; operands come before their users.
    pub layers: Vec<Layer>,
    /// Key -> value, as `<rt_info>` behind the graph.
    pub provenance: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_constants_share_their_place() {
        let mut pool = Pool::default();
        assert_eq!((pool.place(&[1, 2, 3]), pool.place(&[4; 70])), (0, 64));
        assert_eq!((pool.place(&[1, 2, 3]), pool.place(&[1, 2])), (0, 192));
        assert_eq!(pool.into_bytes().len(), 194);
    }
}
