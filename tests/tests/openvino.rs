//! Targets `ncs` and `openvino` on the networks of the zoo: the files are valid, the CPU plugin of OpenVINO
//! computes what our evaluator computes, and the graph compiler of the Neural Compute Stick 2 accepts them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::fmt::Write;
use std::path::Path;
use tinycc_core::{DType, Graph, QuantParams, Tensor, TensorData, evaluate, format, pass};
use tinycc_driver::{InputShape, IrVersion, Options, PrecisionName};
use tinycc_tests::build::file;
use tinycc_tests::openvino::{self, Compiled, Job};
use tinycc_tests::zoo::{self, Record};

/// The forms every network is written in.
const FORMS: [(&str, IrVersion, PrecisionName, f64); 5] = [
    ("ncs", IrVersion::V10, PrecisionName::F16, 2e-3),
    ("ncs", IrVersion::V10, PrecisionName::F32, 1e-5),
    ("openvino", IrVersion::V10, PrecisionName::F32, 1e-5),
    ("openvino", IrVersion::V11, PrecisionName::F32, 1e-5),
    ("openvino", IrVersion::V11, PrecisionName::F16, 2e-3),
];

/// The shapes of inputs that the file leaves open, as a user would give them.
fn input_shapes(r: &Record) -> Vec<InputShape> {
    let open = r.inputs.iter().filter(|p| p.declared_shape.is_some());
    open.map(|p| InputShape { name: p.name.clone(), shape: p.shape.clone() }).collect()
}

fn options(r: &Record, target: &str, version: IrVersion, precision: PrecisionName) -> Options {
    Options {
        target: target.into(),
        ir_version: version,
        precision,
        input_shapes: input_shapes(r),
        name: Some("model".into()),
        ..Options::default()
    }
}

/// real = scale * (q - zero point).
fn real(tensor: &Tensor, quant: &QuantParams) -> TensorData {
    let q = tensor.to_i64().expect("integers");
    let real = |q: i64| (q as f64 - f64::from(quant.zero_point())) * f64::from(quant.scale());
    TensorData::F32(q.into_iter().map(|q| real(q) as f32).collect())
}

/// Golden input sets as the file takes them, and what our evaluator makes of each.
fn reference(
    zoo: &Path,
    r: &Record,
    target: &str,
) -> Result<(Vec<Vec<Tensor>>, Vec<Vec<Tensor>>), String> {
    let bytes = file(&zoo.join(&r.path));
    let shapes = input_shapes(r).into_iter().map(|s| (s.name, s.shape)).collect();
    let options = format::ReadOptions { file: r.path.clone(), input_shapes: shapes };
    let mut graph = format::read(&bytes, &options).map_err(|e| e.to_string())?;
    // Evaluation is slow; small networks have small outputs, which one sample may not exercise.
    let samples =
        if r.macs.unwrap_or(0) > 5_000_000 { 1 } else { r.n_samples.unwrap_or(1).min(20) };
    let mut sets = vec![Vec::new(); samples];
    for (node, port) in graph.inputs().iter().zip(&r.inputs) {
        let value = graph.value(node.result(0)).expect("input");
        let golden = zoo.join(port.file.as_ref().expect("golden"));
        let all = zoo::npy(&golden, value.ty.dtype);
        let quant = value.quant.as_ref().filter(|_| value.ty.dtype != DType::F32);
        let n = value.ty.shape.elements();
        for (sample, set) in sets.iter_mut().enumerate() {
            let index: Vec<usize> = (sample * n..(sample + 1) * n).collect();
            let tensor = Tensor { shape: value.ty.shape.clone(), data: all.gather(&index) };
            let data = quant.map_or(tensor.data.clone(), |q| real(&tensor, q));
            set.push(Tensor { data, ..tensor });
        }
    }
    // A float model is evaluated as it was read, so that the passes are tested too.
    if is_quantized(&graph) {
        let target = tinycc_targets::target(target).expect("target");
        pass::run_all(&mut graph, target.passes()).map_err(|e| e.to_string())?;
    }
    let outputs = sets.iter().map(|set| evaluate::run(&graph, set).map_err(|e| e.to_string()));
    let outputs = outputs.collect::<Result<_, _>>()?;
    Ok((sets, outputs))
}

