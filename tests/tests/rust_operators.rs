//! The operator fixtures through emission as Rust and the host's rustc, with every proved index and
//! all arithmetic checked at run time, against what TensorFlow Lite Micro computed.
//! `TINYCC_FULL=1` runs every case; otherwise every tenth.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::path::Path;
use std::sync::Mutex;
use tempfile::TempDir;
use tinycc_core::TensorType;
use tinycc_core::format;
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_targets::{EmitOptions, Runtime};
use tinycc_tests::build::{self, Printed};
use tinycc_tests::cases::{Case, operator_cases, root};
use tinycc_tests::rust_batch::{self, CHECKED, Member, Mode};

/// Models per program.
const BATCH: usize = 60;

/// One batch in so many carries its run-time functions in each module, as users get it.
const EMBEDDED: usize = 6;

/// An emitted case in the batch's folder.
struct Emitted<'a> {
    case: &'a Case,
    core: Core,
    member: Member,
}

/// Emits a case for both cores; the second only when its code differs.
fn emit<'a>(
    case: &'a Case,
    id: &str,
    runtime: Runtime,
    folder: &Path,
) -> Result<Vec<Emitted<'a>>, String> {
    let options = format::ReadOptions { file: case.model.clone(), ..Default::default() };
    let mut graph = format::read(&case.model_bytes(), &options).map_err(|e| e.to_string())?;
    pass::run_all(&mut graph, pass::LEGALISE).map_err(|e| e.to_string())?;
    let mut emitted = Vec::new();
    let mut generic = String::new();
    for (core, prefix) in [(Core::Generic, "g"), (Core::CortexM4, "t")] {
        let name = format!("{prefix}{id}");
        let options = EmitOptions { core, ..rust_batch::options(&name, &case.model, runtime) };
        let legal = lower::legalise(graph.clone(), core).map_err(|e| e.to_string())?;
        let target = tinycc_targets::target("rust").ok_or("no target rust")?;
        let result = Printed::from(target.emit(&legal, &options).map_err(|e| e.to_string())?);
        let text = String::from_utf8_lossy(&result.artifacts[&format!("{name}.rs")]);
        let text = text.replace(&name, "NAME");
        if text == generic {
            continue;
        }
        generic = text;
        for (path, bytes) in &result.artifacts {
            std::fs::write(folder.join(path), bytes).map_err(|e| e.to_string())?;
        }
        let member = Member::new(&name, &result.module, case.raw("in.bin"));
        emitted.push(Emitted { case, core, member });
    }
    Ok(emitted)
}

/// Failures of one batch, and how many models ran.
fn check(cases: &[(usize, &Case)], number: usize) -> (usize, Vec<String>) {
    let folder = TempDir::new().expect("temporary folder");
    let is_embedded = number.is_multiple_of(EMBEDDED);
    let runtime = if is_embedded { Runtime::Embedded } else { Runtime::Crate };
    let edition = if number.is_multiple_of(2) { "2021" } else { "2024" };
    let (mut emitted, mut failures) = (Vec::new(), Vec::new());
    for (index, case) in cases {
        match emit(case, &format!("{index:04}"), runtime, folder.path()) {
            Ok(more) => emitted.extend(more),
            Err(e) => failures.push(format!("{}/{}: {e}", case.op, case.name)),
        }
    }
    let members: Vec<Member> = emitted.iter().map(|e| e.member.clone()).collect();
    let results = rust_batch::run(folder.path(), &members, Mode { edition, flags: CHECKED });
    match results {
        Ok(results) => {
            for (e, result) in emitted.iter().zip(results) {
                let outputs: Vec<TensorType> =
                    e.member.outputs.iter().map(|p| p.ty.clone()).collect();
                if let Err(message) = result.and_then(|got| e.case.compare(&outputs, &got)) {
                    let Emitted { case, core, .. } = e;
                    failures.push(format!("{}/{} {core:?}: {message}", case.op, case.name));
                }
            }
        }
        Err(message) => failures.push(format!("batch {number}: {message}")),
    }
    (emitted.len(), failures)
}

