//! Counts the support matrix on the operator fixtures and checks that the counted file and
//! SUPPORTED-OPS.md are up to date. `TINYCC_BLESS=1` writes both.

#![allow(clippy::expect_used, clippy::panic, reason = "a broken fixture should stop the test")]

use serde::Deserialize;
use std::path::{Path, PathBuf};
use tinycc_core::format::tflite::ops::READERS;
use tinycc_driver::support::{self, Cell, Matrix};
use tinycc_driver::{Compiler, CoreName, Options, TARGETS, survey};
use tinycc_targets::{Support, Target};

#[derive(Deserialize)]
struct Index {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    op: String,
    dtype: String,
    model: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// How the target expresses the operator of a fixture; `None` when it cannot.
fn answer(case: &Case, target: &dyn Target) -> Option<String> {
    let bytes = std::fs::read(root().join("fixtures/ops").join(&case.model)).expect("model");
    let options = Options { target: target.name().into(), ..Options::default() };
    let compiler = Compiler::new(&bytes, options);
    let graph = compiler.graph().ok()?;
    let mut how = "native".to_string();
    for (_, support) in survey(&graph, target, CoreName::Generic.into()) {
        match support {
            Support::Native => {}
            Support::Decompose(pass) => how = pass.to_string(),
            Support::No(_) => return None,
        }
    }
    // What the target promises must hold: the whole pipeline has to succeed.
    compiler.compile().unwrap_or_else(|e| panic!("{}: promised, but {e}", case.model));
    Some(how)
}

fn count() -> Matrix {
    let text = std::fs::read_to_string(root().join("fixtures/ops/index.json")).expect("index");
    let index: Index = serde_json::from_str(&text).expect("index parses");
    let mut matrix = Matrix::new();
    for case in index.cases.iter().filter(|c| READERS.iter().any(|(n, _)| *n == c.op)) {
        for target in TARGETS {
            let key = (case.op.clone(), case.dtype.clone(), target.name().to_string());
            let empty = Cell { how: String::new(), good: 0, cases: 0 };
            let cell = matrix.entry(key).or_insert(empty);
            cell.cases += 1;
            if let Some(how) = answer(case, *target) {
                cell.good += 1;
                // One case replaced by a pass is worth showing, whatever the others are.
                if cell.how.is_empty() || cell.how == "native" {
                    cell.how = how;
                }
            }
        }
    }
    matrix
}

#[test]
fn support_matrix() {
    let counted = count();
    assert!(!counted.is_empty(), "no fixtures found");
    let (tsv, document) = (support::to_tsv(&counted), support::markdown(&counted));
    let tsv_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/support.tsv");
    let document_path = root().join("SUPPORTED-OPS.md");
    if std::env::var_os("TINYCC_BLESS").is_some() {
        std::fs::write(&tsv_path, &tsv).expect("writes");
        std::fs::write(&document_path, &document).expect("writes");
        return;
    }
    let advice =
        "is out of date: run TINYCC_BLESS=1 cargo test -p tinycc-driver --test support_matrix";
    let on_disk = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(on_disk(&tsv_path), tsv, "support.tsv {advice}");
    assert_eq!(on_disk(&document_path), document, "SUPPORTED-OPS.md {advice}");
    assert_eq!(support::matrix(), counted, "support.tsv does not read back");
    for (operator, _) in READERS {
        assert!(counted.keys().any(|k| k.0 == *operator), "{operator} has no fixture");
    }
}
