//! Targets `ncs` and `openvino`: OpenVINO IR for the Neural Compute Stick 2, and for the CPU, GPU and NPU
//! plugins of current releases. They walk the graph; the format is the core's.

mod bytes;
mod example;
mod manifest;

use crate::{
    Artifacts, EmitOptions, Emitted, Kind, Network, NetworkPort, Product, Step, Support, Target,
};
use std::collections::BTreeMap;
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::format::openvino::{
    self as ir, Device, FilePort, Precision, Version, WriteOptions,
};
use tinycc_core::graph::{Graph, ValueId, verify::is_data};
use tinycc_core::lower::{self, Core, Legal};
use tinycc_core::op::{Op, Signature};
use tinycc_core::pass::{self, Pass};
use tinycc_core::{DType, QuantParams};

/// Both targets: they differ in the device.
#[derive(Clone, Copy, Debug)]
pub struct OpenVino {
    device: Device,
}

impl OpenVino {
    /// Target `ncs`.
    pub const NCS: Self = Self { device: Device::MyriadX };
    /// Target `openvino`.
    pub const ANY: Self = Self { device: Device::Any };
}

/// Form of the file.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// How real numbers are stored.
    pub precision: Precision,
    /// Version of the format.
    pub version: Version,
    /// Bytes in place of real inputs.
    pub bytes: Option<Bytes>,
    /// Input and output name -> element type and quantization in the source model, where it had one.
    pub quantization: BTreeMap<String, (DType, QuantParams)>,
}

/// real = (byte - mean) / scale; one number or one per channel each.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    /// Subtracted; empty: 0, or the zero point of the source model.
    pub mean: Vec<f32>,
    /// Divided by; empty: 1, or what the scale of the source model says.
    pub scale: Vec<f32>,
}

impl Target for OpenVino {
    fn kind(&self) -> Kind {
        Kind::Graph
    }

    fn name(&self) -> &'static str {
        match self.device {
            Device::MyriadX => "ncs",
            Device::Any => "openvino",
        }
    }

    fn about(&self) -> &'static str {
        match self.device {
            Device::MyriadX => "OpenVINO IR that the Neural Compute Stick 2 takes",
            Device::Any => "OpenVINO IR for the CPU, GPU and NPU plugins",
        }
    }

    fn passes(&self) -> &'static [Pass] {
        match self.device {
            Device::MyriadX => pass::REAL,
            Device::Any => pass::FAKE_QUANTIZED,
        }
    }

    fn examples(&self) -> &'static [(&'static str, &'static str)] {
        &[
            (
                "openvino-python",
                "run.py: runs the network on one or more devices and measures them",
            ),
            ("openvino-cpp", "the same in C++, with CMake"),
        ]
    }

    fn supports(&self, op: &Op, signature: &Signature<'_>, _: Core) -> Support {
        let options = WriteOptions { device: self.device, ..WriteOptions::default() };
        match ir::form(op, signature, &options) {
            Ok(form) if form.rewrites.is_empty() => Support::Native,
            Ok(form) => Support::Decompose(form.rewrites.join("; ")),
            Err(error) => Support::No(error.message),
        }
    }

    fn legalise(&self, graph: Graph, _: Core) -> Result<Legal, Diagnostics> {
        let options = WriteOptions { device: self.device, ..WriteOptions::default() };
        lower::legalise_for(graph, &|graph| ir::write(graph, &options).map(drop))
    }

    fn emit(&self, legal: &Legal, options: &EmitOptions) -> Result<Emitted, Diagnostics> {
        let graph = legal.graph();
        let write = WriteOptions {
            name: options.name.clone(),
            precision: options.openvino.precision,
            version: options.openvino.version,
            device: self.device,
            byte_inputs: bytes::byte_inputs(graph, &options.openvino)?,
            provenance: provenance(options),
        };
        let files = ir::write(graph, &write)?;
        let network = Network {
            inputs: graph
                .named_inputs()
                .zip(&files.inputs)
                .filter_map(|(named, file)| port(graph, named, file, &options.openvino))
                .collect(),
            outputs: graph
                .named_outputs()
                .zip(&files.outputs)
                .filter_map(|(named, file)| port(graph, named, file, &options.openvino))
                .collect(),
            steps: steps(graph, &write),
            weights_bytes: files.bin.len(),
            notes: files.notes,
        };
        let name = &options.name;
        let mut artifacts = Artifacts::new();
        artifacts.insert(format!("{name}.json"), manifest::print(&network, options).into());
        artifacts.insert(format!("{name}.xml"), files.xml);
        artifacts.insert(format!("{name}.bin"), files.bin);
        for wanted in &options.examples {
            match wanted.as_str() {
                "openvino-python" => example::python(&mut artifacts, options),
                "openvino-cpp" => example::cpp(&mut artifacts, options),
                other => return Err(crate::no_such_example(self, other)),
            }
        }
        Ok(Emitted { artifacts, product: Product::Network(network) })
    }
}

/// Who wrote the file from what, for `<rt_info>`.
fn provenance(options: &EmitOptions) -> BTreeMap<String, String> {
    let given = options.options.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>();
    [
        ("tinycc_version", env!("CARGO_PKG_VERSION").to_string()),
        ("tinycc_source", options.source.clone()),
        ("tinycc_options", given.join(" ")),
    ]
    .map(|(key, value)| (key.to_string(), value))
    .into()
}

/// How callers see an input or output.
fn port(
    graph: &Graph,
    (id, name): (ValueId, &str),
    file: &FilePort,
    options: &FileOptions,
) -> Option<NetworkPort> {
    let value = graph.value(id)?;
    Some(NetworkPort {
        name: file.name.clone(),
        dtype: file.elem.numpy(),
        shape: value.ty.shape.0.clone(),
        quant: options.quantization.get(name).map(|(_, quant)| quant.clone()),
    })
}

fn steps(graph: &Graph, write: &WriteOptions) -> Vec<Step> {
    let step = |id| {
        let node = graph.get(id).filter(|n| !is_data(&n.op))?;
        let (signature, value) = (graph.signature(id), node.results.first()?);
        let layers = ir::form(&node.op, &signature, write).map(|f| f.layers).unwrap_or_default();
        Some(Step {
            name: value.name.clone(),
            operator: node.op.name().to_string(),
            origin: node.origin.clone(),
            output: value.ty.clone(),
            macs: node.op.macs(&signature),
            layers: layers.iter().map(ToString::to_string).collect(),
        })
    };
    graph.schedule().into_iter().filter_map(step).collect()
}
