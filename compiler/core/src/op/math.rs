//! Math: float32 functions of one element that no layer of a network computes in integers. ONNX Sin,
//! Round and relatives.

use super::{OpError, Operator, Reuse, Signature, unary};
use crate::kernels::elementwise;
use crate::kir::{Expr, Intrinsic, KernelBuilder, float};
use crate::numeric::math;
use crate::tensor::{DType, Tensor, TensorType};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Arc cosine.
    Acos,
    /// Inverse hyperbolic cosine.
    Acosh,
    /// Arc sine.
    Asin,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Arc tangent.
    Atan,
    /// Inverse hyperbolic tangent.
    Atanh,
    /// The least integer not below x.
    Ceil,
    /// Cosine.
    Cos,
    /// Hyperbolic cosine.
    Cosh,
    /// Error function.
    Erf,
    /// The nearest integer, the even one of two.
    RoundEven,
    /// Sine.
    Sin,
    /// Hyperbolic sine.
    Sinh,
    /// Tangent.
    Tan,
}

fn call(f: Intrinsic, x: Expr) -> Expr {
    Expr::call(f, vec![x])
}

fn negative(x: Expr) -> Expr {
    x * float(-1.0)
}

/// `magnitude` with the sign of `x`.
fn signed(x: &Expr, magnitude: Expr) -> Expr {
    x.clone().lt(float(0.0)).select(negative(magnitude.clone()), magnitude)
}

impl Function {
    fn eval(self, x: f32) -> f32 {
        match self {
            Function::Acos => math::acos(x),
            Function::Acosh => math::acosh(x),
            Function::Asin => math::asin(x),
            Function::Asinh => math::asinh(x),
            Function::Atan => math::atan(x),
            Function::Atanh => math::atanh(x),
            Function::Ceil => x.ceil(),
            Function::Cos => math::cos(x),
            Function::Cosh => math::cosh(x),
            Function::Erf => math::erf(x),
            Function::RoundEven => x.round_ties_even(),
            Function::Sin => math::sin(x),
            Function::Sinh => math::sinh(x),
            Function::Tan => math::tan(x),
        }
    }

    /// The function of `x`, in terms of the intrinsics. Differences are taken where they are exact
    /// or harmless, so that results keep their relative accuracy near zeros; limits follow from
    /// infinities.
    fn lower(self, k: &mut KernelBuilder, x: Expr) -> Expr {
        let (one, two, half) = (float(1.0), float(2.0), float(0.5));
        match self {
            // acos x = 2 atan sqrt((1 - x) / (1 + x))
            Function::Acos => {
                let ratio = (one.clone() - x.clone()) / (one + x);
                two * call(Intrinsic::Atan, call(Intrinsic::Sqrt, ratio))
            }
            // acosh x = ln(1 + t + sqrt(t (t + 2))), t = x - 1
            Function::Acosh => {
                let t = k.let_("t", x - one);
                let root = call(Intrinsic::Sqrt, t.clone()) * call(Intrinsic::Sqrt, t.clone() + two);
                call(Intrinsic::Log1p, t + root)
            }
            // asin x = atan(x / sqrt(1 - x^2))
            Function::Asin => {
                let square = (one.clone() - x.clone()) * (one + x.clone());
                call(Intrinsic::Atan, x / call(Intrinsic::Sqrt, square))
            }
            // asinh a = ln(1 + a + a^2 / (1 + sqrt(1 + a^2))), or ln 2a
            Function::Asinh => {
                let a = k.let_("a", call(Intrinsic::FAbs, x.clone()));
                let root = call(Intrinsic::Sqrt, one.clone() + a.clone() * a.clone());
                let sum = a.clone() + a.clone() * a.clone() / (one + root);
                let far = call(Intrinsic::Log, a.clone()) + float(std::f32::consts::LN_2);
                let near = call(Intrinsic::Log1p, sum);
                let y = k.let_("b", a.gt(float(4096.0)).select(far, near));
                signed(&x, y)
            }
            Function::Atan => call(Intrinsic::Atan, x),
            // atanh a = ln(1 + 2 a / (1 - a)) / 2
            Function::Atanh => {
                let a = k.let_("a", call(Intrinsic::FAbs, x.clone()));
                let ratio = two * a.clone() / (one - a);
                let y = k.let_("b", half * call(Intrinsic::Log1p, ratio));
                signed(&x, y)
            }
            Function::Ceil => negative(call(Intrinsic::Floor, negative(x))),
            Function::Cos => call(Intrinsic::Cos, x),
            // e^(a / 2) is finite where the result is.
            Function::Cosh => {
                let a = half.clone() * call(Intrinsic::FAbs, x);
                let h = k.let_("h", call(Intrinsic::Exp, a));
                half.clone() * h.clone() * h.clone() + half / (h.clone() * h)
            }
            Function::Erf => call(Intrinsic::Erf, x),
            Function::RoundEven => call(Intrinsic::RoundEven, x),
            Function::Sin => call(Intrinsic::Sin, x),
            // sinh a = (e + e / (e + 1)) / 2, e = e^a - 1
            Function::Sinh => {
                let a = k.let_("a", call(Intrinsic::FAbs, x.clone()));
                let e = k.let_("e", call(Intrinsic::Expm1, a.clone()));
                let h = k.let_("h", call(Intrinsic::Exp, half.clone() * a.clone()));
                let near = half.clone() * (e.clone() + e.clone() / (e + one));
                let y = k.let_("b", a.gt(float(20.0)).select(half * h.clone() * h, near));
                signed(&x, y)
            }
            Function::Tan => call(Intrinsic::Sin, x.clone()) / call(Intrinsic::Cos, x),
        }
    }
}

/// y = function(x); quantized int8 follows the float32 table rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Math {
    /// What is computed.
    pub function: Function,
}

impl Operator for Math {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        unary::infer(s, &[DType::I8, DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        unary::eval_real(s, inputs, |x| self.function.eval(x))
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn is_elementwise_unary(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if s.operand(0)?.dtype() != DType::F32 {
            return Err(OpError::types(s));
        }
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let n = s.result(0)?.shape().elements();
        elementwise::unary(k, n, x, y, |k, v| {
            let v = k.let_("v", v);
            self.function.lower(k, v)
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data};
    use crate::tensor::TensorData;

    #[test]
    fn lowering_equals_evaluation() {
        for function in [
            Function::Acos,
            Function::Acosh,
            Function::Asin,
            Function::Asinh,
            Function::Atan,
            Function::Atanh,
            Function::Ceil,
            Function::Cos,
            Function::Cosh,
            Function::Erf,
            Function::RoundEven,
            Function::Sin,
            Function::Sinh,
            Function::Tan,
        ] {
            let op = || Math { function };
            check(op(), &[Spec::f32(&[2, 31])], &[]);
            check(op(), &[Spec::i8(&[3, 50], 0.05, -7)], &[(0.04, 3)]);
            let ends = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0, -1.0, 0.999_999];
            let sizes = [0.0, -0.0, 1e-30, -1e-6, 0.5, 1.5, 2.5, -0.5, -2.0, 1000.0, 1e30];
            let far = [89.2, -89.2, 90.0, 4096.5, -30.0];
            let all = ends.into_iter().chain(sizes).chain(far).collect();
            check_data(op(), TensorData::F32(all), &[]);
        }
    }
}
