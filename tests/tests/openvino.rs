//! Targets `ncs` and `openvino` on the networks of the zoo: the files are valid, the CPU plugin of OpenVINO
//! computes what our evaluator computes, and the graph compiler of the Neural Compute Stick 2 accepts them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use tinycc_core::format::openvino::validate::validate;
use tinycc_core::{DType, Graph, Tensor, TensorData, evaluate, format, pass};
use tinycc_driver::{InputShape, InputType, IrVersion, Numbers, Options, PortInfo, PrecisionName};
use tinycc_tests::build::{file, run};
use tinycc_tests::cases::root;
use tinycc_tests::openvino::{self, Compiled};
use tinycc_tests::zoo::{self, Record};

/// The forms every network is written in, with the bound of the relative error.
const FORMS: [(&str, IrVersion, PrecisionName, f64); 5] = [
    ("ncs", IrVersion::V10, PrecisionName::F16, 2e-3),
    ("ncs", IrVersion::V10, PrecisionName::F32, 1e-5),
    ("openvino", IrVersion::V10, PrecisionName::F32, 1e-5),
    ("openvino", IrVersion::V11, PrecisionName::F32, 1e-5),
    ("openvino", IrVersion::V11, PrecisionName::F16, 2e-3),
];

/// Bound where the plugin computes in int8, for three of four samples: it rounds sums elsewhere than the
/// graph says, a result between two of 256 values may become either in every layer, and the zoo's samples
/// of pure noise make much of it. One step of the visual wake words is 3.7e-2 of its largest output.
const INT8: f64 = 4e-2;

/// Networks of this many multiply-accumulates are evaluated on one sample only: that is slow.
const LARGE: u64 = 15_000_000;

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
fn real(tensor: &Tensor, (scale, zero_point): (f32, i32)) -> TensorData {
    let q = tensor.to_i64().expect("integers");
    let real = |q: i64| (q as f64 - f64::from(zero_point)) * f64::from(scale);
    TensorData::F32(q.into_iter().map(|q| real(q) as f32).collect())
}

/// Input sets and the outputs for each.
type Reference = (Vec<Vec<Tensor>>, Vec<Vec<Tensor>>);

/// Golden input sets as the file takes them, and what our evaluator makes of each. A float model is
/// evaluated as it was read, so that the passes are tested too.
fn reference(
    zoo: &Path,
    r: &Record,
    target: &str,
    ports: &[PortInfo],
) -> Result<Reference, String> {
    let mut graph = read(zoo, r)?;
    let samples = if r.macs.unwrap_or(0) > LARGE { 1 } else { r.n_samples.unwrap_or(1).min(20) };
    let mut sets = vec![Vec::new(); samples];
    for ((node, port), info) in graph.inputs().iter().zip(&r.inputs).zip(ports) {
        let ty = &graph.value(node.result(0)).expect("input").ty;
        let all = zoo::npy(&zoo.join(port.file.as_ref().expect("golden")), ty.dtype);
        let quant = info.scale.zip(info.zero_point).filter(|_| ty.dtype != DType::F32);
        let n = ty.shape.elements();
        for (sample, set) in sets.iter_mut().enumerate() {
            let index: Vec<usize> = (sample * n..(sample + 1) * n).collect();
            let tensor = Tensor { shape: ty.shape.clone(), data: all.gather(&index) };
            let data = quant.map_or(tensor.data.clone(), |q| real(&tensor, q));
            set.push(Tensor { data, ..tensor });
        }
    }
    if is_quantized(&graph) {
        let target = tinycc_targets::target(target).expect("target");
        pass::run_all(&mut graph, target.passes()).map_err(|e| e.to_string())?;
    }
    let outputs = sets.iter().map(|set| evaluate::run(&graph, set).map_err(|e| e.to_string()));
    let outputs = outputs.collect::<Result<_, _>>()?;
    Ok((sets, outputs))
}

