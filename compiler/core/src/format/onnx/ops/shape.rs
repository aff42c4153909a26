//! Constants, shapes and operators that do nothing at inference.

use super::Context;
use crate::graph::ValueId;
use crate::op::OpError;
use crate::tensor::{Shape, Tensor, TensorData};

/// Result = operand 0.
pub fn identity(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    Ok(vec![c.operand(0)?])
}

fn vector(data: TensorData) -> Result<Tensor, OpError> {
    let shape = Shape(vec![data.len()]);
    Tensor::new(shape, data).ok_or_else(|| OpError::invalid("not a vector"))
}

fn scalar(data: TensorData) -> Result<Tensor, OpError> {
    Tensor::new(Shape(Vec::new()), data).ok_or_else(|| OpError::invalid("not a scalar"))
}

/// The tensor in one of the attributes of Constant.
pub fn constant(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    let a = c.attributes;
    let tensor = if let Some(tensor) = a.tensor("value")? {
        tensor
    } else if let Some(values) = a.ints("value_ints")? {
        vector(TensorData::I64(values.to_vec()))?
    } else if let Some(values) = a.floats("value_floats")? {
        vector(TensorData::F32(values.to_vec()))?
    } else if let Some(value) = a.int("value_int")? {
        scalar(TensorData::I64(vec![value]))?
    } else if a.names().any(|n| n == "value_float") {
        scalar(TensorData::F32(vec![a.float("value_float", 0.0)?]))?
    } else {
        let names: Vec<&str> = a.names().collect();
        return Err(OpError::unsupported(format!(
            "a constant given by {names:?} is not supported (texts, sparse tensors)"
        )));
    };
    Ok(vec![c.build.constant(tensor)])
}

/// Extents of operand 0, from `start` to `end`.
pub fn shape(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    let dims = c.build.shape(c.operand(0)?);
    let rank = dims.len() as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let start = clamp(c.attributes.int("start")?.unwrap_or(0));
    let end = clamp(c.attributes.int("end")?.unwrap_or(rank));
    let part = dims.get(start..end.max(start)).unwrap_or_default();
    let tensor = vector(TensorData::I64(part.iter().map(|&d| d as i64).collect()))?;
    Ok(vec![c.build.constant(tensor)])
}
