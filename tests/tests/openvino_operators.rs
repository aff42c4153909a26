//! Operators in forms that the networks of the zoo do not have, through targets `ncs` and `openvino`: the CPU
//! plugin computes what our evaluator computes, and the stick's graph compiler takes the files.

#![allow(clippy::expect_used, reason = "a broken precondition should stop the test")]

use onnx_protobuf::{GraphProto, ModelProto, NodeProto, TensorProto};
use tinycc_core::{Shape, Tensor, TensorData, evaluate, format};
use tinycc_driver::{InputType, IrVersion, Numbers, Options, PrecisionName};
use tinycc_tests::onnx_make::{
    FLOAT, INT64, bytes, floats, integers, model, node, port, with_int, with_ints, with_text,
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

/// A matrix product.
fn product(a: &[i64], b: &[i64], y: &[i64]) -> ModelProto {
    network(vec![node("MatMul", &["a", "b"], &["y"])], &[("a", a), ("b", b)], &[("y", y)], vec![])
}

/// Two pictures side by side in two ways, and those one above the other.
fn tiles() -> ModelProto {
    let concat = |inputs: &[&str], output: &str, axis| {
        with_int(node("Concat", inputs, &[output]), "axis", axis)
    };
    network(
        vec![
            concat(&["x", "x"], "twice", 2),
            node("Relu", &["x"], &["r"]),
            concat(&["r", "x"], "other", -1),
            concat(&["twice", "other"], "y", 1),
        ],
        &[("x", &[1, 5, 6])],
        &[("y", &[1, 10, 12])],
        vec![],
    )
}

/// The length of a vector that repeats one number.
fn length() -> ModelProto {
    let expand = node("Expand", &["x", "shape"], &["wide"]);
    network(
        vec![expand, with_ints(node("ReduceL2", &["wide"], &["y"]), "axes", &[1])],
        &[("x", &[1, 1])],
        &[("y", &[1, 1])],
        vec![integers("shape", &[1, 3])],
    )
}

/// Limits that cross: the second one always holds.
fn crossed(first: &str, then: &str, [a, b]: [f32; 2]) -> ModelProto {
    let number = |name: &str, value: f32| TensorProto {
        raw_data: value.to_le_bytes().to_vec(),
        ..floats(name, &[])
    };
    network(
        vec![node(first, &["x", "a"], &["m"]), node(then, &["b", "m"], &["y"])],
        &[("x", &[2, 3])],
        &[("y", &[2, 3])],
        vec![number("a", a), number("b", b)],
    )
}

/// Integers, or truth values, and back.
fn between_casts(
    to: i64,
    nodes: Vec<NodeProto>,
    y: &[i64],
    constants: &[(&str, i64)],
) -> ModelProto {
    let cast = |from: &str, name: &str, to| with_int(node("Cast", &[from], &[name]), "to", to);
    let mut all = vec![cast("x", "q", to)];
    all.extend(nodes);
    all.push(cast("r", "y", FLOAT.into()));
    let mut constants: Vec<_> = constants.iter().map(|(n, v)| integers(n, &[*v])).collect();
    constants.push(integers("shape", &[1, 4, 5, 6]));
    constants.push(integers("pads", &[0, 0, 1, 2, 0, 0, 0, 1]));
    network(all, &[("x", &[1, 1, 5, 6])], &[("y", y)], constants)
}

/// The outer limit has a dimension more than what it limits.
fn wider() -> ModelProto {
    let number = |name: &str, dims: &[i64], value: f32| TensorProto {
        raw_data: value.to_le_bytes().to_vec(),
        ..floats(name, dims)
    };
    network(
        vec![node("Max", &["x", "a"], &["m"]), node("Min", &["m", "b"], &["y"])],
        &[("x", &[2, 3])],
        &[("y", &[1, 2, 3])],
        vec![number("a", &[], 0.5), number("b", &[1, 1, 1], -0.5)],
    )
}

/// What both targets and the stick's compiler take.
fn models() -> Vec<(&'static str, ModelProto)> {
    let strided = with_ints(node("Conv", &["x", "w"], &["y"]), "pads", &[1, 0, 0, 1]);
    let wide = &[1, 4, 5, 6];
    let pad = node("Pad", &["q", "pads", "value"], &["r"]);
    let limits = vec![node("Max", &["q", "a"], &["m"]), node("Min", &["m", "b"], &["r"])];
    vec![
        ("LSTM, sequence", lstm("forward", &["y", "", ""])),
        ("LSTM, last state", lstm("reverse", &["", "h", ""])),
        ("LSTM, both directions", lstm("bidirectional", &["y", "", ""])),
        ("LSTM, all results", lstm("bidirectional", &["y", "h", "c"])),
        ("one element, backwards", slice(&[1, 5, 4, 4], [3, 2, 1, -1])),
        ("the first element, backwards", slice(&[1, 5, 4, 4], [0, -100, 1, -1])),
        ("the last element, in long steps", slice(&[1, 7], [6, 0, 1, -9])),
        ("MatMul of 5 dimensions", product(&[1, 3, 2, 4, 5], &[1, 3, 2, 5, 6], &[1, 3, 2, 4, 6])),
        ("MatMul that repeats", product(&[1, 3, 2, 4, 5], &[2, 5, 6], &[1, 3, 2, 4, 6])),
        ("Concat of Concat", tiles()),
        ("ReduceL2 of Expand", length()),
        ("Minimum below Maximum", crossed("Max", "Min", [0.5, -0.5])),
        ("Maximum above Minimum", crossed("Min", "Max", [-0.5, 0.5])),
        ("Minimum of more dimensions", wider()),
        (
            "Expand of integers",
            between_casts(INT64.into(), vec![node("Expand", &["q", "shape"], &["r"])], wide, &[]),
        ),
        (
            "Expand of truth values",
            between_casts(9, vec![node("Expand", &["q", "shape"], &["r"])], wide, &[]),
        ),
        ("Pad of integers", between_casts(INT64.into(), vec![pad], &[1, 1, 6, 9], &[("value", 7)])),
        (
            "limits of integers that cross",
            between_casts(INT64.into(), limits, &[1, 1, 5, 6], &[("a", 5), ("b", 3)]),
        ),
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
            jobs.push(compiled.job(std::slice::from_ref(&inputs)));
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

/// What the target refuses before the stick's compiler does, and what it says.
#[test]
fn what_the_stick_does_not_take_is_refused_by_name() {
    let parts = with_int(node("Split", &["x", "sizes"], &["a", "b"]), "axis", 1);
    let split = network(
        vec![parts],
        &[("x", &[1, 4])],
        &[("a", &[1, 4]), ("b", &[1, 0])],
        vec![integers("sizes", &[4, 0])],
    );
    let cases = [
        (split, "node 0 Split \"a\"", "takes no tensors without elements"),
        (
            product(&[2, 1, 3, 4, 5], &[1, 4, 1, 5, 6], &[2, 4, 3, 4, 6]),
            "node 0 MatMul \"y\"",
            "do not become fewer",
        ),
    ];
    for (model, place, reason) in cases {
        let options = Options { target: "ncs".into(), ..Options::default() };
        let error = openvino::compile(&bytes(&model), "m.onnx", options).expect_err(reason);
        let error = error.to_string();
        assert!(error.contains(place) && error.contains(reason), "{error}");
    }
}

/// Batches are noted where the stick's compiler takes them apart: not for the steps of a sequence.
#[test]
fn only_batches_are_noted() {
    let notes = |model: &ModelProto| {
        let options = Options { target: "ncs".into(), ..Options::default() };
        openvino::compile(&bytes(model), "m.onnx", options).expect("compiles").report.notes
    };
    let relu = |dims: &[i64]| {
        network(vec![node("Relu", &["x"], &["y"])], &[("x", dims)], &[("y", dims)], vec![])
    };
    let has_note = |notes: &[String]| notes.iter().any(|n| n.contains("a batch of 1 is safe"));
    assert!(has_note(&notes(&relu(&[2, 3, 4, 4]))) && !has_note(&notes(&relu(&[1, 3, 4, 4]))));
    assert!(!has_note(&notes(&lstm("forward", &["y", "", ""]))));
}

/// Constants of float16 next to values that are computed, in operators that only move elements.
#[test]
fn half_constants_may_be_moved() {
    const HALF: i32 = 10;
    let half = |name: &str, dims: &[i64]| TensorProto {
        data_type: HALF,
        raw_data: [0x00, 0x38].repeat(usize::try_from(dims.iter().product::<i64>()).expect("few")),
        ..floats(name, dims)
    };
    let moved = |node: NodeProto, y: &[i64], constants| {
        let graph = GraphProto {
            name: "graph".into(),
            node: vec![node],
            input: vec![port("x", HALF, &[1, 3, 4])],
            output: vec![port("y", HALF, y)],
            initializer: constants,
            ..Default::default()
        };
        bytes(&model(17, graph))
    };
    let concat = with_int(node("Concat", &["x", "c"], &["y"]), "axis", 1);
    let pad = node("Pad", &["x", "pads", "value"], &["y"]);
    let pads = integers("pads", &[0, 1, 0, 0, 0, 1]);
    for target in ["ncs", "openvino"] {
        for file in [
            moved(concat.clone(), &[1, 5, 4], vec![half("c", &[1, 2, 4])]),
            moved(pad.clone(), &[1, 4, 5], vec![pads.clone(), half("value", &[])]),
        ] {
            let options = Options { target: target.into(), ..Options::default() };
            openvino::compile(&file, "m.onnx", options).expect("compiles");
        }
    }
}

/// The types of inputs and outputs in NAME.json are those that the run-time gives.
#[test]
fn types_are_told_as_callers_see_them() {
    let Some(python) = openvino::python() else { return };
    const BOOL: i32 = 9;
    let graph = GraphProto {
        name: "graph".into(),
        node: vec![
            node("Less", &["x", "y"], &["less"]),
            node("Not", &["b"], &["not"]),
            node("Add", &["i", "i"], &["sum"]),
        ],
        input: vec![
            port("x", FLOAT, &[4]),
            port("y", FLOAT, &[4]),
            port("b", BOOL, &[4]),
            port("i", INT64, &[4]),
        ],
        output: vec![port("less", BOOL, &[4]), port("not", BOOL, &[4]), port("sum", INT64, &[4])],
        ..Default::default()
    };
    let file = bytes(&model(17, graph));
    let real = Tensor { shape: Shape(vec![4]), data: TensorData::F32(vec![0.5, 1.5, -1.0, 2.0]) };
    let truth = Tensor { shape: Shape(vec![4]), data: TensorData::I64(vec![1, 0, 1, 0]) };
    let set = vec![real.clone(), real, truth.clone(), truth];
    for version in [IrVersion::V10, IrVersion::V11] {
        let options =
            Options { target: "openvino".into(), ir_version: version, ..Options::default() };
        let compiled = openvino::compile(&file, "m.onnx", options).expect("compiles");
        let answers = openvino::run_on_cpu(&python, &[compiled.job(std::slice::from_ref(&set))])
            .expect("runs");
        let report = &compiled.report;
        let told: Vec<String> =
            report.inputs.iter().chain(&report.outputs).map(|p| p.dtype.clone()).collect();
        assert!(answers[0].ok, "{answers:?}");
        assert_eq!(answers[0].types, told, "version {version}");
    }
}

/// Channels are where the first convolution has them, also in a picture 3 wide.
#[test]
fn bytes_have_their_channels_where_the_network_does() {
    let conv = |x: &str| node("Conv", &[x, "w"], &["y"]);
    let first = network(
        vec![conv("x")],
        &[("x", &[1, 3, 4, 3])],
        &[("y", &[1, 2, 4, 3])],
        vec![floats("w", &[2, 3, 1, 1])],
    );
    let turned = with_ints(node("Transpose", &["x"], &["t"]), "perm", &[0, 3, 1, 2]);
    let last = network(
        vec![turned, conv("t")],
        &[("x", &[1, 3, 4, 3])],
        &[("y", &[1, 2, 3, 4])],
        vec![floats("w", &[2, 3, 1, 1])],
    );
    let options = |mean: &[f32]| Options {
        target: "ncs".into(),
        precision: PrecisionName::F32,
        input_type: InputType::U8,
        mean_values: Some(Numbers(mean.to_vec())),
        ..Options::default()
    };
    let mean = [10.0f32, 20.0, 30.0];
    let pixels: Vec<i32> = (0..36).map(|i| i * 37 % 256).collect();
    let shape = Shape(vec![1, 3, 4, 3]);
    let Some(python) = openvino::python() else { return };
    for (model, stride) in [(&first, 12), (&last, 1)] {
        let file = bytes(model);
        let compiled = openvino::compile(&file, "m.onnx", options(&mean)).expect("compiles");
        let real = pixels.iter().enumerate().map(|(i, &p)| p as f32 - mean[i / stride % 3]);
        let real = Tensor { shape: shape.clone(), data: TensorData::F32(real.collect()) };
        let graph = format::read(&file, &format::ReadOptions::default()).expect("reads");
        let want = evaluate::run(&graph, &[real]).expect("runs");
        let pixels = Tensor { shape: shape.clone(), data: TensorData::I32(pixels.clone()) };
        let job = compiled.job(&[vec![pixels]]);
        let answers = openvino::run_on_cpu(&python, std::slice::from_ref(&job)).expect("runs");
        assert!(answers[0].ok, "{answers:?}");
        let got = &openvino::results(&job)[0];
        assert!(openvino::relative_error(got, want[0].as_f32().expect("real")) < 1e-5);
        let error = openvino::compile(&file, "m.onnx", options(&[1.0, 2.0])).expect_err("two");
        let text = error.to_string();
        assert!(
            text.contains("--mean-values has 2 numbers") && text.contains("or 3: one"),
            "{text}"
        );
    }
}
