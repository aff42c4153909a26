//! Everything emitted for a few tiny models, as reviewable snapshots that the real compilers accept,
//! and that emission depends on nothing but the model.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tinycc_core::format;
use tinycc_core::graph::text;
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_driver::{Compiler, Options};
use tinycc_targets::{EmitOptions, Runtime};
use tinycc_tests::build::{self, STRICT, file};
use tinycc_tests::cases::root;
use tinycc_tests::rust_batch::{self, CHECKED, Mode};

/// Snapshot name, model, processor.
const MODELS: &[(&str, &str, Core)] = &[
    ("add", "ops/ADD/int8_same_shape.tflite", Core::Generic),
    ("conv2d", "ops/CONV_2D/int8_same.tflite", Core::Generic),
    ("conv2d_f32", "ops/CONV_2D/f32_1x1.tflite", Core::Generic),
    ("conv2d_tile", "ops/CONV_2D/int8_1x1_odd_channels.tflite", Core::CortexM4),
    ("depthwise", "ops/DEPTHWISE_CONV_2D/int8_same_s2_even.tflite", Core::Generic),
    ("logistic", "ops/LOGISTIC/int8_odd_shape.tflite", Core::Generic),
    ("names", "ops/GRAPH/int8_names_not_identifiers.tflite", Core::Generic),
    ("softmax", "ops/SOFTMAX/int8_scale_4.tflite", Core::Generic),
    ("sine", "sine/sine_int8.tflite", Core::Generic),
    ("two_types", "ops/GRAPH/mixed_outputs_of_two_types.tflite", Core::Generic),
];

/// The models whose Rust carries its run-time functions; the others name the crate, which keeps
/// them short.
const EMBEDDED: &[&str] = &["conv2d_f32", "logistic"];

/// File contents by extension, the graph before and after the passes, and the report.
fn artifacts(model: &str, file_name: &str, name: &str, core: Core) -> BTreeMap<String, String> {
    let bytes = file(&root().join("fixtures").join(model));
    let options = format::ReadOptions { file: file_name.into(), ..Default::default() };
    let mut graph = format::read(&bytes, &options).expect("reads");
    let mut all = BTreeMap::from([("read.ir".to_string(), text::print(&graph))]);
    pass::run_all(&mut graph, pass::LEGALISE).expect("passes");
    all.insert("legal.ir".into(), text::print(&graph));
    let legal = lower::legalise(graph, core).expect("legal");
    let source = file_name.rsplit('/').next().unwrap_or(file_name);
    let runtime = if EMBEDDED.contains(&name) { Runtime::Embedded } else { Runtime::Crate };
    let options = EmitOptions { core, ..rust_batch::options(name, source, runtime) };
    for target in ["c", "rust"] {
        let target = tinycc_targets::target(target).expect("a target");
        for (path, bytes) in target.emit(&legal, &options).expect("emits").artifacts {
            let extension = path.rsplit('.').next().unwrap_or_default().to_string();
            let text = String::from_utf8(bytes).expect("text");
            // Both targets write the same manifest.
            if let Some(other) = all.insert(extension, text.clone()) {
                assert_eq!(text, other, "{path}");
            }
        }
    }
    let name = Some(name.to_string());
    let core = if core == Core::Generic { "generic" } else { "cortex-m4" };
    let core = serde_json::from_value(core.into()).expect("a core");
    let compiler = Compiler::new(&bytes, Options { name, core, ..Options::default() });
    let output = compiler.file(file_name).compile().expect("compiles");
    all.insert("report".into(), output.report.to_text());
    all
}

/// The artifacts of a snapshot's model under its own file name.
fn snapshot(name: &str, model: &str, core: Core) -> BTreeMap<String, String> {
    artifacts(model, model.rsplit('/').next().unwrap_or(model), name, core)
}

/// Writes the files of one extension below `folder`.
fn write(folder: &Path, extension: &str) {
    for (name, model, core) in MODELS {
        let text = &snapshot(name, model, *core)[extension];
        std::fs::write(folder.join(format!("{name}.{extension}")), text).expect("writes");
    }
}

#[test]
fn emitted_files_are_as_reviewed() {
    for (name, model, core) in MODELS {
        for (extension, text) in snapshot(name, model, *core) {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}.{extension}"), text);
            });
        }
    }
}

#[test]
fn c_compilers_have_nothing_to_say() {
    let folder = TempDir::new().expect("temporary folder");
    write(folder.path(), "c");
    write(folder.path(), "h");
    for compiler in ["gcc", "clang"] {
        if !build::tool(compiler) {
            continue;
        }
        for (name, ..) in MODELS {
            let mut command = Command::new(compiler);
            command.args(STRICT).args(["-O2", "-c", &format!("{name}.c"), "-o", "out.o"]);
            let result = build::run(command.current_dir(folder.path()), &[]);
            result.unwrap_or_else(|e| panic!("{e}"));
        }
    }
}

#[test]
fn rustc_has_nothing_to_say() {
    if !build::tool("rustc") {
        return;
    }
    let folder = TempDir::new().expect("temporary folder");
    write(folder.path(), "rs");
    let names: Vec<&str> = MODELS.iter().map(|m| m.0).collect();
    rust_batch::runtime(folder.path(), CHECKED).expect("the run-time crate");
    for edition in ["2021", "2024"] {
        let mode = Mode { edition, flags: CHECKED };
        rust_batch::library(folder.path(), &names, mode).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn clippy_has_nothing_to_say() {
    if !build::tool("cargo-clippy") {
        return;
    }
    let folder = TempDir::new().expect("temporary folder");
    let source = folder.path().join("src");
    std::fs::create_dir(&source).expect("folder");
    write(&source, "rs");
    let names: Vec<&str> = MODELS.iter().map(|m| m.0).collect();
    rust_batch::clippy(folder.path(), &names).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn emission_depends_on_the_model_only() {
    for (name, model, core) in MODELS {
        let first = artifacts(model, "model.tflite", name, *core);
        let again = artifacts(model, "model.tflite", name, *core);
        let elsewhere = artifacts(model, "some/other/folder/model.tflite", name, *core);
        assert_eq!(first, again, "{model}: two runs differ");
        assert_eq!(first, elsewhere, "{model}: the output depends on the path");
    }
}
