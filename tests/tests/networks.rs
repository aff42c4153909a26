//! The networks in `fixtures/` as host programs, against what TensorFlow Lite Micro computed:
//! the matrix of fixture and core that needs nothing but a C compiler.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::process::Command;
use tinycc_core::TensorType;
use tinycc_core::lower::Core;
use tinycc_tests::compare::{difference, split};
use tinycc_tests::{build, cases};

/// Fixture stems and the tolerance of their outputs; 0 means to the bit.
const NETWORKS: &[(&str, f64)] = &[
    ("mnist_cnn/mnist_cnn_int8", 0.0),
    ("mnist_cnn/mnist_cnn_float", 1e-5),
    ("fmnist_two_exit/fmnist_two_exit_int8", 0.0),
    ("fmnist_two_exit/fmnist_two_exit_float", 1e-5),
    ("sine/sine_int8", 0.0),
    ("sine/sine_float", 1e-5),
];

#[test]
fn networks_equal_tflite_micro() {
    let folder = cases::root().join("fixtures");
    for (stem, tolerance) in NETWORKS {
        let bytes = build::file(&folder.join(format!("{stem}.tflite")));
        let input = build::file(&folder.join(format!("{stem}.in.bin")));
        let want = build::file(&folder.join(format!("{stem}.out.bin")));
        for core in [Core::Generic, Core::CortexM4] {
            let built = build::emit(&bytes, stem, "network", core).expect("compiles");
            let program = built.host("cc", &["-O2"]).expect("builds");
            let got = build::run(&mut Command::new(program), &input).expect("runs");
            assert_eq!(got.len(), want.len(), "{stem}");
            let types: Vec<TensorType> =
                built.emitted.module.outputs.iter().map(|p| p.ty.clone()).collect();
            let size: usize = types.iter().map(TensorType::bytes).sum();
            assert!(!want.is_empty() && want.len().is_multiple_of(size), "{stem}");
            for (set, (g, w)) in got.chunks(size).zip(want.chunks(size)).enumerate() {
                for (g, w) in split(g, &types).iter().zip(&split(w, &types)) {
                    let apart = difference(g, w, *tolerance, *tolerance);
                    assert_eq!(apart, None, "{stem} {core:?}, set {set}");
                }
            }
        }
    }
}
