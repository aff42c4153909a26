//! What an ONNX file says about itself, without building a graph, so that `inspect` can describe
//! models that cannot be compiled.

use super::function::Functions;
use super::message::{default_opset, is_default, open, operator_name};
use super::node::is_known;
use super::order;
use super::read::MAX_NODES;
use super::tensor::type_name;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::{FileOperator, FileTensor, Summary};
use onnx_protobuf::tensor_shape_proto::dimension::Value as Extent;
use onnx_protobuf::type_proto::Value as Kind;
use onnx_protobuf::{GraphProto, ModelProto, ValueInfoProto};
use std::collections::{BTreeMap, BTreeSet};

/// Tensors found so far, by name.
#[derive(Default)]
struct Tensors<'a> {
    list: Vec<FileTensor>,
    by_name: BTreeMap<&'a str, usize>,
}

impl<'a> Tensors<'a> {
    /// The number of a name; a tensor of unknown type the first time.
    fn number(&mut self, name: &'a str) -> usize {
        let next = self.list.len();
        let number = *self.by_name.entry(name).or_insert(next);
        if number == next {
            self.list.push(FileTensor {
                name: name.to_string(),
                dtype: String::new(),
                shape: None,
                scales: Vec::new(),
                zero_points: Vec::new(),
            });
        }
        number
    }

    fn declare(&mut self, info: &'a ValueInfoProto) {
        let number = self.number(&info.name);
        let (dtype, shape) = declared(info);
        if let Some(tensor) = self.list.get_mut(number) {
            (tensor.dtype, tensor.shape) = (dtype, shape);
        }
    }
}

/// Summarises a model.
///
/// # Errors
/// Not an ONNX file, or a damaged one.
pub fn summary(bytes: &[u8], file: &str) -> Result<Summary, Diagnostics> {
    let origin = Origin { file: file.to_string(), ..Origin::default() };
    let model = open(bytes, &origin)?;
    let graph = model.graph.as_ref().filter(|g| g.node.len() <= MAX_NODES).ok_or_else(|| {
        let message = format!("the model has no graph, or more than {MAX_NODES} nodes");
        Diagnostic::new(Code::MalformedModel, origin, message)
    })?;
    Ok(describe(&model, graph))
}

fn describe(model: &ModelProto, graph: &GraphProto) -> Summary {
    let mut tensors = Tensors::default();
    let infos = graph.value_info.iter().chain(&graph.input).chain(&graph.output);
    infos.for_each(|info| tensors.declare(info));
    // Old files list their initializers as inputs, too: those are constants.
    let constants: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs = graph.input.iter().filter(|i| !constants.contains(i.name.as_str()));
    let inputs = inputs.map(|i| tensors.number(&i.name)).collect();
    let outputs = graph.output.iter().map(|o| tensors.number(&o.name)).collect();
    let opset = default_opset(&model.opset_import);
    let functions = Functions::of(model);
    let operators = graph
        .node
        .iter()
        .map(|node| {
            let name = operator_name(node);
            let results = node.output.iter().filter(|o| !o.is_empty());
            let mut operands: BTreeSet<&str> = node.input.iter().map(String::as_str).collect();
            order::captured(node, &mut operands);
            operands.remove("");
            FileOperator {
                is_known: functions.knows(node) || is_known(&name, opset.unwrap_or(i64::MAX)),
                name,
                operands: operands.into_iter().map(|o| tensors.number(o)).collect(),
                results: results.map(|o| tensors.number(o)).collect(),
            }
        })
        .collect();
    let opsets: Vec<String> = model
        .opset_import
        .iter()
        .map(|o| match is_default(&o.domain) {
            true => format!("opset {}", o.version),
            false => format!("{} {}", o.domain, o.version),
        })
        .collect();
    let description = format!("{} {}", model.producer_name, model.producer_version);
    Summary {
        format: format!("ONNX {}", opsets.join(", ")).trim().to_string(),
        description: description.trim().to_string(),
        subgraphs: 1,
        tensors: tensors.list,
        inputs,
        outputs,
        operators,
    }
}

/// Element type and extents; -1 for an open one.
fn declared(info: &ValueInfoProto) -> (String, Option<Vec<i64>>) {
    let Some(Kind::TensorType(ty)) = info.type_.as_ref().and_then(|t| t.value.as_ref()) else {
        return (String::new(), None);
    };
    // The names of the standard, but as everywhere in tinycc: `float32`.
    let dtype = match type_name(ty.elem_type).to_lowercase().as_str() {
        "float" => "float32".to_string(),
        "double" => "float64".to_string(),
        name => name.to_string(),
    };
    let extent = |d: &onnx_protobuf::tensor_shape_proto::Dimension| match &d.value {
        Some(Extent::DimValue(n)) => (*n).max(-1),
        _symbol => -1,
    };
    (dtype, ty.shape.as_ref().map(|s| s.dim.iter().map(extent).collect()))
}
