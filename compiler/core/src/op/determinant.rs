//! Determinant: of the matrices in the last two dimensions. ONNX Det.

use super::{OpError, Operator, Signature};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Ty, float, idx};

/// Gaussian elimination with the largest pivot of the column, in float32.
#[derive(Clone, Debug, PartialEq)]
pub struct Determinant;

/// Number of matrices, and their edge.
fn extents(s: &Signature<'_>) -> Result<(usize, usize), OpError> {
    let x = s.operand(0)?.shape();
    match x.0.as_slice() {
        [outer @ .., n, m] if n == m && *n > 0 => Ok((outer.iter().product(), *n)),
        _other => Err(OpError::invalid(format!("{x} holds no square matrices"))),
    }
}

/// Determinant of a row-major matrix of edge `n`.
fn eliminate(a: &mut [f32], n: usize) -> f32 {
    let mut det = 1.0;
    for c in 0..n {
        let pivot = (c + 1..n).fold(c, |best, i| {
            if a[i * n + c].abs() > a[best * n + c].abs() { i } else { best }
        });
        if pivot != c {
            det = -det;
            for j in 0..n {
                a.swap(c * n + j, pivot * n + j);
            }
        }
        let d = a[c * n + c];
        det *= d;
        if d != 0.0 {
            for i in c + 1..n {
                let factor = a[i * n + c] / d;
                for j in 0..n {
                    a[i * n + j] -= factor * a[c * n + j];
                }
            }
        }
    }
    det
}

impl Operator for Determinant {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if x.dtype() != DType::F32 {
            return Err(OpError::types(s));
        }
        extents(s)?;
        let outer = x.shape().rank().saturating_sub(2);
        let dims = x.shape().0.iter().take(outer).copied().collect();
        Ok(vec![TensorType::new(DType::F32, Shape(dims))])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().and_then(|t| t.as_f32()).ok_or_else(|| OpError::types(s))?;
        let (_, n) = extents(s)?;
        let y = x.chunks_exact(n * n).map(|m| eliminate(&mut m.to_vec(), n)).collect();
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: TensorData::F32(y) }])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (count, n) = extents(s)?;
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let a = k.scratch("a", Ty::F32, n * n);
        k.for_("b", count, |k, b| {
            k.for_("i", n * n, |k, i| {
                let value = k.load(x, b.clone() * idx(n * n) + i.clone());
                k.store(a, i, value);
            });
            let det = k.var("det", float(1.0));
            k.for_("c", n, |k, c| column(k, a, n, c, det));
            k.store(y, b, det.into());
        });
        Ok(())
    }
}

/// Makes the elements below the diagonal 0 in column `c` of the matrix `a`.
fn column(k: &mut KernelBuilder, a: Buf, n: usize, c: Expr, det: crate::kir::Var) {
    let at = |row: Expr, column: Expr| row * idx(n) + column;
    let size = |e: Expr| Expr::call(Intrinsic::FAbs, vec![e]);
    let pivot = k.var("pivot", c.clone());
    let best = k.var("best", size(k.load(a, at(c.clone(), c.clone()))));
    k.for_("i", n, |k, i| {
        let value = size(k.load(a, at(i.clone(), c.clone())));
        let value = k.let_("v", value);
        let better = i.clone().gt(c.clone()).and(value.clone().gt(best.into()));
        k.if_(better, |k| {
            k.assign(best, value);
            k.assign(pivot, i);
        });
    });
    k.if_(Expr::from(pivot).gt(c.clone()), |k| {
        k.assign(det, float(0.0) - Expr::from(det));
        k.for_("j", n, |k, j| {
            let (upper, lower) = (at(c.clone(), j.clone()), at(pivot.into(), j));
            let held = k.let_("held", k.load(a, upper.clone()));
            let value = k.load(a, lower.clone());
            k.store(a, upper, value);
            k.store(a, lower, held);
        });
    });
    let d = k.let_("d", k.load(a, at(c.clone(), c.clone())));
    k.assign(det, det * d.clone());
    k.if_(size(d.clone()).gt(float(0.0)), |k| {
        k.for_("i", n, |k, i| {
            k.if_(i.clone().gt(c.clone()), |k| {
                let factor = k.let_("factor", k.load(a, at(i.clone(), c.clone())) / d.clone());
                k.for_("j", n, |k, j| {
                    let own = at(i.clone(), j.clone());
                    let less = factor.clone() * k.load(a, at(c.clone(), j));
                    let value = k.load(a, own.clone()) - less;
                    k.store(a, own, value);
                });
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_indices, graph_of};

    #[test]
    fn lowering_equals_evaluation() {
        for shape in [&[1, 1][..], &[2, 2], &[3, 2, 4, 4], &[5, 5]] {
            check(Determinant, &[Spec::f32(shape)], &[]);
        }
    }

    #[test]
    fn by_hand() {
        assert!((eliminate(&mut [0.0, 2.0, 3.0, 4.0], 2) + 6.0).abs() < 1e-6);
        assert!(eliminate(&mut [1.0, 2.0, 2.0, 4.0], 2).abs() < 1e-6);
        assert!(eliminate(&mut [0.0; 9], 3).abs() < 1e-6);
    }

    #[test]
    fn other_shapes_are_refused() {
        let graph = graph_of(&crate::op::Abs.into(), &[Spec::f32(&[2, 3])], &[]);
        assert!(Determinant.infer(&graph.signature(graph.outputs()[0].node)).is_err());
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        check_indices(Determinant, &[Spec::f32(&[3, 4, 4])], &[]);
    }
}
