//! Seeded damage to ONNX files: blind (bits, splices, truncation, length fields), and aware of the
//! messages (extents, attributes, element types, names, operators, data).

use crate::mutate::{Random, blind};
use crate::onnx_make::{FLOAT, bytes, model, node, port, with_int, with_ints};
use onnx_protobuf::tensor_shape_proto::dimension;
use onnx_protobuf::type_proto;
use onnx_protobuf::{FunctionProto, GraphProto, Message, ModelProto, NodeProto};

/// Extents, attributes and axes at which arithmetic goes wrong.
const NUMBERS: &[i64] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    16,
    255,
    1000,
    65_536,
    1 << 20,
    1 << 24,
    1 << 30,
    i32::MAX as i64,
    1 << 32,
    1 << 62,
    i64::MAX - 1,
    i64::MAX,
    -1,
    -2,
    -3,
    -128,
    i32::MIN as i64,
    i64::MIN + 1,
    i64::MIN,
];

const OPERATORS: &[&str] = &[
    "Add",
    "AveragePool",
    "Cast",
    "Clip",
    "Concat",
    "Conv",
    "Div",
    "Flatten",
    "Gather",
    "Gemm",
    "If",
    "Loop",
    "MatMul",
    "Mod",
    "MaxPool",
    "Mul",
    "Pad",
    "Range",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Resize",
    "Scan",
    "Shape",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

const ATTRIBUTES: &[&str] = &[
    "auto_pad",
    "axes",
    "axis",
    "ceil_mode",
    "dilations",
    "group",
    "keepdims",
    "kernel_shape",
    "mode",
    "pads",
    "num_scan_inputs",
    "perm",
    "strides",
    "to",
    "transA",
    "transB",
    "scan_input_axes",
    "scan_output_directions",
    "split",
    "starts",
    "ends",
    "shape",
    "value",
];

/// A row of elementwise and reducing operators.
#[must_use]
pub fn activations(opset: i64) -> ModelProto {
    let names = ["Sigmoid", "Tanh", "LeakyRelu", "Elu", "Exp", "Sqrt", "Neg", "Abs", "Floor"];
    let mut nodes: Vec<NodeProto> = Vec::new();
    let mut last = "x".to_string();
    for (i, name) in names.iter().enumerate() {
        let next = format!("v{i}");
        nodes.push(node(name, &[&last], &[&next]));
        last = next;
    }
    let pool = with_ints(node("AveragePool", &[&last], &["p"]), "kernel_shape", &[3, 2]);
    let pool = with_ints(with_ints(pool, "strides", &[2, 1]), "pads", &[1, 0, 1, 1]);
    nodes.push(with_int(pool, "count_include_pad", 1));
    nodes.push(with_int(node("Flatten", &["p"], &["y"]), "axis", 1));
    let graph = GraphProto {
        name: "activations".into(),
        node: nodes,
        input: vec![port("x", FLOAT, &[1, 2, 5, 4])],
        output: vec![port("y", FLOAT, &[1, 24])],
        ..Default::default()
    };
    model(opset, graph)
}

/// A damaged copy of the file; `other` is one from which pieces may be spliced in.
#[must_use]
pub fn mutate(file: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = file.to_vec();
    let kind = random.below(10);
    if kind < 7 {
        let mut model = ModelProto::parse_from_bytes(file).expect("a sound seed");
        for _ in 0..random.pick(&[1, 1, 1, 2, 3, 5]) {
            structured(&mut model, random);
        }
        out = bytes(&model);
    }
    match kind {
        0 | 7 | 8 => blind(&mut out, other, random),
        9 => lengths(&mut out, random),
        _structured_only => {}
    }
    out
}

/// Bytes near the front of messages, where tags and lengths stand, become long or large numbers.
fn lengths(out: &mut [u8], random: &mut Random) {
    for _ in 0..1 + random.below(3) {
        let at = random.below(out.len());
        for (i, byte) in out.iter_mut().skip(at).take(1 + random.below(9)).enumerate() {
            *byte = if i % 2 == 0 { 0xFF } else { random.pick(&[0xFF, 0x7F, 0x80, 0x0A, 0x12]) };
        }
    }
}

fn structured(model: &mut ModelProto, random: &mut Random) {
    if random.below(30) == 0 {
        model.ir_version = random.pick(NUMBERS);
        if let Some(opset) = model.opset_import.first_mut() {
            opset.version = random.pick(&[6, 7, 8, 10, 11, 12, 13, 18, 24, 27, 28, -1, i64::MAX]);
        }
    }
    let mut functions = model.functions.iter_mut();
    if let Some(function) = functions.next().filter(|_| random.below(8) == 0) {
        return in_function(function, random);
    }
    let Some(graph) = model.graph.as_mut() else { return };
    // Half of the damage to a graph with graphs inside goes there.
    let has_graph = |n: &NodeProto| n.attribute.iter().any(|a| a.g.is_some());
    let holders: Vec<usize> =
        (0..graph.node.len()).filter(|&i| graph.node.get(i).is_some_and(has_graph)).collect();
    let holder = holders.get(random.below(2 * holders.len())).and_then(|&i| graph.node.get_mut(i));
    let inner = holder.and_then(|n| n.attribute.iter_mut().find_map(|a| a.g.as_mut()));
    match inner {
        Some(inner) => in_graph(inner, random),
        None => in_graph(graph, random),
    }
}

fn in_graph(graph: &mut GraphProto, random: &mut Random) {
    match random.below(8) {
        0 => port_extent(graph, random),
        1 | 2 => constant(graph, random),
        3 | 4 => attribute(graph, random),
        5 => operands(graph, random),
        6 => {
            let n = graph.node.len();
            if let Some(node) = graph.node.get_mut(random.below(n)) {
                node.op_type = random.pick(OPERATORS).into();
            }
        }
        _order => {
            let (a, b) = (random.below(graph.node.len()), random.below(graph.node.len()));
            if random.below(3) > 0 && !graph.node.is_empty() {
                graph.node.swap(a, b);
            } else if let Some(copy) = graph.node.get(a).cloned() {
                graph.node.insert(b, copy);
            }
        }
    }
}

/// Names, nodes, operators and imports of a function.
fn in_function(function: &mut FunctionProto, random: &mut Random) {
    let n = function.node.len();
    match random.below(5) {
        0 => drop(function.input.pop()),
        1 => drop(function.output.pop()),
        2 => {
            if let Some(import) = function.opset_import.first_mut() {
                import.version = random.pick(NUMBERS);
            }
        }
        3 => {
            if let Some(node) = function.node.get_mut(random.below(n)) {
                (node.op_type, node.domain) = (function.name.clone(), function.domain.clone());
            }
        }
        _operator => {
            if let Some(node) = function.node.get_mut(random.below(n)) {
                node.op_type = random.pick(OPERATORS).into();
            }
        }
    }
}

fn port_extent(graph: &mut GraphProto, random: &mut Random) {
    let ports = if random.below(4) == 0 { &mut graph.output } else { &mut graph.input };
    let n = ports.len();
    let Some(port) = ports.get_mut(random.below(n)) else { return };
    let Some(type_proto::Value::TensorType(ty)) =
        port.type_.as_mut().and_then(|t| t.value.as_mut())
    else {
        return;
    };
    if random.below(6) == 0 {
        ty.elem_type = random.below(30) as i32 - 2;
    }
    let Some(shape) = ty.shape.as_mut() else { return };
    let n = shape.dim.len();
    match random.below(8) {
        0 => drop(shape.dim.pop()),
        1 => shape.dim.extend(shape.dim.first().cloned()),
        _extent => {
            if let Some(dim) = shape.dim.get_mut(random.below(n)) {
                dim.value = Some(dimension::Value::DimValue(random.pick(NUMBERS)));
            }
        }
    }
}

fn constant(graph: &mut GraphProto, random: &mut Random) {
    let n = graph.initializer.len();
    let Some(tensor) = graph.initializer.get_mut(random.below(n)) else { return };
    match random.below(6) {
        0 => tensor.data_type = random.below(30) as i32 - 2,
        1 => {
            let n = tensor.dims.len();
            if let Some(dim) = tensor.dims.get_mut(random.below(n)) {
                *dim = random.pick(NUMBERS);
            }
        }
        2 => {
            let n = tensor.dims.len();
            if n > 1 {
                tensor.dims.swap(0, random.below(n));
            } else {
                tensor.dims.push(1);
            }
        }
        3 => tensor.raw_data.truncate(random.below(tensor.raw_data.len())),
        _value => {
            let n = tensor.int64_data.len();
            if let Some(value) = tensor.int64_data.get_mut(random.below(n)) {
                *value = random.pick(NUMBERS);
            } else if !tensor.raw_data.is_empty() {
                let at = random.below(tensor.raw_data.len() / 4) * 4;
                let extreme = [f32::NAN, f32::INFINITY, -1e30, f32::MAX, 0.0, -0.0, 1e-45];
                let value = random.pick(&extreme).to_le_bytes();
                tensor.raw_data.iter_mut().skip(at).zip(value).for_each(|(b, v)| *b = v);
            }
        }
    }
}

fn attribute(graph: &mut GraphProto, random: &mut Random) {
    let n = graph.node.len();
    let Some(node) = graph.node.get_mut(random.below(n)) else { return };
    if node.attribute.is_empty() || random.below(5) == 0 {
        let name = random.pick(ATTRIBUTES);
        let added = node.clone();
        *node = match random.below(2) {
            0 => with_int(added, name, random.pick(NUMBERS)),
            _list => {
                let list: Vec<i64> = (0..random.below(6)).map(|_| random.pick(NUMBERS)).collect();
                with_ints(added, name, &list)
            }
        };
        return;
    }
    let n = node.attribute.len();
    let attribute = &mut node.attribute[random.below(n)];
    attribute.i = random.pick(NUMBERS);
    attribute.f = random.pick(&[f32::NAN, f32::INFINITY, -1.0, 0.0, 1e30]);
    let n = attribute.ints.len();
    match random.below(6) {
        0 => drop(attribute.ints.pop()),
        1 => attribute.ints.push(random.pick(NUMBERS)),
        2 => attribute.name = random.pick(ATTRIBUTES).into(),
        _value => {
            if let Some(value) = attribute.ints.get_mut(random.below(n)) {
                *value = random.pick(NUMBERS);
            }
        }
    }
}

/// Another tensor as operand, one left out, one too many, or a result's name changed.
fn operands(graph: &mut GraphProto, random: &mut Random) {
    let mut names: Vec<String> = graph.node.iter().flat_map(|n| n.output.clone()).collect();
    names.extend(graph.initializer.iter().map(|t| t.name.clone()));
    names.extend([String::new(), "x".into(), "missing".into()]);
    let name = names[random.below(names.len())].clone();
    let n = graph.node.len();
    let Some(node) = graph.node.get_mut(random.below(n)) else { return };
    let (i, o) = (node.input.len(), node.output.len());
    match random.below(6) {
        0 => node.input.push(name),
        1 => drop(node.input.pop()),
        2 => {
            if let Some(output) = node.output.get_mut(random.below(o)) {
                *output = name;
            }
        }
        _replace => {
            if let Some(input) = node.input.get_mut(random.below(i)) {
                *input = name;
            }
        }
    }
}
