//! The operator fixtures through emission, the host compilers and the sanitizers, against what
//! TensorFlow Lite Micro computed. `TINYCC_FULL=1` runs every case; otherwise every tenth.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use tempfile::TempDir;
use tinycc_core::TensorType;
use tinycc_core::format;
use tinycc_core::lower::{self, Core};
use tinycc_core::pass;
use tinycc_targets::EmitOptions;
use tinycc_tests::batch::{self, Member};
use tinycc_tests::build::{self, Printed, STRICT};
use tinycc_tests::cases::{Case, operator_cases};

/// Models per program.
const BATCH: usize = 40;

/// An emitted case in the batch's folder.
struct Emitted<'a> {
    case: &'a Case,
    core: Core,
    member: Member,
    outputs: Vec<TensorType>,
}

impl Emitted<'_> {
    fn label(&self) -> String {
        format!("{}/{} {:?}", self.case.op, self.case.name, self.core)
    }
}

/// Emits a case for both cores; the second only when its code differs.
fn emit<'a>(case: &'a Case, id: &str, folder: &Path) -> Result<Vec<Emitted<'a>>, String> {
    let options = format::ReadOptions { file: case.model.clone(), ..Default::default() };
    let mut graph = format::read(&case.model_bytes(), &options).map_err(|e| e.to_string())?;
    pass::run_all(&mut graph, pass::LEGALISE).map_err(|e| e.to_string())?;
    let mut emitted = Vec::new();
    let mut generic = String::new();
    for (core, prefix) in [(Core::Generic, "g"), (Core::CortexM4, "t")] {
        let name = format!("{prefix}{id}");
        let options = EmitOptions {
            name: name.clone(),
            core,
            examples: Vec::new(),
            options: Default::default(),
            source: case.model.clone(),
            ..Default::default()
        };
        let legal = lower::legalise(graph.clone(), core).map_err(|e| e.to_string())?;
        let target = tinycc_targets::target("c").ok_or("no target c")?;
        let result = Printed::from(target.emit(&legal, &options).map_err(|e| e.to_string())?);
        let text = String::from_utf8_lossy(&result.artifacts[&format!("{name}.c")]).into_owned();
        let text = text.replace(&name, "NAME").replace(&name.to_uppercase(), "NAME");
        if text == generic {
            continue;
        }
        generic = text;
        for (path, bytes) in &result.artifacts {
            std::fs::write(folder.join(path), bytes).map_err(|e| e.to_string())?;
        }
        let module = &result.module;
        let member = Member {
            name,
            inputs: module.inputs.len(),
            outputs: module.outputs.len(),
            stdin: case.raw("in.bin"),
            sets: case.n_sets,
        };
        let outputs = module.outputs.iter().map(|p| p.ty.clone()).collect();
        emitted.push(Emitted { case, core, member, outputs });
    }
    Ok(emitted)
}

/// Warnings of clang in a whole batch.
fn clang(folder: &Path, emitted: &[Emitted<'_>]) -> Result<(), String> {
    let mut command = Command::new("clang");
    command.args(STRICT).arg("-fsyntax-only").current_dir(folder);
    command.args(emitted.iter().map(|e| format!("{}.c", e.member.name)));
    build::run(&mut command, &[]).map(drop)
}

/// Failures of one batch, and how many programs ran.
fn check(cases: &[(usize, &Case)], with_clang: bool) -> (usize, Vec<String>) {
    let folder = TempDir::new().expect("temporary folder");
    let (mut emitted, mut failures) = (Vec::new(), Vec::new());
    for (index, case) in cases {
        match emit(case, &format!("{index:04}"), folder.path()) {
            Ok(more) => emitted.extend(more),
            Err(e) => failures.push(format!("{}/{}: {e}", case.op, case.name)),
        }
    }
    let members: Vec<Member> = emitted.iter().map(|e| e.member.clone()).collect();
    for (e, result) in emitted.iter().zip(batch::run(folder.path(), &members)) {
        if let Err(message) = result.and_then(|got| e.case.compare(&e.outputs, &got)) {
            failures.push(format!("{}: {message}", e.label()));
        }
    }
    if with_clang && let Err(message) = clang(folder.path(), &emitted) {
        failures.push(message);
    }
    (emitted.len(), failures)
}

#[test]
fn emitted_operators_equal_tflite_micro() {
    let full = std::env::var_os("TINYCC_FULL").is_some();
    if !build::tool("gcc") {
        return;
    }
    let with_clang = full && build::tool("clang");
    let all = operator_cases();
    let every = if full || std::env::var_os("TINYCC_OPS").is_some() { 1 } else { 10 };
    let chosen: Vec<(usize, &Case)> = all.iter().enumerate().step_by(every).collect();
    let queue = Mutex::new(chosen.chunks(BATCH));
    let results = Mutex::new((0, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(cases) = queue.lock().expect("queue").next() else { return };
                    let (programs, failures) = check(cases, with_clang);
                    let mut results = results.lock().expect("results");
                    results.0 += programs;
                    results.1.extend(failures);
                }
            });
        }
    });
    let (programs, mut failures) = results.into_inner().expect("results");
    failures.sort();
    eprintln!("{} cases, {programs} emitted models", chosen.len());
    assert!(programs >= chosen.len() || !failures.is_empty(), "a case was left out");
    assert!(!chosen.is_empty(), "no fixtures found");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
