//! `tinycc inspect`: what is in a model and which target can express it. Works as far as possible
//! for models that cannot be compiled: what the file declares, plus every problem found.

use crate::capability;
use crate::compiler::Compiler;
use crate::report::json;
use crate::table::{Align, Table, grouped};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tinycc_core::diagnostic::{Diagnostic, Diagnostics, shortened};
use tinycc_core::format::{FileOperator, FileTensor, Summary};
use tinycc_core::graph::Graph;
use tinycc_targets::{Support, TARGETS};

/// Characters of a name that the text shows.
const SHOWN: usize = 80;

/// What the file holds.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// File as given.
    pub model: String,
    /// `TFLite`, or `ONNX` with its opsets.
    pub format: String,
    /// Description in the file.
    pub description: String,
    /// Number of subgraphs; only the first is described.
    pub subgraphs: usize,
    /// Inputs in model order.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in model order.
    pub outputs: Vec<TensorInfo>,
    /// Operators in file order.
    pub operators: Vec<OperatorInfo>,
    /// Multiply-accumulates; `None` when the model cannot be read.
    pub macs: Option<u64>,
    /// Whether each target can express the model.
    pub compiles: BTreeMap<String, bool>,
    /// What stands in the way.
    pub problems: Vec<Problem>,
}

/// A tensor as declared.
#[derive(Clone, Debug, Serialize)]
pub struct TensorInfo {
    /// Name.
    pub name: String,
    /// Element type; empty where the file does not say.
    pub dtype: String,
    /// Extents, -1 where one is unknown; `None` where all are.
    pub shape: Option<Vec<i64>>,
    /// First scale, when quantized.
    pub scale: Option<f32>,
    /// First zero point, when quantized.
    pub zero_point: Option<i64>,
    /// Number of scales when quantized per axis.
    pub channels: Option<usize>,
}

/// An operator of the file.
#[derive(Clone, Debug, Serialize)]
pub struct OperatorInfo {
    /// Number in the file.
    pub index: usize,
    /// Name in the file's format.
    pub operator: String,
    /// First result.
    pub output: Option<TensorInfo>,
    /// Number of results.
    pub outputs: usize,
    /// Whether tinycc has an operator of that name.
    pub is_known: bool,
    /// Multiply-accumulates, when the model can be read.
    pub macs: Option<u64>,
    /// Target -> `native`, `by PASS`, `computed` (at compile time), `unused` (no output depends on it),
    /// `no`, or `?` when a problem elsewhere keeps the model from being read.
    pub support: BTreeMap<String, String>,
}

/// A diagnostic as data.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// For example `TCC0201`.
    pub code: String,
    /// Operator number in the file, when it is about one.
    pub index: Option<usize>,
    /// What and where, as the command line prints it.
    pub text: String,
}

impl From<&Diagnostic> for Problem {
    fn from(d: &Diagnostic) -> Self {
        Self { code: d.code.as_str().into(), index: d.origin.index, text: d.to_string() }
    }
}

impl From<&FileTensor> for TensorInfo {
    fn from(t: &FileTensor) -> Self {
        Self {
            name: t.name.clone(),
            dtype: t.dtype.clone(),
            shape: t.shape.clone(),
            scale: t.scales.first().copied(),
            zero_point: t.scales.first().map(|_| t.zero_points.first().copied().unwrap_or(0)),
            channels: (t.scales.len() > 1).then_some(t.scales.len()),
        }
    }
}

/// Describes the compiler's model.
///
/// # Errors
/// Not a model at all, or one too damaged to list its operators.
pub fn inspect(compiler: &Compiler<'_>) -> Result<Inspection, Diagnostics> {
    let summary = compiler.summary()?;
    let info = |&i: &usize| TensorInfo::from(&summary.tensors[i]);
    let mut inspection = Inspection {
        model: compiler.file_name().to_string(),
        format: summary.format.clone(),
        description: summary.description.clone(),
        subgraphs: summary.subgraphs,
        inputs: summary.inputs.iter().map(info).collect(),
        outputs: summary.outputs.iter().map(info).collect(),
        operators: operators(&summary),
        macs: None,
        compiles: BTreeMap::new(),
        problems: Vec::new(),
    };
    match compiler.graph() {
        Ok(graph) => describe(&mut inspection, &graph, compiler, &needed(&summary)),
        Err(problems) => refused(&mut inspection, &problems),
    }
    Ok(inspection)
}

