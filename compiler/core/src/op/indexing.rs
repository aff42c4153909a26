//! What operators with indices as an operand have in common. Not an operator itself.
//!
//! Negative indices count from the end. Constant indices must exist; those computed at run time are
//! limited to the range, so that no input makes the emitted code read or write elsewhere.

use super::movement;
use super::{OpError, Signature};
use crate::kernels::affine::{AffineCopy, Dim, nest, offset};
use crate::kernels::combine::{Combine, Numbers};
use crate::kernels::index::IndexMap;
use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Ty, idx, int};
use crate::tensor::{DType, Shape, Tensor};

/// The place an index means in an extent of at least 1.
#[must_use]
pub fn limited(index: i64, extent: usize) -> usize {
    let n = extent as i64;
    let from_start = if index < 0 { index.saturating_add(n) } else { index };
    from_start.min(n - 1).max(0) as usize
}

/// The same at run time: an I32 in `0..extent` from an I32 or I64.
pub fn limited_expr(k: &mut KernelBuilder, raw: Expr, extent: usize) -> Expr {
    let ty = raw.ty();
    let number = |v: i64| Expr::Int(v, ty);
    let raw = k.let_("raw", raw);
    let from_end = raw.clone() + number(extent as i64);
    let at = k.let_("at", raw.clone().lt(number(0)).select(from_end, raw));
    let last = extent as i64 - 1;
    if ty == Ty::I32 {
        return Expr::call(Intrinsic::Clamp, vec![at, int(0), int(last)]);
    }
    let below = at.clone().lt(number(0));
    let above = at.clone().gt(number(last));
    below.select(number(0), above.select(number(last), at)).cast(Ty::I32)
}

