//! Inputs of bytes in place of real numbers: which ones, and how a byte becomes a number. The layers are
//! the core's.

use super::FileOptions;
use std::collections::BTreeMap;
use tinycc_core::DType;
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use tinycc_core::format::openvino::ByteInput;
use tinycc_core::graph::{Graph, Value, ValueId};
use tinycc_core::op::Op;

/// Which inputs take bytes, and how those become real numbers.
///
/// # Errors
/// Means or scales that are not one or one per channel; a model without an input of real numbers.
pub fn byte_inputs(
    graph: &Graph,
    options: &FileOptions,
) -> Result<BTreeMap<String, ByteInput>, Diagnostics> {
    let mut inputs = BTreeMap::new();
    let Some(bytes) = &options.bytes else { return Ok(inputs) };
    let mut problems = Diagnostics::default();
    for (id, value) in graph.inputs().iter().filter_map(|n| {
        let id = n.result(0);
        graph.value(id).filter(|v| v.ty.dtype == DType::F32).map(|v| (id, v))
    }) {
        let source = options.quantization.get(&value.name);
        let quant = source.filter(|(_, q)| q.scales.len() == 1);
        let mean = match quant {
            Some((DType::U8, q)) if bytes.mean.is_empty() => vec![q.zero_point() as f32],
            // A byte stands for the int8 128 below it.
            Some((_, q)) if bytes.mean.is_empty() => vec![(128 + q.zero_point()) as f32],
            _given if bytes.mean.is_empty() => vec![0.0],
            _given => bytes.mean.clone(),
        };
        let factor = match quant {
            Some((_, q)) if bytes.scale.is_empty() => vec![q.scale()],
            _given if bytes.scale.is_empty() => vec![1.0],
            _given => bytes.scale.iter().map(|s| 1.0 / s).collect(),
        };
        let lists = [("--mean-values", mean.len()), ("--scale-values", factor.len())];
        let known = channels(graph, id);
        let axis = known.or_else(|| guessed(&value.ty.shape.0, &lists));
        for (option, count) in lists {
            if let Some(message) = misfit(value, (known, axis), option, count) {
                problems.push(Diagnostic::new(Code::BadOption, Origin::default(), message));
            }
        }
        inputs.insert(value.name.clone(), ByteInput { mean, factor, axis });
    }
    if inputs.is_empty() {
        let message = "--input-type u8: the model has no input of real numbers";
        problems.push(Diagnostic::new(Code::BadOption, Origin::default(), message));
    }
    problems.into_result(inputs)
}

/// What is wrong with a list of so many numbers.
fn misfit(
    value: &Value,
    (known, axis): (Option<usize>, Option<usize>),
    option: &str,
    count: usize,
) -> Option<String> {
    let extent = |axis: Option<usize>| axis.and_then(|a| value.ty.shape.0.get(a));
    if count == 1 || extent(axis) == Some(&count) {
        return None;
    }
    let channels = match extent(known) {
        Some(n) => format!("or {n}: one per channel"),
        None => "or one per channel, which are its last dimension or its second".into(),
    };
    Some(format!(
        "{option} has {count} numbers; input \"{}\" of shape {} takes one number, {channels}",
        value.name, value.ty.shape
    ))
}

/// The last dimension or the second, whichever has as many elements as a list.
fn guessed(dims: &[usize], lists: &[(&str, usize)]) -> Option<usize> {
    let last = dims.len().checked_sub(1)?;
    let fits = |&a: &usize| lists.iter().any(|l| l.1 > 1 && dims.get(a) == Some(&l.1));
    [last, 1].into_iter().find(fits)
}

/// The dimension of an input that its first spatial operator takes for channels. On the way there may be
/// operators that keep the shape, pads and transposes.
fn channels(graph: &Graph, input: ValueId) -> Option<usize> {
    let mut order: Vec<usize> = (0..graph.value(input)?.ty.shape.rank()).collect();
    let mut value = input;
    // The graph has no cycles, so this ends.
    loop {
        let shape = &graph.value(value)?.ty.shape;
        let mut next = None;
        for (id, operand) in graph.users(value) {
            let node = graph.get(id)?;
            if operand == 0 && node.op.has_channels() {
                return order.last().copied();
            }
            let keeps = matches!(node.op, Op::Pad(_))
                || node.results.first().is_some_and(|v| v.ty.shape == *shape);
            if let Op::Transpose(t) = &node.op {
                let turned = t.permutation.iter().filter_map(|&p| order.get(p).copied());
                next = next.or(Some((id, turned.collect())));
            } else if keeps {
                next = next.or(Some((id, order.clone())));
            }
        }
        let (id, turned) = next?;
        (value, order) = (id.result(0), turned);
    }
}