fn operators(summary: &Summary) -> Vec<OperatorInfo> {
    let operator = |(index, op): (usize, &FileOperator)| OperatorInfo {
        index,
        operator: op.name.clone(),
        output: op.results.first().map(|&i| TensorInfo::from(&summary.tensors[i])),
        outputs: op.results.len(),
        is_known: op.is_known,
        macs: None,
        support: BTreeMap::new(),
    };
    summary.operators.iter().enumerate().map(operator).collect()
}

/// Numbers of the operators that the outputs depend on.
fn needed(summary: &Summary) -> BTreeSet<usize> {
    let mut producers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, op) in summary.operators.iter().enumerate() {
        for &result in &op.results {
            producers.entry(result).or_default().push(number);
        }
    }
    let (mut needed, mut open) = (BTreeSet::new(), summary.outputs.clone());
    while let Some(tensor) = open.pop() {
        // Each tensor is looked up once: then its producers are gone.
        for number in producers.remove(&tensor).unwrap_or_default() {
            if needed.insert(number) {
                open.extend(&summary.operators[number].operands);
            }
        }
    }
    needed
}

/// The model can be read: costs and each target's answers. Of a needed operator nothing may be left:
/// dequantized weights are data of the layer that reads them, an Identity is its operand.
fn describe(
    inspection: &mut Inspection,
    graph: &Graph,
    compiler: &Compiler<'_>,
    needed: &BTreeSet<usize>,
) {
    let mut total = 0;
    infer_types(inspection, graph);
    for id in graph.nodes() {
        let Some(node) = graph.get(id) else { continue };
        let macs = node.op.macs(&graph.signature(id));
        total += macs;
        if let Some(op) = node.origin.index.and_then(|i| inspection.operators.get_mut(i)) {
            op.macs = Some(op.macs.unwrap_or(0) + macs);
            for target in TARGETS {
                op.support.insert(target.name().into(), "computed".into());
            }
        }
    }
    inspection.macs = Some(total);
    for target in TARGETS {
        let core = compiler.options().core.into();
        for (id, support) in capability::survey(graph, *target, core) {
            let index = graph.get(id).and_then(|n| n.origin.index);
            if let Some(op) = index.and_then(|i| inspection.operators.get_mut(i)) {
                let answer = match support {
                    Support::Native => "native".to_string(),
                    Support::Decompose(pass) => format!("by {pass}"),
                    Support::No(_) => "no".to_string(),
                };
                op.support.insert(target.name().into(), answer);
            }
        }
        let verdict = capability::unsupported(graph, *target, core);
        inspection.compiles.insert(target.name().into(), verdict.is_ok());
        if let Err(problems) = verdict {
            inspection.problems.extend(problems.0.iter().map(Problem::from));
        }
        for op in &mut inspection.operators {
            let absent = if needed.contains(&op.index) { "computed" } else { "unused" };
            op.support.entry(target.name().into()).or_insert_with(|| absent.into());
            op.macs = op.macs.or(Some(0));
        }
    }
}

/// Types of results that the file does not declare, from the graph's values of the same name.
fn infer_types(inspection: &mut Inspection, graph: &Graph) {
    let mut types = BTreeMap::new();
    for node in graph.nodes().into_iter().filter_map(|id| graph.get(id)) {
        types.extend(node.results.iter().map(|v| (v.name.as_str(), &v.ty)));
    }
    let is_open = |t: &TensorInfo| t.dtype.is_empty() || t.shape.is_none();
    let results = inspection.operators.iter_mut().filter_map(|op| op.output.as_mut());
    for tensor in results.chain(&mut inspection.outputs).filter(|t| is_open(t)) {
        if let Some(ty) = types.get(tensor.name.as_str()) {
            tensor.dtype = ty.dtype.to_string();
            tensor.shape = Some(ty.shape.0.iter().map(|&d| d as i64).collect());
        }
    }
}

