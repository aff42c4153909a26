//! Outputs of the model: their names, and what the file declares about them against what was computed.

use super::inputs::declared;
use super::read::Reader;
use super::scope::{Entry, Scope};
use super::tensor;
use crate::diagnostic::{Code, quoted};
use crate::graph::{Value, ValueId};
use crate::op::{Op, Reshape};
use crate::tensor::{Shape, TensorType};
use onnx_protobuf::tensor_shape_proto::dimension::Value as Extent;
use onnx_protobuf::{GraphProto, TensorShapeProto, ValueInfoProto};

/// Characters of a name in a note.
const SHOWN: usize = 120;

/// Finds the outputs of the main graph.
pub fn read(reader: &mut Reader<'_>, proto: &GraphProto, scope: &Scope<'_>) {
    let mut outputs = Vec::new();
    for output in &proto.output {
        match scope.get(&output.name) {
            Some(Entry::Value(value)) => {
                let value = named(reader, value, &output.name, &outputs);
                compare(reader, output, value, scope);
                outputs.push(value);
            }
            Some(Entry::Refused) => {}
            Some(Entry::Absent) | None => {
                let message = format!("output \"{}\" is computed by no node", output.name);
                reader.problem(Code::MalformedModel, scope.origin().clone(), message);
            }
        }
    }
    if outputs.is_empty() && reader.problems.0.is_empty() {
        let message = "the model has no outputs";
        reader.problem(Code::MalformedModel, scope.origin().clone(), message);
    }
    reader.graph.set_outputs(outputs);
}

/// The value under the output's own name, which an Identity may have given it besides another. An
/// input, a constant or an output of another name needs a value of its own for that.
fn named(reader: &mut Reader<'_>, value: ValueId, name: &str, before: &[ValueId]) -> ValueId {
    let Some(node) = reader.graph.get(value.node) else { return value };
    let is_port = matches!(node.op, Op::Input(_) | Op::Constant(_)) || before.contains(&value);
    let origin = node.origin.clone();
    let Some(known) = reader.graph.value_mut(value).filter(|v| v.name != name) else {
        return value;
    };
    if !is_port {
        known.name = name.to_string();
        return value;
    }
    let other = Value { name: name.to_string(), ..known.clone() };
    let alias = Reshape { shape: other.ty.shape.clone() };
    reader.graph.add_with(alias.into(), &[value], vec![other], origin).result(0)
}

/// As onnxruntime takes it: another element type is an error, another shape is worth a note, because
/// tools that change the batch often forget it here.
fn compare(reader: &mut Reader<'_>, info: &ValueInfoProto, value: ValueId, scope: &Scope<'_>) {
    let kind = info.type_.as_ref().and_then(|t| t.value.as_ref());
    let Some((element, shape)) = declared(info) else {
        if kind.is_some() {
            let message = "the output is declared as a sequence, map or optional, but is a tensor";
            reader.problem(Code::InvalidOperator, scope.tensor(&info.name), message);
        }
        return;
    };
    let Some(ty) = reader.graph.value(value).map(|v| v.ty.clone()) else { return };
    if element != 0 && tensor::dtype(element).ok() != Some(ty.dtype) {
        let wanted = tensor::type_name(element).to_lowercase();
        let wanted = tensor::dtype(element).map_or(wanted, |d| d.to_string());
        let message =
            format!("the output is declared as {wanted}, but what is computed is {}", ty.dtype);
        return reader.problem(Code::InvalidOperator, scope.tensor(&info.name), message);
    }
    // The options change shapes, and nobody the declarations.
    let is_as_declared =
        reader.options.input_shapes.is_empty() && reader.options.nms_rows.is_none();
    if let Some(shape) = shape.filter(|shape| is_as_declared && !fits(shape, &ty.shape)) {
        reader.graph.note(note(info, shape, &ty));
    }
}

/// Numbers in the declaration must be those of the shape; some exporters write 0 for what is open.
fn fits(declared: &TensorShapeProto, shape: &Shape) -> bool {
    let known = declared.dim.iter().map(|d| match &d.value {
        Some(Extent::DimValue(n)) => usize::try_from(*n).ok().filter(|&n| n > 0),
        _open => None,
    });
    declared.dim.len() == shape.rank()
        && known.zip(&shape.0).all(|(known, &extent)| known.is_none_or(|n| n == extent))
}

fn note(info: &ValueInfoProto, declared: &TensorShapeProto, ty: &TensorType) -> String {
    let extent = |d: &onnx_protobuf::tensor_shape_proto::Dimension| match &d.value {
        Some(Extent::DimValue(n)) => n.to_string(),
        _open => "?".to_string(),
    };
    let extents: Vec<String> = declared.dim.iter().map(extent).collect();
    let extents = if extents.is_empty() { "scalar".to_string() } else { extents.join("x") };
    let name = quoted(&info.name, SHOWN);
    format!("output {name} is declared with the shape {extents}, but is {}", ty.shape)
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::models::{
        attribute, graph, input, int, model, node, output, read,
    };
    use onnx_protobuf::{ModelProto, ValueInfoProto, type_proto};

    fn casts(to: ValueInfoProto) -> ModelProto {
        let cast = attribute(node("Cast", &["x"], &["y"]), int("to", 6));
        model(17, graph(vec![cast], vec![input("x", &[2, 3])], vec![to]))
    }

    #[test]
    fn another_element_type_is_an_error() {
        assert!(read(&casts(output("y"))).is_ok());
        let message = read(&casts(input("y", &[2, 3]))).expect_err("float32");
        assert_eq!(
            message,
            "error[TCC0301]: tensor \"y\": the output is declared as float32, but what is computed \
             is int32"
        );
    }

    #[test]
    fn an_output_is_a_tensor() {
        let mut info = output("y");
        let mut ty = onnx_protobuf::TypeProto::default();
        ty.set_sequence_type(onnx_protobuf::type_proto::Sequence::default());
        info.type_ = Some(ty).into();
        let message = read(&casts(info)).expect_err("a sequence");
        assert!(message.contains("declared as a sequence"), "{message}");
    }

    #[test]
    fn another_shape_is_a_note() {
        let int32 = |shape: &[usize]| {
            let mut info = input("y", shape);
            if let Some(type_proto::Value::TensorType(t)) =
                info.type_.as_mut().and_then(|t| t.value.as_mut())
            {
                t.elem_type = 6;
            }
            info
        };
        let notes = |shape: &[usize]| read(&casts(int32(shape))).expect("reads").notes().to_vec();
        assert!(notes(&[2, 3]).is_empty() && notes(&[0, 3]).is_empty());
        assert_eq!(notes(&[7, 3]), ["output \"y\" is declared with the shape 7x3, but is 2x3"]);
        assert_eq!(notes(&[6]), ["output \"y\" is declared with the shape 6, but is 2x3"]);
    }
}
