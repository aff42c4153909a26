//! The readable text form of a graph, for `--emit ir` and snapshots. Print only: there is no parser.

use super::{Graph, ValueId};
use crate::graph::verify::is_data;
use crate::op::Op;
use crate::tensor::QuantParams;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One line per node in schedule order:
/// `%3: int8[1x8x8x4] {s=0.05 z=-3} = Conv2d(%0, %1, %2) {attributes}  # CONV_2D 0 "conv"`.
#[must_use]
pub fn print(graph: &Graph) -> String {
    let mut names: BTreeMap<ValueId, usize> = BTreeMap::new();
    let mut out = String::new();
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let mut results = Vec::new();
        for (r, value) in node.results.iter().enumerate() {
            let n = names.len();
            names.insert(id.result(r), n);
            let quant =
                value.quant.as_ref().map(|q| format!(" {}", quant_text(q))).unwrap_or_default();
            results.push(format!("%{n}: {}{quant}", value.ty));
        }
        let operands: Vec<String> = graph
            .operands(id)
            .iter()
            .map(|v| names.get(v).map_or_else(|| "%?".into(), |n| format!("%{n}")))
            .collect();
        let attributes = attributes(&node.op);
        let name =
            node.results.first().map_or_else(String::new, |v| v.name.escape_debug().to_string());
        let place = match node.origin.index {
            Some(i) if !is_data(&node.op) => format!("{} {i} ", node.origin.operator),
            _data => String::new(),
        };
        let _ = writeln!(
            out,
            "{} = {}({}){attributes}  # {place}\"{name}\"",
            results.join(", "),
            node.op.name(),
            operands.join(", ")
        );
    }
    let outputs: Vec<String> = graph
        .outputs()
        .iter()
        .map(|v| names.get(v).map_or_else(|| "%?".into(), |n| format!("%{n}")))
        .collect();
    let _ = writeln!(out, "return {}", outputs.join(", "));
    out
}

/// The operator's attributes after a space, as its `Debug` form shows them; nothing for data.
fn attributes(op: &Op) -> String {
    if is_data(op) {
        return String::new();
    }
    // `Name(Name { attributes })`: the variant around the struct of the same name.
    let text = format!("{op:?}");
    let inner = text.strip_prefix(op.name()).and_then(|t| t.strip_prefix('(')?.strip_suffix(')'));
    match inner.and_then(|t| t.strip_prefix(op.name())) {
        None => format!(" {text}"),
        Some("") => String::new(),
        Some(attributes) => format!(" {}", attributes.trim_start()),
    }
}

fn quant_text(quant: &QuantParams) -> String {
    match quant.axis {
        None => format!("{{s={} z={}}}", quant.scale(), quant.zero_point()),
        Some(axis) => format!("{{per-axis {axis}, {} scales}}", quant.scales.len()),
    }
}
