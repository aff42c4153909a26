//! Bitwise: and, or, exclusive or of integers and of truth values, with broadcasting. ONNX And,
//! BitwiseAnd and relatives.

use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::geometry::broadcast;
use crate::kir::{BinOp, Expr, KernelBuilder};
use crate::tensor::{Tensor, TensorType};

/// A connective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connective {
    /// Both.
    And,
    /// At least one.
    Or,
    /// Exactly one.
    Xor,
}

/// y = a `connective` b, bit by bit. A truth value is the bit 0 or 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Bitwise {
    /// How bits combine.
    pub connective: Connective,
}

impl Operator for Bitwise {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        let (a, b) = (s.operand(0)?, s.operand(1)?);
        if a.dtype() != b.dtype() || !integer::is_plain_or_bool(s) {
            return Err(OpError::types(s));
        }
        let shape = broadcast(a.shape(), b.shape()).ok_or_else(|| {
            OpError::invalid(format!("shapes {} and {} do not broadcast", a.shape(), b.shape()))
        })?;
        Ok(vec![TensorType::new(a.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        binary::eval_int(s, inputs, |a, b| match self.connective {
            Connective::And => a & b,
            Connective::Or => a | b,
            Connective::Xor => a ^ b,
        })
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let ty = integer::wrapping(s.operand(0)?.dtype());
        let operator = match self.connective {
            Connective::And => BinOp::And,
            Connective::Or => BinOp::Or,
            Connective::Xor => BinOp::Xor,
        };
        binary::lower(s, k, |_, a, b| Expr::bin(operator, a.cast(ty), b.cast(ty)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_integers};
    use crate::tensor::DType;

    #[test]
    fn lowering_equals_evaluation() {
        for connective in [Connective::And, Connective::Or, Connective::Xor] {
            let op = || Bitwise { connective };
            check_integers(op(), |dtype| [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]);
            let truth = |shape: &[usize]| Spec::of(DType::Bool, shape);
            check(op(), &[truth(&[2, 1, 3]), truth(&[4, 1])], &[]);
        }
    }
}
