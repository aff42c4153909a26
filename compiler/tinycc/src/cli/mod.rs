//! Command line: parsing, dispatch, printing and exit codes. What the commands do is in the
//! library; each command's own arguments are in its file.

mod check;
mod compile;
mod inspect;
mod lists;
mod verify;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use tinycc::external::{self, External};
use tinycc::{Compiler, Diagnostics, Options};

/// Compiles small neural networks (.tflite or .onnx) to standalone C or no_std Rust for
/// microcontrollers, or to OpenVINO files for the Neural Compute Stick 2, CPUs, GPUs and NPUs.
#[derive(Debug, Parser)]
#[command(name = "tinycc", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more, on stderr.
    #[arg(short, long, global = true)]
    verbose: bool,
}

const EXAMPLES: &str = "\
Examples:
  tinycc compile model.tflite --out out
  tinycc compile model.tflite --example host --out out
  tinycc inspect model.onnx
  tinycc check model.onnx --target ncs
  tinycc verify model.tflite --layers";

#[derive(Debug, Subcommand)]
enum Command {
    Compile(Box<compile::Args>),
    Inspect(inspect::Args),
    Check(Box<check::Args>),
    Verify(Box<verify::Args>),
    Passes(lists::PassesArgs),
    Targets(lists::TargetsArgs),
    Ops(lists::OpsArgs),
    Completions(lists::CompletionsArgs),
}

/// Form of what goes to stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How the user wants to be talked to.
#[derive(Clone, Copy, Debug)]
struct Shell {
    quiet: bool,
    verbose: bool,
}

/// Why a command ends with exit code 1.
enum Failure {
    /// Problems in the model or the options.
    Diagnostics(Diagnostics),
    /// Anything else, one sentence.
    Message(String),
    /// Everything was said already.
    Silent,
}

impl From<Diagnostics> for Failure {
    fn from(d: Diagnostics) -> Self {
        Failure::Diagnostics(d)
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let given = matches.subcommand().map_or(&matches, |(_, given)| given);
    let shell = Shell { quiet: cli.quiet, verbose: cli.verbose };
    let result = match cli.command {
        Command::Compile(args) => compile::run(&args, given, shell),
        Command::Inspect(args) => inspect::run(&args, shell),
        Command::Check(args) => check::run(&args, shell),
        Command::Verify(args) => verify::run(&args, shell),
        Command::Passes(args) => lists::passes(&args, shell),
        Command::Targets(args) => lists::targets(&args, shell),
        Command::Ops(args) => lists::ops(&args, shell),
        Command::Completions(args) => lists::completions::<Cli>(&args, shell),
    };
    let Err(failure) = result else { return ExitCode::SUCCESS };
    let text = match failure {
        Failure::Diagnostics(problems) => problems.to_string(),
        Failure::Message(message) => {
            format!("error: {}", tinycc::printable(&message))
        }
        Failure::Silent => return ExitCode::FAILURE,
    };
    // Nothing is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}

impl Shell {
    /// The command's result, on stdout. A reader that closes the pipe early is no error.
    fn print(self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::Message(format!("cannot write to stdout: {e}")))
            }
            _written => Ok(()),
        }
    }

    /// A remark for `-v`.
    fn detail(self, text: &str) {
        if self.verbose {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// A line that replaces itself, on a terminal only.
    fn progress(self, text: &str) {
        if self.verbose {
            self.detail(text);
        } else if !self.quiet && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }

    /// Removes the progress line.
    fn progress_done(self) {
        if !self.verbose && !self.quiet && std::io::stderr().is_terminal() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Largest file read, in bytes: TFLite's offsets and a protobuf message's length have 31 bits.
const MAX_FILE: u64 = (1 << 31) - 1;

/// A whole file. Something larger than a model can be is refused without filling the memory.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |e: std::io::Error| Failure::Message(format!("cannot read {}: {e}", path.display()));
    let file = std::fs::File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if meta.is_file() && meta.len() > MAX_FILE {
        let n = meta.len();
        return Err(Failure::Message(format!(
            "{} has {n} bytes, a model has at most {MAX_FILE}",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A model, and the files beside it that hold its data: all commands read them in this way.
struct Model {
    bytes: Vec<u8>,
    external: External,
    name: String,
}

impl Model {
    fn open(path: &Path) -> Result<Self, Failure> {
        let bytes = read(path)?;
        let external = external::load(&bytes, path);
        Ok(Self { bytes, external, name: shown(path) })
    }

    fn compiler(&self, options: Options) -> Compiler<'_> {
        Compiler::new(&self.bytes, options)
            .file(self.name.clone())
            .external(self.external.files.clone())
    }
}

/// A path as it should appear in messages.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let cli = Cli::try_parse_from(["tinycc", "compile", "x.tflite"]).expect("accepted");
        let Command::Compile(args) = cli.command else { panic!("compile") };
        assert_eq!(args.options, tinycc::Options::default());
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("tinycc {}", command.get_name())), "{command}");
        }
    }
}
