//! Pow: powers with exponents known at run time only, with broadcasting. ONNX Pow.

use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::kir::{BinOp, Expr, Intrinsic, KernelBuilder, Ty};
use crate::numeric::math;
use crate::tensor::{DType, Tensor, TensorType};

/// y = a^b of one type. Integers wrap; a negative exponent gives the power truncated to an integer,
/// and 0 for the base 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Pow;

fn power(base: i128, exponent: i128) -> i128 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _small => 0,
        };
    }
    let (mut result, mut square, mut rest) = (1i128, base, exponent);
    while rest > 0 {
        if rest % 2 == 1 {
            result = result.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        rest /= 2;
    }
    result
}

/// Squaring and multiplying, one step per bit of the exponent.
fn lower_int(k: &mut KernelBuilder, dtype: DType, a: Expr, b: Expr) -> Expr {
    let (ty, order) = (integer::wrapping(dtype), integer::ordered(dtype));
    let is = |x: &Expr, n| Expr::bin(BinOp::Eq, x.clone(), integer::literal(n, order));
    let one = integer::literal(1, ty);
    let odd = |x: Expr| Expr::bin(BinOp::Ne, Expr::bin(BinOp::And, x, one.clone()), integer::literal(0, ty));
    let result = k.var("result", one.clone());
    let square = k.var("square", a.clone().cast(ty));
    let exponent = k.let_("exponent", b.clone().cast(ty));
    k.for_("bit", 8 * dtype.size(), |k, bit| {
        let is_set = odd(exponent.clone().shifted_right(bit));
        k.if_(is_set, |k| k.assign(result, result * square));
        k.assign(square, square * square);
    });
    if order.wraps() {
        return result.into();
    }
    let zero = integer::literal(0, order);
    let flips = odd(b.clone().cast(ty)).select(integer::literal(-1, order), integer::literal(1, order));
    let unit = is(&a, 1).select(integer::literal(1, order), is(&a, -1).select(flips, zero.clone()));
    b.lt(zero).select(unit, Expr::from(result).cast(order))
}

impl Operator for Pow {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer_numeric(s, &[DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return binary::eval_int(s, inputs, power);
        }
        binary::eval_f32(s, inputs, math::pow)
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let dtype = s.operand(0)?.dtype();
        if dtype == DType::F32 {
            return binary::lower(s, k, |_, a, b| Expr::call(Intrinsic::Pow, vec![a, b]));
        }
        let ty: Ty = integer::ordered(dtype);
        binary::lower_int(s, k, ty, |k, a, b| lower_int(k, dtype, a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_integers};

    #[test]
    fn lowering_equals_evaluation() {
        check_integers(Pow, |dtype| [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]);
        check(Pow, &[Spec::f32(&[4, 1, 30]), Spec::f32(&[2, 30])], &[]);
    }

    #[test]
    fn integers() {
        assert_eq!((power(3, 4), power(-2, 3), power(0, 0)), (81, -8, 1));
        assert_eq!((power(2, -1), power(-1, -3), power(-1, -2)), (0, -1, 1));
    }
}