/// The model cannot be read: what is known about each operator from the reader's messages.
fn refused(inspection: &mut Inspection, problems: &Diagnostics) {
    inspection.problems = problems.0.iter().map(Problem::from).collect();
    for target in TARGETS {
        inspection.compiles.insert(target.name().into(), false);
        for op in &mut inspection.operators {
            let blamed = problems.0.iter().any(|d| d.origin.index == Some(op.index));
            let answer = if op.is_known && !blamed { "?" } else { "no" };
            op.support.insert(target.name().into(), answer.into());
        }
    }
}

impl TensorInfo {
    /// `int8[1x8x8x4]`.
    fn type_text(&self) -> String {
        if self.dtype.is_empty() {
            return "?".into();
        }
        let extent = |d: &i64| if *d < 0 { "?".into() } else { d.to_string() };
        let dims = match self.shape.as_deref() {
            None => "unknown".into(),
            Some([]) => "scalar".into(),
            Some(dims) => dims.iter().map(extent).collect::<Vec<String>>().join("x"),
        };
        format!("{}[{dims}]", self.dtype)
    }

    fn quant_text(&self) -> String {
        match (self.scale, self.zero_point, self.channels) {
            (Some(_), _, Some(n)) => format!("{n} scales"),
            (Some(scale), Some(zero_point), None) => format!("scale {scale} zero {zero_point}"),
            _unquantized => String::new(),
        }
    }
}

impl Inspection {
    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{}", self.model.escape_debug());
        out.push_str(&format!(" ({}", self.format.escape_debug()));
        if !self.description.is_empty() {
            out.push_str(&format!(", {}", self.description.escape_debug()));
        }
        out.push(')');
        out.push_str(&format!(
            "\n{} operators, {} MACs\n\n",
            self.operators.len(),
            self.macs.map_or_else(|| "unknown".to_string(), grouped)
        ));
        let mut ports = Table::new(&[
            ("", Align::Left),
            ("tensor", Align::Left),
            ("type", Align::Left),
            ("quantization", Align::Left),
        ]);
        for (kind, list) in [("input", &self.inputs), ("output", &self.outputs)] {
            for t in list {
                let name = shortened(&t.name, SHOWN);
                ports.row(vec![kind.into(), name, t.type_text(), t.quant_text()]);
            }
        }
        out.push_str(&ports.to_string());
        out.push('\n');
        out.push_str(&self.operator_table().to_string());
        out.push('\n');
        for (target, yes) in &self.compiles {
            out.push_str(&format!("target {target}: {}\n", if *yes { "yes" } else { "no" }));
        }
        if !self.problems.is_empty() {
            out.push('\n');
        }
        for problem in &self.problems {
            out.push_str(&problem.text);
            out.push('\n');
        }
        out
    }

    fn operator_table(&self) -> Table {
        let mut columns = vec![
            ("#", Align::Right),
            ("operator", Align::Left),
            ("output", Align::Left),
            ("quantization", Align::Left),
            ("MACs", Align::Right),
        ];
        columns.extend(TARGETS.iter().map(|t| (t.name(), Align::Left)));
        let mut table = Table::new(&columns);
        for op in &self.operators {
            let more = if op.outputs > 1 { format!(" x{}", op.outputs) } else { String::new() };
            let output = op.output.as_ref();
            let mut cells = vec![
                op.index.to_string(),
                shortened(&op.operator, SHOWN),
                output.map_or_else(String::new, TensorInfo::type_text) + &more,
                output.map_or_else(String::new, TensorInfo::quant_text),
                op.macs.map_or_else(|| "?".into(), grouped),
            ];
            let answer = |t: &&dyn tinycc_targets::Target| op.support.get(t.name()).cloned();
            cells.extend(TARGETS.iter().map(|t| answer(t).unwrap_or_default()));
            table.row(cells);
        }
        table
    }

    /// Pretty-printed JSON with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_shapes_are_no_scalars() {
        let text = |shape: Option<&[i64]>| {
            let tensor = FileTensor {
                name: "x".into(),
                dtype: "float32".into(),
                shape: shape.map(<[i64]>::to_vec),
                scales: Vec::new(),
                zero_points: Vec::new(),
            };
            TensorInfo::from(&tensor).type_text()
        };
        assert_eq!(text(None), "float32[unknown]");
        assert_eq!(text(Some(&[])), "float32[scalar]");
        assert_eq!(text(Some(&[-1, 3])), "float32[?x3]");
    }
}
