//! Errors as values: what went wrong, where in the model, and what to do. Rendering is plain
//! `Display`; printing and exit codes belong to the shells.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Stable identity of a kind of problem; documented in `docs/errors.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// TCC0101: the bytes are not a model of a known format.
    NotAModel,
    /// TCC0102: the file is of the right format but violates it.
    MalformedModel,
    /// TCC0103: a file beside the model, which holds its data, is not there or not allowed.
    ExternalData,
    /// TCC0201: an operator tinycc does not know.
    UnknownOperator,
    /// TCC0202: an operator it knows, with attributes or operands it does not handle.
    UnsupportedOperator,
    /// TCC0203: a tensor element type that is not handled yet.
    UnsupportedType,
    /// TCC0204: a dimension that is not known at compile time.
    DynamicShape,
    /// TCC0301: operand shapes, types or quantization do not fit the operator.
    InvalidOperator,
    /// TCC0302: the graph breaks an invariant (an internal error when a pass did it).
    InvalidGraph,
    /// TCC0401: the target cannot express the operator.
    TargetUnsupported,
    /// TCC0501: the result does not fit the given memory budget.
    OverBudget,
    /// TCC0601: a wrong option of the user's.
    BadOption,
}

impl Code {
    /// The code as printed, for example `TCC0201`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Code::NotAModel => "TCC0101",
            Code::MalformedModel => "TCC0102",
            Code::ExternalData => "TCC0103",
            Code::UnknownOperator => "TCC0201",
            Code::UnsupportedOperator => "TCC0202",
            Code::UnsupportedType => "TCC0203",
            Code::DynamicShape => "TCC0204",
            Code::InvalidOperator => "TCC0301",
            Code::InvalidGraph => "TCC0302",
            Code::TargetUnsupported => "TCC0401",
            Code::OverBudget => "TCC0501",
            Code::BadOption => "TCC0601",
        }
    }
}

/// Where in the model something comes from. Models have no text, so this is our span.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Model file as the user named it; empty when unknown.
    pub file: String,
    /// Subgraph number.
    pub subgraph: usize,
    /// Operator number in the subgraph, `None` for tensors and the file itself.
    pub index: Option<usize>,
    /// Operator name in the source format, for example `CONV_2D`.
    pub operator: String,
    /// What the file calls that node; where it has no name, its first output.
    pub name: String,
    /// The way from that operator to the one in question inside of it, for example `body node 2 Gemm`
    /// in a Loop; empty when it is the operator itself.
    pub inner: String,
    /// Tensor name, when the problem is about one.
    pub tensor: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if !self.file.is_empty() {
            write!(f, "{}", printable(&self.file).replace('\n', "\\n"))?;
            separator = ": ";
        }
        if self.subgraph != 0 {
            write!(f, "{separator}subgraph {}", self.subgraph)?;
            separator = ", ";
        }
        if let Some(index) = self.index {
            write!(f, "{separator}node {index}")?;
            separator = " ";
        }
        if !self.operator.is_empty() {
            write!(f, "{separator}{}", shortened(&self.operator, SHOWN))?;
            separator = " ";
        }
        // A message about a tensor names that one.
        if !self.name.is_empty() && self.name != self.tensor {
            write!(f, "{separator}{}", quoted(&self.name, SHOWN))?;
        }
        if self.index.is_some() || !self.operator.is_empty() {
            separator = ", ";
        }
        if !self.inner.is_empty() {
            write!(f, "{separator}{}", self.inner)?;
            separator = ", ";
        }
        if !self.tensor.is_empty() {
            write!(f, "{separator}tensor {}", quoted(&self.tensor, SHOWN))?;
        }
        Ok(())
    }
}

/// One problem: code, place, message, and what the user can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Kind of problem.
    pub code: Code,
    /// Where in the model.
    pub origin: Origin,
    /// What is wrong and why: one line.
    pub message: String,
    /// What belongs to it on lines of its own, a table or an excerpt; may be empty.
    pub listing: String,
    /// What to do; may be empty.
    pub help: String,
}

