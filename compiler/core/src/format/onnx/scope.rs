//! Names: what a graph of the file calls its values, and what it sees of the graphs around it. What
//! the nodes mean is not known here.

use super::attribute::{Attributes, Given};
use super::message::operator_name;
use crate::diagnostic::{Origin, quoted, shortened};
use crate::graph::ValueId;
use onnx_protobuf::NodeProto;
use std::collections::BTreeMap;

/// What the repeated graph of Loop and Scan is called.
pub const LOOP_BODY: &str = "body";

/// Steps of the way to an inner node that messages show, and characters of a name on it.
const SHOWN_STEPS: usize = 4;
const SHOWN_NAME: usize = 60;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A value of the graph that is being built.
    Value(ValueId),
    /// An optional input of a function that its caller left out.
    Absent,
    /// A result that could not be read, which was reported. Its readers are passed over.
    Refused,
}

/// The names of one graph, of a body of a node, or of a function.
#[derive(Debug)]
pub struct Scope<'s> {
    names: BTreeMap<&'s str, Entry>,
    /// The graph around this one, whose names can be read here. A function has none.
    outer: Option<&'s Scope<'s>>,
    /// Attributes of the call, in the body of a function.
    given: Option<&'s Given<'s>>,
    /// The place of the graph: the file, or the node whose part it is.
    origin: Origin,
    /// What the graph is to that node: `body`, `then_branch`; empty in a function.
    part: &'static str,
    /// Version of the default domain.
    pub opset: i64,
    /// Graphs and calls around this one.
    pub depth: usize,
    /// Whether it is part of a loop's body, so that its nodes count as unrolled ones.
    pub is_unrolled: bool,
}

impl<'s> Scope<'s> {
    /// The main graph.
    #[must_use]
    pub fn top(file: Origin, opset: i64) -> Self {
        Self {
            names: BTreeMap::new(),
            outer: None,
            given: None,
            origin: file,
            part: "",
            opset,
            depth: 0,
            is_unrolled: false,
        }
    }

    /// A graph that is an attribute of a node at `origin`, in `outer`.
    #[must_use]
    pub fn inside(outer: &'s Scope<'s>, origin: Origin, part: &'static str) -> Self {
        Self {
            names: BTreeMap::new(),
            outer: Some(outer),
            given: outer.given,
            origin,
            part,
            opset: outer.opset,
            depth: outer.depth + 1,
            is_unrolled: outer.is_unrolled || part == LOOP_BODY,
        }
    }

    /// The body of a function, called at `origin` in `caller`.
    #[must_use]
    pub fn called(caller: &Scope<'_>, given: &'s Given<'s>, origin: Origin, opset: i64) -> Self {
        Self {
            names: BTreeMap::new(),
            outer: None,
            given: Some(given),
            origin,
            part: "",
            opset,
            depth: caller.depth + 1,
            is_unrolled: caller.is_unrolled,
        }
    }

    /// What a name stands for, here or in the graphs around.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Entry> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(&entry) = here.names.get(name) {
                return Some(entry);
            }
            scope = here.outer;
        }
        None
    }

    /// Whether this graph itself defines the name.
    #[must_use]
    pub fn defines(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Defines a name; false when this graph had it already, which then has the new meaning.
    pub fn set(&mut self, name: &'s str, entry: Entry) -> bool {
        self.names.insert(name, entry).is_none()
    }

    /// The attributes of one of its nodes.
    #[must_use]
    pub fn attributes(&self, node: &'s NodeProto) -> Attributes<'s> {
        Attributes::of(node).given(self.given)
    }

    /// The place of a node. Nodes of inner graphs keep the number of the main graph's node, so that
    /// their costs and problems are counted there.
    #[must_use]
    pub fn place(&self, index: usize, node: &NodeProto) -> Origin {
        let operator = operator_name(node);
        if self.depth == 0 {
            let name = std::iter::once(&node.name).chain(&node.output).find(|n| !n.is_empty());
            let name = name.cloned().unwrap_or_default();
            return Origin { index: Some(index), operator, name, ..self.origin.clone() };
        }
        let name = match node.name.as_str() {
            "" => String::new(),
            name => format!(" {}", quoted(name, SHOWN_NAME)),
        };
        let step = format!("{} node {index} {}{name}", self.part, shortened(&operator, SHOWN_NAME));
        // The way to a function that calls itself is long and says nothing.
        let is_deep = self.depth > SHOWN_STEPS;
        let outer = if is_deep { "..." } else { self.origin.inner.as_str() };
        let separator = if outer.is_empty() { "" } else { ", " };
        let inner = format!("{outer}{separator}{}", step.trim_start());
        Origin { inner, ..self.origin.clone() }
    }

    /// The place of a tensor that this graph declares.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Origin {
        Origin { tensor: name.to_string(), ..self.origin.clone() }
    }

    /// The place of the graph itself.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}
