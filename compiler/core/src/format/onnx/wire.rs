//! The bytes of a file before they are parsed: whether they can be an ONNX file, and whether every
//! length in them is honest. The protobuf crate makes room for what a length says before it sees that
//! the file ends; messages inside of messages cost it stack, and empty messages far more memory than
//! bytes. What the messages mean is not known here.

use onnx_protobuf::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto,
    TrainingInfoProto, TypeProto, ValueInfoProto,
};
use std::fmt;

/// Messages inside of messages: some twenty graphs inside of graphs. The crate's own limit is 100.
const MAX_NESTING: usize = 64;
/// Memory that the parsed messages may take, besides a multiple of the file's bytes.
const MAX_TREE: usize = 16 << 20;
/// That multiple. A dimension takes four bytes of a file and a hundred of memory.
const TREE_PER_BYTE: usize = 24;
/// Memory of a field that the schema does not know: an entry of a map.
const UNKNOWN_FIELD: usize = 256;
/// Memory of a text or list beside its bytes.
const TEXT: usize = 32;

/// A kind of message of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    /// Tensor types: element type and shape.
    TypeTensor,
    /// Sequences, optionals: a type in field 1.
    TypeOf,
    /// Maps: a type in field 2.
    TypeMap,
    Shape,
    /// Messages that hold no others.
    Flat,
    Annotation,
    Training,
    Function,
}

impl Kind {
    /// Fields that are messages, and the numbers of all fields as a set of bits.
    fn fields(self) -> (&'static [(u64, Kind)], u32) {
        match self {
            Kind::Model => (
                &[
                    (7, Kind::Graph),
                    (8, Kind::Flat),
                    (14, Kind::Flat),
                    (20, Kind::Training),
                    (25, Kind::Function),
                ],
                0x0210_41FE,
            ),
            Kind::Graph => (
                &[
                    (1, Kind::Node),
                    (5, Kind::Tensor),
                    (11, Kind::ValueInfo),
                    (12, Kind::ValueInfo),
                    (13, Kind::ValueInfo),
                    (14, Kind::Annotation),
                    (15, Kind::Sparse),
                    (16, Kind::Flat),
                ],
                0x0001_FC26,
            ),
            Kind::Node => (&[(5, Kind::Attribute), (9, Kind::Flat)], 0x3FE),
            Kind::Attribute => (
                &[
                    (5, Kind::Tensor),
                    (6, Kind::Graph),
                    (10, Kind::Tensor),
                    (11, Kind::Graph),
                    (14, Kind::Type),
                    (15, Kind::Type),
                    (22, Kind::Sparse),
                    (23, Kind::Sparse),
                ],
                0x00F0_EFFE,
            ),
            Kind::Tensor => (&[(3, Kind::Flat), (13, Kind::Flat), (16, Kind::Flat)], 0x1_7FFE),
            Kind::Sparse => (&[(1, Kind::Tensor), (2, Kind::Tensor)], 0xE),
            Kind::ValueInfo => (&[(2, Kind::Type), (4, Kind::Flat)], 0x1E),
            Kind::Type => (
                &[
                    (1, Kind::TypeTensor),
                    (4, Kind::TypeOf),
                    (5, Kind::TypeMap),
                    (8, Kind::TypeTensor),
                    (9, Kind::TypeOf),
                ],
                0x372,
            ),
            Kind::TypeTensor => (&[(2, Kind::Shape)], 0x6),
            Kind::TypeOf => (&[(1, Kind::Type)], 0x2),
            Kind::TypeMap => (&[(2, Kind::Type)], 0x6),
            Kind::Shape => (&[(1, Kind::Flat)], 0x2),
            Kind::Flat => (&[], 0xE),
            Kind::Annotation => (&[(2, Kind::Flat)], 0x6),
            Kind::Training => {
                (&[(1, Kind::Graph), (2, Kind::Graph), (3, Kind::Flat), (4, Kind::Flat)], 0x1E)
            }
            Kind::Function => (
                &[
                    (7, Kind::Node),
                    (9, Kind::Flat),
                    (11, Kind::Attribute),
                    (12, Kind::ValueInfo),
                    (14, Kind::Flat),
                ],
                0x7FF2,
            ),
        }
    }

