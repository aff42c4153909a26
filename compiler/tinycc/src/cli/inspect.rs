//! `tinycc inspect`.

use super::{Failure, Format, Model, Shell};
use std::path::PathBuf;
use tinycc::Options;

/// Show what is in a model and which target can compile it.
///
/// Operators, shapes, quantization, multiply-accumulates. Works as far as possible for models that
/// cannot be compiled, and then says why.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc inspect kws.tflite
  tinycc inspect kws.onnx --report json")]
pub(super) struct Args {
    /// Model file (.tflite or .onnx).
    model: PathBuf,
    /// Replace the shape of an input, for example serving_default_x=1x96x96x3.
    #[arg(long = "input-shape", value_name = "NAME=SHAPE")]
    input_shapes: Vec<tinycc::InputShape>,
    /// Replace an input by constant numbers, row by row, for example axes=0,2.
    #[arg(long = "input-value", value_name = "NAME=NUMBERS")]
    input_values: Vec<tinycc::InputValue>,
    /// Rows of each NonMaxSuppression's result: unused ones hold -1, and what has no row is cut.
    #[arg(long, value_name = "N")]
    nms_rows: Option<tinycc::Rows>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    report: Format,
}

pub(super) fn run(args: &Args, shell: Shell) -> Result<(), Failure> {
    let model = Model::open(&args.model)?;
    let options = Options {
        input_shapes: args.input_shapes.clone(),
        input_values: args.input_values.clone(),
        nms_rows: args.nms_rows,
        ..Options::default()
    };
    let compiler = model.compiler(options);
    let inspection = tinycc::inspect::inspect(&compiler)?;
    match args.report {
        Format::Json => shell.print(&inspection.to_json()),
        Format::Text => shell.print(&inspection.to_text()),
    }
}
