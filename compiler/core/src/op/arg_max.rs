//! ArgMax: position of the maximum along one dimension, the first or last one on ties. TFLite ARG_MAX.

use super::arg::ArgAttributes;
use super::{OpError, Operator, Signature};
use crate::tensor::{Tensor, TensorType};
use crate::kir::{BinOp, Expr, KernelBuilder};

/// Position of the maximum; int8 compares raw values.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgMax(pub ArgAttributes);

impl Operator for ArgMax {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        self.0.infer(s)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let last = self.0.last;
        let real = |v, best| v > best || last && v == best;
        self.0.eval(s, inputs, |v, best| v > best || last && v == best, real)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let operator = if self.0.last { BinOp::Ge } else { BinOp::Gt };
        self.0.lower(s, k, &|v, best| Expr::bin(operator, v, best))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lowering_equals_evaluation() {
        crate::op::arg::check_all(super::ArgMax);
    }
}
