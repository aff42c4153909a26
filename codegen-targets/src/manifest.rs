//! `NAME.json`: what a build system or a test wants to know about the emitted model.

use crate::EmitOptions;
use serde_json::{Value, json};
use tinycc_core::kir::{Module, Port};

/// The manifest, pretty-printed with a final newline.
#[must_use]
pub fn print(module: &Module, options: &EmitOptions, code_bytes: usize, stack: usize) -> String {
    let layers: Vec<Value> = module
        .layers
        .iter()
        .map(|l| {
            json!({
                "name": l.name,
                "operator": l.operator,
                "source": { "operator": l.origin.operator, "index": l.origin.index },
                "output": { "dtype": l.output.dtype.name(), "shape": l.output.shape.0 },
                "macs": l.macs,
                "weights_bytes": l.weights_bytes,
                "live_bytes": l.live_bytes,
            })
        })
        .collect();
    let manifest = json!({
        "tinycc": env!("CARGO_PKG_VERSION"),
        "name": options.name,
        "source": options.source,
        "inputs": module.inputs.iter().map(port).collect::<Vec<_>>(),
        "outputs": module.outputs.iter().map(port).collect::<Vec<_>>(),
        "arena_bytes": module.arena_bytes,
        "arena_align": module.arena_align,
        "arena_lower_bound": module.arena_lower_bound,
        "weights_bytes": module.layers.iter().map(|l| l.weights_bytes).sum::<usize>(),
        "code_bytes_estimate": code_bytes,
        "stack_bytes_estimate": stack,
        "macs": module.layers.iter().map(|l| l.macs).sum::<u64>(),
        "layers": layers,
        "options": options.options,
    });
    let mut text = serde_json::to_string_pretty(&manifest).unwrap_or_default();
    text.push('\n');
    text
}

fn port(port: &Port) -> Value {
    let per_tensor = port.quant.as_ref().filter(|q| q.scales.len() == 1);
    json!({
        "name": port.name,
        "dtype": port.ty.dtype.name(),
        "shape": port.ty.shape.0,
        "scale": per_tensor.map(|q| q.scale()),
        "zero_point": per_tensor.map(|q| q.zero_point()),
        "bytes": port.ty.bytes(),
        "offset": port.offset,
    })
}
