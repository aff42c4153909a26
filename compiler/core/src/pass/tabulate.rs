//! Replaces elementwise unary int8 operators by 256-byte tables, filled through the operator's own
//! reference evaluation: exact by construction.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::Graph;
use crate::op::{OpError, Signature, Table, ValueInfo};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

/// The pass.
pub const PASS: Pass =
    Pass { name: "tabulate", about: "replace unary int8 operators by 256-byte tables", run };

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let mut changes = 0;
    for id in graph.nodes() {
        let Some(node) = graph.get(id) else { continue };
        let s = graph.signature(id);
        let int8 = |infos: &[ValueInfo<'_>]| infos.len() == 1 && infos[0].dtype() == DType::I8;
        if !(node.op.is_elementwise_unary() && int8(&s.operands) && int8(&s.results)) {
            continue;
        }
        let values = table(&node.op, &s)
            .map_err(|e| Diagnostics::from(e.into_diagnostic(node.origin.clone())))?;
        let of = node.op.name();
        if let Some(node) = graph.get_mut(id) {
            node.op = Table { of, values: Arc::new(values) }.into();
            changes += 1;
        }
    }
    Ok(changes)
}

/// Evaluates `op` on all 256 inputs.
fn table(op: &crate::op::Op, s: &Signature<'_>) -> Result<Vec<i8>, OpError> {
    let ty = TensorType::new(DType::I8, Shape(vec![256]));
    let all = Tensor {
        shape: ty.shape.clone(),
        data: TensorData::I8((-128..=127).map(|x: i32| x as i8).collect()),
    };
    let signature = Signature {
        operands: vec![ValueInfo { ty: &ty, constant: None, ..*s.operand(0)? }],
        results: vec![ValueInfo { ty: &ty, ..*s.result(0)? }],
    };
    let mut results = op.eval(&signature, &[&all])?;
    match results.pop().map(|t| t.data) {
        Some(TensorData::I8(values)) if values.len() == 256 => Ok(values),
        _other => Err(OpError::types(s)),
    }
}
