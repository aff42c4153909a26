//! Inputs of the model: element types, and shapes that are declared, given by the user, or open.

use super::read::{Reader, tensor_problem};
use super::scope::{Entry, Scope};
use super::tensor;
use crate::diagnostic::{Code, Diagnostic};
use crate::format::bind::bind;
use crate::graph::{Value, ValueId};
use crate::op::{Cast, Constant, Input, Op, Operator, Signature};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};
use onnx_protobuf::tensor_shape_proto::Dimension;
use onnx_protobuf::tensor_shape_proto::dimension::Value as Extent;
use onnx_protobuf::type_proto::Value as Kind;
use onnx_protobuf::{GraphProto, TensorShapeProto, ValueInfoProto};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NOT_A_TENSOR: &str = "the input is not a tensor (sequence, map or optional)";

/// Extents of named dimensions.
type Symbols<'s> = BTreeMap<&'s str, usize>;

/// Adds an input for each of the main graph's that is not a constant.
pub fn read<'s>(reader: &mut Reader<'_>, proto: &'s GraphProto, scope: &mut Scope<'s>) {
    let mut overrides = reader.options.input_shapes.clone();
    let mut values = reader.options.input_values.clone();
    let symbols = symbols(proto, &overrides);
    let (mut names, mut listed) = (Vec::new(), BTreeSet::new());
    for info in &proto.input {
        if listed.contains(info.name.as_str()) {
            let message = "the input is listed twice";
            reader.problem(Code::MalformedModel, scope.tensor(&info.name), message);
            continue;
        }
        // Old files list their initializers as inputs, too: those are constants.
        if scope.defines(&info.name) {
            continue;
        }
        listed.insert(info.name.as_str());
        names.push(info.name.clone());
        let origin = scope.tensor(&info.name);
        let dims = overrides.remove(&info.name);
        let made = match values.remove(&info.name) {
            Some(tensor) => bound(info, &tensor, dims),
            None => input_type(info, dims, &symbols).map(port),
        };
        match made {
            Err(problem) => {
                reader.problems.push(Diagnostic { origin, ..*problem });
                scope.set(&info.name, Entry::Refused);
            }
            Ok((op, ty, dtype)) => {
                let value = Value { name: info.name.clone(), ty: ty.clone(), quant: None };
                let node = reader.graph.add(op, vec![value.clone()], origin.clone());
                let mut result = node.result(0);
                if let Some(tensor) = converted(reader, result, dtype) {
                    let value = Value { ty: tensor.ty(), ..value };
                    let op = Constant { tensor: Arc::new(tensor) };
                    result = reader.graph.add(op.into(), vec![value], origin.clone()).result(0);
                } else if ty.dtype != dtype {
                    let ty = TensorType::new(dtype, ty.shape);
                    let (op, value) = (Cast { to: dtype }.into(), Value { ty, ..value });
                    let cast = reader.graph.add_with(op, &[result], vec![value], origin.clone());
                    result = cast.result(0);
                }
                reader.define(scope, &info.name, result, origin);
            }
        }
    }
    let shapes = overrides.into_keys().map(|name| ("--input-shape", name));
    for (option, name) in shapes.chain(values.into_keys().map(|name| ("--input-value", name))) {
        let message = format!("{option} names \"{name}\", which is not an input");
        let d = Diagnostic::new(Code::BadOption, scope.origin().clone(), message);
        reader.problems.push(d.help(format!("the inputs are: {}", names.join(", "))));
    }
}

/// A constant as the type the file declares, if it has another one.
fn converted(reader: &Reader<'_>, value: ValueId, dtype: DType) -> Option<Tensor> {
    let Op::Constant(c) = &reader.graph.get(value.node)?.op else { return None };
    let differs = c.tensor.data.dtype() != dtype;
    let cast = || Cast { to: dtype }.eval(&Signature::default(), &[&c.tensor]).ok()?.pop();
    differs.then(cast).flatten()
}

/// Element type and shape of an input or output, as the file declares them.
pub(super) fn declared(info: &ValueInfoProto) -> Option<(i32, Option<&TensorShapeProto>)> {
    match info.type_.as_ref().and_then(|t| t.value.as_ref()) {
        Some(Kind::TensorType(t)) => Some((t.elem_type, t.shape.as_ref())),
        _other => None,
    }
}

