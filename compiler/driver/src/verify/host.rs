//! The emitted C on this machine: builds the host example with the system compiler and runs it.

use super::VerifyError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tinycc_core::{Tensor, TensorData, TensorType};
use tinycc_targets::Artifacts;

/// Builds everything in `artifacts` that ends in `.c` below a temporary folder.
pub(super) struct Program {
    dir: tempfile::TempDir,
    exe: PathBuf,
}

/// `$CC`, split at spaces (it may carry options), or `cc`.
fn compiler_command() -> Vec<String> {
    let words = |s: String| s.split_whitespace().map(str::to_string).collect::<Vec<_>>();
    let given = std::env::var("CC").map(words).unwrap_or_default();
    if given.is_empty() { vec!["cc".into()] } else { given }
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
        let command = compiler_command();
        let line = format!("{} -O2 -std=c99", command.join(" "));
        let sources = artifacts.keys().filter(|p| p.ends_with(".c"));
        let output = Command::new(&command[0])
            .args(&command[1..])
            .args(["-O2", "-std=c99", "-o"])
            .arg(&exe)
            .args(sources.map(|p| dir.path().join(p)))
            .arg("-lm")
            .output()
            .map_err(|e| VerifyError::NoCompiler { command: command[0].clone(), reason: e })?;
        if !output.status.success() {
            let messages = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(VerifyError::Build { command: line, messages });
        }
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
