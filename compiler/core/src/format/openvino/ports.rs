//! Inputs and outputs of the file: their names, which are those of the source as far as XML holds them and
//! unique, and the types callers see. Names of the other layers as well.

use super::emit::Emitter;
use super::file::{Elem, Wire};
use super::held::Held;
use super::{Version, place, xml};
use crate::diagnostic::Diagnostics;
use crate::graph::{Graph, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// An input or output as a program that loads the file finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePort {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub elem: Elem,
}

/// Names a layer that has no name yet.
pub fn set_name(e: &mut Emitter<'_>, layer: usize, name: &str) {
    if let Some(layer) = e.network.layers.get_mut(layer)
        && layer.name.is_none()
        && !name.is_empty()
    {
        layer.name = Some(xml::clean(name));
    }
}

/// The layer a value ends in bears the value's name, when the operator made it.
pub fn name_result(e: &mut Emitter<'_>, from: usize, held: &Held, name: &str) {
    if let Held::Tensor { wire, .. } = held
        && wire.port.layer >= from
    {
        set_name(e, wire.port.layer, name);
    }
}

/// The other layers of an operator: value/Type.
pub fn name_rest(e: &mut Emitter<'_>, from: usize, name: &str) {
    for layer in e.network.layers.iter_mut().skip(from).filter(|l| l.name.is_none()) {
        layer.name = Some(xml::clean(&format!("{name}/{}", layer.kind)));
    }
}

/// Results. Version 10 calls an output by the name of the layer it comes from, so that one gets the
/// output's name, whatever it was called before, and no two outputs share a layer.
///
/// # Errors
/// An output the file cannot hold.
pub fn outputs(
    e: &mut Emitter<'_>,
    graph: &Graph,
    values: &BTreeMap<ValueId, Held>,
) -> Result<(), Diagnostics> {
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut results: Vec<(Wire, String)> = Vec::new();
    for (output, name) in graph.named_outputs() {
        let Some(held) = values.get(&output) else { continue };
        let failed = |error| Diagnostics::from(place(error, graph, output.node));
        let mut wire = held.materialised(e).map_err(failed)?;
        let (kind, many) = e
            .network
            .layers
            .get(wire.port.layer)
            .map_or(("", false), |l| (l.kind, l.outputs.len() > 1));
        let is_shared =
            many || matches!(kind, "Parameter" | "Const") || taken.contains(&wire.port.layer);
        if is_shared {
            wire = e.reshape_always(&wire, &wire.dims.clone());
        }
        taken.insert(wire.port.layer);
        results.push((wire, xml::clean(name)));
    }
    let names: BTreeSet<&String> = results.iter().map(|(_, name)| name).collect();
    for (i, layer) in e.network.layers.iter_mut().enumerate() {
        // Another layer of that name, for example the same value in channels-first order, gives way.
        if layer.kind != "Parameter"
            && !taken.contains(&i)
            && let Some(name) = layer.name.as_ref().filter(|name| names.contains(name))
        {
            layer.name = Some(format!("{name}/{}", layer.kind));
        }
    }
    for (wire, name) in &results {
        if let Some(layer) = e.network.layers.get_mut(wire.port.layer) {
            layer.name = Some(name.clone());
        }
    }
    for (wire, name) in results {
        let result = e.layer(("Result", 1), Vec::new(), &[&wire], Vec::new());
        set_name(e, result, &format!("{name}/Result"));
    }
    Ok(())
}

/// Names of inputs and outputs stay; of the others, all but the first of a name get a number. So do inputs
/// and outputs whose names only differ in what XML does not hold, after all those that keep theirs.
pub fn unique_names(e: &mut Emitter<'_>) {
    let layers = &mut e.network.layers;
    let ports: BTreeSet<usize> = layers
        .iter()
        .enumerate()
        .filter_map(|(i, l)| match l.kind {
            "Parameter" => Some(i),
            "Result" => l.inputs.first().map(|w| w.port.layer),
            _other => None,
        })
        .collect();
    let wanted: Vec<String> = layers
        .iter_mut()
        .map(|l| l.name.take().filter(|n| !n.is_empty()).unwrap_or_else(|| l.kind.into()))
        .collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let is_first = |&&i: &&usize| wanted.get(i).is_some_and(|name| used.insert(name.clone()));
    let firsts: BTreeSet<usize> = ports.iter().filter(is_first).copied().collect();
    let others = (0..wanted.len()).filter(|i| !ports.contains(i));
    let order = ports.difference(&firsts).copied().chain(others);
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    for (i, wanted) in order.filter_map(|i| wanted.get(i).map(|name| (i, name))) {
        let mut name = wanted.clone();
        let mut number = 1;
        while !used.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        names.insert(i, name);
    }
    for (i, (layer, wanted)) in layers.iter_mut().zip(wanted).enumerate() {
        layer.name = Some(names.remove(&i).unwrap_or(wanted));
    }
}

