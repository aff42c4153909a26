//! Functions of one quantized element: a table of 256 results, computed as the file says it, in
//! float32. Exact to the ONNX formula by construction.

use super::edit::{dequantized, is_sole_use, replace};
use super::quantize;
use crate::graph::{Graph, NodeId, ValueId};
use crate::numeric::dequantize;
use crate::op::{Dequantize, Op, Reshape, Signature, Table, ValueInfo};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

/// Operators in one chain from Dequantize to Quantize.
const MAX_OPERATORS: usize = 64;

/// A float expression over one int8 value.
struct Chain {
    /// The int8 value all leaves dequantize.
    source: Option<ValueId>,
    operators: usize,
    /// The operator next to Quantize, for names.
    last: &'static str,
    shape: Shape,
}

/// Quantize of a function of one dequantized element.
pub fn tabulate(graph: &mut Graph, id: NodeId) -> Option<()> {
    let float = *graph.operands(id).first()?;
    if part(graph, id, float).is_some() {
        return Some(());
    }
    let result = graph.get(id)?.results.first()?;
    let quant = result.quant.clone()?;
    let last = graph.get(float.node)?.op.name();
    let mut chain = Chain { source: None, operators: 0, last, shape: result.ty.shape.clone() };
    let y = chain.eval(graph, float)?;
    let source = chain.source?;
    if graph.value(source)?.ty.shape != chain.shape {
        return None;
    }
    let (scale, zero_point, rounding) = (quant.scale(), quant.zero_point(), quant.rounding);
    let one = |&y: &f32| rounding.quantize_i8(y, scale, zero_point);
    let values: Vec<i8> = y.iter().map(one).collect();
    let node = float.node;
    if values.iter().copied().eq(-128..=127) {
        let op = Reshape { shape: chain.shape };
        return replace(graph, id, op.into(), &[source], node);
    }
    let op = Table { of: chain.last, values: Arc::new(values) };
    replace(graph, id, op.into(), &[source], node)
}

/// Quantize of a rectified layer: the layer is quantized, then rectified. Both cut off the same, as
/// quantizing keeps the order. This brings Quantize to layers whose activation could not be fused.
fn part(graph: &mut Graph, id: NodeId, float: ValueId) -> Option<()> {
    let Op::Relu(_) = graph.get(float.node)?.op else { return None };
    let x = *graph.operands(float.node).first()?;
    let is_layer = dequantized(graph, x).is_none() && graph.value(x)?.ty.dtype == DType::F32;
    let worth = is_layer && is_sole_use(graph, float) && is_sole_use(graph, x);
    if !worth || chained(graph, x) {
        return None;
    }
    let quant = graph.get(id)?.results.first()?.quant.clone();
    let (value, origin) = (graph.value(x)?.clone(), graph.get(float.node)?.origin.clone());
    let int8 = quantize(graph, x, quant, &origin)?;
    let back = graph.add_with(Dequantize.into(), &[int8], vec![value], origin);
    graph.connect(back.result(0), float.node, 0);
    Some(())
}

/// Whether the value is a function of one dequantized element: then all of it is one table.
fn chained(graph: &Graph, float: ValueId) -> bool {
    let Some(value) = graph.value(float) else { return false };
    let shape = value.ty.shape.clone();
    let mut chain = Chain { source: None, operators: 0, last: "", shape };
    chain.eval(graph, float).is_some() && chain.source.is_some()
}

impl Chain {
    /// The value for all 256 elements, or a constant repeated as often.
    fn eval(&mut self, graph: &Graph, float: ValueId) -> Option<Vec<f32>> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return None;
        }
        if let Some(x) = dequantized(graph, float) {
            if *self.source.get_or_insert(x.value) != x.value {
                return None;
            }
            return Some((-128..=127).map(|q| dequantize(q, x.scale, x.zero_point)).collect());
        }
        let node = graph.get(float.node)?;
        if let Op::Constant(c) = &node.op {
            let [one] = c.tensor.as_f32()? else { return None };
            return Some(vec![*one; 256]);
        }
        let value = node.results.first()?;
        let is_whole = value.ty.dtype == DType::F32 && value.ty.shape == self.shape;
        if !is_whole || node.results.len() != 1 || !is_elementwise(&node.op) {
            return None;
        }
        let ty = TensorType::new(DType::F32, Shape(vec![256]));
        let mut tensors = Vec::new();
        for operand in graph.operands(float.node) {
            let data = TensorData::F32(self.eval(graph, operand)?);
            tensors.push(Tensor::new(ty.shape.clone(), data)?);
        }
        let info = ValueInfo { name: "", ty: &ty, quant: None, constant: None };
        let s = Signature { operands: vec![info; tensors.len()], results: vec![info] };
        let inputs: Vec<&Tensor> = tensors.iter().collect();
        let y = node.op.eval(&s, &inputs).ok()?.pop()?;
        y.as_f32().filter(|y| y.len() == 256).map(<[f32]>::to_vec)
    }
}

/// Element `i` of the result depends on element `i` of each operand only.
fn is_elementwise(op: &Op) -> bool {
    op.is_elementwise_unary()
        || matches!(
            op,
            Op::Add(_)
                | Op::Sub(_)
                | Op::Mul(_)
                | Op::Div(_)
                | Op::Maximum(_)
                | Op::Minimum(_)
                | Op::SquaredDifference(_)
                | Op::PRelu(_)
        )
}
