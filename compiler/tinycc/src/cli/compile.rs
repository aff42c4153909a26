//! `tinycc compile`.

use super::{Failure, Format, Model, Shell, read, shown};
use clap::{ArgMatches, ValueEnum};
use std::path::PathBuf;
use tinycc::{Compiler, Options, Output, Settings};

/// Compile a model to source files, or to a file for OpenVINO.
///
/// Writes NAME.h and NAME.c (target c), NAME.rs and NAME.weights (target rust), or NAME.xml and NAME.bin
/// (targets ncs and openvino), and NAME.json; prints what the model costs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tinycc compile kws.tflite --out out
  tinycc compile kws.tflite --config tinycc.toml
  tinycc compile kws.tflite --core cortex-m4 --max-arena 16K --max-flash 128K
  tinycc compile kws.tflite --example host --example qemu-mps2-an386
  tinycc compile kws.tflite --target ncs --example openvino-python
  tinycc compile kws.tflite --report json > kws-report.json
  tinycc compile kws.tflite --emit ir --after fold-constants
  tinycc compile net.onnx --input-shape image=1x3x96x96")]
pub(super) struct Args {
    /// Model file (.tflite or .onnx).
    model: PathBuf,
    /// Directory for the emitted files; made if needed.
    #[arg(long, short, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// File with options (TOML): the long names below without dashes, for example
    /// max-arena = "32K" or example = ["host"]. Options on the command line win.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) options: Options,
    /// Print an intermediate form to stdout and write no files.
    #[arg(long, value_enum, conflicts_with = "report")]
    emit: Option<Emit>,
    /// With --emit ir: stop after this pass; `read` shows the graph before the first one.
    #[arg(long, value_name = "PASS", requires = "emit")]
    after: Option<String>,
    /// Form of the report on stdout.
    #[arg(long, value_enum, default_value_t)]
    report: Format,
}

/// Intermediate forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// The tensor graph after the passes.
    Ir,
    /// The kernel IR.
    Kir,
    /// The emitted header and source; needs target c.
    C,
    /// The emitted module; needs target rust.
    Rust,
}

pub(super) fn run(args: &Args, matches: &ArgMatches, shell: Shell) -> Result<(), Failure> {
    let model = Model::open(&args.model)?;
    let compiler = model.compiler(options(args, matches)?);
    if let Some(emit) = args.emit {
        return print_form(args, &compiler, emit, shell);
    }
    let output = compiler.compile()?;
    let written = tinycc::write::artifacts(&output.artifacts, &args.out)
        .map_err(|e| Failure::Message(e.to_string()))?;
    for path in &written {
        shell.detail(&format!("wrote {}", path.display()));
    }
    if shell.quiet {
        return Ok(());
    }
    match args.report {
        Format::Json => shell.print(&output.report.to_json()),
        Format::Text => {
            let (n, out) = (written.len(), args.out.display());
            let files = if n == 1 { "file" } else { "files" };
            shell.print(&format!("{}wrote  {n} {files} to {out}\n", output.report.to_text()))
        }
    }
}

/// The options of the file, if one is named, with those of the command line in front.
fn options(args: &Args, matches: &ArgMatches) -> Result<Options, Failure> {
    let Some(path) = &args.config else { return Ok(args.options.clone()) };
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Failure::Message(format!("{} is not UTF-8 text", path.display())))?;
    let file = Settings::from_toml(&text, &shown(path))?.options(&Options::default())?;
    let given = Settings::from_matches(matches).map_err(|e| Failure::Message(e.to_string()))?;
    Ok(given.options(&file)?)
}

fn print_form(
    args: &Args,
    compiler: &Compiler<'_>,
    emit: Emit,
    shell: Shell,
) -> Result<(), Failure> {
    if args.after.is_some() && emit != Emit::Ir {
        return Err(Failure::Message("--after needs --emit ir".into()));
    }
    let text = match emit {
        Emit::Ir => compiler.ir(args.after.as_deref())?,
        Emit::Kir => compiler.compile()?.kir().ok_or_else(|| {
            let target = &compiler.options().target;
            Failure::Message(format!("--emit kir: target {target} has no kernels"))
        })?,
        Emit::C | Emit::Rust => {
            let target = if emit == Emit::C { "c" } else { "rust" };
            if compiler.options().target != target {
                return Err(Failure::Message(format!("--emit {target} needs --target {target}")));
            }
            sources(&compiler.compile()?)
        }
    };
    shell.print(&text)
}

/// The source files, each after a line with its name.
fn sources(output: &Output) -> String {
    let name = &output.report.name;
    let mut text = String::new();
    for path in ["h", "c", "rs"].map(|ending| format!("{name}.{ending}")) {
        if let Some(bytes) = output.artifacts.get(&path) {
            text.push_str(&format!("/* ---- {path} ---- */\n{}", String::from_utf8_lossy(bytes)));
        }
    }
    text
}
