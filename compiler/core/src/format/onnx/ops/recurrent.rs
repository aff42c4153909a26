//! Recurrent layers: LSTM, GRU, RNN. Each direction is an operator of its own; what the format
//! offers beyond one direction (layouts, a dimension of directions, two biases) becomes movement
//! of data, most of it of constants and therefore done here.

use super::Context;
use crate::graph::ValueId;
use crate::op::{
    Concat, GateFunction, Gru, Lstm, Op, OpError, Range, RecurrentAttributes, RecurrentOperand,
    RecurrentResult, Rnn, Slice,
};
use crate::tensor::{Shape, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

/// Numbers of the optional operands.
const BIAS: usize = 3;
const LENGTHS: usize = 4;
const HIDDEN: usize = 5;
const CELL: usize = 6;
const PEEPHOLES: usize = 7;

/// What all directions have in common.
struct Layer {
    hidden: usize,
    /// Whether each direction runs backwards.
    directions: Vec<bool>,
    /// `layout` 1.
    is_batch_first: bool,
    clip: Option<f32>,
    /// Input, steps first.
    x: ValueId,
    lengths: Option<ValueId>,
}

/// Long short-term memory.
pub fn lstm(c: &mut Context<'_, '_>) -> Read {
    let layer = Layer::read(c)?;
    let functions = layer.functions(c, ["Sigmoid", "Tanh", "Tanh"])?;
    let input_forget = c.attributes.flag("input_forget", false)?;
    let results = [RecurrentResult::Sequence, RecurrentResult::Hidden, RecurrentResult::Cell];
    layer.apply(c, &results, 4, &|attributes, direction| {
        let functions = functions[direction];
        Lstm { attributes, functions, input_forget, cell_clip: None }.into()
    })
}

/// Gated recurrent unit.
pub fn gru(c: &mut Context<'_, '_>) -> Read {
    let layer = Layer::read(c)?;
    let functions = layer.functions(c, ["Sigmoid", "Tanh"])?;
    let linear_before_reset = c.attributes.flag("linear_before_reset", false)?;
    let results = [RecurrentResult::Sequence, RecurrentResult::Hidden];
    layer.apply(c, &results, 3, &|attributes, direction| {
        Gru { attributes, functions: functions[direction], linear_before_reset }.into()
    })
}

/// The plain recurrent layer.
pub fn rnn(c: &mut Context<'_, '_>) -> Read {
    let layer = Layer::read(c)?;
    let functions = layer.functions(c, ["Tanh"])?;
    let results = [RecurrentResult::Sequence, RecurrentResult::Hidden];
    layer.apply(c, &results, 1, &|attributes, direction| {
        Rnn { attributes, function: functions[direction][0] }.into()
    })
}

impl Layer {
    fn read(c: &mut Context<'_, '_>) -> Result<Self, OpError> {
        let directions = match c.attributes.text("direction")?.unwrap_or("forward") {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => return Err(OpError::invalid(format!("direction \"{other}\" does not exist"))),
        };
        let is_batch_first = match c.attributes.int("layout")?.unwrap_or(0) {
            0 => false,
            1 => true,
            other => return Err(OpError::invalid(format!("layout {other} does not exist"))),
        };
        let hidden = match c.attributes.int("hidden_size")? {
            Some(n) => usize::try_from(n).ok(),
            None => c.build.shape(c.operand(2)?).last().copied(),
        };
        let hidden = hidden
            .filter(|&n| n > 0)
            .ok_or_else(|| OpError::invalid("hidden_size is not above 0"))?;
        let clip = c.attributes.float("clip", f32::INFINITY)?;
        let clip = (clip != f32::INFINITY).then_some(clip);
        let mut x = c.operand(0)?;
        if c.build.shape(x).len() != 3 {
            return Err(OpError::invalid("the input should have 3 dimensions"));
        }
        if is_batch_first {
            x = c.build.transpose(x, &[1, 0, 2])?;
        }
        let lengths = lengths(c, x)?;
        Ok(Self { hidden, directions, is_batch_first, clip, x, lengths })
    }

    /// The functions of each direction.
    fn functions<const N: usize>(
        &self,
        c: &Context<'_, '_>,
        defaults: [&str; N],
    ) -> Result<Vec<[GateFunction; N]>, OpError> {
        let count = self.directions.len() * N;
        let names = match c.attributes.texts("activations")? {
            Some(names) => names,
            None => defaults.repeat(self.directions.len()),
        };
        if names.len() != count {
            let message = format!("{} activations are given instead of {count}", names.len());
            return Err(OpError::invalid(message));
        }
        let list = |name| Ok::<_, OpError>(c.attributes.floats(name)?.unwrap_or_default().iter());
        let mut alphas = list("activation_alpha")?.copied();
        let mut betas = list("activation_beta")?.copied();
        let mut all = Vec::new();
        for _ in &self.directions {
            let mut row = [GateFunction::Tanh; N];
            for (place, name) in row.iter_mut().zip(&names[all.len() * N..]) {
                *place = function(name, &mut alphas, &mut betas)?;
            }
            all.push(row);
        }
        Ok(all)
    }

    /// Adds the operator of each direction and joins their results.
    fn apply(
        &self,
        c: &mut Context<'_, '_>,
        results: &[RecurrentResult],
        gates: usize,
        op: &dyn Fn(RecurrentAttributes, usize) -> Op,
    ) -> Read {
        let mut parts = vec![Vec::new(); results.len()];
        for (direction, &reverse) in self.directions.iter().enumerate() {
            let rows = gates.saturating_mul(self.hidden);
            let inputs = c.build.shape(self.x).get(2).copied().unwrap_or(0);
            let w = self.part(c, 1, direction, &[rows, inputs])?;
            let r = self.part(c, 2, direction, &[rows, self.hidden])?;
            let mut operands = vec![self.x, w, r];
            let mut given = Vec::new();
            let mut add = |kind, value: Option<ValueId>| {
                if let Some(value) = value {
                    given.push(kind);
                    operands.push(value);
                }
            };
            add(RecurrentOperand::Bias, self.bias(c, direction, gates)?);
            add(RecurrentOperand::Lengths, self.lengths);
            add(RecurrentOperand::Hidden, self.state(c, HIDDEN, direction)?);
            if results.contains(&RecurrentResult::Cell) {
                add(RecurrentOperand::Cell, self.state(c, CELL, direction)?);
                let rows = self.hidden.saturating_mul(3);
                add(RecurrentOperand::Peepholes, self.optional(c, PEEPHOLES, direction, rows)?);
            }
            let attributes = RecurrentAttributes {
                hidden: self.hidden,
                reverse,
                clip: self.clip,
                operands: given,
                results: results.to_vec(),
            };
            let values = c.build.add_all(op(attributes, direction), &operands)?;
            for ((part, value), kind) in parts.iter_mut().zip(values).zip(results) {
                part.push(self.outward(c, value, *kind)?);
            }
        }
        let joined = parts.into_iter().zip(results).map(|(part, kind)| match part.as_slice() {
            &[one] => Ok(one),
            all => c.build.add(Concat { axis: self.direction_axis(*kind) }, all),
        });
        joined.collect()
    }

    /// Where the format has the dimension of directions in a result.
    fn direction_axis(&self, kind: RecurrentResult) -> usize {
        match (kind, self.is_batch_first) {
            (RecurrentResult::Sequence, false) => 1,
            (RecurrentResult::Sequence, true) => 2,
            (RecurrentResult::Hidden | RecurrentResult::Cell, false) => 0,
            (RecurrentResult::Hidden | RecurrentResult::Cell, true) => 1,
        }
    }

    /// A result of one direction as the format has it.
    fn outward(
        &self,
        c: &mut Context<'_, '_>,
        value: ValueId,
        kind: RecurrentResult,
    ) -> Result<ValueId, OpError> {
        let value = match (kind, self.is_batch_first) {
            (RecurrentResult::Sequence, true) => c.build.transpose(value, &[1, 0, 2])?,
            (RecurrentResult::Sequence, false)
            | (RecurrentResult::Hidden | RecurrentResult::Cell, _) => value,
        };
        let mut dims = c.build.shape(value);
        dims.insert(self.direction_axis(kind), 1);
        c.build.reshape(value, dims)
    }

    /// Operand `i`, one part of `dims` per direction.
    fn part(
        &self,
        c: &mut Context<'_, '_>,
        i: usize,
        direction: usize,
        dims: &[usize],
    ) -> Result<ValueId, OpError> {
        let value = c.operand(i)?;
        let wanted: Vec<usize> =
            std::iter::once(self.directions.len()).chain(dims.iter().copied()).collect();
        let given = c.build.shape(value);
        if given != wanted {
            let (given, wanted) = (Shape(given), Shape(wanted));
            let message = format!("operand {i} has the shape {given} instead of {wanted}");
            return Err(OpError::invalid(message));
        }
        let one = cut(c, value, 0, direction, 1)?;
        c.build.reshape(one, dims.to_vec())
    }

    /// Operand `i`, one row per direction; `None` when it says what leaving it out says.
    fn optional(
        &self,
        c: &mut Context<'_, '_>,
        i: usize,
        direction: usize,
        length: usize,
    ) -> Result<Option<ValueId>, OpError> {
        if c.optional(i).is_none() {
            return Ok(None);
        }
        let row = self.part(c, i, direction, &[length])?;
        Ok((!is_zero(c, row)).then_some(row))
    }

    /// Both biases as one: they are added, except the last rows of GRU's when `r` comes between.
    fn bias(
        &self,
        c: &mut Context<'_, '_>,
        direction: usize,
        gates: usize,
    ) -> Result<Option<ValueId>, OpError> {
        let rows = gates.saturating_mul(self.hidden);
        let both = self.optional(c, BIAS, direction, rows.saturating_mul(2))?;
        let Some(both) = both else { return Ok(None) };
        let is_split = gates == 3 && c.attributes.flag("linear_before_reset", false)?;
        let summed = if is_split { 2 * self.hidden } else { rows };
        let (a, b) = (cut(c, both, 0, 0, summed)?, cut(c, both, 0, rows, summed)?);
        let sum = c.build.plus(a, b)?;
        if !is_split {
            return Ok(Some(sum));
        }
        let outer = cut(c, both, 0, summed, self.hidden)?;
        let inner = cut(c, both, 0, rows + summed, self.hidden)?;
        c.build.add(Concat { axis: 0 }, &[sum, outer, inner]).map(Some)
    }

    /// An initial state of one direction.
    fn state(
        &self,
        c: &mut Context<'_, '_>,
        i: usize,
        direction: usize,
    ) -> Result<Option<ValueId>, OpError> {
        let Some(value) = c.optional(i) else { return Ok(None) };
        let batch = c.build.shape(self.x).get(1).copied().unwrap_or(0);
        let directions = self.directions.len();
        let (axis, wanted) = match self.is_batch_first {
            false => (0, [directions, batch, self.hidden]),
            true => (1, [batch, directions, self.hidden]),
        };
        let given = c.build.shape(value);
        if given != wanted {
            let (given, wanted) = (Shape(given), Shape(wanted.to_vec()));
            let message = format!("operand {i} has the shape {given} instead of {wanted}");
            return Err(OpError::invalid(message));
        }
        let one = cut(c, value, axis, direction, 1)?;
        let state = c.build.reshape(one, vec![batch, self.hidden])?;
        Ok((!is_zero(c, state)).then_some(state))
    }
}

/// Whether a value is made of zeros, which is what an operand counts as when it is left out. Exporters
/// write zeros in its place.
fn is_zero(c: &Context<'_, '_>, value: ValueId) -> bool {
    let data = c.build.data(value);
    data.as_ref().and_then(|t| t.as_f32()).is_some_and(|v| v.iter().all(|&v| v == 0.0))
}

/// Steps that count; `None` when constants say that all of them do.
fn lengths(c: &mut Context<'_, '_>, x: ValueId) -> Result<Option<ValueId>, OpError> {
    let Some(value) = c.optional(LENGTHS) else { return Ok(None) };
    let Some(data) = c.build.data(value) else { return Ok(Some(value)) };
    let dims = c.build.shape(x);
    let (steps, batch) = (dims.first().copied().unwrap_or(0), dims.get(1).copied().unwrap_or(0));
    if data.shape.0 != [batch] {
        let message = format!("sequence_lens has the shape {} instead of {batch}", data.shape);
        return Err(OpError::invalid(message));
    }
    let given =
        data.to_i64().ok_or_else(|| OpError::invalid("sequence_lens should be integers"))?;
    let mut lengths = Vec::new();
    for &n in &given {
        match i32::try_from(n) {
            Ok(short) if n >= 0 && n <= steps as i64 => lengths.push(short),
            _outside => {
                let message = format!("a sequence of length {n} in {steps} steps");
                return Err(OpError::invalid(message));
            }
        }
    }
    if given.iter().all(|&n| n == steps as i64) {
        return Ok(None);
    }
    c.build.tensor(vec![batch], TensorData::I32(lengths)).map(Some)
}

/// `size` indices of a dimension.
fn cut(
    c: &mut Context<'_, '_>,
    value: ValueId,
    axis: usize,
    begin: usize,
    size: usize,
) -> Result<ValueId, OpError> {
    let dims = c.build.shape(value);
    if dims.get(axis) == Some(&size) {
        return Ok(value);
    }
    let all = |&extent: &usize| Range { begin: 0, step: 1, size: extent };
    let mut ranges: Vec<Range> = dims.iter().map(all).collect();
    if let Some(range) = ranges.get_mut(axis) {
        *range = Range { begin, step: 1, size };
    }
    let shape = Shape(ranges.iter().map(|r| r.size).collect());
    c.build.apply(Slice { ranges, shape }, value)
}

/// A function by name. The lists of factors hold one for each function that has such a factor, in
/// order; where they end, the defaults of the operators of the same names count.
fn function(
    name: &str,
    alphas: &mut dyn Iterator<Item = f32>,
    betas: &mut dyn Iterator<Item = f32>,
) -> Result<GateFunction, OpError> {
    let mut alpha = |default: Option<f32>| factor(name, "alpha", alphas.next().or(default));
    let mut beta = |default: Option<f32>| factor(name, "beta", betas.next().or(default));
    Ok(match name {
        "Relu" => GateFunction::Relu,
        "Tanh" => GateFunction::Tanh,
        "Sigmoid" => GateFunction::Sigmoid,
        "Softsign" => GateFunction::Softsign,
        "Softplus" => GateFunction::Softplus,
        "Affine" => GateFunction::Affine { alpha: alpha(None)?, beta: beta(None)? },
        "LeakyRelu" => GateFunction::LeakyRelu { alpha: alpha(Some(0.01))? },
        "ThresholdedRelu" => GateFunction::ThresholdedRelu { alpha: alpha(Some(1.0))? },
        "ScaledTanh" => GateFunction::ScaledTanh { alpha: alpha(None)?, beta: beta(None)? },
        "HardSigmoid" => {
            GateFunction::HardSigmoid { alpha: alpha(Some(0.2))?, beta: beta(Some(0.5))? }
        }
        "Elu" => GateFunction::Elu { alpha: alpha(Some(1.0))? },
        other => return Err(OpError::invalid(format!("activation \"{other}\" does not exist"))),
    })
}

/// The format names no defaults for some functions; run-times disagree.
fn factor(function: &str, name: &str, value: Option<f32>) -> Result<f32, OpError> {
    value.ok_or_else(|| {
        OpError::unsupported(format!("activation {function} has no {name}"))
            .help(format!("give it in the attribute activation_{name}"))
    })
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// Numbers from -0.5 to 0.5 without a pattern in any dimension.
    fn numbers(shape: &[usize], seed: usize) -> Vec<f32> {
        let n: usize = shape.iter().product();
        (0..n).map(|i| ((i * 7 + seed * 3) % 11) as f32 / 10.0 - 0.5).collect()
    }

    fn given(case: Case, shape: &[usize], seed: usize) -> Case {
        case.floats(shape, &numbers(shape, seed))
    }

    /// A layer with 2 inputs, 2 hidden elements, 2 sequences of 3 and 2 steps, and all operands.
    fn full(name: &str, gates: usize, directions: usize) -> Case {
        let (d, rows) = (directions, 2 * gates);
        let shape = [3, 2, 2];
        let mut layer = case(name).input(&shape, &numbers(&shape, 0)).int("hidden_size", 2);
        layer = given(layer, &[d, rows, 2], 1);
        layer = given(layer, &[d, rows, 2], 2);
        layer = given(layer, &[d, 2 * rows], 3).ints(&[2], &[3, 2]);
        layer = given(layer, &[d, 2, 2], 4);
        if gates == 4 {
            layer = given(layer, &[d, 2, 2], 5);
            layer = given(layer, &[d, 6], 6);
        }
        layer.text("direction", if d == 1 { "reverse" } else { "bidirectional" })
    }

    /// The expected values are those of ONNX Runtime 1.32.0.
    #[test]
    fn lstm_equals_onnx_runtime() {
        let (one, two) = (|| full("LSTM", 4, 1), || full("LSTM", 4, 2));
        one().gives(
            14,
            &[3, 1, 2, 2],
            &[
                0.092374, -0.050978, 0.143497, -0.029913, 0.157165, -0.170984, 0.166353, -0.115308,
                0.12543, -0.125813, 0.0, 0.0,
            ],
        );
        one().result(1).gives(7, &[1, 2, 2], &[0.092374, -0.050978, 0.143497, -0.029913]);
        one().result(2).gives(22, &[1, 2, 2], &[0.319891, -0.069419, 0.448089, -0.041311]);
        two().gives(
            14,
            &[3, 2, 2, 2],
            &[
                0.108216, -0.129913, 0.094826, 0.023749, 0.232923, 0.054793, 0.09209, 0.000348,
                0.151814, -0.171147, 0.214941, -0.128662, 0.189805, 0.085113, -0.007211, 0.110641,
                0.105671, -0.046899, 0.0, 0.0, 0.221951, 0.039819, 0.0, 0.0,
            ],
        );
        two().result(1).gives(
            14,
            &[2, 2, 2],
            &[0.105671, -0.046899, 0.214941, -0.128662, 0.232923, 0.054793, 0.09209, 0.000348],
        );
        two().result(2).gives(
            14,
            &[2, 2, 2],
            &[0.353771, -0.064, 0.553751, -0.209913, 0.467829, 0.100745, 0.185141, 0.000618],
        );
    }

    #[test]
    fn gru_equals_onnx_runtime() {
        let gru =
            |directions, linear| full("GRU", 3, directions).int("linear_before_reset", linear);
        gru(1, 0).gives(
            14,
            &[3, 1, 2, 2],
            &[
                -0.400753, -0.250757, -0.290644, -0.285951, -0.38316, -0.121897, -0.192023,
                -0.26788, -0.443506, -0.083837, 0.0, 0.0,
            ],
        );
        gru(1, 0).result(1).gives(14, &[1, 2, 2], &[-0.400753, -0.250757, -0.290644, -0.285951]);
        gru(1, 1).gives(
            14,
            &[3, 1, 2, 2],
            &[
                -0.303856, -0.370399, -0.227555, -0.388689, -0.308317, -0.245216, -0.152012,
                -0.351062, -0.407495, -0.169994, 0.0, 0.0,
            ],
        );
        gru(1, 1).result(1).gives(14, &[1, 2, 2], &[-0.303856, -0.370399, -0.227555, -0.388689]);
        gru(2, 0).gives(
            14,
            &[3, 2, 2, 2],
            &[
                -0.429171, -0.079777, -0.209016, -0.374187, 0.098085, 0.181483, 0.091264, 0.25803,
                -0.374094, -0.117502, -0.274416, -0.220903, -0.055258, 0.041286, 0.061449,
                0.120302, -0.408513, -0.249419, 0.0, 0.0, 0.139189, 0.050428, 0.0, 0.0,
            ],
        );
        gru(2, 0).result(1).gives(
            14,
            &[2, 2, 2],
            &[-0.408513, -0.249419, -0.274416, -0.220903, 0.098085, 0.181483, 0.091264, 0.25803],
        );
        gru(2, 1).gives(
            14,
            &[3, 2, 2, 2],
            &[
                -0.389274, -0.166155, -0.181434, -0.441749, -0.042918, 0.177398, -0.02701,
                0.253111, -0.296453, -0.24048, -0.211951, -0.335235, -0.170829, 0.036363, 0.001362,
                0.113811, -0.312002, -0.367464, 0.0, 0.0, 0.020911, 0.048778, 0.0, 0.0,
            ],
        );
        gru(2, 1).result(1).gives(
            14,
            &[2, 2, 2],
            &[-0.312002, -0.367464, -0.211951, -0.335235, -0.042918, 0.177398, -0.02701, 0.253111],
        );
    }

    /// h' = x + h / 2: a layer that can be followed by hand.
    fn halving(x: &[f32], shape: &[usize]) -> Case {
        case("RNN")
            .input(shape, x)
            .floats(&[1, 1, 1], &[1.0])
            .floats(&[1, 1, 1], &[0.5])
            .texts("activations", &["Affine"])
            .reals("activation_alpha", &[1.0])
            .reals("activation_beta", &[0.0])
    }

    #[test]
    fn directions_and_layouts() {
        let x = [1.0, 2.0, 4.0];
        let forward = [1.0, 2.5, 5.25];
        let reverse = [3.0, 4.0, 4.0];
        halving(&x, &[3, 1, 1]).gives(7, &[3, 1, 1, 1], &forward);
        halving(&x, &[3, 1, 1]).text("direction", "reverse").gives(14, &[3, 1, 1, 1], &reverse);
        let first = || halving(&x, &[1, 3, 1]).int("layout", 1);
        first().gives(22, &[1, 3, 1, 1], &forward);
        first().result(1).gives(22, &[1, 1, 1], &[5.25]);
        let both = |shape: &[usize], layout| {
            case("RNN")
                .input(shape, &[1.0, 2.0, 4.0, 8.0])
                .floats(&[2, 1, 1], &[1.0, 1.0])
                .floats(&[2, 1, 1], &[0.5, 0.25])
                .texts("activations", &["Affine", "Relu"])
                .reals("activation_alpha", &[1.0])
                .reals("activation_beta", &[0.0])
                .text("direction", "bidirectional")
                .int("layout", layout)
        };
        // Two sequences: 1, 4 and 2, 8 with steps first; 1, 2 and 4, 8 with sequences first.
        let steps_first = [1.0, 2.0, 2.0, 4.0, 4.5, 9.0, 4.0, 8.0];
        both(&[2, 2, 1], 0).gives(14, &[2, 2, 2, 1], &steps_first);
        both(&[2, 2, 1], 0).result(1).gives(14, &[2, 2, 1], &[4.5, 9.0, 2.0, 4.0]);
        let batch_first = [1.0, 1.5, 2.5, 2.0, 4.0, 6.0, 10.0, 8.0];
        both(&[2, 2, 1], 1).gives(14, &[2, 2, 2, 1], &batch_first);
        both(&[2, 2, 1], 1).result(1).gives(14, &[2, 2, 1], &[2.5, 1.5, 10.0, 6.0]);
    }

    #[test]
    fn optional_operands() {
        let layer = || halving(&[1.0, 2.0, 4.0], &[3, 1, 1]);
        layer().floats(&[1, 2], &[1.0, 0.5]).gives(14, &[3, 1, 1, 1], &[2.5, 4.75, 7.875]);
        let lengths = |n| layer().none().ints(&[1], &[n]);
        lengths(2).floats(&[1, 1, 1], &[2.0]).gives(14, &[3, 1, 1, 1], &[2.0, 3.0, 0.0]);
        lengths(2).result(1).gives(14, &[1, 1, 1], &[2.5]);
        lengths(2).text("direction", "reverse").gives(14, &[3, 1, 1, 1], &[2.0, 2.0, 0.0]);
        lengths(3).result(1).gives(14, &[1, 1, 1], &[5.25]);
        lengths(0).floats(&[1, 1, 1], &[2.0]).result(1).gives(14, &[1, 1, 1], &[0.0]);
        layer().float("clip", 2.0).gives(14, &[3, 1, 1, 1], &[1.0, 2.0, 2.0]);
        // Weights that are computed at run time.
        let w = case("RNN").input(&[2, 1, 1], &[0.5, 1.0]).input(&[1, 1, 1], &[2.0]);
        let w = w.input(&[1, 1, 1], &[1.0]).input(&[1, 2], &[0.25, -0.25]);
        w.texts("activations", &["Relu"]).gives(14, &[2, 1, 1, 1], &[1.0, 3.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let layer = || halving(&[1.0, 2.0], &[2, 1, 1]);
        layer().text("direction", "sideways").refused(14, "sideways");
        layer().int("layout", 2).refused(14, "layout 2");
        layer().int("hidden_size", -1).refused(14, "hidden_size");
        layer().int("hidden_size", i64::MAX).refused(14, "operand 1");
        layer().text("direction", "bidirectional").refused(14, "instead of 2");
        layer().floats(&[1, 3], &[1.0; 3]).refused(14, "1x3 instead of 1x2");
        layer().none().ints(&[1], &[3]).refused(14, "length 3 in 2 steps");
        layer().none().ints(&[2], &[2, 2]).refused(14, "sequence_lens has the shape 2");
        layer().floats(&[1, 3], &[0.0; 3]).refused(14, "1x3 instead of 1x2");
        layer().floats(&[1, 2], &[0.0; 2]).gives(14, &[2, 1, 1, 1], &[1.0, 2.5]);
        layer().none().none().floats(&[1, 2, 1], &[1.0; 2]).refused(14, "operand 5");
        layer().float("clip", -1.0).refused(14, "clip");
        let named = |names: &[&str]| {
            let rnn = case("RNN").input(&[2, 1, 1], &[0.5, 1.0]).floats(&[1, 1, 1], &[2.0]);
            rnn.floats(&[1, 1, 1], &[1.0]).texts("activations", names)
        };
        named(&["Swish"]).refused(14, "Swish");
        named(&["Tanh", "Tanh"]).refused(14, "instead of 1");
        named(&["Affine"]).refused(14, "has no alpha");
        named(&["Elu"]).gives(14, &[2, 1, 1, 1], &[1.0, 3.0]);
        case("LSTM").input(&[1, 2], &[0.5, 1.0]).refused(14, "operand 2");
    }
}
