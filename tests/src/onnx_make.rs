//! Small ONNX models made on the spot: seeds for damaged files, and files that must be refused.

use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, FunctionProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// Numbers of element types in the format.
pub const FLOAT: i32 = 1;
/// As above.
pub const INT32: i32 = 6;
/// As above.
pub const INT64: i32 = 7;

/// A model of one graph in the given opset.
#[must_use]
pub fn model(opset: i64, graph: GraphProto) -> ModelProto {
    let version = OperatorSetIdProto { version: opset, ..Default::default() };
    ModelProto {
        ir_version: 8,
        producer_name: "tinycc-tests".into(),
        opset_import: vec![version],
        graph: Some(graph).into(),
        ..Default::default()
    }
}

/// The file.
#[must_use]
pub fn bytes(model: &ModelProto) -> Vec<u8> {
    model.write_to_bytes().expect("a model that fits the format")
}

/// An input or output; a negative extent is open and named `N`.
#[must_use]
pub fn port(name: &str, dtype: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |&d: &i64| Dimension {
        value: Some(match d {
            0.. => dimension::Value::DimValue(d),
            _open => dimension::Value::DimParam("N".into()),
        }),
        ..Default::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect(), ..Default::default() };
    let tensor =
        type_proto::Tensor { elem_type: dtype, shape: Some(shape).into(), ..Default::default() };
    let value = Some(type_proto::Value::TensorType(tensor));
    let ty = TypeProto { value, ..Default::default() };
    ValueInfoProto { name: name.into(), type_: Some(ty).into(), ..Default::default() }
}

/// A node; `""` leaves an optional operand out.
#[must_use]
pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |list: &[&str]| list.iter().map(|s| (*s).to_string()).collect();
    NodeProto {
        op_type: op.into(),
        input: names(inputs),
        output: names(outputs),
        ..Default::default()
    }
}

/// Adds an attribute that is a list of integers.
#[must_use]
pub fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        type_: AttributeType::INTS.into(),
        ints: ints.to_vec(),
        ..Default::default()
    });
    node
}

/// Adds an attribute that is one integer.
#[must_use]
pub fn with_int(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        type_: AttributeType::INT.into(),
        i,
        ..Default::default()
    });
    node
}

/// Adds an attribute that is a text.
#[must_use]
pub fn with_text(mut node: NodeProto, name: &str, text: &str) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        type_: AttributeType::STRING.into(),
        s: text.as_bytes().to_vec(),
        ..Default::default()
    });
    node
}

/// Adds an attribute that is a graph.
#[must_use]
pub fn with_graph(mut node: NodeProto, name: &str, graph: GraphProto) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: name.into(),
        type_: AttributeType::GRAPH.into(),
        g: Some(graph).into(),
        ..Default::default()
    });
    node
}

/// A float32 constant of small numbers.
#[must_use]
pub fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let n = dims.iter().product::<i64>();
    let raw = (0..n).flat_map(|i| ((i % 13) as f32 * 0.125 - 0.75).to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        data_type: FLOAT,
        dims: dims.to_vec(),
        raw_data: raw,
        ..Default::default()
    }
}

/// An int64 constant of one dimension.
#[must_use]
pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: INT64,
        dims: vec![values.len() as i64],
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// Inputs `boxes` and `scores` of so many batches, classes and boxes -> NonMaxSuppression -> `y`, with
/// an overlap of 0.5 and a least score of 0.25. `most` boxes of a class are selected.
#[must_use]
pub fn suppression([batches, classes, n]: [i64; 3], most: i64, by_centre: bool) -> ModelProto {
    let operands = ["boxes", "scores", "most", "overlap", "least"];
    let node = with_int(
        node("NonMaxSuppression", &operands, &["y"]),
        "center_point_box",
        by_centre.into(),
    );
    let real = |name, value: f32| TensorProto {
        raw_data: value.to_le_bytes().to_vec(),
        ..floats(name, &[1])
    };
    let graph = GraphProto {
        name: "graph".into(),
        node: vec![node],
        input: vec![
            port("boxes", FLOAT, &[batches, n, 4]),
            port("scores", FLOAT, &[batches, classes, n]),
        ],
        output: vec![port("y", INT64, &[-1, 3])],
        initializer: vec![integers("most", &[most]), real("overlap", 0.5), real("least", 0.25)],
        ..Default::default()
    };
    model(11, graph)
}

/// `x` -> one operator -> `y`, without constants.
#[must_use]
pub fn single(opset: i64, node: NodeProto, x: &[i64], y: &[i64]) -> ModelProto {
    let graph = GraphProto {
        name: "graph".into(),
        node: vec![node],
        input: vec![port("x", FLOAT, x)],
        output: vec![port("y", FLOAT, y)],
        ..Default::default()
    };
    model(opset, graph)
}

