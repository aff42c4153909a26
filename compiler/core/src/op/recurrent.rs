//! What the recurrent operators (Lstm, Gru, Rnn) have in common: attributes, operands and results
//! that may be left out, the plain walk through time. Not an operator itself.

#[cfg(test)]
pub(crate) mod testing;

use super::{GateFunction, OpError, Signature};
use crate::kernels::recurrent::{Recurrence, State};
use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Ty, Var, float, idx};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};

/// An operand that may be left out. Left out it counts as zeros, lengths as whole sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrentOperand {
    /// Bias of each gate (rows of hidden elements; how many, the operator says).
    Bias,
    /// Steps that count, int32 per sequence; limited to 0 and the number of steps.
    Lengths,
    /// Hidden state before the first step, `[batch, hidden]`.
    Hidden,
    /// Cell state before the first step, `[batch, hidden]`.
    Cell,
    /// Weights from the cell state to three gates, `[3 * hidden]`.
    Peepholes,
}

/// A result that is computed only if it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrentResult {
    /// The hidden state after each step, `[steps, batch, hidden]`; zeros beyond the length.
    Sequence,
    /// The hidden state after the last step that counts, `[batch, hidden]`; zeros if there is none.
    Hidden,
    /// The cell state after the last step that counts, `[batch, hidden]`; zeros if there is none.
    Cell,
}

/// Attributes of all recurrent operators.
///
/// Operands: x `[steps, batch, inputs]`, weights `[gates * hidden, inputs]`, recurrent weights
/// `[gates * hidden, hidden]`, then those listed. All are float32 but the lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentAttributes {
    /// Elements of the state.
    pub hidden: usize,
    /// From the last step that counts to the first.
    pub reverse: bool,
    /// Limit of the magnitude of the sums that the gates' functions get.
    pub clip: Option<f32>,
    /// What follows the three operands that are always there, in this order.
    pub operands: Vec<RecurrentOperand>,
    /// Results in this order.
    pub results: Vec<RecurrentResult>,
}

/// What an operator fixes.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Gates in the weights.
    pub gates: usize,
    /// Rows of the bias.
    pub bias: usize,
    /// Whether there is a cell state and peepholes.
    pub cell: bool,
}

/// (steps, batch, inputs).
type Extents = (usize, usize, usize);

impl RecurrentAttributes {
    fn extents(s: &Signature<'_>) -> Result<Extents, OpError> {
        let x = s.operand(0)?.shape();
        match x.0.as_slice() {
            &[steps, batch, inputs] if x.elements() > 0 => Ok((steps, batch, inputs)),
            _other => {
                Err(OpError::invalid(format!("input {x} should be steps x batch x elements")))
            }
        }
    }

    /// Number of the operand, if it is given.
    fn find(&self, operand: RecurrentOperand) -> Option<usize> {
        self.operands.iter().position(|&o| o == operand).map(|i| i + 3)
    }

    fn result(&self, result: RecurrentResult) -> Option<usize> {
        self.results.iter().position(|&r| r == result)
    }

    /// The attributes for an operator that yields only the results marked in `read`; `None` when
    /// those are all or none.
    #[must_use]
    pub fn with_results(&self, read: &[bool]) -> Option<Self> {
        let marked = self.results.iter().zip(read).filter(|(_, read)| **read);
        let results: Vec<RecurrentResult> = marked.map(|(&result, _)| result).collect();
        let fewer = !results.is_empty() && results.len() < self.results.len();
        fewer.then(|| Self { results, ..self.clone() })
    }

