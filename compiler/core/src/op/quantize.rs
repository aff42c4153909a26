//! Quantize: float32 to int8, or int8 to int8 of another scale. TFLite QUANTIZE, ONNX QuantizeLinear.

use super::{OpError, Operator, Reuse, Signature};
use crate::kernels::elementwise;
use crate::kir::{Expr, Intrinsic, KernelBuilder, Ty, float, int};
use crate::numeric::{Multiplier, dequantize};
use crate::tensor::{DType, Rounding, Tensor, TensorData, TensorType};

/// The result's quantization says to which scale and zero point, and how to round.
///
/// int8 operands: TFLite's rule is the integer requantization of TensorFlow Lite Micro; ONNX has
/// no such operator, so that of `HalfEven` is QuantizeLinear after DequantizeLinear.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize;

impl Operator for Quantize {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if !matches!(x.dtype(), DType::F32 | DType::I8) {
            return Err(OpError::types(s));
        }
        if x.dtype() == DType::I8 {
            x.per_tensor()?;
        }
        s.result(0)?.per_tensor()?;
        Ok(vec![TensorType::new(DType::I8, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let (scale, zero_point) = s.result(0)?.per_tensor()?;
        let rounding = s.result(0)?.quantized()?.rounding;
        let real = |x: f32| rounding.quantize_i8(x, scale, zero_point);
        let y = if let TensorData::F32(v) = &x.data {
            v.iter().map(|&x| real(x)).collect()
        } else if let TensorData::I8(v) = &x.data {
            let (from, zero_in) = s.operand(0)?.per_tensor()?;
            let m = Multiplier::from_real(f64::from(from) / f64::from(scale));
            let one = |&x: &i8| match rounding {
                Rounding::HalfAway => {
                    m.finish(i32::from(x) - zero_in, zero_point, (-128, 127)) as i8
                }
                Rounding::HalfEven => real(dequantize(i32::from(x), from, zero_in)),
            };
            v.iter().map(one).collect()
        } else {
            return Err(OpError::types(s));
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
        let rounding = s.result(0)?.quantized()?.rounding;
        let (lo, hi) = (-128i64 - i64::from(zero_point), 127i64 - i64::from(zero_point));
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        elementwise::unary(k, n, x, y, |_, v| {
            let steps = match rounding {
                // The rounding saturates to int32, so clamp before the zero point is added.
                Rounding::HalfAway => {
                    let f = Intrinsic::RoundHalfAwayF32;
                    Expr::call(f, vec![v / float(scale)]).clamp(lo as i32, hi as i32)
                }
                // Both ends are integers, so limiting first gives the same; then it fits int32.
                Rounding::HalfEven => {
                    let low = Expr::call(Intrinsic::MaxF32, vec![v / float(scale), float(lo as f32)]);
                    let both = Expr::call(Intrinsic::MinF32, vec![low, float(hi as f32)]);
                    Expr::call(Intrinsic::RoundHalfEvenF32, vec![both]).cast(Ty::I32)
                }
            };
            steps + int(i64::from(zero_point))
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check_quant};
    use crate::tensor::QuantParams;

    #[test]
    fn lowering_equals_evaluation() {
        for rounding in [Rounding::HalfAway, Rounding::HalfEven] {
            let to = |scale, zero_point| QuantParams {
                rounding,
                ..QuantParams::per_tensor(scale, zero_point)
            };
            check_quant(Quantize, &[Spec::f32(&[7, 9])], &to(0.03, -128));
            check_quant(Quantize, &[Spec::f32(&[7, 9])], &to(1e-12, 127));
            check_quant(Quantize, &[Spec::i8(&[7, 9], 0.02, 5)], &to(0.03, -7));
            check_quant(Quantize, &[Spec::i8(&[7, 9], 0.02, 5)], &to(1e-12, 127));
            let odd = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e30, 0.5, -0.5, 1.5];
            let odd = Spec::f32(&[odd.len()]).data(TensorData::F32(odd));
            check_quant(Quantize, &[odd], &to(1.0, 5));
        }
    }

    #[test]
    fn ties_go_where_the_format_says() {
        let real = |rounding: Rounding| {
            [-1.5, -0.5, 0.5, 1.5, 2.5].map(|x| rounding.quantize_i8(x, 1.0, 0))
        };
        assert_eq!(real(Rounding::HalfEven), [-2, 0, 0, 2, 2]);
        assert_eq!(real(Rounding::HalfAway), [-2, -1, 1, 2, 3]);
    }
}
