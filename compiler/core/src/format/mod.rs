//! Model file formats. A reader turns bytes into a graph; nothing else of the core sees bytes.

pub mod onnx;
pub mod tflite;

use crate::diagnostic::Diagnostics;
use crate::graph::Graph;
use std::collections::BTreeMap;

/// What the caller knows besides the bytes.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// File name for messages.
    pub file: String,
    /// Shapes that replace those of the inputs with these names.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
}

/// Reads a model of any known format; which one, the bytes say, not the file's name.
///
/// # Errors
/// What the format's reader finds.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Graph, Diagnostics> {
    if onnx::is_onnx(bytes) { onnx::read(bytes, options) } else { tflite::read(bytes, options) }
}
