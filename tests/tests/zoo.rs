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
use tinycc_tests::build::{self, SANITIZE};
use tinycc_tests::zoo::{self, Record};

/// One row of the table, or what went wrong. What is out of scope may be refused, with a message;
/// if it compiles all the same, it must be right.
fn check(zoo: &Path, r: &Record) -> Result<String, String> {
    let bytes = build::file(&zoo.join(&r.path));
    let quant = r.quant.as_deref().unwrap_or("-");
    let mut verdict = "";
    let mut arena = (0, 0);
    for core in [Core::Generic, Core::CortexM4] {
        let built = match build::emit(&bytes, &r.path, "model", core) {
            Ok(_) if r.kind == "expect-reject" => {
                return Err("compiles, although it should be refused".into());
            }
            Ok(built) => built,
            Err(d) if zoo::in_scope(r) => return Err(d.to_string()),
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
        let module = &built.emitted.module;
        let got = build::run(&mut Command::new(program), &zoo::inputs(zoo, r, module))?;
        let result = zoo::compare(zoo, r, module, &got).map_err(|e| format!("{core:?}: {e}"))?;
        verdict = if result.is_float { "within tolerance" } else { "exact" };
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
