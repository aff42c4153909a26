//! Small questions and edits that the rules share.

use crate::diagnostic::Origin;
use crate::graph::{Graph, NodeId, Value, ValueId};
use crate::op::{Constant, Op};
use crate::tensor::{DType, QuantParams, Tensor, TensorData};
use std::sync::Arc;

/// An int8 value, quantized per tensor.
#[derive(Clone, Copy, Debug)]
pub struct Quantized {
    /// The int8 value.
    pub value: ValueId,
    /// Its scale.
    pub scale: f32,
    /// Its zero point.
    pub zero_point: i32,
}

/// The int8 value that a float is the dequantization of.
pub fn dequantized(graph: &Graph, float: ValueId) -> Option<Quantized> {
    let Op::Dequantize(_) = graph.get(float.node)?.op else { return None };
    let value = *graph.operands(float.node).first()?;
    let quant = graph.value(value)?.quant.as_ref().filter(|q| q.scales.len() == 1)?;
    Some(Quantized { value, scale: quant.scale(), zero_point: quant.zero_point() })
}

/// The same, or the integers that a float constant of the file stands for.
pub fn as_int8(graph: &mut Graph, float: ValueId) -> Option<Quantized> {
    if let Some(found) = dequantized(graph, float) {
        return Some(found);
    }
    let (data, quant) = integers(graph, float)?;
    if quant.scales.len() != 1 {
        return None;
    }
    let data: Result<Vec<i8>, _> = data.into_iter().map(i8::try_from).collect();
    let Op::Constant(c) = &graph.get(float.node)?.op else { return None };
    let tensor = Tensor::new(c.tensor.shape.clone(), TensorData::I8(data.ok()?))?;
    let mut value = graph.value(float)?.clone();
    value.ty.dtype = DType::I8;
    let origin = graph.get(float.node)?.origin.clone();
    let (scale, zero_point) = (quant.scale(), quant.zero_point());
    Some(Quantized { value: constant(graph, value, tensor, origin), scale, zero_point })
}

/// The integers that a float constant stands for, zero points included, and their parameters.
pub fn integers(graph: &Graph, float: ValueId) -> Option<(Vec<i32>, QuantParams)> {
    let Op::Constant(c) = &graph.get(float.node)?.op else { return None };
    let quant = graph.value(float)?.quant.clone()?;
    let floats = c.tensor.as_f32()?;
    let dims = &c.tensor.shape.0;
    let (extent, inner) = match quant.axis {
        Some(axis) => (*dims.get(axis)?, dims.get(axis + 1..)?.iter().product::<usize>().max(1)),
        None => (1, 1),
    };
    let one = |(i, &x): (usize, &f32)| {
        let p = i / inner % extent.max(1);
        let (scale, zero_point) = (quant.scales.get(p)?, quant.zero_points.get(p)?);
        // The float is scale * (q - zero point), rounded once: dividing finds q again.
        Some(((f64::from(x) / f64::from(*scale)).round() as i32).saturating_add(*zero_point))
    };
    let data = floats.iter().enumerate().map(one).collect::<Option<Vec<_>>>()?;
    Some((data, quant))
}

/// Adds a constant.
pub fn constant(graph: &mut Graph, like: Value, tensor: Tensor, origin: Origin) -> ValueId {
    let value = Value { ty: tensor.ty(), ..like };
    let op = Constant { tensor: Arc::new(tensor) };
    graph.add(op.into(), vec![value], origin).result(0)
}

/// Whether one operand reads the value and it is no output.
pub fn is_sole_use(graph: &Graph, value: ValueId) -> bool {
    graph.users(value).len() == 1 && !graph.outputs().contains(&value)
}

/// Lets `op` on `operands` compute what node `id` computes; `source` is where it comes from.
pub fn replace(
    graph: &mut Graph,
    id: NodeId,
    op: Op,
    operands: &[ValueId],
    source: NodeId,
) -> Option<()> {
    let value = graph.get(id)?.results.first()?.clone();
    let origin = graph.get(source)?.origin.clone();
    let new = graph.add_with(op, operands, vec![value], origin);
    if !accepts(graph, new) {
        return None;
    }
    graph.replace_uses(id.result(0), new.result(0));
    Some(())
}

/// Whether equal elements of two values are equal numbers: floats are, integers where both have the
/// same parameters.
pub fn stand_for_the_same(graph: &Graph, a: ValueId, b: ValueId) -> bool {
    let (Some(a), Some(b)) = (graph.value(a), graph.value(b)) else { return false };
    a.ty.dtype == b.ty.dtype && (a.ty.dtype == DType::F32 || a.quant == b.quant)
}

/// Whether a new node is sound; one that is not stays unused and is removed with the dead.
pub fn accepts(graph: &Graph, id: NodeId) -> bool {
    let Some(node) = graph.get(id) else { return false };
    let types = node.op.infer(&graph.signature(id));
    types.is_ok_and(|t| t.iter().eq(node.results.iter().map(|v| &v.ty)))
}

/// A value of int8 with this quantization, named and shaped like another.
pub fn int8_like(graph: &Graph, value: ValueId, scale: f32, zero_point: i32) -> Option<Value> {
    let mut value = graph.value(value)?.clone();
    value.ty.dtype = DType::I8;
    value.quant = Some(QuantParams::per_tensor(scale, zero_point).half_even());
    Some(value)
}
