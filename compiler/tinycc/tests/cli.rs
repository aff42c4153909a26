//! The command line tool as users call it: output, files, messages, exit codes.

#![allow(clippy::expect_used, clippy::panic, reason = "a broken fixture should stop the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    assert!(path.exists(), "{name} is missing");
    path.to_str().expect("UTF-8").to_string()
}

fn tinycc(args: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_tinycc")).args(args).output().expect("starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run {
        code: output.status.code().expect("no signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn out() -> (tempfile::TempDir, PathBuf, String) {
    let dir = tempfile::tempdir().expect("temp dir");
    let out = dir.path().join("out");
    let text = out.to_str().expect("UTF-8").to_string();
    (dir, out, text)
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("directory")
        .map(|e| e.expect("entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn compile_writes_files_and_prints_the_table() {
    let (_dir, path, out) = out();
    let model = fixture("sine/sine_int8.tflite");
    let run = tinycc(&["compile", &model, "--out", &out, "--example", "host"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(files(&path), ["example", "sine_int8.c", "sine_int8.h", "sine_int8.json"]);
    for wanted in ["fully_connected", "int8[1x16]", "256", "arena", "flash", "proven", "stack"] {
        assert!(run.stdout.contains(wanted), "{wanted} is not in\n{}", run.stdout);
    }
    assert!(!run.stdout.contains('\x1b'), "colours in a pipe");
    let first = std::fs::read(path.join("sine_int8.c")).expect("source");
    let again = tinycc(&["compile", &model, "--out", &out, "--example", "host", "-q"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""));
    assert_eq!(first, std::fs::read(path.join("sine_int8.c")).expect("source"));
}

#[test]
fn report_as_json_adds_up() {
    let (_dir, _path, out) = out();
    let model = fixture("sine/sine_int8.tflite");
    let run = tinycc(&["compile", &model, "--out", &out, "--report", "json", "--name", "s1"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: tinycc::Report = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((report.name.as_str(), report.model.as_str()), ("s1", "sine_int8.tflite"));
    assert_eq!(report.layers.len(), 3);
    assert_eq!(report.totals.macs, 16 + 16 * 16 + 16);
    let weights: usize = report.layers.iter().filter_map(|l| l.weights_bytes).sum();
    assert_eq!(report.totals.weights_bytes, weights);
    assert_eq!(weights, (16 + 16 * 16 + 16) + 4 * (16 + 16 + 1));
    let code = report.totals.code.expect("code was emitted");
    assert_eq!(code.arena_bytes, 32);
    assert!(code.arena_proven);
    assert_eq!(report.inputs[0].zero_point, Some(-128));
}

#[test]
fn exceeded_budgets_name_the_contributors_and_write_nothing() {
    let (_dir, path, out) = out();
    let model = fixture("sine/sine_int8.tflite");
    let budgets = ["--max-arena", "31", "--max-flash", "400"];
    let run = tinycc(&[&["compile", &model, "--out", &out], &budgets[..]].concat());
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert_eq!(run.stderr.matches("error[TCC0501]").count(), 2, "{}", run.stderr);
    let order: Vec<usize> = ["--max-arena 31", "layer01_", "layer00_"]
        .iter()
        .filter_map(|s| run.stderr.find(s))
        .collect();
    assert!(order.len() == 3 && order.is_sorted(), "largest first:\n{}", run.stderr);
    assert!(!path.exists(), "files were written");
    let run = tinycc(&["compile", &model, "--out", &out, "--max-arena", "32", "--max-flash", "1M"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn all_unsupported_operators_are_reported_at_once() {
    let (_dir, path, out) = out();
    let model = fixture("bad/two_unsupported_ops.tflite");
    let run = tinycc(&["compile", &model, "--out", &out]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("COS") && run.stderr.contains("TOPK_V2"), "{}", run.stderr);
    assert!(run.stderr.contains(&model), "the file is not named");
    assert!(!path.exists());
    let run = tinycc(&["inspect", &model]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("COS") && run.stdout.contains("float32[1x8]"), "{}", run.stdout);
    assert!(run.stdout.contains("target c: no"));
}

#[test]
fn check_names_nodes_and_says_each_problem_once() {
    let model = fixture("bad/several_problems.tflite");
    let run = tinycc(&["check", &model, "--target", "c"]);
    assert_eq!(run.code, 1);
    let compiled = tinycc(&["compile", &model, "--target", "c"]);
    let problems = |text: &str| text.lines().filter(|l| l.starts_with("error")).count();
    assert_eq!(problems(&run.stdout), problems(&compiled.stderr), "{}", run.stdout);
    let sine = tinycc(&["check", &fixture("sine/sine_int8.tflite")]);
    assert_eq!(sine.code, 0);
    let row = sine.stdout.lines().find(|l| l.contains("dense1/relu")).expect("its name");
    assert!(row.contains("FULLY_CONNECTED") && row.contains("native"), "{row}");
}

/// A field of a protobuf message: bytes, or a small number.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).expect("short")][..], bytes].concat()
}

fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// ONNX: y = x + w of two elements, w in `w.bin` beside the model.
fn external_model() -> Vec<u8> {
    let dim = field(1, &number(1, 2));
    let ty = field(1, &[number(1, 1), field(2, &dim)].concat());
    let x = [field(1, b"x"), field(2, &ty)].concat();
    let node = [field(1, b"x"), field(1, b"w"), field(2, b"y"), field(4, b"Add")].concat();
    let place = [field(1, b"location"), field(2, b"w.bin")].concat();
    let w = [number(1, 2), number(2, 1), field(8, b"w"), field(13, &place), number(14, 1)].concat();
    let graph = [field(1, &node), field(5, &w), field(11, &x), field(12, &field(1, b"y"))].concat();
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}

#[test]
fn all_commands_read_the_files_beside_a_model() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (model, out) = (path("m.onnx"), path("out"));
    std::fs::write(&model, external_model()).expect("writes");
    std::fs::write(path("w.bin"), [0u8; 8]).expect("writes");
    let commands: [&[&str]; 4] = [
        &["compile", &model, "--out", &out],
        &["check", &model],
        &["inspect", &model],
        &["verify", &model],
    ];
    for command in commands {
        let run = tinycc(command);
        assert_eq!(run.code, 0, "{command:?}: {}{}", run.stdout, run.stderr);
    }
    std::fs::remove_file(path("w.bin")).expect("removes");
    for command in &commands[..2] {
        let run = tinycc(command);
        let said = run.stdout + &run.stderr;
        assert!(run.code == 1 && said.contains("w.bin\""), "{command:?}: {said}");
    }
}

#[test]
fn check_has_one_row_per_operator_of_the_file() {
    let model = fixture("fmnist_two_exit/fmnist_two_exit.onnx");
    let run = tinycc(&["check", &model, "--target", "ncs", "--report", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let check: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let rows = check["operators"].as_array().expect("rows");
    // The reader puts transposes round a Conv; its row is the Conv's, with the Conv's result.
    let numbers: Vec<u64> = rows.iter().filter_map(|r| r["index"].as_u64()).collect();
    assert!(numbers.len() == rows.len() && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let conv = rows.iter().find(|r| r["operator"] == "Conv").expect("a Conv");
    assert_eq!(conv["output"], "float32[1x16x28x28]");
}

#[test]
fn bad_files_end_with_a_message() {
    let dir = fixture("bad");
    let (_tmp, _path, out) = out();
    let mut seen = 0;
    for name in files(Path::new(&dir)).iter().filter(|n| n.ends_with(".tflite")) {
        let model = format!("{dir}/{name}");
        for command in [&["compile", &model, "--out", &out][..], &["inspect", &model]] {
            let run = tinycc(command);
            let fine = run.code == 1 && run.stderr.starts_with("error[TCC")
                || run.code == 0 && run.stderr.is_empty();
            assert!(fine, "{command:?}: {} {}", run.code, run.stderr);
        }
        seen += 1;
    }
    assert!(seen > 70, "{seen} files");
    assert_eq!(tinycc(&["inspect", &fixture("bad/text_file.tflite")]).code, 1);
}

#[test]
fn inspect_describes_models() {
    let run = tinycc(&["inspect", &fixture("mnist_cnn/mnist_cnn_int8.tflite")]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("CONV_2D") && run.stdout.contains("zero -128"), "{}", run.stdout);
    let run = tinycc(&["inspect", &fixture("sine/sine_int8.tflite"), "--report", "json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(json["macs"], 288);
    assert_eq!(json["compiles"]["c"], true);
    assert_eq!(json["operators"][1]["support"]["c"], "native");
    assert_eq!(json["operators"][1]["output"]["shape"], serde_json::json!([1, 16]));
    assert_eq!(json["format"], "TFLite");
}

#[test]
fn onnx_models_are_inspected_and_compiled() {
    let model = fixture("mnist_cnn/mnist_cnn.onnx");
    let run = tinycc(&["inspect", &model]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for says in
        ["(ONNX opset 17, ", "tf2onnx 1.17.0", "Conv", "float32[1x28x28x1]", "target rust: yes"]
    {
        assert!(run.stdout.contains(says), "no {says} in:\n{}", run.stdout);
    }
    let run = tinycc(&["inspect", &model, "--report", "json"]);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(json["macs"], 307_648);
    let (_dir, path, out) = out();
    let run = tinycc(&["compile", &model, "--out", &out]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(path.join("mnist_cnn.c").exists());
}

#[test]
fn verify_compares_with_expectations_and_the_evaluator() {
    let model = fixture("sine/sine_int8.tflite");
    let (x, y) = (fixture("sine/sine_int8.in0.npy"), fixture("sine/sine_int8.out0.npy"));
    let run = tinycc(&["verify", &model, "--inputs", &x, "--expect", &y]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("exact") && run.stdout.contains("256 input sets"));
    // The inputs as expectation: same shape and type, wrong values.
    let run = tinycc(&["verify", &model, "--inputs", &x, "--expect", &x]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("DIFFERS") && run.stdout.contains("FAILED"), "{}", run.stdout);
    let run = tinycc(&["verify", &model, "--layers", "--samples", "3", "--report", "json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
    let layers: Vec<&str> = json["outputs"]
        .as_array()
        .expect("list")
        .iter()
        .filter_map(|o| o["layer"].as_str())
        .collect();
    assert_eq!(layers, ["0 FULLY_CONNECTED", "1 FULLY_CONNECTED", "2 FULLY_CONNECTED"]);
    let run = tinycc(&["verify", &model, "--inputs", &x, &y]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("2 input arrays given, the model has 1"), "{}", run.stderr);
}

#[test]
fn verify_runs_table_and_register_tile_kernels() {
    for (model, core) in [
        ("ops/LOGISTIC/int8_all_values_1.tflite", "generic"),
        ("ops/CONV_2D/int8_same.tflite", "cortex-m4"),
        ("ops/RESHAPE/int8_to_scalar.tflite", "generic"),
        ("sine/sine_float.tflite", "generic"),
    ] {
        let run = tinycc(&["verify", &fixture(model), "--core", core, "--samples", "5"]);
        assert_eq!(run.code, 0, "{model}\n{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn intermediate_forms() {
    let model = fixture("ops/LOGISTIC/int8_all_values_1.tflite");
    let ir = |after: &str| tinycc(&["compile", &model, "--emit", "ir", "--after", after]);
    assert!(ir("read").stdout.contains("= Logistic(%0)"), "{}", ir("read").stdout);
    assert!(ir("tabulate").stdout.contains("= Table(%0)"));
    let run = ir("no-such-pass");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("TCC0601") && run.stderr.contains("tabulate"), "{}", run.stderr);
    let run = tinycc(&["compile", &model, "--emit", "kir"]);
    assert!(run.stdout.contains("kernel layer00_table(in x: i8["), "{}", run.stdout);
    let run = tinycc(&["compile", &model, "--emit", "c", "--name", "demo"]);
    assert!(run.stdout.contains("demo_invoke") && run.stdout.contains("demo.h"), "{}", run.stdout);
    let run = tinycc(&["compile", &model, "--emit", "rust", "--target", "rust"]);
    assert!(run.stdout.contains("pub fn invoke("), "{}{}", run.stdout, run.stderr);
    let run = tinycc(&["compile", &model, "--emit", "rust"]);
    assert!(run.stderr.contains("--emit rust needs --target rust"), "{}", run.stderr);
    let run = tinycc(&["compile", &model, "--emit", "c", "--after", "tabulate"]);
    assert_eq!(run.code, 1);
}

#[test]
fn wrong_options() {
    let model = fixture("sine/sine_int8.tflite");
    let (dir, _path, out) = out();
    let cases: [(&[&str], i32, &str); 18] = [
        (&["--max-arena", "32Q"], 2, "not a size"),
        (&["--core", "z80"], 2, "cortex-m4"),
        (&["--report", "json", "--emit", "c"], 2, "cannot be used"),
        (&["--after", "tabulate"], 2, "--emit"),
        (&["--name", "1x"], 1, "TCC0601"),
        (&["--name", "math"], 1, "standard header"),
        (&["--target", "cobol"], 1, "the targets are: c"),
        (&["--crate"], 1, "--crate does not apply to target c"),
        (&["--runtime", "crate"], 1, "--target rust"),
        (&["--config", "no-such.toml"], 1, "cannot read no-such.toml"),
        (&["--example", "toaster"], 1, "qemu-mps2-an386"),
        (&["--input-shape", "nope=1x1"], 1, "the inputs are: x"),
        (&["--input-shape", "x=1x1", "--input-shape", "x=1x1"], 1, "twice"),
        (&["--input-value", "x=one"], 2, "axes=0,2"),
        (&["--input-value", "nope=1"], 1, "\"nope\", which is not an input"),
        (&["--nms-rows", "0"], 2, "\"0\" is not a number of rows, at least 1"),
        (&["--nms-rows", "9"], 1, "no NonMaxSuppression is computed"),
        (&["--input-value", "x=1,2"], 1, "does not fit the input's shape 1x1"),
    ];
    for (extra, code, says) in cases {
        let run = tinycc(&[&["compile", &model, "--out", &out], extra].concat());
        assert_eq!(run.code, code, "{extra:?}: {}", run.stderr);
        assert!(run.stderr.contains(says), "{extra:?}: {}", run.stderr);
    }
    std::fs::write(dir.path().join("out"), "a file").expect("writes");
    let run = tinycc(&["compile", &model, "--out", &out]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("not a directory"), "{}", run.stderr);
    let run = tinycc(&["compile", "no-such-file.tflite"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("cannot read no-such-file.tflite"), "{}", run.stderr);
    assert_eq!(tinycc(&[]).code, 2);
}

#[test]
fn lists_and_help() {
    assert!(tinycc(&["passes"]).stdout.contains("fold-constants"));
    assert!(tinycc(&["targets"]).stdout.contains("--example host"));
    assert!(tinycc(&["ops"]).stdout.contains("CONV_2D"));
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../SUPPORTED-OPS.md");
    let document = std::fs::read_to_string(document).expect("SUPPORTED-OPS.md");
    assert_eq!(tinycc(&["ops", "--markdown"]).stdout, document);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(tinycc(&["completions", shell]).stdout.contains("compile"), "{shell}");
    }
    for command in ["compile", "inspect", "verify", "passes", "targets", "ops", "completions"] {
        let run = tinycc(&[command, "--help"]);
        assert!(run.code == 0 && run.stdout.contains("Examples:"), "{command}");
    }
}

#[test]
fn a_file_too_large_for_a_model_is_not_read() {
    let (dir, _path, out) = out();
    let model = dir.path().join("huge.tflite");
    let file = std::fs::File::create(&model).expect("created");
    file.set_len(3 << 30).expect("sparse");
    let run = tinycc(&["compile", model.to_str().expect("UTF-8"), "--out", &out]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("3221225472 bytes, a model has at most"), "{}", run.stderr);
}

#[test]
fn options_come_from_a_file_and_the_command_line_wins() {
    let (dir, path, out) = out();
    let model = fixture("sine/sine_int8.tflite");
    let config = dir.path().join("tinycc.toml");
    let config = config.to_str().expect("UTF-8");
    let text = "name = \"fromfile\"\ncore = \"cortex-m4\"\nmax-arena = \"31\"\n\
                example = [\"host\"]\ninput-shape = [\"x=1x1\"]\n";
    std::fs::write(config, text).expect("writes");
    let base = ["compile", &model, "--out", &out, "--config", config];
    let run = tinycc(&base);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("--max-arena 31"), "{}", run.stderr);
    let given = ["--max-arena", "1K", "--core", "generic", "--report", "json"];
    let run = tinycc(&[&base[..], &given].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: tinycc::Report = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!((report.name.as_str(), report.core.as_str()), ("fromfile", "generic"));
    assert_eq!(files(&path), ["example", "fromfile.c", "fromfile.h", "fromfile.json"]);
    std::fs::write(config, "max-aren = \"1K\"\n").expect("writes");
    let run = tinycc(&base);
    assert_eq!(run.code, 1);
    let says = run.stderr.contains("tinycc.toml") && run.stderr.contains("`max-arena`");
    assert!(says && run.stderr.contains("TCC0601"), "{}", run.stderr);
}
