//! BatchMatmul: products of matrices in the last two dimensions, the others broadcast. Both sides
//! may be computed at run time. TFLite BATCH_MATMUL.

use super::weights::gemm_transposed;
use super::{OpError, Operator, Signature};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use crate::geometry::{broadcast, broadcast_strides};
use crate::kernels::matmul::{BatchDim, Matmul, Matrix};
use crate::kernels::requantize::Requantize;
use crate::kir::{KernelBuilder, int};
use crate::numeric::Multiplier;

/// y = x * z, or with transposed matrices.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchMatmul {
    /// The left matrices are stored transposed.
    pub adj_x: bool,
    /// The right matrices are stored transposed.
    pub adj_y: bool,
}

/// Sums of this many products of int8 minus zero point fit int32.
const MAX_DEPTH: usize = i32::MAX as usize / (255 * 255);

/// Batch extents and the matrix extents as stored.
fn split(shape: &Shape) -> Result<(Shape, usize, usize), OpError> {
    let [batch @ .., rows, columns] = shape.0.as_slice() else {
        return Err(OpError::invalid(format!("operand {shape} should have at least 2 dimensions")));
    };
    if shape.elements() == 0 {
        return Err(OpError::invalid(format!("operand {shape} has no elements")));
    }
    Ok((batch.into(), *rows, *columns))
}

impl BatchMatmul {
    /// Loops and the batch shape of the result.
    fn plan(&self, s: &Signature<'_>) -> Result<(Matmul, Shape), OpError> {
        let (x, y) = (s.operand(0)?, s.operand(1)?);
        let ((x_batch, xr, xc), (y_batch, yr, yc)) = (split(x.shape())?, split(y.shape())?);
        let (rows, depth) = if self.adj_x { (xc, xr) } else { (xr, xc) };
        let (columns, y_depth) = if self.adj_y { (yr, yc) } else { (yc, yr) };
        let misfit =
            || OpError::invalid(format!("operands {} and {} do not fit", x.shape(), y.shape()));
        if depth != y_depth {
            return Err(misfit());
        }
        let batch = broadcast(&x_batch, &y_batch).ok_or_else(misfit)?;
        let zero_point = |i: usize| {
            let operand = s.operand(i)?;
            if operand.dtype() == DType::I8 { Ok(operand.per_tensor()?.1) } else { Ok(0) }
        };
        let matrix = |adj: bool, across: usize, i: usize| {
            let (outer, inner) = if adj { (1, across) } else { (across, 1) };
            zero_point(i).map(|zero_point| Matrix { outer, inner, zero_point })
        };
        let plan = Matmul {
            batch: batch_dims(&x_batch, &y_batch, &batch, [xr * xc, yr * yc, rows * columns]),
            extents: (rows, depth, columns),
            left: matrix(self.adj_x, xc, 0)?,
            right: matrix(!self.adj_y, yc, 1)?,
        };
        Ok((plan, batch))
    }

    /// Scales combined in double: the fixture `int8_tie_precision` tells it from a product rounded to
    /// float32.
    fn multiplier(s: &Signature<'_>) -> Result<(Multiplier, i32), OpError> {
        let (a, _) = s.operand(0)?.per_tensor()?;
        let (b, _) = s.operand(1)?.per_tensor()?;
        let (y, zero_point) = s.result(0)?.per_tensor()?;
        let product = f64::from(a) * f64::from(b);
        let rounding = s.result(0)?.quantized()?.rounding;
        Ok((Multiplier::from_real(product / f64::from(y)).rounded(rounding), zero_point))
    }
}

/// One loop per batch dimension, those of extent 1 left out, neighbours that step as one merged.
fn batch_dims(x: &Shape, y: &Shape, batch: &Shape, matrix: [usize; 3]) -> Vec<BatchDim> {
    let [left, right, result] = [x, y, batch].map(|shape| broadcast_strides(shape, batch));
    let mut dims: Vec<BatchDim> = Vec::new();
    for (d, &extent) in batch.0.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let dim = BatchDim {
            extent,
            left: left[d] * matrix[0] as i64,
            right: right[d] * matrix[1] as i64,
            result: result[d] * matrix[2] as i64,
        };
        let n = extent as i64;
        match dims.last_mut() {
            Some(o)
                if (o.left, o.right, o.result) == (dim.left * n, dim.right * n, dim.result * n) =>
            {
                *o = BatchDim { extent: o.extent * extent, ..dim };
            }
            _separate => dims.push(dim),
        }
    }
    dims
}