/// Inputs and outputs, once the names are settled.
pub fn list(e: &Emitter<'_>) -> (Vec<FilePort>, Vec<FilePort>) {
    let layers = &e.network.layers;
    let name = |i: usize| layers.get(i).and_then(|l| l.name.clone()).unwrap_or_default();
    let inputs = layers.iter().enumerate().filter(|(_, l)| l.kind == "Parameter");
    let inputs =
        inputs.filter_map(|(i, l)| Some(FilePort { name: name(i), elem: l.outputs.first()?.0 }));
    let results = layers.iter().filter(|l| l.kind == "Result").filter_map(|l| l.inputs.first());
    let outputs = results
        .map(|w| FilePort { name: name(w.port.layer), elem: seen(w.elem, e.options.version) });
    (inputs.collect(), outputs.collect())
}

/// The type of an output: version 10 knows float32 and int32 there.
fn seen(elem: Elem, version: Version) -> Elem {
    match (version, elem) {
        (Version::V10, Elem::I64 | Elem::I32) => Elem::I32,
        (Version::V10, Elem::F16 | Elem::F32 | Elem::I8 | Elem::U8 | Elem::Bool) => Elem::F32,
        (Version::V11, _) => elem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Origin;
    use crate::format::openvino::{WriteOptions, validate, write};
    use crate::graph::Value;
    use crate::op::{Input, Neg, Op};
    use crate::tensor::{DType, TensorType};

    /// Inputs and outputs of these names, one from the other by turns.
    fn graph(inputs: &[&str], outputs: &[&str], dtype: DType) -> Graph {
        let mut graph = Graph::new();
        let value = |name: &str| Value {
            name: name.into(),
            ty: TensorType::new(dtype, [2, 3].as_slice().into()),
            quant: None,
        };
        let mut add = |name: &&str| {
            let value = value(name);
            let input = Input { ty: value.ty.clone() };
            graph.add(input.into(), vec![value], Origin::default()).result(0)
        };
        let inputs: Vec<ValueId> = inputs.iter().map(&mut add).collect();
        let mut ends = Vec::new();
        for (i, name) in outputs.iter().enumerate() {
            let x = inputs[i % inputs.len()];
            let y = if dtype == DType::F32 {
                graph.add_with(Op::from(Neg), &[x], vec![value(name)], Origin::default()).result(0)
            } else {
                x
            };
            ends.push(y);
        }
        graph.set_outputs(ends);
        graph
    }

    #[test]
    fn names_that_become_alike_stay_apart_and_are_told() {
        let graph = graph(&["a\n", "a\t", "b"], &["y_2", "y\u{1}", "y_", "y_"], DType::F32);
        for version in [Version::V10, Version::V11] {
            let provenance = [("source".to_string(), "net\u{1}\n.onnx".to_string())].into();
            let name = "net\u{2}".to_string();
            let options = WriteOptions { version, provenance, name, ..WriteOptions::default() };
            let files = write(&graph, &options).expect("writes");
            let names =
                |ports: &[FilePort]| ports.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
            assert_eq!(names(&files.inputs), ["a_", "a__2", "b"]);
            assert_eq!(names(&files.outputs), ["y_2", "y_", "y__2", "y__3"]);
            assert_eq!(validate::validate(&files.xml, &files.bin), Vec::<String>::new());
            let text = String::from_utf8(files.xml).expect("text");
            for name in names(&files.outputs) {
                assert!(text.contains(&format!("name=\"{name}\" type=\"Negative\"")), "{text}");
            }
            assert!(!text.contains(['\u{1}', '\u{2}']) && text.contains("net__.onnx"), "{text}");
        }
    }

    #[test]
    fn types_are_those_that_callers_see() {
        let types = |dtype, version| {
            let options = WriteOptions { version, ..WriteOptions::default() };
            let files = write(&graph(&["x"], &["y"], dtype), &options).expect("writes");
            (files.inputs[0].elem, files.outputs[0].elem)
        };
        assert_eq!(types(DType::Bool, Version::V10), (Elem::Bool, Elem::F32));
        assert_eq!(types(DType::I64, Version::V10), (Elem::I64, Elem::I32));
        assert_eq!(types(DType::Bool, Version::V11), (Elem::Bool, Elem::Bool));
        assert_eq!(types(DType::I64, Version::V11), (Elem::I64, Elem::I64));
    }
}
