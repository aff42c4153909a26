//! The XML of a file, as far as the checks need it. Elements and attributes that are not known are
//! problems: a reader would ignore them silently.

use crate::format::openvino::file::Elem;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;
use std::collections::BTreeMap;

/// A port of a layer.
#[derive(Clone, Debug)]
pub struct Port {
    pub id: u64,
    pub elem: Elem,
    pub dims: Vec<usize>,
    pub names: Option<String>,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    pub id: u64,
    pub name: String,
    pub kind: String,
    pub opset: String,
    pub data: BTreeMap<String, String>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// A file: layers in order, edges as (layer, port) to (layer, port).
#[derive(Clone, Debug, Default)]
pub struct Net {
    pub version: u64,
    pub layers: Vec<Layer>,
    pub edges: Vec<((u64, u64), (u64, u64))>,
}

type Attributes = BTreeMap<String, String>;

fn attributes(element: &BytesStart<'_>) -> Result<Attributes, String> {
    let mut found = Attributes::new();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let key = attribute.key.as_ref().to_string();
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Explicit1_0)
            .map_err(|e| e.to_string())?;
        found.insert(key, value.into_owned());
    }
    Ok(found)
}

fn take(attributes: &Attributes, key: &str) -> Result<String, String> {
    attributes.get(key).cloned().ok_or_else(|| format!("an element without {key}: {attributes:?}"))
}

fn number(attributes: &Attributes, key: &str) -> Result<u64, String> {
    let text = take(attributes, key)?;
    text.parse().map_err(|_| format!("{key}=\"{text}\" is no number"))
}

/// Reads a file.
///
/// # Errors
/// Text that is not XML, or not of the form of a network.
pub fn parse(xml: &[u8]) -> Result<Net, String> {
    let text = std::str::from_utf8(xml).map_err(|e| e.to_string())?;
    let mut reader = Reader::from_str(text);
    let mut net = Net::default();
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(e) => {
                path.push(e.name().as_ref().to_string());
                element(&mut net, &path, &attributes(&e)?)?;
            }
            Event::Empty(e) => {
                path.push(e.name().as_ref().to_string());
                element(&mut net, &path, &attributes(&e)?)?;
                path.pop();
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(t) => {
                let text = t.xml10_content();
                if path.last().is_some_and(|p| p == "dim") {
                    dimension(&mut net, &path, text.trim())?;
                }
            }
            Event::Eof => break,
            Event::Decl(_)
            | Event::Comment(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::CData(_)
            | Event::GeneralRef(_) => {}
        }
    }
    if path.is_empty() { Ok(net) } else { Err(format!("the file ends inside {path:?}")) }
}

fn element(net: &mut Net, path: &[String], a: &Attributes) -> Result<(), String> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["net"] => net.version = number(a, "version")?,
        ["net", "layers", "layer"] => net.layers.push(Layer {
            id: number(a, "id")?,
            name: take(a, "name")?,
            kind: take(a, "type")?,
            opset: take(a, "version")?,
            data: BTreeMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        }),
        ["net", "layers", "layer", "data"] => last(net)?.data.clone_from(a),
        ["net", "layers", "layer", side @ ("input" | "output"), "port"] => {
            let precision = take(a, "precision")?;
            let elem = Elem::ALL.into_iter().find(|e| e.precision() == precision);
            let elem = elem.ok_or_else(|| format!("unknown precision {precision}"))?;
            let port = Port {
                id: number(a, "id")?,
                elem,
                dims: Vec::new(),
                names: a.get("names").cloned(),
            };
            let layer = last(net)?;
            if *side == "input" { layer.inputs.push(port) } else { layer.outputs.push(port) }
        }
        ["net", "edges", "edge"] => {
            let from = (number(a, "from-layer")?, number(a, "from-port")?);
            net.edges.push((from, (number(a, "to-layer")?, number(a, "to-port")?)));
        }
        ["net", "layers" | "edges"]
        | ["net", "rt_info", ..]
        | ["net", "layers", "layer", "input" | "output"]
        | ["net", "layers", "layer", "rt_info", ..]
        | ["net", "layers", "layer", "input" | "output", "port", "dim"] => {}
        unknown => return Err(format!("unknown element {unknown:?}")),
    }
    Ok(())
}

fn last(net: &mut Net) -> Result<&mut Layer, String> {
    net.layers.last_mut().ok_or_else(|| "an element outside of a layer".to_string())
}

fn dimension(net: &mut Net, path: &[String], text: &str) -> Result<(), String> {
    let extent = text.parse().map_err(|_| format!("the extent \"{text}\" is no number"))?;
    let is_input = path.iter().any(|p| p == "input");
    let layer = last(net)?;
    let ports = if is_input { &mut layer.inputs } else { &mut layer.outputs };
    let port = ports.last_mut().ok_or_else(|| "an extent outside of a port".to_string())?;
    port.dims.push(extent);
    Ok(())
}
