//! Every ONNX model of the zoo: what tinycc reads is compiled as C and as Rust and equals its
//! golden within the manifest's tolerance; the rest is refused with a message. The outcome of each
//! model is a committed table, so that nothing is gained or lost unnoticed.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use onnx_protobuf::NodeProto;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use tinycc_core::DType;
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::format::{self, ReadOptions};
use tinycc_core::lower::Core;
use tinycc_tests::build::{self, Built};
use tinycc_tests::cases::root;
use tinycc_tests::rust_batch::{self, CHECKED, Member, Mode};
use tinycc_tests::zoo::{self, Port, Record};
use tinycc_tests::{onnx_make, onnx_twin};

/// The shapes of inputs that the file leaves open, as a user would give them.
fn input_shapes(r: &Record) -> BTreeMap<String, Vec<usize>> {
    let open = r.inputs.iter().filter(|p| p.declared_shape.is_some());
    open.map(|p| (p.name.clone(), p.shape.clone())).collect()
}

fn emit(zoo: &Path, r: &Record, target: &str, core: Core) -> Result<Built, Diagnostics> {
    let bytes = build::file(&zoo.join(&r.path));
    let options = ReadOptions {
        file: r.path.clone(),
        input_shapes: input_shapes(r),
        ..ReadOptions::default()
    };
    build::emit_as(target, format::read(&bytes, &options)?, &r.path, "model", core)
}

/// Ports whose golden file holds another type than the compiled model's, for example float16.
fn other_types(r: &Record, built: &Built) -> Option<String> {
    let module = &built.emitted.module;
    let pairs = |ports: &[Port], types: Vec<DType>| -> Option<String> {
        if ports.len() != types.len() {
            return Some(format!("{} ports instead of {}", types.len(), ports.len()));
        }
        let mut pairs = ports.iter().zip(types);
        pairs.find(|(p, t)| p.dtype != t.name()).map(|(p, t)| {
            format!("the golden of \"{}\" is {}, compiled {}", p.name, p.dtype, t.name())
        })
    };
    pairs(&r.inputs, module.inputs.iter().map(|p| p.ty.dtype).collect())
        .or_else(|| pairs(&r.outputs, module.outputs.iter().map(|p| p.ty.dtype).collect()))
}

/// Runs the model in both languages and for both cores against its golden.
fn agrees(zoo: &Path, r: &Record, c: &Built) -> Result<(), String> {
    if let Some(difference) = other_types(r, c) {
        return Err(difference);
    }
    for core in [Core::Generic, Core::CortexM4] {
        let c = emit(zoo, r, "c", core).map_err(|e| e.to_string())?;
        let module = &c.emitted.module;
        let stdin = zoo::inputs(zoo, r, module);
        let got = build::run(&mut Command::new(c.host("gcc", &["-O1"])?), &stdin)?;
        zoo::compare(zoo, r, module, &got).map_err(|e| format!("C, {core:?}: {e}"))?;
    }
    let rust = emit(zoo, r, "rust", Core::Generic).map_err(|e| e.to_string())?;
    let module = &rust.emitted.module;
    let member = Member::new(&rust.name, module, zoo::inputs(zoo, r, module));
    let mode = Mode { edition: "2024", flags: CHECKED };
    let got = rust_batch::run(rust.folder.path(), &[member], mode)?.remove(0)?;
    zoo::compare(zoo, r, module, &got).map_err(|e| format!("Rust: {e}"))?;
    Ok(())
}

/// `ok`, or `refused:` and the first message.
fn outcome(zoo: &Path, r: &Record) -> Result<String, String> {
    let built = catch_unwind(AssertUnwindSafe(|| emit(zoo, r, "c", Core::Generic)));
    match built.map_err(|_| "panic".to_string())? {
        Err(diagnostics) => {
            let first = diagnostics.0.first().ok_or("refused without a message")?;
            let text = first.to_string();
            let line = text.lines().next().unwrap_or_default();
            let more = diagnostics.0.len() - 1;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            let line = line.replace(&format!(" {}:", r.path), "");
            Ok(format!("refused: {}{more}", line.trim_start_matches("error")))
        }
        Ok(_) if r.kind == "expect-reject" => Err("compiles, but must be refused".into()),
        Ok(built) => agrees(zoo, r, &built).map(|()| "ok".into()),
    }
}

fn outcomes(zoo: &Path, records: &[Record]) -> BTreeMap<String, Result<String, String>> {
    let queue = Mutex::new(records.iter());
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(r) = queue.lock().expect("queue").next() else { return };
                    let result = outcome(zoo, r);
                    results.lock().expect("results").insert(r.path.clone(), result);
                }
            });
        }
    });
    results.into_inner().expect("results")
}

#[test]
fn models_equal_their_goldens_or_are_refused() {
    let Some(zoo) = zoo::require() else { return };
    if !build::tool("rustc") {
        return;
    }
    let records = zoo::records(&zoo, "onnx");
    let results = outcomes(&zoo, &records);
    let (mut table, mut failures) = (String::new(), String::new());
    for kind in ["network", "single-op", "expect-reject"] {
        let of_kind: Vec<&Record> = records.iter().filter(|r| r.kind == kind).collect();
        let is_ok = |r: &&&Record| results[&r.path].as_deref() == Ok("ok");
        let good = of_kind.iter().filter(is_ok).count();
        writeln!(table, "{kind}: {good} of {} compile and agree", of_kind.len()).expect("string");
        for r in of_kind {
            match &results[&r.path] {
                Ok(row) => writeln!(table, "  {}: {row}", r.path).expect("string"),
                Err(e) => writeln!(failures, "{}: {e}", r.path).expect("string"),
            }
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "failures:\n{failures}");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("onnx_zoo", table);
    });
}

/// Of dequantized weights nothing is left but data of their layer, of an Identity nothing at all; only
/// what no output depends on is unused.
#[test]
fn inspect_tells_computed_operators_from_unused_ones() {
    let twin = build::file(&root().join("fixtures/sine/sine_int8.tflite"));
    let graph = format::read(&twin, &ReadOptions::default()).expect("reads");
    let mut model = onnx_twin::qdq(&graph);
    let g = model.graph.as_mut().expect("a graph");
    let y = g.output[0].name.clone();
    let dequantized = g.node.iter().filter(|n| n.op_type == "DequantizeLinear");
    let reads_weights = |n: &&NodeProto| g.initializer.iter().any(|t| t.name == n.input[0]);
    let weights = dequantized.filter(reads_weights).count();
    assert!(weights > 3, "{weights}");
    g.node.push(onnx_make::node("Identity", &[&y], &["same"]));
    g.node.push(onnx_make::node("Neg", &[&y], &["nobody reads it"]));
    g.output[0].name = "same".into();
    let bytes = onnx_make::bytes(&model);
    let compiler = tinycc_driver::Compiler::new(&bytes, tinycc_driver::Options::default());
    let inspection = tinycc_driver::inspect::inspect(&compiler.file("m.onnx")).expect("reads");
    let of = |answer: &str| -> Vec<&str> {
        let ops = inspection.operators.iter().filter(|op| op.support["c"] == answer);
        ops.map(|op| op.operator.as_str()).collect()
    };
    assert_eq!(of("unused"), ["Neg"]);
    let computed = of("computed");
    assert_eq!(computed.iter().filter(|op| **op == "DequantizeLinear").count(), weights);
    assert!(computed.contains(&"Identity"), "{computed:?}");
    assert!(inspection.operators.iter().all(|op| op.macs.is_some()));
}
