//! BroadcastTo: repeats dimensions of extent 1 (numpy rules). TFLite BROADCAST_TO.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::geometry::{broadcast, broadcast_strides};
use crate::kir::KernelBuilder;

/// Trailing dimensions are aligned; those of the operand are 1 or equal.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastTo {
    /// Shape of the result.
    pub shape: Shape,
}

impl BroadcastTo {
    fn map(&self, x: &Shape) -> AffineCopy {
        let (source, target) = (broadcast_strides(x, &self.shape), self.shape.strides());
        let dims = self.shape.0.iter().enumerate().map(|(i, &extent)| Dim {
            extent,
            source: source[i],
            target: target[i] as i64,
        });
        AffineCopy { dims: dims.collect(), source_base: 0, target_base: 0 }
    }
}

impl Operator for BroadcastTo {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let shape = movement::result_shape(self.shape.0.clone())?;
        if broadcast(x.shape(), &shape).as_ref() != Some(&shape) {
            let x = x.shape();
            return Err(OpError::invalid(format!("{x} cannot be broadcast to {shape}")));
        }
        Ok(vec![TensorType::new(x.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval(s, inputs, &[self.map(s.operand(0)?.shape())])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        let same = |x: &super::ValueInfo<'_>| x.shape().elements() == self.shape.elements();
        movement::alias_if(s.operands.first().is_some_and(same))
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower(s, k, &[self.map(s.operand(0)?.shape())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for (from, to) in [
            (&[3][..], &[2, 4, 3][..]),
            (&[2, 1, 3], &[2, 4, 3]),
            (&[1, 4, 1], &[2, 4, 3]),
            (&[], &[5]),
            (&[2, 3], &[1, 2, 3]),
        ] {
            check(BroadcastTo { shape: to.into() }, &[Spec::f32(from)], &[]);
        }
    }
}
