//! The ONNX backend suite of the zoo: its tests, their data, how one is run, the table of outcomes.

pub mod compare;
pub mod element;
pub mod ir;
pub mod rules;
pub mod run;
pub mod suite;
pub mod table;

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All outputs are right.
    Pass,
    /// The compiler refused the model: code and first message.
    Unsupported(String),
    /// Anything else: a short stable text.
    Fail(String),
}

/// An outcome and what a developer wants to know about it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// Inputs that were given as constants, because the compiler asked for that.
    pub bound: Vec<String>,
    /// Messages in full, numbers that differ; may be empty. Not in the table.
    pub detail: String,
}

impl Verdict {
    /// A verdict without further detail.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, bound: Vec::new(), detail: String::new() }
    }

    /// A failure.
    #[must_use]
    pub fn fail(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail(what.into()), bound: Vec::new(), detail: detail.into() }
    }

    /// As in the table: `pass`, `pass (bound: axes)`, `unsupported: ...`, `fail: ...`.
    #[must_use]
    pub fn text(&self) -> String {
        let bound = match self.bound.as_slice() {
            [] => String::new(),
            names => format!(" (bound: {})", names.join(", ")),
        };
        match &self.outcome {
            Outcome::Pass => format!("pass{bound}"),
            Outcome::Unsupported(message) => format!("unsupported{bound}: {message}"),
            Outcome::Fail(what) => format!("fail{bound}: {what}"),
        }
    }
}
