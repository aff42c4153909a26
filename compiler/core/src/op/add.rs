//! Add with broadcasting and fused activation. TFLite ADD.

use super::additive::{Rescale, Sign};
use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;

/// y = activation(a + b).
#[derive(Clone, Debug, PartialEq)]
pub struct Add {
    /// Fused activation.
    pub activation: Activation,
}

impl Operator for Add {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer_activated(s, self.activation, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return binary::eval_int(s, inputs, |a, b| a + b);
        }
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::eval_f32(s, inputs, |a, b| self.activation.apply_f32(a + b));
        }
        let r = Rescale::new(s, Sign::Plus, self.activation)?;
        binary::eval_i8(s, inputs, |a, b| r.eval(a, b))
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if integer::is_plain(s) {
            return binary::lower_int(s, k, integer::wrapping(dtype), |_, a, b| a + b);
        }
        if dtype == DType::F32 {
            return binary::lower(s, k, |_, a, b| self.activation.lower_f32(a + b));
        }
        let r = Rescale::new(s, Sign::Plus, self.activation)?;
        binary::lower(s, k, |k, a, b| r.lower(k, a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_quant};
    use crate::tensor::QuantParams;

    #[test]
    fn rounded_once() {
        for (a, b, y) in [(0.05, 0.021, 0.06), (0.5, 0.5, 1.0), (0.25, 1.0, 1e-9), (0.5, 0.25, 2.0)] {
            let operands = [Spec::i8(&[2, 3, 5], a, -3), Spec::i8(&[3, 1], b, 100)];
            let to = QuantParams::per_tensor(y, -7).half_even();
            check_quant(Add { activation: Activation::Relu }, &operands, &to);
        }
    }

    #[test]
    fn integers_wrap() {
        let op = Add { activation: Activation::None };
        crate::op::testing::check_integers(op, |dtype| {
            [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]
        });
    }

    #[test]
    fn lowering_equals_evaluation() {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let op = Add { activation };
            let (a, b) = (Spec::i8(&[2, 3, 5], 0.05, -3), Spec::i8(&[3, 1], 0.021, 100));
            check(op.clone(), &[a.clone(), b.clone()], &[(0.06, -128)]);
            // A result scale so fine that everything saturates.
            check(op.clone(), &[a, b], &[(1e-9, 127)]);
            check(op, &[Spec::f32(&[4, 1, 3]), Spec::f32(&[2, 3])], &[]);
        }
    }
}
