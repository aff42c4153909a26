//! The report: what a compiled model costs, per layer and in total. Data (serde) and its plain-text
//! rendering; the numbers come from the kernel IR module and the target.

use crate::options::Options;
use crate::table::{Align, Table, grouped};
use serde::{Deserialize, Serialize};
use tinycc_core::QuantParams;
use tinycc_core::kir::{Layer, Port};
use tinycc_targets::{Emitted, Network, NetworkPort, Product, Program, Step};

/// What `tinycc compile` reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Model file without directories.
    pub model: String,
    /// Prefix of the emitted symbols.
    pub name: String,
    /// Target.
    pub target: String,
    /// Processor.
    pub core: String,
    /// Inputs in model order.
    pub inputs: Vec<PortInfo>,
    /// Outputs in model order.
    pub outputs: Vec<PortInfo>,
    /// Layers in execution order.
    pub layers: Vec<LayerInfo>,
    /// Sums and peaks.
    pub totals: Totals,
    /// Sentences about the result, for example about constants that were limited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A model input or output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortInfo {
    /// Tensor name.
    pub name: String,
    /// numpy name of the element type.
    pub dtype: String,
    /// Extents.
    pub shape: Vec<usize>,
    /// Scale, when quantized per tensor.
    pub scale: Option<f32>,
    /// Zero point, when quantized per tensor.
    pub zero_point: Option<i32>,
    /// Size in bytes.
    pub bytes: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Name, also of the emitted function.
    pub name: String,
    /// Operator, for example `Conv2d`.
    pub operator: String,
    /// Operator name in the model file; empty when the compiler made the layer.
    pub source_operator: String,
    /// Its number in the model file.
    pub source_index: Option<usize>,
    /// Element type and shape of the first result, for example `int8[1x8x8x4]`.
    pub output: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of constants; targets that emit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_bytes: Option<usize>,
    /// Arena bytes alive while the layer runs; targets that emit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_bytes: Option<usize>,
    /// False for views, which need no code; targets that emit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_code: Option<bool>,
    /// What the layer is in the emitted file; targets that write the graph.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emitted: Vec<String>,
    /// Why the layer computes in float although the model is quantized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_reason: Option<String>,
}

/// Totals of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Bytes of constants, summed over the layers.
    pub weights_bytes: usize,
    /// What only emitted code has.
    #[serde(flatten)]
    pub code: Option<CodeTotals>,
}

/// Totals of emitted code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTotals {
    /// Estimated bytes of machine code.
    pub code_bytes_estimate: usize,
    /// Weights and estimated code: what `--max-flash` limits.
    pub flash_bytes_estimate: usize,
    /// Arena bytes: what `--max-arena` limits.
    pub arena_bytes: usize,
    /// No placement of whole tensors needs fewer bytes than this.
    pub arena_lower_bound: usize,
    /// Whether the planner proved that no whole-tensor placement is smaller.
    pub arena_proven: bool,
    /// Upper estimate of the stack of one inference, in bytes.
    pub stack_bytes_estimate: usize,
    /// Layers that only reorder dimensions: where the layout of the file and of the kernels meet.
    pub transposes: usize,
}

impl Report {
    /// Collects the numbers of an emitted model.
    pub(crate) fn new(model: &str, name: &str, options: &Options, emitted: &Emitted) -> Self {
        let empty = Self {
            model: model.to_string(),
            name: name.to_string(),
            target: options.target.clone(),
            core: options.core.as_str().to_string(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            layers: Vec::new(),
            totals: Totals { macs: 0, weights_bytes: 0, code: None },
            notes: Vec::new(),
        };
        match &emitted.product {
            Product::Program(program) => empty.of_program(program),
            Product::Network(network) => empty.of_network(network),
        }
    }

    fn of_program(self, program: &Program) -> Self {
        let module = &program.module;
        let weights_bytes = module.layers.iter().map(|l| l.weights_bytes).sum();
        Self {
            inputs: module.inputs.iter().map(port_info).collect(),
            outputs: module.outputs.iter().map(port_info).collect(),
            layers: module.layers.iter().map(layer_info).collect(),
            totals: Totals {
                macs: module.layers.iter().map(|l| l.macs).sum(),
                weights_bytes,
                code: Some(CodeTotals {
                    code_bytes_estimate: program.code_bytes,
                    flash_bytes_estimate: weights_bytes + program.code_bytes,
                    arena_bytes: module.arena_bytes,
                    arena_lower_bound: module.arena_lower_bound,
                    arena_proven: module.arena_proven,
                    stack_bytes_estimate: program.stack_bytes,
                    transposes: module.layers.iter().filter(|l| is_transpose(l)).count(),
                }),
            },
            ..self
        }
    }

    fn of_network(self, network: &Network) -> Self {
        Self {
            inputs: network.inputs.iter().map(network_port).collect(),
            outputs: network.outputs.iter().map(network_port).collect(),
            layers: network.steps.iter().map(step_info).collect(),
            totals: Totals {
                macs: network.steps.iter().map(|s| s.macs).sum(),
                weights_bytes: network.weights_bytes,
                code: None,
            },
            notes: network.notes.clone(),
            ..self
        }
    }

    /// The table for a terminal: one line per layer, then the totals.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut columns =
            vec![("layer", Align::Left), ("output", Align::Left), ("MACs", Align::Right)];
        columns.extend(match self.totals.code {
            Some(_) => vec![("weights", Align::Right), ("live", Align::Right)],
            None => vec![("in the file", Align::Left)],
        });
        let mut table = Table::new(&columns);
        for layer in &self.layers {
            let mut row = vec![layer.name.clone(), layer.output.clone(), grouped(layer.macs)];
            match self.totals.code {
                Some(_) => {
                    let bytes = [layer.weights_bytes, layer.live_bytes];
                    row.extend(bytes.map(|n| grouped(n.unwrap_or(0) as u64)));
                }
                None => row.push(layer.emitted.join(", ")),
            }
            table.row(row);
        }
        let notes: String = self.notes.iter().map(|n| format!("note   {n}\n")).collect();
        format!("{table}\n{}{}{notes}", self.floats_text(), self.totals_text())
    }

