//! MatMulInteger and ConvInteger: int32 sums of products of int8 or uint8 minus zero points. They are
//! computed in float32, exactly: the sum is cut into parts that stay below 2^24.

use super::quantize::check_zero_point;
use super::quantize_plain::{is_zero, real};
use super::{Context, conv};
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{Add, Cast, OpError, Split};
use crate::tensor::DType;

type Read = Result<Vec<ValueId>, OpError>;

/// Up to here every integer is a float32.
const EXACT: u64 = 1 << 24;
/// Largest magnitude of an 8-bit element minus its zero point.
const FARTHEST: u64 = 255;

/// An 8-bit operand minus its zero point, as float32; lists of zero points lie along `axis`.
fn centred(
    c: &mut Context<'_, '_>,
    x: usize,
    zero_point: usize,
    axis: Option<usize>,
) -> Result<ValueId, OpError> {
    let x = c.operand(x)?;
    let dtype = c.build.ty(x).dtype;
    if !matches!(dtype, DType::I8 | DType::U8) {
        return Err(OpError::unsupported(format!("operands of {dtype} are not supported")));
    }
    check_zero_point(c, c.optional(zero_point), dtype)?;
    let float = real(c, x)?;
    let Some(z) = c.optional(zero_point).filter(|&z| !is_zero(c, z)) else { return Ok(float) };
    let z = real(c, z)?;
    let (dims, own) = (c.build.shape(x), c.build.shape(z));
    let z = match own.as_slice() {
        _one if own.iter().product::<usize>() == 1 => c.build.reshape(z, Vec::new())?,
        [n] => {
            let axis = axis.filter(|&a| dims.get(a) == Some(n)).ok_or_else(|| {
                OpError::invalid(format!("{n} zero points do not fit the operand {dims:?}"))
            })?;
            let mut shape = vec![1; dims.len() - axis];
            shape[0] = *n;
            c.build.reshape(z, shape)?
        }
        _matrix => z,
    };
    c.build.minus(float, z)
}

/// Parts of `depth` such that sums of `taps` products each stay exact.
fn parts(depth: usize, taps: usize) -> Vec<usize> {
    let most = EXACT / (FARTHEST * FARTHEST * taps.max(1) as u64).max(1);
    let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
    let mut sizes = vec![most; depth / most];
    if !depth.is_multiple_of(most) {
        sizes.push(depth % most);
    }
    sizes
}

fn split(
    c: &mut Context<'_, '_>,
    x: ValueId,
    axis: usize,
    sizes: &[usize],
) -> Result<Vec<ValueId>, OpError> {
    if sizes.len() < 2 {
        return Ok(vec![x]);
    }
    c.build.add_all(Split { axis, sizes: sizes.to_vec() }, &[x])
}

/// The sum of partial products, each computed by `read` from its parts of both operands.
fn sum(
    c: &mut Context<'_, '_>,
    a: Vec<ValueId>,
    b: Vec<ValueId>,
    read: fn(&mut Context<'_, '_>) -> Read,
) -> Read {
    let mut total: Option<ValueId> = None;
    for (a, b) in a.into_iter().zip(b) {
        c.operands = vec![Some(a), Some(b)];
        let part = read(c)?;
        let part = part.first().copied().ok_or_else(|| OpError::invalid("no result"))?;
        let part = c.build.apply(Cast { to: DType::I32 }, part)?;
        total = Some(match total {
            Some(sum) => c.build.add(Add { activation: Activation::None }, &[sum, part])?,
            None => part,
        });
    }
    total.map(|t| vec![t]).ok_or_else(|| OpError::invalid("the operands have no elements"))
}

/// MatMulInteger: A, B, zero point of A (one or per row), of B (one or per column).
pub fn matmul_integer(c: &mut Context<'_, '_>) -> Read {
    let (left, right) = (c.build.shape(c.operand(0)?), c.build.shape(c.operand(1)?));
    let a = centred(c, 0, 2, left.len().checked_sub(2))?;
    let b = centred(c, 1, 3, right.len().checked_sub(1))?;
    let depth = left.last().copied().unwrap_or(1);
    let sizes = parts(depth, 1);
    let a = split(c, a, left.len().saturating_sub(1), &sizes)?;
    let b = split(c, b, right.len().saturating_sub(2), &sizes)?;
    sum(c, a, b, conv::matmul)
}

/// ConvInteger: x, w, zero point of x, of w (one or per output channel).
pub fn conv_integer(c: &mut Context<'_, '_>) -> Read {
    let weights = c.build.shape(c.operand(1)?);
    let x = centred(c, 0, 2, None)?;
    let w = centred(c, 1, 3, Some(0))?;
    let channels = weights.get(1).copied().unwrap_or(1);
    let taps: usize = weights.iter().skip(2).product();
    if taps as u64 > EXACT / (FARTHEST * FARTHEST) {
        return Err(OpError::unsupported(format!(
            "windows of {taps} taps are not supported: their sums could be inexact"
        )));
    }
    let sizes = parts(channels, taps);
    if sizes.len() > 1 && c.attributes.int("group")?.unwrap_or(1) != 1 {
        return Err(OpError::unsupported(format!(
            "groups of {channels} channels are not supported: their sums could be inexact"
        )));
    }
    let x = split(c, x, 1, &sizes)?;
    let w = split(c, w, 1, &sizes)?;
    sum(c, x, w, conv::conv)
}
