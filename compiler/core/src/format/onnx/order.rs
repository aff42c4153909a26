//! Order of the nodes of a file. ONNX asks for producers before their users, but some exporters
//! write them in any order.

use onnx_protobuf::NodeProto;
use std::collections::{BTreeMap, BTreeSet};

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
        for &p in node.input.iter().filter_map(|n| producer.get(n.as_str())) {
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
}
