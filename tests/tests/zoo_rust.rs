//! Every zoo network in scope as Rust on the host, in release: equal to its goldens (int8 to the bit,
//! float within the manifest's tolerance) for the generic and the Cortex-M4 kernels. Some of them
//! through the emitted cargo package. What is refused is the matter of `zoo`.

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
use tinycc_core::format;
use tinycc_core::lower::Core;
use tinycc_tests::build::{self, Built};
use tinycc_tests::headline::{BOUNDED, MODELS};
use tinycc_tests::rust_batch::{self, Member, Mode, RELEASE};
use tinycc_tests::zoo::{self, Match, Record};

/// A float network that is built as a package too.
const FLOAT_PACKAGE: &str = "tflm/hello_world_float.tflite";

/// Whether the model runs through `example/` and cargo.
fn is_package(path: &str) -> bool {
    path == FLOAT_PACKAGE || MODELS.iter().any(|m| m.0 == path && BOUNDED.contains(&m.1))
}

/// The outputs on all golden inputs.
fn outputs(zoo: &Path, r: &Record, built: &Built, core: Core) -> Result<Vec<u8>, String> {
    let module = &built.emitted.module;
    let stdin = zoo::inputs(zoo, r, module);
    if is_package(&r.path) && core == Core::Generic {
        return build::run(&mut Command::new(built.cargo_host()?), &stdin);
    }
    let edition = if core == Core::Generic { "2024" } else { "2021" };
    let member = Member::new(&built.name, module, stdin);
    let mode = Mode { edition, flags: RELEASE };
    rust_batch::run(built.folder.path(), &[member], mode)?.remove(0)
}

/// One row of the table, or what went wrong.
fn check(zoo: &Path, r: &Record) -> Result<String, String> {
    let bytes = build::file(&zoo.join(&r.path));
    let mut all = Match { is_float: false, deviation: 0.0 };
    for core in [Core::Generic, Core::CortexM4] {
        let options = format::ReadOptions { file: r.path.clone(), ..Default::default() };
        let graph = format::read(&bytes, &options).map_err(|e| e.to_string())?;
        let built = build::emit_as("rust", graph, &r.path, "model", core);
        let built = built.map_err(|e| e.to_string())?;
        let got = outputs(zoo, r, &built, core).map_err(|e| format!("{core:?}: {e}"))?;
        let result = zoo::compare(zoo, r, &built.emitted.module, &got);
        let result = result.map_err(|e| format!("{core:?}: {e}"))?;
        all.is_float = result.is_float;
        all.deviation = all.deviation.max(result.deviation);
    }
    let verdict = if all.is_float {
        format!("within tolerance, at most {:.1e} apart", all.deviation)
    } else {
        "exact".into()
    };
    let way = if is_package(&r.path) { "package" } else { "module" };
    let n = r.n_samples.unwrap_or(1);
    let quant = r.quant.as_deref().unwrap_or("-");
    Ok(format!("{:<48} {quant:<14} {way:<8} {verdict} on {n} samples", r.path))
}

#[test]
fn networks_equal_their_goldens() {
    let Some(zoo) = zoo::require() else { return };
    if !build::tool("rustc") || !build::tool("cargo") {
        return;
    }
    let mut records = zoo::tflite_records(&zoo);
    records.retain(zoo::in_scope);
    let packages = records.iter().filter(|r| is_package(&r.path)).count();
    assert_eq!(packages, BOUNDED.len() + 1, "packages to build");
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
    assert!(results.len() >= 20, "only {} networks were in scope", results.len());
}
