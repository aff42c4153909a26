//! Squared difference with broadcasting. TFLite SQUARED_DIFFERENCE.

use super::{OpError, Operator, Reuse, Signature, binary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, int};
use crate::numeric::{Activation, Multiplier};

/// y = (a - b)^2.
#[derive(Clone, Debug, PartialEq)]
pub struct SquaredDifference;

/// Left shift of both inputs: the square of the difference just fits int32.
const LEFT_SHIFT: i64 = 7;

/// Parameters of the int8 form, scales combined in double: with t = 2 max(s_a, s_b), inputs are
/// rescaled by s / t and the square by t^2 / (2^14 s_y).
struct Rescale {
    zero_points: [i32; 3],
    inputs: [Multiplier; 2],
    output: Multiplier,
    range: (i32, i32),
}

fn rescale(s: &Signature<'_>) -> Result<Rescale, OpError> {
    let (a, za) = s.operand(0)?.per_tensor()?;
    let (b, zb) = s.operand(1)?.per_tensor()?;
    let (y, zy) = s.result(0)?.per_tensor()?;
    let twice_max = 2.0 * f64::from(a.max(b));
    let output = twice_max * twice_max / (f64::from(1u32 << (2 * LEFT_SHIFT)) * f64::from(y));
    Ok(Rescale {
        zero_points: [za, zb, zy],
        inputs: [a, b].map(|s| Multiplier::from_real(f64::from(s) / twice_max)),
        output: Multiplier::from_real(output).rounded(s.result(0)?.quantized()?.rounding),
        range: Activation::None.range_i8(y, zy),
    })
}

impl Operator for SquaredDifference {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::eval_f32(s, inputs, |a, b| (a - b) * (a - b));
        }
        let r = rescale(s)?;
        let [za, zb, zy] = r.zero_points;
        binary::eval_i8(s, inputs, |a, b| {
            let x = r.inputs[0].apply((a - za) * (1 << LEFT_SHIFT));
            let y = r.inputs[1].apply((b - zb) * (1 << LEFT_SHIFT));
            r.output.finish((x - y) * (x - y), zy, r.range)
        })
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::lower(s, k, |k, a, b| {
                let d = k.let_("d", a - b);
                d.clone() * d
            });
        }
        let r = rescale(s)?;
        let [za, zb, zy] = r.zero_points;
        binary::lower(s, k, |k, a, b| {
            let shifted = |x, z: i32| (x - int(i64::from(z))) * int(1 << LEFT_SHIFT);
            let a = r.inputs[0].requantize(shifted(a, za), false);
            let b = r.inputs[1].requantize(shifted(b, zb), false);
            let d = k.let_("d", a - b);
            r.output.lower_finish(d.clone() * d, zy, r.range)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for scale in [1.0, 0.06, 1e-9] {
            let (a, b) = (Spec::i8(&[2, 3, 5], 0.05, -128), Spec::i8(&[3, 1], 0.05, 127));
            check(SquaredDifference, &[a, b], &[(scale, -100)]);
        }
        check(SquaredDifference, &[Spec::f32(&[4, 1, 3]), Spec::f32(&[2, 3])], &[]);
    }
}
