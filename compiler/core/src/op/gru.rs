//! Gru: gated recurrent unit, one direction. ONNX GRU.

use super::recurrent::{Buffers, Kind};
use super::{GateFunction, Op, OpError, Operator, RecurrentAttributes, Signature};
use crate::kernels::recurrent::{Step, Vector};
use crate::kir::{Expr, KernelBuilder, Ty, float, int};
use crate::tensor::{Tensor, TensorType};

/// With the gates z, r, h in this order in the weights:
///
/// z = f(Wz x + Rz h + bz), r = f(Wr x + Rr h + br),
/// n = g(Wh x + Rh (r * h) + bh), or with `linear_before_reset`
/// n = g(Wh x + r * (Rh h + ch) + bh), h' = (1 - z) * n + z * h.
///
/// Rows of the bias: bz, br, bh, and with `linear_before_reset` ch.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    /// What all recurrent operators have.
    pub attributes: RecurrentAttributes,
    /// f and g.
    pub functions: [GateFunction; 2],
    /// Whether r scales the product instead of the state.
    pub linear_before_reset: bool,
}

const UPDATE: usize = 0;
const RESET: usize = 1;
const NEW: usize = 2;
/// Row of the bias inside of the reset.
const INNER: usize = 3;

impl Gru {
    fn kind(&self) -> Kind {
        Kind { gates: 3, bias: if self.linear_before_reset { 4 } else { 3 }, cell: false }
    }

    /// All gates of one element in one loop.
    fn reset_after(&self, k: &mut KernelBuilder, buffers: &Buffers, step: &Step) {
        let attributes = &self.attributes;
        let [w, r] = buffers.recurrence.gates(buffers.w, buffers.r);
        k.for_("j", attributes.hidden, |k, j| {
            let update = buffers.start(k, "update", UPDATE, &j);
            let reset = buffers.start(k, "reset", RESET, &j);
            let new = buffers.start(k, "new", NEW, &j);
            let inner = buffers.start(k, "inner", INNER, &j);
            w.accumulate(k, &[(UPDATE, update), (RESET, reset), (NEW, new)], &step.x, &j);
            r.accumulate(k, &[(UPDATE, update), (RESET, reset), (NEW, inner)], &step.h, &j);
            let z = attributes.gate(k, "z", update, self.functions[0]);
            let reset = attributes.gate(k, "r", reset, self.functions[0]);
            let n = attributes.gate(k, "n", new + reset * inner, self.functions[1]);
            mix(k, step, &j, z, n);
        });
    }

    /// The product with the scaled state needs all of that state: two loops.
    fn reset_before(&self, k: &mut KernelBuilder, buffers: &Buffers, step: &Step, scaled: &Vector) {
        let attributes = &self.attributes;
        let [w, r] = buffers.recurrence.gates(buffers.w, buffers.r);
        k.for_("j", attributes.hidden, |k, j| {
            let update = buffers.start(k, "update", UPDATE, &j);
            let reset = buffers.start(k, "reset", RESET, &j);
            let sums = [(UPDATE, update), (RESET, reset)];
            w.accumulate(k, &sums, &step.x, &j);
            r.accumulate(k, &sums, &step.h, &j);
            let z = attributes.gate(k, "z", update, self.functions[0]);
            step.next.store(k, &j, z);
            let reset = attributes.gate(k, "r", reset, self.functions[0]);
            scaled.store(k, &j, reset * step.h.load(k, &j));
        });
        k.for_("j", attributes.hidden, |k, j| {
            let new = buffers.start(k, "new", NEW, &j);
            w.accumulate(k, &[(NEW, new)], &step.x, &j);
            r.accumulate(k, &[(NEW, new)], scaled, &j);
            let n = attributes.gate(k, "n", new, self.functions[1]);
            let z = k.let_("z", step.next.load(k, &j));
            mix(k, step, &j, z, n);
        });
    }
}

/// Stores (1 - z) * n + z * h.
fn mix(k: &mut KernelBuilder, step: &Step, j: &Expr, z: Expr, n: Expr) {
    let h = step.h.load(k, j);
    step.next.store(k, j, (float(1.0) - z.clone()) * n + z * h);
}

impl Operator for Gru {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        self.attributes.infer(s, self.kind(), &self.functions)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [f, g] = self.functions.map(|f| move |x| f.apply(self.attributes.clipped(x)));
        self.attributes.eval(s, inputs, self.kind(), |p, x, h, _| {
            let all = 0..h.len();
            let z: Vec<f32> = all.clone().map(|j| f(p.sum(UPDATE, j, x, h))).collect();
            let r: Vec<f32> = all.clone().map(|j| f(p.sum(RESET, j, x, h))).collect();
            let scaled: Vec<f32> = r.iter().zip(h).map(|(r, h)| r * h).collect();
            let new = |j: usize| {
                let outer = p.bias(NEW, j) + p.input(NEW, j, x);
                g(if self.linear_before_reset {
                    outer + r[j] * (p.bias(INNER, j) + p.recurrent(NEW, j, h))
                } else {
                    outer + p.recurrent(NEW, j, &scaled)
                })
            };
            (all.map(|j| (1.0 - z[j]) * new(j) + z[j] * h[j]).collect(), Vec::new())
        })
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.attributes.macs(s, self.kind().gates)
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
        if self.linear_before_reset {
            buffers.recurrence.build(k, &[], |k, step| self.reset_after(k, &buffers, step));
            return Ok(());
        }
        let scaled = k.scratch("scaled", Ty::F32, self.attributes.hidden);
        let scaled = Vector { buf: scaled, base: int(0) };
        let body = |k: &mut KernelBuilder, step: &Step| {
            self.reset_before(k, &buffers, step, &scaled);
        };
        buffers.recurrence.build(k, &[], body);
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
        let optional =
            [RecurrentOperand::Bias, RecurrentOperand::Lengths, RecurrentOperand::Hidden];
        let results = [RecurrentResult::Sequence, RecurrentResult::Hidden];
        for (linear_before_reset, bias) in [(false, 3), (true, 4)] {
            check_all((3, bias), &optional, &results, &|attributes| {
                let functions = if attributes.hidden == 5 {
                    [BOUNDED[3], BOUNDED[4]]
                } else {
                    [BOUNDED[0], BOUNDED[1]]
                };
                Gru { attributes, functions, linear_before_reset }.into()
            });
        }
    }
}
