//! Damaged models through the whole compiler: it returns diagnostics, never panics, never takes
//! long, never allocates more than a small multiple of the file.
//!
//! `TINYCC_FUZZ=200000 cargo test --release -p tinycc-tests --test fuzz_reader` is the long run;
//! `TINYCC_FUZZ_FROM=n` starts at mutation n, to repeat one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use peak_alloc::PeakAlloc;
use tinycc_tests::build::file;
use tinycc_tests::cases::{operator_cases, root};
use tinycc_tests::fuzz;
use tinycc_tests::mutate::mutate;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Models to damage: small ones often, the trained network now and then.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<(String, Vec<u8>)> =
        operator_cases().iter().map(|c| (c.model.clone(), c.model_bytes())).collect();
    for folder in ["bad", "sine", "mnist_cnn", "fmnist_two_exit"] {
        let folder = root().join("fixtures").join(folder);
        let mut paths: Vec<_> = std::fs::read_dir(&folder)
            .expect("fixtures")
            .map(|e| e.expect("entry").path())
            .filter(|p| p.extension().is_some_and(|e| e == "tflite"))
            .collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().expect("file name").to_string_lossy().into_owned();
            seeds.push((name, file(&path)));
        }
    }
    seeds
}

#[test]
fn damaged_models_are_refused_or_compiled() {
    fuzz::run(&MEMORY, 16 << 20, &seeds(), mutate);
}
