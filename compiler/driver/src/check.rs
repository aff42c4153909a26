//! `tinycc check`: operator by operator, whether a target can express a model, and as what.

use crate::capability;
use crate::compiler::Compiler;
use crate::report::json;
use crate::table::{Align, Table};
use serde::Serialize;
use tinycc_core::diagnostic::{Diagnostics, shortened};
use tinycc_core::graph::Graph;
use tinycc_targets::Support;

/// Characters of a name that the table shows.
const SHOWN: usize = 60;

const NATIVE: &str = "native";
const NO: &str = "no";

/// The answer about a model.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// File as given.
    pub model: String,
    /// Target.
    pub target: String,
    /// Operators of the file in execution order; those the compiler computes itself are left out.
    pub operators: Vec<Answer>,
    /// Sentences about the emitted file; empty when nothing can be emitted.
    pub notes: Vec<String>,
    /// Everything that stands in the way.
    pub problems: Vec<String>,
}

/// The answer about an operator of the file, which may have become several in the compiler.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// Number in the file.
    pub index: Option<usize>,
    /// Name in the file's format; that of the compiler for operators a reader adds.
    pub operator: String,
    /// What the file calls it, and the way to an operator inside of it; its first output where it has no
    /// name.
    pub name: String,
    /// First result; the last one's where it became several.
    pub tensor: String,
    /// Its type.
    pub output: String,
    /// `native`, what it is rewritten to, or `no`.
    pub support: String,
    /// Why not; empty when it can be expressed.
    pub reason: String,
}

/// Asks the compiler's target about every operator that can be read, then compiles, without keeping the
/// result.
///
/// # Errors
/// Nothing of the model can be read, or an option is wrong: then there is nothing to ask about.
pub fn check(compiler: &Compiler<'_>) -> Result<Check, Diagnostics> {
    let target = compiler.target()?;
    compiler.check_options()?;
    let (graph, unread) = compiler.graph_partly()?;
    let core = compiler.options().core.into();
    let answers = capability::survey(&graph, target, core);
    let mut operators: Vec<Answer> = Vec::new();
    for next in answers.into_iter().map(|(id, support)| answer(&graph, id, support)) {
        match operators.last_mut().filter(|last| last.is_about_same(&next)) {
            Some(last) => last.join(next),
            None => operators.push(next),
        }
    }
    let text = |problems: &Diagnostics| problems.0.iter().map(ToString::to_string).collect();
    let (notes, problems) = if unread.0.is_empty() {
        match compiler.compile() {
            Ok(output) => (output.report.notes, Vec::new()),
            Err(problems) => (Vec::new(), text(&problems)),
        }
    } else {
        let mut all = unread;
        if let Err(problems) = capability::unsupported(&graph, target, core) {
            all.0.extend(problems.0);
        }
        (Vec::new(), text(&all))
    };
    Ok(Check {
        model: compiler.file_name().to_string(),
        target: target.name().to_string(),
        operators,
        notes,
        problems,
    })
}

fn answer(graph: &Graph, id: tinycc_core::graph::NodeId, support: Support) -> Answer {
    let node = graph.get(id);
    let value = node.and_then(|n| n.results.first());
    let source = node.map(|n| n.origin.operator.clone()).filter(|name| !name.is_empty());
    let (support, reason) = match support {
        Support::Native => (NATIVE.to_string(), String::new()),
        Support::Decompose(how) => (how, String::new()),
        Support::No(reason) => (NO.to_string(), reason),
    };
    let name = node.map(|n| match n.origin.inner.as_str() {
        "" => n.origin.name.clone(),
        inner => format!("{} {inner}", n.origin.name).trim_start().to_string(),
    });
    Answer {
        name: name.unwrap_or_default(),
        index: node.and_then(|n| n.origin.index),
        operator: source.unwrap_or_else(|| node.map_or("", |n| n.op.name()).to_string()),
        tensor: value.map(|v| v.name.clone()).unwrap_or_default(),
        output: value.map(|v| v.ty.to_string()).unwrap_or_default(),
        support,
        reason,
    }
}

impl Answer {
    fn is_about_same(&self, other: &Self) -> bool {
        self.index.is_some() && (self.index, &self.name) == (other.index, &other.name)
    }

    /// Takes what is said about the next part of the same operator.
    fn join(&mut self, next: Self) {
        (self.tensor, self.output) = (next.tensor, next.output);
        add(&mut self.reason, &next.reason);
        match (self.support.as_str(), next.support.as_str()) {
            (NO, _) | (_, NATIVE) => {}
            (_, NO) | (NATIVE, _) => self.support = next.support,
            _both => add(&mut self.support, &next.support),
        }
    }
}

/// Adds to a list of sentences what it does not have.
fn add(text: &mut String, sentence: &str) {
    if sentence.is_empty() || text.split("; ").any(|known| known == sentence) {
        return;
    }
    if !text.is_empty() {
        text.push_str("; ");
    }
    text.push_str(sentence);
}

impl Check {
    /// Nothing stands in the way.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }

    /// For a terminal: the table, then all problems.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut table = Table::new(&[
            ("node", Align::Right),
            ("operator", Align::Left),
            ("name", Align::Left),
            ("output", Align::Left),
            (self.target.as_str(), Align::Left),
        ]);
        for a in &self.operators {
            let index = a.index.map(|i| i.to_string()).unwrap_or_default();
            let verdict =
                if a.reason.is_empty() { a.support.clone() } else { format!("no: {}", a.reason) };
            let name = shortened(&a.name, SHOWN);
            table.row(vec![index, a.operator.clone(), name, a.output.clone(), verdict]);
        }
        let mut text = match self.operators.is_empty() {
            true => String::new(),
            false => table.to_string(),
        };
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        for problem in &self.problems {
            text.push_str(&format!("{problem}\n"));
        }
        let verdict = match self.problems.len() {
            0 => "can be compiled".to_string(),
            1 => "cannot be compiled: 1 problem".to_string(),
            n => format!("cannot be compiled: {n} problems"),
        };
        text.push_str(&format!("\n{} for target {}: {verdict}\n", self.model, self.target));
        text
    }

    /// Pretty-printed JSON with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }
}