impl Diagnostic {
    /// A diagnostic without help text.
    pub fn new(code: Code, origin: Origin, message: impl Into<String>) -> Self {
        let (message, listing, help) = (message.into(), String::new(), String::new());
        Self { code, origin, message, listing, help }
    }

    /// The same with lines below the message.
    #[must_use]
    pub fn listing(mut self, listing: impl Into<String>) -> Self {
        self.listing = listing.into();
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.origin.to_string();
        let separator = if place.is_empty() { "" } else { ": " };
        let message = shortened(&self.message, READABLE);
        write!(f, "error[{}]: {place}{separator}{message}", self.code.as_str())?;
        if !self.listing.is_empty() {
            write!(f, "\n{}", printable(&self.listing))?;
        }
        if self.help.is_empty() {
            return Ok(());
        }
        write!(f, "\n  help: {}", shortened(&self.help, READABLE))
    }
}

/// Characters of a name in the place of a message, in a list of places, and of a whole sentence.
const SHOWN: usize = 120;
const LISTED_SHOWN: usize = 60;
const READABLE: usize = 2000;

/// Text of a file on one line, and not more than `limit` characters of it: the middle goes, because
/// converters join names of fused operators and of the modules around them.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    let escape = |part: &str| printable(part).replace('\n', "\\n");
    let count = text.chars().count();
    if count <= limit {
        return escape(text);
    }
    let half = limit.saturating_sub(3) / 2;
    let head: String = text.chars().take(half).collect();
    let tail: String = text.chars().skip(count - half).collect();
    format!("{}...{}", escape(&head), escape(&tail))
}

/// The same in quotes, which then end the name and nothing else does.
#[must_use]
pub fn quoted(name: &str, limit: usize) -> String {
    format!("\"{}\"", shortened(name, limit).replace('"', "\\\""))
}

/// `text` with control characters escaped, except line feeds, and those that turn the direction of
/// writing. Names in a model file are anybody's: they must not steer the reader's terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() || turns) && c != '\n' {
            out.extend(c.escape_debug())
        } else {
            out.push(c)
        }
    }
    out
}

/// Every problem of one phase; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Joins problems that differ in their place only, so that a model with a hundred tensors of
    /// one unsupported type gets one message. The first places are listed, the rest counted; what was
    /// found twice at one place is said once.
    #[must_use]
    pub fn merged(self) -> Self {
        let mut groups: Vec<(Diagnostic, Vec<Origin>)> = Vec::new();
        let mut places: Vec<BTreeSet<Origin>> = Vec::new();
        let mut known: BTreeMap<(Code, String, String, String), usize> = BTreeMap::new();
        for d in self.0 {
            let operator = d.origin.operator.clone();
            let key = (d.code, operator, d.message.clone(), d.help.clone());
            match known.get(&key) {
                Some(&group) if places[group].insert(d.origin.clone()) => {
                    groups[group].1.push(d.origin);
                }
                Some(_said) => {}
                None => {
                    known.insert(key, groups.len());
                    places.push(BTreeSet::from([d.origin.clone()]));
                    groups.push((d.clone(), vec![d.origin]));
                }
            }
        }
        Self(groups.into_iter().map(|(d, origins)| join(d, &origins)).collect())
    }

    /// `Err(self)` when anything was collected, else `Ok(value)`.
    ///
    /// # Errors
    /// The collected problems.
    pub fn into_result<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// Places a joined message lists.
const LISTED: usize = 4;

