//! Recurrent layers: LSTMSequence where that says the same, else one step after the other. The stick's
//! plugin has no GRU and no plain RNN, so those are always written out.

use crate::format::openvino::file::{Port, Wire};
use crate::format::openvino::held::{Call, Held};
use crate::format::openvino::stored::Stored;
use crate::op::{
    GateFunction, Gru, Lstm, OpError, Range, RecurrentAttributes, RecurrentOperand,
    RecurrentResult, Rnn,
};
use crate::tensor::{Shape, Tensor};

/// Steps written out one after the other; more would make a file that nobody compiles in time.
const MAX_STEPS: usize = 512;

/// Gates of the file in the order of the graph's i, o, f, c: f, i, c, o.
const LSTM_ORDER: [usize; 4] = [2, 0, 3, 1];

/// Number of an operand that may be left out.
fn find(attributes: &RecurrentAttributes, operand: RecurrentOperand) -> Option<usize> {
    attributes.operands.iter().position(|&o| o == operand).map(|i| i + 3)
}

/// Lengths that are not those of the whole sequences have no form.
fn check_lengths(
    call: &Call<'_, '_>,
    attributes: &RecurrentAttributes,
    steps: usize,
) -> Result<(), OpError> {
    let Some(i) = find(attributes, RecurrentOperand::Lengths) else { return Ok(()) };
    let known = call.stored(i).and_then(|s| s.data.to_i64());
    if known.is_some_and(|lengths| lengths.iter().all(|&n| n >= steps as i64)) {
        return Ok(());
    }
    Err(OpError::unsupported("sequences shorter than the operand have no form in an OpenVINO file"))
}

/// The rows of some gates, in that order; the gates' rows are along dimension 0.
fn rows(call: &Call<'_, '_>, i: usize, gates: &[usize], hidden: usize) -> Result<Stored, OpError> {
    let stored = call.stored(i).ok_or_else(|| {
        OpError::unsupported("weights of a recurrent layer should be constant in an OpenVINO file")
    })?;
    let tensor = stored.real()?;
    let per_row: usize = tensor.shape.0.iter().skip(1).product();
    let block = hidden * per_row;
    let index: Vec<usize> = gates.iter().flat_map(|g| g * block..(g + 1) * block).collect();
    let mut dims = tensor.shape.0.clone();
    if let Some(first) = dims.first_mut() {
        *first = gates.len() * hidden;
    }
    let data = Tensor { data: tensor.data.gather(&index), shape: Shape(dims) };
    Ok(Stored { data, factor: None, is_exact: stored.is_exact })
}

fn zeros(call: &mut Call<'_, '_>, dims: &[usize]) -> Wire {
    call.e.reals(dims.to_vec(), &vec![0.0; dims.iter().product()])
}

/// A state before the first step, zeros when it is not given.
fn state(
    call: &mut Call<'_, '_>,
    attributes: &RecurrentAttributes,
    which: RecurrentOperand,
    dims: &[usize; 2],
) -> Result<Wire, OpError> {
    match find(attributes, which) {
        Some(i) => call.plain(i),
        None => Ok(zeros(call, dims)),
    }
}

fn extents(call: &Call<'_, '_>) -> Result<[usize; 3], OpError> {
    let dims = call.dims(0)?;
    dims.as_slice()
        .try_into()
        .map_err(|_| OpError::invalid("the input should be steps x batch x elements"))
}

/// LSTM.
pub fn lstm(call: &mut Call<'_, '_>, op: &Lstm) -> Result<Vec<Held>, OpError> {
    let [steps, ..] = extents(call)?;
    check_lengths(call, &op.attributes, steps)?;
    let usual = [GateFunction::Sigmoid, GateFunction::Tanh, GateFunction::Tanh];
    let a = &op.attributes;
    let given = |operand| find(a, operand).is_some();
    let is_plain = op.functions == usual
        && !op.input_forget
        && op.cell_clip.is_none()
        && !given(RecurrentOperand::Peepholes)
        && a.clip.is_none();
    // The rows of a sequence's weights are in another order than the graph's.
    let is_known = call.stored(1).is_some() && call.stored(2).is_some();
    if is_plain && is_known { lstm_sequence(call, a) } else { lstm_steps(call, op) }
}

