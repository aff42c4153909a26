//! `tinycc check`: operator by operator, whether a target can express a model, and as what.

use crate::capability;
use crate::compiler::Compiler;
use crate::report::json;
use crate::table::{Align, Table};
use serde::Serialize;
use tinycc_core::diagnostic::{Diagnostics, shortened};
use tinycc_core::graph::{Graph, NodeId};
use tinycc_targets::Support;

/// Characters of a name that the table shows.
const SHOWN: usize = 60;

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
    let parts = answers.chunk_by(|(a, _), (b, _)| is_same_node(&graph, *a, *b));
    let operators = parts.filter_map(|parts| answer(&graph, parts)).collect();
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

/// Whether two operators of the graph are parts of one of the file.
fn is_same_node(graph: &Graph, a: NodeId, b: NodeId) -> bool {
    let place = |id| graph.get(id).map(|n| &n.origin).filter(|origin| origin.index.is_some());
    place(a).is_some() && place(a) == place(b)
}

/// The answer about the parts of one operator.
fn answer(graph: &Graph, parts: &[(NodeId, Support)]) -> Option<Answer> {
    let (mut rewrites, mut reasons) = (Vec::new(), Vec::new());
    for (_, support) in parts {
        let (list, sentence) = match support {
            Support::Native => continue,
            Support::Decompose(how) => (&mut rewrites, how.as_str()),
            Support::No(reason) => (&mut reasons, reason.as_str()),
        };
        if !list.contains(&sentence) {
            list.push(sentence);
        }
    }
    let support = match (rewrites.as_slice(), reasons.as_slice()) {
        ([], []) => "native".to_string(),
        (how, []) => how.join("; "),
        (_, _no) => "no".to_string(),
    };
    let node = graph.get(parts.last()?.0)?;
    let origin = &node.origin;
    let value = node.results.first();
    let own = || node.op.name().to_string();
    Some(Answer {
        index: origin.index,
        operator: Some(origin.operator.clone()).filter(|n| !n.is_empty()).unwrap_or_else(own),
        name: format!("{} {}", origin.name, origin.inner).trim().to_string(),
        tensor: value.map(|v| v.name.clone()).unwrap_or_default(),
        output: value.map(|v| v.ty.to_string()).unwrap_or_default(),
        support,
        reason: reasons.join("; "),
    })
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
