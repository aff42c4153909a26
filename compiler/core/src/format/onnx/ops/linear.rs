//! Sequence layers with a state instead of all keys: LinearAttention, unrolled step by step, and
//! CausalConvWithState.

use super::Context;
use super::attention::dims4;
use super::conv::convolve;
use super::spatial::{Span, Windows};
use crate::format::onnx::build::Builder;
use crate::geometry::Ends;
use crate::graph::ValueId;
use crate::op::{BatchMatmul, Cast, Concat, Exp, Logistic, OpError};
use crate::tensor::TensorData;

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Steps that are unrolled.
const MAX_STEPS: usize = 512;

/// Extents of a linear attention.
#[derive(Clone, Copy)]
struct Extents {
    batch: usize,
    steps: usize,
    /// Heads of keys and values.
    heads: usize,
    /// Heads of queries that share one of those.
    group: usize,
    /// Numbers of a key.
    key: usize,
    /// Numbers of a value.
    value: usize,
}

/// What happens to the state in each step.
struct Sequence {
    query: ValueId,
    key: ValueId,
    value: ValueId,
    /// Logarithms of what remains of the state.
    decay: Option<ValueId>,
    /// How much of what a key gives already is taken back.
    beta: Option<ValueId>,
}

/// `[batch, steps, heads * n]` -> `[batch, heads, steps, n]`.
fn apart(b: &mut Builder<'_>, x: ValueId, e: Extents, heads: usize, what: &str) -> Made {
    let all = match b.shape(x).as_slice() {
        &[batch, steps, all] if batch == e.batch && steps == e.steps => all,
        _other => 0,
    };
    if all == 0 || heads == 0 || !all.is_multiple_of(heads) {
        let message = format!("the {what} has the shape {:?}, which does not fit", b.shape(x));
        return Err(OpError::invalid(message));
    }
    let x = b.reshape(x, vec![e.batch, e.steps, heads, all / heads])?;
    b.transpose(x, &[0, 2, 1, 3])
}

/// A state that each key and value change: S = e^decay S + key value', read by queries.
pub fn linear_attention(c: &mut Context<'_, '_>) -> Read {
    let (query, key, value) = (c.operand(0)?, c.operand(1)?, c.operand(2)?);
    let head = |name: &str| -> Result<usize, OpError> {
        let n = c.attributes.int(name)?.and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
        n.ok_or_else(|| OpError::invalid(format!("attribute \"{name}\" is not possible")))
    };
    let (heads, queries) = (head("kv_num_heads")?, head("q_num_heads")?);
    let (gates, corrects) = match c.attributes.text("update_rule")?.unwrap_or("gated_delta") {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(OpError::invalid(format!("update_rule \"{other}\" does not exist"))),
    };
    let (past, decay, beta) = (c.optional(3), c.optional(4), c.optional(5));
    if decay.is_some() != gates || beta.is_some() != corrects || !queries.is_multiple_of(heads) {
        return Err(OpError::invalid("decay, beta or the heads do not fit the update rule"));
    }
    let b = &mut c.build;
    let (dims, values) = (b.shape(key), b.shape(value));
    let (&[batch, steps, keys], &[_, _, values]) = (dims.as_slice(), values.as_slice()) else {
        return Err(OpError::invalid("key and value should have 3 dimensions"));
    };
    if steps > MAX_STEPS {
        return Err(OpError::unsupported(format!(
            "{steps} steps are too many to unroll, {MAX_STEPS} are possible"
        )));
    }
    let (group, key_size, value_size) = (queries / heads, keys / heads, values / heads);
    let e = Extents { batch, steps, heads, group, key: key_size, value: value_size };
    let scale = match c.attributes.float("scale", 0.0)? {
        0.0 => 1.0 / (e.key as f32).sqrt(),
        scale => scale,
    };
    let b = &mut c.build;
    let query = b.scaled(query, scale)?;
    let state_type = past.map_or(b.ty(key).dtype, |p| b.ty(p).dtype);
    let beta_heads = beta.map_or(1, |v| b.shape(v).last().copied().unwrap_or(0));
    let decay_value = match decay {
        None => None,
        Some(decay) => Some(b.apply(Exp, decay)?),
    };
    let s = Sequence {
        query: apart(b, query, e, queries, "query")?,
        key: apart(b, key, e, heads, "key")?,
        value: apart(b, value, e, heads, "value")?,
        decay: decay_value.map(|v| apart(b, v, e, heads, "decay")).transpose()?,
        beta: beta.map(|v| apart(b, v, e, beta_heads, "beta")).transpose()?,
    };
    let (mut state, mut results) = (past, Vec::new());
    for t in 0..steps {
        let next = step(b, &s, e, state, t)?;
        results.push(read(b, &s, e, next, t)?);
        state = Some(next);
    }
    let y = match results.as_slice() {
        [one] => *one,
        many => b.add(Concat { axis: 1 }, many)?,
    };
    let state = state.ok_or_else(|| OpError::invalid("the sequence has no steps"))?;
    let is_kept = b.ty(state).dtype == state_type;
    let state = if is_kept { state } else { b.apply(Cast { to: state_type }, state)? };
    Ok(vec![y, state])
}

