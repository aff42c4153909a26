//! Lstm: long short-term memory, one direction. ONNX LSTM.

use super::recurrent::{Buffers, Kind};
use super::{GateFunction, Op, OpError, Operator, RecurrentAttributes, Signature};
use crate::kernels::recurrent::{State, Step};
use crate::kir::{Expr, Intrinsic, KernelBuilder, Var, float, idx};
use crate::tensor::{Tensor, TensorType};

/// With the gates i, o, f, c in this order in the weights and the bias, and peepholes p of i, o, f:
///
/// i = f(Wi x + Ri h + bi + pi * c), f = f(Wf x + Rf h + bf + pf * c) or 1 - i,
/// c' = f * c + i * g(Wc x + Rc h + bc), o = f(Wo x + Ro h + bo + po * c'), h' = o * h(c').
///
/// `clip` limits the sums of the gates, not the cell state, as ONNX Runtime has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// What all recurrent operators have.
    pub attributes: RecurrentAttributes,
    /// f, g and h.
    pub functions: [GateFunction; 3],
    /// Whether the forget gate is 1 - i; its weights are not read then.
    pub input_forget: bool,
    /// Limit of the magnitude of the cell state, finite and above 0. TFLite's `cell_clip`.
    pub cell_clip: Option<f32>,
}

const INPUT: usize = 0;
const OUTPUT: usize = 1;
const FORGET: usize = 2;
const CELL: usize = 3;
const KIND: Kind = Kind { gates: 4, bias: 4, cell: true };

impl Lstm {
    /// One element: all gates in one loop.
    fn element(
        &self,
        k: &mut KernelBuilder,
        buffers: &Buffers,
        step: &Step,
        (cell, j): (State, &Expr),
    ) {
        let attributes = &self.attributes;
        let [f, g, h] = self.functions;
        let input = buffers.start(k, "input", INPUT, j);
        let output = buffers.start(k, "output", OUTPUT, j);
        let forget = (!self.input_forget).then(|| buffers.start(k, "forget", FORGET, j));
        let update = buffers.start(k, "update", CELL, j);
        let mut sums = vec![(INPUT, input), (OUTPUT, output), (CELL, update)];
        sums.extend(forget.map(|v| (FORGET, v)));
        let [w, r] = buffers.recurrence.gates(buffers.w, buffers.r);
        w.accumulate(k, &sums, &step.x, j);
        r.accumulate(k, &sums, &step.h, j);
        let peephole = |k: &mut KernelBuilder, row: usize, sum: Var, c: &Expr| {
            if let Some(p) = buffers.peepholes {
                let weight = k.load(p, j.clone() + idx(row * attributes.hidden));
                k.accumulate(sum, weight * c.clone());
            }
        };
        let cell = step.state(cell);
        let c = k.let_("c", cell.load(k, j));
        peephole(k, INPUT, input, &c);
        let i = attributes.gate(k, "i", input, f);
        let kept = match forget {
            Some(forget) => {
                peephole(k, FORGET, forget, &c);
                attributes.gate(k, "f", forget, f)
            }
            None => float(1.0) - i.clone(),
        };
        let candidate = attributes.gate(k, "g", update, g);
        let mut next = kept * c + i * candidate;
        if let Some(limit) = self.cell_clip {
            let at_least = Expr::call(Intrinsic::MaxF32, vec![next, float(-limit)]);
            next = Expr::call(Intrinsic::MinF32, vec![at_least, float(limit)]);
        }
        let c = k.let_("c", next);
        cell.store(k, j, c.clone());
        peephole(k, OUTPUT, output, &c);
        let o = attributes.gate(k, "o", output, f);
        step.next.store(k, j, o * h.expression(c));
    }
}

impl Operator for Lstm {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        if self.cell_clip.is_some_and(|c| !c.is_finite() || c <= 0.0) {
            return Err(OpError::invalid("the limit of the cell state should be above 0"));
        }
        self.attributes.infer(s, KIND, &self.functions)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [f, g, output] = self.functions;
        let clipped = |x| self.attributes.clipped(x);
        self.attributes.eval(s, inputs, KIND, |p, x, h, c| {
            let one = |j: usize| {
                let sum = |gate| p.sum(gate, j, x, h);
                let i = f.apply(clipped(sum(INPUT) + p.peephole(INPUT, j) * c[j]));
                let kept = if self.input_forget {
                    1.0 - i
                } else {
                    f.apply(clipped(sum(FORGET) + p.peephole(FORGET, j) * c[j]))
                };
                let mut next = kept * c[j] + i * g.apply(clipped(sum(CELL)));
                if let Some(limit) = self.cell_clip {
                    next = tinycc_rt::min_f32(tinycc_rt::max_f32(next, -limit), limit);
                }
                let o = f.apply(clipped(sum(OUTPUT) + p.peephole(OUTPUT, j) * next));
                (o * output.apply(next), next)
            };
            (0..h.len()).map(one).unzip()
        })
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.attributes.macs(s, if self.input_forget { 3 } else { 4 })
    }

    fn with_results(&self, read: &[bool]) -> Option<Op> {
        let attributes = self.attributes.with_results(read)?;
        Some(Self { attributes, ..self.clone() }.into())
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let buffers = self.attributes.declare(s, k)?;
        let (result, initial) = buffers.cell;
        let cell = self.attributes.state(k, "c", result, initial);
        buffers.recurrence.build(k, &[cell], |k, step| {
            k.for_("j", self.attributes.hidden, |k, j| {
                self.element(k, &buffers, step, (cell, &j));
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::recurrent::testing::{BOUNDED, check_all};
    use crate::op::{RecurrentOperand, RecurrentResult};

    #[test]
    fn lowering_equals_evaluation() {
        let optional = [
            RecurrentOperand::Bias,
            RecurrentOperand::Lengths,
            RecurrentOperand::Hidden,
            RecurrentOperand::Cell,
            RecurrentOperand::Peepholes,
        ];
        let results = [RecurrentResult::Sequence, RecurrentResult::Hidden, RecurrentResult::Cell];
        for input_forget in [false, true] {
            check_all((4, 4), &optional, &results, &|attributes| {
                let functions = if attributes.hidden == 5 {
                    [BOUNDED[3], BOUNDED[2], BOUNDED[4]]
                } else {
                    [BOUNDED[0], BOUNDED[1], BOUNDED[1]]
                };
                let cell_clip = input_forget.then_some(0.25);
                Lstm { attributes, functions, input_forget, cell_clip }.into()
            });
        }
    }
}
