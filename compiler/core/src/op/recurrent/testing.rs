//! Cases that the tests of all recurrent operators share. Test-only.

use super::{RecurrentAttributes, RecurrentOperand, RecurrentResult};
use crate::op::testing::{Spec, check, check_indices};
use crate::op::{GateFunction, Op};
use crate::tensor::{DType, TensorData};

/// Functions that stay small, for states that are fed back.
pub const BOUNDED: [GateFunction; 5] = [
    GateFunction::Sigmoid,
    GateFunction::Tanh,
    GateFunction::Softsign,
    GateFunction::HardSigmoid { alpha: 0.3, beta: 0.4 },
    GateFunction::ScaledTanh { alpha: 0.9, beta: -0.5 },
];

/// Small numbers, so that sums do not saturate every function.
fn small(dims: &[usize], seed: u64) -> Spec {
    let n: usize = dims.iter().product();
    let at = |i: usize| ((i as u64 * 37 + seed * 11) % 23) as f32 / 23.0 - 0.5;
    Spec::f32(dims).data(TensorData::F32((0..n).map(at).collect()))
}

/// Extents of a case.
#[derive(Clone, Copy)]
pub struct Case {
    pub steps: usize,
    pub batch: usize,
    pub inputs: usize,
    pub hidden: usize,
}

/// Operands for the attributes; `lengths` are constant if given.
pub fn operands(
    a: &RecurrentAttributes,
    case: Case,
    (gates, bias): (usize, usize),
    lengths: Option<&[i32]>,
) -> Vec<Spec> {
    let Case { steps, batch, inputs, hidden } = case;
    let mut specs = vec![
        Spec::f32(&[steps, batch, inputs]),
        small(&[gates * hidden, inputs], 1),
        small(&[gates * hidden, hidden], 2),
    ];
    specs.extend(a.operands.iter().map(|o| match (o, lengths) {
        (RecurrentOperand::Bias, _) => small(&[bias * hidden], 3),
        (RecurrentOperand::Lengths, None) => Spec::of(DType::I32, &[batch]),
        (RecurrentOperand::Lengths, Some(l)) => {
            Spec::of(DType::I32, &[batch]).data(TensorData::I32(l.to_vec()))
        }
        (RecurrentOperand::Hidden | RecurrentOperand::Cell, _) => Spec::f32(&[batch, hidden]),
        (RecurrentOperand::Peepholes, _) => small(&[3 * hidden], 5),
    }));
    specs
}

/// Directions, extents, optional operands and subsets of results of one operator.
pub fn check_all(
    (gates, bias): (usize, usize),
    optional: &[RecurrentOperand],
    results: &[RecurrentResult],
    op: &dyn Fn(RecurrentAttributes) -> Op,
) {
    let case = |steps, batch, inputs, hidden| Case { steps, batch, inputs, hidden };
    let cases = [case(1, 1, 1, 1), case(4, 1, 3, 5), case(3, 2, 1, 4), case(5, 3, 2, 1)];
    for (i, case) in cases.into_iter().enumerate() {
        for reverse in [false, true] {
            for wanted in 1..1u32 << results.len() {
                let some = results.iter().enumerate().filter(|(r, _)| wanted >> r & 1 == 1);
                let all = RecurrentAttributes {
                    hidden: case.hidden,
                    reverse,
                    clip: (i == 1).then_some(0.7),
                    operands: optional.to_vec(),
                    results: some.map(|(_, r)| *r).collect(),
                };
                let lengths: Vec<i32> = (0..case.batch as i32).map(|b| 2 - b).collect();
                for lengths in [None, Some(lengths.as_slice())] {
                    let specs = operands(&all, case, (gates, bias), lengths);
                    check(op(all.clone()), &specs, &[]);
                    check_indices(op(all.clone()), &specs, &[]);
                }
                let none = RecurrentAttributes { operands: Vec::new(), ..all };
                let specs = operands(&none, case, (gates, bias), None);
                check(op(none), &specs, &[]);
            }
        }
    }
}
