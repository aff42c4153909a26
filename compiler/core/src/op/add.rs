//! Add with broadcasting and fused activation. TFLite ADD.

use super::{OpError, Operator, Reuse, Signature, binary};
use crate::graph::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, int};
use crate::numeric::{Activation, Multiplier};

/// y = activation(a + b).
#[derive(Clone, Debug, PartialEq)]
pub struct Add {
    /// Fused activation.
    pub activation: Activation,
}

/// Input shift of int8 additions: enough headroom for the common scale (numerics 4.1).
const LEFT_SHIFT: i64 = 20;

/// Parameters of the int8 form, all scales combined in double.
struct Rescale {
    zero_points: [i32; 3],
    inputs: [Multiplier; 2],
    output: Multiplier,
    range: (i32, i32),
}

impl Add {
    fn rescale(&self, s: &Signature<'_>) -> Result<Rescale, OpError> {
        let (a, za) = s.operand(0)?.per_tensor()?;
        let (b, zb) = s.operand(1)?.per_tensor()?;
        let (y, zy) = s.result(0)?.per_tensor()?;
        let twice_max = 2.0 * f64::from(a.max(b));
        let output = twice_max / (f64::from(1u32 << LEFT_SHIFT) * f64::from(y));
        Ok(Rescale {
            zero_points: [za, zb, zy],
            inputs: [a, b].map(|s| Multiplier::from_real(f64::from(s) / twice_max)),
            output: Multiplier::from_real(output),
            range: self.activation.range_i8(y, zy),
        })
    }
}

impl Operator for Add {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::eval_f32(s, inputs, |a, b| self.activation.apply_f32(a + b));
        }
        let r = self.rescale(s)?;
        binary::eval_i8(s, inputs, |a, b| {
            let x = r.inputs[0].apply((a - r.zero_points[0]) * (1 << LEFT_SHIFT));
            let y = r.inputs[1].apply((b - r.zero_points[1]) * (1 << LEFT_SHIFT));
            (r.output.apply(x + y) + r.zero_points[2]).clamp(r.range.0, r.range.1)
        })
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::lower(s, k, |_, a, b| self.activation.lower_f32(a + b));
        }
        let r = self.rescale(s)?;
        binary::lower(s, k, |k, a, b| {
            let [za, zb, zy] = r.zero_points.map(|z| int(i64::from(z)));
            let shifted = |x, z| (x - z) * int(1 << LEFT_SHIFT);
            let a = k.let_("a", r.inputs[0].requantize(shifted(a, za), false));
            let b = k.let_("b", r.inputs[1].requantize(shifted(b, zb), false));
            let clamped = r.range.0 >= r.zero_points[2];
            (r.output.requantize(a + b, clamped) + zy).clamp(r.range.0, r.range.1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let add = Add { activation };
            let (a, b) = (Spec::i8(&[2, 3, 5], 0.05, -3), Spec::i8(&[3, 1], 0.021, 100));
            check(add.clone(), &[a, b], &[(0.06, -128)]);
            check(add, &[Spec::f32(&[4, 1, 3]), Spec::f32(&[2, 3])], &[]);
        }
    }
}
