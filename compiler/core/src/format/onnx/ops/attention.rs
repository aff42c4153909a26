//! Attention and RotaryEmbedding: matrix products, masks and a softmax. What is known while reading,
//! like a causal mask, is a constant.

use super::Context;
use crate::format::onnx::build::Builder;
use crate::format::onnx::tensor;
use crate::graph::ValueId;
use crate::op::{
    BatchMatmul, Cast, Compare, Concat, Gather, OpError, ReduceAttributes, ReduceMax, Relation,
    Select, Softmax, Tanh,
};
use crate::tensor::{DType, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Elements of a constant mask.
const MAX_MASK: usize = 4 << 20;

/// `[batch, heads, length, size]`, and whether the operand had no dimension of heads.
struct Heads {
    value: ValueId,
    flat: bool,
}

/// The number of heads in an attribute.
fn head_count(c: &Context<'_, '_>, name: &str) -> Result<Option<usize>, OpError> {
    let Some(count) = c.attributes.int(name)? else { return Ok(None) };
    let known = usize::try_from(count).ok().filter(|&n| n > 0 && n <= i32::MAX as usize);
    let wrong = || OpError::invalid(format!("attribute \"{name}\" = {count} is not possible"));
    known.map(Some).ok_or_else(wrong)
}

/// An operand with its heads apart: of three dimensions the last holds them one after the other.
fn heads(c: &mut Context<'_, '_>, operand: usize, name: &str) -> Result<Heads, OpError> {
    let x = c.operand(operand)?;
    match c.build.shape(x).as_slice() {
        [_, _, _, _] => Ok(Heads { value: x, flat: false }),
        &[batch, length, all] => {
            let count = head_count(c, name)?;
            let count = count.filter(|n| all.is_multiple_of(*n)).ok_or_else(|| {
                OpError::invalid(format!(
                    "attribute \"{name}\" is missing or does not divide {all}"
                ))
            })?;
            let x = c.build.reshape(x, vec![batch, length, count, all / count])?;
            Ok(Heads { value: c.build.transpose(x, &[0, 2, 1, 3])?, flat: true })
        }
        other => Err(OpError::invalid(format!(
            "operand {operand} has {} dimensions, not 3 or 4",
            other.len()
        ))),
    }
}

pub(super) fn dims4(b: &Builder<'_>, x: ValueId) -> Result<[usize; 4], OpError> {
    <[usize; 4]>::try_from(b.shape(x))
        .map_err(|d| OpError::invalid(format!("{d:?} should have 4 dimensions")))
}

/// Scaled dot products of queries and keys choose among the values.
pub fn attention(c: &mut Context<'_, '_>) -> Read {
    let q = heads(c, 0, "q_num_heads")?;
    let (k, v) = (heads(c, 1, "kv_num_heads")?, heads(c, 2, "kv_num_heads")?);
    let past = c.optional(4).map(|k| c.build.shape(k).get(2).copied().unwrap_or(0));
    let k = joined(c, 4, k.value)?;
    let v = joined(c, 5, v.value)?;
    let scale = c.attributes.float("scale", 0.0)?;
    let product = products(&mut c.build, q.value, k, scale)?;
    let [batch, count, rows, columns] = dims4(&c.build, product)?;
    let score = Scores { batch, rows, columns, past };
    let capped = softcap(c, product)?;
    let bias = bias(c, &score)?;
    let biased = match bias.value {
        None => capped,
        Some(bias) => c.build.plus(capped, bias)?,
    };
    let weights = chances(c, biased, &bias)?;
    let mut y = choose(&mut c.build, weights, v)?;
    if q.flat {
        let [_, _, _, size] = dims4(&c.build, y)?;
        y = c.build.transpose(y, &[0, 2, 1, 3])?;
        y = c.build.reshape(y, vec![batch, rows, count * size])?;
    }
    let exposed = match c.attributes.int("qk_matmul_output_mode")?.unwrap_or(0) {
        0 => product,
        1 => capped,
        2 => biased,
        3 => weights,
        other => {
            let message = format!("qk_matmul_output_mode {other} does not exist");
            return Err(OpError::invalid(message));
        }
    };
    Ok(vec![y, k, v, exposed])
}

/// Scaled products of each query with all keys: `[batch, heads, queries, keys]`. Several heads of
/// queries in a row may share one of keys: they are the rows of one matrix. The scale 0 stands for
/// 1 / sqrt(size).
///
/// # Errors
/// Operands that do not fit.
pub fn products(b: &mut Builder<'_>, q: ValueId, k: ValueId, scale: f32) -> Made {
    let [batch, heads, rows, size] = dims4(b, q)?;
    let [_, shared, columns, _] = dims4(b, k)?;
    if shared == 0 || !heads.is_multiple_of(shared) {
        return Err(OpError::invalid(format!("{heads} heads cannot share {shared}")));
    }
    let scale = if scale == 0.0 { 1.0 / (size as f32).sqrt() } else { scale };
    let q = b.scaled(q, scale)?;
    let q = b.reshape(q, vec![batch, shared, heads / shared * rows, size])?;
    let y = b.add(BatchMatmul { adj_x: false, adj_y: true }, &[q, k])?;
    b.reshape(y, vec![batch, heads, rows, columns])
}

/// Sums of values with the weights `[batch, heads, queries, keys]`.
///
/// # Errors
/// Operands that do not fit.
pub fn choose(b: &mut Builder<'_>, weights: ValueId, v: ValueId) -> Made {
    let [batch, heads, rows, columns] = dims4(b, weights)?;
    let [_, shared, _, size] = dims4(b, v)?;
    if shared == 0 || !heads.is_multiple_of(shared) {
        return Err(OpError::invalid(format!("{heads} heads cannot share {shared}")));
    }
    let weights = b.reshape(weights, vec![batch, shared, heads / shared * rows, columns])?;
    let y = b.add(BatchMatmul { adj_x: false, adj_y: false }, &[weights, v])?;
    b.reshape(y, vec![batch, heads, rows, size])
}

/// What came before, in operand `i`, in front of the new keys or values.
fn joined(c: &mut Context<'_, '_>, i: usize, now: ValueId) -> Made {
    match c.optional(i) {
        None => Ok(now),
        Some(past) => c.build.add(Concat { axis: 2 }, &[past, now]),
    }
}

/// softcap * tanh(x / softcap).
fn softcap(c: &mut Context<'_, '_>, x: ValueId) -> Made {
    let cap = c.attributes.float("softcap", 0.0)?;
    if cap <= 0.0 {
        return Ok(x);
    }
    let x = c.build.scaled(x, 1.0 / cap)?;
    let x = c.build.apply(Tanh, x)?;
    c.build.scaled(x, cap)
}

/// Extents of the scores; keys of earlier calls, if there is such an operand.
struct Scores {
    batch: usize,
    rows: usize,
    columns: usize,
    past: Option<usize>,
}

/// What is added to the scores: 0, minus infinity, or any number.
struct Bias {
    value: Option<ValueId>,
    /// Some query may have no key at all.
    may_hide_all: bool,
}

/// The sum of the masks.
fn bias(c: &mut Context<'_, '_>, s: &Scores) -> Result<Bias, OpError> {
    let mut all = Bias { value: None, may_hide_all: false };
    if let Some(mask) = c.optional(3) {
        let mask = additive(&mut c.build, mask, s.columns)?;
        all = Bias { value: Some(mask), may_hide_all: true };
    }
    let window = |name: &str| -> Result<Option<i64>, OpError> {
        Ok(c.attributes.int(name)?.filter(|&n| n >= 0))
    };
    let (left, right) = (window("left_window_size")?, window("right_window_size")?);
    let causal = c.attributes.flag("is_causal", false)?;
    let lengths = c.optional(6);
    if lengths.is_some() && s.past.is_some() {
        return Err(OpError::invalid("lengths and earlier keys exclude each other"));
    }
    let right = if causal { Some(right.map_or(0, |r| r.min(0))) } else { right };
    let b = &mut c.build;
    if let Some(lengths) = lengths {
        let hidden = beyond(b, lengths, s, (left, right))?;
        all.value = Some(sum(b, all.value, hidden)?);
        all.may_hide_all = true;
    } else if left.is_some() || right.is_some() {
        let band = band(b, s, (left, right))?;
        all.may_hide_all |= band.1;
        all.value = Some(sum(b, all.value, band.0)?);
    }
    Ok(all)
}

fn sum(b: &mut Builder<'_>, a: Option<ValueId>, c: ValueId) -> Made {
    a.map_or(Ok(c), |a| b.plus(a, c))
}

/// Where a condition holds 0, elsewhere minus infinity.
fn hidden_unless(b: &mut Builder<'_>, condition: ValueId) -> Made {
    let (zero, never) = (b.number(0.0)?, b.number(f32::NEG_INFINITY)?);
    b.add(Select, &[condition, zero, never])
}

/// A mask of truth values or numbers as numbers; keys that it does not reach are hidden.
fn additive(b: &mut Builder<'_>, mask: ValueId, columns: usize) -> Made {
    let mask = match b.ty(mask).dtype {
        DType::Bool => hidden_unless(b, mask)?,
        _number => mask,
    };
    let mut dims = b.shape(mask);
    let last = dims.last_mut().ok_or_else(|| OpError::invalid("the mask has no dimensions"))?;
    let missing = columns.checked_sub(*last);
    let missing = missing.ok_or_else(|| OpError::invalid("the mask is longer than the keys"))?;
    if missing == 0 {
        return Ok(mask);
    }
    *last = missing;
    let count = dims.iter().product::<usize>();
    if count > MAX_MASK {
        return Err(OpError::unsupported("the mask is too large"));
    }
    let dtype = b.ty(mask).dtype;
    let hidden = b.tensor(dims.clone(), TensorData::F32(vec![f32::NEG_INFINITY; count]))?;
    let hidden = if dtype == DType::F32 { hidden } else { b.apply(Cast { to: dtype }, hidden)? };
    b.add(Concat { axis: dims.len() - 1 }, &[mask, hidden])
}

/// Whether key `j` lies within the windows around query `i`.
fn is_near(i: i64, j: i64, (left, right): (Option<i64>, Option<i64>)) -> bool {
    let distance = i.saturating_sub(j);
    left.is_none_or(|l| distance <= l) && right.is_none_or(|r| distance >= -r)
}

/// The constant mask of windows around each query, and whether a query sees nothing.
fn band(
    b: &mut Builder<'_>,
    s: &Scores,
    windows: (Option<i64>, Option<i64>),
) -> Result<(ValueId, bool), OpError> {
    if s.rows.saturating_mul(s.columns) > MAX_MASK {
        return Err(OpError::unsupported("the mask is too large"));
    }
    let first = s.past.unwrap_or(0);
    let (mut mask, mut is_blind) = (Vec::new(), false);
    for i in 0..s.rows {
        let sees = |j: &usize| is_near((i + first) as i64, *j as i64, windows);
        is_blind |= !(0..s.columns).any(|j| sees(&j));
        let row = (0..s.columns).map(|j| if sees(&j) { 0.0 } else { f32::NEG_INFINITY });
        mask.extend(row);
    }
    let mask = b.tensor(vec![s.rows, s.columns], TensorData::F32(mask))?;
    Ok((mask, is_blind))
}

/// The mask of keys that each sample has, `[batch]` lengths at run time; the last query sees the
/// last of them.
fn beyond(
    b: &mut Builder<'_>,
    lengths: ValueId,
    s: &Scores,
    (left, right): (Option<i64>, Option<i64>),
) -> Made {
    if s.rows.saturating_mul(s.columns) > MAX_MASK {
        return Err(OpError::unsupported("the mask is too large"));
    }
    let dtype = b.ty(lengths).dtype;
    let lengths = match dtype {
        DType::I64 => lengths,
        _other => b.apply(Cast { to: DType::I64 }, lengths)?,
    };
    let lengths = b.reshape(lengths, vec![s.batch, 1, 1, 1])?;
    let keys = TensorData::I64((0..s.columns as i64).collect());
    let keys = b.tensor(vec![1, 1, 1, s.columns], keys)?;
    let exists = b.add(Compare { relation: Relation::Less }, &[keys, lengths])?;
    let mut hidden = hidden_unless(b, exists)?;
    // j <= i + length - rows + right, and j >= i + length - rows - left.
    let edge = |b: &mut Builder<'_>, shift: i64, relation: Relation| -> Made {
        let distance = |n: usize| {
            let (i, j) = ((n / s.columns) as i64, (n % s.columns) as i64);
            j.saturating_sub(i).saturating_add(s.rows as i64).saturating_sub(shift)
        };
        let distances = TensorData::I64((0..s.rows * s.columns).map(distance).collect());
        let distances = b.tensor(vec![1, 1, s.rows, s.columns], distances)?;
        let sees = b.add(Compare { relation }, &[distances, lengths])?;
        hidden_unless(b, sees)
    };
    if let Some(right) = right {
        let after = edge(b, right, Relation::LessOrEqual)?;
        hidden = b.plus(hidden, after)?;
    }
    if let Some(left) = left {
        let before = edge(b, left.saturating_neg(), Relation::GreaterOrEqual)?;
        hidden = b.plus(hidden, before)?;
    }
    Ok(hidden)
}

