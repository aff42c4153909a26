//! ResizeBilinear: bilinear resize, NHWC, int8 and float32. TFLite RESIZE_BILINEAR.

use super::resize::{Axis, Geometry, Sampling};
use super::{Elements, OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Ty, float, idx, int};

/// int8 positions and weights have ten fractional bits (numerics 4.5).
const FRACTION: i64 = 1 << 10;

/// Blends the four operand pixels around each position.
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeBilinear {
    /// Height and width of the result.
    pub size: (usize, usize),
    /// Position rule; not both flags.
    pub sampling: Sampling,
}

/// Neighbours of a position and the weight of the upper one.
struct Sample<T> {
    lo: usize,
    hi: usize,
    weight: T,
}

/// Position `i` in integers, straight from the definition. Where rounding of the scale leads past
/// the last sample, both neighbours are the last one.
fn sample_int(axis: &Axis, i: usize) -> Sample<i64> {
    let scale = axis.scale10();
    let shift = if axis.sampling.half_pixel_centers { scale / 2 - FRACTION / 2 } else { 0 };
    let position = i as i64 * scale + shift;
    let last = axis.from as i64 - 1;
    let lo = (position / FRACTION).max(0).min(last);
    let hi = ((position + FRACTION - 1) / FRACTION).min(last);
    Sample { lo: lo as usize, hi: hi as usize, weight: position - FRACTION * lo }
}

/// Position `i` in float32, straight from the definition.
fn sample_f32(axis: &Axis, i: usize) -> Sample<f32> {
    let scale = axis.scale();
    let position = if axis.sampling.half_pixel_centers {
        (i as f32 + 0.5) * scale - 0.5
    } else {
        i as f32 * scale
    };
    let last = axis.from - 1;
    let (lo, hi) = ((position.floor() as usize).min(last), (position.ceil() as usize).min(last));
    Sample { lo, hi, weight: position - lo as f32 }
}

impl ResizeBilinear {
    /// How many steps int8 results can be from the formula before they are rounded, at most.
    #[must_use]
    pub fn steps_off(&self, s: &Signature<'_>) -> Option<f64> {
        let g = self.geometry(s).ok()?;
        // Neighbours are 255 apart at most.
        Some(255.0 * (g.y.drift() + g.x.drift()))
    }

    fn geometry(&self, s: &Signature<'_>) -> Result<Geometry, OpError> {
        Geometry::new(s, self.size, self.sampling)
    }
}

/// Calls `blend` with the flat indices of the four pixels (lower/upper row, left/right column, each
/// with all channels) and the weights of the lower row and right column.
fn for_each<T>(
    g: &Geometry,
    sample: impl Fn(&Axis, usize) -> Sample<T>,
    blend: &mut dyn FnMut([usize; 4], &T, &T),
) {
    for n in 0..g.batch {
        for oy in 0..g.y.to {
            let y = sample(&g.y, oy);
            for ox in 0..g.x.to {
                let x = sample(&g.x, ox);
                for c in 0..g.channels {
                    let at = |row, column| g.at(n, row, column) + c;
                    let four = [at(y.lo, x.lo), at(y.lo, x.hi), at(y.hi, x.lo), at(y.hi, x.hi)];
                    blend(four, &y.weight, &x.weight);
                }
            }
        }
    }
}

impl Operator for ResizeBilinear {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        if !matches!(s.operand(0)?.dtype(), DType::I8 | DType::F32) {
            return Err(OpError::types(s));
        }
        if self.sampling.align_corners && self.sampling.half_pixel_centers {
            return Err(OpError::invalid(
                "align_corners and half_pixel_centers exclude each other",
            ));
        }
        self.geometry(s)?.result(s)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let g = self.geometry(s)?;
        let data = match s.elements(x)? {
            Elements::Int8(v) => {
                let mut out = Vec::new();
                for_each(&g, sample_int, &mut |at, &wy, &wx| {
                    let [a, b, c, d] = at.map(|i| i64::from(v[i]));
                    let (uy, ux) = (FRACTION - wy, FRACTION - wx);
                    let sum = a * uy * ux + b * uy * wx + c * wy * ux + d * wy * wx;
                    let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                    out.push(((sum + half) / (1 << 20)) as i8);
                });
                TensorData::I8(out)
            }
            Elements::Real(v) => {
                let mut out = Vec::new();
                for_each(&g, sample_f32, &mut |at, &wy, &wx| {
                    let [a, b, c, d] = at.map(|i| v[i]);
                    let (uy, ux) = (1.0 - wy, 1.0 - wx);
                    out.push(a * uy * ux + c * wy * ux + b * uy * wx + d * wy * wx);
                });
                TensorData::F32(out)
            }
        };
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        let same = self.geometry(s).is_ok_and(|g| g.y.from == g.y.to && g.x.from == g.x.to);
        movement::alias_if(same)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let g = self.geometry(s)?;
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        k.for_("n", g.batch, |k, n| {
            k.for_("oy", g.y.to, |k, oy| {
                let v = position(k, x.ty, &g.y, oy.clone(), "y");
                let top = (n.clone() * idx(g.y.from) + v.lo) * idx(g.x.from);
                let top = k.let_("top", top);
                let bottom = top.clone() + v.next.clone().select(idx(g.x.from), idx(0));
                let bottom = k.let_("bottom", bottom);
                let out = k.let_("out", (n.clone() * idx(g.y.to) + oy) * idx(g.x.to));
                k.for_("ox", g.x.to, |k, ox| {
                    let h = position(k, x.ty, &g.x, ox.clone(), "x");
                    let right = h.next.select(idx(g.channels), idx(0));
                    let right = k.let_("right", right);
                    let a = (top.clone() + h.lo.clone()) * idx(g.channels);
                    let a = k.let_("a", a);
                    let c = match v.next.literal() {
                        Some(0) => a.clone(),
                        _two_rows => {
                            let c = (bottom.clone() + h.lo) * idx(g.channels);
                            k.let_("c", c)
                        }
                    };
                    let at = [a.clone(), a + right.clone(), c.clone(), c + right];
                    let weights = weights(k, (v.weight.clone(), v.rest.clone()), (h.weight, h.rest));
                    let to = k.let_("to", (out.clone() + ox) * idx(g.channels));
                    k.for_("i", g.channels, |k, i| {
                        let value = blend(k, x, &at, &weights, &i);
                        k.store(y, to.clone() + i, value);
                    });
                });
            });
        });
        Ok(())
    }
}

