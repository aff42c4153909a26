//! Functions that the model file defines: found by name, their nodes read in place of the call.

use super::attribute::Given;
use super::inner::check_depth;
use super::message::{OPSETS, default_opset, is_default, unknown_opset};
use super::node::{Results, Site};
use super::order;
use super::read::Reader;
use super::scope::{Entry, Scope};
use crate::op::OpError;
use onnx_protobuf::{FunctionProto, ModelProto, NodeProto};
use std::collections::BTreeMap;

/// Domain, name and overload.
type Key<'a> = (&'a str, &'a str, &'a str);

/// The functions of a model.
#[derive(Debug)]
pub struct Functions<'a> {
    by_name: BTreeMap<Key<'a>, &'a FunctionProto>,
}

/// A function of the model.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a>(&'a FunctionProto);

/// The default domain has two names.
fn domain(name: &str) -> &str {
    if is_default(name) { "" } else { name }
}

impl<'a> Functions<'a> {
    /// Those of a model; of several with one name the last.
    #[must_use]
    pub fn of(model: &'a ModelProto) -> Self {
        let key =
            |f: &'a FunctionProto| ((domain(&f.domain), f.name.as_str(), f.overload.as_str()), f);
        Self { by_name: model.functions.iter().map(key).collect() }
    }

    /// Whether a node calls one of them.
    #[must_use]
    pub fn knows(&self, node: &NodeProto) -> bool {
        self.find(node).is_some()
    }

    /// The function a node calls. It comes before an operator of the same name.
    #[must_use]
    pub fn find(&self, node: &NodeProto) -> Option<Function<'a>> {
        let key: Key<'_> = (domain(&node.domain), &node.op_type, &node.overload);
        self.by_name.get(&key).map(|f| Function(f))
    }
}

