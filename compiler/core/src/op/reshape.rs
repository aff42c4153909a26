//! Reshape: the same elements under another shape. TFLite RESHAPE, SQUEEZE and EXPAND_DIMS.

use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kir::KernelBuilder;

/// Target shape, fully known; element counts must agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// New shape.
    pub shape: Shape,
}

impl Operator for Reshape {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if x.shape().elements() != self.shape.elements() {
            return Err(OpError::invalid(format!(
                "cannot reshape {} ({} elements) to {} ({} elements)",
                x.shape(),
                x.shape().elements(),
                self.shape,
                self.shape.elements()
            )));
        }
        Ok(vec![TensorType::new(x.dtype(), self.shape.clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        Ok(vec![Tensor { shape: self.shape.clone(), data: x.data.clone() }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::Alias
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = self.shape.elements();
        k.for_("i", n, |k, i| {
            let value = k.load(x, i.clone());
            k.store(y, i, value);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        let reshape = Reshape { shape: Shape(vec![6, 5]) };
        check(reshape.clone(), &[Spec::i8(&[2, 3, 5], 0.1, 0)], &[(0.1, 0)]);
        check(reshape, &[Spec::f32(&[30])], &[]);
    }
}
