//! The zoo's ONNX backend tests through targets `ncs` and `openvino` on OpenVINO's CPU plugin. What became
//! of them is a committed table, `tests/onnx_backend/openvino.txt`: counts, reasons, failures.

#![allow(clippy::expect_used, clippy::panic, reason = "a broken precondition should stop the test")]

use std::collections::BTreeMap;
use std::fmt::Write;
use tinycc_tests::backend::suite::{Suite, Test};
use tinycc_tests::backend::{Outcome, Verdict, ir};
use tinycc_tests::{cases, openvino, zoo};

/// Counts, failures, and how often each reason occurs.
fn text(target: &str, tests: &[&Test], verdicts: &[Verdict]) -> String {
    let (mut passed, mut failed) = (0, String::new());
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (test, verdict) in tests.iter().zip(verdicts) {
        match &verdict.outcome {
            Outcome::Pass => passed += 1,
            Outcome::Fail(what) => {
                writeln!(failed, "  fail: {}: {what}", test.id()).expect("string");
                println!("{target} {}: {what}\n{}", test.id(), verdict.detail);
            }
            Outcome::Unsupported(reason) => {
                let reason = reason.rsplit(": ").next().unwrap_or(reason);
                *reasons.entry(reason.to_string()).or_insert(0) += 1;
            }
        }
    }
    let mut text = format!("{target}: {passed} of {} pass\n{failed}", tests.len());
    let mut by_count: Vec<(String, usize)> = reasons.into_iter().collect();
    by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    for (reason, count) in by_count {
        writeln!(text, "  {count} refused: {reason}").expect("string");
    }
    text
}

#[test]
fn tests_that_pass_in_c_pass_on_the_plugin_or_are_refused() {
    let Some(zoo) = zoo::require() else { return };
    let Some(python) = openvino::python() else { return };
    let suite = Suite::open(&zoo);
    let outcomes = std::fs::read_to_string(cases::root().join("tests/onnx_backend/outcomes.txt"));
    let outcomes = outcomes.expect("the table of the C form");
    let passing = |t: &&Test| {
        let id = t.id();
        outcomes.lines().any(|l| l.strip_prefix(&id).is_some_and(|rest| rest.starts_with(": pass")))
    };
    let wanted = std::env::var("TINYCC_BACKEND").unwrap_or_default();
    let chosen = |t: &&Test| wanted.is_empty() || t.id().contains(&wanted);
    let tests: Vec<&Test> = suite.tests.iter().filter(passing).filter(chosen).collect();
    let mut table = String::from(
        "# The ONNX backend tests that pass in C, through OpenVINO's CPU plugin. Made and compared by the test\n\
         # onnx_backend_openvino; TINYCC_BLESS=1 writes it.\n",
    );
    std::thread::scope(|scope| {
        let one = |target: &'static str| {
            let (suite, tests, python) = (&suite, &tests, &python);
            scope.spawn(move || text(target, tests, &ir::run(suite, tests, target, python)))
        };
        for thread in [one("ncs"), one("openvino")] {
            table.push('\n');
            table.push_str(&thread.join().expect("no panic"));
        }
    });
    println!("{table}");
    if !wanted.is_empty() {
        return;
    }
    let path = cases::root().join("tests/onnx_backend/openvino.txt");
    if std::env::var_os("TINYCC_BLESS").is_some() {
        std::fs::write(&path, &table).expect("writes");
    }
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(old == table, "{} is out of date; TINYCC_BLESS=1 writes it", path.display());
}