fn read(zoo: &Path, r: &Record) -> Result<Graph, String> {
    let bytes = file(&zoo.join(&r.path));
    let shapes = input_shapes(r).into_iter().map(|s| (s.name, s.shape)).collect();
    let options =
        format::ReadOptions { file: r.path.clone(), input_shapes: shapes, ..Default::default() };
    format::read(&bytes, &options).map_err(|e| e.to_string())
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

/// A network in one form.
struct Written {
    record: usize,
    form: usize,
    compiled: Compiled,
    want: Rc<Reference>,
    is_quantized: bool,
}

/// Every network in every form it has; those without one, with the reason.
fn write_all(zoo: &Path, records: &[Record], failures: &mut String) -> (Vec<Written>, String) {
    let (mut written, mut refused) = (Vec::new(), String::new());
    for (record, r) in records.iter().enumerate() {
        let bytes = file(&zoo.join(&r.path));
        let is_quantized = read(zoo, r).is_ok_and(|graph| is_quantized(&graph));
        let mut known: BTreeMap<&str, Rc<Reference>> = BTreeMap::new();
        for (form, &(target, version, precision, _)) in FORMS.iter().enumerate() {
            let compiled =
                match openvino::compile(&bytes, &r.path, options(r, target, version, precision)) {
                    Ok(compiled) => compiled,
                    Err(e) if form == 0 => {
                        let first = e.to_string().lines().next().unwrap_or_default().to_string();
                        writeln!(
                            refused,
                            "  {}: {}",
                            r.path,
                            first.replace(&format!(" {}:", r.path), "")
                        )
                        .expect("string");
                        continue;
                    }
                    Err(_) => continue,
                };
            for problem in validate(&compiled.xml(), &compiled.bin()) {
                writeln!(failures, "{} {target} {version} {precision}: {problem}", r.path)
                    .expect("string");
            }
            let key = if is_quantized { target } else { "" };
            let want = known.entry(key).or_insert_with(|| {
                let want = reference(zoo, r, target, &compiled.report.inputs);
                Rc::new(want.unwrap_or_else(|e| panic!("{}: {e}", r.path)))
            });
            let want = want.clone();
            written.push(Written { record, form, compiled, want, is_quantized });
        }
    }
    (written, refused)
}

/// What the CPU plugin computes is what our evaluator computes, under the names of the source.
fn compare(written: &[Written], records: &[Record], python: &OsString, failures: &mut String) {
    let jobs: Vec<_> = written.iter().map(|w| w.compiled.job(&w.want.0)).collect();
    let answers = openvino::run_on_cpu(python, &jobs).expect("runs");
    for (w, (job, answer)) in written.iter().zip(jobs.iter().zip(&answers)) {
        let (target, version, precision, bound) = FORMS[w.form];
        let bound = if w.is_quantized && target == "openvino" { INT8 } else { bound };
        let bound = bound.max(records[w.record].float_noise());
        let what = format!("{} {target} v{version} {precision}", records[w.record].path);
        if !answer.ok {
            writeln!(failures, "{what}: {}", answer.error).expect("string");
            continue;
        }
        let names: Vec<&String> = w.compiled.report.outputs.iter().map(|p| &p.name).collect();
        let got = &answer.outputs;
        if got.len() != names.len() || names.iter().zip(got).any(|(n, got)| !got.contains(n)) {
            writeln!(failures, "{what}: outputs {got:?} instead of {names:?}").expect("string");
        }
        for (output, got) in openvino::results(job).iter().enumerate() {
            let want: Vec<Vec<f32>> = w.want.1.iter().map(|set| as_f32(&set[output])).collect();
            let is_int8 = w.is_quantized && target == "openvino";
            let error = if is_int8 {
                upper_quartile(got, &want)
            } else {
                openvino::relative_error(got, &want.concat())
            };
            println!("{what}: {error:.2e}");
            if error > bound {
                writeln!(failures, "{what}: relative error {error:.2e}").expect("string");
            }
        }
    }
}

/// The relative error that three of four samples keep, by the largest value of all.
fn upper_quartile(got: &[f32], want: &[Vec<f32>]) -> f64 {
    let largest = want.concat().iter().fold(f32::MIN_POSITIVE, |m, x| m.max(x.abs()));
    let samples = want.iter().zip(got.chunks(got.len() / want.len()));
    let mut errors: Vec<f64> = samples
        .map(|(want, got)| {
            let scaled = |v: &[f32]| [v, &[largest]].concat();
            openvino::relative_error(&scaled(got), &scaled(want))
        })
        .collect();
    errors.sort_by(f64::total_cmp);
    errors[(errors.len() * 3).div_ceil(4) - 1]
}

/// The graph compiler of the stick takes the files of target `ncs`, in both precisions.
fn accept(written: &[Written], records: &[Record], failures: &mut String) {
    let Some(folder) = openvino::graph_compiler() else { return };
    let stick: Vec<&Written> = written.iter().filter(|w| FORMS[w.form].0 == "ncs").collect();
    let files: Vec<_> = stick.iter().map(|w| w.compiled.path(".xml")).collect();
    let answers = openvino::compile_for_stick(&folder, &files).expect("answers");
    for (w, answer) in stick.iter().zip(answers) {
        let what = format!("{} {}", records[w.record].path, FORMS[w.form].2);
        match answer {
            Ok(bytes) => println!("{what}: accepted, blob of {bytes} bytes"),
            Err(reason) => writeln!(failures, "{what}: {reason}").expect("string"),
        }
    }
}

#[test]
fn networks_of_the_zoo() {
    let Some(zoo) = zoo::require() else { return };
    let Some(python) = openvino::python() else { return };
    let only = std::env::var("TINYCC_MODELS").unwrap_or_default();
    let records: Vec<Record> = ["tflite", "onnx"]
        .iter()
        .flat_map(|f| zoo::records(&zoo, f))
        .filter(|r| r.kind == "network" && r.path.contains(&only))
        .collect();
    let mut failures = String::new();
    let (written, refused) = write_all(&zoo, &records, &mut failures);
    compare(&written, &records, &python, &mut failures);
    accept(&written, &records, &mut failures);
    let accepted = written.iter().filter(|w| w.form == 0).count();
    let table =
        format!("{accepted} of {} networks have a form for the stick\n{refused}", records.len());
    println!("{table}");
    assert!(failures.is_empty(), "failures:\n{failures}");
    if only.is_empty() {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!("openvino_networks", table);
        });
    }
}

