//! Mod: remainders with broadcasting. ONNX Mod.

use super::{OpError, Operator, Reuse, Signature, binary, integer};
use crate::kir::{BinOp, Expr, Intrinsic, KernelBuilder, float};
use crate::tensor::{DType, Tensor, TensorType};

/// y = a - n * b for a whole n. Of integers, b = 0 gives 0; of floats it gives NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Mod {
    /// The sign is that of `a`, as C has it; otherwise that of `b`, as Python has it.
    pub truncated: bool,
}

impl Mod {
    fn int(&self, a: i128, b: i128) -> i128 {
        let rest = a.checked_rem(b).unwrap_or(0);
        let moves = !self.truncated && rest != 0 && (rest < 0) != (b < 0);
        if moves { rest + b } else { rest }
    }

    fn real(&self, a: f32, b: f32) -> f32 {
        let rest = a % b;
        let moves = !self.truncated && rest != 0.0 && (rest < 0.0) != (b < 0.0);
        if moves { rest + b } else { rest }
    }
}

/// Adds `b` where the remainder has the other sign.
fn floored(k: &mut KernelBuilder, rest: Expr, b: Expr, zero: Expr) -> Expr {
    let rest = k.let_("rest", rest);
    let negative = |x: &Expr| x.clone().lt(zero.clone());
    let differ = Expr::bin(BinOp::Ne, negative(&rest), negative(&b));
    let moves = Expr::bin(BinOp::Ne, rest.clone(), zero.clone()).and(differ);
    moves.select(rest.clone() + b, rest)
}

impl Operator for Mod {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        binary::infer_numeric(s, &[DType::F32])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if integer::is_plain(s) {
            return binary::eval_int(s, inputs, |a, b| self.int(a, b));
        }
        binary::eval_f32(s, inputs, |a, b| self.real(a, b))
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        binary::reuse(s)
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if !integer::is_plain(s) {
            return binary::lower(s, k, |k, a, b| {
                let b = k.let_("q", b);
                let rest = Expr::call(Intrinsic::Fmod, vec![a, b.clone()]);
                if self.truncated { rest } else { floored(k, rest, b, float(0.0)) }
            });
        }
        let ty = integer::ordered(s.operand(0)?.dtype());
        binary::lower_int(s, k, ty, |k, a, b| {
            let rest = integer::remainder(a, b.clone());
            // Without signs both are the same.
            if self.truncated || ty.wraps() {
                return rest;
            }
            floored(k, rest, b, integer::literal(0, ty))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_integers};

    #[test]
    fn lowering_equals_evaluation() {
        for truncated in [false, true] {
            let op = || Mod { truncated };
            check_integers(op(), |dtype| [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]);
            check(op(), &[Spec::f32(&[4, 1, 30]), Spec::f32(&[2, 30])], &[]);
        }
    }

    #[test]
    fn signs() {
        let of = |truncated| [(7, -3), (-7, 3), (6, -3)].map(|(a, b)| Mod { truncated }.int(a, b));
        assert_eq!((of(true), of(false)), ([1, -1, 0], [-2, 2, 0]));
        assert_eq!((Mod { truncated: false }.real(-7.5, 2.0), Mod { truncated: true }.real(-7.5, 2.0)), (0.5, -1.5));
    }
}
