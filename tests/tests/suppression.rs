//! NonMaxSuppression with a given number of rows, in a model as detectors end: emitted as C and as
//! Rust, both compiled with all checks, they give what the evaluator gives.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use onnx_protobuf::ModelProto;
use std::path::Path;
use tempfile::TempDir;
use tinycc_core::format::{self, ReadOptions};
use tinycc_core::kir::Module;
use tinycc_core::kir::bounds::Proof;
use tinycc_core::lower::Core;
use tinycc_core::{Graph, Shape, Tensor, TensorData, evaluate};
use tinycc_tests::build;
use tinycc_tests::mutate::Random;
use tinycc_tests::rust_batch::{self, CHECKED, Mode};
use tinycc_tests::{batch, onnx_make};

/// Input sets per model.
const SETS: usize = 4;

/// A model, and the rows of its result.
struct Case {
    extents: [i64; 3],
    most: i64,
    by_centre: bool,
    rows: usize,
}

fn cases() -> Vec<Case> {
    let case = |extents, most, by_centre, rows| Case { extents, most, by_centre, rows };
    vec![
        case([1, 1, 1], 1, false, 1),
        case([1, 1, 2], 1, false, 2),
        case([1, 1, 2], 2, true, 1),
        case([2, 1, 1], 1, true, 3),
        case([1, 2, 9], 3, false, 6),
        case([2, 3, 17], 40, false, 7),
        case([1, 1, 30], 5, true, 12),
        case([2, 2, 8], 2, true, 3),
    ]
}

fn read(case: &Case, model: &ModelProto) -> Graph {
    let options = ReadOptions { nms_rows: Some(case.rows), ..ReadOptions::default() };
    format::read(&onnx_make::bytes(model), &options).unwrap_or_else(|e| panic!("{e}"))
}

fn alone(case: &Case) -> ModelProto {
    onnx_make::suppression(case.extents, case.most, case.by_centre)
}

/// Suppression, and the boxes of the first batch that its rows name: -1 is the last one.
fn detector(case: &Case) -> ModelProto {
    let mut model = alone(case);
    let graph = model.graph.as_mut().expect("a graph");
    let node = |op, inputs: &[&str], outputs: &[&str], axis| {
        onnx_make::with_int(onnx_make::node(op, inputs, outputs), "axis", axis)
    };
    graph.initializer.push(onnx_make::integers("column", &[2]));
    graph.initializer.push(onnx_make::integers("batch", &[0]));
    graph.initializer.push(onnx_make::integers("flat", &[-1]));
    graph.node.push(node("Gather", &["y", "column"], &["numbers"], 1));
    graph.node.push(onnx_make::node("Reshape", &["numbers", "flat"], &["list"]));
    graph.node.push(node("Gather", &["boxes", "batch"], &["first"], 0));
    graph.node.push(node("Gather", &["first", "list"], &["picked"], 1));
    graph.output.push(onnx_make::port("picked", onnx_make::FLOAT, &[1, -1, 4]));
    model
}

/// Eighths below `of / 8`.
fn reals(shape: &Shape, of: usize, random: &mut Random) -> Tensor {
    let data = (0..shape.elements()).map(|_| random.below(of) as f32 / 8.0).collect();
    Tensor::new(shape.clone(), TensorData::F32(data)).expect("fits")
}

/// Boxes that overlap often, and scores of which some are equal, as input sets.
fn inputs(graph: &Graph, random: &mut Random) -> Vec<Vec<Tensor>> {
    let shape = |i: usize| &graph.value(graph.inputs()[i].result(0)).expect("input").ty.shape;
    let set = |_| vec![reals(shape(0), 40, random), reals(shape(1), 9, random)];
    (0..SETS).map(set).collect()
}

fn bytes(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|t| t.data.to_le_bytes()).collect()
}

/// Emits a model for a target; its source files go to `folder`.
fn emit(target: &str, graph: &Graph, name: &str, folder: &Path) -> Module {
    let built = build::emit_as(target, graph.clone(), "boxes.onnx", name, Core::Generic);
    let emitted = built.unwrap_or_else(|e| panic!("{e}")).emitted;
    for (path, bytes) in emitted.artifacts.iter().filter(|(path, _)| !path.contains('/')) {
        std::fs::write(folder.join(path), bytes).expect("writes");
    }
    emitted.module
}

/// All cases in both languages, and what they should give.
#[derive(Default)]
struct Batch {
    c: Vec<batch::Member>,
    rust: Vec<rust_batch::Member>,
    want: Vec<Vec<u8>>,
    /// Rows of the results that are not needed, and that are.
    rows: [usize; 2],
}

impl Batch {
    fn add(&mut self, case: &Case, random: &mut Random, folder: &Path) {
        let (graph, number) = (read(case, &detector(case)), self.want.len());
        let sets = inputs(&graph, random);
        let mut want = Vec::new();
        for set in &sets {
            let outputs = evaluate::run(&graph, set).expect("evaluates");
            for row in outputs[0].to_i64().expect("integers").chunks(3) {
                self.rows[usize::from(row[0] >= 0)] += 1;
            }
            want.extend(bytes(&outputs));
        }
        self.want.push(want);
        let stdin: Vec<u8> = sets.iter().flat_map(|set| bytes(set)).collect();
        let name = format!("c{number}");
        let module = emit("c", &graph, &name, folder);
        assert!(module.kernels.iter().all(|k| Proof::of(k).complete()), "case {number}");
        let (inputs, outputs) = (module.inputs.len(), module.outputs.len());
        self.c.push(batch::Member { name, inputs, outputs, stdin: stdin.clone(), sets: SETS });
        let name = format!("r{number}");
        let module = emit("rust", &graph, &name, folder);
        self.rust.push(rust_batch::Member::new(&name, &module, stdin));
    }
}

#[test]
fn both_languages_give_what_the_evaluator_gives() {
    if !build::tool("gcc") || !build::tool("rustc") {
        return;
    }
    let folder = TempDir::new().expect("temporary folder");
    let (mut all, mut random) = (Batch::default(), Random::new(11));
    for case in cases() {
        all.add(&case, &mut random, folder.path());
    }
    assert!(all.rows.iter().all(|&n| n > 20), "rows not needed, and needed: {:?}", all.rows);
    let mode = Mode { edition: "2024", flags: CHECKED };
    let from_rust = rust_batch::run(folder.path(), &all.rust, mode);
    let from_rust = from_rust.unwrap_or_else(|e| panic!("{e}"));
    for (language, results) in [("C", batch::run(folder.path(), &all.c)), ("Rust", from_rust)] {
        assert_eq!(results.len(), all.want.len(), "{language}");
        for (number, (got, want)) in results.iter().zip(&all.want).enumerate() {
            assert_eq!(got.as_ref(), Ok(want), "{language}, case {number}");
        }
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
    let names: Vec<String> = (0..cases().len()).map(|number| format!("r{number}")).collect();
    for (case, name) in cases().iter().zip(&names) {
        emit("rust", &read(case, &alone(case)), name, &source);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rust_batch::clippy(folder.path(), &names).unwrap_or_else(|e| panic!("{e}"));
}