/// A model of the repository, compiled for `target` with `options` on top.
fn fixture(target: &str, options: Options) -> Compiled {
    let path = root().join("fixtures/mnist_cnn/mnist_cnn_int8.tflite");
    let options = Options { target: target.into(), name: Some("mnist".into()), ..options };
    openvino::compile(&file(&path), "mnist_cnn_int8.tflite", options).expect("compiles")
}

#[test]
fn a_small_file_looks_like_this() {
    let path = root().join("fixtures/sine/sine_int8.tflite");
    let options = Options { target: "ncs".into(), ..Options::default() };
    let sine = openvino::compile(&file(&path), "sine_int8.tflite", options).expect("compiles");
    let again = openvino::compile(
        &file(&path),
        "sine_int8.tflite",
        Options { target: "ncs".into(), ..Options::default() },
    );
    let again = again.expect("compiles");
    assert_eq!((sine.xml(), sine.bin()), (again.xml(), again.bin()), "same input, same bytes");
    let text = String::from_utf8(sine.xml()).expect("text");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("openvino_sine", text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    });
}

/// Bytes in place of real inputs: by the parameters of the source, or as the user says.
#[test]
fn bytes_become_the_same_numbers() {
    let Some(python) = openvino::python() else { return };
    let real = fixture("ncs", Options::default());
    let info = &real.report.inputs[0];
    let (scale, zero) = (info.scale.expect("quantized"), info.zero_point.expect("quantized"));
    let bytes = |mean: Option<Vec<f32>>, scale: Option<Vec<f32>>| {
        fixture(
            "ncs",
            Options {
                input_type: InputType::U8,
                mean_values: mean.map(Numbers),
                scale_values: scale.map(Numbers),
                ..Options::default()
            },
        )
    };
    let (own, given) =
        (bytes(None, None), bytes(Some(vec![(128 + zero) as f32]), Some(vec![1.0 / scale])));
    assert_eq!(own.report.inputs[0].dtype, "uint8");
    let shape = tinycc_core::Shape(info.shape.clone());
    let pixels: Vec<i32> = (0..shape.elements()).map(|i| (i * 37 % 256) as i32).collect();
    let number = |&b: &i32| (b - 128 - zero) as f32 * scale;
    let numbers = TensorData::F32(pixels.iter().map(number).collect());
    let pixels = Tensor { shape: shape.clone(), data: TensorData::I32(pixels) };
    let numbers = Tensor { shape, data: numbers };
    let jobs =
        [real.job(&[vec![numbers]]), own.job(&[vec![pixels.clone()]]), given.job(&[vec![pixels]])];
    let answers = openvino::run_on_cpu(&python, &jobs).expect("runs");
    assert!(answers.iter().all(|a| a.ok), "{answers:?}");
    let want = openvino::results(&jobs[0]);
    for job in &jobs[1..] {
        assert!(openvino::relative_error(&openvino::results(job)[0], &want[0]) < 1e-4);
    }
    if let Some(folder) = openvino::graph_compiler() {
        let answers = openvino::compile_for_stick(&folder, &[own.path(".xml")]).expect("answers");
        assert!(answers[0].is_ok(), "{answers:?}");
    }
}

