//! An ONNX file of a TFLite network, quantized in ONNX's way (QuantizeLinear and DequantizeLinear
//! around float operators), from the same integers. For comparing the two; only the operators that the
//! twin tests need.

use crate::onnx_make::{integers, model, node, port, with_int, with_ints};
use onnx_protobuf::{GraphProto, ModelProto, NodeProto, TensorProto};
use std::collections::BTreeMap;
use tinycc_core::geometry::Padding;
use tinycc_core::graph::{Graph, NodeId, ValueId};
use tinycc_core::numeric::Activation;
use tinycc_core::op::Op;
use tinycc_core::{QuantParams, TensorData, TensorType};

const INT8: i32 = 3;
const INT32: i32 = 6;
const FLOAT: i32 = 1;

/// The file so far. Four-dimensional activations are channels first.
struct Writer<'g> {
    graph: &'g Graph,
    proto: GraphProto,
    /// Name of the int8 value.
    names: BTreeMap<ValueId, String>,
    fresh: usize,
}

/// The ONNX model of a quantized TFLite graph.
///
/// # Panics
/// Operators the tests do not need.
#[must_use]
pub fn qdq(graph: &Graph) -> ModelProto {
    let mut w = Writer { graph, proto: GraphProto::default(), names: BTreeMap::new(), fresh: 0 };
    for id in graph.schedule() {
        w.node(id);
    }
    for &output in graph.outputs() {
        let ty = &graph.value(output).expect("output").ty;
        let dims: Vec<i64> = ty.shape.0.iter().map(|&d| d as i64).collect();
        let name = w.last(output);
        w.proto.output.push(port(&name, INT8, &dims));
    }
    model(17, w.proto)
}