impl<'a> Function<'a> {
    /// As it stands in the file.
    #[must_use]
    pub fn proto(self) -> &'a FunctionProto {
        self.0
    }

    /// The opset of its nodes, in a model of that opset.
    #[must_use]
    pub fn opset(self, model: i64) -> i64 {
        default_opset(&self.0.opset_import).unwrap_or(model)
    }

    /// Reads the nodes of the function as if they stood where it is called.
    ///
    /// # Errors
    /// Too many operands, an unknown opset, nodes that cannot be read, calls nested too deeply.
    pub fn inline(self, reader: &mut Reader<'_>, site: &Site<'_>) -> Results {
        let proto = self.0;
        check_depth(site.scope.depth + 1)?;
        let opset = self.opset(reader.opset);
        if !OPSETS.contains(&opset) {
            let name = &proto.name;
            let message = format!("function {name}: {}", unknown_opset(opset));
            return Err(OpError::unsupported(message).into());
        }
        if site.operands.len() > proto.input.len() {
            let (have, want) = (site.operands.len(), proto.input.len());
            let message = format!("the function has {want} inputs, {have} are given");
            return Err(OpError::invalid(message).into());
        }
        let mut given: Given<'_> = Given::new();
        given.extend(proto.attribute_proto.iter().map(|a| (a.name.as_str(), a)));
        given.extend(site.scope.attributes(site.node).all());
        let mut scope = Scope::called(site.scope, &given, site.origin.clone(), opset);
        for (i, name) in proto.input.iter().enumerate() {
            let operand = site.operands.get(i).copied().flatten();
            if !scope.set(name, operand.map_or(Entry::Absent, Entry::Value)) {
                let message = format!("the function has two inputs \"{name}\"");
                return Err(OpError::invalid(message).into());
            }
        }
        let before = reader.problems.0.len();
        for index in order::sorted(&proto.node) {
            if let Some(node) = proto.node.get(index) {
                reader.read_node(&mut scope, index, node);
            }
        }
        // A caller may name fewer outputs.
        let wanted = proto.output.iter().take(site.node.output.len()).map(String::as_str);
        reader.results_of(&scope, wanted, before)
    }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::models::{
        attribute, function, graph, input, int, model, node, output, read, reference, run,
    };

    /// `relu6ish(x, slope)`: the attribute's default is 0.5, the operand `extra` is optional.
    fn leaky() -> onnx_protobuf::FunctionProto {
        let inner = attribute(node("LeakyRelu", &["x"], &["l"]), reference("alpha", "slope"));
        let scaled = node("Scaled", &["l"], &["y"]);
        let mut f = function("my", "Leaky", &["x", "extra"], &["y"], vec![inner, scaled]);
        let mut default = reference("slope", "");
        default.type_ = onnx_protobuf::attribute_proto::AttributeType::FLOAT.into();
        default.f = 0.5;
        f.attribute_proto.push(default);
        f.node[1].domain = "my".into();
        f
    }

    fn scaled() -> onnx_protobuf::FunctionProto {
        let two = node("Constant", &[], &["two"]);
        let two = attribute(two, int("value_int", 2));
        let cast = attribute(node("Cast", &["two"], &["f"]), int("to", 1));
        let nodes = vec![two, cast, node("Mul", &["x", "f"], &["y"])];
        function("my", "Scaled", &["x"], &["y"], nodes)
    }

    fn call(op: &str) -> onnx_protobuf::NodeProto {
        let mut call = node(op, &["x"], &["y"]);
        call.domain = "my".into();
        call
    }

    #[test]
    fn calls_are_inlined_with_attributes_and_defaults() {
        let mut twice = call("Leaky");
        twice.output = vec!["z".into()];
        let mut slope = reference("slope", "");
        slope.type_ = onnx_protobuf::attribute_proto::AttributeType::FLOAT.into();
        slope.f = 0.25;
        let g = graph(
            vec![call("Leaky"), attribute(twice, slope)],
            vec![input("x", &[2])],
            vec![output("y"), output("z")],
        );
        let mut m = model(17, g);
        m.functions = vec![leaky(), scaled()];
        let results = run(&m, &[(&[2], &[-4.0, 3.0])]).expect("reads");
        assert_eq!(results[0].as_f32(), Some(&[-4.0, 6.0][..]));
        assert_eq!(results[1].as_f32(), Some(&[-2.0, 6.0][..]));
    }

    #[test]
    fn recursion_and_wrong_bodies_are_refused_with_the_path() {
        let g = || graph(vec![call("F")], vec![input("x", &[2])], vec![output("y")]);
        let mut m = model(17, g());
        m.functions = vec![function("my", "F", &["x"], &["y"], vec![call("F")])];
        let message = read(&m).expect_err("recursion");
        assert!(message.contains("a function calls itself"), "{message}");
        let body = vec![node("Nothing", &["x"], &["y"])];
        m.functions = vec![function("my", "F", &["x"], &["y"], body)];
        let message = read(&m).expect_err("unknown operator");
        let path = "node 0 my::F \"y\", node 0 Nothing: operator Nothing of opset 17";
        assert!(message.contains(path), "{message}");
        m.functions = vec![function("my", "F", &[], &["y"], Vec::new())];
        let message = read(&m).expect_err("operands");
        assert!(message.contains("the function has 0 inputs, 1 are given"), "{message}");
        m.functions = vec![function("my", "F", &["x"], &["q"], Vec::new())];
        let message = read(&m).expect_err("output");
        assert!(message.contains("its output \"q\" is computed by no node"), "{message}");
        m.functions[0].opset_import[0].version = 99;
        let message = read(&m).expect_err("opset");
        assert!(message.contains("function F: opset 99 is not supported"), "{message}");
    }

    #[test]
    fn calls_that_double_end_at_the_node_budget() {
        let mut functions = Vec::new();
        for level in 0..30 {
            let next = format!("F{}", level + 1);
            let name = format!("F{level}");
            let mut a = call(&next);
            a.output = vec!["a".into()];
            let mut b = call(&next);
            b.input = vec!["a".into()];
            functions.push(function("my", &name, &["x"], &["y"], vec![a, b]));
        }
        functions.push(function("my", "F30", &["x"], &["y"], vec![node("Neg", &["x"], &["y"])]));
        let g = graph(vec![call("F0")], vec![input("x", &[2])], vec![output("y")]);
        let mut m = model(17, g);
        m.functions = functions;
        let message = read(&m).expect_err("2^30 nodes");
        assert!(
            message.contains("with its functions the model has over 100000 nodes"),
            "{message}"
        );
    }
}
