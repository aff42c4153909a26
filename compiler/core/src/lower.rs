//! From a legalised graph to a kernel-IR module: schedule, one kernel per layer, arena plan.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::graph::verify::is_data;
use crate::graph::{Graph, NodeId, ValueId};
use crate::kir::{Access, BufDecl, Call, Kernel, KernelBuilder, Layer, Module, Port, Ty};
use crate::memory::liveness::{self, ALIGN, Liveness};
use crate::memory::planner;
use crate::op::{OpError, Reuse};
use crate::pass;
use std::collections::{BTreeMap, BTreeSet};

/// The processor the kernels are built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Core {
    /// Portable loops, good on any core.
    #[default]
    Generic,
    /// Cortex-M4 and relatives with the DSP extension: register tiles where they exist.
    CortexM4,
}

/// A verified graph all of whose operators its target can express: have a kernel, after [`legalise`], or
/// what the target itself asks for, after [`legalise_for`]. Only these two make one.
#[derive(Clone, Debug)]
pub struct Legal {
    graph: Graph,
    core: Core,
}

impl Legal {
    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// Checks that every operator can be lowered for `core` and reports all that cannot.
///
/// # Errors
/// Verifier findings, or one diagnostic per operator without a kernel.
pub fn legalise(graph: Graph, core: Core) -> Result<Legal, Diagnostics> {
    crate::graph::verify::verify(&graph)?;
    let mut problems = Diagnostics::default();
    for id in graph.schedule() {
        if let (Some(node), Err(error)) = (graph.get(id), kernel_of(&graph, id, core)) {
            problems.push(error.into_diagnostic(node.origin.clone()));
        }
    }
    problems.into_result(Legal { graph, core })
}

/// Checks that a target which walks the graph itself can express all of it; `check` reports everything
/// that it cannot.
///
/// # Errors
/// Verifier findings, or what `check` reports.
pub fn legalise_for(
    graph: Graph,
    check: &dyn Fn(&Graph) -> Result<(), Diagnostics>,
) -> Result<Legal, Diagnostics> {
    crate::graph::verify::verify(&graph)?;
    check(&graph)?;
    Ok(Legal { graph, core: Core::default() })
}

fn kernel_of(graph: &Graph, id: NodeId, core: Core) -> Result<Option<KernelBuilder>, OpError> {
    let Some(node) = graph.get(id) else { return Ok(None) };
    if is_data(&node.op) {
        return Ok(None);
    }
    let mut builder = KernelBuilder::new(core);
    node.op.lower(&graph.signature(id), &mut builder)?;
    Ok(Some(builder))
}

/// Lowers to kernel IR with arena offsets.
///
/// # Errors
/// An operator that refuses after all, or an arena that does not fit the address space.
pub fn lower(legal: &Legal) -> Result<Module, Diagnostics> {
    let graph = &legal.graph;
    let schedule = graph.schedule();
    let live = liveness::analyse(graph, &schedule);
    let is_quantized = pass::is_quantized(graph);
    let mut names = LayerNames::default();
    let mut kernels: Vec<(NodeId, usize, Kernel)> = Vec::new();
    let mut layers: Vec<(NodeId, usize, Layer)> = Vec::new();
    let mut problems = Diagnostics::default();
    for (step, &id) in schedule.iter().enumerate() {
        let Some(node) = graph.get(id) else { continue };
        if is_data(&node.op) {
            continue;
        }
        let name = names.fresh(graph, id);
        match kernel_of(graph, id, legal.core) {
            Ok(Some(builder)) => {
                let kernel = builder.finish(&name, doc(graph, id));
                let is_empty = node.results.iter().all(|v| v.ty.shape.elements() == 0);
                let needs_code = !is_empty && !is_view(graph, id, &live);
                let index = needs_code.then_some(kernels.len());
                let mut layer = layer(graph, id, name, index);
                if is_quantized && needs_code {
                    layer.float_reason = pass::float_reason(graph, id);
                }
                layers.push((id, step, layer));
                if needs_code {
                    kernels.push((id, step, kernel));
                }
            }
            Ok(None) => {}
            Err(error) => problems.push(error.into_diagnostic(node.origin.clone())),
        }
    }
    let parts = Parts { graph, live, kernels, layers, steps: schedule.len() };
    problems.into_result(())?;
    assemble(parts)
}

struct Parts<'a> {
    graph: &'a Graph,
    live: Liveness,
    kernels: Vec<(NodeId, usize, Kernel)>,
    layers: Vec<(NodeId, usize, Layer)>,
    steps: usize,
}

