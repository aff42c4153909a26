//! Div with broadcasting and fused activation, float32 only. TFLite DIV.

use super::{OpError, Operator, Reuse, Signature, binary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::KernelBuilder;
use crate::numeric::Activation;

/// y = activation(a / b); division by zero gives infinities and NaN as IEEE 754 says.
#[derive(Clone, Debug, PartialEq)]
pub struct Div {
    /// Fused activation.
    pub activation: Activation,
}

impl Operator for Div {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer(s, &[DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        binary::eval_f32(s, inputs, |a, b| self.activation.apply_f32(a / b))
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
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
    fn division_by_zero() {
        let zeros = Spec::f32(&[2]).data(TensorData::F32(vec![0.0, -0.0]));
        check(Div { activation: Activation::None }, &[Spec::f32(&[5, 2]), zeros], &[]);
    }
}
