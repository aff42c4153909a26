//! `tinycc check`.

use super::{Failure, Format, Model, Shell};
use std::path::PathBuf;
use tinycc::Options;

/// Ask a target about every operator of a model.
///
/// Says what each operator becomes, with the rewrites that will be applied, and lists everything that
/// stands in the way at once. Exit code 1 when the model cannot be compiled.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc check kws.tflite --target ncs
  tinycc check net.onnx --target openvino --precision f32 --report json")]
pub(super) struct Args {
    /// Model file (.tflite or .onnx).
    model: PathBuf,
    #[command(flatten)]
    options: Options,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    report: Format,
}

pub(super) fn run(args: &Args, shell: Shell) -> Result<(), Failure> {
    let model = Model::open(&args.model)?;
    let compiler = model.compiler(args.options.clone());
    let check = tinycc::check::check(&compiler)?;
    if !shell.quiet {
        match args.report {
            Format::Json => shell.print(&check.to_json())?,
            Format::Text => shell.print(&check.to_text())?,
        }
    }
    if check.passed() { Ok(()) } else { Err(Failure::Silent) }
}
