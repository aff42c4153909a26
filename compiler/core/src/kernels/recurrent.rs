//! The loops of recurrent layers: sequences, time in either direction, products with the weights of
//! several gates at once. What a gate does is the operators' part.
//!
//! Time is a loop of the kernel, so neither code nor memory grows with the number of steps.

use crate::kir::{Buf, Expr, Intrinsic, KernelBuilder, Var, float, idx, int};

/// Storage of a state.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Where.
    pub buf: Buf,
    /// Each sequence has its own part (a result); otherwise all use the same (working memory).
    pub per_sequence: bool,
    /// Value before the first step, per sequence; zeros without.
    pub initial: Option<Buf>,
}

/// A vector inside a buffer.
#[derive(Clone, Debug)]
pub struct Vector {
    /// The buffer.
    pub buf: Buf,
    /// Index of element 0.
    pub base: Expr,
}

impl Vector {
    /// Element `i`.
    #[must_use]
    pub fn load(&self, k: &KernelBuilder, i: &Expr) -> Expr {
        k.load(self.buf, self.base.clone() + i.clone())
    }

    /// Sets element `i`.
    pub fn store(&self, k: &mut KernelBuilder, i: &Expr, value: Expr) {
        k.store(self.buf, self.base.clone() + i.clone(), value);
    }
}

/// A matrix per gate, one below the other: `[gates * hidden, depth]`.
#[derive(Clone, Copy, Debug)]
pub struct Gates {
    /// The matrices.
    pub buf: Buf,
    /// Rows of one gate.
    pub hidden: usize,
    /// Columns.
    pub depth: usize,
}

impl Gates {
    /// Adds the product of row `j` of each gate with `vector` to the gate's sum. Every element of
    /// the vector is loaded once for all gates.
    pub fn accumulate(
        &self,
        k: &mut KernelBuilder,
        sums: &[(usize, Var)],
        vector: &Vector,
        j: &Expr,
    ) {
        let row = k.let_("row", j.clone() * idx(self.depth));
        k.for_("i", self.depth, |k, i| {
            let v = k.let_("v", vector.load(k, &i));
            let at = k.let_("at", row + i);
            for &(gate, sum) in sums {
                let weight = k.load(self.buf, at.clone() + idx(gate * self.hidden * self.depth));
                k.accumulate(sum, v.clone() * weight);
            }
        });
    }
}

/// A walk through time.
#[derive(Clone, Debug)]
pub struct Recurrence {
    /// Steps.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// Elements of an input.
    pub inputs: usize,
    /// Elements of the state.
    pub hidden: usize,
    /// From the last step to the first.
    pub reverse: bool,
    /// Inputs, `[steps, batch, inputs]`.
    pub x: Buf,
    /// Steps that count, per sequence; any values.
    pub lengths: Option<Buf>,
    /// Whether `next` is the result `[steps, batch, hidden]` or room for one state.
    pub is_sequence: bool,
    /// Where the hidden state of a step is computed.
    pub next: Buf,
    /// The hidden state.
    pub h: State,
}

/// One step of one sequence.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its input.
    pub x: Vector,
    /// The hidden state before it.
    pub h: Vector,
    /// Where the hidden state after it belongs; the walk moves it to `h`. Until then, working memory.
    pub next: Vector,
    sequence: Expr,
    hidden: usize,
}

impl Step {
    /// A state of this sequence.
    #[must_use]
    pub fn state(&self, state: State) -> Vector {
        state.of(&self.sequence, self.hidden)
    }
}

impl State {
    fn of(&self, sequence: &Expr, hidden: usize) -> Vector {
        let base = if self.per_sequence { sequence.clone() * idx(hidden) } else { int(0) };
        Vector { buf: self.buf, base }
    }
}

impl Recurrence {
    /// Weights of the input and of the hidden state.
    #[must_use]
    pub fn gates(&self, w: Buf, r: Buf) -> [Gates; 2] {
        let gates = |buf, depth| Gates { buf, hidden: self.hidden, depth };
        [gates(w, self.inputs), gates(r, self.hidden)]
    }

    /// Builds the loops around `body`, which computes a step: it reads `x`, `h` and the states
    /// `others`, and writes `next` and those states.
    pub fn build(
        &self,
        k: &mut KernelBuilder,
        others: &[State],
        body: impl FnOnce(&mut KernelBuilder, &Step),
    ) {
        k.for_("sequence", self.batch, |k, sequence| {
            let length = self.lengths.map(|lengths| {
                let given = k.load(lengths, sequence.clone());
                let limits = [int(0), idx(self.steps)];
                let args = std::iter::once(given).chain(limits).collect();
                k.let_("length", Expr::call(Intrinsic::Clamp, args))
            });
            self.start(k, &sequence, length.as_ref(), others);
            k.for_("step", self.steps, |k, step| match length {
                None => {
                    let last = idx(self.steps.saturating_sub(1));
                    let time = if self.reverse { last - step } else { step };
                    self.step(k, &sequence, time, body);
                }
                Some(length) => {
                    let at = step.clone();
                    k.if_else(
                        step.clone().lt(length.clone()),
                        |k| {
                            let time = if self.reverse { length - int(1) - step } else { step };
                            self.step(k, &sequence, time, body);
                        },
                        |k| self.blank(k, &sequence, at),
                    );
                }
            });
        });
    }

    /// Sets the states before the first step.
    fn start(
        &self,
        k: &mut KernelBuilder,
        sequence: &Expr,
        length: Option<&Expr>,
        others: &[State],
    ) {
        let all: Vec<&State> = std::iter::once(&self.h).chain(others).collect();
        let from = k.let_("from", sequence.clone() * idx(self.hidden));
        k.for_("j", self.hidden, |k, j| {
            for state in all {
                let value = state.initial.map_or(float(0.0), |initial| {
                    let value = k.load(initial, from.clone() + j.clone());
                    match length {
                        Some(n) => n.clone().gt(int(0)).select(value, float(0.0)),
                        None => value,
                    }
                });
                state.of(sequence, self.hidden).store(k, &j, value);
            }
        });
    }

    /// Where the hidden state of a step is computed.
    fn next(&self, k: &mut KernelBuilder, sequence: &Expr, time: Expr) -> Vector {
        let base = if self.is_sequence {
            k.let_("y0", (time * idx(self.batch) + sequence.clone()) * idx(self.hidden))
        } else {
            int(0)
        };
        Vector { buf: self.next, base }
    }

    fn step(
        &self,
        k: &mut KernelBuilder,
        sequence: &Expr,
        time: Expr,
        body: impl FnOnce(&mut KernelBuilder, &Step),
    ) {
        let time = k.let_("time", time);
        let at = (time.clone() * idx(self.batch) + sequence.clone()) * idx(self.inputs);
        let x = Vector { buf: self.x, base: k.let_("x0", at) };
        let h = self.h.of(sequence, self.hidden);
        let h = Vector { base: k.let_("h0", h.base), ..h };
        let next = self.next(k, sequence, time);
        let step = Step { x, h, next, sequence: sequence.clone(), hidden: self.hidden };
        body(k, &step);
        k.for_("j", self.hidden, |k, j| step.h.store(k, &j, step.next.load(k, &j)));
    }

    /// The result of a step that does not count.
    fn blank(&self, k: &mut KernelBuilder, sequence: &Expr, time: Expr) {
        if self.is_sequence {
            let next = self.next(k, sequence, time);
            k.for_("j", self.hidden, |k, j| next.store(k, &j, float(0.0)));
        }
    }
}
