//! Geometry of sliding windows over NHWC tensors: padding, output extents, and the pixel loop that
//! separates the interior (no tap outside the input) from the border.

use crate::kir::{Expr, KernelBuilder, idx, int};

/// Padding schemes: those of TFLite, and ONNX's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Output extent ceil(in / stride).
    Same,
    /// Only whole windows.
    Valid,
    /// Positions added (before, after) each axis.
    Explicit {
        /// Above and below.
        rows: (usize, usize),
        /// Left and right.
        columns: (usize, usize),
    },
}

/// What a padding scheme says about one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// See [`Padding::Same`].
    Same,
    /// See [`Padding::Valid`].
    Valid,
    /// Positions added before and after.
    Explicit(usize, usize),
}

impl Padding {
    /// The vertical axis.
    #[must_use]
    pub fn rows(self) -> Ends {
        match self {
            Padding::Same => Ends::Same,
            Padding::Valid => Ends::Valid,
            Padding::Explicit { rows: (before, after), .. } => Ends::Explicit(before, after),
        }
    }

    /// The horizontal axis.
    #[must_use]
    pub fn columns(self) -> Ends {
        match self {
            Padding::Same => Ends::Same,
            Padding::Valid => Ends::Valid,
            Padding::Explicit { columns: (before, after), .. } => Ends::Explicit(before, after),
        }
    }
}

/// One spatial axis of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Input extent.
    pub input: usize,
    /// Output extent.
    pub output: usize,
    /// Taps.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Step between taps.
    pub dilation: usize,
    /// Padding before the first element.
    pub before: usize,
}

impl Axis {
    /// Extents and padding; SAME by the TFLite rule (numerics 4.1: total = max((o-1)*s + (k-1)*d + 1 - in,
    /// 0), half of it, rounded down, before). `None` for zero strides or when no window fits.
    #[must_use]
    pub fn new(
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        ends: Ends,
    ) -> Option<Self> {
        if stride == 0 || kernel == 0 || dilation == 0 || input == 0 {
            return None;
        }
        let span = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
        let (output, before) = match ends {
            Ends::Same => {
                let output = input.div_ceil(stride);
                let total = ((output - 1) * stride + span).saturating_sub(input);
                (output, total / 2)
            }
            Ends::Valid => (input.checked_sub(span)? / stride + 1, 0),
            Ends::Explicit(before, after) => {
                let padded = input.checked_add(before)?.checked_add(after)?;
                // Positions are int32 in the emitted code.
                if padded > i32::MAX as usize {
                    return None;
                }
                (padded.checked_sub(span)? / stride + 1, before)
            }
        };
        Some(Self { input, output, kernel, stride, dilation, before })
    }

    /// Output positions `lo..hi` whose taps all lie inside the input.
    #[must_use]
    pub fn interior(&self) -> (usize, usize) {
        let lo = self.before.div_ceil(self.stride);
        let span = (self.kernel - 1) * self.dilation + 1;
        let hi = match (self.input + self.before).checked_sub(span) {
            Some(room) => (room / self.stride + 1).min(self.output),
            None => 0,
        };
        (lo.min(hi), hi)
    }

    /// Whether there is no border.
    #[must_use]
    pub fn all_interior(&self) -> bool {
        self.interior() == (0, self.output)
    }

    /// Input position of tap `t` for output `o`, negative or past the end when padded.
    #[must_use]
    pub fn position(&self, o: usize, t: usize) -> i64 {
        (o * self.stride + t * self.dilation) as i64 - self.before as i64
    }

    /// The same when it lies inside the input.
    #[must_use]
    pub fn inside(&self, o: usize, t: usize) -> Option<usize> {
        usize::try_from(self.position(o, t)).ok().filter(|&i| i < self.input)
    }
}

/// A window over both spatial axes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Batch extent.
    pub batch: usize,
    /// Vertical.
    pub y: Axis,
    /// Horizontal.
    pub x: Axis,
}

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