/// The operator of an input, the type of its value, and the element type the file declares.
type Made = (Op, TensorType, DType);

/// An input of the compiled model. Nothing would ever be stored in one without elements: a constant.
fn port(ty: TensorType) -> Made {
    let dtype = ty.dtype;
    if ty.shape.elements() > 0 {
        return (Input { ty: ty.clone() }.into(), ty, dtype);
    }
    let tensor = Tensor { shape: ty.shape.clone(), data: TensorData::zeros(dtype, 0) };
    (Constant { tensor: Arc::new(tensor) }.into(), ty, dtype)
}

/// An input the user gives the value of becomes a constant. Problems have no place yet.
fn bound(
    info: &ValueInfoProto,
    tensor: &Tensor,
    dims: Option<Vec<usize>>,
) -> Result<Made, Box<Diagnostic>> {
    let error = |code, m: String| Diagnostic::new(code, Default::default(), m);
    let Some((element, shape)) = declared(info) else {
        return Err(error(Code::UnsupportedType, NOT_A_TENSOR.into()).into());
    };
    let dtype = tensor::dtype(element).map_err(|e| tensor_problem(e, Default::default()))?;
    let known = |dim: &Dimension| match &dim.value {
        Some(Extent::DimValue(n)) => usize::try_from(*n).ok(),
        _symbol => None,
    };
    let extents: Option<Vec<Option<usize>>> = match dims {
        Some(dims) => Some(dims.into_iter().map(Some).collect()),
        None => shape.map(|s| s.dim.iter().map(known).collect()),
    };
    let tensor = bind(tensor, dtype, extents.as_deref())
        .map_err(|message| error(Code::BadOption, format!("--input-value: {message}")))?;
    let ty = tensor.ty();
    Ok((Constant { tensor: Arc::new(tensor) }.into(), ty, dtype))
}

/// What the given shapes say about named dimensions: the name means the same extent in all inputs.
fn symbols<'s>(proto: &'s GraphProto, given: &BTreeMap<String, Vec<usize>>) -> Symbols<'s> {
    let mut symbols = Symbols::new();
    for info in &proto.input {
        let Some(extents) = given.get(&info.name) else { continue };
        let shape = declared(info).and_then(|(_, shape)| shape);
        let dims = shape.map(|s| s.dim.as_slice()).unwrap_or_default();
        for (dim, &extent) in dims.iter().zip(extents) {
            if let Some(Extent::DimParam(name)) = &dim.value
                && !name.is_empty()
            {
                symbols.entry(name).or_insert(extent);
            }
        }
    }
    symbols
}

/// The type of an input. Problems have no place yet.
fn input_type(
    info: &ValueInfoProto,
    given: Option<Vec<usize>>,
    symbols: &Symbols<'_>,
) -> Result<TensorType, Box<Diagnostic>> {
    let error = |code, m: String| Diagnostic::new(code, Default::default(), m);
    let Some((element, shape)) = declared(info) else {
        return Err(error(Code::UnsupportedType, NOT_A_TENSOR.into()).into());
    };
    let dtype = tensor::dtype(element).map_err(|e| tensor_problem(e, Default::default()))?;
    let dims = match (given, shape) {
        (Some(dims), _) => dims,
        (None, Some(declared)) => static_dims(info, &declared.dim, symbols)?,
        (None, None) => {
            return Err(error(Code::DynamicShape, "the input has no shape".into())
                .help(format!("give one: --input-shape {}=1x3x32x32", info.name))
                .into());
        }
    };
    let shown = format!("{dims:?}");
    Shape::checked(dims).map(|shape| TensorType::new(dtype, shape)).ok_or_else(|| {
        error(Code::InvalidOperator, format!("the shape {shown} is not possible")).into()
    })
}