/// Softmax of the scores; a query that sees no key chooses nothing.
fn chances(c: &mut Context<'_, '_>, scores: ValueId, bias: &Bias) -> Made {
    let precision = match c.attributes.int("softmax_precision")? {
        None => None,
        Some(code) => Some(tensor::dtype(i32::try_from(code).unwrap_or(0))?),
    };
    let b = &mut c.build;
    let dtype = b.ty(scores).dtype;
    let scores = match precision.filter(|&p| p != dtype) {
        None => scores,
        Some(to) => b.apply(Cast { to }, scores)?,
    };
    let mut y = b.apply(Softmax { beta: 1.0 }, scores)?;
    if let (Some(bias), true) = (bias.value, bias.may_hide_all) {
        let last = b.shape(bias).len().saturating_sub(1);
        let attributes = ReduceAttributes { axes: vec![last], keep_dims: true };
        let most = match b.shape(bias).last() {
            Some(1) => bias,
            _wide => b.apply(ReduceMax(attributes), bias)?,
        };
        let least = b.number_like(most, f64::from(f32::MIN))?;
        let sees = b.add(Compare { relation: Relation::Greater }, &[most, least])?;
        let nothing = b.number_like(y, 0.0)?;
        y = b.add(Select, &[sees, y, nothing])?;
    }
    if b.ty(y).dtype == dtype { Ok(y) } else { b.apply(Cast { to: dtype }, y) }
}