    /// Bytes of the parsed message.
    fn size(self) -> usize {
        match self {
            Kind::Model => size_of::<ModelProto>(),
            Kind::Graph => size_of::<GraphProto>(),
            Kind::Node => size_of::<NodeProto>(),
            Kind::Attribute => size_of::<AttributeProto>(),
            Kind::Tensor => size_of::<TensorProto>(),
            Kind::Sparse => size_of::<SparseTensorProto>(),
            Kind::ValueInfo => size_of::<ValueInfoProto>(),
            Kind::Type | Kind::TypeTensor | Kind::TypeOf | Kind::TypeMap => size_of::<TypeProto>(),
            Kind::Shape => size_of::<TensorShapeProto>(),
            Kind::Flat => size_of::<StringStringEntryProto>() + size_of::<OperatorSetIdProto>(),
            Kind::Annotation => size_of::<TensorAnnotation>(),
            Kind::Training => size_of::<TrainingInfoProto>(),
            Kind::Function => size_of::<FunctionProto>(),
        }
    }
}

/// Why the bytes are not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// A field that does not end where the message does, at this byte.
    Length(usize),
    /// A field that is none of the kinds ONNX has, at this byte.
    Tag(usize),
    /// Messages inside of messages.
    Nesting,
    /// The parsed file would be far larger than the file.
    Size,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Length(at) => {
                write!(f, "the field at byte {at} is longer than what is left")
            }
            WireError::Tag(at) => write!(f, "there is no field of an ONNX file at byte {at}"),
            WireError::Nesting => {
                write!(f, "graphs, nodes and types are nested more than {MAX_NESTING} deep")
            }
            WireError::Size => write!(f, "the file has far more messages than its size allows"),
        }
    }
}

/// Checks every length of a file, the nesting of its messages, and what they take when parsed.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(bytes: &[u8]) -> Result<(), WireError> {
    let allowed = bytes.len().saturating_mul(TREE_PER_BYTE).saturating_add(MAX_TREE);
    let mut check = Check { length: bytes.len(), left: allowed };
    check.message(bytes, Kind::Model, 0)
}

struct Check {
    /// Bytes of the file.
    length: usize,
    /// Memory that messages may still take.
    left: usize,
}

impl Check {
    fn take(&mut self, bytes: usize) -> Result<(), WireError> {
        self.left = self.left.checked_sub(bytes).ok_or(WireError::Size)?;
        Ok(())
    }

    /// `end`: bytes of the file after this message.
    fn message(&mut self, bytes: &[u8], kind: Kind, end: usize) -> Result<(), WireError> {
        self.nested(bytes, kind, end, MAX_NESTING)
    }

    fn nested(
        &mut self,
        mut rest: &[u8],
        kind: Kind,
        end: usize,
        depth: usize,
    ) -> Result<(), WireError> {
        self.take(kind.size())?;
        let deeper = depth.checked_sub(1).ok_or(WireError::Nesting)?;
        let (messages, known) = kind.fields();
        while !rest.is_empty() {
            let at = self.length.saturating_sub(end + rest.len());
            let tag = varint(&mut rest).ok_or(WireError::Tag(at))?;
            let field = tag >> 3;
            let is_known = field < 32 && known >> field & 1 == 1;
            self.take(if is_known { 0 } else { UNKNOWN_FIELD })?;
            let length = match tag & 7 {
                0 => {
                    varint(&mut rest).ok_or(WireError::Length(at))?;
                    self.take(size_of::<u64>())?;
                    continue;
                }
                1 => Some(8),
                2 => varint(&mut rest).and_then(|n| usize::try_from(n).ok()),
                5 => Some(4),
                _group => return Err(WireError::Tag(at)),
            };
            let (inner, after) =
                length.and_then(|n| rest.split_at_checked(n)).ok_or(WireError::Length(at))?;
            rest = after;
            match messages.iter().find(|(f, _)| *f == field && tag & 7 == 2) {
                Some(&(_, kind)) => self.nested(inner, kind, end + rest.len(), deeper)?,
                None => self.take(TEXT)?,
            }
        }
        Ok(())
    }
}