/// The state after step `t`.
fn step(b: &mut Builder<'_>, s: &Sequence, e: Extents, before: Option<ValueId>, t: usize) -> Made {
    let key = b.part(s.key, 2, (t, 1, 1))?;
    let mut value = b.part(s.value, 2, (t, 1, 1))?;
    let mut state = before;
    if let (Some(before), Some(decay)) = (before, s.decay) {
        let decay = b.part(decay, 2, (t, 1, 1))?;
        let [batch, heads, _, size] = dims4(b, decay)?;
        let decay = b.reshape(decay, vec![batch, heads, size, 1])?;
        state = Some(b.times(before, decay)?);
    }
    if let Some(beta) = s.beta {
        if let Some(state) = state {
            let known = b.add(BatchMatmul { adj_x: false, adj_y: false }, &[key, state])?;
            value = b.minus(value, known)?;
        }
        let beta = b.part(beta, 2, (t, 1, 1))?;
        value = b.times(value, beta)?;
    }
    let column = b.reshape(key, vec![e.batch, e.heads, e.key, 1])?;
    let new = b.times(column, value)?;
    state.map_or(Ok(new), |state| b.plus(state, new))
}

/// What the queries of step `t` read: `[batch, 1, heads * n]`.
fn read(b: &mut Builder<'_>, s: &Sequence, e: Extents, state: ValueId, t: usize) -> Made {
    let query = b.part(s.query, 2, (t, 1, 1))?;
    let query = b.reshape(query, vec![e.batch, e.heads, e.group, e.key])?;
    let y = b.add(BatchMatmul { adj_x: false, adj_y: false }, &[query, state])?;
    b.reshape(y, vec![e.batch, 1, e.heads * e.group * e.value])
}

/// A convolution of each channel with what came before, of which the end is the next state.
pub fn causal_conv(c: &mut Context<'_, '_>) -> Read {
    let (x, w) = (c.operand(0)?, c.operand(1)?);
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let (&[batch, channels, _], &[filters, 1, kernel]) = (dims.as_slice(), weights.as_slice())
    else {
        return Err(OpError::invalid(format!("weights {weights:?} do not fit an input {dims:?}")));
    };
    let is_gated = match c.attributes.text("activation")?.unwrap_or("none") {
        "none" => false,
        "silu" | "swish" => true,
        other => return Err(OpError::invalid(format!("activation \"{other}\" does not exist"))),
    };
    if filters != channels || kernel == 0 {
        return Err(OpError::invalid("there should be one filter for each channel"));
    }
    let (bias, past, before) = (c.optional(2), c.optional(3), kernel - 1);
    let b = &mut c.build;
    let (whole, ends) = match past.filter(|_| before > 0) {
        Some(past) => (b.add(Concat { axis: 2 }, &[past, x])?, Ends::Valid),
        None => (x, Ends::Explicit(before, 0)),
    };
    let input = b.shape(whole).get(2).copied().unwrap_or(0);
    let span = Span { input, kernel, stride: 1, dilation: 1, ends };
    let mut y = convolve(b, [whole, w], bias, &Windows(vec![span]), channels)?;
    if is_gated {
        let gate = b.apply(Logistic, y)?;
        y = b.times(y, gate)?;
    }
    let state = if before == 0 {
        let empty = TensorData::zeros(b.ty(x).dtype, 0);
        b.tensor(vec![batch, channels, 0], empty)?
    } else {
        let missing = before.saturating_sub(input);
        let whole = b.padded(whole, &[(0, 0), (0, 0), (missing, 0)])?;
        b.part(whole, 2, (input + missing - before, 1, before))?
    };
    Ok(vec![y, state])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// Two steps of one head with keys and values of one number.
    fn of(rule: &str) -> Case {
        let c = case("LinearAttention").input(&[1, 2, 1], &[1.0, 2.0]);
        let c = c.input(&[1, 2, 1], &[3.0, 1.0]).input(&[1, 2, 1], &[5.0, 7.0]);
        let c = c.int("kv_num_heads", 1).int("q_num_heads", 1).text("update_rule", rule);
        c.float("scale", 1.0)
    }

    #[test]
    fn states_by_hand() {
        // S = 15, then 15 + 7.
        of("linear").gives(27, &[1, 2, 1], &[15.0, 44.0]);
        of("linear").result(1).gives(27, &[1, 1, 1, 1], &[22.0]);
        of("linear").input(&[1, 1, 1, 1], &[1.0]).gives(27, &[1, 2, 1], &[16.0, 46.0]);
        let halves = [0.5f32.ln(); 2];
        let c = of("gated").none().input(&[1, 2, 1], &halves);
        c.gives(27, &[1, 2, 1], &[15.0, 29.0]);
        // The second key reads 15: half of 7 - 15 is added.
        let c = of("delta").none().none().input(&[1, 2, 1], &[1.0, 0.5]);
        c.gives(27, &[1, 2, 1], &[15.0, 22.0]);
        of("linear").none().input(&[1, 2, 1], &halves).refused(27, "update rule");
        of("quadratic").refused(27, "quadratic");
    }

    #[test]
    fn convolutions_with_a_state() {
        let c = || case("CausalConvWithState").input(&[1, 1, 2], &[1.0, 2.0]);
        let c = || c().floats(&[1, 1, 3], &[1.0, 10.0, 100.0]);
        c().gives(27, &[1, 1, 2], &[100.0, 210.0]);
        c().result(1).gives(27, &[1, 1, 2], &[1.0, 2.0]);
        let past = || c().floats(&[1], &[0.5]).input(&[1, 1, 2], &[3.0, 4.0]);
        past().gives(27, &[1, 1, 2], &[143.5, 214.5]);
        past().result(1).gives(27, &[1, 1, 2], &[1.0, 2.0]);
        c().text("activation", "tanh").refused(27, "tanh");
    }
}