impl Operator for BatchMatmul {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        let dtype = s.operand(0)?.dtype();
        if s.operand(1)?.dtype() != dtype || !matches!(dtype, DType::I8 | DType::F32) {
            return Err(OpError::types(s));
        }
        let (plan, batch) = self.plan(s)?;
        let (rows, depth, columns) = plan.extents;
        if dtype == DType::I8 {
            Self::multiplier(s)?;
            if depth > MAX_DEPTH {
                return Err(OpError::unsupported(format!(
                    "sums of {depth} int8 products can overflow int32"
                )));
            }
        }
        let mut dims = batch.0;
        dims.extend([rows, columns]);
        let shape = Shape::checked(dims)
            .ok_or_else(|| OpError::invalid("the result has more than 2^31 - 1 elements"))?;
        Ok(vec![TensorType::new(dtype, shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [x, y] = inputs else { return Err(OpError::types(s)) };
        let (plan, _) = self.plan(s)?;
        let data = match (&x.data, &y.data) {
            (TensorData::I8(a), TensorData::I8(b)) => {
                let (multiplier, zero_point) = Self::multiplier(s)?;
                let mut out = Vec::new();
                each_product(&plan, a, b, &mut |a, b, (m, depth, n)| {
                    for i in 0..m * n {
                        let row = &a[i / n * depth..][..depth];
                        let column = &b[i % n * depth..][..depth];
                        let product = |(&a, &b): (&i8, &i8)| {
                            (i32::from(a) - plan.left.zero_point)
                                * (i32::from(b) - plan.right.zero_point)
                        };
                        let acc: i32 = row.iter().zip(column).map(product).sum();
                        let y = multiplier.apply(acc).saturating_add(zero_point);
                        out.push(y.clamp(-128, 127) as i8);
                    }
                    Ok(())
                })?;
                TensorData::I8(out)
            }
            (TensorData::F32(a), TensorData::F32(b)) => {
                let mut out = Vec::new();
                each_product(&plan, a, b, &mut |a, b, extents| {
                    out.extend(gemm_transposed(a, b, extents)?);
                    Ok(())
                })?;
                TensorData::F32(out)
            }
            _mixed => return Err(OpError::types(s)),
        };
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data }])
    }

    fn macs(&self, s: &Signature<'_>) -> u64 {
        self.plan(s).map_or(0, |(plan, batch)| {
            let (rows, depth, columns) = plan.extents;
            (batch.elements() as u64) * (rows as u64) * (depth as u64) * (columns as u64)
        })
    }

    fn takes_long(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (plan, _) = self.plan(s)?;
        let (x, y) = (k.operand(s, 0, "a")?, k.operand(s, 1, "b")?);
        if s.operand(0)?.dtype() == DType::F32 {
            let result = k.result(s, 0, "y")?;
            plan.build(k, (x, y, result), &|_, acc| acc);
            return Ok(());
        }
        let (multiplier, zero_point) = Self::multiplier(s)?;
        let requantize = Requantize::declare(k, &[multiplier], zero_point, (-128, 127));
        let result = k.result(s, 0, "y")?;
        plan.build(k, (x, y, result), &|k, acc| requantize.apply(k, acc, &int(0)));
        Ok(())
    }
}

/// Rows of the left matrix and columns of the right one, each contiguous, with their extents.
type Product<'a, T> =
    dyn FnMut(&[T], &[T], (usize, usize, usize)) -> Result<(), OpError> + 'a;

/// Calls `f` for each product in result order.
fn each_product<T: Copy>(
    plan: &Matmul,
    a: &[T],
    b: &[T],
    f: &mut Product<'_, T>,
) -> Result<(), OpError> {
    let (rows, depth, columns) = plan.extents;
    let pick = |data: &[T], base: usize, n: usize, m: &Matrix| -> Vec<T> {
        let at = |i: usize| base + i / depth * m.outer + i % depth * m.inner;
        (0..n * depth).map(|i| data[at(i)]).collect()
    };
    let batches: usize = plan.batch.iter().map(|d| d.extent).product();
    for batch in 0..batches {
        let (mut rest, mut left, mut right) = (batch, 0, 0);
        for d in plan.batch.iter().rev() {
            let i = rest % d.extent;
            rest /= d.extent;
            left += i * d.left as usize;
            right += i * d.right as usize;
        }
        let (rows_of_a, columns_of_b) =
            (pick(a, left, rows, &plan.left), pick(b, right, columns, &plan.right));
        f(&rows_of_a, &columns_of_b, (rows, depth, columns))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for (adj_x, adj_y) in [(false, false), (false, true), (true, false), (true, true)] {
            let op = BatchMatmul { adj_x, adj_y };
            for (left, right) in [
                (vec![], vec![]),
                (vec![2, 3], vec![2, 3]),
                (vec![2, 3], vec![3]),
                (vec![2, 1], vec![1, 3]),
                (vec![1], vec![4]),
            ] {
                let shape = |batch: &[usize], r: usize, c: usize, adj: bool| {
                    let mut dims = batch.to_vec();
                    dims.extend(if adj { [c, r] } else { [r, c] });
                    dims
                };
                let (x, y) = (shape(&left, 3, 5, adj_x), shape(&right, 5, 6, adj_y));
                let (a, b) = (Spec::i8(&x, 0.04, 127), Spec::i8(&y, 0.02, -128));
                check(op.clone(), &[a.clone(), b.clone()], &[(0.9, 12)]);
                check(op.clone(), &[a, b.constant(3)], &[(0.9, -128)]);
                check(op.clone(), &[Spec::f32(&x), Spec::f32(&y)], &[]);
            }
        }
    }
}
