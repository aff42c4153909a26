//! Quantize: float32 to int8, or int8 to int8 of another scale. TFLite QUANTIZE.

use super::{Arithmetic, Elements, OpError, Operator, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kernels::elementwise;
use crate::kir::{Expr, Intrinsic, KernelBuilder, float, int};
use crate::numeric::{Multiplier, quantize_i8};

/// The result's quantization says to which scale and zero point.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize;

impl Operator for Quantize {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        match s.arithmetic()? {
            Arithmetic::Real => {}
            Arithmetic::Int8 => drop(x.per_tensor()?),
        }
        s.result(0)?.per_tensor()?;
        Ok(vec![TensorType::new(DType::I8, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        let y = match s.elements(x)? {
            Elements::Real(v) => v.iter().map(|&x| quantize_i8(x, scale, zero_point)).collect(),
            Elements::Int8(v) => {
                let (from, zero_in) = s.operand(0)?.per_tensor()?;
                let m = Multiplier::from_real(f64::from(from) / f64::from(scale));
                let one = |&x: &i8| m.finish(i32::from(x) - zero_in, zero_point, (-128, 127)) as i8;
                v.iter().map(one).collect()
            }
        };
        Ok(vec![Tensor { shape: x.shape.clone(), data: TensorData::I8(y) }])
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        match s.operands.first().map(|x| x.dtype()) {
            Some(DType::I8) => Reuse::InPlace(vec![0]),
            _other_size => Reuse::None,
        }
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if s.operand(0)?.dtype() != DType::F32 {
            return Err(OpError::types(s));
        }
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        elementwise::unary(k, n, x, y, |_, v| {
            let rounded = Expr::call(Intrinsic::RoundHalfAwayF32, vec![v / float(scale)]);
            // The rounding saturates to int32, so clamp before the zero point is added.
            rounded.clamp(-128 - zero_point, 127 - zero_point) + int(i64::from(zero_point))
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data};

    #[test]
    fn lowering_equals_evaluation() {
        check(Quantize, &[Spec::f32(&[7, 9])], &[(0.03, -128)]);
        check(Quantize, &[Spec::f32(&[7, 9])], &[(1e-12, 127)]);
        check(Quantize, &[Spec::i8(&[7, 9], 0.02, 5)], &[(0.03, -7)]);
        check(Quantize, &[Spec::i8(&[7, 9], 0.02, 5)], &[(1e-12, 127)]);
        let odd = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e30, 0.5, -0.5];
        check_data(Quantize, TensorData::F32(odd), &[(1.0, 5)]);
    }
}
