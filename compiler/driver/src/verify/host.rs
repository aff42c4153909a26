//! The emitted code on this machine: builds the host example with the system compiler and runs it.

use super::VerifyError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tinycc_core::{Tensor, TensorData, TensorType};
use tinycc_targets::Artifacts;

/// The host example of a target, built in a temporary folder.
pub(super) struct Program {
    dir: tempfile::TempDir,
    exe: PathBuf,
}

/// What builds the host example: `$VARIABLE`, split at spaces (it may carry options), or the
/// default, and its arguments.
struct Builder {
    variable: &'static str,
    default: &'static str,
    flags: &'static [&'static str],
    sources: Vec<PathBuf>,
    last: &'static [&'static str],
}

const RUST_MAIN: &str = "example/src/main.rs";

impl Builder {
    fn of(artifacts: &Artifacts, dir: &Path) -> Self {
        if artifacts.contains_key(RUST_MAIN) {
            return Self {
                variable: "RUSTC",
                default: "rustc",
                flags: &["--edition=2024", "-O"],
                sources: vec![dir.join(RUST_MAIN)],
                last: &[],
            };
        }
        let sources = artifacts.keys().filter(|p| p.ends_with(".c"));
        Self {
            variable: "CC",
            default: "cc",
            flags: &["-O2", "-std=c99"],
            sources: sources.map(|p| dir.join(p)).collect(),
            last: &["-lm"],
        }
    }

    fn command(&self) -> Vec<String> {
        let words = |s: String| s.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let given = std::env::var(self.variable).map(words).unwrap_or_default();
        if given.is_empty() { vec![self.default.into()] } else { given }
    }

    fn build(&self, exe: &Path) -> Result<(), VerifyError> {
        let command = self.command();
        let output = Command::new(&command[0])
            .args(&command[1..])
            .args(self.flags)
            .arg("-o")
            .arg(exe)
            .args(&self.sources)
            .args(self.last)
            .output()
            .map_err(|reason| VerifyError::NoCompiler {
                command: command[0].clone(),
                variable: self.variable,
                reason,
            })?;
        if output.status.success() {
            return Ok(());
        }
        Err(VerifyError::Build {
            command: format!("{} {}", command.join(" "), self.flags.join(" ")),
            messages: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn io(what: &str) -> impl FnOnce(std::io::Error) -> VerifyError + '_ {
    move |e| VerifyError::Run(format!("{what}: {e}"))
}

impl Program {
    pub(super) fn build(artifacts: &Artifacts) -> Result<Self, VerifyError> {
        let dir = tempfile::Builder::new()
            .prefix("tinycc-verify-")
            .tempdir()
            .map_err(io("cannot make a temporary folder"))?;
        crate::write::artifacts(artifacts, dir.path())
            .map_err(|e| VerifyError::Run(e.to_string()))?;
        let exe = dir.path().join("model");
        Builder::of(artifacts, dir.path()).build(&exe)?;
        Ok(Self { dir, exe })
    }

    /// Runs all input sets through one process; the outputs per set.
    pub(super) fn run(
        &self,
        sets: &[Vec<Tensor>],
        outputs: &[TensorType],
    ) -> Result<Vec<Vec<Tensor>>, VerifyError> {
        let bytes: Vec<u8> = sets.iter().flatten().flat_map(|t| t.data.to_le_bytes()).collect();
        // A file rather than a pipe: the program may fill its output before it read all input.
        let stdin = self.dir.path().join("stdin");
        std::fs::write(&stdin, bytes).map_err(io("cannot write the inputs"))?;
        let output = Command::new(&self.exe)
            .stdin(open(&stdin)?)
            .stderr(Stdio::piped())
            .output()
            .map_err(io("cannot run the compiled model"))?;
        if !output.status.success() {
            let messages = String::from_utf8_lossy(&output.stderr);
            return Err(VerifyError::Run(format!(
                "the model ended with {}: {messages}",
                output.status
            )));
        }
        let wanted = outputs.iter().map(TensorType::bytes).sum::<usize>() * sets.len();
        if output.stdout.len() != wanted {
            let got = output.stdout.len();
            return Err(VerifyError::Run(format!(
                "the model wrote {got} bytes, expected {wanted}"
            )));
        }
        let mut rest = output.stdout.as_slice();
        let mut tensor = |ty: &TensorType| {
            let (head, tail) = rest.split_at_checked(ty.bytes())?;
            rest = tail;
            Tensor::new(ty.shape.clone(), TensorData::from_le_bytes(ty.dtype, head)?)
        };
        let set = |_: &Vec<Tensor>| outputs.iter().map(&mut tensor).collect::<Option<Vec<_>>>();
        sets.iter()
            .map(set)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| VerifyError::Run("the output cannot be split into tensors".into()))
    }
}

fn open(path: &Path) -> Result<File, VerifyError> {
    File::open(path).map_err(io("cannot read the inputs back"))
}