/// Operand 1 holds int32 or int64.
///
/// # Errors
/// Another type, or no such operand.
pub fn check_type(s: &Signature<'_>) -> Result<(), OpError> {
    if matches!(s.operand(1)?.dtype(), DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(OpError::types(s))
}

/// Whether an index, which may count from the end, exists in an extent.
///
/// # Errors
/// It does not.
pub fn check_exists(index: i64, extent: usize) -> Result<(), OpError> {
    let n = extent as i64;
    if (-n..n).contains(&index) {
        return Ok(());
    }
    Err(OpError::invalid(format!("index {index} does not exist in an extent of {extent}")))
}

/// How a kernel gets an index of operand 1.
#[derive(Clone, Copy, Debug)]
pub enum Index {
    /// Known now.
    Known(IndexMap),
    /// Read from the operand and limited to the extent.
    Read(Buf, usize),
}

impl Index {
    /// Of an extent of at least 1.
    ///
    /// # Errors
    /// There is no operand 1.
    pub fn declare(
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        extent: usize,
    ) -> Result<Self, OpError> {
        if let Some(values) = s.operand(1)?.constant.and_then(Tensor::to_i64) {
            let values: Vec<usize> = values.iter().map(|&i| limited(i, extent)).collect();
            return Ok(Index::Known(IndexMap::declare(k, "index", &values)));
        }
        Ok(Index::Read(k.operand(s, 1, "indices")?, extent))
    }

    /// Index number `i`.
    pub fn at(&self, k: &mut KernelBuilder, i: Expr) -> Expr {
        match *self {
            Index::Known(map) => map.at(k, i),
            Index::Read(buffer, extent) => {
                let raw = k.load(buffer, i);
                limited_expr(k, raw, extent)
            }
        }
    }
}

/// One index per element replaces the position along an axis (GatherElements, ScatterElements).
#[derive(Clone, Debug)]
pub struct Picks {
    /// Over the indices: `source` steps in them, `target` in the data, 0 along the axis.
    dims: Vec<Dim>,
    /// Distance of neighbours along the axis in the data.
    step: usize,
    extent: usize,
}

impl Picks {
    /// Plans the loops.
    ///
    /// # Errors
    /// Another rank, an axis that does not exist, indices that reach beyond the data elsewhere.
    pub fn new(data: &Shape, indices: &Shape, axis: usize) -> Result<Self, OpError> {
        let fits = |(d, (&n, &of)): (usize, (&usize, &usize))| d == axis || n <= of;
        if data.rank() != indices.rank()
            || axis >= data.rank()
            || !indices.0.iter().zip(&data.0).enumerate().all(fits)
            || (data.0[axis] == 0 && indices.elements() > 0)
        {
            return Err(OpError::invalid(format!(
                "{data} cannot be indexed by {indices}, element by element along axis {axis}"
            )));
        }
        let (own, strides) = (indices.strides(), data.strides());
        let dim = |d: usize| Dim {
            extent: indices.0[d],
            source: own[d] as i64,
            target: if d == axis { 0 } else { strides[d] as i64 },
        };
        let dims = (0..data.rank()).map(dim).collect();
        Ok(Self { dims, step: strides[axis], extent: data.0[axis] })
    }

    /// Constant indices exist.
    ///
    /// # Errors
    /// One does not.
    pub fn check(&self, s: &Signature<'_>) -> Result<(), OpError> {
        let known = s.operand(1)?.constant.and_then(Tensor::to_i64).unwrap_or_default();
        known.into_iter().try_for_each(|i| check_exists(i, self.extent))
    }

    fn copy(&self) -> AffineCopy {
        AffineCopy { dims: self.dims.clone(), source_base: 0, target_base: 0 }
    }

    /// (number of the index, place in the data) for every index.
    #[must_use]
    pub fn places(&self, indices: &[i64]) -> Vec<(usize, usize)> {
        let mut places = Vec::with_capacity(indices.len());
        self.copy().for_each(&mut |number, base| {
            let index = limited(indices.get(number).copied().unwrap_or(0), self.extent);
            places.push((number, base + index * self.step));
        });
        places
    }

    /// Loops over the indices; `body` gets the number of the index and the place in the data.
    ///
    /// # Errors
    /// There is no operand 1.
    pub fn build(
        &self,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        body: &mut dyn FnMut(&mut KernelBuilder, Expr, Expr),
    ) -> Result<(), OpError> {
        if self.copy().is_empty() {
            return Ok(());
        }
        let index = Index::declare(s, k, self.extent)?;
        let dims = self.copy().simplified().dims;
        nest(k, &dims, &mut |k, at| {
            let number = k.let_("n", offset(0, &dims, at, |d| d.source));
            let base = offset(0, &dims, at, |d| d.target);
            let pick = index.at(k, number.clone());
            let place = k.let_("place", base + pick * idx(self.step));
            body(k, number, place);
        });
        Ok(())
    }
}

/// The last dimension of the indices holds tuples that name slices of the data (GatherND,
/// ScatterND).
#[derive(Clone, Debug)]
pub struct Tuples {
    /// Leading dimensions that data and indices share, multiplied.
    batch: usize,
    /// Tuples of each of them.
    count: usize,
    /// Data elements of each of them.
    block: usize,
    /// Extents that a tuple indexes, and the distance of neighbours there.
    indexed: Vec<(usize, usize)>,
    /// Elements of a slice.
    pub slice: usize,
}

impl Tuples {
    /// Plans the loops.
    ///
    /// # Errors
    /// Tuples longer than the data has dimensions, batches that differ, nothing to index.
    pub fn new(data: &Shape, indices: &Shape, batch_dims: usize) -> Result<Self, OpError> {
        let misfit = || {
            OpError::invalid(format!(
                "{data} cannot be indexed by the tuples of {indices} with {batch_dims} batch \
                 dimensions"
            ))
        };
        let (&depth, outer) = indices.0.split_last().ok_or_else(misfit)?;
        let batch = data.0.get(..batch_dims).ok_or_else(misfit)?;
        let own = outer.get(..batch_dims).ok_or_else(misfit)?;
        let end = batch_dims.checked_add(depth).filter(|&e| e <= data.rank() && depth > 0);
        let end = end.ok_or_else(misfit)?;
        let strides = data.strides();
        let indexed: Vec<_> = (batch_dims..end).map(|d| (data.0[d], strides[d])).collect();
        let nothing = indexed.iter().any(|&(n, _)| n == 0) && indices.elements() > 0;
        if batch != own || nothing {
            return Err(misfit());
        }
        Ok(Self {
            batch: batch.iter().product(),
            count: outer[batch_dims..].iter().product(),
            block: data.0[batch_dims..].iter().product(),
            indexed,
            slice: data.0[end..].iter().product(),
        })
    }

    /// Tuples in all batches.
    #[must_use]
    pub fn total(&self) -> usize {
        self.batch * self.count
    }

    /// Constant indices exist.
    ///
    /// # Errors
    /// One does not.
    pub fn check(&self, s: &Signature<'_>) -> Result<(), OpError> {
        let known = s.operand(1)?.constant.and_then(Tensor::to_i64).unwrap_or_default();
        let extents = self.indexed.iter().map(|&(n, _)| n).cycle();
        known.into_iter().zip(extents).try_for_each(|(i, n)| check_exists(i, n))
    }

    /// Where the slice of every tuple begins, within its batch.
    fn starts(&self, indices: &[i64]) -> Vec<usize> {
        let start = |tuple: &[i64]| {
            tuple.iter().zip(&self.indexed).map(|(&i, &(n, step))| limited(i, n) * step).sum()
        };
        indices.chunks(self.indexed.len()).map(start).collect()
    }

    /// First data element of the slice of every tuple.
    #[must_use]
    pub fn places(&self, indices: &[i64]) -> Vec<usize> {
        let starts = self.starts(indices);
        let at = |(n, start): (usize, usize)| n / self.count.max(1) * self.block + start;
        starts.into_iter().enumerate().map(at).collect()
    }

    /// Loops over elements of slices; `body` gets the number of the element among all slices, and
    /// its place in the data.
    ///
    /// # Errors
    /// There is no operand 1.
    pub fn build(
        &self,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        body: &mut dyn FnMut(&mut KernelBuilder, Expr, Expr),
    ) -> Result<(), OpError> {
        if self.total() == 0 || self.slice == 0 {
            return Ok(());
        }
        let known = s.operand(1)?.constant.and_then(Tensor::to_i64).map(|values| {
            let starts: Vec<usize> = self.starts(&values).iter().map(|p| p / self.slice).collect();
            IndexMap::declare(k, "index", &starts)
        });
        let buffer = if known.is_some() { None } else { Some(k.operand(s, 1, "indices")?) };
        k.for_("b", self.batch, |k, b| {
            k.for_("i", self.count, |k, i| {
                let number = k.let_("n", b.clone() * idx(self.count) + i);
                let mut place = b.clone() * idx(self.block);
                match (known, buffer) {
                    (Some(map), _) => place = place + map.at(k, number.clone()) * idx(self.slice),
                    (None, Some(buffer)) => {
                        for (j, &(extent, step)) in self.indexed.iter().enumerate() {
                            let at = number.clone() * idx(self.indexed.len()) + idx(j);
                            let raw = k.load(buffer, at);
                            place = place + limited_expr(k, raw, extent) * idx(step);
                        }
                    }
                    (None, None) => {}
                }
                let place = k.let_("place", place);
                let first = k.let_("first", number * idx(self.slice));
                k.for_("c", self.slice, |k, c| {
                    body(k, first.clone() + c.clone(), place.clone() + c);
                });
            });
        });
        Ok(())
    }
}

/// Result of a scatter: operand 0, then operand 2 element by element at `(number, place)`.
///
/// # Errors
/// Missing operands; a reduction of a type without arithmetic.
pub fn eval_scatter(
    s: &Signature<'_>,
    inputs: &[&Tensor],
    reduction: Option<Combine>,
    places: &[(usize, usize)],
) -> Result<Vec<Tensor>, OpError> {
    let [Some(x), Some(updates)] = [0, 2].map(|i| inputs.get(i)) else {
        return Err(OpError::types(s));
    };
    let Some(combine) = reduction else {
        let n = x.data.len();
        let mut order: Vec<usize> = (0..n).collect();
        for &(number, place) in places {
            order[place] = n + number;
        }
        let all = movement::joined(&[*x, *updates], x.data.dtype());
        let data = all.ok_or_else(|| OpError::types(s))?.gather(&order);
        return Ok(vec![Tensor { shape: x.shape.clone(), data }]);
    };
    let numbers = [x, updates].map(|t| Numbers::of(&t.data));
    let [Some(mut values), Some(news)] = numbers else { return Err(OpError::types(s)) };
    for &(number, place) in places {
        values.update(place, &news, number, combine);
    }
    let data = values.data().ok_or_else(|| OpError::types(s))?;
    Ok(vec![Tensor { shape: x.shape.clone(), data }])
}

/// Starts the kernel of a scatter: result 0 becomes operand 0. A constant of equal elements costs
/// no memory.
///
/// # Errors
/// Missing operand or result.
pub fn start_scatter(s: &Signature<'_>, k: &mut KernelBuilder) -> Result<Buf, OpError> {
    let x = s.operand(0)?;
    let n = x.shape().elements();
    let even = x.constant.filter(|t| t.data.gather(&vec![0; n]) == t.data);
    if let Some(literal) = even.and_then(|t| movement::literal(&t.data)) {
        let y = k.result(s, 0, "y")?;
        k.for_("i", n, |k, i| k.store(y, i, literal));
        return Ok(y);
    }
    let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
    k.for_("i", n, |k, i| {
        let value = k.load(x, i.clone());
        k.store(y, i, value);
    });
    Ok(y)
}

/// One update: element `number` of `updates` comes to `place` of the result.
pub fn scatter_one(
    k: &mut KernelBuilder,
    reduction: Option<Combine>,
    (updates, y): (Buf, Buf),
    number: Expr,
    place: Expr,
) {
    let value = match reduction {
        None => k.load(updates, number),
        Some(combine) => {
            let (old, new) = (k.load_wide(y, place.clone()), k.load_wide(updates, number));
            combine.expr(k, old, new)
        }
    };
    k.store(y, place, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_count_from_either_end_and_never_leave() {
        let all: Vec<usize> =
            [-9, -3, -1, 0, 2, 3, i64::MIN, i64::MAX].iter().map(|&i| limited(i, 3)).collect();
        assert_eq!(all, [0, 0, 2, 0, 2, 2, 0, 2]);
        assert!(check_exists(-3, 3).is_ok() && check_exists(-4, 3).is_err());
        assert!(check_exists(3, 3).is_err() && check_exists(0, 0).is_err());
    }
}
