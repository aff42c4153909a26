//! Tensor data that a model keeps in other files. Which files those are and what the tensors take of
//! them is said here; reading them, and from which folders, is the shell's part.

use super::message::open;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::format::ExternalFiles;
use onnx_protobuf::tensor_proto::DataLocation;
use onnx_protobuf::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use std::collections::BTreeSet;

/// Several tensors may name the same bytes, but not so that a small file fills the memory.
const MAX_SHARED: usize = 4;

/// The names of the files that a model's tensors are in, as the model has them: nothing is known
/// about them, they may be any text. None for a file that is no model, which [`crate::format::read`] reports.
#[must_use]
pub fn external_files(bytes: &[u8]) -> Vec<String> {
    let Ok(mut model) = open(bytes, &Origin::default()) else { return Vec::new() };
    let mut names = BTreeSet::new();
    each_tensor(&mut model, &mut |tensor| {
        names.extend(entry(tensor, "location").map(ToString::to_string));
    });
    names.into_iter().collect()
}

/// Puts the data of the files into the tensors. Problems: a file is not there, or a tensor takes more
/// of it than it has. Those tensors stay external, and reading them fails.
pub fn embed(model: &mut ModelProto, files: &ExternalFiles, file: &Origin) -> Diagnostics {
    let mut problems = Diagnostics::default();
    let given: usize = files.values().flatten().map(|bytes| bytes.len()).sum();
    let mut left = given.saturating_mul(MAX_SHARED);
    each_tensor(model, &mut |tensor| {
        let is_external = tensor.data_location.enum_value_or_default() == DataLocation::EXTERNAL;
        if !is_external && tensor.external_data.is_empty() {
            return;
        }
        match data(tensor, files, &mut left) {
            Ok(bytes) => {
                tensor.raw_data = bytes;
                tensor.external_data.clear();
                tensor.data_location = DataLocation::DEFAULT.into();
            }
            Err(problem) => {
                tensor.data_location = DataLocation::EXTERNAL.into();
                let origin = Origin { tensor: tensor.name.clone(), ..file.clone() };
                problems.push(Diagnostic { origin, ..*problem });
            }
        }
    });
    problems
}

/// The bytes of a tensor. A problem has no place yet.
fn data(
    tensor: &TensorProto,
    files: &ExternalFiles,
    left: &mut usize,
) -> Result<Vec<u8>, Box<Diagnostic>> {
    let error = |code, m: String| Box::new(Diagnostic::new(code, Origin::default(), m));
    let malformed = |m: String| error(Code::MalformedModel, m);
    let location = entry(tensor, "location")
        .ok_or_else(|| malformed("its data is in another file that is not named".into()))?;
    let bytes = match files.get(location) {
        Some(Ok(bytes)) => bytes,
        missing => {
            let reason = match missing {
                Some(Err(reason)) => reason.as_str(),
                _not_given => "the file is not given",
            };
            let message = format!("its data is in \"{location}\": {reason}");
            let mut problem = error(Code::ExternalData, message);
            problem.help =
                "keep the file in the model's folder, or save the model with its weights \
                            inside: onnx.save(onnx.load(path), new_path)"
                    .into();
            return Err(problem);
        }
    };
    let number = |key: &str| match entry(tensor, key) {
        None => Ok(None),
        Some(text) => text
            .parse::<usize>()
            .map(Some)
            .map_err(|_| malformed(format!("the {key} \"{text}\" of its data is no number"))),
    };
    let start = number("offset")?.unwrap_or(0);
    let end = match number("length")? {
        Some(length) => start.checked_add(length),
        None => Some(bytes.len()),
    };
    let part = end.and_then(|end| bytes.get(start..end)).ok_or_else(|| {
        malformed(format!("\"{location}\" has {} bytes, fewer than its data needs", bytes.len()))
    })?;
    *left = left.checked_sub(part.len()).ok_or_else(|| {
        malformed(format!("the tensors take more than {MAX_SHARED} times what the files have"))
    })?;
    Ok(part.to_vec())
}

fn entry<'t>(tensor: &'t TensorProto, key: &str) -> Option<&'t str> {
    tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str())
}

/// Every tensor of a model: constants of its graphs and attributes of all nodes.
fn each_tensor(model: &mut ModelProto, f: &mut dyn FnMut(&mut TensorProto)) {
    if let Some(graph) = model.graph.as_mut() {
        in_graph(graph, f);
    }
    for function in &mut model.functions {
        in_attributes(&mut function.attribute_proto, f);
        in_nodes(&mut function.node, f);
    }
}

fn in_graph(graph: &mut GraphProto, f: &mut dyn FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *f);
    in_nodes(&mut graph.node, f);
}

fn in_nodes(nodes: &mut [NodeProto], f: &mut dyn FnMut(&mut TensorProto)) {
    nodes.iter_mut().for_each(|node| in_attributes(&mut node.attribute, f));
}

