//! The zoo's ONNX backend tests: each is compiled as C, built, run and compared. The outcomes are a
//! committed table, `tests/onnx_backend/outcomes.txt`, so that nothing is gained or lost unnoticed.
//! `TINYCC_BACKEND` runs only some, prints what became of them and compares with no table.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use tinycc_tests::backend::suite::{Suite, Test};
use tinycc_tests::backend::table::{self, Row};
use tinycc_tests::backend::{Outcome, rules, run};
use tinycc_tests::batch::Checks;
use tinycc_tests::{build, cases, zoo};

/// Tests per program.
const BATCH: usize = 32;
/// Sanitizers find what is wrong without wrong numbers.
const CHECKS: Checks = Checks { optimise: "-O0", sanitize: true };

/// Which tests: `TINYCC_BACKEND` holds parts of `kind/name`, comma separated, or `op=NAME`.
fn is_chosen(test: &Test, wanted: &str) -> bool {
    wanted.split(',').any(|part| match part.strip_prefix("op=") {
        Some(op) => test.ops.iter().any(|o| o == op),
        None => test.id().contains(part),
    })
}

/// Runs tests in batches, each in a folder of its own below `folder`.
fn rows(suite: &Suite, tests: &[&Test], folder: &Path) -> Vec<Row> {
    let queue = Mutex::new(tests.chunks(BATCH).enumerate());
    let results = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some((i, tests)) = queue.lock().expect("queue").next() else { return };
                    let folder = folder.join(i.to_string());
                    std::fs::create_dir_all(&folder).expect("a folder");
                    let verdicts = run::run(suite, tests, &folder, CHECKS);
                    let mut results = results.lock().expect("results");
                    for (test, verdict) in tests.iter().zip(verdicts) {
                        let excluded = rules::excluded(test, &suite.data(test));
                        results.insert(test.id(), Row { id: test.id(), verdict, excluded });
                    }
                }
            });
        }
    });
    results.into_inner().expect("results").into_values().collect()
}

/// Messages, differing numbers and C files, for whoever works on it.
fn details(rows: &[Row]) -> String {
    let interesting = rows.iter().filter(|r| r.verdict.outcome != Outcome::Pass);
    interesting.fold(String::new(), |all, r| format!("{all}{}\n{}\n\n", r.line(), r.verdict.detail))
}

#[test]
fn backend_tests_have_their_known_outcomes() {
    let Some(zoo) = zoo::require() else { return };
    if !build::tool("gcc") {
        return;
    }
    let suite = Suite::open(&zoo);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onnx_backend");
    let _ = std::fs::remove_dir_all(&folder);
    if let Ok(wanted) = std::env::var("TINYCC_BACKEND") {
        let tests: Vec<&Test> = suite.tests.iter().filter(|t| is_chosen(t, &wanted)).collect();
        assert!(!tests.is_empty(), "TINYCC_BACKEND={wanted} names no test");
        let rows = rows(&suite, &tests, &folder);
        let passed = rows.iter().filter(|r| r.verdict.outcome == Outcome::Pass).count();
        // Written past the test harness, which would keep it to itself.
        let mut out = std::io::stderr();
        writeln!(out, "\n{}", details(&rows)).expect("stderr");
        for row in &rows {
            writeln!(out, "{}", row.line()).expect("stderr");
        }
        let of = rows.len();
        writeln!(out, "{passed} of {of} pass; C files: {}", folder.display()).expect("stderr");
        return;
    }
    let tests: Vec<&Test> = suite.tests.iter().collect();
    let rows = rows(&suite, &tests, &folder);
    assert_eq!(rows.len(), suite.tests.len(), "a test was left out");
    let details_file = folder.with_extension("details.txt");
    std::fs::write(&details_file, details(&rows)).expect("writes");
    std::fs::remove_dir_all(&folder).expect("removes");
    let path = cases::root().join("tests/onnx_backend/outcomes.txt");
    let counts_path = cases::root().join("compiler/driver/src/onnx_backend.tsv");
    let (new, counts) = (table::text(&rows), table::operators(&rows, &suite.tests));
    if std::env::var_os("TINYCC_BLESS").is_some() {
        std::fs::write(&path, &new).expect("writes");
        std::fs::write(&counts_path, &counts).expect("writes");
    }
    println!("{}", new.lines().take_while(|l| !l.is_empty()).collect::<Vec<_>>().join("\n"));
    let on_disk = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let old = on_disk(&path);
    assert!(
        old == new,
        "outcomes differ from {} (details: {}); if all are for the better, TINYCC_BLESS=1 writes \
         it:\n{}",
        path.display(),
        details_file.display(),
        table::changes(&old, &new).join("\n")
    );
    assert!(on_disk(&counts_path) == counts, "{} is out of date", counts_path.display());
}
