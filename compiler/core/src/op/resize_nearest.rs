//! ResizeNearest: nearest-neighbour resize, NHWC. TFLite RESIZE_NEAREST_NEIGHBOR.

use super::resize::{Axis, Geometry, Sampling};
use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kernels::index::IndexMap;
use crate::kir::{KernelBuilder, idx};

/// Every result pixel is a copy of an operand pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeNearest {
    /// Height and width of the result.
    pub size: (usize, usize),
    /// Position rule.
    pub sampling: Sampling,
}

/// Input index per output index, in float32 as the TFLite reference kernel computes it.
fn positions(axis: &Axis) -> Vec<usize> {
    let scale = axis.scale();
    let offset = if axis.sampling.half_pixel_centers { 0.5f32 } else { 0.0 };
    let position = |i: usize| {
        let real = (i as f32 + offset) * scale;
        let index = if axis.sampling.align_corners { real.round() } else { real.floor() };
        (index as usize).min(axis.from - 1)
    };
    (0..axis.to).map(position).collect()
}

/// The factor f when position i is i / f throughout.
fn factor(axis: &Axis, positions: &[usize]) -> Option<usize> {
    let f = axis.to / axis.from;
    let whole = f > 0 && axis.to == f * axis.from;
    (whole && positions.iter().enumerate().all(|(i, &p)| p == i / f)).then_some(f)
}

impl ResizeNearest {
    fn geometry(&self, s: &Signature<'_>) -> Result<Geometry, OpError> {
        Geometry::new(s, self.size, self.sampling)
    }

    /// Whole factors in both directions are one affine copy without tables.
    fn repeat(&self, g: &Geometry) -> Option<AffineCopy> {
        let fy = factor(&g.y, &positions(&g.y))?;
        let fx = factor(&g.x, &positions(&g.x))?;
        let (row, c) = (g.x.from * g.channels, g.channels);
        let wide = g.x.to * c;
        let dim = |extent, source: usize, target: usize| Dim {
            extent,
            source: source as i64,
            target: target as i64,
        };
        Some(AffineCopy {
            dims: vec![
                dim(g.batch, g.y.from * row, g.y.to * wide),
                dim(g.y.from, row, fy * wide),
                dim(fy, 0, wide),
                dim(g.x.from, c, fx * c),
                dim(fx, 0, c),
                dim(c, 1, 1),
            ],
            source_base: 0,
            target_base: 0,
        })
    }
}

impl Operator for ResizeNearest {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        self.geometry(s)?.result(s)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let g = self.geometry(s)?;
        let (rows, columns) = (positions(&g.y), positions(&g.x));
        let mut order = Vec::new();
        for n in 0..g.batch {
            for &row in &rows {
                for &column in &columns {
                    let from = g.at(n, row, column);
                    order.extend(from..from + g.channels);
                }
            }
        }
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: x.data.gather(&order) }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        let identity = |g: Geometry| {
            [g.y, g.x].iter().all(|axis| factor(axis, &positions(axis)) == Some(1))
        };
        movement::alias_if(self.geometry(s).is_ok_and(identity))
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let g = self.geometry(s)?;
        if let Some(copy) = self.repeat(&g) {
            return movement::lower(s, k, &[copy]);
        }
        let x = k.operand(s, 0, "x")?;
        let rows = IndexMap::declare(k, "rows", &positions(&g.y));
        let columns = IndexMap::declare(k, "columns", &positions(&g.x));
        let y = k.result(s, 0, "y")?;
        k.for_("n", g.batch, |k, n| {
            k.for_("oy", g.y.to, |k, oy| {
                let row = n.clone() * idx(g.y.from) + rows.at(k, oy.clone());
                let row = k.let_("row", row * idx(g.x.from));
                let out = k.let_("out", (n.clone() * idx(g.y.to) + oy) * idx(g.x.to));
                k.for_("ox", g.x.to, |k, ox| {
                    let from = (row.clone() + columns.at(k, ox.clone())) * idx(g.channels);
                    let from = k.let_("from", from);
                    let to = k.let_("to", (out.clone() + ox) * idx(g.channels));
                    k.for_("c", g.channels, |k, c| {
                        let value = k.load(x, from.clone() + c.clone());
                        k.store(y, to.clone() + c, value);
                    });
                });
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for size in [(6, 8), (3, 4), (5, 7), (1, 1), (2, 9), (9, 4)] {
            for bits in 0..4 {
                let sampling =
                    Sampling { align_corners: bits & 1 != 0, half_pixel_centers: bits & 2 != 0 };
                let x = Spec::i8(&[2, 3, 4, 2], 0.1, 0);
                check(ResizeNearest { size, sampling }, &[x], &[(0.1, 0)]);
            }
        }
    }
}