/// int8 weights are a quarter of float32 and half of float16.
#[test]
fn weights_of_an_int8_source_stay_int8() {
    let bytes = |precision| {
        fixture("ncs", Options { precision, ..Options::default() }).report.totals.weights_bytes
    };
    let (f16, source) = (bytes(PrecisionName::F16), 25_000);
    assert!(f16 < source + source / 2, "{f16} bytes");
}

fn run_example(program: &mut Command, folder: &Path) -> (String, serde_json::Value) {
    let json = folder.join("table.json");
    program.args(["--requests", "4", "--frames", "40", "--json"]).arg(&json);
    let text = String::from_utf8(run(program, &[]).expect("runs")).expect("text");
    let table = serde_json::from_slice(&file(&json)).expect("JSON");
    (text, table)
}

fn check_table(text: &str, table: &serde_json::Value, devices: &[&str]) {
    assert_eq!(table.as_array().map(Vec::len), Some(devices.len()), "{text}");
    for (row, device) in table.as_array().expect("rows").iter().zip(devices) {
        assert_eq!((row["device"].as_str(), row["requests"].as_u64()), (Some(*device), Some(4)));
        let number = |key: &str| row[key].as_f64().expect("a number");
        assert!(number("fps") > 0.0 && number("median_ms") <= number("p95_ms"), "{row}");
        assert!(number("difference") < 1e-6, "{row}");
        assert!(text.contains(device), "{text}");
    }
}