fn join(mut d: Diagnostic, origins: &[Origin]) -> Diagnostic {
    if origins.len() == 1 {
        return d;
    }
    let place = |o: &Origin| {
        let name = |name: &str| Some(quoted(name, LISTED_SHOWN)).filter(|_| !name.is_empty());
        // A message about a tensor names that one, unless the way to it begins at the node.
        let is_named = !o.inner.is_empty() || o.tensor.is_empty();
        let inner = Some(o.inner.clone()).filter(|inner| !inner.is_empty());
        let parts = [
            o.index.map(|index| index.to_string()),
            name(&o.name).filter(|_| is_named),
            inner,
            name(&o.tensor),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let listed: Vec<String> = origins.iter().take(LISTED).map(place).collect();
    let rest = match origins.len().saturating_sub(LISTED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let kind = if d.origin.index.is_some() { "nodes" } else { "tensors" };
    let list = format!(" ({} {kind}: {}{rest})", origins.len(), listed.join(", "));
    d.message.push_str(&list);
    d.origin.index = None;
    let origin = &mut d.origin;
    [&mut origin.tensor, &mut origin.name, &mut origin.inner].into_iter().for_each(String::clear);
    d
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_problems_become_one_that_lists_its_places() {
        let tensor = |name: &str| Origin { tensor: name.into(), ..Origin::default() };
        let d = |name: &str, m: &str| Diagnostic::new(Code::UnsupportedType, tensor(name), m);
        let all = ["a", "b", "c", "d", "e"].map(|name| d(name, "no uint8"));
        let mut problems = Diagnostics(all.to_vec());
        problems.push(d("f", "no float16"));
        assert_eq!(
            problems.merged().to_string(),
            "error[TCC0203]: no uint8 (5 tensors: \"a\", \"b\", \"c\", \"d\" and 1 more)\n\
             error[TCC0203]: tensor \"f\": no float16"
        );
    }

    #[test]
    fn nodes_are_named_and_a_name_does_not_leave_its_place() {
        let node = |index, name: &str| Origin {
            file: "m.onnx".into(),
            index: Some(index),
            operator: "Conv".into(),
            name: name.into(),
            ..Origin::default()
        };
        let problem = |origin| Diagnostic::new(Code::InvalidOperator, origin, "too wide");
        let one = problem(node(12, "/backbone/conv1/Conv"));
        assert_eq!(
            one.to_string(),
            "error[TCC0301]: m.onnx: node 12 Conv \"/backbone/conv1/Conv\": too wide"
        );
        let both = Diagnostics(vec![one, problem(node(13, ""))]).merged();
        assert_eq!(
            both.to_string(),
            "error[TCC0301]: m.onnx: Conv: too wide (2 nodes: 12 \"/backbone/conv1/Conv\", 13)"
        );
        let call = |index, name: &str| Origin { inner: "node 0 Foo".into(), ..node(index, name) };
        let calls = [call(0, "first"), call(1, "second")].map(problem).to_vec();
        assert_eq!(
            Diagnostics(calls).merged().to_string(),
            "error[TCC0301]: m.onnx: Conv: too wide (2 nodes: 0 \"first\" node 0 Foo, \
             1 \"second\" node 0 Foo)"
        );
        let about = Origin { tensor: "out".into(), ..node(0, "out") };
        assert_eq!(about.to_string(), "m.onnx: node 0 Conv, tensor \"out\"");
        let hostile = "a\": fine\nerror[TCC0101]: \x1b[31m\u{202e}";
        assert_eq!(
            problem(node(1, hostile)).to_string(),
            "error[TCC0301]: m.onnx: node 1 Conv \"a\\\": fine\\nerror[TCC0101]: \
             \\u{1b}[31m\\u{202e}\": too wide"
        );
        let long = problem(node(1, &"ö".repeat(1 << 20))).to_string();
        assert!(long.chars().count() < 200 && long.contains("ö...ö"), "{long}");
        let long = Diagnostic { message: "x".repeat(1 << 20), ..problem(node(1, "")) };
        assert!(long.to_string().len() < 3000);
    }

    #[test]
    fn control_characters_of_names_are_escaped() {
        let origin = Origin { tensor: "\x1b[31m\r\u{85}ü".into(), ..Origin::default() };
        assert_eq!(
            Diagnostic::new(Code::UnsupportedType, origin, "first\nsecond").to_string(),
            "error[TCC0203]: tensor \"\\u{1b}[31m\\r\\u{85}ü\": first\\nsecond"
        );
    }
}