fn in_attributes(attributes: &mut [AttributeProto], f: &mut dyn FnMut(&mut TensorProto)) {
    for attribute in attributes {
        attribute.t.as_mut().into_iter().chain(&mut attribute.tensors).for_each(&mut *f);
        for graph in attribute.g.as_mut().into_iter().chain(&mut attribute.graphs) {
            in_graph(graph, f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ReadOptions;
    use crate::format::onnx::testing::models::{floats, graph, input, model, node, output};
    use onnx_protobuf::{Message, StringStringEntryProto};
    use std::sync::Arc;

    /// `y = x + w`, the weights in `w.bin`.
    fn outside(entries: &[(&str, &str)]) -> Vec<u8> {
        let add = node("Add", &["x", "w"], &["y"]);
        let mut g = graph(vec![add], vec![input("x", &[2])], vec![output("y")]);
        let mut w = floats("w", &[2], &[]);
        w.data_location = DataLocation::EXTERNAL.into();
        let pair = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: (*key).into(),
            value: (*value).into(),
            ..StringStringEntryProto::default()
        };
        w.external_data = entries.iter().map(pair).collect();
        g.initializer = vec![w];
        model(17, g).write_to_bytes().expect("serialises")
    }

    fn read(entries: &[(&str, &str)], file: Result<usize, &str>) -> Result<Vec<f32>, String> {
        let bytes = outside(entries);
        assert_eq!(external_files(&bytes), ["w.bin"]);
        let data: Vec<u8> = [1.0f32, 2.0, 4.0].iter().flat_map(|f| f.to_le_bytes()).collect();
        let file = file.map(|n| Arc::from(&data[..n])).map_err(ToString::to_string);
        let external = ExternalFiles::from([("w.bin".to_string(), file)]);
        let options = ReadOptions { external, ..ReadOptions::default() };
        let graph = crate::format::read(&bytes, &options).map_err(|e| e.to_string())?;
        let x = crate::Tensor::new([2].as_slice().into(), crate::TensorData::F32(vec![0.5; 2]));
        let y = crate::evaluate::run(&graph, &[x.expect("fits")]).map_err(|e| e.to_string())?;
        Ok(y[0].as_f32().expect("floats").to_vec())
    }

    #[test]
    fn data_comes_from_the_files() {
        let w = ("location", "w.bin");
        assert_eq!(read(&[w], Ok(8)), Ok(vec![1.5, 2.5]));
        let part = [w, ("offset", "4"), ("length", "8"), ("checksum", "x")];
        assert_eq!(read(&part, Ok(12)), Ok(vec![2.5, 4.5]));
        for (entries, file, says) in [
            (&[w][..], Ok(12), "it has 3 elements, its shape needs 2"),
            (&[w], Err("there is no such file"), "its data is in \"w.bin\": there is no such file"),
            (&[w, ("length", "9")], Ok(8), "\"w.bin\" has 8 bytes, fewer than its data needs"),
            (&[w, ("offset", "18446744073709551615"), ("length", "8")], Ok(8), "fewer than"),
            (&[w, ("offset", "-4")], Ok(8), "the offset \"-4\" of its data is no number"),
        ] {
            let message = read(entries, file).expect_err(says);
            assert!(message.contains(says) && message.contains("tensor \"w\""), "{message}");
        }
    }

    #[test]
    fn what_else_is_wrong_is_said_too() {
        let bytes = outside(&[("location", "w.bin")]);
        let mut m = ModelProto::parse_from_bytes(&bytes).expect("a model");
        let g = m.graph.as_mut().expect("a graph");
        g.node.push(node("Nobody", &["y"], &["z"]));
        let turned = crate::format::onnx::testing::models::ints("perm", &[3]);
        let turn = node("Transpose", &["x"], &["t"]);
        g.node.push(crate::format::onnx::testing::models::attribute(turn, turned));
        let mut inside = node("Constant", &[], &["k"]);
        let mut value = AttributeProto { name: "value".into(), ..AttributeProto::default() };
        value.type_ = onnx_protobuf::attribute_proto::AttributeType::TENSOR.into();
        value.t = Some(TensorProto { name: "k".into(), ..g.initializer[0].clone() }).into();
        inside.attribute.push(value);
        g.node.push(inside);
        let message = crate::format::onnx::testing::models::read(&m).expect_err("several");
        let all: Vec<&str> = message.lines().filter(|l| l.starts_with("error")).collect();
        assert_eq!(all.len(), 3, "{message}");
        assert!(all[0].contains("operator Nobody"), "{message}");
        assert!(all[1].contains("is not given (2 tensors: \"w\", \"k\")"), "{message}");
        assert!(all[2].contains("node 2 Transpose"), "{message}");
    }

    #[test]
    fn files_that_are_not_given_are_named() {
        let bytes = outside(&[("location", "w.bin")]);
        let message = crate::format::read(&bytes, &ReadOptions::default()).expect_err("absent");
        assert!(message.to_string().contains("\"w.bin\": the file is not given"), "{message}");
        assert!(external_files(b"no model").is_empty());
    }
}