fn is_quantized(graph: &Graph) -> bool {
    graph
        .nodes()
        .iter()
        .any(|&id| graph.get(id).is_some_and(|n| n.results.iter().any(|v| v.quant.is_some())))
}

fn as_f32(tensor: &Tensor) -> Vec<f32> {
    match tensor.as_f32() {
        Some(v) => v.to_vec(),
        None => tensor.to_i64().expect("integers").into_iter().map(|x| x as f32).collect(),
    }
}

#[test]
fn networks_of_the_zoo() {
    let Some(zoo) = zoo::require() else { return };
    let Some(python) = openvino::python() else { return };
    let mut records: Vec<Record> = ["tflite", "onnx"]
        .iter()
        .flat_map(|f| zoo::records(&zoo, f))
        .filter(|r| r.kind == "network")
        .collect();
    let only = std::env::var("TINYCC_MODELS").unwrap_or_default();
    records.retain(|r| r.path.contains(&only));
    let (mut compiled, mut jobs, mut refused): (
        Vec<(usize, usize, Compiled, Vec<Vec<Tensor>>)>,
        Vec<Job>,
        _,
    ) = (Vec::new(), Vec::new(), String::new());
    for (index, r) in records.iter().enumerate() {
        let bytes = file(&zoo.join(&r.path));
        for (form, &(target, version, precision, _)) in FORMS.iter().enumerate() {
            match openvino::compile(&bytes, &r.path, options(r, target, version, precision)) {
                Ok(c) => {
                    let (inputs, want) = reference(&zoo, r, target).expect("evaluates");
                    jobs.push(c.job(&inputs));
                    compiled.push((index, form, c, want));
                }
                Err(e) if form == 0 => {
                    let first = e.to_string().lines().next().unwrap_or_default().to_string();
                    writeln!(refused, "{}: {first}", r.path).expect("string");
                }
                Err(_) => {}
            }
        }
    }
    let answers = openvino::run_on_cpu(&python, &jobs).expect("runs");
    let mut failures = String::new();
    for ((index, form, c, want), (job, answer)) in compiled.iter().zip(jobs.iter().zip(&answers)) {
        let (r, (target, version, precision, bound)) = (&records[*index], FORMS[*form]);
        let what = format!("{} {target} v{version} {precision}", r.path);
        if !answer.ok {
            writeln!(failures, "{what}: {}", answer.error).expect("string");
            continue;
        }
        let names: Vec<&str> = c.report.outputs.iter().map(|p| p.name.as_str()).collect();
        if answer.outputs != names {
            writeln!(failures, "{what}: outputs {:?} instead of {names:?}", answer.outputs)
                .expect("string");
        }
        for (output, got) in openvino::results(job).iter().enumerate() {
            let want: Vec<f32> = want.iter().flat_map(|set| as_f32(&set[output])).collect();
            let error = openvino::relative_error(got, &want);
            println!("{what}: {error:.2e}");
            if error > bound {
                writeln!(failures, "{what}: relative error {error:.2e}").expect("string");
            }
        }
    }
    if let Some(folder) = openvino::graph_compiler() {
        let stick: Vec<_> = compiled.iter().filter(|c| c.1 < 2).collect();
        let files: Vec<_> = stick.iter().map(|c| c.2.path(".xml")).collect();
        let answers = openvino::compile_for_stick(&folder, &files).expect("answers");
        for (c, answer) in stick.iter().zip(answers) {
            let what = format!("{} {}", records[c.0].path, FORMS[c.1].2);
            match answer {
                Ok(bytes) => println!("{what}: accepted, blob of {bytes} bytes"),
                Err(reason) => writeln!(failures, "{what}: {reason}").expect("string"),
            }
        }
    }
    println!("{refused}");
    assert!(failures.is_empty(), "failures:\n{failures}");
}
