//! Model file formats. A reader turns bytes into a graph, a writer a graph into bytes; nothing else of
//! the core sees bytes.

mod bind;
mod io_layout;
pub mod onnx;
pub mod openvino;
mod summary;
pub mod tflite;

pub use io_layout::Layout;
pub use summary::{FileOperator, FileTensor, Summary};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::graph::Graph;
use crate::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Files beside the model that hold data of its tensors, by the name the model has for them: their
/// bytes, or why they cannot be had.
pub type ExternalFiles = BTreeMap<String, Result<Arc<[u8]>, String>>;

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
    /// Rows of the result of every ONNX NonMaxSuppression: those that are not needed hold -1. `None`:
    /// boxes and scores must be constant.
    pub nms_rows: Option<usize>,
    /// Order of dimensions at inputs and outputs; `None`: the file's.
    pub io_layout: Option<Layout>,
    /// Files that [`external_files`] names.
    pub external: ExternalFiles,
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

/// The files beside the model that reading it needs, as the model names them. The names are any text:
/// whoever opens such files checks where they lie.
#[must_use]
pub fn external_files(bytes: &[u8]) -> Vec<String> {
    match recognise(bytes, "") {
        Ok(Format::Onnx) => onnx::external_files(bytes),
        Ok(Format::TfLite) | Err(_) => Vec::new(),
    }
}

/// Reads a model of any known format.
///
/// # Errors
/// What the format's reader finds.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Graph, Diagnostics> {
    let layout = match recognise(bytes, &options.file)? {
        Format::TfLite => Layout::ChannelsLast,
        Format::Onnx => Layout::ChannelsFirst,
    };
    let mut graph = finished(read_partly(bytes, options)?)?;
    io_layout::apply(&mut graph, layout, options.io_layout.unwrap_or(layout));
    Ok(graph)
}

/// Reads what can be read of a model, for questions about its operators, with the problems of the rest.
///
/// # Errors
/// Nothing of it can be read.
pub fn read_partly(
    bytes: &[u8],
    options: &ReadOptions,
) -> Result<(Graph, Diagnostics), Diagnostics> {
    match recognise(bytes, &options.file)? {
        Format::TfLite if options.nms_rows.is_some() => {
            let origin = Origin { file: options.file.clone(), ..Origin::default() };
            Err(no_suppression(origin).into())
        }
        Format::TfLite => tflite::read_partly(bytes, options),
        Format::Onnx => onnx::read_partly(bytes, options),
    }
}

/// Takes out what the operators at these places had become before they were refused, as far as nobody
/// else reads it: targets are not asked about halves of operators.
fn remove_refused(graph: &mut Graph, refused: &BTreeSet<Origin>) {
    for id in graph.nodes().into_iter().rev() {
        if graph.get(id).is_some_and(|n| refused.contains(&n.origin)) {
            graph.remove_unread(id);
        }
    }
}

/// A graph that was read without problems, verified.
fn finished((mut graph, problems): (Graph, Diagnostics)) -> Result<Graph, Diagnostics> {
    problems.into_result(())?;
    graph.remove_dead();
    crate::graph::verify::verify(&graph)?;
    Ok(graph)
}

/// `ReadOptions::nms_rows` is given to a model that does not need it.
fn no_suppression(origin: Origin) -> Diagnostic {
    let message = "--nms-rows is given, but no NonMaxSuppression is computed";
    Diagnostic::new(Code::BadOption, origin, message).help("leave the option out")
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
