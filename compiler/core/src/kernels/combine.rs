//! How two elements become one: sum, product, larger or smaller one, in every element type with
//! arithmetic. Integers wrap to their width. Knows no operator and no loops.

use crate::kir::{Expr, Intrinsic, KernelBuilder, Ty};
use crate::tensor::{DType, TensorData};

/// A function of two elements of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// a + b.
    Sum,
    /// a * b.
    Product,
    /// a > b ? a : b.
    Larger,
    /// a < b ? a : b.
    Smaller,
}

/// Elements to compute with.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// float32.
    Real(Vec<f32>),
    /// Integers of a type.
    Whole(DType, Vec<i128>),
}

/// An integer wrapped to the width of its type.
fn wrapped(dtype: DType, v: i128) -> i128 {
    let unused = 128 - 8 * dtype.size() as u32;
    if dtype.is_unsigned() {
        (v.cast_unsigned() << unused >> unused).cast_signed()
    } else {
        v << unused >> unused
    }
}

impl Numbers {
    /// The elements; `None` for types without arithmetic.
    #[must_use]
    pub fn of(data: &TensorData) -> Option<Self> {
        if let TensorData::F32(v) = data {
            return Some(Numbers::Real(v.clone()));
        }
        let dtype = data.dtype();
        let ints = data.to_i128().filter(|_| dtype.is_int())?;
        Some(Numbers::Whole(dtype, ints))
    }

    /// `self[at] = combine(self[at], other[from])`; nothing for other types or places.
    pub fn update(&mut self, at: usize, other: &Self, from: usize, combine: Combine) {
        match (self, other) {
            (Numbers::Real(own), Numbers::Real(other)) => {
                if let (Some(old), Some(&new)) = (own.get_mut(at), other.get(from)) {
                    *old = combine.of_real(*old, new);
                }
            }
            (Numbers::Whole(dtype, own), Numbers::Whole(_, other)) => {
                if let (Some(old), Some(&new)) = (own.get_mut(at), other.get(from)) {
                    *old = combine.of_whole(*dtype, *old, new);
                }
            }
            (Numbers::Real(_), Numbers::Whole(..)) | (Numbers::Whole(..), Numbers::Real(_)) => {}
        }
    }

    /// As many elements that change nothing when they are combined; `None` where there are none.
    #[must_use]
    pub fn neutral(&self, n: usize, combine: Combine) -> Option<Self> {
        let neutral = combine.neutral()?;
        Some(match self {
            Numbers::Real(_) => Numbers::Real(vec![f32::from(neutral); n]),
            Numbers::Whole(dtype, _) => Numbers::Whole(*dtype, vec![neutral.into(); n]),
        })
    }

    /// `self[at]` becomes `other[from]`; nothing for other types or places.
    pub fn copy(&mut self, at: usize, other: &Self, from: usize) {
        match (self, other) {
            (Numbers::Real(own), Numbers::Real(other)) => {
                if let (Some(old), Some(&new)) = (own.get_mut(at), other.get(from)) {
                    *old = new;
                }
            }
            (Numbers::Whole(_, own), Numbers::Whole(_, other)) => {
                if let (Some(old), Some(&new)) = (own.get_mut(at), other.get(from)) {
                    *old = new;
                }
            }
            (Numbers::Real(_), Numbers::Whole(..)) | (Numbers::Whole(..), Numbers::Real(_)) => {}
        }
    }

    /// As data of a tensor.
    #[must_use]
    pub fn data(self) -> Option<TensorData> {
        match self {
            Numbers::Real(v) => Some(TensorData::F32(v)),
            Numbers::Whole(dtype, v) => TensorData::from_i128(dtype, &v),
        }
    }
}

/// Whether elements of a type can be combined.
#[must_use]
pub fn has_arithmetic(dtype: DType) -> bool {
    dtype == DType::F32 || dtype.is_int()
}

impl Combine {
    /// What combining starts with: 0 or 1; the extremes have none.
    #[must_use]
    pub fn neutral(self) -> Option<u8> {
        match self {
            Combine::Sum => Some(0),
            Combine::Product => Some(1),
            Combine::Larger | Combine::Smaller => None,
        }
    }

    fn of_real(self, a: f32, b: f32) -> f32 {
        match self {
            Combine::Sum => a + b,
            Combine::Product => a * b,
            Combine::Larger => tinycc_rt::max_f32(a, b),
            Combine::Smaller => tinycc_rt::min_f32(a, b),
        }
    }

    fn of_whole(self, dtype: DType, a: i128, b: i128) -> i128 {
        match self {
            Combine::Sum => wrapped(dtype, a.wrapping_add(b)),
            Combine::Product => wrapped(dtype, a.wrapping_mul(b)),
            Combine::Larger => a.max(b),
            Combine::Smaller => a.min(b),
        }
    }

    /// Both elements as `load_wide` gives them; storing the result wraps it to narrow types.
    pub fn expr(self, k: &mut KernelBuilder, a: Expr, b: Expr) -> Expr {
        let ty = a.ty();
        // Signed arithmetic must not overflow in kernel IR; unsigned wraps.
        let wide = match ty {
            Ty::Bool | Ty::I8 | Ty::U8 | Ty::I16 | Ty::U16 | Ty::I32 => Ty::U32,
            Ty::I64 => Ty::U64,
            Ty::U32 | Ty::U64 | Ty::F32 | Ty::F64 => ty,
        };
        match self {
            Combine::Sum => (a.cast(wide) + b.cast(wide)).cast(ty),
            Combine::Product => (a.cast(wide) * b.cast(wide)).cast(ty),
            Combine::Larger if ty == Ty::F32 => Expr::call(Intrinsic::MaxF32, vec![a, b]),
            Combine::Smaller if ty == Ty::F32 => Expr::call(Intrinsic::MinF32, vec![a, b]),
            Combine::Larger | Combine::Smaller => {
                let (a, b) = (k.let_("a", a), k.let_("b", b));
                let first = match self {
                    Combine::Larger => a.clone().gt(b.clone()),
                    Combine::Smaller | Combine::Sum | Combine::Product => a.clone().lt(b.clone()),
                };
                first.select(a, b)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_to_their_width() {
        assert_eq!(wrapped(DType::I8, 130), -126);
        assert_eq!(wrapped(DType::U8, -1), 255);
        assert_eq!(wrapped(DType::I64, 1 << 63), i128::from(i64::MIN));
        let square = Combine::Product.of_whole(DType::U64, u64::MAX.into(), u64::MAX.into());
        assert_eq!(square, 1);
    }
}
