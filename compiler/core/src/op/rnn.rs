//! Rnn: the plain recurrent layer, one direction. ONNX RNN.

use super::recurrent::Kind;
use super::{GateFunction, Op, OpError, Operator, RecurrentAttributes, Signature};
use crate::kir::KernelBuilder;
use crate::kernels::recurrent::Recurrence;
use crate::tensor::{Tensor, TensorType};

/// h' = f(W x + R h + b). The bias has one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rnn {
    /// What all recurrent operators have.
    pub attributes: RecurrentAttributes,
    /// f.
    pub function: GateFunction,
}

const KIND: Kind = Kind { gates: 1, bias: 1, cell: false };

impl Operator for Rnn {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        self.attributes.infer(s, KIND, &[self.function])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        self.attributes.eval(s, inputs, KIND, |p, x, h, _| {
            let next = |j| self.function.apply(self.attributes.clipped(p.sum(0, j, x, h)));
            ((0..h.len()).map(next).collect(), Vec::new())
        })
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.attributes.macs(s, KIND.gates)
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
        let recurrence: &Recurrence = &buffers.recurrence;
        let [w, r] = recurrence.gates(buffers.w, buffers.r);
        recurrence.build(k, &[], |k, step| {
            k.for_("j", self.attributes.hidden, |k, j| {
                let sum = buffers.start(k, "sum", 0, &j);
                w.accumulate(k, &[(0, sum)], &step.x, &j);
                r.accumulate(k, &[(0, sum)], &step.h, &j);
                let h = self.attributes.gate(k, "h", sum, self.function);
                step.next.store(k, &j, h);
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
        let optional =
            [RecurrentOperand::Hidden, RecurrentOperand::Lengths, RecurrentOperand::Bias];
        let results = [RecurrentResult::Hidden, RecurrentResult::Sequence];
        check_all((1, 1), &optional, &results, &|attributes| {
            Rnn { attributes, function: BOUNDED[1] }.into()
        });
    }
}