/// A small convolutional network as PyTorch writes it.
#[must_use]
pub fn cnn(opset: i64) -> ModelProto {
    let conv = with_ints(node("Conv", &["x", "w1", "b1"], &["c1"]), "kernel_shape", &[3, 3]);
    let conv = with_ints(with_ints(conv, "pads", &[1, 1, 1, 1]), "strides", &[1, 1]);
    let depthwise = with_int(node("Conv", &["p1", "w2", ""], &["c2"]), "group", 4);
    let pool = with_ints(node("MaxPool", &["r1"], &["p1"]), "kernel_shape", &[2, 2]);
    let nodes = vec![
        conv,
        node("Relu", &["c1"], &["r1"]),
        with_ints(pool, "strides", &[2, 2]),
        with_ints(depthwise, "pads", &[0, 0, 1, 1]),
        node("BatchNormalization", &["c2", "s", "s", "s", "v"], &["n2"]),
        node("GlobalAveragePool", &["n2"], &["g"]),
        node("Reshape", &["g", "shape"], &["f"]),
        with_int(node("Gemm", &["f", "w3", "b3"], &["l"]), "transB", 1),
        with_int(node("Softmax", &["l"], &["y"]), "axis", -1),
    ];
    let mut variance = floats("v", &[4]);
    variance.raw_data = [1.0f32, 0.5, 2.0, 0.25].iter().flat_map(|f| f.to_le_bytes()).collect();
    let graph = GraphProto {
        name: "cnn".into(),
        node: nodes,
        input: vec![port("x", FLOAT, &[-1, 2, 6, 6])],
        output: vec![port("y", FLOAT, &[-1, 3])],
        initializer: vec![
            floats("w1", &[4, 2, 3, 3]),
            floats("b1", &[4]),
            floats("w2", &[4, 1, 2, 2]),
            floats("s", &[4]),
            variance,
            integers("shape", &[1, -1]),
            floats("w3", &[3, 4]),
            floats("b3", &[3]),
        ],
        ..Default::default()
    };
    model(opset, graph)
}

/// Movement and elementwise operators, with shape arithmetic computed from `Shape`.
#[must_use]
pub fn movement(opset: i64) -> ModelProto {
    let transpose = with_ints(node("Transpose", &["x"], &["t"]), "perm", &[0, 2, 1]);
    let concat = with_int(node("Concat", &["n0", "minus"], &["shape"]), "axis", 0);
    let nodes = vec![
        transpose,
        node("Shape", &["x"], &["s"]),
        node("Slice", &["s", "zero", "one"], &["n0"]),
        concat,
        node("Reshape", &["t", "shape"], &["r"]),
        node("Pad", &["r", "pads"], &["p"]),
        node("Slice", &["p", "one", "six", "one"], &["q"]),
        with_int(node("Gather", &["q", "ids"], &["g"]), "axis", 1),
        node("Unsqueeze", &["g", "zero"], &["u"]),
        node("Squeeze", &["u", "zero"], &["v"]),
        node("Split", &["v", "parts"], &["a", "b"]),
        node("Mul", &["a", "k"], &["m"]),
        node("Add", &["m", "b"], &["h"]),
        node("Clip", &["h", "", "top"], &["o"]),
        node("MatMul", &["o", "w"], &["y"]),
        node("ReduceMean", &["o"], &["z"]),
    ];
    let mut top = floats("top", &[1]);
    top.dims.clear();
    let graph = GraphProto {
        name: "movement".into(),
        node: nodes,
        input: vec![port("x", FLOAT, &[2, 3, 4])],
        output: vec![port("y", FLOAT, &[2, 5]), port("z", FLOAT, &[1, 1])],
        initializer: vec![
            integers("zero", &[0]),
            integers("one", &[1]),
            integers("six", &[7]),
            integers("minus", &[-1]),
            integers("pads", &[1, 0, 0, 2]),
            integers("ids", &[0, 3, 5]),
            integers("parts", &[1, 2]),
            floats("k", &[3]),
            top,
            floats("w", &[3, 5]),
        ],
        ..Default::default()
    };
    model(opset, graph)
}