    /// Which layers of a quantized model stayed float, and why.
    fn floats_text(&self) -> String {
        let line = |layer: &LayerInfo| {
            let reason = layer.float_reason.as_ref()?;
            Some(format!("float  {}: {reason}\n", layer.name))
        };
        let lines: String = self.layers.iter().filter_map(line).collect();
        if lines.is_empty() { lines } else { lines + "\n" }
    }

    fn totals_text(&self) -> String {
        let totals = &self.totals;
        let bytes = |n: usize| format!("{} bytes", grouped(n as u64));
        let mut lines = vec![("MACs", grouped(totals.macs))];
        let Some(t) = &totals.code else {
            lines.push(("weights", bytes(totals.weights_bytes)));
            return lines.iter().map(|(key, value)| format!("{key:<7} {value}\n")).collect();
        };
        let proof = match (t.arena_bytes == t.arena_lower_bound, t.arena_proven) {
            (true, _) => "equal to the proven lower bound".to_string(),
            (false, true) => format!("proven minimal; live sum {}", bytes(t.arena_lower_bound)),
            (false, false) => format!("lower bound {}", bytes(t.arena_lower_bound)),
        };
        let flash = format!(
            "{} (weights {} + code about {})",
            bytes(t.flash_bytes_estimate),
            grouped(totals.weights_bytes as u64),
            grouped(t.code_bytes_estimate as u64)
        );
        lines.extend([
            ("flash", flash),
            ("arena", format!("{} ({proof})", bytes(t.arena_bytes))),
            ("stack", format!("at most about {}", bytes(t.stack_bytes_estimate))),
        ]);
        match t.transposes {
            0 => {}
            1 => lines.push(("layout", "1 transpose remains; try --io-layout".into())),
            n => lines.push(("layout", format!("{n} transposes remain; try --io-layout"))),
        }
        lines.iter().map(|(key, value)| format!("{key:<6} {value}\n")).collect()
    }

    /// Pretty-printed JSON with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }
}

/// Pretty-printed JSON with a final newline. The types of this crate always serialise.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|e| format!("\"{e}\"\n"), |text| text + "\n")
}

fn network_port(port: &NetworkPort) -> PortInfo {
    let quant = port.quant.as_ref().filter(|q| q.scales.len() == 1);
    let elements: usize = port.shape.iter().product();
    let size = match port.dtype {
        "uint8" | "int8" | "bool" => 1,
        "int64" => 8,
        _word => 4,
    };
    PortInfo {
        name: port.name.clone(),
        dtype: port.dtype.to_string(),
        shape: port.shape.clone(),
        scale: quant.map(QuantParams::scale),
        zero_point: quant.map(QuantParams::zero_point),
        bytes: elements * size,
    }
}

fn step_info(step: &Step) -> LayerInfo {
    LayerInfo {
        name: step.name.clone(),
        operator: step.operator.clone(),
        source_operator: step.origin.operator.clone(),
        source_index: step.origin.index,
        output: step.output.to_string(),
        macs: step.macs,
        weights_bytes: None,
        live_bytes: None,
        has_code: None,
        emitted: step.layers.clone(),
        float_reason: None,
    }
}

fn is_transpose(layer: &Layer) -> bool {
    layer.operator == "Transpose" && layer.kernel.is_some()
}

fn port_info(port: &Port) -> PortInfo {
    let quant = port.quant.as_ref().filter(|q| q.scales.len() == 1);
    PortInfo {
        name: port.name.clone(),
        dtype: port.ty.dtype.name().to_string(),
        shape: port.ty.shape.0.clone(),
        scale: quant.map(QuantParams::scale),
        zero_point: quant.map(QuantParams::zero_point),
        bytes: port.ty.bytes(),
    }
}

fn layer_info(layer: &Layer) -> LayerInfo {
    LayerInfo {
        name: layer.name.clone(),
        operator: layer.operator.clone(),
        source_operator: layer.origin.operator.clone(),
        source_index: layer.origin.index,
        output: layer.output.to_string(),
        macs: layer.macs,
        weights_bytes: Some(layer.weights_bytes),
        live_bytes: Some(layer.live_bytes),
        has_code: Some(layer.kernel.is_some()),
        emitted: Vec::new(),
        float_reason: layer.float_reason.clone(),
    }
}