/// Pairs of numbers of each head turned by an angle that grows with the position.
pub fn rotary_embedding(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let flat = match dims.as_slice() {
        &[batch, length, all] => {
            let count = head_count(c, "num_heads")?.filter(|n| all.is_multiple_of(*n));
            let count = count.ok_or_else(|| {
                OpError::invalid(format!("attribute \"num_heads\" does not divide {all}"))
            })?;
            c.build.reshape(x, vec![batch, length, count, all / count])?
        }
        [_, _, _, _] => c.build.transpose(x, &[0, 2, 1, 3])?,
        other => {
            let message = format!("the input has {} dimensions, not 3 or 4", other.len());
            return Err(OpError::invalid(message));
        }
    };
    let [batch, length, count, size] = dims4(&c.build, flat)?;
    let turned = head_size(c, size)?;
    let half = turned / 2;
    let angles = |c: &mut Context<'_, '_>, i: usize| -> Made {
        let cache = c.operand(i)?;
        let picked = match c.optional(3) {
            Some(positions) => {
                c.build.add(Gather { axis: 0, batch_dims: 0 }, &[cache, positions])?
            }
            None => cache,
        };
        c.build.reshape(picked, vec![batch, length, 1, half])
    };
    let (cos, sin) = (angles(c, 1)?, angles(c, 2)?);
    let interleaved = c.attributes.flag("interleaved", false)?;
    let b = &mut c.build;
    let turning = b.part(flat, 3, (0, 1, turned))?;
    let (first, second) = if interleaved {
        (b.part(turning, 3, (0, 2, half))?, b.part(turning, 3, (1, 2, half))?)
    } else {
        (b.part(turning, 3, (0, 1, half))?, b.part(turning, 3, (half, 1, half))?)
    };
    let product = |b: &mut Builder<'_>, a: ValueId, z: ValueId| b.times(a, z);
    let (a, z) = (product(b, first, cos)?, product(b, second, sin)?);
    let real = b.minus(a, z)?;
    let (a, z) = (product(b, first, sin)?, product(b, second, cos)?);
    let imaginary = b.plus(a, z)?;
    let mut y = if interleaved {
        let open = vec![batch, length, count, half, 1];
        let (real, imaginary) = (b.reshape(real, open.clone())?, b.reshape(imaginary, open)?);
        let pairs = b.add(Concat { axis: 4 }, &[real, imaginary])?;
        b.reshape(pairs, vec![batch, length, count, turned])?
    } else {
        b.add(Concat { axis: 3 }, &[real, imaginary])?
    };
    if turned < size {
        let rest = b.part(flat, 3, (turned, 1, size - turned))?;
        y = b.add(Concat { axis: 3 }, &[y, rest])?;
    }
    let y = if dims.len() == 4 { b.transpose(y, &[0, 2, 1, 3])? } else { y };
    Ok(vec![b.reshape(y, dims)?])
}

