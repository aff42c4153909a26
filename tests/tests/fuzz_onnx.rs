//! Damaged ONNX models through the whole compiler, as `fuzz_reader` does for TFLite.
//!
//! `TINYCC_FUZZ=200000 cargo test --release -p tinycc-tests --test fuzz_onnx` is the long run;
//! `TINYCC_FUZZ_FROM=n` starts at mutation n, to repeat one.

use peak_alloc::PeakAlloc;
use tinycc_tests::build::file;
use tinycc_tests::cases::root;
use tinycc_tests::fuzz;
use tinycc_tests::onnx_make::{bytes, cnn, control_flow, movement, recurrent};
use tinycc_tests::onnx_mutate::{activations, mutate};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Models to damage: made ones of several opsets, and the trained ones.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for opset in [9, 13, 17, 27] {
        seeds.push((format!("cnn opset {opset}"), bytes(&cnn(opset))));
        seeds.push((format!("movement opset {opset}"), bytes(&movement(opset))));
        seeds.push((format!("recurrent opset {opset}"), bytes(&recurrent(opset))));
        seeds.push((format!("activations opset {opset}"), bytes(&activations(opset))));
        seeds.push((format!("control flow opset {opset}"), bytes(&control_flow(opset))));
    }
    let trained = root().join("fixtures/fmnist_two_exit/fmnist_two_exit.onnx");
    seeds.push(("fmnist_two_exit".into(), file(&trained)));
    seeds
}

/// Tables, folded constants and text, whatever the file.
const ALWAYS: usize = 16 << 20;

#[test]
fn damaged_models_are_refused_or_compiled() {
    fuzz::run(&MEMORY, ALWAYS, &seeds(), mutate);
}
