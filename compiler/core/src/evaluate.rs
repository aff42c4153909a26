//! Reference evaluation of a whole graph, operator by operator.

use crate::diagnostic::{Diagnostic, Diagnostics, Origin};
use crate::graph::{Graph, ValueId};
use crate::op::{Op, OpError};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Outputs for the given inputs, both in model order.
///
/// # Errors
/// Inputs that do not fit, or an operator that cannot be evaluated.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostics> {
    let values = run_all(graph, inputs)?;
    Ok(graph.outputs().iter().filter_map(|v| values.get(v).cloned()).collect())
}

/// Every value of the graph, for layer-by-layer comparison.
///
/// # Errors
/// As [`run`].
pub fn run_all(graph: &Graph, inputs: &[Tensor]) -> Result<BTreeMap<ValueId, Tensor>, Diagnostics> {
    let mut values: BTreeMap<ValueId, Tensor> = BTreeMap::new();
    let misfit = |message: String| -> Diagnostics {
        Diagnostic::new(crate::Code::BadOption, Origin::default(), message).into()
    };
    if inputs.len() != graph.inputs().len() {
        return Err(misfit(format!(
            "{} inputs given, the model has {}",
            inputs.len(),
            graph.inputs().len()
        )));
    }
    for (&id, tensor) in graph.inputs().iter().zip(inputs) {
        let v = id.result(0);
        if let Some(value) = graph.value(v)
            && value.ty != tensor.ty()
        {
            let (name, want) = (&value.name, &value.ty);
            return Err(misfit(format!("input \"{name}\" is {}, expected {want}", tensor.ty())));
        }
        values.insert(v, tensor.clone());
    }
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        if matches!(node.op, Op::Input(_)) {
            continue;
        }
        let operands = graph.operands(id);
        let tensors: Vec<&Tensor> = operands.iter().filter_map(|v| values.get(v)).collect();
        let results = node
            .op
            .eval(&graph.signature(id), &tensors)
            .map_err(|e: OpError| Diagnostics::from(e.into_diagnostic(node.origin.clone())))?;
        for (r, tensor) in results.into_iter().enumerate() {
            values.insert(id.result(r), tensor);
        }
    }
    Ok(values)
}
