//! Normalisation: batch normalisation as one multiplication and one addition, softmax.

use super::Context;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{Add, LogSoftmax, Mul, Op, OpError, Softmax};
use crate::tensor::{Shape, Tensor, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

/// x * f + o with f = scale / sqrt(var + epsilon), o = bias - mean * f, per channel, computed here
/// in double.
pub fn batch_normalization(c: &mut Context<'_, '_>) -> Read {
    if c.attributes.flag("training_mode", false)? {
        return Err(OpError::unsupported("training_mode is not supported"));
    }
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let channels = dims.get(1).copied().unwrap_or(0);
    let epsilon = f64::from(c.attributes.float("epsilon", 1e-5)?);
    let read = |i: usize| -> Result<Vec<f64>, OpError> {
        let tensor = c.constant(i)?;
        let values = tensor.as_f32().filter(|v| v.len() == channels);
        let values = values.ok_or_else(|| {
            OpError::invalid(format!("operand {i} should hold {channels} floats"))
        })?;
        Ok(values.iter().map(|&v| f64::from(v)).collect())
    };
    let (scale, bias, mean, variance) = (read(1)?, read(2)?, read(3)?, read(4)?);
    let mut shape = vec![1; dims.len().max(2) - 1];
    shape[0] = channels;
    let (mut factor, mut offset) = (Vec::new(), Vec::new());
    for i in 0..channels {
        let f = scale[i] / (variance[i] + epsilon).sqrt();
        factor.push(f as f32);
        offset.push((bias[i] - mean[i] * f) as f32);
    }
    let mut constant = |values: Vec<f32>| {
        Tensor::new(Shape(shape.clone()), TensorData::F32(values))
            .map(|t| c.build.constant(t))
            .ok_or_else(|| OpError::invalid("the parameters do not fit the channels"))
    };
    let (factor, offset) = (constant(factor)?, constant(offset)?);
    let scaled = c.build.add(Mul { activation: Activation::None }, &[x, factor])?;
    Ok(vec![c.build.add(Add { activation: Activation::None }, &[scaled, offset])?])
}

/// Before opset 13: over all dimensions from `axis` on, taken as one.
fn flattened(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(1), dims.len())?;
    let (a, b) = dims.split_at(axis);
    let flat = c.build.reshape(x, vec![a.iter().product(), b.iter().product()])?;
    let y = c.build.apply(op, flat)?;
    Ok(vec![c.build.reshape(y, dims)?])
}

/// Along `axis`, brought to the last place.
fn along(c: &mut Context<'_, '_>, op: impl Into<Op>) -> Read {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    let axis = c.axis(c.attributes.int("axis")?.unwrap_or(-1), rank)?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(axis, rank - 1);
    let x = c.build.transpose(x, &order)?;
    let y = c.build.apply(op, x)?;
    Ok(vec![c.build.transpose(y, &order)?])
}

/// Softmax before opset 13.
pub fn softmax_1(c: &mut Context<'_, '_>) -> Read {
    flattened(c, Softmax { beta: 1.0 })
}

/// Softmax along one axis.
pub fn softmax_13(c: &mut Context<'_, '_>) -> Read {
    along(c, Softmax { beta: 1.0 })
}

/// Logarithm of softmax before opset 13.
pub fn log_softmax_1(c: &mut Context<'_, '_>) -> Read {
    flattened(c, LogSoftmax)
}

/// Logarithm of softmax along one axis.
pub fn log_softmax_13(c: &mut Context<'_, '_>) -> Read {
    along(c, LogSoftmax)
}
