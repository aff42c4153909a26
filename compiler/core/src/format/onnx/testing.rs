//! Test help: a model of one node, built in code, read and evaluated.

use crate::format::ReadOptions;
use crate::tensor::{Tensor, TensorData};
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// A node and what it reads.
#[derive(Default)]
pub struct Case {
    node: NodeProto,
    graph: GraphProto,
    inputs: Vec<Tensor>,
    options: ReadOptions,
}

/// An empty model of this operator (`domain::Name` outside of the default domain).
pub fn case(operator: &str) -> Case {
    let (domain, name) = operator.rsplit_once("::").unwrap_or(("", operator));
    let node = NodeProto { op_type: name.into(), domain: domain.into(), ..NodeProto::default() };
    Case { node, ..Case::default() }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

impl Case {
    fn operand(&mut self) -> String {
        let name = format!("x{}", self.node.input.len());
        self.node.input.push(name.clone());
        name
    }

    /// An operand that arrives at run time.
    pub fn input(mut self, shape: &[usize], data: &[f32]) -> Self {
        let name = self.operand();
        let extent =
            |d| Dimension { value: Some(dimension::Value::DimValue(d)), ..Dimension::default() };
        let shape_proto = TensorShapeProto {
            dim: dims(shape).into_iter().map(extent).collect(),
            ..TensorShapeProto::default()
        };
        let tensor = type_proto::Tensor {
            elem_type: 1,
            shape: Some(shape_proto).into(),
            ..type_proto::Tensor::default()
        };
        let ty = TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        };
        let info = ValueInfoProto { name, type_: Some(ty).into(), ..ValueInfoProto::default() };
        self.graph.input.push(info);
        let data = TensorData::F32(data.to_vec());
        self.inputs.push(Tensor::new(shape.into(), data).expect("fits"));
        self
    }

    /// A constant operand of floats.
    pub fn floats(mut self, shape: &[usize], data: &[f32]) -> Self {
        let name = self.operand();
        let (dims, float_data) = (dims(shape), data.to_vec());
        let t = TensorProto { name, dims, float_data, data_type: 1, ..TensorProto::default() };
        self.graph.initializer.push(t);
        self
    }

    /// A constant operand of int64.
    pub fn ints(mut self, shape: &[usize], data: &[i64]) -> Self {
        let name = self.operand();
        let (dims, int64_data) = (dims(shape), data.to_vec());
        let t = TensorProto { name, dims, int64_data, data_type: 7, ..TensorProto::default() };
        self.graph.initializer.push(t);
        self
    }

    /// A constant operand of another integer type, by its number in the format.
    pub fn typed(mut self, shape: &[usize], data_type: i32, data: &[i32]) -> Self {
        let name = self.operand();
        let (dims, int32_data) = (dims(shape), data.to_vec());
        let t = TensorProto { name, dims, int32_data, data_type, ..TensorProto::default() };
        self.graph.initializer.push(t);
        self
    }

    /// An operand that is left out.
    pub fn none(mut self) -> Self {
        self.node.input.push(String::new());
        self
    }

    fn attribute(mut self, name: &str, a: AttributeProto) -> Self {
        self.node.attribute.push(AttributeProto { name: name.into(), ..a });
        self
    }

    /// An integer attribute.
    pub fn int(self, name: &str, i: i64) -> Self {
        let type_ = AttributeType::INT.into();
        self.attribute(name, AttributeProto { i, type_, ..AttributeProto::default() })
    }

    /// A float attribute.
    pub fn float(self, name: &str, f: f32) -> Self {
        let type_ = AttributeType::FLOAT.into();
        self.attribute(name, AttributeProto { f, type_, ..AttributeProto::default() })
    }

    /// A list attribute.
    pub fn list(self, name: &str, ints: &[i64]) -> Self {
        let (ints, type_) = (ints.to_vec(), AttributeType::INTS.into());
        self.attribute(name, AttributeProto { ints, type_, ..AttributeProto::default() })
    }

    /// A text attribute.
    pub fn text(self, name: &str, text: &str) -> Self {
        let (s, type_) = (text.as_bytes().to_vec(), AttributeType::STRING.into());
        self.attribute(name, AttributeProto { s, type_, ..AttributeProto::default() })
    }

    /// A list of texts.
    pub fn texts(self, name: &str, texts: &[&str]) -> Self {
        let strings = texts.iter().map(|t| t.as_bytes().to_vec()).collect();
        let type_ = AttributeType::STRINGS.into();
        self.attribute(name, AttributeProto { strings, type_, ..AttributeProto::default() })
    }

    /// A list of floats.
    pub fn reals(self, name: &str, floats: &[f32]) -> Self {
        let (floats, type_) = (floats.to_vec(), AttributeType::FLOATS.into());
        self.attribute(name, AttributeProto { floats, type_, ..AttributeProto::default() })
    }

    /// Looks at result `i` instead of result 0; those before it are left out.
    pub fn result(mut self, i: usize) -> Self {
        self.node.output = vec![String::new(); i];
        self
    }

    /// Rows of NonMaxSuppression's result.
    pub fn nms_rows(mut self, rows: usize) -> Self {
        self.options.nms_rows = Some(rows);
        self
    }

    /// The result, or the messages.
    pub fn run(mut self, opset: i64) -> Result<Tensor, String> {
        self.node.output.push("y".into());
        self.graph.output.push(ValueInfoProto { name: "y".into(), ..ValueInfoProto::default() });
        self.graph.node.push(self.node);
        let import = OperatorSetIdProto { version: opset, ..OperatorSetIdProto::default() };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![import],
            graph: Some(self.graph).into(),
            ..ModelProto::default()
        };
        let bytes = model.write_to_bytes().expect("serialises");
        let graph = crate::format::read(&bytes, &self.options).map_err(|e| e.to_string())?;
        let mut outputs = crate::evaluate::run(&graph, &self.inputs).map_err(|e| e.to_string())?;
        Ok(outputs.remove(0))
    }

    /// Reads, evaluates and compares.
    pub fn gives(self, opset: i64, shape: &[usize], want: &[f32]) {
        let y = self.run(opset).expect("reads");
        assert_eq!(y.shape.0, shape);
        let near = |a: f32, b: f32| a == b || (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        let have = y.as_f32().expect("floats");
        assert!(have.iter().zip(want).all(|(a, b)| near(*a, *b)), "{have:?}, not {want:?}");
    }

    /// Reading fails with a sentence that contains `part`.
    pub fn refused(self, opset: i64, part: &str) {
        let message = self.run(opset).expect_err("is refused");
        assert!(message.contains(part), "{message}");
    }
}

