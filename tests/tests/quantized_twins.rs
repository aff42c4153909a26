//! Networks quantized in ONNX's way against their TFLite twins on the emulated Cortex-M4: the same
//! layers, instructions, arena and flash within two per cent, outputs within one step. One file is
//! of the zoo; the others are made here from the twin's integers, since third-party models are not
//! copied.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::fmt::Write;
use std::path::Path;
use tinycc_core::format;
use tinycc_core::lower::Core;
use tinycc_tests::build::{self, Built};
use tinycc_tests::onnx_make::bytes;
use tinycc_tests::onnx_twin::qdq;
use tinycc_tests::zoo;

/// Input sets per network.
const SETS: usize = 3;
/// How far costs may be apart.
const TOLERANCE: f64 = 0.02;

fn pairs(zoo: &Path) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let made = |path: &str| {
        let graph = format::read(&build::file(&zoo.join(path)), &Default::default());
        bytes(&qdq(&graph.expect("the twin is read")))
    };
    let kws = build::file(&zoo.join("mlperf_tiny_onnx/kws_dscnn_int8_qdq_tf2onnx.onnx"));
    let resnet = "mlperf_tiny/ic_resnet8_int8.tflite";
    let ad = "mlperf_tiny/ad_toycar_int8.tflite";
    vec![
        ("kws", kws, "mlperf_tiny/kws_dscnn_int8.tflite"),
        ("resnet8", made(resnet), resnet),
        ("ad", made(ad), ad),
    ]
}

fn near(what: &str, onnx: u64, twin: u64) -> f64 {
    let ratio = onnx as f64 / twin as f64;
    // Fewer is no fault.
    assert!(ratio <= 1.0 + TOLERANCE, "{what}: {onnx} instead of {twin}");
    ratio
}

fn compare(name: &str, onnx: &Built, twin: &Built) -> String {
    let module = &twin.emitted.module;
    let bytes: usize = module.inputs.iter().map(|p| p.ty.bytes()).sum();
    let inputs: Vec<u8> =
        (0..(SETS * bytes) as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (a, b) = (onnx.firmware(&inputs).expect("runs"), twin.firmware(&inputs).expect("runs"));
    let apart: Vec<i32> = a
        .output
        .iter()
        .zip(&b.output)
        .map(|(a, b)| (i32::from(*a as i8) - i32::from(*b as i8)).abs())
        .collect();
    let most = apart.iter().max().copied().unwrap_or(0);
    let different = apart.iter().filter(|d| **d > 0).count();
    let arena = near("arena", onnx.emitted.module.arena_bytes as u64, module.arena_bytes as u64);
    let flash = near("flash", onnx.flash(), twin.flash());
    let time = near("instructions", a.instructions(), b.instructions());
    assert_eq!(a.output.len(), b.output.len());
    format!(
        "{name:<8} instructions {time:.3}  arena {arena:.3}  flash {flash:.3}  outputs {different} \
         of {} differ, by at most {most}",
        apart.len()
    )
}

#[test]
fn quantized_onnx_networks_cost_what_their_tflite_twins_do() {
    let Some(zoo) = zoo::require() else { return };
    if !build::tool("arm-none-eabi-gcc") || !build::tool("qemu-system-arm") {
        return;
    }
    let mut table = String::new();
    for (name, onnx, twin) in pairs(&zoo) {
        let emit = |bytes: &[u8], file: &str| {
            build::emit(bytes, file, "model", Core::CortexM4).unwrap_or_else(|e| panic!("{e}"))
        };
        let onnx = emit(&onnx, "twin.onnx");
        let twin = emit(&build::file(&zoo.join(twin)), twin);
        writeln!(table, "{}", compare(name, &onnx, &twin)).expect("string");
    }
    println!("{table}");
    insta::assert_snapshot!("quantized_twins", table);
}
