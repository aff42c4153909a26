//! Tests of the suite through the OpenVINO targets: compiled, run on the CPU plugin, compared.

use super::element::Raw;
use super::run::as_advised;
use super::suite::{Data, Suite, Test};
use super::{Outcome, Verdict};
use crate::openvino::{self, Compiled, Job};
use std::ffi::OsString;
use tempfile::TempDir;
use tinycc_core::{Shape, Tensor, TensorData};
use tinycc_driver::{Options, PortInfo, PrecisionName};

/// |got - want| <= ATOL + RTOL * |want|, as onnx's own runner for float32 with room for the plugin's fast
/// functions.
const RTOL: f64 = 1e-3;
const ATOL: f64 = 1e-5;
/// Tests per process of the plugin.
const BATCH: usize = 64;

/// What became of each test for a target, in order.
#[must_use]
pub fn run(suite: &Suite, tests: &[&Test], target: &str, python: &OsString) -> Vec<Verdict> {
    tests.chunks(BATCH).flat_map(|tests| batch(suite, tests, target, python)).collect()
}

fn batch(suite: &Suite, tests: &[&Test], target: &str, python: &OsString) -> Vec<Verdict> {
    let data: Vec<Data> = tests.iter().map(|t| suite.data(t)).collect();
    let compiled: Vec<Result<(Compiled, Job), Verdict>> =
        data.iter().map(|data| compile(data, target)).collect();
    let jobs: Vec<Job> = compiled.iter().flatten().map(|(_, job)| job.clone()).collect();
    let answers = openvino::run_on_cpu(python, &jobs);
    let mut answers = match &answers {
        Ok(answers) => answers.iter(),
        Err(message) => {
            let crash = || Verdict::fail("the plugin crashes on one of these", message.clone());
            return compiled.into_iter().map(|c| c.err().unwrap_or_else(crash)).collect();
        }
    };
    let judged = compiled.into_iter().zip(&data).map(|(result, data)| {
        let (compiled, job) = match result {
            Ok(compiled) => compiled,
            Err(verdict) => return verdict,
        };
        match answers.next() {
            Some(answer) if answer.ok => judge(&compiled, &job, data),
            Some(answer) => Verdict::fail("the plugin refuses the file", answer.error.clone()),
            None => Verdict::fail("it did not run", ""),
        }
    });
    judged.collect()
}

fn compile(data: &Data, target: &str) -> Result<(Compiled, Job), Verdict> {
    let options = Options {
        target: target.into(),
        name: Some("model".into()),
        precision: PrecisionName::F32,
        ..Options::default()
    };
    let (output, _bound) = as_advised(data, options)?;
    let folder = TempDir::new().expect("temporary folder");
    tinycc_driver::write::artifacts(&output.artifacts, folder.path()).expect("writes");
    let compiled = Compiled { folder, name: "model".into(), report: output.report };
    let mut set = Vec::new();
    for port in &compiled.report.inputs {
        let Some(raw) = data.input(&port.name) else {
            return Err(Verdict::fail(format!("no data for the input \"{}\"", port.name), ""));
        };
        set.push(tensor(raw, port));
    }
    let job = compiled.job(&[set]);
    Ok((compiled, job))
}

/// The parameters by which a port has real numbers in place of the suite's integers.
fn quantization(port: &PortInfo) -> Option<(f64, f64)> {
    let (scale, zero) = port.scale.zip(port.zero_point).filter(|_| port.dtype == "float32")?;
    Some((f64::from(scale), f64::from(zero)))
}

fn tensor(raw: &Raw, port: &PortInfo) -> Tensor {
    let shape = Shape(raw.dims.clone());
    let numbers = raw.numbers().map(super::element::Number::real);
    let data = match quantization(port) {
        Some((scale, zero)) => {
            TensorData::F32(numbers.map(|q| ((q - zero) * scale) as f32).collect())
        }
        None if port.dtype == "float32" => TensorData::F32(numbers.map(|x| x as f32).collect()),
        None => TensorData::I64(numbers.map(|x| x as i64).collect()),
    };
    Tensor { shape, data }
}

fn judge(compiled: &Compiled, job: &Job, data: &Data) -> Verdict {
    let results = openvino::results(job);
    for (i, (got, want)) in results.iter().zip(&data.outputs).enumerate() {
        let (Some(want), Some(port)) = (want, compiled.report.outputs.get(i)) else {
            return Verdict::fail(format!("output {i} is no tensor of numbers"), "");
        };
        if port.shape != want.dims || got.len() != want.numbers().count() {
            return Verdict::fail(format!("output {i} has a wrong shape"), "");
        }
        let reals = want.numbers().map(super::element::Number::real);
        let reals: Vec<f64> = match quantization(port) {
            Some((scale, zero)) => reals.map(|q| (q - zero) * scale).collect(),
            None => reals.collect(),
        };
        let agrees = |(&g, &w): (&f32, &f64)| {
            let g = f64::from(g);
            g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= ATOL + RTOL * w.abs()
        };
        if !got.iter().zip(&reals).all(agrees) {
            let detail = format!("got {got:?}\nwant {reals:?}");
            return Verdict::fail(format!("output {i} has wrong numbers"), detail);
        }
    }
    Verdict::new(Outcome::Pass)
}
