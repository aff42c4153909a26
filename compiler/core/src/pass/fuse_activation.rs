//! Fuses a float32 ReLU into the layer before it, when nothing else reads that layer's result.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, NodeId};
use crate::numeric::Activation;
use crate::op::Op;
use crate::tensor::DType;

/// The pass.
pub const PASS: Pass =
    Pass { name: "fuse-activation", about: "fuse float32 RELU into the layer before it", run };

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let changes = graph.schedule().into_iter().filter_map(|id| fuse(graph, id)).count();
    graph.remove_dead();
    Ok(changes)
}

/// The activation attribute of operators that have one.
pub(super) fn activation(op: &mut Op) -> Option<&mut Activation> {
    // Everything that is not listed has no activation to fuse into.
    if let Op::Conv2d(o) = op {
        return Some(&mut o.activation);
    }
    if let Op::DepthwiseConv2d(o) = op {
        return Some(&mut o.activation);
    }
    if let Op::FullyConnected(o) = op {
        return Some(&mut o.activation);
    }
    if let Op::TransposeConv(o) = op {
        return Some(&mut o.activation);
    }
    if let Op::Add(o) = op {
        return Some(&mut o.activation);
    }
    if let Op::Mul(o) = op {
        return Some(&mut o.activation);
    }
    None
}

fn fuse(graph: &mut Graph, id: NodeId) -> Option<()> {
    let node = graph.get(id)?;
    let Op::Relu(relu) = &node.op else { return None };
    let (kind, result) = (relu.kind, node.results.first()?.clone());
    let operand = *graph.operands(id).first()?;
    let is_float = graph.value(operand)?.ty.dtype == DType::F32;
    let is_only_reader = graph.users(operand).len() == 1 && !graph.outputs().contains(&operand);
    if !is_float || !is_only_reader {
        return None;
    }
    let layer = graph.get_mut(operand.node)?;
    let activation = activation(&mut layer.op).filter(|a| **a == Activation::None)?;
    *activation = kind;
    if let Some(value) = graph.value_mut(operand) {
        value.name = result.name;
    }
    graph.replace_uses(id.result(0), operand);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Origin;
    use crate::graph::{Value, ValueId};
    use crate::op::{Add, Input, Relu};
    use crate::tensor::TensorType;

    /// x + x, then RELU; `dtype` of everything.
    fn net(dtype: DType, second_reader: bool) -> Graph {
        let mut graph = Graph::new();
        let ty = TensorType::new(dtype, [4].as_slice().into());
        let value = |name: &str| Value { name: name.into(), ty: ty.clone(), quant: None };
        let add = |graph: &mut Graph, op: Op, operands: &[ValueId], name| {
            graph.add_with(op, operands, vec![value(name)], Origin::default()).result(0)
        };
        let x = add(&mut graph, Input { ty: ty.clone() }.into(), &[], "x");
        let sum = Add { activation: Activation::None };
        let sum = add(&mut graph, sum.into(), &[x, x], "sum");
        let relu = Relu { kind: Activation::Relu6 };
        let y = add(&mut graph, relu.into(), &[sum], "y");
        graph.set_outputs(if second_reader { vec![y, sum] } else { vec![y] });
        graph
    }

    #[test]
    fn only_an_unshared_float_result_is_fused() {
        for (dtype, second_reader, fused) in
            [(DType::F32, false, true), (DType::F32, true, false), (DType::I8, false, false)]
        {
            let mut graph = net(dtype, second_reader);
            assert_eq!(run(&mut graph).expect("runs"), usize::from(fused), "{dtype}");
            assert_eq!(graph.nodes().len(), if fused { 2 } else { 3 });
            let output = graph.outputs()[0];
            assert_eq!(graph.value(output).expect("output").name, "y");
        }
    }
}