/// A position computed in the loop: cheaper in flash than tables.
struct Position {
    /// Lower neighbour.
    lo: Expr,
    /// Whether the upper neighbour is another one.
    next: Expr,
    /// Weight of the upper neighbour.
    weight: Expr,
    /// Weight of the lower neighbour.
    rest: Expr,
}

/// Positions limited to the samples: beyond them both neighbours are the same pixel, so that the
/// weights do not matter and the result is that of the definition.
fn position(k: &mut KernelBuilder, ty: Ty, axis: &Axis, i: Expr, name: &str) -> Position {
    let at_start = axis.from == 1 || axis.to == 1 && !axis.sampling.half_pixel_centers;
    // As many positions as samples: each is its sample.
    if at_start || axis.from == axis.to {
        let is_float = ty == Ty::F32;
        let zero = if is_float { float(0.0) } else { int(0) };
        let one = if is_float { float(1.0) } else { int(FRACTION) };
        let lo = if at_start { int(0) } else { i };
        return Position { lo, next: Expr::Int(0, Ty::Bool), weight: zero, rest: one };
    }
    let half = axis.sampling.half_pixel_centers;
    let last = axis.from as i64 - 1;
    if ty == Ty::F32 {
        let i = i.cast(Ty::F32);
        let real = if half {
            (i + float(0.5)) * float(axis.scale()) - float(0.5)
        } else {
            i * float(axis.scale())
        };
        let real = Expr::call(Intrinsic::MaxF32, vec![real, float(0.0)]);
        let real = Expr::call(Intrinsic::MinF32, vec![real, float(last as f32)]);
        let real = k.let_(&format!("{name}_at"), real);
        let lo = k.let_(&format!("{name}_lo"), real.clone().cast(Ty::I32));
        let weight = k.let_(&format!("{name}_w"), real - lo.clone().cast(Ty::F32));
        let next = weight.clone().gt(float(0.0));
        let rest = k.let_(&format!("{name}_u"), float(1.0) - weight.clone());
        return Position { lo, next, weight, rest };
    }
    let scale = axis.scale10();
    let shift = if half { scale / 2 - FRACTION / 2 } else { 0 };
    let exact = i * int(scale) + int(shift);
    let limited = exact.clamp(0, (last * FRACTION) as i32);
    let fixed = k.let_(&format!("{name}_at"), limited);
    let lo = k.let_(&format!("{name}_lo"), fixed.clone().shifted_right(int(10)));
    let weight = fixed - lo.clone() * int(FRACTION);
    let weight = k.let_(&format!("{name}_w"), weight);
    let next = weight.clone().gt(int(0));
    let rest = k.let_(&format!("{name}_u"), int(FRACTION) - weight.clone());
    Position { lo, next, weight, rest }
}

/// Weights of the four pixels: `(weight, rest)` of rows and of columns multiplied out.
fn weights(k: &mut KernelBuilder, y: (Expr, Expr), x: (Expr, Expr)) -> [Expr; 4] {
    [
        k.let_("wa", y.1.clone() * x.1.clone()),
        k.let_("wb", y.1 * x.0.clone()),
        k.let_("wc", y.0.clone() * x.1),
        k.let_("wd", y.0 * x.0),
    ]
}

/// Weighted sum of channel `i` of four pixels; int8 weights sum to 2^20, so the sum fits int32.
fn blend(k: &KernelBuilder, x: Buf, at: &[Expr; 4], weights: &[Expr; 4], i: &Expr) -> Expr {
    let [a, b, c, d] = [0, 1, 2, 3].map(|j| {
        k.load_wide(x, at[j].clone() + i.clone()) * weights[j].clone()
    });
    let sum = a + b + c + d;
    if x.ty == Ty::F32 {
        return sum;
    }
    Expr::call(Intrinsic::RoundingDivideByPot, vec![sum, int(20)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices};

    #[test]
    fn lowering_equals_evaluation() {
        for (from, size) in [
            ([3, 4], (6, 8)),
            ([3, 4], (7, 5)),
            ([8, 6], (3, 4)),
            ([5, 4], (1, 1)),
            ([1, 3], (4, 3)),
            ([3, 3], (3, 3)),
            ([2, 1], (90, 97)),
        ] {
            for (align_corners, half_pixel_centers) in [(false, false), (true, false), (false, true)]
            {
                let sampling = Sampling { align_corners, half_pixel_centers };
                let op = ResizeBilinear { size, sampling };
                let shape = [2, from[0], from[1], 3];
                check(op.clone(), &[Spec::i8(&shape, 0.1, 0)], &[(0.1, 0)]);
                check(op.clone(), &[Spec::f32(&shape)], &[]);
                // The same extents are no kernel.
                if from != [size.0, size.1] {
                    check_indices(op.clone(), &[Spec::i8(&shape, 0.1, 0)], &[(0.1, 0)]);
                    check_indices(op, &[Spec::f32(&shape)], &[]);
                }
            }
        }
    }
}
