//! Models that must be refused: every fixture under `fixtures/bad` with its whole message as a
//! snapshot, and the zoo's models of later scope. A message names the place and the reason.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a broken precondition should stop the test"
)]

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::format::{self, ReadOptions};
use tinycc_core::lower::Core;
use tinycc_core::{Shape, Tensor, TensorData};
use tinycc_tests::build::{self, file};
use tinycc_tests::cases::root;
use tinycc_tests::onnx_make::INT64;
use tinycc_tests::{onnx_make, zoo};

#[derive(Deserialize)]
struct Bad {
    name: String,
    mentions: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    cases: Vec<Bad>,
}

fn bad_models() -> Vec<Bad> {
    let text = file(&root().join("fixtures/bad/index.json"));
    let index: Index = serde_json::from_slice(&text).expect("index.json parses");
    index.cases
}

/// The diagnostics of a model, `None` when it is accepted.
fn refusal(bytes: &[u8], name: &str) -> Option<Diagnostics> {
    build::emit(bytes, name, "model", Core::Generic).err()
}

#[test]
fn bad_models_are_refused_with_these_messages() {
    let (mut all, mut failures) = (String::new(), String::new());
    for bad in bad_models() {
        let name = format!("{}.tflite", bad.name);
        let bytes = file(&root().join("fixtures/bad").join(&name));
        let Some(diagnostics) = refusal(&bytes, &name) else {
            writeln!(failures, "{name}: accepted").expect("string");
            continue;
        };
        let text = diagnostics.to_string();
        writeln!(all, "{text}\n").expect("string");
        for word in bad.mentions.iter().filter(|w| !text.contains(w.as_str())) {
            writeln!(failures, "{name}: \"{word}\" is not mentioned in: {text}").expect("string");
        }
        for d in &diagnostics.0 {
            if d.origin.file != name || d.message.is_empty() {
                writeln!(failures, "{name}: no file or no message: {d}").expect("string");
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("messages", all);
    });
}

/// Zoo models outside today's scope and what their message must say.
const LATER: &[(&str, &[&str])] = &[
    ("uint8", &["uint8", "int8"]),
    ("int16x8", &["int16"]),
    ("dynamic-range", &["dynamic-range", "int8"]),
];

const LATER_OPERATORS: &[&str] = &["SVDF", "VAR_HANDLE", "READ_VARIABLE", "CALL_ONCE"];

#[test]
fn zoo_models_of_later_scope_are_refused_by_name() {
    let Some(zoo) = zoo::require() else { return };
    let (mut seen, mut failures) = (0, String::new());
    for record in zoo::tflite_records(&zoo) {
        let mut words: Vec<&str> = Vec::new();
        let quant = record.quant.as_deref().unwrap_or_default();
        let operators: Vec<&str> =
            LATER_OPERATORS.iter().copied().filter(|o| record.ops.contains_key(*o)).collect();
        if record.kind == "expect-reject" {
            words.push("help:");
        } else if record.kind != "network" {
            // Single operators that only move data may work in any type.
            continue;
        } else if let Some((_, wanted)) = LATER.iter().find(|(q, _)| *q == quant)
            && operators.is_empty()
        {
            words.extend(*wanted);
        } else if operators.is_empty() {
            continue;
        }
        words.extend(operators);
        seen += 1;
        match refusal(&file(&zoo.join(&record.path)), &record.path) {
            None => writeln!(failures, "{}: accepted", record.path).expect("string"),
            Some(diagnostics) => {
                let text = diagnostics.to_string();
                if record.kind == "network" {
                    println!("{text}\n");
                }
                // Operators are looked at before types: a custom one hides the rest.
                let custom = text.contains("CUSTOM");
                for word in words.iter().filter(|w| !custom && !text.contains(**w)) {
                    writeln!(failures, "{}: no \"{word}\" in: {text}", record.path)
                        .expect("string");
                }
            }
        }
    }
    assert!(seen >= 8, "only {seen} models of later scope found");
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn the_advice_to_give_an_input_shape_helps() {
    let bytes = file(&root().join("fixtures/bad/dynamic_height_width.tflite"));
    let input_shapes = BTreeMap::from([("in".to_string(), vec![1, 6, 7, 3])]);
    let options =
        format::ReadOptions { file: "open.tflite".into(), input_shapes, ..Default::default() };
    let graph = format::read(&bytes, &options).expect("reads with the input shape given");
    let output = graph.value(graph.outputs()[0]).expect("output");
    assert_eq!(output.ty.shape.0, [1, 6, 7, 3], "the output follows the input");
}

/// Broken and unsupported ONNX files, made here.
fn bad_onnx() -> Vec<(&'static str, Vec<u8>)> {
    use tinycc_tests::onnx_make::{
        FLOAT, bytes, cnn, integers, model, node, port, single, suppression, with_int, with_ints,
    };
    let relu = || node("Relu", &["x"], &["y"]);
    let shape = [1, 4];
    let whole = bytes(&cnn(17));
    let mut external = cnn(17);
    let tensor = &mut external.graph.as_mut().unwrap().initializer[0];
    tensor.raw_data.clear();
    tensor.data_location = onnx_protobuf::tensor_proto::DataLocation::EXTERNAL.into();
    tensor.external_data.push(onnx_protobuf::StringStringEntryProto {
        key: "location".into(),
        value: "weights.bin".into(),
        ..Default::default()
    });
    let mut short = cnn(17);
    short.graph.as_mut().unwrap().initializer[0].raw_data.truncate(40);
    let mut open = single(17, relu(), &shape, &shape);
    open.graph.as_mut().unwrap().input[0] = port("x", FLOAT, &[1, 3, -1, -1]);
    let mut double = single(17, relu(), &shape, &shape);
    double.graph.as_mut().unwrap().input[0] = port("x", 8, &shape);
    let mut twice = single(17, relu(), &shape, &shape);
    twice.graph.as_mut().unwrap().node.push(node("Neg", &["x"], &["y"]));
    let mut unknown = single(17, node("StringNormalizer", &["x"], &["y"]), &shape, &shape);
    unknown.graph.as_mut().unwrap().node.push(node("StringConcat", &["x"], &["z"]));
    let mut cycle = single(17, node("Add", &["x", "b"], &["a"]), &shape, &shape);
    cycle.graph.as_mut().unwrap().node.push(node("Relu", &["a"], &["b"]));
    let mut custom = relu();
    custom.domain = "com.microsoft".into();
    custom.op_type = "CDist".into();
    let mut no_opset = single(17, relu(), &shape, &shape);
    no_opset.opset_import.clear();
    let mut no_graph = model(17, Default::default());
    no_graph.graph = None.into();
    let mut no_reshape = single(17, node("Reshape", &["x", "s"], &["y"]), &shape, &shape);
    no_reshape.graph.as_mut().unwrap().initializer.push(integers("s", &[3]));
    let mut most = suppression([1, 2, 9], 3, false);
    most.graph.as_mut().unwrap().initializer.remove(0);
    most.graph.as_mut().unwrap().input.push(port("most", INT64, &[1]));
    let flatten = with_int(node("Flatten", &["x"], &["y"]), "axis", 7);
    let transpose = with_ints(node("Transpose", &["x"], &["y"]), "perm", &[0, 0]);
    vec![
        ("empty.onnx", Vec::new()),
        ("four_bytes.onnx", whole[..4].to_vec()),
        ("truncated_half.onnx", whole[..whole.len() / 2].to_vec()),
        ("no_graph.onnx", bytes(&no_graph)),
        ("no_opset.onnx", bytes(&no_opset)),
        ("opset_0.onnx", bytes(&single(0, relu(), &shape, &shape))),
        ("opset_5_relu.onnx", bytes(&single(5, relu(), &shape, &shape))),
        ("opset_28.onnx", bytes(&single(28, relu(), &shape, &shape))),
        ("unknown_operators.onnx", bytes(&unknown)),
        ("several_problems.onnx", bytes(&several())),
        ("other_domain.onnx", bytes(&single(17, custom, &shape, &shape))),
        ("open_shape.onnx", bytes(&open)),
        ("double_input.onnx", bytes(&double)),
        ("external_data.onnx", bytes(&external)),
        ("short_data.onnx", bytes(&short)),
        ("missing_tensor.onnx", bytes(&single(17, node("Relu", &["q"], &["y"]), &shape, &shape))),
        ("missing_output.onnx", bytes(&single(17, node("Relu", &["x"], &["q"]), &shape, &shape))),
        ("twice_defined.onnx", bytes(&twice)),
        ("cycle.onnx", bytes(&cycle)),
        ("flatten_axis.onnx", bytes(&single(17, flatten, &shape, &shape))),
        ("transpose_perm.onnx", bytes(&single(17, transpose, &shape, &shape))),
        ("reshape_count.onnx", bytes(&no_reshape)),
        ("suppression_rows.onnx", bytes(&suppression([1, 2, 9], 3, false))),
        ("suppression_most.onnx", bytes(&most)),
        ("run_time_trip_count.onnx", bytes(&loops(INT64, &[4]))),
        ("too_many_iterations.onnx", bytes(&loops(INT64, &[]))),
        ("recursive_function.onnx", bytes(&recursive())),
        (
            "too_many_messages.onnx",
            [&[8, 8, 0x3A, 0x80, 0x80, 0x80, 1], [0x0A, 0].repeat(1 << 20).as_slice()].concat(),
        ),
    ]
}

/// Problems of all kinds, and nodes that only lack what those do not give.
fn several() -> onnx_protobuf::ModelProto {
    use tinycc_tests::onnx_make::{FLOAT, node, port, single, with_graph, with_int, with_ints};
    let named = |mut node: onnx_protobuf::NodeProto, name: &str| {
        node.name = name.into();
        node
    };
    let mut m = single(17, node("StringNormalizer", &["x"], &["a"]), &[1, 4], &[1, 4]);
    let graph = m.graph.as_mut().unwrap();
    let body = onnx_protobuf::GraphProto {
        node: vec![node("Identity", &["c"], &["go"]), node("StringSplit", &["v"], &["w"])],
        input: vec![port("i", INT64, &[]), port("c", 9, &[]), port("v", FLOAT, &[4])],
        output: vec![port("go", 9, &[]), port("w", FLOAT, &[4])],
        ..Default::default()
    };
    graph.input.push(port("text", 8, &[1, 4]));
    graph.node.extend([
        node("Relu", &["a"], &["b"]),
        named(node("StringConcat", &["b", "text"], &["c"]), "/joined"),
        named(with_int(node("Flatten", &["x"], &["d"]), "axis", 7), "/head/Flatten"),
        with_graph(node("Loop", &["b", "", "x"], &["e"]), "body", body),
        node("Neg", &["nowhere"], &["f"]),
        with_ints(node("Transpose", &["x"], &["g"]), "perm", &[0, 0]),
        node("Add", &["g", "f"], &["h"]),
        node("Abs", &["text"], &["k"]),
    ]);
    graph.output.extend(["b", "h", "k", "computed by nobody"].map(|n| port(n, FLOAT, &[1, 4])));
    m
}

/// A loop without end, or of a count that is an input.
fn loops(dtype: i32, count: &[i64]) -> onnx_protobuf::ModelProto {
    use tinycc_tests::onnx_make::{FLOAT, integers, model, node, port, with_graph};
    let body = onnx_protobuf::GraphProto {
        node: vec![node("Identity", &["c"], &["go"]), node("Neg", &["v"], &["w"])],
        input: vec![port("i", INT64, &[]), port("c", 9, &[]), port("v", FLOAT, &[2])],
        output: vec![port("go", 9, &[]), port("w", FLOAT, &[2])],
        ..Default::default()
    };
    let mut graph = onnx_protobuf::GraphProto {
        node: vec![with_graph(node("Loop", &["n", "", "x"], &["y"]), "body", body)],
        input: vec![port("x", FLOAT, &[2])],
        output: vec![port("y", FLOAT, &[2])],
        ..Default::default()
    };
    match count {
        [] => graph.initializer.push(integers("n", &[1 << 40])),
        _run_time => graph.input.push(port("n", dtype, &[1])),
    }
    model(17, graph)
}

/// A function that calls itself.
fn recursive() -> onnx_protobuf::ModelProto {
    use tinycc_tests::onnx_make::{node, single};
    let mut call = node("Again", &["x"], &["y"]);
    call.domain = "mine".into();
    let mut m = single(17, call.clone(), &[2], &[2]);
    m.functions.push(onnx_protobuf::FunctionProto {
        name: "Again".into(),
        domain: "mine".into(),
        input: vec!["x".into()],
        output: vec!["y".into()],
        node: vec![call],
        ..Default::default()
    });
    m
}

#[test]
fn bad_onnx_files_are_refused_with_these_messages() {
    let mut all = String::new();
    for (name, bytes) in bad_onnx() {
        let diagnostics = refusal(&bytes, name).unwrap_or_else(|| panic!("{name}: accepted"));
        for d in &diagnostics.0 {
            assert!(d.origin.file == name && !d.message.is_empty(), "{d}");
        }
        writeln!(all, "{diagnostics}\n").expect("string");
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("messages_onnx", all);
    });
}

#[test]
fn the_advice_to_give_an_onnx_input_shape_helps() {
    let models = bad_onnx();
    let (_, bytes) = models.iter().find(|(name, _)| *name == "open_shape.onnx").expect("is there");
    let input_shapes = BTreeMap::from([("x".to_string(), vec![1, 3, 8, 8])]);
    let options =
        ReadOptions { file: "open_shape.onnx".into(), input_shapes, ..Default::default() };
    let graph = format::read(bytes, &options).expect("reads with the input shape given");
    let output = graph.value(graph.outputs()[0]).expect("output");
    assert_eq!(output.ty.shape.0, [1, 3, 8, 8], "the output follows the input");
}

#[test]
fn the_advice_to_give_an_onnx_input_value_helps() {
    let mut model = onnx_make::single(
        18,
        onnx_make::node("ReduceSum", &["x", "axes"], &["y"]),
        &[2, 3],
        &[1, 3],
    );
    let graph = model.graph.as_mut().expect("a graph");
    graph.input.push(onnx_make::port("axes", onnx_make::INT64, &[1]));
    let bytes = onnx_make::bytes(&model);
    let advice = refusal(&bytes, "axes.onnx").expect("refused").0.remove(0);
    assert_eq!(advice.message, "operand 1 is an input of the model; here it must be constant");
    assert_eq!(advice.help, "if it never changes, give its value: --input-value axes=...");
    let axes = Tensor::new(Shape(vec![1]), TensorData::I64(vec![0])).expect("one number");
    let input_values = BTreeMap::from([("axes".to_string(), axes)]);
    let options = ReadOptions { file: "axes.onnx".into(), input_values, ..Default::default() };
    let graph = format::read(&bytes, &options).expect("reads with the value given");
    assert_eq!(graph.inputs().len(), 1, "axes is an input no more");
}

#[test]
fn the_advice_to_give_the_rows_of_a_suppression_helps() {
    let bytes = onnx_make::bytes(&onnx_make::suppression([2, 2, 9], 3, false));
    let advice = refusal(&bytes, "boxes.onnx").expect("refused").0.remove(0);
    assert!(advice.help.contains("--nms-rows 12 holds all"), "{advice}");
    let options =
        ReadOptions { file: "boxes.onnx".into(), nms_rows: Some(12), ..Default::default() };
    let graph = format::read(&bytes, &options).expect("reads with the rows given");
    let output = graph.value(graph.outputs()[0]).expect("output");
    assert_eq!(output.ty.shape.0, [12, 3]);
}
