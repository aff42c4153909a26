//! OpenVINO files: compiled into folders, run on the CPU plugin, given to the stick's graph compiler.

use crate::build::run;
use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tinycc_core::Tensor;
use tinycc_driver::{Compiler, Diagnostics, Options, Report};

/// A compiled model in a folder.
#[derive(Debug)]
pub struct Compiled {
    /// The folder; removed when dropped.
    pub folder: TempDir,
    /// Name of the model.
    pub name: String,
    /// What it costs.
    pub report: Report,
}

/// Compiles `bytes` of the model `file` and writes everything.
///
/// # Errors
/// What tinycc says.
pub fn compile(bytes: &[u8], file: &str, options: Options) -> Result<Compiled, Diagnostics> {
    let output = Compiler::new(bytes, options).file(file).compile()?;
    let folder = TempDir::new().expect("temporary folder");
    tinycc_driver::write::artifacts(&output.artifacts, folder.path()).expect("writes");
    Ok(Compiled { folder, name: output.report.name.clone(), report: output.report })
}

impl Compiled {
    /// A file of the folder.
    #[must_use]
    pub fn path(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{}{ending}", self.name))
    }

    /// The text of `NAME.xml`.
    #[must_use]
    pub fn xml(&self) -> Vec<u8> {
        std::fs::read(self.path(".xml")).expect("xml")
    }

    /// The bytes of `NAME.bin`.
    #[must_use]
    pub fn bin(&self) -> Vec<u8> {
        std::fs::read(self.path(".bin")).expect("bin")
    }

    /// Prepares a run on some sets of inputs.
    #[must_use]
    pub fn job(&self, sets: &[Vec<Tensor>]) -> Job {
        let file = |kind: &str, i: usize| self.folder.path().join(format!("{kind}{i}.npy"));
        let ports = sets.first().map_or(0, Vec::len);
        for i in 0..ports {
            let samples: Vec<&Tensor> = sets.iter().map(|set| &set[i]).collect();
            write_npy(&file("in", i), &samples);
        }
        Job {
            xml: self.path(".xml"),
            inputs: (0..ports).map(|i| file("in", i)).collect(),
            outputs: (0..self.report.outputs.len()).map(|i| file("out", i)).collect(),
        }
    }
}

/// A run of a network on the CPU plugin.
#[derive(Clone, Debug, Serialize)]
pub struct Job {
    xml: PathBuf,
    inputs: Vec<PathBuf>,
    outputs: Vec<PathBuf>,
}

/// What the plugin says about a job.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// Whether it ran.
    pub ok: bool,
    /// Why not.
    #[serde(default)]
    pub error: String,
    /// Names of each output: a tensor may have several.
    #[serde(default)]
    pub outputs: Vec<Vec<String>>,
    /// Element types of the inputs, then of the outputs, by their numpy names.
    #[serde(default)]
    pub types: Vec<String>,
}

/// Python with `tests/oracle/openvino-requirements.txt`, or `None` with a loud message. Under
/// `TINYCC_FULL` its absence is a failure.
#[must_use]
pub fn python() -> Option<OsString> {
    let python = std::env::var_os("TINYCC_OPENVINO_PYTHON");
    if python.is_none() {
        let message = "OpenVINO is absent: set TINYCC_OPENVINO_PYTHON";
        assert!(std::env::var_os("TINYCC_FULL").is_none(), "{message}");
        eprintln!("NOT TESTED: {message}");
    }
    python
}

/// Runs all jobs in one process.
///
/// # Errors
/// The script itself fails.
pub fn run_on_cpu(python: &OsString, jobs: &[Job]) -> Result<Vec<Answer>, String> {
    let script = crate::cases::root().join("tests/oracle/openvino_cpu.py");
    let input = serde_json::to_vec(jobs).expect("JSON");
    let text = run(Command::new(python).arg(script), &input)?;
    serde_json::from_slice(&text).map_err(|e| e.to_string())
}

/// The outputs of a job that ran, as real numbers.
#[must_use]
pub fn results(job: &Job) -> Vec<Vec<f32>> {
    job.outputs.iter().map(|path| read_npy(path)).collect()
}

