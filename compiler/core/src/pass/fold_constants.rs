//! Replaces operators whose operands are all constant by their value.

use super::Pass;
use crate::diagnostic::Diagnostics;
use crate::graph::verify::is_data;
use crate::graph::{Graph, Value};
use crate::op::{Constant, Op, Signature, ValueInfo};
use crate::tensor::DType;
use std::sync::Arc;

/// The pass.
pub const PASS: Pass = Pass {
    name: "fold-constants",
    about: "evaluate operators whose operands are all constant",
    run: |graph| run(graph, true),
};

/// The pass for targets that store int8 weights: a Dequantize of a constant stays.
pub const KEEP_QUANTIZED: Pass = Pass {
    name: "fold-constants-but-weights",
    about: "evaluate operators whose operands are all constant, but not the dequantization of weights",
    run: |graph| run(graph, false),
};

/// Results larger than this stay operators: folding must not blow up flash.
const MAX_BYTES: usize = 1 << 20;
/// All results together: a chain of expansions must not fill the memory either.
const MAX_TOTAL_BYTES: usize = 8 << 20;
/// Windows and matrix products whose operand and result elements multiply to more stay operators:
/// their cost may be that product.
const MAX_PRODUCT: usize = 1 << 26;

/// Whether evaluation would take too long: few steps per element are none.
fn is_costly(op: &Op, s: &Signature<'_>) -> bool {
    let elements =
        |v: &[ValueInfo<'_>]| v.iter().fold(1usize, |n, i| n.saturating_add(i.shape().elements()));
    op.takes_long() && elements(&s.operands).saturating_mul(elements(&s.results)) > MAX_PRODUCT
}

fn run(graph: &mut Graph, fold_weights: bool) -> Result<usize, Diagnostics> {
    let (mut changes, mut total) = (0, 0usize);
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let signature = graph.signature(id);
        let constants: Option<Vec<_>> = signature.operands.iter().map(|o| o.constant).collect();
        let Some(inputs) = constants.filter(|c| !c.is_empty() && !is_data(&node.op)) else {
            continue;
        };
        let bytes = node.results.iter().fold(0usize, |n, v| n.saturating_add(v.ty.bytes()));
        let fits = bytes <= MAX_BYTES && total + bytes <= MAX_TOTAL_BYTES;
        let is_weights = matches!(node.op, Op::Dequantize(_))
            && matches!(signature.operands.first().map(ValueInfo::dtype), Some(DType::I8));
        if !fits || is_costly(&node.op, &signature) || (is_weights && !fold_weights) {
            continue;
        }
        total += bytes;
        let Ok(tensors) = node.op.eval(&signature, &inputs) else { continue };
        let (origin, values): (_, Vec<Value>) = (node.origin.clone(), node.results.clone());
        for (r, (tensor, value)) in tensors.into_iter().zip(values).enumerate() {
            let op = Op::from(Constant { tensor: Arc::new(tensor) });
            let constant = graph.add(op, vec![value], origin.clone());
            graph.replace_uses(id.result(r), constant.result(0));
        }
        changes += 1;
    }
    graph.remove_dead();
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Origin;
    use crate::geometry::Padding;
    use crate::numeric::Activation;
    use crate::op::MaxPool2d;
    use crate::op::PoolAttributes;
    use crate::tensor::{Shape, Tensor, TensorData, TensorType};

    /// Nodes left after folding a maximum over windows of `window` on a constant image.
    fn folded(extent: usize, window: usize) -> usize {
        let ty = TensorType::new(DType::F32, Shape(vec![1, extent, extent, 1]));
        let value = Value { name: "t".into(), ty: ty.clone(), quant: None };
        let data = TensorData::zeros(DType::F32, extent * extent);
        let tensor = Arc::new(Tensor { shape: ty.shape, data });
        let mut graph = Graph::new();
        let image = graph.add(Constant { tensor }.into(), vec![value.clone()], Origin::default());
        let pool = MaxPool2d(PoolAttributes {
            dilation: (1, 1),
            window: (window, window),
            stride: (1, 1),
            padding: Padding::Same,
            activation: Activation::None,
        });
        let pool = graph.add_with(pool.into(), &[image.result(0)], vec![value], Origin::default());
        graph.set_outputs(vec![pool.result(0)]);
        run(&mut graph, true).expect("folds");
        graph.nodes().len()
    }

    #[test]
    fn only_what_is_cheap_to_evaluate_is_folded() {
        assert_eq!(folded(8, 3), 1);
        assert_eq!(folded(256, 256), 2);
    }
}
