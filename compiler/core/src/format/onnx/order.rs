//! Order of the nodes of a file. ONNX asks for producers before their users, but some exporters
//! write them in any order.

use onnx_protobuf::{GraphProto, NodeProto};
use std::collections::{BTreeMap, BTreeSet};

/// Names that the graphs inside of a node read from outside, added to `names`.
pub(super) fn captured<'a>(node: &'a NodeProto, names: &mut BTreeSet<&'a str>) {
    for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
        let mut inside = BTreeSet::new();
        for inner in &graph.node {
            inside.extend(inner.input.iter().map(String::as_str));
            captured(inner, &mut inside);
        }
        inside.extend(graph.output.iter().map(|o| o.name.as_str()));
        let own = defined(graph);
        names.extend(inside.difference(&own));
    }
}

/// Names that a graph defines.
fn defined(graph: &GraphProto) -> BTreeSet<&str> {
    let inputs = graph.input.iter().map(|i| i.name.as_str());
    let constants = graph.initializer.iter().map(|t| t.name.as_str());
    let results = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
    inputs.chain(constants).chain(results).collect()
}

/// Indices of the nodes, each after those whose outputs it reads, otherwise in the file's order.
/// Nodes of a cycle come last, where their inputs turn out to be undefined.
#[must_use]
pub fn sorted(nodes: &[NodeProto]) -> Vec<usize> {
    let mut producer = BTreeMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|n| !n.is_empty()) {
            producer.entry(name.as_str()).or_insert(i);
        }
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut missing = vec![0usize; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let mut outer = BTreeSet::new();
        captured(node, &mut outer);
        let names = node.input.iter().map(String::as_str).chain(outer);
        for &p in names.filter_map(|n| producer.get(n)) {
            users[p].push(i);
            missing[i] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&i| missing[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(i) = ready.pop_first() {
        order.push(i);
        for &user in &users[i] {
            missing[user] -= 1;
            if missing[user] == 0 {
                ready.insert(user);
            }
        }
    }
    order.extend((0..nodes.len()).filter(|&i| missing[i] > 0));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use onnx_protobuf::AttributeProto;

    fn node(inputs: &[&str], outputs: &[&str]) -> NodeProto {
        let text = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect();
        NodeProto { input: text(inputs), output: text(outputs), ..Default::default() }
    }

    #[test]
    fn producers_come_first_and_cycles_last() {
        let nodes = [
            node(&["b", "b"], &["c"]),
            node(&["x"], &["a"]),
            node(&["a", ""], &["b", ""]),
            node(&["self"], &["self"]),
        ];
        assert_eq!(sorted(&nodes), [1, 2, 0, 3]);
    }

    #[test]
    fn names_that_inner_graphs_read_come_first_too() {
        let mut branch = node(&["c"], &["y"]);
        let inner = GraphProto {
            node: vec![node(&["late", "own"], &["z"]), node(&[], &["own"])],
            ..Default::default()
        };
        branch.attribute.push(AttributeProto { g: Some(inner).into(), ..Default::default() });
        let nodes = [branch, node(&["x"], &["late"]), node(&["y"], &["own"])];
        assert_eq!(sorted(&nodes), [1, 0, 2]);
    }
}
