//! Index sequences known at compile time: `base + i * step` when they are regular, otherwise a
//! constant table of the narrowest type.

use crate::kir::{Buf, Expr, KernelBuilder, int};
use crate::tensor::TensorData;

/// A sequence of non-negative indices, ready to be read in a loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IndexMap {
    /// `base + i * step`.
    Regular {
        /// First index.
        base: i64,
        /// Distance between neighbours; may be 0 or negative.
        step: i64,
    },
    /// Element `i` of a constant buffer.
    Table(Buf),
}

/// Base and step when `indices` are equally spaced.
#[must_use]
pub fn regular(indices: &[usize]) -> Option<(i64, i64)> {
    let at = |i: usize| indices.get(i).map_or(0, |&v| v as i64);
    let (base, step) = (at(0), if indices.len() > 1 { at(1) - at(0) } else { 0 });
    indices.windows(2).all(|w| w[1] as i64 - w[0] as i64 == step).then_some((base, step))
}

impl IndexMap {
    /// Declares the table under `name` if one is needed. Indices fit int32.
    pub fn declare(k: &mut KernelBuilder, name: &str, indices: &[usize]) -> Self {
        if let Some((base, step)) = regular(indices) {
            return IndexMap::Regular { base, step };
        }
        let most = indices.iter().copied().max().unwrap_or(0);
        let data = if most <= i8::MAX as usize {
            TensorData::I8(indices.iter().map(|&i| i as i8).collect())
        } else if most <= i16::MAX as usize {
            TensorData::I16(indices.iter().map(|&i| i as i16).collect())
        } else {
            TensorData::I32(indices.iter().map(|&i| i as i32).collect())
        };
        IndexMap::Table(k.constant(name, data))
    }

    /// Index number `i` as an I32.
    #[must_use]
    pub fn at(&self, k: &KernelBuilder, i: Expr) -> Expr {
        match *self {
            IndexMap::Regular { base, step } => i * int(step) + int(base),
            IndexMap::Table(table) => k.load_wide(table, i),
        }
    }
}