fn lstm_sequence(
    call: &mut Call<'_, '_>,
    attributes: &RecurrentAttributes,
) -> Result<Vec<Held>, OpError> {
    let [steps, batch, _] = extents(call)?;
    let hidden = attributes.hidden;
    let part = |call: &mut Call<'_, '_>, i: usize| {
        let stored = rows(call, i, &LSTM_ORDER, hidden)?;
        let stored = stored.reshaped(|d| [&[1], d].concat());
        call.e.constant(&stored)
    };
    let x = call.arranged(0, &[1, 0, 2])?;
    let (w, r) = (part(call, 1)?, part(call, 2)?);
    let b = match find(attributes, RecurrentOperand::Bias) {
        Some(i) => part(call, i)?,
        None => zeros(call, &[1, 4 * hidden]),
    };
    let h = state(call, attributes, RecurrentOperand::Hidden, &[batch, hidden])?;
    let c = state(call, attributes, RecurrentOperand::Cell, &[batch, hidden])?;
    let h = call.e.reshape(&h, &[batch, 1, hidden]);
    let c = call.e.reshape(&c, &[batch, 1, hidden]);
    let lengths = call.e.ints(&vec![steps as i64; batch]);
    let data = vec![
        ("direction", if attributes.reverse { "reverse" } else { "forward" }.to_string()),
        ("hidden_size", hidden.to_string()),
        ("activations", "sigmoid,tanh,tanh".to_string()),
        ("activations_alpha", String::new()),
        ("activations_beta", String::new()),
        ("clip", "0".to_string()),
    ];
    let dims = [vec![batch, 1, steps, hidden], vec![batch, 1, hidden], vec![batch, 1, hidden]];
    let outputs = dims.iter().map(|d| (x.elem, d.clone())).collect();
    let layer =
        call.e.layer(("LSTMSequence", 5), data, &[&x, &h, &c, &lengths, &w, &r, &b], outputs);
    let wire = |(output, dims)| Wire { port: Port { layer, output }, elem: x.elem, dims };
    let parts: Vec<Wire> = dims.into_iter().enumerate().map(wire).collect();
    let all = if call.e.is_myriad() { Some(joined(call, &parts)?) } else { None };
    let range = |begin, size| Range { begin, step: 1, size };
    let mut results = Vec::new();
    for result in &attributes.results {
        let (number, begin, size) = match result {
            RecurrentResult::Sequence => (0, 0, steps),
            RecurrentResult::Hidden => (1, steps, 1),
            RecurrentResult::Cell => (2, steps + 1, 1),
        };
        let part = match &all {
            Some(all) => {
                let ranges = [range(0, batch), range(0, 1), range(begin, size), range(0, hidden)];
                Some(call.e.strided(all, &ranges))
            }
            None => parts.get(number).cloned(),
        };
        let part = part.ok_or_else(|| OpError::invalid("no such result"))?;
        results.push(if *result == RecurrentResult::Sequence {
            let wire = call.e.reshape(&part, &[batch, steps, hidden]);
            Held::Tensor { wire, order: vec![1, 0, 2] }
        } else {
            Held::plain(call.e.reshape(&part, &[batch, hidden]))
        });
    }
    Ok(results)
}

/// The sequence, the last hidden state and the last cell state of an LSTMSequence, one behind the other:
/// the stick's compiler fails on a sequence one of whose results nobody reads.
fn joined(call: &mut Call<'_, '_>, results: &[Wire]) -> Result<Wire, OpError> {
    let mut parts = results.to_vec();
    for state in parts.iter_mut().skip(1) {
        if let &[batch, directions, hidden] = state.dims.as_slice() {
            *state = call.e.reshape(state, &[batch, directions, 1, hidden]);
        }
    }
    super::movement::join(call, &parts, 2)
}

