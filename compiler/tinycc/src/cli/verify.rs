//! `tinycc verify`.

use super::{Failure, Format, Model, Shell, read};
use std::path::{Path, PathBuf};
use tinycc::verify::{Request, VerifyError, npy};
use tinycc::{CoreName, InputShape, InputValue, IoLayout, Options, Rows};

/// Check the emitted code on this machine.
///
/// Compiles the model, builds it with the system's compiler (CC or cc; RUSTC or rustc for --target
/// rust), runs it and compares: with given outputs, or with the built-in reference evaluator. Exit
/// code 1 when something differs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc verify kws.tflite
  tinycc verify kws.tflite --target rust
  tinycc verify kws.tflite --samples 1000 --seed 7
  tinycc verify kws.tflite --inputs kws.in0.npy --expect kws.out0.npy
  tinycc verify kws.tflite --layers")]
pub(super) struct Args {
    /// Model file (.tflite or .onnx).
    model: PathBuf,
    /// Inputs as .npy, one file per model input, in order; dimension 0 may count samples.
    #[arg(long, value_name = "NPY", num_args = 1..)]
    inputs: Vec<PathBuf>,
    /// Expected outputs as .npy, one file per model output, in order.
    #[arg(long, value_name = "NPY", num_args = 1.., requires = "inputs")]
    expect: Vec<PathBuf>,
    /// Compare every intermediate value with the evaluator and name the first that differs.
    #[arg(long, conflicts_with = "expect")]
    layers: bool,
    /// Number of random input sets.
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "inputs",
          value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Seed of the random inputs.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "inputs")]
    seed: u64,
    /// Relative tolerance of float32 results; integers must be equal.
    #[arg(long, value_name = "X", default_value_t = 1e-5)]
    rtol: f64,
    /// Absolute tolerance of float32 results.
    #[arg(long, value_name = "X", default_value_t = 1e-5)]
    atol: f64,
    /// Integer results may be this many steps apart, for example 1 for quantized ONNX models.
    #[arg(long, value_name = "N", default_value_t = 0)]
    steps: u64,
    /// Whose code to check; `tinycc targets` lists the choices.
    #[arg(long, value_name = "TARGET", default_value = "c")]
    target: String,
    /// Processor whose kernels to check, in their portable spelling.
    #[arg(long, value_enum, default_value_t)]
    core: CoreName,
    /// Replace the shape of an input, for example serving_default_x=1x96x96x3.
    #[arg(long = "input-shape", value_name = "NAME=SHAPE")]
    input_shapes: Vec<InputShape>,
    /// Replace an input by constant numbers, row by row, for example axes=0,2.
    #[arg(long = "input-value", value_name = "NAME=NUMBERS")]
    input_values: Vec<InputValue>,
    /// Rows of each NonMaxSuppression's result: unused ones hold -1, and what has no row is cut.
    #[arg(long, value_name = "N")]
    nms_rows: Option<Rows>,
    /// Order of the dimensions of inputs and outputs.
    #[arg(long, value_enum, default_value_t)]
    io_layout: IoLayout,
    /// Form of the result.
    #[arg(long, value_enum, default_value_t)]
    report: Format,
}

pub(super) fn run(args: &Args, shell: Shell) -> Result<(), Failure> {
    let model = Model::open(&args.model)?;
    let arrays = |paths: &[PathBuf]| paths.iter().map(|p| array(p)).collect::<Result<Vec<_>, _>>();
    let request = Request {
        inputs: arrays(&args.inputs)?,
        expect: arrays(&args.expect)?,
        samples: args.samples as usize,
        seed: args.seed,
        layers: args.layers,
        rtol: args.rtol,
        atol: args.atol,
        steps: args.steps,
    };
    let options = Options {
        target: args.target.clone(),
        core: args.core,
        input_shapes: args.input_shapes.clone(),
        input_values: args.input_values.clone(),
        nms_rows: args.nms_rows,
        io_layout: args.io_layout,
        ..Options::default()
    };
    let compiler = model.compiler(options);
    let result = tinycc::verify::verify(&compiler, &request, &mut |step| shell.progress(step));
    shell.progress_done();
    let verification = result.map_err(|e| match e {
        VerifyError::Model(problems) => Failure::Diagnostics(problems),
        VerifyError::Arrays(_)
        | VerifyError::NoCompiler { .. }
        | VerifyError::Build { .. }
        | VerifyError::Run(_) => Failure::Message(e.to_string()),
    })?;
    if !shell.quiet {
        match args.report {
            Format::Json => shell.print(&verification.to_json())?,
            Format::Text => shell.print(&verification.to_text())?,
        }
    }
    match verification.first_difference() {
        None => Ok(()),
        Some(_) if !shell.quiet => Err(Failure::Silent),
        Some(c) => {
            Err(Failure::Message(format!("{}: \"{}\" {}", verification.model, c.name, c.verdict())))
        }
    }
}

fn array(path: &Path) -> Result<npy::Array, Failure> {
    npy::parse(&read(path)?)
        .map_err(|e| Failure::Message(format!("cannot read {}: {e}", path.display())))
}
