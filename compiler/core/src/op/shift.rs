//! Shift: bits of unsigned integers moved left or right, with broadcasting. ONNX BitShift.

use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::kir::{BinOp, Expr, KernelBuilder, Ty};
use crate::tensor::{Tensor, TensorType};

/// y = a << b or a >> b; 0 from the number of bits on.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Towards the high bits.
    pub left: bool,
}

impl Operator for Shift {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        if !integer::is_plain(s) || !s.operand(0)?.dtype().is_unsigned() {
            return Err(OpError::types(s));
        }
        binary::infer_numeric(s, &[])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let bits = 8 * s.operand(0)?.dtype().size() as i128;
        binary::eval_int(s, inputs, |a, b| match self.left {
            _ if b >= bits => 0,
            true => a << b,
            false => a >> b,
        })
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        let ty = integer::wrapping(dtype);
        let bits = integer::literal(8 * dtype.size() as i128, ty);
        let operator = if self.left { BinOp::Shl } else { BinOp::Shr };
        binary::lower_int(s, k, ty, |_, a, b| {
            let moved = Expr::bin(operator, a, b.clone().cast(Ty::I32));
            b.lt(bits.clone()).select(moved, integer::literal(0, ty))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, extremes};
    use crate::tensor::{DType, TensorData};

    #[test]
    fn lowering_equals_evaluation() {
        for left in [false, true] {
            for dtype in [DType::U8, DType::U16, DType::U32, DType::U64] {
                let operands = [Spec::of(dtype, &[2, 3]), Spec::of(dtype, &[3])];
                check(Shift { left }, &operands, &[]);
                let values = extremes(dtype);
                let data = || TensorData::from_i128(dtype, &values).expect("integers");
                let column = Spec::of(dtype, &[values.len(), 1]).data(data());
                let row = Spec::of(dtype, &[values.len()]).data(data());
                check(Shift { left }, &[column, row], &[]);
            }
        }
    }
}
