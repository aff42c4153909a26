//! Writer of OpenVINO IR: `.xml` and `.bin`, version 10 or 11, operators of opset1 to opset7 only, static
//! shapes. Version 10 is the only one that the last software of the Neural Compute Stick 2 (OpenVINO
//! 2021.4) reads, and every release since reads it too.
//!
//! Spatial operators are channels-first in the file; inputs and outputs keep the shapes of the source
//! model. Values keep their names where the source names them.

mod emit;
mod exact;
pub mod file;
pub mod half;
mod held;
mod ops;
mod ports;
mod stored;
pub mod validate;
mod xml;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::graph::verify::is_data;
use crate::graph::{Graph, NodeId, ValueId};
use crate::numeric::small_float;
use crate::op::{Cast, Op, OpError, Signature, ValueInfo};
use crate::tensor::{DType, Tensor, TensorType};
use emit::Emitter;
use file::{Elem, Port, Wire};
use held::{Call, Held};
pub use ports::FilePort;
use ports::{name_rest, name_result, outputs, set_name};
use std::collections::BTreeMap;
use stored::Stored;

/// What real numbers are stored as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 binary16.
    #[default]
    F16,
    /// IEEE 754 binary32.
    F32,
}

/// Version of the file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// Read by 2021.4 and every later release.
    #[default]
    V10,
    /// Read by 2022.1 and later: element types of inputs and outputs are exactly those of the file.
    V11,
}

impl Version {
    /// The number in the file.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Version::V10 => 10,
            Version::V11 => 11,
        }
    }
}

/// What the file will run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Any plugin of a current release.
    #[default]
    Any,
    /// The graph compiler for the Myriad X, which lacks some operators.
    MyriadX,
}

/// An input of unsigned bytes in place of real numbers: real = (byte - mean) * factor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByteInput {
    /// Subtracted; one number, or one per channel.
    pub mean: Vec<f32>,
    /// Multiplied; one number, or one per channel.
    pub factor: Vec<f32>,
    /// The value's dimension that the channels are; its last one when `None`.
    pub axis: Option<usize>,
}

/// What the writer needs to know besides the graph.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Name of the model.
    pub name: String,
    /// How real numbers are stored.
    pub precision: Precision,
    /// Version of the format.
    pub version: Version,
    /// What the file will run on.
    pub device: Device,
    /// Inputs by name that take bytes.
    pub byte_inputs: BTreeMap<String, ByteInput>,
    /// Facts for `<rt_info>`; keys are XML names.
    pub provenance: BTreeMap<String, String>,
}

/// The two files, and what is worth telling about them.
#[derive(Clone, Debug)]
pub struct Files {
    /// `NAME.xml`.
    pub xml: Vec<u8>,
    /// `NAME.bin`.
    pub bin: Vec<u8>,
    /// Inputs, in order.
    pub inputs: Vec<FilePort>,
    /// Outputs, in order.
    pub outputs: Vec<FilePort>,
    /// Sentences for the user, for example about constants that float16 cannot hold.
    pub notes: Vec<String>,
    /// Layer type with its operator set -> how many.
    pub layers: BTreeMap<String, usize>,
}

/// Writes a graph.
///
/// # Errors
/// One diagnostic per operator that has no form in the file.
pub fn write(graph: &Graph, options: &WriteOptions) -> Result<Files, Diagnostics> {
    let mut e = Emitter::new(options);
    e.network.provenance.clone_from(&options.provenance);
    let mut values: BTreeMap<ValueId, Held> = BTreeMap::new();
    let mut problems = Diagnostics::default();
    let exact = exact::before_logarithms(graph);
    for &id in graph.inputs() {
        match input(&mut e, graph, id) {
            Ok(held) => drop(values.insert(id.result(0), held)),
            Err(error) => problems.push(place(error, graph, id)),
        }
    }
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let signature = graph.signature(id);
        if let (Op::Constant(c), Some(value)) = (&node.op, node.results.first()) {
            let mut stored = Stored::new(&c.tensor, value.quant.as_ref());
            stored.is_exact = exact.contains(&id.result(0));
            values.insert(id.result(0), Held::Constant(stored));
        }
        let operands = graph.operands(id);
        let held: Vec<Held> = operands.iter().filter_map(|v| values.get(v).cloned()).collect();
        // A missing operand was reported where it was made.
        if is_data(&node.op) || held.len() != operands.len() {
            continue;
        }
        let from = e.network.layers.len();
        let mut call = Call { e: &mut e, s: &signature, held };
        match ops::emit(&node.op, &mut call) {
            Ok(results) => {
                for (r, (held, value)) in results.into_iter().zip(&node.results).enumerate() {
                    name_result(&mut e, from, &held, &value.name);
                    values.insert(id.result(r), held);
                }
                name_rest(&mut e, from, node.results.first().map_or("", |v| v.name.as_str()));
            }
            Err(error) => problems.push(place(error, graph, id)),
        }
    }
    let is_used = |&id: &NodeId| {
        let value = id.result(0);
        !graph.users(value).is_empty() || graph.outputs().contains(&value)
    };
    if e.is_myriad() && !graph.inputs().iter().any(is_used) {
        let message = "the stick's compiler takes no network whose outputs depend on no input";
        problems.push(Diagnostic::new(Code::TargetUnsupported, Origin::default(), message));
    }
    if e.is_myriad() && graph.inputs().iter().any(|&id| has_batch(graph, id)) {
        e.notes.insert(BATCHES.to_string());
    }
    if e.is_myriad() && !exact.is_empty() {
        e.notes.insert(exact::ON_THE_STICK.to_string());
    }
    problems.into_result(())?;
    outputs(&mut e, graph, &values)?;
    finish(e)
}