/// What every written-out layer has: the inputs' share of the gates' sums, step by step.
struct Unrolled {
    /// `[batch, gates * hidden]` per step, in the order of execution, with the bias.
    shares: Vec<Wire>,
    hidden: usize,
    batch: usize,
    gates: usize,
}

/// All steps' products with the weights at once, then cut into steps. `bias` names its rows to add.
fn unroll(
    call: &mut Call<'_, '_>,
    attributes: &RecurrentAttributes,
    gates: usize,
) -> Result<Unrolled, OpError> {
    let [steps, batch, inputs] = extents(call)?;
    check_lengths(call, attributes, steps)?;
    if steps > MAX_STEPS {
        return Err(OpError::unsupported(format!(
            "a recurrent layer of {steps} steps is written out step by step, at most {MAX_STEPS}"
        )));
    }
    let hidden = attributes.hidden;
    let width = gates * hidden;
    let x = call.plain(0)?;
    let x = call.e.reshape(&x, &[steps * batch, inputs]);
    let w = call.weights(1, &[0, 1])?;
    let mut all = product(call, &x, &w, width);
    if let Some(i) = find(attributes, RecurrentOperand::Bias) {
        let bias = rows(call, i, &(0..gates).collect::<Vec<_>>(), hidden)?;
        let bias = call.e.constant(&bias.reshaped(|_| vec![1, width]))?;
        all = call.e.binary("Add", &all, &bias)?;
    }
    let mut shares = cut(call, &all, 0, &vec![batch; steps]);
    if attributes.reverse {
        shares.reverse();
    }
    Ok(Unrolled { shares, hidden, batch, gates })
}

/// x times the transpose of `w`, which has `width` rows.
fn product(call: &mut Call<'_, '_>, x: &Wire, w: &Wire, width: usize) -> Wire {
    let data = vec![("transpose_a", "false".to_string()), ("transpose_b", "true".to_string())];
    let rows = x.dims.first().copied().unwrap_or(1);
    call.e.one(("MatMul", 1), data, &[x, w], x.elem, vec![rows, width])
}

/// Parts of `sizes` along dimension `axis`.
fn cut(call: &mut Call<'_, '_>, x: &Wire, axis: usize, sizes: &[usize]) -> Vec<Wire> {
    if sizes.len() == 1 {
        return vec![x.clone()];
    }
    super::movement::cut(call, x, axis, sizes)
}

impl Unrolled {
    fn gates(&self, call: &mut Call<'_, '_>, sums: &Wire) -> Vec<Wire> {
        cut(call, sums, 1, &vec![self.hidden; self.gates])
    }

    /// The results, from the states after each step in the order of execution.
    fn results(
        &self,
        call: &mut Call<'_, '_>,
        attributes: &RecurrentAttributes,
        hidden: &[Wire],
        cell: Option<&Wire>,
    ) -> Result<Vec<Held>, OpError> {
        let last = || hidden.last().cloned().ok_or_else(|| OpError::invalid("no steps"));
        let mut results = Vec::new();
        for result in &attributes.results {
            let wire = match result {
                RecurrentResult::Hidden => last()?,
                RecurrentResult::Cell => {
                    cell.cloned().ok_or_else(|| OpError::invalid("no cell"))?
                }
                RecurrentResult::Sequence => {
                    let mut parts = Vec::new();
                    for h in hidden {
                        parts.push(call.e.reshape(h, &[1, self.batch, self.hidden]));
                    }
                    if attributes.reverse {
                        parts.reverse();
                    }
                    super::movement::join(call, &parts, 0)?
                }
            };
            results.push(Held::plain(wire));
        }
        Ok(results)
    }
}

fn clipped(call: &mut Call<'_, '_>, attributes: &RecurrentAttributes, x: Wire) -> Wire {
    match attributes.clip {
        Some(limit) => call.e.clamp(&x, -limit, limit),
        None => x,
    }
}

