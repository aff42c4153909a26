//! The text of the `.xml` file. `<net` comes first and at once: older releases look for it in the first
//! 512 bytes only. Element order inside a layer is that of the official writers.

use super::file::{Layer, Network};
use quick_xml::events::{BytesDecl, BytesStart, Event};
use quick_xml::writer::Writer;
use std::io;

/// Characters XML 1.0 cannot hold, and those that end a line, become `_`.
#[must_use]
pub fn clean(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { '_' } else { c })
        .collect()
}

/// Extents as an attribute: `1,3,96,96`.
#[must_use]
pub fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The text.
///
/// # Errors
/// None is known: the text is written to memory.
pub fn print(network: &Network) -> io::Result<Vec<u8>> {
    let mut out = Writer::new_with_indent(Vec::new(), b'\t', 1);
    out.write_event(Event::Decl(BytesDecl::new("1.0", None, None)))?;
    let net = BytesStart::new("net").with_attributes([
        ("name", clean(&network.name).as_str()),
        ("version", network.version.to_string().as_str()),
    ]);
    let end = net.to_end().into_owned();
    out.write_event(Event::Start(net.clone()))?;
    out.create_element("layers").write_inner_content(|out| {
        network.layers.iter().enumerate().try_for_each(|(id, l)| layer(out, network, id, l))
    })?;
    out.create_element("edges").write_inner_content(|out| edges(out, network))?;
    out.create_element("rt_info").write_inner_content(|out| {
        network.provenance.iter().try_for_each(|(key, value)| {
            out.create_element(key.as_str())
                .with_attribute(("value", clean(value).as_str()))
                .write_empty()?;
            Ok(())
        })
    })?;
    out.write_event(Event::End(end))?;
    let mut text = out.into_inner();
    text.push(b'\n');
    Ok(text)
}

fn layer(out: &mut Writer<Vec<u8>>, network: &Network, id: usize, layer: &Layer) -> io::Result<()> {
    let attributes = [
        ("id", id.to_string()),
        ("name", layer.name.clone().unwrap_or_default()),
        ("type", layer.kind.to_string()),
        ("version", format!("opset{}", layer.opset)),
    ];
    let element = out
        .create_element("layer")
        .with_attributes(attributes.iter().map(|(k, v)| (*k, v.as_str())));
    element.write_inner_content(|out| {
        if !layer.data.is_empty() {
            let data = layer.data.iter().map(|(k, v)| (*k, v.as_str()));
            out.create_element("data").with_attributes(data).write_empty()?;
        }
        if layer.is_decompression {
            out.create_element("rt_info").write_inner_content(|out| {
                let attribute = out.create_element("attribute");
                attribute
                    .with_attributes([("name", "decompression"), ("version", "0")])
                    .write_empty()?;
                Ok(())
            })?;
        }
        ports(out, network, layer)
    })?;
    Ok(())
}

fn ports(out: &mut Writer<Vec<u8>>, network: &Network, layer: &Layer) -> io::Result<()> {
    if !layer.inputs.is_empty() {
        out.create_element("input").write_inner_content(|out| {
            let mut ports = layer.inputs.iter().enumerate();
            ports.try_for_each(|(id, w)| port(out, id, w.elem.precision(), &w.dims, None))
        })?;
    }
    if !layer.outputs.is_empty() {
        out.create_element("output").write_inner_content(|out| {
            let mut ports = layer.outputs.iter().enumerate();
            ports.try_for_each(|(k, (elem, dims))| {
                // Version 10 makes tensor names of layer names; version 11 has them here.
                let name = layer.name.as_deref().filter(|_| network.version > 10);
                // No input or output has several results; numbered names might be those of one.
                let name = name.filter(|_| layer.kind != "Const" && layer.outputs.len() == 1);
                let name = name.map(|n| n.replace(',', "\\,"));
                port(out, layer.inputs.len() + k, elem.precision(), dims, name.as_deref())
            })
        })?;
    }
    Ok(())
}

fn port(
    out: &mut Writer<Vec<u8>>,
    id: usize,
    precision: &str,
    dims: &[usize],
    name: Option<&str>,
) -> io::Result<()> {
    let id = id.to_string();
    let mut element =
        out.create_element("port").with_attributes([("id", id.as_str()), ("precision", precision)]);
    if let Some(name) = name {
        element = element.with_attribute(("names", name));
    }
    if dims.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|out| {
        dims.iter().try_for_each(|d| {
            let text = d.to_string();
            let text = quick_xml::events::BytesText::new(&text);
            out.create_element("dim").write_text_content(text)?;
            Ok(())
        })
    })?;
    Ok(())
}

fn edges(out: &mut Writer<Vec<u8>>, network: &Network) -> io::Result<()> {
    for (id, layer) in network.layers.iter().enumerate() {
        for (operand, wire) in layer.inputs.iter().enumerate() {
            let source = network.layers.get(wire.port.layer).map_or(0, |l| l.inputs.len());
            let numbers = [
                ("from-layer", wire.port.layer),
                ("from-port", source + wire.port.output),
                ("to-layer", id),
                ("to-port", operand),
            ]
            .map(|(key, n)| (key, n.to_string()));
            let attributes = numbers.iter().map(|(k, v)| (*k, v.as_str()));
            out.create_element("edge").with_attributes(attributes).write_empty()?;
        }
    }
    Ok(())
}