/// Plans the arena and resolves every parameter to an offset.
fn assemble(parts: Parts<'_>) -> Result<Module, Diagnostics> {
    let Parts { graph, live, kernels, layers, steps } = parts;
    let mut requests: Vec<planner::Request> = live
        .storage
        .iter()
        .map(|s| planner::Request { size: s.size, align: s.align, first: s.first, last: s.last })
        .collect();
    let mut scratch_of: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (k, (_, step, kernel)) in kernels.iter().enumerate() {
        for (b, buffer) in kernel.params().filter(|(_, b)| b.access == Access::Scratch) {
            scratch_of.insert((k, b), requests.len());
            let size = buffer.len * buffer.ty.size();
            requests.push(planner::Request {
                size,
                align: ALIGN.max(buffer.ty.size()),
                first: *step,
                last: *step,
            });
        }
    }
    let too_large = |message: String| {
        Diagnostics::from(Diagnostic::new(Code::OverBudget, crate::Origin::default(), message))
    };
    let plan = planner::place(&requests, planner::Budget::default())
        .map_err(|e| too_large(format!("the arena cannot be planned: {e}")))?;
    if plan.size > i32::MAX as usize {
        return Err(too_large(format!(
            "the arena needs {} bytes, more than a 32-bit target can address",
            plan.size
        )));
    }
    let offset = |v: ValueId| live.of.get(&v).map_or(0, |&class| plan.offsets[class]);
    let mut calls = Vec::new();
    for (k, (id, _, kernel)) in kernels.iter().enumerate() {
        let operands = graph.operands(*id);
        let offsets = kernel
            .params()
            .map(|(b, buffer)| match buffer.access {
                Access::In(i) => operands.get(i).map_or(0, |&v| offset(v)),
                Access::Out(r) => offset(id.result(r)),
                Access::Scratch => scratch_of.get(&(k, b)).map_or(0, |&r| plan.offsets[r]),
                Access::Const(_) => 0,
            })
            .collect();
        calls.push(Call { kernel: k, offsets });
    }
    let live_at = live_bytes(&requests, steps);
    let weights = weights(&kernels);
    let layers = layers
        .into_iter()
        .map(|(_, step, layer)| {
            let weights_bytes = layer.kernel.and_then(|k| weights.get(k).copied()).unwrap_or(0);
            Layer { live_bytes: live_at[step], weights_bytes, ..layer }
        })
        .collect();
    let port = |(v, name): (ValueId, &str)| {
        let value = graph.value(v)?;
        Some(Port {
            name: name.to_string(),
            ty: value.ty.clone(),
            quant: value.quant.clone(),
            offset: offset(v),
        })
    };
    let arena_align = requests.iter().map(|r| r.align).max().unwrap_or(ALIGN);
    Ok(Module {
        kernels: kernels.into_iter().map(|(_, _, k)| k).collect(),
        calls,
        arena_bytes: plan.size,
        arena_align,
        arena_lower_bound: plan.lower_bound,
        arena_proven: plan.proven_optimal,
        inputs: graph.named_inputs().filter_map(port).collect(),
        outputs: graph.named_outputs().filter_map(port).collect(),
        layers,
    })
}

fn live_bytes(requests: &[planner::Request], steps: usize) -> Vec<usize> {
    let mut live = vec![0usize; steps + 1];
    for request in requests {
        for bytes in &mut live[request.first.min(steps)..=request.last.min(steps)] {
            *bytes += request.size;
        }
    }
    live
}

/// Whether the layer only renames bytes that are already in place.
fn is_view(graph: &Graph, id: NodeId, live: &Liveness) -> bool {
    let Some(node) = graph.get(id) else { return false };
    let operand = graph.operands(id).first().and_then(|v| live.of.get(v)).copied();
    node.op.reuse(&graph.signature(id)) == Reuse::Alias
        && operand.is_some()
        && operand == live.of.get(&id.result(0)).copied()
}

fn layer(graph: &Graph, id: NodeId, name: String, index: Option<usize>) -> Layer {
    let signature = graph.signature(id);
    let (operator, origin, macs) = graph.get(id).map_or_else(Default::default, |n| {
        (n.op.name().to_string(), n.origin.clone(), n.op.macs(&signature))
    });
    let output = signature.results.first().map_or_else(
        || crate::TensorType::new(crate::DType::I8, crate::Shape(vec![0])),
        |r| r.ty.clone(),
    );
    let (weights_bytes, live_bytes) = (0, 0);
    Layer {
        name,
        operator,
        origin,
        output,
        macs,
        weights_bytes,
        live_bytes,
        kernel: index,
        float_reason: None,
    }
}

/// Bytes of constants per kernel. An array that an earlier kernel has too is in the file once.
fn weights(kernels: &[(NodeId, usize, Kernel)]) -> Vec<usize> {
    let mut seen: BTreeSet<(Ty, Vec<u8>)> = BTreeSet::new();
    let mut bytes = |b: &BufDecl| match &b.access {
        Access::Const(data) if seen.insert((b.ty, data.to_le_bytes())) => data.len() * b.ty.size(),
        Access::Const(_) | Access::In(_) | Access::Out(_) | Access::Scratch => 0,
    };
    kernels.iter().map(|(_, _, k)| k.buffers.iter().map(&mut bytes).sum()).collect()
}

/// Comment lines that tell a reader of the emitted code where a function comes from.
fn doc(graph: &Graph, id: NodeId) -> Vec<String> {
    let Some(node) = graph.get(id) else { return Vec::new() };
    let signature = graph.signature(id);
    let place = match node.origin.index {
        Some(i) if node.origin.inner.is_empty() => format!(" <- {} node {i}", node.origin.operator),
        Some(i) => format!(" <- {} node {i}, {}", node.origin.operator, node.origin.inner),
        None => String::new(),
    };
    let name = node.results.first().map_or("", |v| v.name.as_str());
    let mut lines = vec![format!("{}{place} \"{name}\"", node.op.name())];
    let list = |infos: &[crate::op::ValueInfo<'_>]| {
        infos
            .iter()
            .filter(|i| i.constant.is_none())
            .map(|i| i.ty.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    lines.push(format!("{} -> {}", list(&signature.operands), list(&signature.results)));
    lines
}

/// Unique function names: position and operator, `layer00_conv2d`, `layer01_add`.
#[derive(Default)]
struct LayerNames {
    count: usize,
}

impl LayerNames {
    fn fresh(&mut self, graph: &Graph, id: NodeId) -> String {
        let operator = graph.get(id).map_or("layer", |n| n.op.name());
        let name = format!("layer{:02}_{}", self.count, snake(operator));
        self.count += 1;
        name
    }
}

/// `DepthwiseConv2d` -> `depthwise_conv2d`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() {
            if i > 0 {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}
