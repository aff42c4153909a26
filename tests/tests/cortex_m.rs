//! The headline models as firmware on an emulated Cortex-M4: bit-exact, stack within the estimate,
//! executed instructions and sizes as recorded. Instructions are not cycles.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::fmt::Write;
use std::process::Command;
use tinycc_core::format;
use tinycc_core::graph::Value;
use tinycc_core::lower::Core;
use tinycc_core::op::{Constant, Input, Op};
use tinycc_core::{DType, Graph, Origin};
use tinycc_tests::build::{self, Built, Firmware};
use tinycc_tests::headline::{BOUNDED, MODELS};
use tinycc_tests::zoo;

/// Input sets per model; QEMU counts the slowest.
const SETS: usize = 3;
/// Bound of the portable kernels on the bounded models.
const PORTABLE_PER_MAC: f64 = 6.0;
/// Bound of the register tile on a 64 -> 64 convolution of KWS.
const TILE_PER_MAC: f64 = 1.4;

fn tools() -> bool {
    build::tool("arm-none-eabi-gcc") && build::tool("qemu-system-arm")
}

fn row(built: &Built, core: Core, run: &Firmware) -> String {
    let macs = built.macs();
    let per_mac = run.instructions() as f64 / macs as f64;
    let weights: usize = built.emitted.module.layers.iter().map(|l| l.weights_bytes).sum();
    format!(
        "{:<8} {:<9} macs {macs:>9}  instructions {:>9}  per MAC {per_mac:.3}  arena {:>6}  \
         stack {:>4} (estimate {})  flash {:>6} (estimate {})",
        built.name,
        format!("{core:?}"),
        run.instructions(),
        built.emitted.module.arena_bytes,
        run.stack,
        built.emitted.stack_bytes,
        built.flash(),
        weights + built.emitted.code_bytes
    )
}

#[test]
fn firmware_equals_tflite_micro() {
    let Some(zoo) = zoo::require() else { return };
    if !tools() {
        return;
    }
    let mut table = String::new();
    for (path, name) in MODELS {
        let model = zoo.join(path);
        let Some((inputs, want)) = build::tflm(&model, SETS, 7) else { return };
        for core in [Core::Generic, Core::CortexM4] {
            let built = build::emit(&build::file(&model), path, name, core).expect("compiles");
            let run = built.firmware(&inputs).expect("runs");
            assert!(run.output == want, "{name} {core:?}: outputs differ from TFLM");
            let estimate = built.emitted.stack_bytes as u64;
            assert!(run.stack <= estimate, "{name}: stack {} > estimate {estimate}", run.stack);
            let per_mac = run.instructions() as f64 / built.macs() as f64;
            if BOUNDED.contains(name) {
                assert!(per_mac <= PORTABLE_PER_MAC, "{name} {core:?}: {per_mac} per MAC");
            }
            writeln!(table, "{}", row(&built, core, &run)).expect("string");
        }
    }
    println!("{table}");
    insta::assert_snapshot!("cortex_m4", table);
}

/// The n-th 1x1 convolution from 64 to 64 channels as a graph of its own.
fn pointwise_64(graph: &Graph) -> Vec<Graph> {
    let mut found = Vec::new();
    for id in graph.schedule() {
        let node = graph.get(id).expect("scheduled");
        let signature = graph.signature(id);
        let is_wanted =
            matches!(node.op, Op::Conv2d(_)) && signature.operands[1].shape().0 == [64, 1, 1, 64];
        if !is_wanted {
            continue;
        }
        let mut alone = Graph::new();
        let operands: Vec<_> = graph
            .operands(id)
            .iter()
            .map(|&v| {
                let value: Value = graph.value(v).expect("operand").clone();
                let defined_by = &graph.get(v.node).expect("operand").op;
                let op: Op = if let Op::Constant(c) = defined_by {
                    Constant { tensor: c.tensor.clone() }.into()
                } else {
                    Input { ty: value.ty.clone() }.into()
                };
                alone.add(op, vec![value], Origin::default()).result(0)
            })
            .collect();
        let results = node.results.clone();
        let conv = alone.add_with(node.op.clone(), &operands, results, node.origin.clone());
        alone.set_outputs(vec![conv.result(0)]);
        found.push(alone);
    }
    found
}

#[test]
fn register_tile_of_kws() {
    let Some(zoo) = zoo::require() else { return };
    if !tools() {
        return;
    }
    let bytes = build::file(&zoo.join("mlperf_tiny/kws_dscnn_int8.tflite"));
    let graph = format::read(&bytes, &Default::default()).expect("reads");
    let layers = pointwise_64(&graph);
    assert_eq!(layers.len(), 4, "KWS has four such layers");
    let mut table = String::new();
    for (i, graph) in layers.into_iter().enumerate() {
        let input = graph.value(graph.inputs()[0].result(0)).expect("input").ty.clone();
        assert_eq!(input.dtype, DType::I8);
        let sets: Vec<u8> = (0..2 * input.bytes() as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let portable =
            build::emit_graph(graph.clone(), "kws", "layer", Core::Generic).expect("compiles");
        let program = portable.host("cc", &["-O2"]).expect("builds");
        let want = build::run(&mut Command::new(program), &sets).expect("runs");
        let tiled = build::emit_graph(graph, "kws", "layer", Core::CortexM4).expect("compiles");
        let run = tiled.firmware(&sets).expect("runs");
        assert!(run.output == want, "layer {i} differs from the portable kernel");
        let per_mac = run.instructions() as f64 / tiled.macs() as f64;
        assert!(per_mac <= TILE_PER_MAC, "layer {i}: {per_mac} instructions per MAC");
        writeln!(table, "layer {i}: {} instructions, {per_mac:.3} per MAC", run.instructions())
            .expect("string");
    }
    println!("{table}");
    insta::assert_snapshot!("kws_register_tile", table);
}