    fn check(&self, kind: Kind, functions: &[GateFunction]) -> Result<(), OpError> {
        let foreign = !kind.cell
            && (self.operands.contains(&RecurrentOperand::Cell)
                || self.operands.contains(&RecurrentOperand::Peepholes)
                || self.results.contains(&RecurrentResult::Cell));
        let twice = |i: usize| self.operands[..i].contains(&self.operands[i]);
        let twice_result = |i: usize| self.results[..i].contains(&self.results[i]);
        if foreign
            || self.results.is_empty()
            || (0..self.operands.len()).any(twice)
            || (0..self.results.len()).any(twice_result)
        {
            return Err(OpError::invalid("operands or results that do not go together"));
        }
        if self.clip.is_some_and(|c| !c.is_finite() || c < 0.0) {
            return Err(OpError::invalid("clip should be a finite number above 0"));
        }
        if !functions.iter().all(|f| f.is_finite()) {
            return Err(OpError::invalid("factors of activations should be finite numbers"));
        }
        Ok(())
    }

    /// Result types of an operator.
    ///
    /// # Errors
    /// Operands of other types or extents; factors that are no finite numbers.
    pub fn infer(
        &self,
        s: &Signature<'_>,
        kind: Kind,
        functions: &[GateFunction],
    ) -> Result<Vec<TensorType>, OpError> {
        let (steps, batch, inputs) = Self::extents(s)?;
        self.check(kind, functions)?;
        let count = 3 + self.operands.len();
        s.expect_operands(count, count)?;
        let hidden = self.hidden;
        let rows = hidden.saturating_mul(kind.gates);
        let mut wanted = vec![
            (DType::F32, vec![steps, batch, inputs]),
            (DType::F32, vec![rows, inputs]),
            (DType::F32, vec![rows, hidden]),
        ];
        wanted.extend(self.operands.iter().map(|operand| match operand {
            RecurrentOperand::Bias => (DType::F32, vec![hidden.saturating_mul(kind.bias)]),
            RecurrentOperand::Lengths => (DType::I32, vec![batch]),
            RecurrentOperand::Hidden | RecurrentOperand::Cell => (DType::F32, vec![batch, hidden]),
            RecurrentOperand::Peepholes => (DType::F32, vec![hidden.saturating_mul(3)]),
        }));
        for (i, (operand, (dtype, dims))) in s.operands.iter().zip(wanted).enumerate() {
            if operand.dtype() != dtype || operand.quant.is_some() {
                return Err(OpError::types(s));
            }
            let shape = Shape(dims);
            if *operand.shape() != shape || shape.elements() == 0 {
                let given = operand.shape();
                let message = format!("operand {i} has the shape {given} instead of {shape}");
                return Err(OpError::invalid(message));
            }
        }
        let result = |r: &RecurrentResult| {
            let dims = match r {
                RecurrentResult::Sequence => vec![steps, batch, hidden],
                RecurrentResult::Hidden | RecurrentResult::Cell => vec![batch, hidden],
            };
            let shape =
                Shape::checked(dims).ok_or_else(|| OpError::invalid("the result is too large"));
            Ok(TensorType::new(DType::F32, shape?))
        };
        self.results.iter().map(result).collect()
    }

    /// Multiply-accumulates when `gates` gates are computed.
    #[must_use]
    pub fn macs(&self, s: &Signature<'_>, gates: usize) -> u64 {
        Self::extents(s).map_or(0, |(steps, batch, inputs)| {
            let products = (self.hidden as u64).saturating_mul((inputs + self.hidden) as u64);
            products.saturating_mul((gates * steps).saturating_mul(batch) as u64)
        })
    }

    /// The sum that a gate's function gets, limited by `clip`.
    #[must_use]
    pub fn clipped(&self, x: f32) -> f32 {
        match self.clip {
            Some(c) => tinycc_rt::min_f32(tinycc_rt::max_f32(x, -c), c),
            None => x,
        }
    }

    /// `function` of the clipped sum, as a named value.
    pub fn gate(
        &self,
        k: &mut KernelBuilder,
        name: &str,
        sum: impl Into<Expr>,
        function: GateFunction,
    ) -> Expr {
        let sum = match self.clip {
            Some(c) => {
                let above = Expr::call(Intrinsic::MaxF32, vec![sum.into(), float(-c)]);
                k.let_("sum", Expr::call(Intrinsic::MinF32, vec![above, float(c)]))
            }
            None => k.let_("sum", sum.into()),
        };
        k.let_(name, function.expression(sum))
    }

