//! The support matrix: operators x element types x targets, as counted on the operator fixtures.
//!
//! Nothing here is claimed by hand: `support.tsv` is written by the test `support_matrix`, which
//! asks every target about every operator fixture (each is checked bit for bit elsewhere), and
//! which fails when the file is out of date.

use crate::table::{Align, Table};
use std::collections::BTreeMap;
use tinycc_core::format::onnx;
use tinycc_core::format::tflite::ops::READERS;
use tinycc_targets::TARGETS;

/// Lines `OPERATOR<tab>DTYPE<tab>TARGET<tab>HOW<tab>GOOD<tab>CASES`.
const COUNTED: &str = include_str!("support.tsv");

/// Lines `OPERATOR<tab>PASSED<tab>TESTS`, written by the test `onnx_backend`.
const ONNX_COUNTED: &str = include_str!("onnx_backend.tsv");

/// Element types that have a column of their own.
const DTYPES: [&str; 2] = ["int8", "float32"];

/// What was counted for one operator, element type and target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `native`, or the pass that replaces the operator; empty when no case is supported.
    pub how: String,
    /// Fixtures the target can express.
    pub good: usize,
    /// All fixtures.
    pub cases: usize,
}

impl Cell {
    fn text(&self) -> String {
        match (self.good, self.cases) {
            (0, _) => "no".into(),
            (good, cases) if good == cases => self.how.clone(),
            (good, cases) => format!("{} ({good} of {cases} cases)", self.how),
        }
    }
}

/// (operator, element type, target) -> count.
pub type Matrix = BTreeMap<(String, String, String), Cell>;

/// The matrix as counted when this version was built.
#[must_use]
pub fn matrix() -> Matrix {
    COUNTED.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<((String, String, String), Cell)> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().map(str::to_string);
    let key = (next()?, next()?, next()?);
    let how = next()?;
    let (good, cases) = (next()?.parse().ok()?, next()?.parse().ok()?);
    Some((key, Cell { how, good, cases }))
}

/// The text of `support.tsv` for a matrix.
#[must_use]
pub fn to_tsv(matrix: &Matrix) -> String {
    let line = |((op, dtype, target), c): (&(String, String, String), &Cell)| {
        format!("{op}\t{dtype}\t{target}\t{}\t{}\t{}\n", c.how, c.good, c.cases)
    };
    matrix.iter().map(line).collect()
}

/// The table of a matrix: one row per TFLite operator that has a reader.
#[must_use]
pub fn table(matrix: &Matrix) -> Table {
    let titles: Vec<String> = TARGETS
        .iter()
        .flat_map(|t| DTYPES.iter().map(move |d| format!("{} {d}", t.name())))
        .chain(TARGETS.iter().map(|t| format!("{} other types", t.name())))
        .collect();
    let mut columns = vec![("operator", Align::Left)];
    columns.extend(titles.iter().map(|t| (t.as_str(), Align::Left)));
    let mut table = Table::new(&columns);
    for (operator, _) in READERS {
        let cell = |dtype: &str, target: &str| {
            let key = ((*operator).to_string(), dtype.to_string(), target.to_string());
            matrix.get(&key).map_or_else(|| "-".to_string(), Cell::text)
        };
        let mut row = vec![(*operator).to_string()];
        for target in TARGETS {
            row.extend(DTYPES.iter().map(|d| cell(d, target.name())));
        }
        row.extend(TARGETS.iter().map(|t| cell("mixed", t.name())));
        table.row(row);
    }
    table
}

/// Of ONNX's backend tests, passed ones and all, by operator that they hold.
fn onnx_counts() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    let line = |line: &'static str| {
        let mut fields = line.split('\t');
        Some((fields.next()?, (fields.next()?, fields.next()?)))
    };
    ONNX_COUNTED.lines().filter_map(line).collect()
}

/// The ONNX operators that have a reader, each with the opsets it is read in, the targets, and the
/// backend tests passed. A reader of an older opset goes on until the next one.
#[must_use]
pub fn onnx_table() -> Table {
    let titles = ["ONNX operator", "opsets", "targets", "backend tests passed"];
    let mut table = Table::new(&titles.map(|title| (title, Align::Left)));
    let targets: Vec<&str> = TARGETS.iter().map(|t| t.name()).collect();
    let counts = onnx_counts();
    let (first, last) = (*onnx::OPSETS.start(), *onnx::OPSETS.end());
    let readers = onnx::ops::READERS
        .iter()
        .map(|row| (row.name, row.versions.iter().map(|(v, _)| (*v).max(first)).collect()));
    let flow = onnx::flow_operators().map(|(operator, since)| (operator, vec![since.max(first)]));
    let all: BTreeMap<&str, Vec<i64>> = readers.chain(flow).collect();
    for (operator, mut since) in all {
        since.dedup();
        let until = since.iter().skip(1).map(|next| next - 1).chain([last]);
        let ranges: Vec<String> =
            since.iter().zip(until).map(|(from, to)| format!("{from}-{to}")).collect();
        let passed =
            counts.get(operator).map_or_else(|| "-".into(), |(p, n)| format!("{p} of {n}"));
        table.row(vec![operator.to_string(), ranges.join(", "), targets.join(", "), passed]);
    }
    table
}

/// The document `SUPPORTED-OPS.md`.
#[must_use]
pub fn markdown(matrix: &Matrix) -> String {
    format!(
        "# Supported operators\n\n\
         Made by `tinycc ops --markdown`; a test keeps it up to date.\n\n\
         ## TFLite\n\n\
         {}\n\
         `native`: a kernel of its own. A pass name: replaced by that pass (`tabulate`: a 256-byte\n\
         table). `no`: refused. `-`: no such case. \"Other types\" are conversions between types.\n\
         Counted on the operator fixtures, which hold many attribute and shape combinations each:\n\
         `native (3 of 5 cases)` means that two of them are refused. `tinycc inspect MODEL` tells\n\
         what is refused in a model, and why.\n\n\
         ## ONNX\n\n\
         {}\n\
         Opsets of the default domain, one range per definition that is read differently. Arithmetic is\n\
         on float32; integer arithmetic on constants, as exporters write it for shapes, is computed while\n\
         reading. Attributes, operands and dimensions that the kernels cannot do are refused with the\n\
         reason. If with a constant condition is its branch, else both branches are computed; Loop and\n\
         Scan are unrolled; functions of the file are inlined. Backend tests: those of onnx whose model\n\
         holds the operator, however many others it holds; one line each in\n\
         `tests/onnx_backend/outcomes.txt`. Strings, sequences, optionals, random generators, training,\n\
         image decoding and classical machine learning are left out.\n",
        table(matrix).to_markdown(),
        onnx_table().to_markdown()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onnx_ranges_meet_and_end_at_the_last_opset() {
        let text = onnx_table().to_markdown();
        assert!(text.contains("| Relu | 6-27 | c, rust, ncs, openvino |"), "{text}");
        assert!(text.contains("| Softmax | 1-12, 13-27 |"), "{text}");
        assert!(text.contains("| Scan | 9-27 |"), "{text}");
        let operators = onnx::ops::READERS.len() + onnx::flow_operators().count();
        assert_eq!(text.lines().count(), 2 + operators);
    }
}
