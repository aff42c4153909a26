//! Constants, shapes and operators that do nothing at inference.

use super::Context;
use crate::graph::ValueId;
use crate::op::OpError;
use crate::tensor::{Shape, Tensor, TensorData};

/// Result = operand 0.
pub fn identity(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    Ok(vec![c.operand(0)?])
}

/// Dropout does nothing at inference. Its second output, the mask, is not read.
pub fn dropout(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    let training = c.optional(2).is_some_and(|v| {
        // What is not known before run time may be true.
        c.build.data(v).is_none_or(|t| t.data != TensorData::Bool(vec![0]))
    });
    if training {
        return Err(OpError::unsupported("training_mode is not supported")
            .help("export the model for inference: model.eval()"));
    }
    identity(c)
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

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::case;

    #[test]
    fn dropout_is_nothing_at_inference_and_refused_in_training() {
        let x = || case("Dropout").input(&[2], &[1.0, -2.0]);
        x().gives(7, &[2], &[1.0, -2.0]);
        x().floats(&[], &[0.5]).gives(13, &[2], &[1.0, -2.0]);
        x().floats(&[], &[0.5]).ints(&[], &[1]).refused(13, "training_mode");
    }
}
