//! Which constants stay float32 whatever the precision of the file: those of filters in front of a
//! logarithm. Nothing about how they are written.

use crate::graph::{Graph, ValueId};
use crate::op::Op;
use std::collections::BTreeSet;

/// What the user of the stick should know about them.
pub const ON_THE_STICK: &str = "constants in front of a logarithm are float32 in the file, but the stick \
    computes in float16: compare its results with --devices CPU,MYRIAD";

/// Constants that a logarithm depends on. In the gaps of a filter bank the terms of a sum cancel down to
/// some 80 dB below them, to where float16 filters leave their rounding; the logarithm makes that a
/// difference of the size of the signal.
pub fn before_logarithms(graph: &Graph) -> BTreeSet<ValueId> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = Vec::new();
    for id in graph.schedule() {
        if graph.get(id).is_some_and(|n| matches!(n.op, Op::Log(_))) {
            open.extend(graph.operands(id));
        }
    }
    while let Some(value) = open.pop() {
        let Some(node) = graph.get(value.node).filter(|_| seen.insert(value)) else { continue };
        if let Op::Constant(_) = node.op {
            found.insert(value);
        } else if !keeps_relative_errors_small(&node.op) {
            open.extend(graph.operands(value.node));
        }
    }
    found
}

/// Operators whose results are positive and off by a part of themselves only, however much the terms in
/// front of them cancel.
fn keeps_relative_errors_small(op: &Op) -> bool {
    matches!(op, Op::Exp(_) | Op::Logistic(_) | Op::Softmax(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Origin;
    use crate::graph::Value;
    use crate::numeric::Activation;
    use crate::op::{Constant, Exp, Input, Log, Neg};
    use crate::op::{Mul, Sub};
    use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
    use std::sync::Arc;

    /// log((x * filter)^2 * exp(x * weight)) - bias: the filter is found, weight and bias are not.
    #[test]
    fn filters_of_a_logarithm_are_found() {
        let mut graph = Graph::new();
        let value = |name: &str| Value {
            name: name.into(),
            ty: TensorType::new(DType::F32, [2].as_slice().into()),
            quant: None,
        };
        let at = Origin::default;
        let ty = value("x").ty;
        let x = graph.add(Input { ty }.into(), vec![value("x")], at()).result(0);
        let mut constant = |name: &str| {
            let data = TensorData::F32(vec![0.1, 0.2]);
            let tensor = Arc::new(Tensor { shape: Shape(vec![2]), data });
            graph.add(Constant { tensor }.into(), vec![value(name)], at()).result(0)
        };
        let (filter, weight, bias) = (constant("filter"), constant("weight"), constant("bias"));
        let mut add =
            |op: Op, of: &[ValueId]| graph.add_with(op, of, vec![value("y")], at()).result(0);
        let none = Activation::None;
        let filtered = add(Mul { activation: none }.into(), &[x, filter]);
        let negative = add(Neg.into(), &[filtered]);
        let product = add(Mul { activation: none }.into(), &[x, weight]);
        let (exp, moved) = (
            add(Exp.into(), &[product]),
            add(Mul { activation: none }.into(), &[negative, negative]),
        );
        let inside = add(Mul { activation: none }.into(), &[moved, exp]);
        let log = add(Log.into(), &[inside]);
        let y = add(Sub { activation: none }.into(), &[log, bias]);
        graph.set_outputs(vec![y]);
        assert_eq!(before_logarithms(&graph), BTreeSet::from([filter]));
    }
}
