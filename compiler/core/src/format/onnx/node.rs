//! One node of the file: its operands found, its reader chosen, its results named.

use super::attribute::Given;
use super::build::Builder;
use super::flow;
use super::inner::check_depth;
use super::message::operator_name;
use super::ops::{self, Context, Rows};
use super::read::{MAX_NODES, Reader};
use super::scope::{Entry, LOOP_BODY, Scope};
use crate::diagnostic::{Code, Origin};
use crate::graph::ValueId;
use crate::op::OpError;
use onnx_protobuf::NodeProto;
use std::collections::BTreeSet;

/// Why a node has no results.
#[derive(Debug)]
pub enum Refusal {
    /// What is wrong with it.
    Error(OpError),
    /// Problems inside of it, which were reported.
    Reported,
}

impl From<OpError> for Refusal {
    fn from(error: OpError) -> Self {
        Refusal::Error(error)
    }
}

/// The values of a node's outputs, in order.
pub(super) type Results = Result<Vec<ValueId>, Refusal>;

/// A node of the file with what is known about it.
#[derive(Debug)]
pub(super) struct Site<'s> {
    pub scope: &'s Scope<'s>,
    pub node: &'s NodeProto,
    pub origin: Origin,
    pub operands: Vec<Option<ValueId>>,
}

