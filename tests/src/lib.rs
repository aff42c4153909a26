//! Helpers shared by the workspace tests: fixture lists, raw tensor files, comparison. No tests.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: a broken fixture should stop the test"
)]

pub mod backend;
pub mod batch;
pub mod build;
pub mod cases;
pub mod compare;
pub mod cross;
pub mod fuzz;
pub mod headline;
pub mod mutate;
pub mod onnx_make;
pub mod onnx_mutate;
pub mod onnx_twin;
pub mod openvino;
pub mod packages;
pub mod rust_batch;
pub mod spots;
pub mod zoo;