/// How many numbers of a head are turned.
fn head_size(c: &Context<'_, '_>, size: usize) -> Result<usize, OpError> {
    let asked = c.attributes.int("rotary_embedding_dim")?.unwrap_or(0);
    let turned = if asked == 0 { size } else { usize::try_from(asked).unwrap_or(0) };
    if turned == 0 || turned > size || !turned.is_multiple_of(2) {
        return Err(OpError::invalid(format!(
            "{turned} of {size} numbers cannot be turned in pairs"
        )));
    }
    Ok(turned)
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// Two queries, keys 0 and ln 3 against the first query: weights 1/4 and 3/4.
    fn simple() -> Case {
        let ln3 = 3f32.ln();
        let c = case("Attention").input(&[1, 1, 2, 1], &[1.0, 0.0]);
        let c = c.input(&[1, 1, 2, 1], &[0.0, ln3]).input(&[1, 1, 2, 1], &[4.0, 8.0]);
        c.float("scale", 1.0)
    }

    fn gives(c: Case, y: [f32; 2]) {
        c.gives(23, &[1, 1, 2, 1], &y);
    }

    #[test]
    fn masks_hide_keys() {
        gives(simple(), [7.0, 6.0]);
        gives(simple().int("is_causal", 1), [4.0, 6.0]);
        let infinite = f32::NEG_INFINITY;
        gives(simple().input(&[2, 2], &[0.0, infinite, infinite, 0.0]), [4.0, 8.0]);
        // A query without any key, and a mask shorter than the keys.
        gives(simple().input(&[2, 2], &[infinite, infinite, 0.0, 0.0]), [0.0, 6.0]);
        gives(simple().input(&[2, 1], &[0.0, 0.0]), [4.0, 4.0]);
        simple().input(&[2, 3], &[0.0; 6]).refused(23, "longer");
    }

    #[test]
    fn lengths_hide_what_is_not_there() {
        let c = |n: i64| simple().none().none().none().ints(&[1], &[n]);
        c(1).gives(24, &[1, 1, 2, 1], &[4.0, 4.0]);
        c(2).int("is_causal", 1).gives(24, &[1, 1, 2, 1], &[4.0, 6.0]);
        c(1).int("is_causal", 1).gives(24, &[1, 1, 2, 1], &[0.0, 4.0]);
    }

    #[test]
    fn earlier_keys_and_shared_heads() {
        let past = |c: Case| c.none().input(&[1, 1, 1, 1], &[0.0]).input(&[1, 1, 1, 1], &[-4.0]);
        // Weights 1/5, 1/5 and 3/5; 1/3 each.
        gives(past(simple()), [24.0 / 5.0, 8.0 / 3.0]);
        gives(past(simple()).int("is_causal", 1), [0.0, 8.0 / 3.0]);
        past(simple()).result(2).gives(23, &[1, 1, 3, 1], &[-4.0, 4.0, 8.0]);
        let c = case("Attention").input(&[1, 1, 2], &[1.0, 0.0]).int("q_num_heads", 2);
        let c = c.input(&[1, 2, 1], &[0.0, 3f32.ln()]).input(&[1, 2, 1], &[4.0, 8.0]);
        let c = c.int("kv_num_heads", 1).float("scale", 1.0);
        c.gives(23, &[1, 1, 2], &[7.0, 6.0]);
        simple().int("qk_matmul_output_mode", 3).result(3).gives(
            23,
            &[1, 1, 2, 2],
            &[0.25, 0.75, 0.5, 0.5],
        );
        simple().int("qk_matmul_output_mode", 4).refused(23, "does not exist");
    }

    #[test]
    fn turned_pairs() {
        let c = || {
            let c = case("RotaryEmbedding").input(&[1, 1, 1, 4], &[1.0, 2.0, 3.0, 4.0]);
            c.floats(&[2, 2], &[1.0, 1.0, 0.0, 1.0]).floats(&[2, 2], &[0.0, 0.0, 1.0, 0.0])
        };
        // A quarter turn of the first pair at position 1.
        c().ints(&[1, 1], &[1]).gives(23, &[1, 1, 1, 4], &[-3.0, 2.0, 1.0, 4.0]);
        let pairs = c().ints(&[1, 1], &[1]).int("interleaved", 1);
        pairs.gives(23, &[1, 1, 1, 4], &[-2.0, 1.0, 3.0, 4.0]);
        let c = c().ints(&[1, 1], &[1]).int("rotary_embedding_dim", 3);
        c.refused(23, "3 of 4");
    }
}
