//! TensorFlow Lite flatbuffers (schema version 3): reading only.
//!
//! `generated` is flatc's output and the only unsafe-looking code; `read` checks every index and
//! size and builds the graph; `ops` has one small reader per operator.

mod generated;
pub mod ops;
mod read;

pub use read::{ReadOptions, read};
