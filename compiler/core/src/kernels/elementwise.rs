//! Elementwise loops: one operand, or two with numpy-style broadcasting.

use super::affine::{Dim, nest, offset};
use crate::kir::{Buf, Expr, KernelBuilder};
use crate::tensor::Shape;

/// Shape of the broadcast of `a` and `b` (trailing dimensions aligned), if they fit.
#[must_use]
pub fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.rank().max(b.rank());
    let mut dims = Vec::with_capacity(rank);
    for i in 0..rank {
        let get = |s: &Shape| if i + s.rank() < rank { 1 } else { s.0[i + s.rank() - rank] };
        let (x, y) = (get(a), get(b));
        dims.push(match (x, y) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _mismatch => return None,
        });
    }
    Shape::checked(dims)
}

/// Element strides with which `operand` is read while looping over `result`; 0 where it repeats.
#[must_use]
pub fn broadcast_strides(operand: &Shape, result: &Shape) -> Vec<i64> {
    let own = operand.strides();
    let lead = result.rank() - operand.rank();
    (0..result.rank())
        .map(|i| match i.checked_sub(lead) {
            Some(j) if operand.0[j] != 1 => own[j] as i64,
            _repeated => 0,
        })
        .collect()
}

/// `out[i] = f(x[i])` over `n` elements.
pub fn unary(
    k: &mut KernelBuilder,
    n: usize,
    x: Buf,
    out: Buf,
    f: impl Fn(&mut KernelBuilder, Expr) -> Expr,
) {
    k.for_("i", n, |k, i| {
        let v = k.load_wide(x, i.clone());
        let value = f(k, v);
        k.store(out, i, value);
    });
}

/// Shapes of a broadcasting operation.
#[derive(Clone, Debug)]
pub struct Broadcast {
    dims_a: Vec<Dim>,
    dims_b: Vec<Dim>,
}

impl Broadcast {
    /// Plans the loops for operands `a` and `b`; `None` when they do not broadcast.
    #[must_use]
    pub fn new(a: &Shape, b: &Shape) -> Option<Self> {
        let result = broadcast(a, b)?;
        let (sa, sb, so) =
            (broadcast_strides(a, &result), broadcast_strides(b, &result), result.strides());
        let mut dims: Vec<(usize, i64, i64, i64)> = Vec::new();
        for i in 0..result.rank() {
            let d = (result.0[i], sa[i], sb[i], so[i] as i64);
            if d.0 == 1 {
                continue;
            }
            let n = d.0 as i64;
            match dims.last_mut() {
                Some(o) if o.1 == d.1 * n && o.2 == d.2 * n && o.3 == d.3 * n => {
                    *o = (o.0 * d.0, d.1, d.2, d.3);
                }
                _separate => dims.push(d),
            }
        }
        let pick = |s: fn(&(usize, i64, i64, i64)) -> i64| {
            dims.iter().map(|d| Dim { extent: d.0, source: s(d), target: d.3 }).collect()
        };
        Some(Self { dims_a: pick(|d| d.1), dims_b: pick(|d| d.2) })
    }

    /// `out = f(a, b)` over all elements.
    pub fn build(
        &self,
        k: &mut KernelBuilder,
        (a, b, out): (Buf, Buf, Buf),
        f: impl Fn(&mut KernelBuilder, Expr, Expr) -> Expr,
    ) {
        nest(k, &self.dims_a, &mut |k, at| {
            let x = k.load_wide(a, offset(0, &self.dims_a, at, |d| d.source));
            let y = k.load_wide(b, offset(0, &self.dims_b, at, |d| d.source));
            let value = f(k, x, y);
            k.store(out, offset(0, &self.dims_a, at, |d| d.target), value);
        });
    }

    /// Calls `f(index_a, index_b)` in result order, for reference evaluation.
    pub fn for_each(&self, f: &mut dyn FnMut(usize, usize)) {
        fn walk(a: &[Dim], b: &[Dim], i: i64, j: i64, f: &mut dyn FnMut(usize, usize)) {
            match (a.split_first(), b.split_first()) {
                (Some((da, ra)), Some((db, rb))) => {
                    for n in 0..da.extent as i64 {
                        walk(ra, rb, i + n * da.source, j + n * db.source, f);
                    }
                }
                _innermost => f(i as usize, j as usize),
            }
        }
        walk(&self.dims_a, &self.dims_b, 0, 0, f);
    }
}
