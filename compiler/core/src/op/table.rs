//! Table: an int8 function of one int8 as 256 bytes. Made by the `tabulate` pass from any
//! elementwise unary operator; no source format has it.

use super::{OpError, Operator, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kernels::elementwise;
use crate::kir::{Expr, KernelBuilder, int};
use std::fmt;
use std::sync::Arc;

/// `y = values[x + 128]`.
#[derive(Clone, PartialEq)]
pub struct Table {
    /// Operator the table was computed from, for readers of the output.
    pub of: &'static str,
    /// 256 results, for inputs -128 to 127.
    pub values: Arc<Vec<i8>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.of)
    }
}

impl Operator for Table {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        if s.operand(0)?.dtype() != DType::I8 || self.values.len() != 256 {
            return Err(OpError::types(s));
        }
        Ok(vec![s.operand(0)?.ty.clone()])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().and_then(|t| t.as_i8()).ok_or_else(|| OpError::types(s))?;
        let y = x.iter().map(|&x| self.values[(i32::from(x) + 128) as usize]).collect();
        Ok(vec![Tensor { shape: inputs[0].shape.clone(), data: TensorData::I8(y) }])
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let table = k.constant("table", TensorData::I8(self.values.as_ref().clone()));
        let n = s.result(0)?.shape().elements();
        elementwise::unary(k, n, x, y, |k, v| -> Expr { k.load(table, v + int(128)) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        let values = Arc::new((0..256).map(|i| ((i * 37) % 256) as u8 as i8).collect());
        check(Table { of: "Test", values }, &[Spec::i8(&[3, 50], 0.1, 3)], &[(0.1, 3)]);
    }
}
