//! Gives values of types that are only stored the type they are computed in, for targets whose files have
//! few element types: float16, bfloat16 and float64 become float32, narrow integers int32, unsigned 32-
//! and 64-bit ones int64. Quantized values are not touched.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, NodeId, Value};
use crate::numeric::small_float;
use crate::op::{Cast, Op};
use crate::tensor::{DType, Tensor, TensorType};
use std::sync::Arc;

/// The pass.
pub const PASS: Pass = Pass {
    name: "widen-storage",
    about: "make float16 and float64 values float32, narrow integers int32",
    run,
};

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let mut changes = 0;
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        if matches!(&node.op, Op::Input(i) if i.ty.dtype == DType::U8) {
            changes += usize::from(bytes(graph, id));
            continue;
        }
        let types: Vec<DType> = node.results.iter().map(wide_type).collect();
        let Some(node) = graph.get_mut(id) else { continue };
        if let (Op::Cast(cast), Some(&to)) = (&mut node.op, types.first()) {
            cast.to = to;
        }
        for (value, to) in node.results.iter_mut().zip(types) {
            if value.ty.dtype == to {
                continue;
            }
            value.ty.dtype = to;
            changes += 1;
            if let Op::Input(input) = &mut node.op {
                input.ty.dtype = to;
            } else if let Op::Constant(constant) = &mut node.op
                && let Some(data) = small_float::widened(&constant.tensor.data)
            {
                let shape = constant.tensor.shape.clone();
                constant.tensor = Arc::new(Tensor { shape, data });
            }
        }
    }
    Ok(changes)
}

fn wide_type(value: &Value) -> DType {
    if value.quant.is_some() { value.ty.dtype } else { value.ty.dtype.widened() }
}

/// Inputs of bytes stay: cameras give them, and files have them. Who does not convert them reads int32.
fn bytes(graph: &mut Graph, input: NodeId) -> bool {
    let value = input.result(0);
    let is_cast = |id| graph.get(id).is_some_and(|n| matches!(n.op, Op::Cast(_)));
    let others: Vec<(NodeId, usize)> =
        graph.users(value).into_iter().filter(|&(user, _)| !is_cast(user)).collect();
    let Some(known) = graph.value(value).cloned() else { return false };
    if others.is_empty() && !graph.outputs().contains(&value) {
        return false;
    }
    let origin = graph.get(input).map(|n| n.origin.clone()).unwrap_or_default();
    let ty = TensorType::new(DType::I32, known.ty.shape.clone());
    let wide = Value { ty, ..known };
    let wide = graph.add_with(Cast { to: DType::I32 }.into(), &[value], vec![wide], origin);
    for (user, operand) in others {
        graph.connect(wide.result(0), user, operand);
    }
    let wide = wide.result(0);
    graph.replace_output(value, wide);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Origin;
    use crate::evaluate;
    use crate::numeric::Activation;
    use crate::op::{Constant, Input, Mul};
    use crate::tensor::{Shape, TensorData};

    fn value(name: &str, dtype: DType) -> Value {
        Value { name: name.into(), ty: TensorType::new(dtype, [2].as_slice().into()), quant: None }
    }

    #[test]
    fn half_floats_and_bytes_compute_as_before() {
        let mut graph = Graph::new();
        let at = Origin::default;
        let x = value("x", DType::F16);
        let x = graph.add(Input { ty: x.ty.clone() }.into(), vec![x], at()).result(0);
        let b = value("b", DType::U8);
        let b = graph.add(Input { ty: b.ty.clone() }.into(), vec![b], at()).result(0);
        let half = TensorData::F16(vec![0x3800, 0xc000]); // 0.5 and -2
        let tensor = Arc::new(Tensor { shape: Shape(vec![2]), data: half });
        let c = graph.add(Constant { tensor }.into(), vec![value("c", DType::F16)], at()).result(0);
        let real = |graph: &mut Graph, of| {
            let op = Cast { to: DType::F32 }.into();
            graph.add_with(op, &[of], vec![value("real", DType::F32)], at()).result(0)
        };
        let (x, c, r) = (real(&mut graph, x), real(&mut graph, c), real(&mut graph, b));
        let mul = |graph: &mut Graph, x, y| {
            let op = Mul { activation: Activation::None }.into();
            graph.add_with(op, &[x, y], vec![value("product", DType::F32)], at()).result(0)
        };
        let product = mul(&mut graph, x, c);
        let product = mul(&mut graph, product, r);
        let y = Cast { to: DType::F16 }.into();
        let y = graph.add_with(y, &[product], vec![value("y", DType::F16)], at()).result(0);
        graph.set_outputs(vec![y, b]);
        crate::pass::run_all(&mut graph, &[PASS]).expect("valid");
        let tensor = |data| Tensor { shape: Shape(vec![2]), data };
        let inputs =
            [tensor(TensorData::F32(vec![3.0, 4.0])), tensor(TensorData::U8(vec![1, 200]))];
        let outputs = evaluate::run(&graph, &inputs).expect("runs");
        let want = [TensorData::F32(vec![1.5, -1600.0]), TensorData::I32(vec![1, 200])];
        assert_eq!(outputs, want.map(tensor));
    }
}