    /// Walks each sequence through time. `step` gets the input of a step and the states before it
    /// and answers with those after it; the cell state is empty where there is none.
    ///
    /// # Errors
    /// Operands that `infer` would not accept.
    pub fn eval(
        &self,
        s: &Signature<'_>,
        inputs: &[&Tensor],
        kind: Kind,
        step: impl Fn(&Parameters<'_>, &[f32], &[f32], &[f32]) -> (Vec<f32>, Vec<f32>),
    ) -> Result<Vec<Tensor>, OpError> {
        let (steps, batch, depth) = Self::extents(s)?;
        let tensor = |i: usize| inputs.get(i).copied().ok_or_else(|| OpError::types(s));
        let floats = |i: usize| tensor(i)?.as_f32().ok_or_else(|| OpError::types(s));
        let optional = |o: RecurrentOperand| self.find(o).map(floats).transpose();
        let (x, n) = (floats(0)?, self.hidden);
        let parameters = Parameters {
            hidden: n,
            w: floats(1)?,
            r: floats(2)?,
            bias: optional(RecurrentOperand::Bias)?,
            peepholes: optional(RecurrentOperand::Peepholes)?,
        };
        let lengths = match self.find(RecurrentOperand::Lengths) {
            Some(i) => Some(tensor(i)?.as_i32().ok_or_else(|| OpError::types(s))?),
            None => None,
        };
        let (h0, c0) = (optional(RecurrentOperand::Hidden)?, optional(RecurrentOperand::Cell)?);
        let mut sequence = vec![0.0; steps * batch * n];
        let (mut hidden, mut cell) = (Vec::new(), Vec::new());
        for b in 0..batch {
            let length = lengths.map_or(steps, |l| (l[b].max(0) as usize).min(steps));
            let start = |given: Option<&[f32]>| match given {
                Some(all) if length > 0 => all[b * n..][..n].to_vec(),
                _zeros => vec![0.0; n],
            };
            let (mut h, mut c) = (start(h0), if kind.cell { start(c0) } else { Vec::new() });
            for i in 0..length {
                let t = if self.reverse { length - 1 - i } else { i };
                let at = t * batch + b;
                (h, c) = step(&parameters, &x[at * depth..][..depth], &h, &c);
                sequence[at * n..][..n].copy_from_slice(&h);
            }
            hidden.extend(h);
            cell.extend(c);
        }
        let result = |r: &RecurrentResult| match r {
            RecurrentResult::Sequence => (vec![steps, batch, n], sequence.clone()),
            RecurrentResult::Hidden => (vec![batch, n], hidden.clone()),
            RecurrentResult::Cell => (vec![batch, n], cell.clone()),
        };
        let tensor = |(dims, data)| Tensor { shape: Shape(dims), data: TensorData::F32(data) };
        Ok(self.results.iter().map(result).map(tensor).collect())
    }

    /// Declares the buffers of a kernel.
    ///
    /// # Errors
    /// Operands that `infer` would not accept.
    pub fn declare(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<Buffers, OpError> {
        let (steps, batch, inputs) = Self::extents(s)?;
        let x = k.operand(s, 0, "x")?;
        let w = k.operand(s, 1, "weights")?;
        let r = k.operand(s, 2, "recurrent_weights")?;
        let mut given = |o: RecurrentOperand, name: &str| {
            self.find(o).map(|i| k.operand(s, i, name)).transpose()
        };
        let bias = given(RecurrentOperand::Bias, "bias")?;
        let lengths = given(RecurrentOperand::Lengths, "lengths")?;
        let h0 = given(RecurrentOperand::Hidden, "initial_h")?;
        let c0 = given(RecurrentOperand::Cell, "initial_c")?;
        let peepholes = given(RecurrentOperand::Peepholes, "peepholes")?;
        let mut yielded = |r: RecurrentResult, name: &str| {
            self.result(r).map(|i| k.result(s, i, name)).transpose()
        };
        let sequence = yielded(RecurrentResult::Sequence, "y")?;
        let (h, c) =
            (yielded(RecurrentResult::Hidden, "y_h")?, yielded(RecurrentResult::Cell, "y_c")?);
        let next = match sequence {
            Some(y) => y,
            None => k.scratch("next", Ty::F32, self.hidden),
        };
        let recurrence = Recurrence {
            steps,
            batch,
            inputs,
            hidden: self.hidden,
            reverse: self.reverse,
            x,
            lengths,
            is_sequence: sequence.is_some(),
            next,
            h: self.state(k, "h", h, h0),
        };
        Ok(Buffers { recurrence, w, r, bias, peepholes, cell: (c, c0) })
    }

    /// Where a state lives: in its result if that is wanted, otherwise in working memory.
    pub fn state(
        &self,
        k: &mut KernelBuilder,
        name: &str,
        result: Option<Buf>,
        initial: Option<Buf>,
    ) -> State {
        match result {
            Some(buf) => State { buf, per_sequence: true, initial },
            None => {
                let buf = k.scratch(name, Ty::F32, self.hidden);
                State { buf, per_sequence: false, initial }
            }
        }
    }
}

/// Buffers of a kernel.
#[derive(Clone, Debug)]
pub struct Buffers {
    /// Those that the walk through time needs.
    pub recurrence: Recurrence,
    /// Weights of the input.
    pub w: Buf,
    /// Weights of the hidden state.
    pub r: Buf,
    /// Bias.
    pub bias: Option<Buf>,
    /// Peepholes.
    pub peepholes: Option<Buf>,
    /// Result and initial value of the cell state.
    pub cell: (Option<Buf>, Option<Buf>),
}

impl Buffers {
    /// A variable that starts as element `j` of a row of the bias, or as 0.
    pub fn start(&self, k: &mut KernelBuilder, name: &str, row: usize, j: &Expr) -> Var {
        let hidden = self.recurrence.hidden;
        let bias = self.bias.map(|b| k.load(b, j.clone() + idx(row * hidden)));
        k.var(name, bias.unwrap_or(float(0.0)))
    }
}

/// Weights for evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    hidden: usize,
    w: &'a [f32],
    r: &'a [f32],
    bias: Option<&'a [f32]>,
    peepholes: Option<&'a [f32]>,
}

impl Parameters<'_> {
    /// Element `j` of gate `gate` of the product of the weights with `x`.
    #[must_use]
    pub fn input(&self, gate: usize, j: usize, x: &[f32]) -> f32 {
        product(self.w, gate * self.hidden + j, x)
    }