/// Whole models built in code.
pub mod models {
    use super::*;
    use crate::graph::Graph;
    use onnx_protobuf::FunctionProto;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_string()).collect()
    }

    /// A node of the default domain.
    pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        NodeProto {
            op_type: op.into(),
            input: texts(inputs),
            output: texts(outputs),
            ..NodeProto::default()
        }
    }

    /// The node with an attribute more.
    pub fn attribute(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
        node.attribute.push(attribute);
        node
    }

    /// An integer attribute.
    pub fn int(name: &str, i: i64) -> AttributeProto {
        let type_ = AttributeType::INT.into();
        AttributeProto { name: name.into(), i, type_, ..AttributeProto::default() }
    }

    /// A list attribute.
    pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
        let (ints, type_) = (ints.to_vec(), AttributeType::INTS.into());
        AttributeProto { name: name.into(), ints, type_, ..AttributeProto::default() }
    }

    /// An attribute that stands for one of the function's call.
    pub fn reference(name: &str, to: &str) -> AttributeProto {
        AttributeProto { name: name.into(), ref_attr_name: to.into(), ..AttributeProto::default() }
    }

    /// A graph attribute.
    pub fn body(name: &str, graph: GraphProto) -> AttributeProto {
        let (g, type_) = (Some(graph).into(), AttributeType::GRAPH.into());
        AttributeProto { name: name.into(), g, type_, ..AttributeProto::default() }
    }

    /// A float32 input.
    pub fn input(name: &str, shape: &[usize]) -> ValueInfoProto {
        let case = case("").input(shape, &vec![0.0; shape.iter().product()]);
        let mut info = case.graph.input.into_iter().next().expect("one input");
        info.name = name.into();
        info
    }

    /// An output, or an input of a body: a name without a type.
    pub fn output(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: name.into(), ..ValueInfoProto::default() }
    }

    /// A graph.
    pub fn graph(
        node: Vec<NodeProto>,
        input: Vec<ValueInfoProto>,
        output: Vec<ValueInfoProto>,
    ) -> GraphProto {
        GraphProto { node, input, output, ..GraphProto::default() }
    }

    /// A function in opset 17.
    pub fn function(
        domain: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        node: Vec<NodeProto>,
    ) -> FunctionProto {
        FunctionProto {
            domain: domain.into(),
            name: name.into(),
            input: texts(inputs),
            output: texts(outputs),
            node,
            opset_import: vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }],
            ..FunctionProto::default()
        }
    }

    /// A float32 constant.
    pub fn floats(name: &str, shape: &[usize], data: &[f32]) -> TensorProto {
        let (dims, float_data) = (dims(shape), data.to_vec());
        TensorProto { name: name.into(), dims, float_data, data_type: 1, ..TensorProto::default() }
    }

    /// An int64 constant.
    pub fn longs(name: &str, shape: &[usize], data: &[i64]) -> TensorProto {
        let (dims, int64_data) = (dims(shape), data.to_vec());
        TensorProto { name: name.into(), dims, int64_data, data_type: 7, ..TensorProto::default() }
    }

    /// A model.
    pub fn model(opset: i64, graph: GraphProto) -> ModelProto {
        let import = OperatorSetIdProto { version: opset, ..OperatorSetIdProto::default() };
        ModelProto {
            ir_version: 8,
            opset_import: vec![import],
            graph: Some(graph).into(),
            ..ModelProto::default()
        }
    }

    /// The graph of a model, or the messages.
    pub fn read(model: &ModelProto) -> Result<Graph, String> {
        let bytes = model.write_to_bytes().expect("serialises");
        crate::format::read(&bytes, &ReadOptions::default()).map_err(|e| e.to_string())
    }

    /// Outputs for float inputs, or the messages.
    pub fn run(model: &ModelProto, inputs: &[(&[usize], &[f32])]) -> Result<Vec<Tensor>, String> {
        let graph = read(model)?;
        let tensor = |(shape, data): &(&[usize], &[f32])| {
            Tensor::new((*shape).into(), TensorData::F32(data.to_vec())).expect("fits")
        };
        let inputs: Vec<Tensor> = inputs.iter().map(tensor).collect();
        crate::evaluate::run(&graph, &inputs).map_err(|e| e.to_string())
    }
}
