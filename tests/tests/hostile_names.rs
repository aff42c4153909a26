//! Models, tensors and files with names that would end a comment or a string, are words of the
//! language, or equal what emitted code is called: the text must compile, in C and in Rust.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::process::Command;
use tempfile::TempDir;
use tinycc_core::Graph;
use tinycc_core::format::{self, openvino};
use tinycc_core::lower::Core;
use tinycc_core::pass;
use tinycc_driver::{Compiler, Options};
use tinycc_targets::{EmitOptions, Runtime};
use tinycc_tests::build::{self, STRICT, file};
use tinycc_tests::cases::root;
use tinycc_tests::rust_batch::{self, Mode};

/// Names that model files and tensors may have.
const NAMES: &[&str] = &[
    "",
    " ",
    "\"",
    "'",
    "\\",
    "\\n",
    "a\nfn f() {}",
    "a\r\n#error",
    "*/ int",
    "/* /*",
    "// //",
    "r#\"",
    "\"#",
    "{}",
    "{0} {name} {{",
    "}",
    "%s%n",
    "??/",
    "`code` ``",
    "[link](x) [`x`] <b>",
    "# Safety",
    "```",
    "\u{202e}right to left",
    "größe",
    "層/出力:0",
    "\u{1f980}",
    "\0nul",
    "comment_marker!(0);",
    "data_marker!(0)",
    "fn",
    "self",
    "Self",
    "crate",
    "super",
    "rt",
    "core",
    "Arena",
    "Input",
    "input",
    "output",
    "run",
    "invoke",
    "View",
    "Weights",
    "x",
    "int",
    "main",
    "_",
    "0",
    "  trailing \t ",
];

/// The text is at stake, not the machine code.
const TYPES: &[&str] = &["--emit=metadata"];

const MODELS: [&str; 3] = [
    "sine/sine_int8.tflite",
    "ops/GRAPH/mixed_outputs_of_two_types.tflite",
    "ops/CONV_2D/f32_1x1.tflite",
];

/// The graph with every tensor called `name`.
fn renamed(model: &str, name: &str) -> Graph {
    let file_name = format!("{name}.tflite");
    let options = format::ReadOptions { file: file_name, ..Default::default() };
    let mut graph = format::read(&file(&root().join("fixtures").join(model)), &options);
    let graph = graph.as_mut().expect("reads");
    for id in graph.nodes() {
        let node = graph.get_mut(id).expect("a node");
        node.origin.tensor = name.into();
        for value in &mut node.results {
            value.name = name.into();
        }
    }
    std::mem::take(graph)
}

#[test]
fn tensors_and_files() {
    if !build::tool("gcc") || !build::tool("rustc") {
        return;
    }
    let folder = TempDir::new().expect("temporary folder");
    let mut modules = Vec::new();
    let mut gcc = Command::new("gcc");
    gcc.args(STRICT).arg("-fsyntax-only").current_dir(folder.path());
    for (i, name) in NAMES.iter().enumerate() {
        for (m, model) in MODELS.into_iter().enumerate() {
            let source = format!("{name}.tflite");
            let module = format!("m{i}_{m}");
            let runtime = if m == 0 { Runtime::Embedded } else { Runtime::Crate };
            for target in tinycc_targets::TARGETS {
                let mut graph = renamed(model, name);
                pass::run_all(&mut graph, target.passes()).expect("passes");
                let legal = target.legalise(graph, Core::Generic).expect("legal");
                let options = EmitOptions {
                    examples: target.examples().iter().map(|e| e.0.to_string()).collect(),
                    ..rust_batch::options(&module, &source, runtime)
                };
                let emitted = target.emit(&legal, &options).expect("emits");
                if let Some(xml) = emitted.artifacts.get(&format!("{module}.xml")) {
                    let bin = &emitted.artifacts[&format!("{module}.bin")];
                    assert_eq!(openvino::validate::validate(xml, bin), Vec::<String>::new());
                }
                for (path, bytes) in emitted.artifacts {
                    if path.ends_with(".json") {
                        let manifest: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
                        manifest.unwrap_or_else(|e| panic!("{name:?}: manifest: {e}"));
                    }
                    let path = folder.path().join(path);
                    std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
                    std::fs::write(path, bytes).expect("writes");
                }
            }
            gcc.arg(format!("{module}.c"));
            // Of the example, what the name occurs in.
            let glue = folder.path().join("example/src/model.rs");
            let glue = String::from_utf8(file(&glue)).expect("text");
            assert_eq!(glue.matches("    Port {").count(), glue.matches("    // \"").count());
            let glue =
                glue.replace("//!", "//").replace("../../", "").replace("\nmod ", "\npub mod ");
            let path = folder.path().join(format!("glue_{module}.rs"));
            std::fs::write(path, glue).expect("writes");
            modules.push(module.clone());
            modules.push(format!("glue_{module}"));
        }
    }
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    rust_batch::runtime(folder.path(), &[]).expect("the run-time crate");
    let mode = Mode { edition: "2024", flags: TYPES };
    rust_batch::library(folder.path(), &modules, mode).unwrap_or_else(|e| panic!("{e}"));
    build::run(&mut gcc, &[]).unwrap_or_else(|e| panic!("{e}"));
}