impl Reader<'_> {
    /// Reads one node and names its results.
    pub fn read_node<'s>(&mut self, scope: &mut Scope<'s>, index: usize, node: &'s NodeProto) {
        let origin = scope.place(index, node);
        let (mut operands, mut is_open) = (Vec::with_capacity(node.input.len()), false);
        for name in &node.input {
            match (name.is_empty(), scope.get(name)) {
                (true, _) | (false, Some(Entry::Absent)) => operands.push(None),
                (false, Some(Entry::Value(value))) => operands.push(Some(value)),
                (false, Some(Entry::Refused)) => is_open = true,
                (false, None) => {
                    let message =
                        format!("tensor \"{name}\" is defined nowhere, or only after this node");
                    self.problem(Code::MalformedModel, origin.clone(), message);
                    is_open = true;
                }
            }
        }
        if is_open {
            // Nodes that are passed over count, too: calls of functions full of them must end.
            self.nodes_left = self.nodes_left.saturating_sub(1);
            self.look_through(scope, index, node);
            return refuse(scope, node);
        }
        let site = Site { scope, node, origin: origin.clone(), operands };
        match self.results(&site) {
            Err(refusal) => {
                self.refused.insert(origin.clone());
                // Data of other files is missed where it is looked for.
                if let Refusal::Error(error) = refusal
                    && error.code != Code::ExternalData
                {
                    self.problems.push(error.into_diagnostic(origin));
                    self.look_inside(scope, index, node);
                }
                refuse(scope, node);
            }
            Ok(results) => self.name_results(scope, node, &results, &origin),
        }
    }

    /// Of a node that is not read, reports at least a name nobody knows: its own, or one inside of it.
    fn look_through(&mut self, scope: &Scope<'_>, index: usize, node: &NodeProto) {
        if !self.functions.knows(node) && !is_known(&operator_name(node), scope.opset) {
            let problem = unknown(node, scope.opset).into_diagnostic(scope.place(index, node));
            self.problems.push(problem);
        }
        self.look_inside(scope, index, node);
    }

    /// The same for the graphs of a node and the function it calls, each once. The branches of If
    /// are left out: the one with the unknown name may never be taken.
    fn look_inside(&mut self, scope: &Scope<'_>, index: usize, node: &NodeProto) {
        let (origin, depth) = (scope.place(index, node), scope.depth + 1);
        if check_depth(depth).is_err() {
            return;
        }
        if let Some(function) = self.functions.find(node) {
            let given = Given::new();
            let (proto, opset) = (function.proto(), function.opset(self.opset));
            let inner = Scope::called(scope, &given, origin, opset);
            if self.looked_through.insert(std::ptr::from_ref(proto).addr()) {
                proto.node.iter().enumerate().for_each(|(i, n)| self.look_through(&inner, i, n));
            }
            return;
        }
        let graphs = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs));
        for graph in graphs.filter(|_| node.op_type != "If") {
            let inner = Scope::inside(scope, origin.clone(), LOOP_BODY);
            if self.looked_through.insert(std::ptr::from_ref(graph).addr()) {
                graph.node.iter().enumerate().for_each(|(i, n)| self.look_through(&inner, i, n));
            }
        }
    }

    fn results(&mut self, site: &Site<'_>) -> Results {
        self.nodes_left = self.nodes_left.checked_sub(1).ok_or_else(|| {
            OpError::unsupported(format!("with its functions the model has over {MAX_NODES} nodes"))
        })?;
        if site.scope.is_unrolled {
            self.unroll(1)?;
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = site.node.attribute.iter().find(|a| !names.insert(&a.name)) {
            let message = format!("attribute \"{}\" is given twice", twice.name);
            return Err(OpError::invalid(message).into());
        }
        if let Some(function) = self.functions.find(site.node) {
            return function.inline(self, site);
        }
        let operator = operator_name(site.node);
        if let Some(read) = flow::find(&operator, site.scope.opset) {
            return read(self, site);
        }
        if operator == "Constant" && site.scope.depth > 0 {
            return self.shared_constant(site);
        }
        Ok(self.apply(site, &operator, site.operands.clone(), site.node.output.len())?)
    }

    /// Nodes for one operator of the standard.
    ///
    /// # Errors
    /// There is no reader, or it refuses.
    pub fn apply(
        &mut self,
        site: &Site<'_>,
        operator: &str,
        operands: Vec<Option<ValueId>>,
        outputs: usize,
    ) -> Result<Vec<ValueId>, OpError> {
        let opset = site.scope.opset;
        let row =
            ops::find(operator).and_then(|row| Some((row.reader(opset)?, row.takes_quantized)));
        let (read, takes_quantized) = row.ok_or_else(|| unknown(site.node, opset))?;
        let rows = Rows { given: self.options.nms_rows, is_read: false };
        let mut builder = self.builder(site);
        let mut operands = operands;
        if !takes_quantized {
            // To it they are plain integers: their quantization is that of other readers.
            for operand in operands.iter_mut().flatten() {
                *operand = builder.plain(*operand)?;
            }
        }
        let attributes = site.scope.attributes(site.node);
        let mut context = Context { attributes, opset, operands, outputs, rows, build: builder };
        let results = read(&mut context);
        self.uses_nms_rows |= context.rows.is_read;
        results
    }

    /// What adds nodes that stand for one node of the file.
    pub fn builder(&mut self, site: &Site<'_>) -> Builder<'_> {
        Builder {
            graph: &mut self.graph,
            origin: site.origin.clone(),
            name: site.node.output.iter().find(|n| !n.is_empty()).cloned().unwrap_or_default(),
            budget: &mut self.budget,
            memo: &mut self.memo,
            wide: &mut self.wide,
        }
    }

    /// A Constant of a body or function: one for all times it is read, unless it depends on the
    /// function's attributes.
    fn shared_constant(&mut self, site: &Site<'_>) -> Results {
        let address = std::ptr::from_ref(site.node).addr();
        let depends = site.node.attribute.iter().any(|a| !a.ref_attr_name.is_empty());
        if let Some(&value) = self.shared.get(&address).filter(|_| !depends) {
            return Ok(vec![value]);
        }
        let results = self.apply(site, "Constant", Vec::new(), 1)?;
        if let ([value], false) = (results.as_slice(), depends) {
            self.shared.insert(address, *value);
        }
        if let Some(value) = results.first().filter(|_| depends) {
            let bytes = self.graph.value(*value).map_or(0, |v| v.ty.bytes());
            self.budget = self.budget.checked_sub(bytes).ok_or_else(|| {
                OpError::unsupported("the constants of the model's functions grow too large")
            })?;
        }
        Ok(results)
    }

    fn name_results<'s>(
        &mut self,
        scope: &mut Scope<'s>,
        node: &'s NodeProto,
        results: &[ValueId],
        origin: &Origin,
    ) {
        for (i, name) in node.output.iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            let Some(&value) = results.get(i) else {
                scope.set(name, Entry::Refused);
                let message = format!("its output {i} (\"{name}\") is not supported");
                self.problem(Code::UnsupportedOperator, origin.clone(), message);
                continue;
            };
            let is_new = !self.named.contains(&value);
            if let Some(v) = self.graph.value_mut(value).filter(|_| is_new) {
                v.name.clone_from(name);
            }
            self.define(scope, name, value, origin.clone());
        }
    }
}

fn refuse<'s>(scope: &mut Scope<'s>, node: &'s NodeProto) {
    for name in node.output.iter().filter(|n| !n.is_empty()) {
        scope.set(name, Entry::Refused);
    }
}

/// Whether there is a reader of that name in an opset.
pub(super) fn is_known(operator: &str, opset: i64) -> bool {
    ops::find(operator).is_some_and(|row| row.reader(opset).is_some())
        || flow::find(operator, opset).is_some()
}

