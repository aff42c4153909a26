//! FlipSign: uint8 to int8 and back, 128 apart. Made by the ONNX reader where quantized uint8 values
//! enter or leave: inside, everything quantized is int8.

use super::{OpError, Operator, Reuse, Signature};
use crate::kernels::elementwise;
use crate::kir::{KernelBuilder, int};
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// The other of uint8 and int8 with the top bit inverted: `q - 128`, or `q + 128`. With a zero point
/// 128 apart it stands for the same number.
#[derive(Clone, Debug, PartialEq)]
pub struct FlipSign;

impl Operator for FlipSign {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let to = match x.dtype() == DType::U8 {
            true => DType::I8,
            false if x.dtype() == DType::I8 => DType::U8,
            false => return Err(OpError::types(s)),
        };
        Ok(vec![TensorType::new(to, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let data = if let TensorData::U8(v) = &x.data {
            TensorData::I8(v.iter().map(|&q| (q ^ 0x80).cast_signed()).collect())
        } else if let TensorData::I8(v) = &x.data {
            TensorData::U8(v.iter().map(|&q| q.cast_unsigned() ^ 0x80).collect())
        } else {
            return Err(OpError::types(s));
        };
        Ok(vec![Tensor { shape: x.shape.clone(), data }])
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let by = if s.operand(0)?.dtype() == DType::U8 { -128 } else { 128 };
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        elementwise::unary(k, n, x, y, |_, v| v + int(by));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data};

    #[test]
    fn lowering_equals_evaluation() {
        check_data(FlipSign, TensorData::U8((0..=255).collect()), &[]);
        check_data(FlipSign, TensorData::I8((-128..=127).collect()), &[]);
        check(FlipSign, &[Spec::i8(&[3, 5], 0.1, 3)], &[]);
    }
}