#[test]
fn the_python_runner_measures_and_draws() {
    let Some(python) = openvino::python() else { return };
    let mnist =
        fixture("ncs", Options { examples: vec!["openvino-python".into()], ..Options::default() });
    let folder = mnist.folder.path();
    let mut command = Command::new(&python);
    command.arg(folder.join("example-python/run.py")).args(["--devices", "CPU,AUTO", "MULTI:CPU"]);
    command.arg("--csv").arg(folder.join("table.csv")).arg("--plot").arg(folder.join("plot.png"));
    command.arg("--outputs").arg(folder.join("outputs"));
    let (text, table) = run_example(&mut command, folder);
    check_table(&text, &table, &["CPU", "AUTO", "MULTI:CPU"]);
    let csv = String::from_utf8(file(&folder.join("table.csv"))).expect("text");
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(
        file(&folder.join("plot.png")).starts_with(b"\x89PNG")
            && folder.join("outputs/output0.npy").is_file()
    );
    let failure = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.current_dir(folder).arg("example-python/run.py").args(arguments);
        let error = run(&mut command, &[]).expect_err("a failure");
        assert!(!error.contains("Traceback"), "{error}");
        error
    };
    assert!(failure(&["--devices", "MYRIAD"]).contains("MYRIAD: there is no stick"));
    failure(&["--devices", "NOSUCH,CPU", "--frames", "8", "--json", "partial.json"]);
    check_partial(&folder.join("partial.json"));
    assert!(failure(&["--requests", "-1"]).contains("-1 is less than 1"));
    assert!(failure(&["--frames", "x"]).contains("invalid number value"));
    assert!(failure(&["--inputs", "no.npy"]).contains("no.npy"));
    assert!(failure(&["--inputs", "mnist.xml"]).contains("mnist.xml is no .npy file"));
    assert!(failure(&["--model", "no.xml"]).contains("no.xml cannot be read"));
    assert!(failure(&["--frames", "8", "--csv", "no/table.csv"]).contains("no/table.csv"));
}

/// The table of a device that does not exist, and the CPU.
fn check_partial(path: &Path) {
    let table: serde_json::Value = serde_json::from_slice(&file(path)).expect("JSON");
    let error = table[0]["error"].as_str().expect("a reason");
    assert!(table[0]["device"] == "NOSUCH" && error.contains("NOSUCH"), "{table}");
    assert!(table[1]["device"] == "CPU" && table[1]["error"].is_null(), "{table}");
    assert!(table[1]["fps"].as_f64().is_some_and(|fps| fps > 0.0), "{table}");
}

#[test]
fn the_cpp_runner_measures_the_same() {
    let Some(python) = openvino::python() else { return };
    let mnist = fixture(
        "openvino",
        Options { examples: vec!["openvino-cpp".into()], ..Options::default() },
    );
    let folder = mnist.folder.path();
    let script = "import openvino, pathlib, sys; sys.stdout.write(str(pathlib.Path(openvino.__file__).parent))";
    let package = run(Command::new(&python).args(["-c", script]), &[]).expect("runs");
    let package = PathBuf::from(String::from_utf8(package).expect("text"));
    let library = std::fs::read_dir(package.join("libs")).expect("libs").filter_map(|e| {
        let name = e.ok()?.file_name().into_string().ok()?;
        name.starts_with("libopenvino.so").then_some(name)
    });
    let (libs, program) = (package.join("libs"), folder.join("example-cpp/run"));
    let mut command = Command::new("g++");
    command.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-isystem"]);
    command
        .arg(package.join("include"))
        .arg(folder.join("example-cpp/main.cpp"))
        .arg("-o")
        .arg(&program);
    command.arg("-L").arg(&libs).arg(format!("-l:{}", library.last().expect("the library")));
    command.arg(format!("-Wl,-rpath,{}", libs.display()));
    run(&mut command, &[]).expect("compiles");
    let mut command = Command::new(&program);
    command.current_dir(folder.join("example-cpp")).args(["--devices", "CPU,AUTO"]);
    let (text, table) = run_example(command.args(["--devices", "MULTI:CPU"]), folder);
    check_table(&text, &table, &["CPU", "AUTO", "MULTI:CPU"]);
    let failure = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.current_dir(folder.join("example-cpp")).args(arguments);
        run(&mut command, &[]).expect_err("a failure")
    };
    failure(&["--devices", "NOSUCH,CPU", "--frames", "8", "--json", "partial.json"]);
    check_partial(&folder.join("example-cpp/partial.json"));
    assert!(failure(&["--requests", "-1"]).contains("--requests takes a number of at least 1"));
    assert!(failure(&["--devices", "MYRIAD"]).contains("MYRIAD: there is no stick"));
}