fn write_npy(path: &Path, samples: &[&Tensor]) {
    fn write<T: ndarray_npy::WritableElement + Clone>(path: &Path, dims: &[usize], data: Vec<T>) {
        let array = ArrayD::from_shape_vec(IxDyn(dims), data).expect("fits");
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).expect("writes");
        std::fs::write(path, bytes).expect("file");
    }
    let mut dims = vec![samples.len()];
    dims.extend(&samples[0].shape.0);
    if samples[0].as_f32().is_some() {
        write(
            path,
            &dims,
            samples.iter().flat_map(|t| t.as_f32().expect("alike").to_vec()).collect(),
        );
    } else {
        write(path, &dims, samples.iter().flat_map(|t| t.to_i64().expect("integers")).collect());
    }
}

fn read_npy(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("output");
    if let Ok(array) = ArrayD::<f32>::read_npy(bytes.as_slice()) {
        return array.iter().copied().collect();
    }
    if let Ok(array) = ArrayD::<i32>::read_npy(bytes.as_slice()) {
        return array.iter().map(|&x| x as f32).collect();
    }
    if let Ok(array) = ArrayD::<bool>::read_npy(bytes.as_slice()) {
        return array.iter().map(|&x| f32::from(u8::from(x))).collect();
    }
    let array = ArrayD::<i64>::read_npy(bytes.as_slice()).expect("float32, int32, int64 or bool");
    array.iter().map(|&x| x as f32).collect()
}

/// Largest absolute difference, divided by the largest reference: what "relative error" means here.
/// Infinite when the numbers of elements differ or anything is not a number.
#[must_use]
pub fn relative_error(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let largest = want.iter().fold(0.0f64, |m, x| m.max(f64::from(x.abs())));
    let apart =
        |(a, b): (&f32, &f32)| if a == b { 0.0 } else { (f64::from(*a) - f64::from(*b)).abs() };
    let apart = got.iter().zip(want).map(apart);
    let worst = apart.fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
    if worst == 0.0 { 0.0 } else { worst / largest }
}

/// The folder `tests/oracle/ncs2/install` filled, when `TINYCC_NCS2` asks for it; else `None`, with a
/// message. `TINYCC_NCS2=1` means the place `tests/run` uses.
#[must_use]
pub fn graph_compiler() -> Option<PathBuf> {
    let wanted = std::env::var("TINYCC_NCS2").unwrap_or_default();
    if wanted.is_empty() || wanted == "0" {
        eprintln!("NOT TESTED: acceptance by the stick's graph compiler; set TINYCC_NCS2=1");
        return None;
    }
    let cache = std::env::var_os("TINYCC_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/tinycc");
    let folder =
        if wanted == "1" { cache.unwrap_or_else(home).join("ncs2") } else { wanted.into() };
    let program = folder.join("myriad_compile");
    assert!(program.is_file(), "{} is missing: run tests/oracle/ncs2/install", program.display());
    Some(folder)
}

/// Gives files to the stick's graph compiler. Per file, the bytes of the blob or the plugin's reason.
///
/// # Errors
/// The program does not answer for every file.
pub fn compile_for_stick(
    folder: &Path,
    files: &[PathBuf],
) -> Result<Vec<Result<usize, String>>, String> {
    let mut command = Command::new(folder.join("myriad_compile"));
    command.args(files).env("LD_LIBRARY_PATH", folder.join("lib"));
    command.env("LD_PRELOAD", folder.join("fast_clock.so"));
    let output = command.output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = |path: &PathBuf| {
        let path = path.display().to_string();
        let line = text.lines().map(|l| l.split('\t').collect::<Vec<_>>());
        let mut found = line.filter(|l| l.len() == 3 && l[1] == path);
        match found.next() {
            Some(line) if line[0] == "OK" => Ok(Ok(line[2].parse().expect("bytes"))),
            Some(line) => Ok(Err(line[2].trim().to_string())),
            None => Err(format!("no answer about {path}: {} {text}", output.status)),
        }
    };
    files.iter().map(answer).collect()
}
