//! The pixel loop of sliding windows over NHWC tensors, which separates the interior (no tap outside
//! the input) from the border.

use crate::geometry::{Axis, Window};
use crate::kir::{Expr, KernelBuilder, idx, int};

/// Where the pixel loop stands.
#[derive(Clone, Debug)]
pub struct Pixel {
    /// Batch index.
    pub batch: Expr,
    /// Input row of the first tap; may be negative on the border.
    pub iy: Expr,
    /// Input column of the first tap; may be negative on the border.
    pub ix: Expr,
    /// Flat output pixel number (batch, row, column).
    pub out: Expr,
    /// All taps are inside the input.
    pub interior: bool,
}

impl Window {
    /// Loops over output pixels. `body` is built once for the interior and once for the border,
    /// whichever exist.
    pub fn pixels(&self, k: &mut KernelBuilder, body: &mut dyn FnMut(&mut KernelBuilder, &Pixel)) {
        let Window { batch, y, x } = *self;
        k.for_("n", batch, |k, n| {
            k.for_("oy", y.output, |k, oy| {
                let iy = k.let_("iy", oy.clone() * idx(y.stride) - idx(y.before));
                k.for_("ox", x.output, |k, ox| {
                    let ix = k.let_("ix", ox.clone() * idx(x.stride) - idx(x.before));
                    let row = n.clone() * idx(y.output) + oy.clone();
                    let out = k.let_("pixel", row * idx(x.output) + ox.clone());
                    let pixel = |interior| Pixel {
                        batch: n.clone(),
                        iy: iy.clone(),
                        ix: ix.clone(),
                        out: out.clone(),
                        interior,
                    };
                    let inside = within(&y, oy.clone()).and(within(&x, ox.clone()));
                    // Both closures need `body`, one after the other: decide by literal or build both.
                    match inside.literal() {
                        Some(yes) => body(k, &pixel(yes != 0)),
                        None => {
                            let body = std::cell::RefCell::new(&mut *body);
                            k.if_else(
                                inside,
                                |k| (body.borrow_mut())(k, &pixel(true)),
                                |k| (body.borrow_mut())(k, &pixel(false)),
                            );
                        }
                    }
                });
            });
        });
    }
}

/// `lo <= o < hi` for the interior of an axis, without the comparisons that always hold.
fn within(axis: &Axis, o: Expr) -> Expr {
    let (lo, hi) = axis.interior();
    if lo >= hi {
        return Expr::Int(0, crate::kir::Ty::Bool);
    }
    let always = Expr::Int(1, crate::kir::Ty::Bool);
    let above = if lo == 0 { always.clone() } else { o.clone().ge(idx(lo)) };
    let below = if hi == axis.output { always } else { o.lt(idx(hi)) };
    above.and(below)
}

/// Condition that input coordinate `i` of tap `t` is inside `0..extent`, leaving out what the
/// geometry guarantees.
#[must_use]
pub fn inside(axis: &Axis, i: &Expr) -> Expr {
    let always = Expr::Int(1, crate::kir::Ty::Bool);
    let above = if axis.before == 0 { always.clone() } else { i.clone().ge(int(0)) };
    let last = axis.position(axis.output - 1, axis.kernel - 1);
    let below = if last < axis.input as i64 { always } else { i.clone().lt(idx(axis.input)) };
    above.and(below)
}
