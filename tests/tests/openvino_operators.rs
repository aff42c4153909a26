//! Operators in forms that the networks of the zoo do not have, through targets `ncs` and `openvino`: the CPU
//! plugin computes what our evaluator computes, and the stick's graph compiler takes the files.

#![allow(clippy::expect_used, reason = "a broken precondition should stop the test")]

use onnx_protobuf::{GraphProto, ModelProto, NodeProto, TensorProto};
use tinycc_core::{Shape, Tensor, TensorData, evaluate, format};
use tinycc_driver::{Options, PrecisionName};
use tinycc_tests::onnx_make::{
    FLOAT, bytes, floats, integers, model, node, port, with_int, with_ints, with_text,
};
use tinycc_tests::openvino;

/// An input or output: name, extents.
type Ends<'a> = &'a [(&'a str, &'a [i64])];

/// A network of real numbers.
fn network(
    nodes: Vec<NodeProto>,
    inputs: Ends<'_>,
    outputs: Ends<'_>,
    constants: Vec<TensorProto>,
) -> ModelProto {
    let ports = |ends: Ends<'_>| ends.iter().map(|(n, dims)| port(n, FLOAT, dims)).collect();
    let graph = GraphProto {
        name: "graph".into(),
        node: nodes,
        input: ports(inputs),
        output: ports(outputs),
        initializer: constants,
        ..Default::default()
    };
    model(17, graph)
}

/// An LSTM in one direction or both, with the results that have a name.
fn lstm(direction: &str, results: &[&str]) -> ModelProto {
    let directions = if direction == "bidirectional" { 2 } else { 1 };
    let (steps, batch, hidden) = (5, 1, 4);
    let lstm = with_int(node("LSTM", &["x", "w", "r", "b"], results), "hidden_size", hidden);
    let state = [directions, batch, hidden];
    let sequence = [steps, directions, batch, hidden];
    let outputs: Vec<(&str, &[i64])> = results
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
        .map(|(i, &name)| (name, if i == 0 { &sequence[..] } else { &state }))
        .collect();
    network(
        vec![with_text(lstm, "direction", direction)],
        &[("x", &[steps, batch, 3])],
        &outputs,
        vec![
            floats("w", &[directions, 4 * hidden, 3]),
            floats("r", &[directions, 4 * hidden, hidden]),
            floats("b", &[directions, 8 * hidden]),
        ],
    )
}

/// A slice of one dimension.
fn slice(x: &[i64], [begin, end, axis, step]: [i64; 4]) -> ModelProto {
    let mut y = x.to_vec();
    y[usize::try_from(axis).expect("an axis")] = 1;
    let constants = [("begin", begin), ("end", end), ("axis", axis), ("step", step)];
    network(
        vec![node("Slice", &["x", "begin", "end", "axis", "step"], &["y"])],
        &[("x", x)],
        &[("y", &y)],
        constants.map(|(name, value)| integers(name, &[value])).to_vec(),
    )
}

/// What both targets and the stick's compiler take.
fn models() -> Vec<(&'static str, ModelProto)> {
    let strided = with_ints(node("Conv", &["x", "w"], &["y"]), "pads", &[1, 0, 0, 1]);
    vec![
        ("LSTM, sequence", lstm("forward", &["y", "", ""])),
        ("LSTM, last state", lstm("reverse", &["", "h", ""])),
        ("LSTM, both directions", lstm("bidirectional", &["y", "", ""])),
        ("LSTM, all results", lstm("bidirectional", &["y", "h", "c"])),
        ("one element, backwards", slice(&[1, 5, 4, 4], [3, 2, 1, -1])),
        ("the first element, backwards", slice(&[1, 5, 4, 4], [0, -100, 1, -1])),
        ("the last element, in long steps", slice(&[1, 7], [6, 0, 1, -9])),
        (
            "points of a padded picture",
            network(
                vec![with_ints(strided, "strides", &[2, 3])],
                &[("x", &[1, 2, 6, 7])],
                &[("y", &[1, 3, 4, 3])],
                vec![floats("w", &[3, 2, 1, 1])],
            ),
        ),
    ]
}

/// Input sets and outputs of a model by our evaluator.
fn reference(file: &[u8]) -> (Vec<Tensor>, Vec<Vec<f32>>) {
    let graph = format::read(file, &format::ReadOptions::default()).expect("reads");
    let numbers = |shape: &Shape| {
        let number = |i: usize| (i * 37 % 101) as f32 * 0.03 - 1.5;
        let data = TensorData::F32((0..shape.elements()).map(number).collect());
        Tensor { shape: shape.clone(), data }
    };
    let inputs = graph.inputs().iter().filter_map(|node| graph.value(node.result(0)));
    let inputs: Vec<Tensor> = inputs.map(|value| numbers(&value.ty.shape)).collect();
    let outputs = evaluate::run(&graph, &inputs).expect("runs");
    let real = |t: &Tensor| t.as_f32().expect("real numbers").to_vec();
    let outputs = outputs.iter().map(real).collect();
    (inputs, outputs)
}

#[test]
fn both_targets_compute_them_and_the_stick_takes_them() {
    let Some(python) = openvino::python() else { return };
    let (mut what, mut jobs, mut wanted, mut written) = (vec![], vec![], vec![], vec![]);
    for (name, model) in models() {
        let file = bytes(&model);
        let (inputs, outputs) = reference(&file);
        for target in ["ncs", "openvino"] {
            let options = Options {
                target: target.into(),
                precision: PrecisionName::F32,
                name: Some("m".into()),
                ..Options::default()
            };
            let compiled = openvino::compile(&file, "m.onnx", options).expect(name);
            jobs.push(compiled.job(&[inputs.clone()]));
            what.push(format!("{name}, {target}"));
            wanted.push(outputs.clone());
            written.push(compiled);
        }
    }
    let answers = openvino::run_on_cpu(&python, &jobs).expect("runs");
    for (((job, answer), want), what) in jobs.iter().zip(&answers).zip(&wanted).zip(&what) {
        assert!(answer.ok, "{what}: {}", answer.error);
        for (got, want) in openvino::results(job).iter().zip(want) {
            let error = openvino::relative_error(got, want);
            assert!(error < 1e-4, "{what}: relative error {error:.2e}");
        }
    }
    let Some(folder) = openvino::graph_compiler() else { return };
    let files: Vec<_> = written.iter().step_by(2).map(|c| c.path(".xml")).collect();
    let answers = openvino::compile_for_stick(&folder, &files).expect("answers");
    for (answer, what) in answers.iter().zip(what.iter().step_by(2)) {
        assert!(answer.is_ok(), "{what}: {answer:?}");
    }
}
