//! `NAME.json`: what a program that runs the network wants to know about it.

use crate::{EmitOptions, Network, NetworkPort};
use serde_json::{Value, json};

/// The manifest, pretty-printed with a final newline.
#[must_use]
pub fn print(network: &Network, options: &EmitOptions) -> String {
    let steps: Vec<Value> = network
        .steps
        .iter()
        .map(|s| {
            json!({
                "name": s.name,
                "operator": s.operator,
                "source": { "operator": s.origin.operator, "index": s.origin.index },
                "output": { "dtype": s.output.dtype.name(), "shape": s.output.shape.0 },
                "macs": s.macs,
                "layers": s.layers,
            })
        })
        .collect();
    let manifest = json!({
        "tinycc": env!("CARGO_PKG_VERSION"),
        "name": options.name,
        "source": options.source,
        "ir_version": options.openvino.version.number(),
        "inputs": network.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": network.outputs.iter().map(port).collect::<Vec<_>>(),
        "weights_bytes": network.weights_bytes,
        "macs": network.steps.iter().map(|s| s.macs).sum::<u64>(),
        "layers": steps,
        "notes": network.notes,
        "options": options.options,
    });
    let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    text.push('\n');
    text
}

/// `scale` and `zero_point` are those of the source model: real = scale * (q - zero_point).
fn port(port: &NetworkPort) -> Value {
    let per_tensor = port.quant.as_ref().filter(|q| q.scales.len() == 1);
    json!({
        "name": port.name,
        "dtype": port.dtype,
        "shape": port.shape,
        "scale": per_tensor.map(|q| q.scale()),
        "zero_point": per_tensor.map(|q| q.zero_point()),
    })
}