/// LSTM with functions, peepholes or limits that LSTMSequence does not have, or with computed weights.
fn lstm_steps(call: &mut Call<'_, '_>, op: &Lstm) -> Result<Vec<Held>, OpError> {
    let a = &op.attributes;
    let [f, g, output] = op.functions;
    let all = unroll(call, a, 4)?;
    let r = call.weights(2, &[0, 1])?;
    let dims = [all.batch, all.hidden];
    let mut h = state(call, a, RecurrentOperand::Hidden, &dims)?;
    let mut c = state(call, a, RecurrentOperand::Cell, &dims)?;
    let mut peepholes = Vec::new();
    if let Some(i) = find(a, RecurrentOperand::Peepholes) {
        for row in 0..3 {
            let part = rows(call, i, &[row], all.hidden)?.reshaped(|_| vec![1, all.hidden]);
            peepholes.push(call.e.constant(&part)?);
        }
    }
    let peep = |call: &mut Call<'_, '_>, row: usize, sum: Wire, c: &Wire| match peepholes.get(row) {
        Some(weights) => {
            let share = call.e.binary("Multiply", c, weights)?;
            call.e.binary("Add", &sum, &share)
        }
        None => Ok(sum),
    };
    let mut states = Vec::new();
    for share in &all.shares {
        let recurrent = product(call, &h, &r, 4 * all.hidden);
        let sums = call.e.binary("Add", share, &recurrent)?;
        let [i, o, forget, cell] = four(all.gates(call, &sums))?;
        let i = peep(call, 0, i, &c)?;
        let i = gate(call, a, i, f)?;
        let kept = if op.input_forget {
            let one = call.e.scalar(1.0, 2);
            call.e.binary("Subtract", &one, &i)?
        } else {
            let forget = peep(call, 2, forget, &c)?;
            gate(call, a, forget, f)?
        };
        let candidate = gate(call, a, cell, g)?;
        let old = call.e.binary("Multiply", &kept, &c)?;
        let new = call.e.binary("Multiply", &i, &candidate)?;
        c = call.e.binary("Add", &old, &new)?;
        if let Some(limit) = op.cell_clip {
            c = call.e.clamp(&c, -limit, limit);
        }
        let o = peep(call, 1, o, &c)?;
        let o = gate(call, a, o, f)?;
        let shown = function(call, &c, output)?;
        h = call.e.binary("Multiply", &o, &shown)?;
        states.push(h.clone());
    }
    call.rewritten("MatMul and elementwise layers, step by step");
    all.results(call, a, &states, Some(&c))
}

fn four(parts: Vec<Wire>) -> Result<[Wire; 4], OpError> {
    parts.try_into().map_err(|_| OpError::invalid("four gates expected"))
}

/// GRU.
pub fn gru(call: &mut Call<'_, '_>, op: &Gru) -> Result<Vec<Held>, OpError> {
    let a = &op.attributes;
    let [f, g] = op.functions;
    let all = unroll(call, a, 3)?;
    let hidden = all.hidden;
    let gates = rows(call, 2, &[0, 1], hidden)?;
    let gates = call.e.constant(&gates)?;
    let new = rows(call, 2, &[2], hidden)?;
    let new = call.e.constant(&new)?;
    let inner = match find(a, RecurrentOperand::Bias).filter(|_| op.linear_before_reset) {
        Some(i) => {
            let row = rows(call, i, &[3], hidden)?.reshaped(|_| vec![1, hidden]);
            Some(call.e.constant(&row)?)
        }
        None => None,
    };
    let mut h = state(call, a, RecurrentOperand::Hidden, &[all.batch, hidden])?;
    let mut states = Vec::new();
    for share in &all.shares {
        let parts = cut(call, share, 1, &[2 * hidden, hidden]);
        let [outer, candidate] =
            <[Wire; 2]>::try_from(parts).map_err(|_| OpError::invalid("two parts"))?;
        let recurrent = product(call, &h, &gates, 2 * hidden);
        let sums = call.e.binary("Add", &outer, &recurrent)?;
        let sums = gate(call, a, sums, f)?;
        let zr = cut(call, &sums, 1, &[hidden, hidden]);
        let [z, r] = <[Wire; 2]>::try_from(zr).map_err(|_| OpError::invalid("two gates"))?;
        let share = if op.linear_before_reset {
            let mut product = product(call, &h, &new, hidden);
            if let Some(bias) = &inner {
                product = call.e.binary("Add", &product, bias)?;
            }
            call.e.binary("Multiply", &r, &product)?
        } else {
            let scaled = call.e.binary("Multiply", &r, &h)?;
            product(call, &scaled, &new, hidden)
        };
        let n = call.e.binary("Add", &candidate, &share)?;
        let n = gate(call, a, n, g)?;
        // (1 - z) * n + z * h = n + z * (h - n).
        let apart = call.e.binary("Subtract", &h, &n)?;
        let kept = call.e.binary("Multiply", &z, &apart)?;
        h = call.e.binary("Add", &n, &kept)?;
        states.push(h.clone());
    }
    call.rewritten("MatMul and elementwise layers, step by step");
    all.results(call, a, &states, None)
}

