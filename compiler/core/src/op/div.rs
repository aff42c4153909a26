//! Div with broadcasting and fused activation, of floats and plain integers. TFLite DIV.

use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;

/// y = activation(a / b); division by zero gives infinities and NaN as IEEE 754 says. Integers are
/// divided towards zero, by zero it gives 0, and the smallest / -1 wraps.
#[derive(Clone, Debug, PartialEq)]
pub struct Div {
    /// Fused activation.
    pub activation: Activation,
}

impl Operator for Div {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer_activated(s, self.activation, &[DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return binary::eval_int(s, inputs, |a, b| a.checked_div(b).unwrap_or(0));
        }
        binary::eval_f32(s, inputs, |a, b| self.activation.apply_f32(a / b))
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if integer::is_plain(s) {
            let ty = integer::ordered(s.operand(0)?.dtype());
            return binary::lower_int(s, k, ty, |_, a, b| integer::quotient(a, b));
        }
        binary::lower(s, k, |_, a, b| self.activation.lower_f32(a / b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            check(Div { activation }, &[Spec::f32(&[4, 1, 3]), Spec::f32(&[2, 3])], &[]);
        }
    }

    #[test]
    fn integers_truncate() {
        let op = Div { activation: Activation::None };
        crate::op::testing::check_integers(op, |dtype| {
            [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]
        });
    }

    #[test]
    fn division_by_zero() {
        let zeros = Spec::f32(&[2]).data(TensorData::F32(vec![0.0, -0.0]));
        check(Div { activation: Activation::None }, &[Spec::f32(&[5, 2]), zeros], &[]);
    }
}
