//! Reads a file back and checks it, knowing nothing of how it was written: layers and ports, edges,
//! constants inside the weights file, operators that the stick's reader knows, shapes that follow from
//! the operands, names that do not collide.
//!
//! `parse` is the XML, `opsets` the operators, `shape` what follows from operands.

mod opsets;
mod parse;
mod shape;

use super::file::Elem;
use parse::{Layer, Net};
use std::collections::{BTreeMap, BTreeSet};

/// Older releases look for the element `net` in this many bytes.
const HEADER: usize = 512;

/// Checks the two files; all problems at once, an empty list when there are none.
#[must_use]
pub fn validate(xml: &[u8], bin: &[u8]) -> Vec<String> {
    let net = match parse::parse(xml) {
        Ok(net) => net,
        Err(problem) => return vec![problem],
    };
    let mut check = Check { net: &net, bin, problems: Vec::new() };
    check.header(xml);
    check.layers();
    check.edges();
    check.names();
    check.types();
    check.problems
}

/// A result of a layer: layer id, port id.
type Place = (u64, u64);

struct Check<'a> {
    net: &'a Net,
    bin: &'a [u8],
    problems: Vec<String>,
}

impl Check<'_> {
    fn problem(&mut self, layer: Option<&Layer>, what: impl AsRef<str>) {
        let place = layer
            .map(|l| format!("layer {} {} \"{}\": ", l.id, l.kind, l.name))
            .unwrap_or_default();
        self.problems.push(format!("{place}{}", what.as_ref()));
    }

    fn header(&mut self, xml: &[u8]) {
        if !matches!(self.net.version, 10 | 11) {
            let version = self.net.version;
            self.problem(None, format!("version {version}"));
        }
        let head = xml.get(..HEADER.min(xml.len())).unwrap_or_default();
        if !head.windows(4).any(|w| w == b"<net") {
            self.problem(None, "<net is not within the first 512 bytes");
        }
    }

    /// Each layer on its own: known operator, its attributes, port numbers, a name of its own.
    fn layers(&mut self) {
        let mut ids = BTreeSet::new();
        for layer in &self.net.layers {
            if !ids.insert(layer.id) {
                self.problem(Some(layer), "the id occurs twice");
            }
            match opsets::attributes(&layer.kind, &layer.opset) {
                None => {
                    let opset = &layer.opset;
                    self.problem(
                        Some(layer),
                        format!("{opset} does not have it, or is beyond opset7"),
                    );
                }
                Some(known) => {
                    let has: Vec<&str> = layer.data.keys().map(String::as_str).collect();
                    if has.iter().any(|a| !known.contains(a)) || has.len() != known.len() {
                        self.problem(
                            Some(layer),
                            format!("attributes {has:?} instead of {known:?}"),
                        );
                    }
                }
            }
            let ports = layer.inputs.iter().chain(&layer.outputs).map(|p| p.id);
            if !ports.eq(0..(layer.inputs.len() + layer.outputs.len()) as u64) {
                self.problem(Some(layer), "ports are not numbered from 0, inputs before outputs");
            }
            let ends_in_results = layer.outputs.is_empty() == (layer.kind == "Result");
            if !ends_in_results {
                self.problem(Some(layer), "a Result has no outputs, any other layer has some");
            }
            if layer.kind == "Const" {
                self.constant(layer);
            }
        }
    }

    fn constant(&mut self, layer: &Layer) {
        let number = |key: &str| layer.data.get(key).and_then(|v| v.parse::<usize>().ok());
        let (Some(offset), Some(size), Some(out)) =
            (number("offset"), number("size"), layer.outputs.first())
        else {
            return self.problem(Some(layer), "a constant without offset and size");
        };
        let needed = out.dims.iter().product::<usize>().saturating_mul(out.elem.size());
        let shape = shape::numbers(layer.data.get("shape").map_or("", String::as_str));
        if shape.as_deref() != Some(out.dims.as_slice()) {
            self.problem(Some(layer), "the attribute shape is not that of the port");
        }
        if layer.data.get("element_type").map(String::as_str) != Some(out.elem.attribute()) {
            self.problem(Some(layer), "the attribute element_type is not that of the port");
        }
        if size != needed {
            self.problem(Some(layer), format!("{size} bytes instead of {needed}"));
        }
        if offset.checked_add(size).is_none_or(|end| end > self.bin.len()) {
            let len = self.bin.len();
            self.problem(Some(layer), format!("{offset}+{size} lies outside of the {len} bytes"));
        }
    }

    /// Every input has one source of its shape and precision, made by a layer before it.
    fn edges(&mut self) {
        let mut known: BTreeMap<Place, (&Vec<usize>, Elem)> = BTreeMap::new();
        let mut wanted: BTreeMap<Place, Place> = BTreeMap::new();
        for &(from, to) in &self.net.edges {
            if wanted.insert(to, from).is_some() {
                self.problem(None, format!("two edges end in port {} of layer {}", to.1, to.0));
            }
        }
        for layer in &self.net.layers {
            for port in &layer.inputs {
                let source = wanted.remove(&(layer.id, port.id));
                match source.map(|s| known.get(&s)) {
                    None => self.problem(Some(layer), format!("no edge ends in port {}", port.id)),
                    Some(None) => {
                        self.problem(
                            Some(layer),
                            format!("port {} is fed by no earlier layer", port.id),
                        );
                    }
                    Some(Some(&(dims, elem))) if *dims != port.dims || elem != port.elem => {
                        let what =
                            format!("port {} is not of the shape and type that feed it", port.id);
                        self.problem(Some(layer), what);
                    }
                    Some(Some(_)) => {}
                }
            }
            known.extend(layer.outputs.iter().map(|p| ((layer.id, p.id), (&p.dims, p.elem))));
        }
        for to in wanted.keys() {
            self.problem(
                None,
                format!("an edge ends in port {} of layer {}, which is no input", to.1, to.0),
            );
        }
    }

    /// Names are unique; where tensors have names, these too, and they name no other layer.
    fn names(&mut self) {
        let mut owners: BTreeMap<&str, u64> = BTreeMap::new();
        for layer in &self.net.layers {
            if layer.name.is_empty() {
                self.problem(Some(layer), "no name");
            }
            if owners.insert(&layer.name, layer.id).is_some() {
                self.problem(Some(layer), "the name occurs twice");
            }
        }
        let mut tensors = BTreeSet::new();
        for layer in &self.net.layers {
            for name in layer.outputs.iter().filter_map(|p| p.names.as_deref()) {
                let foreign = owners.get(name).is_some_and(|&id| id != layer.id);
                if foreign || !tensors.insert(name) {
                    self.problem(Some(layer), format!("the tensor name \"{name}\" collides"));
                }
            }
        }
    }

    /// Shapes and types of results follow from the operands.
    fn types(&mut self) {
        let mut constants: BTreeMap<Place, Vec<i64>> = BTreeMap::new();
        let sources: BTreeMap<Place, Place> =
            self.net.edges.iter().map(|&(from, to)| (to, from)).collect();
        for layer in &self.net.layers {
            if let Some(values) = shape::integers(layer, self.bin) {
                constants.insert((layer.id, 0), values);
            }
            let values: Vec<Option<&Vec<i64>>> = layer
                .inputs
                .iter()
                .map(|p| sources.get(&(layer.id, p.id)).and_then(|from| constants.get(from)))
                .collect();
            let declared: Vec<(Elem, Vec<usize>)> =
                layer.outputs.iter().map(|p| (p.elem, p.dims.clone())).collect();
            match shape::infer(layer, &values) {
                Err(what) => self.problem(Some(layer), what),
                Ok(inferred) if inferred != declared => {
                    self.problem(
                        Some(layer),
                        format!("results {declared:?}, but {inferred:?} follows"),
                    );
                }
                Ok(_same) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