impl Writer<'_> {
    fn name(&mut self) -> String {
        self.fresh += 1;
        format!("t{}", self.fresh)
    }

    fn add(&mut self, node: NodeProto) {
        self.proto.node.push(node);
    }

    /// One operator; the name of its result.
    fn apply(
        &mut self,
        op: &str,
        inputs: &[&str],
        finish: impl Fn(NodeProto) -> NodeProto,
    ) -> String {
        let y = self.name();
        self.add(finish(node(op, inputs, &[&y])));
        y
    }

    fn ty(&self, value: ValueId) -> &TensorType {
        &self.graph.value(value).expect("value").ty
    }

    fn quant(&self, value: ValueId) -> QuantParams {
        self.graph.value(value).expect("value").quant.clone().expect("quantized")
    }

    fn constant(&mut self, dtype: i32, dims: &[usize], raw: Vec<u8>) -> String {
        let name = self.name();
        let dims = dims.iter().map(|&d| d as i64).collect();
        let tensor = TensorProto {
            name: name.clone(),
            data_type: dtype,
            dims,
            raw_data: raw,
            ..Default::default()
        };
        self.proto.initializer.push(tensor);
        name
    }

    /// Scale and zero point as initializers.
    fn params(&mut self, scales: &[f32], zeros: &[i32], dtype: i32) -> [String; 2] {
        let dims: &[usize] = if scales.len() == 1 { &[] } else { &[scales.len()] };
        let scale = scales.iter().flat_map(|s| s.to_le_bytes()).collect();
        let zero = match dtype {
            INT8 => zeros.iter().map(|&z| z as i8 as u8).collect(),
            _int32 => zeros.iter().flat_map(|z| z.to_le_bytes()).collect(),
        };
        [self.constant(FLOAT, dims, scale), self.constant(dtype, dims, zero)]
    }

    /// The float of an int8 activation.
    fn float(&mut self, value: ValueId) -> String {
        let q = self.quant(value);
        let x = self.names[&value].clone();
        let [scale, zero] = self.params(&[q.scale()], &[q.zero_point()], INT8);
        self.apply("DequantizeLinear", &[&x, &scale, &zero], |n| n)
    }

    /// Quantizes the float result of a node.
    fn finish(&mut self, id: NodeId, float: &str, activation: Activation) {
        let value = id.result(0);
        let float = match activation {
            Activation::None => float.to_string(),
            Activation::Relu => self.apply("Relu", &[float], |n| n),
            Activation::Relu6 | Activation::ReluN1To1 => panic!("{activation:?}"),
        };
        let q = self.quant(value);
        let [scale, zero] = self.params(&[q.scale()], &[q.zero_point()], INT8);
        let y = self.apply("QuantizeLinear", &[&float, &scale, &zero], |n| n);
        self.names.insert(value, y);
    }

    /// Constant data of operand `i` with dimensions permuted.
    fn data(&self, id: NodeId, i: usize, permutation: &[usize]) -> (Vec<usize>, TensorData) {
        let s = self.graph.signature(id);
        let tensor = s.operands[i].constant.expect("constant");
        let (dims, strides) = (&tensor.shape.0, tensor.shape.strides());
        let shape: Vec<usize> = permutation.iter().map(|&p| dims[p]).collect();
        let mut order = vec![0];
        for &p in permutation {
            order = order
                .iter()
                .flat_map(|&base| (0..dims[p]).map(move |j| (base, j)))
                .map(|(base, j)| base + j * strides[p])
                .collect();
        }
        (shape, tensor.data.gather(&order))
    }

    /// Weights with their DequantizeLinear; per channel along `axis` of the ONNX layout.
    fn weights(&mut self, id: NodeId, permutation: &[usize], axis: i64) -> String {
        let (dims, data) = self.data(id, 1, permutation);
        let q = self.quant(self.graph.operands(id)[1]);
        let w = self.constant(INT8, &dims, data.to_le_bytes());
        let [scale, zero] = self.params(&q.scales, &q.zero_points, INT8);
        self.apply("DequantizeLinear", &[&w, &scale, &zero], |n| with_int(n, "axis", axis))
    }

    fn bias(&mut self, id: NodeId) -> Option<String> {
        let operands = self.graph.operands(id);
        operands.get(2)?;
        let (dims, data) = self.data(id, 2, &[0]);
        let (x, w) = (self.quant(operands[0]), self.quant(operands[1]));
        let scales: Vec<f32> = w.scales.iter().map(|s| x.scale() * s).collect();
        let zeros = vec![0; scales.len()];
        let b = self.constant(INT32, &dims, data.to_le_bytes());
        let [scale, zero] = self.params(&scales, &zeros, INT32);
        let axis = |n| with_int(n, "axis", 0);
        Some(self.apply("DequantizeLinear", &[&b, &scale, &zero], axis))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "what the twins hold, and a panic for the rest"
    )]
    fn node(&mut self, id: NodeId) {
        let node_of = self.graph.get(id).expect("node");
        let operands = self.graph.operands(id);
        match &node_of.op {
            Op::Constant(_) => {}
            Op::Input(input) => {
                let name = self.name();
                let dims: Vec<i64> = input.ty.shape.0.iter().map(|&d| d as i64).collect();
                self.proto.input.push(port(&name, INT8, &dims));
                let x = self.first(&name, dims.len());
                self.names.insert(id.result(0), x);
            }
            Op::Conv2d(c) => {
                let (x, w) = (self.float(operands[0]), self.weights(id, &[0, 3, 1, 2], 0));
                let kernel = self.ty(operands[1]).shape.0[1..3].to_vec();
                let pads = self.pads(id, &kernel, c.stride, c.padding);
                let mut inputs = vec![x.as_str(), w.as_str()];
                let bias = self.bias(id);
                inputs.extend(bias.as_deref());
                let stride = [c.stride.0 as i64, c.stride.1 as i64];
                let y = self.apply("Conv", &inputs, |n| {
                    with_ints(with_ints(n, "pads", &pads), "strides", &stride)
                });
                self.finish(id, &y, c.activation);
            }
            Op::FullyConnected(f) => {
                let (x, w) = (self.float(operands[0]), self.weights(id, &[0, 1], 0));
                let mut inputs = vec![x.as_str(), w.as_str()];
                let bias = self.bias(id);
                inputs.extend(bias.as_deref());
                let y = self.apply("Gemm", &inputs, |n| with_int(n, "transB", 1));
                self.finish(id, &y, f.activation);
            }
            Op::Add(a) => {
                let (x, z) = (self.float(operands[0]), self.float(operands[1]));
                let y = self.apply("Add", &[&x, &z], |n| n);
                self.finish(id, &y, a.activation);
            }
            Op::AveragePool2d(p) => {
                let x = self.float(operands[0]);
                let window = [p.0.window.0 as i64, p.0.window.1 as i64];
                let stride = [p.0.stride.0 as i64, p.0.stride.1 as i64];
                let y = self.apply("AveragePool", &[&x], |n| {
                    with_ints(with_ints(n, "kernel_shape", &window), "strides", &stride)
                });
                self.finish(id, &y, p.0.activation);
            }
            Op::Reshape(r) => {
                // Of the channels-last tensor.
                let rank = self.ty(operands[0]).shape.rank();
                let x = self.names[&operands[0]].clone();
                let x = self.permuted(&x, rank, &[0, 2, 3, 1]);
                let shape: Vec<i64> = r.shape.0.iter().map(|&d| d as i64).collect();
                let name = self.name();
                self.proto.initializer.push(integers(&name, &shape));
                let y = self.apply("Reshape", &[&x, &name], |n| n);
                let y = self.first(&y, shape.len());
                self.names.insert(id.result(0), y);
            }
            Op::Softmax(_) => {
                let x = self.float(operands[0]);
                let y = self.apply("Softmax", &[&x], |n| with_int(n, "axis", -1));
                self.finish(id, &y, Activation::None);
            }
            other => panic!("{} is not needed yet", other.name()),
        }
    }

    fn permuted(&mut self, x: &str, rank: usize, permutation: &[i64]) -> String {
        if rank != 4 {
            return x.to_string();
        }
        self.apply("Transpose", &[x], |n| with_ints(n, "perm", permutation))
    }

    /// Channels first.
    fn first(&mut self, x: &str, rank: usize) -> String {
        self.permuted(x, rank, &[0, 3, 1, 2])
    }

    /// Channels last.
    fn last(&mut self, value: ValueId) -> String {
        let rank = self.ty(value).shape.rank();
        let x = self.names[&value].clone();
        self.permuted(&x, rank, &[0, 2, 3, 1])
    }

    fn pads(
        &self,
        id: NodeId,
        kernel: &[usize],
        stride: (usize, usize),
        padding: Padding,
    ) -> Vec<i64> {
        let x = &self.ty(self.graph.operands(id)[0]).shape.0;
        let ends = |extent: usize, kernel: usize, stride: usize| {
            let total = ((extent.div_ceil(stride) - 1) * stride + kernel).saturating_sub(extent);
            (total / 2, total - total / 2)
        };
        let (rows, columns) = match padding {
            Padding::Valid => ((0, 0), (0, 0)),
            Padding::Same => (ends(x[1], kernel[0], stride.0), ends(x[2], kernel[1], stride.1)),
            Padding::Explicit { rows, columns } => (rows, columns),
        };
        [rows.0, columns.0, rows.1, columns.1].map(|p| p as i64).to_vec()
    }
}
