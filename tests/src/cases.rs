//! The operator fixtures: `fixtures/ops/index.json` and the raw files beside each model.

use crate::compare::{difference, split};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tinycc_core::TensorType;

/// Repository root.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the root").to_path_buf()
}

/// Shape and numpy type name of a tensor.
#[derive(Clone, Debug, Deserialize)]
pub struct TensorSpec {
    /// Extents.
    pub shape: Vec<usize>,
    /// numpy name of the element type.
    pub dtype: String,
}

/// One operator fixture.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// TFLite operator.
    pub op: String,
    /// `int8` or `float32` or another type the case is about.
    pub dtype: String,
    /// Name, unique within the operator.
    pub name: String,
    /// Model file below `fixtures/ops`.
    pub model: String,
    /// Input sets in the `.in.bin` file.
    pub n_sets: usize,
    /// Inputs in model order.
    pub inputs: Vec<TensorSpec>,
    /// Outputs in model order.
    pub outputs: Vec<TensorSpec>,
    /// Where the expected outputs come from.
    pub oracle: String,
    /// Relative tolerance; 0 for integers.
    pub rtol: f64,
    /// Absolute tolerance; 0 for integers.
    pub atol: f64,
}

#[derive(Deserialize)]
struct Index {
    cases: Vec<Case>,
}

/// All operator fixtures, or those of the operators in `TINYCC_OPS` (comma separated).
#[must_use]
pub fn operator_cases() -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("fixtures/ops/index.json")).expect("index.json");
    let index: Index = serde_json::from_str(&text).expect("index.json parses");
    match std::env::var("TINYCC_OPS") {
        Ok(only) => {
            index.cases.into_iter().filter(|c| only.split(',').any(|o| o == c.op)).collect()
        }
        Err(_) => index.cases,
    }
}

impl Case {
    /// Model bytes.
    #[must_use]
    pub fn model_bytes(&self) -> Vec<u8> {
        std::fs::read(root().join("fixtures/ops").join(&self.model)).expect("model file")
    }

    /// Raw file beside the model: `in.bin` or `out.bin`.
    #[must_use]
    pub fn raw(&self, kind: &str) -> Vec<u8> {
        let stem = self.model.trim_end_matches(".tflite");
        std::fs::read(root().join("fixtures/ops").join(format!("{stem}.{kind}"))).expect("raw file")
    }
    /// Compares the raw outputs of all sets with the expected ones.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, outputs: &[TensorType], got: &[u8]) -> Result<(), String> {
        let want = self.raw("out.bin");
        if got.len() != want.len() {
            return Err(format!("{} output bytes instead of {}", got.len(), want.len()));
        }
        let size: usize = outputs.iter().map(TensorType::bytes).sum();
        for set in 0..self.n_sets {
            let range = set * size..(set + 1) * size;
            let got = split(&got[range.clone()], outputs);
            for (i, (g, w)) in got.iter().zip(split(&want[range], outputs)).enumerate() {
                if let Some(d) = difference(g, &w, self.rtol, self.atol) {
                    return Err(format!("set {set}, output {i}: {d}"));
                }
            }
        }
        Ok(())
    }
}
