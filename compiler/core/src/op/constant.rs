//! A constant: weights, biases, tables, folded results.

use super::{OpError, Operator, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kir::KernelBuilder;
use std::fmt;
use std::sync::Arc;

/// Defines one value with known data, shared between graph clones.
#[derive(Clone, PartialEq)]
pub struct Constant {
    /// The data.
    pub tensor: Arc<Tensor>,
}

impl fmt::Debug for Constant {
    /// Only the type: weights have no place in messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Constant({})", self.tensor.ty())
    }
}

impl Operator for Constant {
    fn infer(&self, signature: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        signature.expect_operands(0, 0)?;
        Ok(vec![self.tensor.ty()])
    }

    fn eval(&self, _: &Signature<'_>, _: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        Ok(vec![self.tensor.as_ref().clone()])
    }

    fn lower(&self, _: &Signature<'_>, _: &mut KernelBuilder) -> Result<(), OpError> {
        Ok(())
    }
}
