//! Reductions over any set of dimensions, and the search for the position of an extremum along one.

use super::affine::{AffineCopy, Dim, nest, offset};
use crate::kir::{Buf, Expr, KernelBuilder, int};
use crate::tensor::Shape;

/// Loops of a reduction: those over the result, and within each those over what is reduced.
#[derive(Clone, Debug)]
pub struct Reduction {
    kept: Vec<Dim>,
    reduced: Vec<Dim>,
    /// Elements that are reduced to one.
    pub count: usize,
}

impl Reduction {
    /// Plans the reduction of `shape` over `axes` (each below the rank; repetitions do not matter).
    /// `None` when an axis does not exist.
    #[must_use]
    pub fn new(shape: &Shape, axes: &[usize]) -> Option<Self> {
        if axes.iter().any(|&a| a >= shape.rank()) {
            return None;
        }
        let source = shape.strides();
        let (mut kept, mut reduced) = (Vec::new(), Vec::new());
        let mut target = 1i64;
        for d in (0..shape.rank()).rev() {
            let dim = Dim { extent: shape.0[d], source: source[d] as i64, target: 0 };
            if axes.contains(&d) {
                reduced.push(dim);
            } else {
                kept.push(Dim { target, ..dim });
                target *= shape.0[d] as i64;
            }
        }
        let count = reduced.iter().map(|d| d.extent).product();
        let merged = |mut dims: Vec<Dim>| {
            dims.reverse();
            AffineCopy { dims, source_base: 0, target_base: 0 }.simplified().dims
        };
        Some(Self { kept: merged(kept), reduced: merged(reduced), count })
    }

    /// `y = finish(step(.. step(start, x0) .., xn))` for every result element, in row-major order of
    /// the reduced elements. int8 is widened to I32.
    pub fn build(
        &self,
        k: &mut KernelBuilder,
        (x, y): (Buf, Buf),
        start: &Expr,
        step: &dyn Fn(Expr, Expr) -> Expr,
        finish: &dyn Fn(&KernelBuilder, Expr) -> Expr,
    ) {
        nest(k, &self.kept, &mut |k, at| {
            let base = k.let_("x0", offset(0, &self.kept, at, |d| d.source));
            let acc = k.var("acc", start.clone());
            nest(k, &self.reduced, &mut |k, inner| {
                let from = base.clone() + offset(0, &self.reduced, inner, |d| d.source);
                let value = k.load_wide(x, from);
                k.assign(acc, step(acc.into(), value));
            });
            let value = finish(k, acc.into());
            k.store(y, offset(0, &self.kept, at, |d| d.target), value);
        });
    }

    /// `y` = position along the reduced dimension (there is one) of the first element for which
    /// `better(element, best so far)` never holds again. Without `x` the position is 0, which is
    /// right when there is only one.
    pub fn build_position(
        &self,
        k: &mut KernelBuilder,
        (x, y): (Option<Buf>, Buf),
        better: &dyn Fn(Expr, Expr) -> Expr,
    ) {
        nest(k, &self.kept, &mut |k, at| {
            let to = offset(0, &self.kept, at, |d| d.target);
            let Some((along, x)) = self.reduced.first().zip(x) else {
                k.store(y, to, int(0));
                return;
            };
            let base = k.let_("x0", offset(0, &self.kept, at, |d| d.source));
            let best = k.var("best", k.load_wide(x, base.clone()));
            let position = k.var("position", int(0));
            k.for_("p", along.extent, |k, p| {
                let from = base.clone() + p.clone() * int(along.source);
                let value = k.let_("v", k.load_wide(x, from));
                k.if_(better(value.clone(), best.into()), |k| {
                    k.assign(best, value);
                    k.assign(position, p);
                });
            });
            k.store(y, to, position.into());
        });
    }

    /// Calls `f(source, target)` for every element, those of one result in row-major order, for
    /// reference evaluation.
    pub fn for_each(&self, f: &mut dyn FnMut(usize, usize)) {
        let dims = self.kept.iter().chain(&self.reduced).copied().collect();
        AffineCopy { dims, source_base: 0, target_base: 0 }.for_each(f);
    }
}
