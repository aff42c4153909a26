//! The trained networks of the fixtures as ONNX and as TFLite files: both give what tflite-micro
//! computed for the TFLite one. Needs no zoo. And the made models compile, so that damaging them
//! says something.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::process::Command;
use tinycc_core::lower::Core;
use tinycc_core::{Tensor, TensorType};
use tinycc_tests::build::{self, Built, file};
use tinycc_tests::cases::root;
use tinycc_tests::compare::{difference, split};
use tinycc_tests::onnx_make::{bytes, cnn, movement, recurrent};
use tinycc_tests::onnx_mutate::activations;

/// Tolerance between two float networks that differ in the order of summation only.
const RTOL: f64 = 1e-4;
const ATOL: f64 = 1e-5;

fn types(built: &Built) -> (Vec<TensorType>, Vec<TensorType>) {
    let module = &built.emitted.module;
    let list = |ports: &[tinycc_core::kir::Port]| ports.iter().map(|p| p.ty.clone()).collect();
    (list(&module.inputs), list(&module.outputs))
}

fn outputs(built: &Built, input: &[u8]) -> Vec<Vec<Tensor>> {
    let program = built.host("cc", &["-O1"]).expect("the C compiler accepts it");
    let out = build::run(&mut Command::new(program), input).expect("it runs");
    let (_, outputs) = types(built);
    let bytes: usize = outputs.iter().map(TensorType::bytes).sum();
    out.chunks(bytes).map(|set| split(set, &outputs)).collect()
}

#[test]
fn onnx_networks_equal_their_tflite_twins() {
    // The last is which output of the ONNX file each output of the TFLite file is: its converter
    // exchanged the two exits.
    let networks: [(&str, &str, &str, &[usize]); 2] = [
        ("mnist_cnn", "mnist_cnn.onnx", "mnist_cnn_float", &[0]),
        ("fmnist_two_exit", "fmnist_two_exit.onnx", "fmnist_two_exit_float", &[1, 0]),
    ];
    for (folder, onnx, tflite, order) in networks {
        let folder = root().join("fixtures").join(folder);
        let emit = |name: &str| {
            build::emit(&file(&folder.join(name)), name, "model", Core::Generic)
                .unwrap_or_else(|e| panic!("{e}"))
        };
        let (a, b) = (emit(onnx), emit(&format!("{tflite}.tflite")));
        assert_eq!(types(&a), types(&b), "{onnx}: inputs and outputs");
        let input = file(&folder.join(format!("{tflite}.in.bin")));
        let (got, twin) = (outputs(&a, &input), outputs(&b, &input));
        let (_, ports) = types(&a);
        let size: usize = ports.iter().map(TensorType::bytes).sum();
        let golden = file(&folder.join(format!("{tflite}.out.bin")));
        let golden: Vec<_> = golden.chunks(size).map(|set| split(set, &ports)).collect();
        assert!(!golden.is_empty() && got.len() == golden.len() && twin.len() == golden.len());
        for ((got, twin), want) in got.iter().zip(&twin).zip(&golden) {
            for (port, &other) in order.iter().enumerate() {
                let got = &got[other];
                assert_eq!(difference(got, &want[port], RTOL, ATOL), None, "{onnx}: golden");
                assert_eq!(difference(got, &twin[port], RTOL, ATOL), None, "{onnx}: twin");
            }
        }
    }
}

#[test]
fn made_models_compile() {
    let mut made = Vec::new();
    for opset in [7, 9, 13, 17, 24] {
        made.push((format!("cnn {opset}"), cnn(opset)));
        made.push((format!("activations {opset}"), activations(opset)));
        made.push((format!("recurrent {opset}"), recurrent(opset)));
    }
    for opset in [13, 17] {
        made.push((format!("movement {opset}"), movement(opset)));
    }
    for (name, model) in made {
        if let Err(e) = build::emit(&bytes(&model), &name, "model", Core::Generic) {
            panic!("{name}: {e}");
        }
    }
}
