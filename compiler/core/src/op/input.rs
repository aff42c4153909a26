//! A graph input: a value the caller provides.

use super::{OpError, Operator, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kir::KernelBuilder;

/// Defines one value of the given type.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Type of the input.
    pub ty: TensorType,
}

impl Operator for Input {
    fn infer(&self, signature: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        signature.expect_operands(0, 0)?;
        Ok(vec![self.ty.clone()])
    }

    fn eval(&self, _: &Signature<'_>, _: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        Err(OpError::invalid("an input has no value of its own"))
    }

    fn lower(&self, _: &Signature<'_>, _: &mut KernelBuilder) -> Result<(), OpError> {
        Ok(())
    }
}