#[test]
fn emitted_operators_equal_tflite_micro() {
    let full = std::env::var_os("TINYCC_FULL").is_some();
    if !build::tool("rustc") {
        return;
    }
    let all = operator_cases();
    let every = if full || std::env::var_os("TINYCC_OPS").is_some() { 1 } else { 10 };
    let chosen: Vec<(usize, &Case)> = all.iter().enumerate().step_by(every).collect();
    let queue = Mutex::new(chosen.chunks(BATCH).enumerate());
    let results = Mutex::new((0, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((number, cases)) = queue.lock().expect("queue").next() else { return };
                    let (models, failures) = check(cases, number);
                    let mut results = results.lock().expect("results");
                    results.0 += models;
                    results.1.extend(failures);
                }
            });
        }
    });
    let (models, mut failures) = results.into_inner().expect("results");
    failures.sort();
    eprintln!("{} cases, {models} emitted models", chosen.len());
    assert!(models >= chosen.len() || !failures.is_empty(), "a case was left out");
    assert!(!chosen.is_empty(), "no fixtures found");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Proved indices are not checked in a release build; here a wrong one must show.
#[test]
fn the_checks_find_a_wrong_index() {
    if !build::tool("rustc") {
        return;
    }
    let all = operator_cases();
    let case = all.iter().find(|c| c.op == "RELU").expect("a fixture of RELU");
    let folder = TempDir::new().expect("temporary folder");
    let emitted = emit(case, "", Runtime::Embedded, folder.path()).expect("emits");
    let member = &emitted[0].member;
    let path = folder.path().join(format!("{}.rs", member.name));
    let text = String::from_utf8(build::file(&path)).expect("text");
    assert_eq!(text.matches("y.put(i, ").count(), 1, "{text}");
    std::fs::write(&path, text.replace("y.put(i, ", "y.put(i + 1, ")).expect("writes");
    let mode = Mode { edition: "2024", flags: CHECKED };
    let results = rust_batch::run(folder.path(), std::slice::from_ref(member), mode);
    let message = results.expect("compiles")[0].clone().expect_err("it writes beyond the output");
    assert!(message.contains("index out of range"), "{message}");
}

/// Large constants, in a file of their own and as text.
#[test]
fn weights_beside_and_inside_the_source() {
    if !build::tool("rustc") {
        return;
    }
    let path = root().join("fixtures/mnist_cnn/mnist_cnn_int8");
    let bytes = |extension: &str| build::file(&path.with_extension(extension));
    let graph = format::read(&bytes("tflite"), &Default::default());
    let mut graph = graph.expect("reads");
    pass::run_all(&mut graph, pass::LEGALISE).expect("passes");
    let legal = lower::legalise(graph, Core::Generic).expect("legal");
    let folder = TempDir::new().expect("temporary folder");
    let mut members = Vec::new();
    for (name, inline_weights) in [("beside", false), ("inside", true)] {
        let options = rust_batch::options(name, "mnist_cnn_int8.tflite", Runtime::Embedded);
        let options = EmitOptions { inline_weights, ..options };
        let target = tinycc_targets::target("rust").expect("target rust");
        let emitted = Printed::from(target.emit(&legal, &options).expect("emits"));
        let side_file = emitted.artifacts.contains_key(&format!("{name}.weights"));
        assert_eq!(side_file, !inline_weights, "{name}");
        for (path, bytes) in &emitted.artifacts {
            std::fs::write(folder.path().join(path), bytes).expect("writes");
        }
        members.push(Member::new(name, &emitted.module, bytes("in.bin")));
    }
    let mode = Mode { edition: "2021", flags: CHECKED };
    let results = rust_batch::run(folder.path(), &members, mode).unwrap_or_else(|e| panic!("{e}"));
    for (member, result) in members.iter().zip(results) {
        let name = &member.name;
        let got = result.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(got == bytes("out.bin"), "{name}: outputs differ");
    }
}

/// The names of the cases' models as modules in `folder`, for the processor that differs.
fn modules(cases: &[(usize, &Case)], folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for (index, case) in cases {
        let id = format!("{index:04}");
        for e in emit(case, &id, Runtime::Crate, folder).unwrap_or_else(|e| panic!("{e}")) {
            names.push(e.member.name);
        }
    }
    names
}

#[test]
fn clippy_has_nothing_to_say() {
    if !build::tool("cargo-clippy") {
        return;
    }
    let all = operator_cases();
    let every = if std::env::var_os("TINYCC_FULL").is_some() { 1 } else { 10 };
    let chosen: Vec<(usize, &Case)> = all.iter().enumerate().step_by(every).collect();
    let folder = TempDir::new().expect("temporary folder");
    let source = folder.path().join("src");
    std::fs::create_dir(&source).expect("folder");
    let names = modules(&chosen, &source);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rust_batch::clippy(folder.path(), &names).unwrap_or_else(|e| panic!("{e}"));
}