fn unknown(node: &NodeProto, opset: i64) -> OpError {
    let name = operator_name(node);
    let message = match name.contains("::") {
        true => format!("operator {name} is not supported"),
        false => format!("operator {name} of opset {opset} is not supported"),
    };
    let error = OpError::unsupported(message);
    OpError { code: Code::UnknownOperator, ..error }
        .help("`tinycc ops` lists the supported operators")
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::models::{
        attribute, body, function, graph, input, model, node, output, read,
    };
    use onnx_protobuf::{ModelProto, NodeProto};

    /// A model of these nodes with the input `x` and the output `y`.
    fn nodes(nodes: Vec<NodeProto>) -> ModelProto {
        model(17, graph(nodes, vec![input("x", &[2])], vec![output("y")]))
    }

    #[test]
    fn unknown_names_are_found_behind_a_refused_node_and_inside_of_functions() {
        let call = |x: &str, y: &str| NodeProto { domain: "my".into(), ..node("F", &[x], &[y]) };
        let mut m = nodes(vec![
            node("Nobody", &["x"], &["a"]),
            call("a", "b"),
            call("b", "y"),
            node("NobodyElse", &["y"], &["c"]),
        ]);
        let inner = vec![node("Relu", &["x"], &["r"]), node("Inner", &["r"], &["y"])];
        m.functions = vec![function("my", "F", &["x"], &["y"], inner)];
        let message = read(&m).expect_err("unknown");
        let found: Vec<&str> =
            message.lines().filter_map(|l| l.strip_prefix("error[TCC0201]: ")).collect();
        assert_eq!(
            found,
            [
                "node 0 Nobody \"a\": operator Nobody of opset 17 is not supported",
                "node 1 my::F \"b\", node 1 Inner: operator Inner of opset 17 is not supported",
                "node 3 NobodyElse \"c\": operator NobodyElse of opset 17 is not supported",
            ]
        );
        assert_eq!(message.matches("error").count(), 3, "{message}");
    }

    /// A branch that may never be taken is no problem, and one that was read says it once.
    #[test]
    fn branches_of_if_are_not_looked_through() {
        let branch =
            |op: &str| graph(vec![node(op, &["x"], &["r"])], Vec::new(), vec![output("r")]);
        let choose = |condition: &str| {
            let choose = node("If", &[condition], &["y"]);
            let choose = attribute(choose, body("then_branch", branch("Nobody")));
            attribute(choose, body("else_branch", branch("Relu")))
        };
        let message = read(&nodes(vec![choose("nowhere")])).expect_err("undefined");
        assert!(message.contains("\"nowhere\"") && !message.contains("Nobody"), "{message}");
        let message = read(&nodes(vec![node("Abs", &["x"], &["c"]), choose("c")]));
        let message = message.expect_err("unknown");
        assert_eq!(message.matches("operator Nobody").count(), 1, "{message}");
    }

    #[test]
    fn attributes_are_given_once() {
        use crate::format::onnx::testing::models::int;
        let twice = attribute(attribute(node("Elu", &["x"], &["y"]), int("a", 1)), int("a", 1));
        let message = read(&nodes(vec![twice])).expect_err("twice");
        assert!(message.contains("attribute \"a\" is given twice"), "{message}");
    }

    /// What a refused node had become, and tries in another type, are not there to be asked about.
    #[test]
    fn refused_nodes_leave_nothing_in_the_graph() {
        use crate::format::onnx::read_partly;
        use crate::format::onnx::testing::models::{floats, int, ints};
        use onnx_protobuf::Message;
        let conv = attribute(node("Conv", &["x", "w"], &["c"]), ints("strides", &[9, 9]));
        let turned = attribute(node("Transpose", &["x"], &["t"]), ints("perm", &[0, 0, 1, 2]));
        let mut half = attribute(node("Cast", &["x"], &["h"]), int("to", 10));
        half.name = "half".into();
        let all = vec![conv, turned, half, node("Elu", &["h"], &["y"])];
        let mut g = graph(all, vec![input("x", &[1, 1, 4, 4])], vec![output("y")]);
        g.initializer = vec![floats("w", &[1, 1, 5, 5], &[0.0; 25])];
        let bytes = model(17, g).write_to_bytes().expect("serialises");
        let (graph, problems) = read_partly(&bytes, &Default::default()).expect("partly");
        assert_eq!(problems.0.len(), 2, "{problems}");
        let nodes = graph.nodes();
        let read: Vec<_> = nodes.iter().filter_map(|&id| graph.get(id)).collect();
        assert!(read.iter().all(|n| !n.results.is_empty()), "{read:?}");
        assert!(read.iter().all(|n| !matches!(n.origin.index, Some(0 | 1))), "{read:?}");
        assert!(read.iter().any(|n| n.origin.index == Some(3)), "{read:?}");
    }
}