/// Whether the bytes look like an ONNX file. ONNX has no magic number: a file begins with the field
/// `ir_version`, or, where an old exporter leaves that out, is a sequence of fields with a graph.
#[must_use]
pub fn recognise(bytes: &[u8]) -> bool {
    const GRAPH: u64 = 7 << 3 | 2;
    // What follows the version: producer, its version, domain, model version, documentation, graph,
    // opset imports, metadata.
    const FIELDS: [u8; 8] = [0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72];
    if bytes.len() < 2 {
        return false;
    }
    if let Some((0x08, mut rest)) = bytes.split_first().map(|(&first, rest)| (first, rest)) {
        let is_version = varint(&mut rest).is_some_and(|v| (1..1000).contains(&v));
        return is_version && rest.first().is_none_or(|tag| FIELDS.contains(tag));
    }
    let (mut rest, mut has_graph) = (bytes, false);
    while !rest.is_empty() {
        let Some(tag) = varint(&mut rest) else { return false };
        let Some(value) = varint(&mut rest) else { return false };
        match tag & 7 {
            0 => {}
            2 => match usize::try_from(value).ok().and_then(|n| rest.get(n..)) {
                Some(after) => rest = after,
                None => return false,
            },
            _never => return false,
        }
        has_graph |= tag == GRAPH;
    }
    has_graph
}

/// A protobuf number of at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnx_protobuf::Message;

    /// `tag`, a length, the bytes.
    fn field(number: u8, inner: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut n = inner.len();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out.extend_from_slice(inner);
        out
    }

    #[test]
    fn lengths_that_lie_are_found_at_any_level() {
        let mut tensor = field(7, &[1, 2, 3]);
        let sound = field(7, &field(5, &tensor));
        assert_eq!(check(&sound), Ok(()));
        assert!(ModelProto::parse_from_bytes(&sound).is_ok());
        // A packed list that says it has 16383 bytes: 128 KB of room, at once.
        tensor.splice(1..2, [0xFF, 0x7F]);
        assert_eq!(check(&field(7, &field(5, &tensor))), Err(WireError::Length(4)));
        assert_eq!(check(&sound[..sound.len() - 1]), Err(WireError::Length(0)));
        assert_eq!(check(&[0x0B]), Err(WireError::Tag(0)), "a group");
        assert_eq!(check(&[0x80]), Err(WireError::Tag(0)));
    }

    #[test]
    fn nesting_ends() {
        let nested = |n: usize| {
            let mut graph = Vec::new();
            for _ in 0..n {
                graph = field(1, &field(5, &field(6, &graph)));
            }
            field(7, &graph)
        };
        assert_eq!(check(&nested(20)), Ok(()));
        assert!(ModelProto::parse_from_bytes(&nested(20)).is_ok());
        assert_eq!(check(&nested(21)), Err(WireError::Nesting));
    }

    #[test]
    fn empty_messages_are_counted() {
        let nodes = |n: usize| field(7, &[0x0A, 0].repeat(n));
        assert_eq!(check(&nodes(1000)), Ok(()));
        assert_eq!(check(&nodes(1 << 20)), Err(WireError::Size));
        assert_eq!(check(&[0xF8, 0x3F, 0].repeat(1 << 20)), Err(WireError::Size), "unknown fields");
    }

    #[test]
    fn every_field_of_the_schema_is_known() {
        let model = ModelProto { ir_version: 8, model_version: 1, ..ModelProto::default() };
        let bytes = model.write_to_bytes().expect("serialises");
        assert!(check(&bytes).is_ok() && recognise(&bytes));
        for kind in [Kind::Model, Kind::Graph, Kind::Attribute, Kind::Function, Kind::Type] {
            let (messages, known) = kind.fields();
            assert!(messages.iter().all(|(field, _)| known >> field & 1 == 1), "{kind:?}");
        }
    }
}
