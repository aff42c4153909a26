//! Every TFLite model of the zoo: supported networks compile with gcc and clang without a warning,
//! run clean under ASan and UBSan, and equal their goldens (int8 to the bit, float within the
//! manifest's tolerance) for the generic and the Cortex-M4 kernels; everything else is refused.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use tinycc_core::lower::Core;
use tinycc_core::{Tensor, TensorType};
use tinycc_tests::build::{self, Built, SANITIZE};
use tinycc_tests::compare::{difference, split};
use tinycc_tests::zoo::{self, Record};

/// Operators and quantization schemes outside today's scope; all else must compile.
const LATER: &[&str] = &[
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "SVDF",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "CALL_ONCE",
];

fn in_scope(r: &Record) -> bool {
    let quant = matches!(r.quant.as_deref(), Some("int8" | "float" | "float-io-int8"));
    let known = !r.ops.keys().any(|o| LATER.contains(&o.as_str()) || o.starts_with("CUSTOM"));
    r.kind == "network" && quant && known && !r.stateful
}

/// Runs the program on the goldens; what differs, if anything.
fn compare(zoo: &Path, r: &Record, built: &Built, program: &Path) -> Result<String, String> {
    let types = |ports: &[tinycc_core::kir::Port]| -> Vec<TensorType> {
        ports.iter().map(|p| p.ty.clone()).collect()
    };
    let module = &built.emitted.module;
    let (inputs, outputs) = (types(&module.inputs), types(&module.outputs));
    let n = r.n_samples.unwrap_or(1);
    let stdin = zoo::sets(zoo, &r.inputs, &inputs, n);
    let got = build::run(&mut Command::new(program), &stdin)?;
    let want = zoo::sets(zoo, &r.outputs, &outputs, n);
    if got.len() != want.len() {
        return Err(format!("{} output bytes instead of {}", got.len(), want.len()));
    }
    let size: usize = outputs.iter().map(TensorType::bytes).sum();
    let mut float = false;
    for sample in 0..n {
        let range = sample * size..(sample + 1) * size;
        let pairs =
            split(&got[range.clone()], &outputs).into_iter().zip(split(&want[range], &outputs));
        for ((g, w), port) in pairs.zip(&r.outputs) {
            let (rtol, atol) = (port.rtol.unwrap_or(0.0), port.atol.unwrap_or(0.0));
            float |= Tensor::as_f32(&w).is_some();
            if let Some(d) = difference(&g, &w, rtol, atol) {
                return Err(format!("sample {sample}: {d}"));
            }
        }
    }
    Ok(if float { "within tolerance".into() } else { "exact".into() })
}

/// One row of the table, or what went wrong. What is out of scope may be refused, with a message;
/// if it compiles all the same, it must be right.
fn check(zoo: &Path, r: &Record) -> Result<String, String> {
    let bytes = build::file(&zoo.join(&r.path));
    let quant = r.quant.as_deref().unwrap_or("-");
    let mut verdict = String::new();
    let mut arena = (0, 0);
    for core in [Core::Generic, Core::CortexM4] {
        let built = match build::emit(&bytes, &r.path, "model", core) {
            Ok(_) if r.kind == "expect-reject" => {
                return Err("compiles, although it should be refused".into());
            }
            Ok(built) => built,
            Err(d) if in_scope(r) => return Err(d.to_string()),
            Err(d) => {
                let first = d.to_string().lines().next().unwrap_or_default().to_string();
                return Ok(format!("{:<48} {quant:<14} refused: {first}", r.path));
            }
        };
        let module = &built.emitted.module;
        if core == Core::Generic {
            arena = (module.arena_bytes, module.arena_lower_bound);
        }
        built.check("gcc")?;
        built.check("clang")?;
        let mut flags = vec!["-O1"];
        flags.extend_from_slice(SANITIZE);
        let program = built.host("gcc", &flags)?;
        verdict = compare(zoo, r, &built, &program).map_err(|e| format!("{core:?}: {e}"))?;
    }
    let n = r.n_samples.unwrap_or(1);
    let (bytes, bound) = arena;
    Ok(format!(
        "{:<48} {quant:<14} {verdict} on {n} samples, arena {bytes} (bound {bound})",
        r.path
    ))
}

#[test]
fn networks_equal_their_goldens_and_the_rest_is_refused() {
    let Some(zoo) = zoo::require() else { return };
    if !build::tool("clang") {
        return;
    }
    let records = zoo::tflite_records(&zoo);
    let queue = Mutex::new(records.iter());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(r) = queue.lock().expect("queue").next() else { return };
                    let result = check(&zoo, r);
                    results.lock().expect("results").push((r.path.clone(), result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("results");
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let (mut table, mut failures) = (String::new(), String::new());
    for (path, result) in &results {
        match result {
            Ok(row) => writeln!(table, "{row}").expect("string"),
            Err(e) => writeln!(failures, "{path}: {e}").expect("string"),
        }
    }
    println!("{table}");
    assert!(failures.is_empty(), "failures:\n{failures}");
    let compiled =
        results.iter().filter(|r| matches!(&r.1, Ok(row) if !row.contains("refused"))).count();
    assert!(compiled >= 20, "only {compiled} networks were in scope");
}
