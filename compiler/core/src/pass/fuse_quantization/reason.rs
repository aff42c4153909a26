//! Why a layer of a quantized model computes in float.

use crate::graph::{Graph, NodeId, ValueId};
use crate::op::Op;
use crate::tensor::DType;

/// Whether a graph has quantized values at all.
#[must_use]
pub fn is_quantized(graph: &Graph) -> bool {
    graph.nodes().into_iter().filter_map(|id| graph.get(id)).any(|node| {
        !matches!(node.op, Op::Constant(_))
            && node.results.iter().any(|v| v.ty.dtype == DType::I8 && v.quant.is_some())
    })
}

/// Why the node computes in float although the model is quantized; `None` when it does not, or only
/// leads from float to integers or back.
#[must_use]
pub fn float_reason(graph: &Graph, id: NodeId) -> Option<String> {
    let node = graph.get(id)?;
    let is_border =
        matches!(node.op, Op::Input(_) | Op::Constant(_) | Op::Dequantize(_) | Op::Quantize(_));
    let is_float = node.results.iter().any(|v| v.ty.dtype == DType::F32);
    if is_border || !is_float {
        return None;
    }
    let name = node.op.name();
    for operand in graph.operands(id) {
        if let Some(reason) = operand_reason(graph, operand) {
            return Some(reason);
        }
    }
    for r in 0..node.results.len() {
        if let Some(reason) = result_reason(graph, id.result(r)) {
            return Some(reason);
        }
    }
    Some(format!("no integer form of {name} comes within a step of the formula here"))
}

fn operand_reason(graph: &Graph, operand: ValueId) -> Option<String> {
    let node = graph.get(operand.node)?;
    let name = &graph.value(operand)?.name;
    // A bias or another parameter may be float in the file.
    if let Op::Dequantize(_) | Op::Constant(_) = node.op {
        return None;
    }
    if let Op::Input(_) = node.op {
        return Some(format!("the model input \"{name}\" is float"));
    }
    Some(format!("operand \"{name}\" comes from {} as float", node.op.name()))
}

fn result_reason(graph: &Graph, result: ValueId) -> Option<String> {
    if graph.outputs().contains(&result) {
        return Some("its float result is a model output".into());
    }
    let users = graph.users(result);
    let reader =
        users.iter().filter_map(|(u, _)| graph.get(*u)).find(|n| !matches!(n.op, Op::Quantize(_)));
    if let Some(reader) = reader {
        return Some(format!("{} reads its result as float", reader.op.name()));
    }
    (users.len() > 1).then(|| "its result is quantized in two ways".into())
}