/// Named dimensions that are given have their extent. Else the first one may be open and is then 1
/// (one sample); all others must be numbers.
fn static_dims(
    info: &ValueInfoProto,
    dims: &[Dimension],
    symbols: &Symbols<'_>,
) -> Result<Vec<usize>, Box<Diagnostic>> {
    let mut out = Vec::new();
    let mut shown = Vec::new();
    let mut is_open = false;
    for (i, dim) in dims.iter().enumerate() {
        let known = match &dim.value {
            // Some exporters write 0 for the open batch; behind it, it means no elements.
            Some(Extent::DimValue(n)) => {
                usize::try_from(*n).ok().filter(|&n| n > 0 || i > 0 || dims.len() == 1)
            }
            Some(Extent::DimParam(name)) => symbols.get(name.as_str()).copied(),
            _unknown => None,
        };
        let extent = known.or((i == 0 && dims.len() > 1).then_some(1));
        is_open |= extent.is_none();
        shown.push(extent.map_or("?".to_string(), |n| n.to_string()));
        out.extend(extent);
    }
    if !is_open {
        return Ok(out);
    }
    let shape = shown.join("x");
    let message = format!("the input's shape {shape} is open");
    let help = format!("give it: --input-shape {}={shape} with numbers for ?", info.name);
    Err(Diagnostic::new(Code::DynamicShape, Default::default(), message).help(help).into())
}

#[cfg(test)]
mod tests {
    use crate::format::ReadOptions;
    use crate::format::onnx::testing::models::{floats, graph, input, model, node, output};
    use onnx_protobuf::tensor_shape_proto::dimension;
    use onnx_protobuf::{Message, ValueInfoProto, type_proto};
    use std::collections::BTreeMap;

    /// An input whose extents of 0 are named `T`.
    fn open(name: &str, shape: &[usize]) -> ValueInfoProto {
        let mut info = input(name, shape);
        if let Some(type_proto::Value::TensorType(t)) =
            info.type_.as_mut().and_then(|t| t.value.as_mut())
        {
            for dim in t.shape.as_mut().into_iter().flat_map(|s| &mut s.dim) {
                if dim.value == Some(dimension::Value::DimValue(0)) {
                    dim.value = Some(dimension::Value::DimParam("T".into()));
                }
            }
        }
        info
    }

    #[test]
    fn a_named_extent_given_for_one_input_holds_for_all() {
        let inputs = vec![open("a", &[2, 0]), open("b", &[0, 0, 3])];
        let nodes = vec![node("Neg", &["a"], &["y"]), node("Neg", &["b"], &["z"])];
        let m = model(17, graph(nodes, inputs, vec![output("y"), output("z")]));
        let bytes = m.write_to_bytes().expect("serialises");
        let read = |shapes: &[(&str, &[usize])]| {
            let pair = |(name, dims): &(&str, &[usize])| ((*name).to_string(), dims.to_vec());
            let input_shapes: BTreeMap<_, _> = shapes.iter().map(pair).collect();
            let options = ReadOptions { input_shapes, ..ReadOptions::default() };
            crate::format::read(&bytes, &options).map_err(|e| e.to_string()).map(|graph| {
                let shape =
                    |v: &crate::graph::ValueId| graph.value(*v).map(|v| v.ty.shape.0.clone());
                graph.outputs().iter().filter_map(shape).collect::<Vec<_>>()
            })
        };
        assert_eq!(read(&[("a", &[2, 5])]), Ok(vec![vec![2, 5], vec![5, 5, 3]]));
        assert_eq!(read(&[("b", &[1, 7, 3])]).expect("reads")[0], [2, 1]);
        let message = read(&[]).expect_err("open");
        assert!(
            message.contains("help: give it: --input-shape a=2x? with numbers for ?"),
            "{message}"
        );
    }

    #[test]
    fn an_input_is_listed_once() {
        let inputs = vec![open("x", &[2]), open("x", &[3])];
        let m = model(17, graph(vec![node("Neg", &["x"], &["y"])], inputs, vec![output("y")]));
        let message = crate::format::onnx::testing::models::read(&m).expect_err("twice");
        assert_eq!(message, "error[TCC0102]: tensor \"x\": the input is listed twice");
        // A constant among the inputs stays a constant, however often.
        let inputs = vec![open("x", &[2]), open("k", &[2]), open("k", &[2])];
        let mut g = graph(vec![node("Add", &["x", "k"], &["y"])], inputs, vec![output("y")]);
        g.initializer.push(floats("k", &[2], &[1.0, 2.0]));
        assert!(crate::format::onnx::testing::models::read(&model(17, g)).is_ok());
    }
}
