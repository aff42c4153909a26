//! Dequantize: int8 to float32. TFLite DEQUANTIZE. Weights may have a scale per channel; a kernel needs
//! one scale.

use super::{OpError, Operator, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kernels::elementwise;
use crate::kir::{KernelBuilder, Ty, float, int};
use crate::numeric::dequantize;

/// y = scale * (x - zero point), with the operand's quantization.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantize;

impl Operator for Dequantize {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if x.dtype() != DType::I8 {
            return Err(OpError::types(s));
        }
        x.quantized()?;
        Ok(vec![TensorType::new(DType::F32, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let quant = s.operand(0)?.quantized()?;
        let v = x.as_i8().ok_or_else(|| OpError::types(s))?;
        // One scale covers everything.
        let stride = quant.axis.and_then(|a| x.shape.strides().get(a).copied()).unwrap_or(1).max(1);
        let channels = quant.scales.len().max(1);
        let y = v.iter().enumerate().map(|(i, &x)| {
            let c = i / stride % channels;
            let zero_point = quant.zero_points.get(c).copied().unwrap_or(0);
            dequantize(i32::from(x), quant.scales.get(c).copied().unwrap_or(1.0), zero_point)
        });
        let y = y.collect();
        Ok(vec![Tensor { shape: x.shape.clone(), data: TensorData::F32(y) }])
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (scale, zero_point) = s.operand(0)?.per_tensor()?;
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        // A float32 product rounds once, exactly like the definition's double product: the integer
        // factor has at most 9 bits, so the double product is exact.
        elementwise::unary(k, n, x, y, |_, v| {
            (v - int(i64::from(zero_point))).cast(Ty::F32) * float(scale)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        check(Dequantize, &[Spec::i8(&[16, 16], 0.0371, -128)], &[]);
        check(Dequantize, &[Spec::i8(&[16, 16], 3e37, 127)], &[]);
    }
}