/// What the user of the stick should know about batches.
const BATCHES: &str = "the stick's compiler takes a batch of inputs apart, and refuses networks that mix \
    its elements; a batch of 1 is safe";

fn has_batch(graph: &Graph, input: NodeId) -> bool {
    let shape = graph.value(input.result(0)).map(|v| &v.ty.shape.0);
    // Of inputs with fewer dimensions it leaves the first one alone.
    shape.is_some_and(|dims| dims.len() > 3 && dims.first().is_some_and(|&d| d > 1))
}

fn place(error: OpError, graph: &Graph, id: NodeId) -> Diagnostic {
    let origin = graph.get(id).map(|n| n.origin.clone()).unwrap_or_default();
    error.into_diagnostic(origin)
}

/// Parameter, and for bytes the arithmetic that makes real numbers of them.
fn input(e: &mut Emitter<'_>, graph: &Graph, id: NodeId) -> Result<Held, OpError> {
    let value =
        graph.value(id.result(0)).ok_or_else(|| OpError::invalid("an input without value"))?;
    let dims = value.ty.shape.0.clone();
    let bytes = e.options.byte_inputs.get(&value.name).filter(|_| value.ty.dtype == DType::F32);
    let elem = if bytes.is_some() { Elem::U8 } else { e.elem(value.ty.dtype)? };
    let data = vec![("shape", xml::list(&dims)), ("element_type", elem.attribute().to_string())];
    let mut wire = e.one(("Parameter", 1), data, &[], elem, dims.clone());
    set_name(e, wire.port.layer, &value.name);
    if let Some(bytes) = bytes {
        wire = e.convert(&wire, Elem::F32);
        for (kind, numbers, neutral) in
            [("Subtract", &bytes.mean, 0.0), ("Multiply", &bytes.factor, 1.0f32)]
        {
            if numbers.iter().all(|n: &f32| n.to_bits() == f32::to_bits(neutral)) {
                continue;
            }
            let mut shape = vec![1; dims.len()];
            let axis = bytes.axis.or(dims.len().checked_sub(1));
            let slot = axis.and_then(|a| shape.get_mut(a)).filter(|_| numbers.len() > 1);
            if let Some(slot) = slot {
                *slot = numbers.len();
            }
            let numbers = e.reals(shape, numbers);
            wire = e.binary(kind, &wire, &numbers)?;
        }
    }
    Ok(Held::plain(wire))
}

/// Unique names, then the text.
fn finish(mut e: Emitter<'_>) -> Result<Files, Diagnostics> {
    ports::unique_names(&mut e);
    let (inputs, outputs) = ports::list(&e);
    let mut layers = BTreeMap::new();
    for layer in &e.network.layers {
        *layers.entry(format!("{} opset{}", layer.kind, layer.opset)).or_insert(0) += 1;
    }
    let xml = xml::print(&e.network).map_err(|error| {
        Diagnostics::from(Diagnostic::new(Code::InvalidGraph, Origin::default(), error.to_string()))
    })?;
    let notes = e.notes.into_iter().collect();
    Ok(Files { xml, bin: e.pool.into_bytes(), inputs, outputs, notes, layers })
}

/// What becomes of one operator application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Layer types, in order, constants left out.
    pub layers: Vec<&'static str>,
    /// The rewrites applied, when the file has no such operator.
    pub rewrites: Vec<&'static str>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// What an operator application becomes, before any pass ran: quantized values count as real numbers.
///
/// # Errors
/// It has no form in the file.
pub fn form(op: &Op, signature: &Signature<'_>, options: &WriteOptions) -> Result<Form, OpError> {
    let mut e = Emitter::new(options);
    let real = |v: &ValueInfo<'_>| {
        let is_quantized = v.quant.is_some() && v.dtype() != DType::F32;
        let dtype = if is_quantized { DType::F32 } else { v.dtype().widened() };
        TensorType::new(dtype, v.shape().clone())
    };
    let mut held = Vec::new();
    for operand in &signature.operands {
        held.push(match operand.constant {
            Some(tensor) => {
                let data = Some(&tensor.data).filter(|_| operand.quant.is_none());
                let data = data.and_then(small_float::widened);
                let wide = data.map(|data| Tensor { shape: tensor.shape.clone(), data });
                Held::Constant(Stored::new(wide.as_ref().unwrap_or(tensor), operand.quant))
            }
            None => {
                let ty = real(operand);
                let wire = Wire {
                    port: Port { layer: usize::MAX - held.len(), output: 0 },
                    elem: e.elem(ty.dtype)?,
                    dims: ty.shape.0,
                };
                Held::plain(wire)
            }
        });
    }
    if let Op::Quantize(_) | Op::Dequantize(_) = op {
        return Ok(Form { layers: Vec::new(), rewrites: vec!["real numbers"], notes: Vec::new() });
    }
    let wide =
        if let Op::Cast(cast) = op { Op::from(Cast { to: cast.to.widened() }) } else { op.clone() };
    let mut call = Call { e: &mut e, s: signature, held };
    for held in ops::emit(&wide, &mut call)? {
        held.materialised(&mut e)?;
    }
    // Transposes around spatial layers cancel in a network.
    let kinds = e.network.layers.iter().map(|l| l.kind);
    let kinds =
        kinds.filter(|&k| k != "Const" && (k != "Transpose" || matches!(op, Op::Transpose(_))));
    let layers = kinds.collect();
    Ok(Form { layers, rewrites: e.rewrites, notes: e.notes.into_iter().collect() })
}
