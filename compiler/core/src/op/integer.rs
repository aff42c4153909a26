//! What operators on plain integers have in common: types they compute in, and arithmetic that C
//! leaves undefined. Not an operator itself; quantized integers are elsewhere.

use super::Signature;
use crate::kir::{BinOp, Expr, Intrinsic, Ty};
use crate::tensor::DType;

/// Whether the operands are integers that stand for themselves. 8- and 16-bit integers that carry a
/// scale are quantized; int32 and wider ones never are, whatever a file writes.
#[must_use]
pub fn is_plain(s: &Signature<'_>) -> bool {
    s.operands.first().is_some_and(|x| x.dtype().is_int())
        && s.operands.iter().all(|x| x.quant.is_none() || x.dtype().size() >= 4)
}

/// [`is_plain`], or truth values.
#[must_use]
pub fn is_plain_or_bool(s: &Signature<'_>) -> bool {
    is_plain(s) || s.operands.first().is_some_and(|x| x.dtype() == DType::Bool)
}

/// The type integers compute in where their order or quotient matters.
#[must_use]
pub fn ordered(dtype: DType) -> Ty {
    match Ty::from(dtype) {
        wide @ (Ty::U32 | Ty::I64 | Ty::U64) => wide,
        Ty::Bool | Ty::I8 | Ty::U8 | Ty::I16 | Ty::U16 | Ty::I32 | Ty::F32 | Ty::F64 => Ty::I32,
    }
}

/// The type integers compute in where results wrap: its low bits are right for any sign.
#[must_use]
pub fn wrapping(dtype: DType) -> Ty {
    if dtype.size() == 8 { Ty::U64 } else { Ty::U32 }
}

/// Smallest and largest value of an integer type or of truth values.
#[must_use]
pub fn limits(dtype: DType) -> (i128, i128) {
    if dtype == DType::Bool {
        return (0, 1);
    }
    let bits = 8 * dtype.size();
    match dtype.is_unsigned() {
        true => (0, (1 << bits) - 1),
        false => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
    }
}

/// A literal; `value` is one of the type's.
#[must_use]
pub fn literal(value: i128, ty: Ty) -> Expr {
    Expr::Int(value as i64, ty)
}

/// The larger of two integers of one type.
#[must_use]
pub fn larger(a: Expr, b: Expr) -> Expr {
    if a.ty() == Ty::I32 {
        return Expr::call(Intrinsic::MaxI32, vec![a, b]);
    }
    a.clone().gt(b.clone()).select(a, b)
}

/// The smaller of two integers of one type.
#[must_use]
pub fn smaller(a: Expr, b: Expr) -> Expr {
    if a.ty() == Ty::I32 {
        return Expr::call(Intrinsic::MinI32, vec![a, b]);
    }
    a.clone().lt(b.clone()).select(a, b)
}

/// 0 - x, wrapping.
#[must_use]
pub fn negative(x: Expr) -> Expr {
    let ty = x.ty();
    let wide = if ty.size() == 8 { Ty::U64 } else { Ty::U32 };
    (literal(0, wide) - x.cast(wide)).cast(ty)
}

/// a / b towards zero for [`ordered`] types; 0 for b = 0, and the smallest / -1 wraps.
#[must_use]
pub fn quotient(a: Expr, b: Expr) -> Expr {
    let (ty, is) = (a.ty(), |n| Expr::bin(BinOp::Eq, b.clone(), literal(n, b.ty())));
    let mut y = a.clone() / b.clone();
    if !ty.wraps() {
        y = is(-1).select(negative(a), y);
    }
    is(0).select(literal(0, ty), y)
}

/// The remainder that belongs to [`quotient`], with the sign of `a`; 0 for b = 0.
#[must_use]
pub fn remainder(a: Expr, b: Expr) -> Expr {
    let (ty, is) = (a.ty(), |n| Expr::bin(BinOp::Eq, b.clone(), literal(n, b.ty())));
    let mut y = a % b.clone();
    if !ty.wraps() {
        y = is(-1).select(literal(0, ty), y);
    }
    is(0).select(literal(0, ty), y)
}