/// Models that are called so by their file names.
#[test]
fn models() {
    if !build::tool("rustc") {
        return;
    }
    let bytes = file(&root().join("fixtures").join(MODELS[0]));
    let folder = TempDir::new().expect("temporary folder");
    let more = ["model", "example", "KWS", "PersonDetect", "std", "alloc", "stdint", "static"];
    let mut modules = Vec::new();
    for name in NAMES.iter().copied().chain(more) {
        for package in [false, true] {
            let options = Options { target: "rust".into(), package, ..Options::default() };
            let options = Options { examples: vec!["host".into()], ..options };
            let compiler = Compiler::new(&bytes, options).file(format!("{name}.tflite"));
            let output = compiler.compile().unwrap_or_else(|e| panic!("{name}: {e}"));
            let module = compiler.name().expect("a name");
            let text = &output.artifacts
                [&if package { "src/lib.rs".to_string() } else { format!("{module}.rs") }];
            let text = String::from_utf8(text.clone()).expect("text").replace("#![no_std]\n", "");
            std::fs::write(folder.path().join(format!("{module}.rs")), text).expect("writes");
            modules.push(module);
        }
    }
    modules.sort();
    modules.dedup();
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    rust_batch::runtime(folder.path(), &[]).expect("the run-time crate");
    let mode = Mode { edition: "2021", flags: TYPES };
    rust_batch::library(folder.path(), &modules, mode).unwrap_or_else(|e| panic!("{e}"));
}

/// Names given as an option are taken as they are, or refused where they cannot be.
#[test]
fn given_names() {
    let bytes = file(&root().join("fixtures").join(MODELS[0]));
    let compile = |target: &str, name: &str| {
        let options =
            Options { target: target.into(), name: Some(name.into()), ..Options::default() };
        Compiler::new(&bytes, options).compile().map(drop)
    };
    for name in ["fn", "self", "core", "std", "gen", "try", "example", "main"] {
        let message = compile("rust", name).expect_err(name).to_string();
        assert!(message.contains(&format!("--name \"{name}\"")), "{message}");
        assert!(compile("c", name).is_ok(), "{name}");
    }
    for name in ["kws", "KWS", "rt", "model", "Arena"] {
        assert!(compile("rust", name).is_ok(), "{name}");
    }
}

/// Names in messages: one line each, nothing that steers a terminal, nothing endless.
#[test]
fn messages() {
    use tinycc_tests::onnx_make::{bytes, node, single, with_int};
    let long = "long/".repeat(100_000);
    for name in NAMES.iter().copied().chain([long.as_str()]) {
        let flatten = with_int(node("Flatten", &["x"], &["y"]), "axis", 7);
        let mut model = single(17, flatten, &[1, 4], &[1, 4]);
        let graph = model.graph.as_mut().expect("a graph");
        let mut unknown = node(&format!("Un{name}"), &["x", name], &[name]);
        unknown.name = name.into();
        graph.node[0].name = name.into();
        graph.node.extend([unknown, node("Relu", &[&format!("no{name}")], &["z"])]);
        let options = format::ReadOptions { file: format!("{name}.onnx"), ..Default::default() };
        let problems = format::read(&bytes(&model), &options).expect_err("cannot be read");
        assert!(problems.0.len() >= 3, "{problems}");
        for problem in &problems.0 {
            let text = problem.to_string();
            assert_eq!(text.lines().count(), 1 + usize::from(!problem.help.is_empty()), "{text}");
            let steers = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!text.contains(steers), "{text:?}");
            let file = options.file.len();
            assert!(text.chars().count() < file + 3000, "{} characters", text.chars().count());
        }
    }
}
