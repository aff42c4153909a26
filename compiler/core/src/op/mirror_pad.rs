//! MirrorPad: surrounds the operand with its mirror image. TFLite MIRROR_PAD.

use super::pad::{interior, padded};
use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Shape, Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// Where the mirror stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// On the outermost element, which is not repeated: `c b | a b c`.
    Reflect,
    /// Outside the outermost element, which is repeated: `b a | a b c`.
    Symmetric,
}

/// At most extent - 1 (reflect) or extent (symmetric) elements on each side.
#[derive(Clone, Debug, PartialEq)]
pub struct MirrorPad {
    /// Elements before the operand, per dimension.
    pub before: Vec<usize>,
    /// Elements after it, per dimension.
    pub after: Vec<usize>,
    /// Where the mirror stands.
    pub mirror: Mirror,
}

impl MirrorPad {
    /// 1 when the outermost element is left out, else 0.
    fn skip(&self) -> usize {
        match self.mirror {
            Mirror::Reflect => 1,
            Mirror::Symmetric => 0,
        }
    }

    /// Operand index that position `i` of the padded dimension `d` shows.
    fn source(&self, d: usize, extent: usize, i: usize) -> usize {
        let (before, skip) = (self.before[d], self.skip());
        if i < before {
            before - 1 - i + skip
        } else if i < before + extent {
            i - before
        } else {
            extent - 1 - (i - before - extent) - skip
        }
    }

    /// Copies within the result that extend it along dimension `d`, once all later dimensions are
    /// complete: mirrored runs before and after.
    fn extensions(&self, x: &Shape, y: &Shape, d: usize) -> [AffineCopy; 2] {
        let stride = y.strides();
        let outer: usize = (0..d).map(|j| self.before[j] * stride[j]).sum();
        let (first, last) = (self.before[d], self.before[d] + x.0[d]);
        let mirrored = |count: usize, from: usize, to: usize, step: i64| AffineCopy {
            dims: (0..x.rank())
                .map(|j| {
                    let s = stride[j] as i64;
                    match j.cmp(&d) {
                        std::cmp::Ordering::Less => Dim { extent: x.0[j], source: s, target: s },
                        std::cmp::Ordering::Equal => {
                            Dim { extent: count, source: -step * s, target: step * s }
                        }
                        std::cmp::Ordering::Greater => {
                            Dim { extent: y.0[j], source: s, target: s }
                        }
                    }
                })
                .collect(),
            source_base: (outer + from * stride[d]) as i64,
            target_base: (outer + to * stride[d]) as i64,
        };
        [
            mirrored(self.before[d], first + self.skip(), first.saturating_sub(1), -1),
            mirrored(self.after[d], last.saturating_sub(1 + self.skip()), last, 1),
        ]
    }
}

impl Operator for MirrorPad {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let shape = padded(x.shape(), &self.before, &self.after)?;
        for (d, &extent) in x.shape().0.iter().enumerate() {
            let widest = self.before[d].max(self.after[d]);
            if widest > extent.saturating_sub(self.skip()) {
                return Err(OpError::invalid(format!(
                    "padding {widest} of dimension {d} is wider than the mirror image of {}",
                    x.shape()
                )));
            }
        }
        Ok(vec![TensorType::new(x.dtype(), shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let shape = s.result(0)?.shape().clone();
        let (from, to) = (x.shape.strides(), shape.strides());
        let source = |at: usize| -> usize {
            (0..shape.rank())
                .map(|d| self.source(d, x.shape.0[d], at / to[d] % shape.0[d]) * from[d])
                .sum()
        };
        let order: Vec<usize> = (0..shape.elements()).map(source).collect();
        Ok(vec![Tensor { shape, data: x.data.gather(&order) }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        movement::alias_if(self.before.iter().chain(&self.after).all(|&n| n == 0))
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (from, to) = (s.operand(0)?.shape(), s.result(0)?.shape());
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        interior(from, to, &self.before).build(k, x, y);
        for d in (0..from.rank()).rev() {
            for extension in self.extensions(from, to, d) {
                extension.build(k, y, y);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, TensorData};
    use crate::op::testing::{Spec, check, graph_of};

    fn pad(before: &[usize], after: &[usize], mirror: Mirror) -> MirrorPad {
        MirrorPad { before: before.to_vec(), after: after.to_vec(), mirror }
    }

    #[test]
    fn lowering_equals_evaluation() {
        let x = [Spec::i8(&[2, 3, 4], 0.1, 0)];
        for (before, after, mirror) in [
            ([0, 2, 3], [1, 1, 2], Mirror::Reflect),
            ([2, 3, 0], [1, 0, 4], Mirror::Symmetric),
            ([0, 0, 0], [0, 0, 0], Mirror::Symmetric),
        ] {
            check(pad(&before, &after, mirror), &x, &[(0.1, 0)]);
        }
    }

    #[test]
    fn mirrors_by_hand() {
        for (mirror, want) in
            [(Mirror::Reflect, [3, 2, 1, 2, 3, 2]), (Mirror::Symmetric, [2, 1, 1, 2, 3, 3])]
        {
            let x = Spec::of(DType::I32, &[3]).data(TensorData::I32(vec![1, 2, 3]));
            let graph = graph_of(&pad(&[2], &[1], mirror).into(), &[x], &[]);
            let y = crate::evaluate::run(&graph, &[]).expect("evaluates");
            assert_eq!(y[0].as_i32(), Some(&want[..]));
        }
    }

    #[test]
    fn too_wide_paddings_are_refused() {
        let graph = graph_of(&pad(&[2], &[2], Mirror::Reflect).into(), &[Spec::f32(&[3])], &[]);
        let s = graph.signature(graph.outputs()[0].node);
        assert!(pad(&[3], &[0], Mirror::Reflect).infer(&s).is_err());
        assert!(pad(&[3], &[3], Mirror::Symmetric).infer(&s).is_ok());
        assert!(pad(&[0], &[4], Mirror::Symmetric).infer(&s).is_err());
        assert!(pad(&[usize::MAX], &[usize::MAX], Mirror::Symmetric).infer(&s).is_err());
    }
}