    /// The same of the recurrent weights with the hidden state.
    #[must_use]
    pub fn recurrent(&self, gate: usize, j: usize, h: &[f32]) -> f32 {
        product(self.r, gate * self.hidden + j, h)
    }

    /// Element `j` of a row of the bias.
    #[must_use]
    pub fn bias(&self, row: usize, j: usize) -> f32 {
        self.bias.map_or(0.0, |b| b[row * self.hidden + j])
    }

    /// Element `j` of a row of the peepholes.
    #[must_use]
    pub fn peephole(&self, row: usize, j: usize) -> f32 {
        self.peepholes.map_or(0.0, |p| p[row * self.hidden + j])
    }

    /// Bias plus both products, each gate with the bias row of its number.
    #[must_use]
    pub fn sum(&self, gate: usize, j: usize, x: &[f32], h: &[f32]) -> f32 {
        self.bias(gate, j) + self.input(gate, j, x) + self.recurrent(gate, j, h)
    }
}

fn product(matrix: &[f32], row: usize, vector: &[f32]) -> f32 {
    let row = &matrix[row * vector.len()..][..vector.len()];
    row.iter().zip(vector).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kir::interp;
    use crate::lower::Core;
    use crate::op::testing::{Spec, graph_of};
    use crate::op::{Op, Rnn};

    fn attributes(hidden: usize) -> RecurrentAttributes {
        RecurrentAttributes {
            hidden,
            reverse: false,
            clip: None,
            operands: Vec::new(),
            results: vec![RecurrentResult::Sequence, RecurrentResult::Hidden],
        }
    }

    fn specs() -> [Spec; 3] {
        [Spec::f32(&[2, 1, 3]), Spec::f32(&[4, 3]), Spec::f32(&[4, 4])]
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |change: &dyn Fn(&mut RecurrentAttributes), f: GateFunction, part: &str| {
            let graph = graph_of(&rnn(attributes(4)), &specs(), &[]);
            let mut a = attributes(4);
            change(&mut a);
            let op = Rnn { attributes: a, function: f };
            let error = op.infer_in(&graph).expect_err("is refused");
            assert!(error.message.contains(part), "{}", error.message);
        };
        let tanh = GateFunction::Tanh;
        refused(&|a| a.hidden = 5, tanh, "operand 1 has the shape 4x3 instead of 5x3");
        refused(&|a| a.hidden = usize::MAX, tanh, "operand 1");
        refused(&|a| a.clip = Some(f32::NAN), tanh, "clip");
        refused(&|a| a.clip = Some(-1.0), tanh, "clip");
        refused(&|a| a.operands.push(RecurrentOperand::Bias), tanh, "3 operands");
        refused(&|a| a.operands.push(RecurrentOperand::Cell), tanh, "go together");
        refused(&|a| a.results.push(RecurrentResult::Hidden), tanh, "go together");
        refused(&|a| a.results.clear(), tanh, "go together");
        let elu = GateFunction::Elu { alpha: f32::INFINITY };
        refused(&|_| {}, elu, "finite");
    }

    fn rnn(attributes: RecurrentAttributes) -> Op {
        Rnn { attributes, function: GateFunction::Tanh }.into()
    }

    impl Rnn {
        fn infer_in(&self, graph: &crate::graph::Graph) -> Result<Vec<TensorType>, OpError> {
            use crate::op::Operator;
            self.infer(&graph.signature(graph.outputs()[0].node))
        }
    }

    /// Neither code nor working memory depends on the number of steps, and unread results are gone.
    #[test]
    fn kernels_do_not_grow_with_time() {
        let size = |steps: usize, read: &[usize]| {
            let x = Spec::f32(&[steps, 1, 3]);
            let [_, w, r] = specs();
            let mut graph = graph_of(&rnn(attributes(4)), &[x, w, r], &[]);
            let outputs = graph.outputs().to_vec();
            graph.set_outputs(read.iter().map(|&r| outputs[r]).collect());
            crate::pass::run_all(&mut graph, crate::pass::LEGALISE).expect("passes");
            let legal = crate::lower::legalise(graph, Core::Generic).expect("legal");
            let module = crate::lower::lower(&legal).expect("lowers");
            interp::run_module(&module, &mut vec![0; module.arena_bytes]).expect("runs");
            let lines = crate::kir::text::print(&module).lines().count();
            let inputs: usize = module.inputs.iter().map(|p| p.ty.bytes()).sum();
            (lines, module.arena_bytes - inputs)
        };
        // States of 4 floats: y_h and the room for the next one.
        assert_eq!(size(10, &[1]).1, 32);
        assert_eq!(size(10, &[1]), size(1000, &[1]));
        // The sequence, and the state.
        assert_eq!(size(10, &[0]).1, 160 + 16);
        assert_eq!(size(10, &[0, 1]).1, 160 + 16);
    }
}
