//! The headline models against TensorFlow Lite Micro on 1,000 random inputs each, on the host, for
//! both sets of kernels: no byte may differ.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::process::Command;
use tinycc_core::lower::Core;
use tinycc_tests::headline::MODELS;
use tinycc_tests::{build, zoo};

const SETS: usize = 1000;

#[test]
fn no_byte_differs_on_random_inputs() {
    let Some(zoo) = zoo::require() else { return };
    for (path, name) in MODELS {
        let model = zoo.join(path);
        let Some((inputs, want)) = build::tflm(&model, SETS, 20_261_122) else { return };
        for core in [Core::Generic, Core::CortexM4] {
            let built = build::emit(&build::file(&model), path, name, core).expect("compiles");
            let program = built.host("cc", &["-O2"]).expect("builds");
            let got = build::run(&mut Command::new(program), &inputs).expect("runs");
            assert_eq!(got.len(), want.len(), "{name}");
            let differing = got.iter().zip(&want).filter(|(a, b)| a != b).count();
            println!("{name} {core:?}: {differing} of {} bytes differ", want.len());
            assert_eq!(differing, 0, "{name} {core:?}");
        }
    }
}
