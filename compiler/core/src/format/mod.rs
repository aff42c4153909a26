//! Model file formats. A reader turns bytes into a graph; nothing else of the core sees bytes.

mod bind;
pub mod onnx;
mod summary;
pub mod tflite;

pub use summary::{FileOperator, FileTensor, Summary};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::graph::Graph;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// What the caller knows besides the bytes.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// File name for messages.
    pub file: String,
    /// Shapes that replace those of the inputs with these names.
    pub input_shapes: BTreeMap<String, Vec<usize>>,
    /// Constants that replace the inputs with these names: they are inputs no more. The numbers take
    /// the declared element type if none of them changes, and the declared shape if it is known.
    pub input_values: BTreeMap<String, Tensor>,
}

/// The formats tinycc reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TensorFlow Lite.
    TfLite,
    /// ONNX.
    Onnx,
}

/// Which format the bytes have; they say it, not the file's name.
///
/// # Errors
/// None of them.
pub fn recognise(bytes: &[u8], file: &str) -> Result<Format, Diagnostics> {
    if tflite::recognise(bytes) {
        return Ok(Format::TfLite);
    }
    if onnx::recognise(bytes) {
        return Ok(Format::Onnx);
    }
    let message = match bytes.len() {
        0 => "the file is empty".to_string(),
        n @ 1..8 => format!("not a TensorFlow Lite or ONNX model: it has only {n} bytes"),
        _enough => {
            "neither a TensorFlow Lite model (the identifier \"TFL3\" is missing at byte 4) \
                    nor an ONNX model"
                .into()
        }
    };
    let origin = Origin { file: file.to_string(), ..Origin::default() };
    Err(Diagnostic::new(Code::NotAModel, origin, message)
        .help("give a .tflite file made by the TensorFlow Lite converter, or an .onnx file")
        .into())
}

/// Reads a model of any known format.
///
/// # Errors
/// What the format's reader finds.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Graph, Diagnostics> {
    match recognise(bytes, &options.file)? {
        Format::TfLite => tflite::read(bytes, options),
        Format::Onnx => onnx::read(bytes, options),
    }
}

/// Summarises a model of any known format, also one that cannot be compiled.
///
/// # Errors
/// Not a model, or a damaged one.
pub fn summary(bytes: &[u8], file: &str) -> Result<Summary, Diagnostics> {
    match recognise(bytes, file)? {
        Format::TfLite => tflite::summary(bytes, file),
        Format::Onnx => onnx::summary(bytes, file),
    }
}