/// The plain recurrent layer.
pub fn rnn(call: &mut Call<'_, '_>, op: &Rnn) -> Result<Vec<Held>, OpError> {
    let a = &op.attributes;
    let all = unroll(call, a, 1)?;
    let r = call.weights(2, &[0, 1])?;
    let mut h = state(call, a, RecurrentOperand::Hidden, &[all.batch, all.hidden])?;
    let mut states = Vec::new();
    for share in &all.shares {
        let recurrent = product(call, &h, &r, all.hidden);
        let sum = call.e.binary("Add", share, &recurrent)?;
        h = gate(call, a, sum, op.function)?;
        states.push(h.clone());
    }
    call.rewritten("MatMul and elementwise layers, step by step");
    all.results(call, a, &states, None)
}

/// A function of the limited sum.
fn gate(
    call: &mut Call<'_, '_>,
    attributes: &RecurrentAttributes,
    sum: Wire,
    f: GateFunction,
) -> Result<Wire, OpError> {
    let sum = clipped(call, attributes, sum);
    function(call, &sum, f)
}

fn function(call: &mut Call<'_, '_>, x: &Wire, f: GateFunction) -> Result<Wire, OpError> {
    let e = &mut *call.e;
    let linear = |e: &mut crate::format::openvino::emit::Emitter<'_>, alpha: f32, beta: f32| {
        let scaled = e.with_scalar("Multiply", x, alpha)?;
        e.with_scalar("Add", &scaled, beta)
    };
    match f {
        GateFunction::Relu => Ok(e.unary(("ReLU", 1), x)),
        GateFunction::Tanh => Ok(e.unary(("Tanh", 1), x)),
        GateFunction::Sigmoid => Ok(e.unary(("Sigmoid", 1), x)),
        GateFunction::Softplus => Ok(e.unary(("SoftPlus", 4), x)),
        GateFunction::Softsign => {
            let negative = e.unary(("Negative", 1), x);
            let magnitude = e.binary("Maximum", x, &negative)?;
            let below = e.with_scalar("Add", &magnitude, 1.0)?;
            e.binary("Divide", x, &below)
        }
        GateFunction::Affine { alpha, beta } => linear(e, alpha, beta),
        GateFunction::LeakyRelu { alpha } => {
            let slope = e.reals(vec![1], &[alpha]);
            Ok(e.one(("PReLU", 1), Vec::new(), &[x, &slope], x.elem, x.dims.clone()))
        }
        GateFunction::ScaledTanh { alpha, beta } => {
            let inner = e.with_scalar("Multiply", x, beta)?;
            let tanh = e.unary(("Tanh", 1), &inner);
            e.with_scalar("Multiply", &tanh, alpha)
        }
        GateFunction::HardSigmoid { alpha, beta } => {
            let line = linear(e, alpha, beta)?;
            Ok(e.clamp(&line, 0.0, 1.0))
        }
        GateFunction::Elu { alpha } => {
            let data = vec![("alpha", alpha.to_string())];
            Ok(e.one(("Elu", 1), data, &[x], x.elem, x.dims.clone()))
        }
        GateFunction::ThresholdedRelu { .. } => {
            Err(OpError::unsupported("ThresholdedRelu as a gate has no form in an OpenVINO file"))
        }
    }
}
