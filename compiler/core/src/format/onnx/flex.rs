//! FlexAttention: attention whose scores and probabilities pass through graphs of the model.

use super::inner::Body;
use super::node::{Results, Site};
use super::ops::attention::{choose, products};
use super::read::Reader;
use super::tensor;
use crate::graph::ValueId;
use crate::op::{Cast, OpError, Softmax};
use crate::tensor::DType;

/// Reads the node.
///
/// # Errors
/// Operands or graphs that do not fit.
pub fn attention(reader: &mut Reader<'_>, site: &Site<'_>) -> Results {
    let operand = |i: usize| {
        let operand = site.operands.get(i).copied().flatten();
        operand.ok_or_else(|| OpError::invalid(format!("operand {i} is missing")))
    };
    let (q, k, v) = (operand(0)?, operand(1)?, operand(2)?);
    let attributes = site.scope.attributes(site.node);
    let scale = attributes.float("scale", 0.0)?;
    let mut b = reader.builder(site);
    let dtype = b.ty(q).dtype;
    let precision = match attributes.int("softmax_precision")? {
        Some(code) => tensor::dtype(i32::try_from(code).unwrap_or(0))?,
        None if dtype == DType::F64 => dtype,
        None => DType::F32,
    };
    let scores = products(&mut b, q, k, scale)?;
    let scores = if dtype == precision { scores } else { b.apply(Cast { to: precision }, scores)? };
    let scores = modified(reader, site, "score_mod", scores)?;
    let chances = reader.builder(site).apply(Softmax { beta: 1.0 }, scores)?;
    let chances = modified(reader, site, "prob_mod", chances)?;
    let mut b = reader.builder(site);
    let chances = if dtype == precision { chances } else { b.apply(Cast { to: dtype }, chances)? };
    Ok(vec![choose(&mut b, chances, v)?])
}

/// A value through a graph of the node, if it has that graph.
fn modified(
    reader: &mut Reader<'_>,
    site: &Site<'_>,
    part: &'static str,
    x: ValueId,
) -> Result<ValueId, super::node::Refusal> {
    let Some(graph) = site.scope.attributes(site.node).graph(part)? else { return Ok(x) };
    let results = reader.body(site, part, &Body::of(graph), &[x])?;
    let b = reader.builder(site);
    match results.as_slice() {
        &[y] if b.ty(y) == b.ty(x) => Ok(y),
        _other => {
            let message = format!("its {part} should have one output of the type {}", b.ty(x));
            Err(OpError::invalid(message).into())
        }
    }
}