/// A bidirectional LSTM with all operands, lengths at run time included, a GRU and a plain layer;
/// only one result of each is read.
#[must_use]
pub fn recurrent(opset: i64) -> ModelProto {
    let operands = ["x", "w1", "r1", "b1", "lengths", "h1", "c1", "p1"];
    let lstm = with_text(node("LSTM", &operands, &["y1", "", "c"]), "direction", "bidirectional");
    let gru = with_int(node("GRU", &["f1", "w2", "r2", "b2"], &["y2", "h2"]), "hidden_size", 2);
    let rnn = with_text(node("RNN", &["f2", "w3", "r3"], &["", "h"]), "direction", "reverse");
    let nodes = vec![
        with_int(lstm, "hidden_size", 3),
        node("Reshape", &["y1", "shape"], &["f1"]),
        with_int(gru, "linear_before_reset", 1),
        node("Reshape", &["y2", "shape"], &["f2"]),
        with_int(rnn, "hidden_size", 4),
    ];
    let graph = GraphProto {
        name: "recurrent".into(),
        node: nodes,
        input: vec![port("x", FLOAT, &[5, 2, 2]), port("lengths", INT32, &[2])],
        output: vec![port("h", FLOAT, &[1, 2, 4])],
        initializer: vec![
            floats("w1", &[2, 12, 2]),
            floats("r1", &[2, 12, 3]),
            floats("b1", &[2, 24]),
            floats("h1", &[2, 2, 3]),
            floats("c1", &[2, 2, 3]),
            floats("p1", &[2, 9]),
            integers("shape", &[5, 2, -1]),
            floats("w2", &[1, 6, 6]),
            floats("r2", &[1, 6, 2]),
            floats("b2", &[1, 12]),
            floats("w3", &[1, 4, 2]),
            floats("r3", &[1, 4, 4]),
        ],
        ..Default::default()
    };
    model(opset, graph)
}

/// `If`, `Loop` and `Scan` as exporters write them, and a function of the file's own.
#[must_use]
pub fn control_flow(opset: i64) -> ModelProto {
    const BOOL: i32 = 9;
    let graph = |node, input, output| GraphProto { node, input, output, ..Default::default() };
    let cell = vec![
        with_int(node("Gather", &["x", "i"], &["row"]), "axis", 0),
        node("Mul", &["h", "w"], &["hw"]),
        node("Add", &["row", "hw"], &["sum"]),
        node("Tanh", &["sum"], &["next"]),
        node("Less", &["i", "last"], &["go"]),
        node("Identity", &["next"], &["kept"]),
    ];
    let carried = vec![port("i", INT64, &[]), port("c", BOOL, &[]), port("h", FLOAT, &[4])];
    let ends = vec![port("go", BOOL, &[]), port("next", FLOAT, &[4]), port("kept", FLOAT, &[4])];
    let mut body = graph(cell, carried, ends);
    body.initializer = vec![integers("last", &[2])];
    let ports = |names: &[&str]| names.iter().map(|n| port(n, FLOAT, &[4])).collect();
    let step = vec![node("Add", &["s", "e"], &["t"]), node("Neg", &["t"], &["u"])];
    let scanned = graph(step, ports(&["s", "e"]), ports(&["t", "u"]));
    let yes = graph(vec![node("Relu", &["all"], &["a"])], Vec::new(), vec![port("a", FLOAT, &[])]);
    let no = graph(vec![node("Neg", &["all"], &["b"])], Vec::new(), vec![port("b", FLOAT, &[])]);
    let mut call = node("Halved", &["chosen"], &["half"]);
    call.domain = "tests".into();
    let scan = with_int(node("Scan", &["h1", "half"], &["z", "y"]), "num_scan_inputs", 1);
    let branches = with_graph(node("If", &["c0"], &["chosen"]), "then_branch", yes);
    let nodes = vec![
        with_graph(node("Loop", &["n", "", "h0"], &["h1", "all"]), "body", body),
        node("Shape", &["all"], &["shape"]),
        with_int(node("Gather", &["shape", "zero"], &["rows"]), "axis", 0),
        node("Equal", &["rows", "n"], &["c0"]),
        with_graph(branches, "else_branch", no),
        call,
        with_graph(scan, "body", scanned),
    ];
    let mut main = graph(nodes, vec![port("x", FLOAT, &[3, 4])], ports(&["z"]));
    main.output.push(port("y", FLOAT, &[3, 4]));
    main.initializer =
        vec![floats("h0", &[4]), floats("w", &[4]), integers("n", &[3]), integers("zero", &[0])];
    let mut model = model(opset, main);
    model.functions.push(FunctionProto {
        name: "Halved".into(),
        domain: "tests".into(),
        input: vec!["v".into()],
        output: vec!["r".into()],
        node: vec![node("Add", &["v", "v"], &["d"]), node("Sub", &["d", "v"], &["r"])],
        opset_import: model.opset_import.clone(),
        ..Default::default()
    });
    model
}
