//! Sign: -1, 0 or 1. ONNX Sign.

use super::{OpError, Operator, Reuse, Signature, integer, unary};
use crate::kir::{KernelBuilder, float};
use crate::tensor::{DType, Tensor, TensorType};

/// The operator has no attributes. Zeros and NaN stay as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Sign;

fn real(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

impl Operator for Sign {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer_numeric(s, &[DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return unary::eval_int(s, inputs, i128::signum);
        }
        unary::eval_real(s, inputs, real)
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if !integer::is_plain(s) {
            return unary::lower_f32_named(s, k, |x| {
                let negative = x.clone().lt(float(0.0)).select(float(-1.0), x.clone());
                x.gt(float(0.0)).select(float(1.0), negative)
            });
        }
        let ty = integer::ordered(s.operand(0)?.dtype());
        unary::lower_int(s, k, ty, |x| {
            let [zero, one] = [0, 1].map(|n| integer::literal(n, ty));
            let negative = match ty.wraps() {
                true => zero.clone(),
                false => x.clone().lt(zero.clone()).select(integer::literal(-1, ty), zero.clone()),
            };
            x.gt(zero).select(one, negative)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{check_data, check_integers_unary};
    use crate::tensor::TensorData;

    #[test]
    fn lowering_equals_evaluation() {
        check_integers_unary(Sign);
        let odd = vec![f32::NAN, -0.0, 0.0, 5.0, -1e-40, f32::NEG_INFINITY];
        check_data(Sign, TensorData::F32(odd), &[]);
    }
}
