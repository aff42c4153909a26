//! Mul with broadcasting and fused activation. TFLite MUL.

use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, int};
use crate::numeric::{Activation, Multiplier};

/// y = activation(a * b), elementwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Mul {
    /// Fused activation.
    pub activation: Activation,
}

/// Parameters of the int8 form (numerics 4.1): one multiplier s_a * s_b / s_y in double.
struct Rescale {
    zero_points: [i32; 3],
    output: Multiplier,
    range: (i32, i32),
}

impl Mul {
    fn rescale(&self, s: &Signature<'_>) -> Result<Rescale, OpError> {
        let (a, za) = s.operand(0)?.per_tensor()?;
        let (b, zb) = s.operand(1)?.per_tensor()?;
        let (y, zy) = s.result(0)?.per_tensor()?;
        Ok(Rescale {
            zero_points: [za, zb, zy],
            output: Multiplier::from_real(f64::from(a) * f64::from(b) / f64::from(y))
                .rounded(s.result(0)?.quantized()?.rounding),
            range: self.activation.range_i8(y, zy),
        })
    }
}

impl Operator for Mul {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer_activated(s, self.activation, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            // Wraps from 2^127 on: the low bits are right.
            return binary::eval_int(s, inputs, i128::wrapping_mul);
        }
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::eval_f32(s, inputs, |a, b| self.activation.apply_f32(a * b));
        }
        let r = self.rescale(s)?;
        let [za, zb, zy] = r.zero_points;
        binary::eval_i8(s, inputs, |a, b| r.output.finish((a - za) * (b - zb), zy, r.range))
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if integer::is_plain(s) {
            return binary::lower_int(s, k, integer::wrapping(dtype), |_, a, b| a * b);
        }
        if dtype == DType::F32 {
            return binary::lower(s, k, |_, a, b| self.activation.lower_f32(a * b));
        }
        let r = self.rescale(s)?;
        let [za, zb, _] = r.zero_points.map(|z| int(i64::from(z)));
        binary::lower(s, k, |_, a, b| {
            let product = (a - za.clone()) * (b - zb.clone());
            r.output.lower_finish(product, r.zero_points[2], r.range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_quant};
    use crate::tensor::QuantParams;

    #[test]
    fn rounded_once() {
        for (a, b, y) in [(0.05, 0.021, 0.06), (0.5, 0.5, 1.0), (0.25, 1.0, 1e-9), (0.5, 0.25, 2.0)] {
            let operands = [Spec::i8(&[2, 3, 5], a, -3), Spec::i8(&[3, 1], b, 100)];
            let to = QuantParams::per_tensor(y, -7).half_even();
            check_quant(Mul { activation: Activation::Relu }, &operands, &to);
        }
    }

    #[test]
    fn integers_wrap() {
        let op = Mul { activation: Activation::None };
        crate::op::testing::check_integers(op, |dtype| {
            [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]
        });
    }

    #[test]
    fn lowering_equals_evaluation() {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let op = Mul { activation };
            let (a, b) = (Spec::i8(&[2, 3, 5], 0.05, -128), Spec::i8(&[3, 1], 0.021, 127));
            check(op.clone(), &[a.clone(), b.clone()], &[(0.06, -128)]);
            // A result scale so fine that the multiplier shifts left and everything saturates.
            check(op.clone(), &[a, b], &[(1e-9, 127)]);
            check(op, &[Spec::f32(&[4, 1, 3]), Spec::f32(&[2, 3])], &[]);
        }
    }
}
