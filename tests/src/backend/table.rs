//! The committed table: one line per test, totals on top.

use super::suite::Test;
use super::{Outcome, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A test's verdict, and why it is not counted.
#[derive(Clone, Debug)]
pub struct Row {
    /// `kind/name`.
    pub id: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Category that is not counted.
    pub excluded: Option<&'static str>,
}

impl Row {
    /// The line of the table.
    #[must_use]
    pub fn line(&self) -> String {
        let category = self.excluded.map_or_else(String::new, |c| format!(" [{c}]"));
        format!("{}{category}: {}", self.id, self.verdict.text())
    }
}

/// The file's text.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let counted: Vec<&Row> = rows.iter().filter(|r| r.excluded.is_none()).collect();
    let number = |f: fn(&Outcome) -> bool| counted.iter().filter(|r| f(&r.verdict.outcome)).count();
    let pass = number(|o| matches!(o, Outcome::Pass));
    let unsupported = number(|o| matches!(o, Outcome::Unsupported(_)));
    let fail = number(|o| matches!(o, Outcome::Fail(_)));
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    for category in rows.iter().filter_map(|r| r.excluded) {
        *categories.entry(category).or_default() += 1;
    }
    let categories: Vec<String> = categories.iter().map(|(c, n)| format!("{c} {n}")).collect();
    let mut out = format!(
        "# The ONNX backend tests through tinycc, C and gcc. Made and compared by the test onnx_backend:\n\
         # TINYCC_BLESS=1 cargo test --release -p tinycc-tests --test onnx_backend\n\
         # (bound: x): the input x was given as a constant (--input-value), as the compiler advised; --nms-rows 2:\n\
         # so was the number of rows of a NonMaxSuppression.\n\
         # [category]: run, but not counted (tests/src/backend/rules.rs).\n\
         tests: {}\n\
         not counted: {} ({})\n\
         counted: {}\n\
         pass: {pass} ({:.1} %)\n\
         unsupported: {unsupported}\n\
         fail: {fail}\n\n",
        rows.len(),
        rows.len() - counted.len(),
        categories.join(", "),
        counted.len(),
        100.0 * pass as f64 / counted.len().max(1) as f64,
    );
    for row in rows {
        let _ = writeln!(out, "{}", row.line());
    }
    out
}

/// Lines `OPERATOR<tab>PASSED<tab>TESTS`: the counted tests whose model holds the operator. The driver
/// shows them in SUPPORTED-OPS.md.
#[must_use]
pub fn operators(rows: &[Row], tests: &[Test]) -> String {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let ops: BTreeMap<String, &[String]> =
        tests.iter().map(|t| (t.id(), t.ops.as_slice())).collect();
    for row in rows.iter().filter(|r| r.excluded.is_none()) {
        for op in ops.get(&row.id).copied().unwrap_or_default() {
            let (passed, all) = counts.entry(op).or_default();
            *passed += usize::from(row.verdict.outcome == Outcome::Pass);
            *all += 1;
        }
    }
    let line = |(op, (passed, all)): (&&str, &(usize, usize))| format!("{op}\t{passed}\t{all}\n");
    counts.iter().map(line).collect()
}

/// The lines of two tables that differ: `- old`, `+ new`.
#[must_use]
pub fn changes(old: &str, new: &str) -> Vec<String> {
    let key = |line: &str| line.split([':', ' ']).next().unwrap_or_default().to_string();
    let lines = |text: &str| -> BTreeMap<String, String> {
        let rows = text.lines().filter(|l| l.contains("/test_"));
        rows.map(|l| (key(l), l.to_string())).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let mut out = Vec::new();
    for (id, line) in &old {
        if new.get(id) != Some(line) {
            out.push(format!("- {line}"));
            out.extend(new.get(id).map(|line| format!("+ {line}")));
        }
    }
    out.extend(new.iter().filter(|(id, _)| !old.contains_key(*id)).map(|(_, l)| format!("+ {l}")));
    out
}
