//! TensorFlow Lite flatbuffers (schema version 3): reading only.
//!
//! `generated` is flatc's output and the only unsafe-looking code; `file` verifies the bytes; `read`
//! builds the graph from operators and the `table` of tensors, checking every index and size;
//! `summary` describes a file without a graph; `ops` has one small reader per operator.

mod file;
mod generated;
mod lstm;
pub mod ops;
mod read;
mod summary;
mod table;
mod tensor;

pub use file::recognise;
pub use read::read_partly;
pub use summary::summary;
