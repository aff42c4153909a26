//! Elementwise loops: one operand, or two with numpy-style broadcasting.

use super::affine::{Dim, nest, offset};
use crate::geometry::{broadcast, broadcast_strides};
use crate::kir::{Buf, Expr, KernelBuilder};
use crate::tensor::Shape;

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

/// Loops of a broadcasting operation.
#[derive(Clone, Debug)]
pub struct Broadcast {
    /// Per operand the same loops: `source` steps in the operand, `target` in the result.
    operands: Vec<Vec<Dim>>,
}

impl Broadcast {
    /// Plans the loops for operands `a` and `b`; `None` when they do not broadcast.
    #[must_use]
    pub fn new(a: &Shape, b: &Shape) -> Option<Self> {
        Self::of(&[a, b])
    }

    /// Plans the loops for any number of operands; `None` when they do not broadcast.
    #[must_use]
    pub fn of(shapes: &[&Shape]) -> Option<Self> {
        let all = shapes.iter().try_fold(Shape::default(), |all, s| broadcast(&all, s))?;
        let sources: Vec<Vec<i64>> = shapes.iter().map(|s| broadcast_strides(s, &all)).collect();
        let target = all.strides();
        // Extent, step in the result, steps in the operands.
        let mut loops: Vec<(usize, i64, Vec<i64>)> = Vec::new();
        for (i, &extent) in all.0.iter().enumerate().filter(|(_, extent)| **extent != 1) {
            let step = target[i] as i64;
            let steps: Vec<i64> = sources.iter().map(|s| s[i]).collect();
            let n = extent as i64;
            match loops.last_mut() {
                Some((outer, to, from))
                    if *to == step * n && from.iter().zip(&steps).all(|(o, s)| *o == s * n) =>
                {
                    (*outer, *to, *from) = (*outer * extent, step, steps);
                }
                _separate => loops.push((extent, step, steps)),
            }
        }
        let of = |k: usize| {
            let dim = |l: &(usize, i64, Vec<i64>)| Dim { extent: l.0, source: l.2[k], target: l.1 };
            loops.iter().map(dim).collect()
        };
        Some(Self { operands: (0..shapes.len()).map(of).collect() })
    }

    /// `out = f(a, b)` over all elements.
    pub fn build(
        &self,
        k: &mut KernelBuilder,
        (a, b, out): (Buf, Buf, Buf),
        f: impl Fn(&mut KernelBuilder, Expr, Expr) -> Expr,
    ) {
        self.build_at(k, out, |k, at| {
            let mut values = at.iter().zip([a, b]).map(|(i, x)| k.load_wide(x, i.clone()));
            match (values.next(), values.next()) {
                (Some(x), Some(y)) => f(k, x, y),
                _missing => crate::kir::int(0),
            }
        });
    }

    /// `out = f(index in each operand)` over all elements.
    pub fn build_at(
        &self,
        k: &mut KernelBuilder,
        out: Buf,
        f: impl Fn(&mut KernelBuilder, &[Expr]) -> Expr,
    ) {
        let Some(loops) = self.operands.first() else { return };
        nest(k, loops, &mut |k, at| {
            let indices: Vec<Expr> =
                self.operands.iter().map(|dims| offset(0, dims, at, |d| d.source)).collect();
            let value = f(k, &indices);
            k.store(out, offset(0, loops, at, |d| d.target), value);
        });
    }

    /// Calls `f(index_a, index_b)` in result order, for reference evaluation.
    pub fn for_each(&self, f: &mut dyn FnMut(usize, usize)) {
        self.for_each_at(&mut |at| {
            if let &[a, b] = at {
                f(a, b);
            }
        });
    }

    /// Calls `f` with the index in each operand in result order, for reference evaluation.
    pub fn for_each_at(&self, f: &mut dyn FnMut(&[usize])) {
        fn walk(dims: &[Vec<Dim>], depth: usize, at: &mut [usize], f: &mut dyn FnMut(&[usize])) {
            let Some(extent) = dims.first().and_then(|d| d.get(depth)).map(|d| d.extent) else {
                return f(at);
            };
            let start = at.to_vec();
            for _ in 0..extent {
                let here = at.to_vec();
                walk(dims, depth + 1, at, f);
                for (i, (to, from)) in at.iter_mut().zip(here).enumerate() {
                    *to = from + dims[i][depth].source as usize;
                }
            }
            at.copy_from_slice(&start);
        }
        walk(&self.operands, 0, &mut vec![0; self.operands.len()], f);
    }
}
