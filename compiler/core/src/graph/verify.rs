//! The graph verifier: runs after import and after every pass, always, and reports all problems.

use super::{Graph, NodeId, Value};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::op::{Op, QuantRule};
use crate::tensor::{DType, QuantParams, Shape};

/// Checks every invariant of the graph module.
///
/// # Errors
/// All violations found; operator errors name the node.
pub fn verify(graph: &Graph) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    let order = graph.schedule();
    let nodes = graph.nodes();
    if order.len() != nodes.len() {
        for &id in nodes.iter().filter(|id| !order.contains(id)) {
            let origin = graph.get(id).map(|n| n.origin.clone()).unwrap_or_default();
            problems.push(Diagnostic::new(
                Code::InvalidGraph,
                origin,
                "the node depends on its own result (a cycle in the graph)",
            ));
        }
    }
    if graph.outputs().is_empty() {
        problems.push(Diagnostic::new(
            Code::InvalidGraph,
            Origin::default(),
            "the model has no outputs",
        ));
    }
    for &output in graph.outputs() {
        if graph.value(output).is_none() {
            problems.push(Diagnostic::new(
                Code::InvalidGraph,
                Origin::default(),
                "an output names a value that does not exist",
            ));
        }
    }
    for id in order {
        verify_node(graph, id, &mut problems);
    }
    problems.into_result(())
}

fn verify_node(graph: &Graph, id: NodeId, problems: &mut Diagnostics) {
    let Some(node) = graph.get(id) else { return };
    let numbers = graph.operand_numbers(id);
    if numbers.iter().enumerate().any(|(i, &n)| i != n) {
        problems.push(Diagnostic::new(
            Code::InvalidGraph,
            node.origin.clone(),
            format!("operand numbers are {numbers:?}, expected 0..{}", numbers.len()),
        ));
        return;
    }
    for value in &node.results {
        verify_value(node.origin.clone(), value, problems);
    }
    let signature = graph.signature(id);
    if let Err(message) = check_rule(node.op.quant_rule(), &node.results) {
        problems.push(Diagnostic::new(Code::InvalidOperator, node.origin.clone(), message));
    }
    match node.op.infer(&signature) {
        Err(error) => problems.push(error.into_diagnostic(node.origin.clone())),
        Ok(types) => {
            if types.len() != node.results.len() {
                problems.push(Diagnostic::new(
                    Code::InvalidGraph,
                    node.origin.clone(),
                    format!("defines {} results, expected {}", node.results.len(), types.len()),
                ));
            }
            for (value, ty) in node.results.iter().zip(&types) {
                if value.ty != *ty {
                    let mut origin = node.origin.clone();
                    origin.tensor.clone_from(&value.name);
                    problems.push(Diagnostic::new(
                        Code::InvalidOperator,
                        origin,
                        format!(
                            "the result is declared as {}, but the operator yields {ty}",
                            value.ty
                        ),
                    ));
                }
            }
        }
    }
}

/// Results whose quantization the operator fixes must have it. The other rules are the kernels'
/// concern: moves ignore the result's parameters as TFLM does, weights are checked by `infer`.
fn check_rule(rule: QuantRule, results: &[Value]) -> Result<(), String> {
    let QuantRule::Fixed { scale, zero_point } = rule else { return Ok(()) };
    for value in results.iter().filter(|v| v.ty.dtype == DType::I8) {
        let fits = value.quant.as_ref().is_some_and(|q| {
            q.zero_point() == zero_point && (q.scale() - scale).abs() <= scale * 1e-3
        });
        if !fits {
            return Err(format!(
                "result \"{}\" must have scale {scale} and zero point {zero_point}",
                value.name
            ));
        }
    }
    Ok(())
}

fn verify_value(mut origin: Origin, value: &Value, problems: &mut Diagnostics) {
    origin.tensor.clone_from(&value.name);
    if Shape::checked(value.ty.shape.0.clone()).is_none() {
        problems.push(Diagnostic::new(
            Code::InvalidGraph,
            origin.clone(),
            format!("shape {} has more than 2^31 - 1 elements", value.ty.shape),
        ));
    }
    if let Some(quant) = &value.quant
        && let Err(message) = check_quant(quant, &value.ty.shape)
    {
        problems.push(Diagnostic::new(Code::InvalidOperator, origin, message));
    }
}

/// Validity of quantization parameters for a tensor of `shape`.
///
/// # Errors
/// A sentence saying what is wrong.
pub fn check_quant(quant: &QuantParams, shape: &Shape) -> Result<(), String> {
    if quant.scales.is_empty() || quant.scales.len() != quant.zero_points.len() {
        return Err(format!(
            "quantization has {} scales and {} zero points",
            quant.scales.len(),
            quant.zero_points.len()
        ));
    }
    if let Some(scale) = quant.scales.iter().find(|s| !s.is_finite() || **s <= 0.0) {
        return Err(format!("quantization scale {scale} is not a positive finite number"));
    }
    match quant.axis {
        None if quant.scales.len() != 1 => {
            Err(format!("per-tensor quantization with {} scales", quant.scales.len()))
        }
        Some(axis) if axis >= shape.rank() => {
            Err(format!("quantized dimension {axis} does not exist in shape {shape}"))
        }
        Some(axis) if quant.scales.len() != shape.0[axis] => {
            Err(format!("{} scales for dimension {axis} of shape {shape}", quant.scales.len()))
        }
        _valid => Ok(()),
    }
}

impl Graph {
    /// Operand numbers as they stand on the edges, sorted.
    fn operand_numbers(&self, id: NodeId) -> Vec<usize> {
        let Some(index) = self.find(id) else { return Vec::new() };
        let mut numbers: Vec<usize> = self
            .dag
            .edges_directed(index, petgraph::Direction::Incoming)
            .map(|e| e.weight().operand as usize)
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// True for operators that stand for data rather than work.
#[must_use]
pub fn is_data(op: &Op) -> bool {
    matches!(op, Op::Input(_) | Op::Constant(_))
}
