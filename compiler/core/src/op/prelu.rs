//! PRelu: negative elements are multiplied by a second operand, which broadcasts. TFLite PRELU.

use super::{OpError, Operator, Reuse, Signature, binary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{KernelBuilder, float, int};
use crate::numeric::Multiplier;

/// y = x >= 0 ? x : alpha * x. Operands: x, alpha.
#[derive(Clone, Debug, PartialEq)]
pub struct PRelu;

/// Parameters of the int8 form (numerics 4.1), scales combined in double.
struct Rescale {
    zero_points: [i32; 3],
    positive: Multiplier,
    negative: Multiplier,
}

const RANGE: (i32, i32) = (-128, 127);

fn rescale(s: &Signature<'_>) -> Result<Rescale, OpError> {
    let (x, zx) = s.operand(0)?.per_tensor()?;
    let (alpha, za) = s.operand(1)?.per_tensor()?;
    let (y, zy) = s.result(0)?.per_tensor()?;
    let rounding = s.result(0)?.quantized()?.rounding;
    let (x, alpha, y) = (f64::from(x), f64::from(alpha), f64::from(y));
    Ok(Rescale {
        zero_points: [zx, za, zy],
        positive: Multiplier::from_real(x / y).rounded(rounding),
        negative: Multiplier::from_real(x * alpha / y).rounded(rounding),
    })
}

impl Operator for PRelu {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = binary::infer(s, &[DType::I8, DType::F32])?;
        let (x, alpha) = (s.operand(0)?.shape(), s.operand(1)?.shape());
        if types.first().is_some_and(|t| t.shape != *x) {
            return Err(OpError::invalid(format!("alpha {alpha} does not broadcast to {x}")));
        }
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if s.operand(0)?.dtype() == DType::F32 {
            return binary::eval_f32(s, inputs, |x, alpha| if x >= 0.0 { x } else { x * alpha });
        }
        let r = rescale(s)?;
        let [zx, za, zy] = r.zero_points;
        binary::eval_i8(s, inputs, |x, alpha| match x - zx {
            x if x >= 0 => r.positive.finish(x, zy, RANGE),
            x => r.negative.finish(x * (alpha - za), zy, RANGE),
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
            return binary::lower(s, k, |k, x, alpha| {
                let x = k.let_("x", x);
                x.clone().ge(float(0.0)).select(x.clone(), x * alpha)
            });
        }
        let r = rescale(s)?;
        let [zx, za, zy] = r.zero_points;
        binary::lower(s, k, |k, x, alpha| {
            let x = k.let_("x", x - int(i64::from(zx)));
            let product = x.clone() * (alpha - int(i64::from(za)));
            let negative = r.negative.lower_finish(product, zy, RANGE);
            x.clone().ge(int(0)).select(r.positive.lower_finish(x, zy, RANGE), negative)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::Activation;
    use crate::op::Add;
    use crate::op::testing::{Spec, check, graph_of};

    #[test]
    fn lowering_equals_evaluation() {
        for (alpha, scale) in [(&[5][..], 0.06), (&[2, 3, 5], 0.01), (&[], 1e-9)] {
            let alpha_i8 = Spec::i8(alpha, 0.007, 14).constant(1);
            check(PRelu, &[Spec::i8(&[2, 3, 5], 0.05, -3), alpha_i8], &[(scale, 20)]);
            check(PRelu, &[Spec::f32(&[2, 3, 5]), Spec::f32(alpha).constant(1)], &[]);
        }
    }

    #[test]
    fn alpha_may_not_enlarge_the_result() {
        let graph = graph_of(&Add { activation: Activation::None }.into(), &[Spec::f32(&[1, 3]), Spec::f32(&[2, 3])], &[]);
        let node = graph.nodes().pop().expect("a node");
        assert!(PRelu.infer(&graph.signature(node)).is_err());
    }
}
