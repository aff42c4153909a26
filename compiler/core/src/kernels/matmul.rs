//! Batched matrix product of two operands known only at run time; either may be stored transposed.

use super::affine::{Dim, nest, offset};
use crate::kir::{Buf, Expr, KernelBuilder, Ty, Var, float, idx, int};

/// Result columns computed together, sharing each load of the left operand.
const TILE: usize = 4;

/// One batch loop: how far each buffer moves per step, in elements; 0 repeats a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDim {
    /// Iterations.
    pub extent: usize,
    /// Step of the left operand.
    pub left: i64,
    /// Step of the right operand.
    pub right: i64,
    /// Step of the result.
    pub result: i64,
}

/// Element strides of a matrix in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// Step along the result's dimension (rows of the left operand, columns of the right one).
    pub outer: usize,
    /// Step along the dimension that is summed over.
    pub inner: usize,
    /// Zero point of int8 elements.
    pub zero_point: i32,
}

/// A product with everything known but the data.
#[derive(Clone, Debug)]
pub struct Matmul {
    /// Batch loops, outermost first.
    pub batch: Vec<BatchDim>,
    /// (rows, summed, columns).
    pub extents: (usize, usize, usize),
    /// Left operand.
    pub left: Matrix,
    /// Right operand.
    pub right: Matrix,
}

impl Matmul {
    /// Builds the loops; `finish` turns a sum into the value to store. The result is row-major.
    pub fn build(
        &self,
        k: &mut KernelBuilder,
        (left, right, result): (Buf, Buf, Buf),
        finish: &dyn Fn(&KernelBuilder, Expr) -> Expr,
    ) {
        let (rows, _, columns) = self.extents;
        let loops: Vec<Dim> = self
            .batch
            .iter()
            .map(|d| Dim { extent: d.extent, source: d.left, target: d.result })
            .collect();
        let rights: Vec<Dim> = self
            .batch
            .iter()
            .map(|d| Dim { extent: d.extent, source: d.right, target: 0 })
            .collect();
        nest(k, &loops, &mut |k, at| {
            let a0 = k.let_("a0", offset(0, &loops, at, |d| d.source));
            let b0 = k.let_("b0", offset(0, &rights, at, |d| d.source));
            let y0 = k.let_("y0", offset(0, &loops, at, |d| d.target));
            k.for_("row", rows, |k, row| {
                let a1 = k.let_("a1", a0.clone() + row.clone() * idx(self.left.outer));
                let y1 = k.let_("y1", y0.clone() + row * idx(columns));
                let tile = |k: &mut KernelBuilder, column: Expr, n: usize| {
                    let b1 = b0.clone() + column.clone() * idx(self.right.outer);
                    let b1 = k.let_("b1", b1);
                    let acc = self.sums(k, (left, &a1), (right, &b1), n);
                    for (j, acc) in acc.into_iter().enumerate() {
                        let value = finish(k, acc.into());
                        k.store(result, y1.clone() + column.clone() + idx(j), value);
                    }
                };
                let full = columns / TILE * TILE;
                k.for_step("column", full, TILE, |k, column| tile(k, column, TILE));
                if columns > full {
                    tile(k, idx(full), columns - full);
                }
            });
        });
    }

    /// The sums of `n` neighbouring columns.
    fn sums(
        &self,
        k: &mut KernelBuilder,
        (left, a1): (Buf, &Expr),
        (right, b1): (Buf, &Expr),
        n: usize,
    ) -> Vec<Var> {
        let zero = if left.ty == Ty::F32 { float(0.0) } else { int(0) };
        let acc: Vec<Var> = (0..n).map(|j| k.var(&format!("acc{j}"), zero.clone())).collect();
        let centred = |k: &KernelBuilder, buf: Buf, at: Expr, matrix: &Matrix| {
            let value = k.load_wide(buf, at);
            if buf.ty == Ty::F32 { value } else { value - int(i64::from(matrix.zero_point)) }
        };
        k.for_("i", self.extents.1, |k, i| {
            let at = a1.clone() + i.clone() * idx(self.left.inner);
            let value = centred(k, left, at, &self.left);
            let value = k.let_("v", value);
            let at = k.let_("b2", b1.clone() + i * idx(self.right.inner));
            for (j, &acc) in acc.iter().enumerate() {
                let at = at.clone() + idx(j * self.right.outer);
                let other = centred(k, right, at, &self.right);
                k.accumulate(acc, value.clone() * other);
            }
        });
        acc
    }
}
