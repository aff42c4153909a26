//! Normalisations along the last dimension, wherever that lies.

use crate::format::openvino::held::{Call, Held};
use crate::op::OpError;

/// Smallest norm that L2Normalization divides by; see the operator.
const EPSILON: f32 = 1e-6;

fn last_axis(order: &[usize]) -> Result<usize, OpError> {
    order.last().copied().ok_or_else(|| OpError::invalid("a scalar has no rows"))
}

/// SoftMax of beta * x.
pub fn softmax(call: &mut Call<'_, '_>, beta: f32) -> Result<Held, OpError> {
    let (mut x, order) = call.any(0)?;
    if beta.to_bits() != 1.0f32.to_bits() {
        x = call.e.with_scalar("Multiply", &x, beta)?;
    }
    let data = vec![("axis", last_axis(&order)?.to_string())];
    let wire = call.e.one(("SoftMax", 1), data, &[&x], x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// LogSoftmax.
pub fn log_softmax(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let data = vec![("axis", last_axis(&order)?.to_string())];
    let wire = call.e.one(("LogSoftmax", 5), data, &[&x], x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// x / max(norm, epsilon). NormalizeL2 would do it, but the plugin of the stick has an epsilon of its own.
pub fn l2(call: &mut Call<'_, '_>) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let axis = last_axis(&order)?;
    let mut dims = x.dims.clone();
    if let Some(extent) = dims.get_mut(axis) {
        *extent = 1;
    }
    let axes = call.e.ints(&[axis as i64]);
    let data = vec![("keep_dims", "true".to_string())];
    let norm = call.e.one(("ReduceL2", 4), data, &[&x, &axes], x.elem, dims);
    let norm = call.e.with_scalar("Maximum", &norm, EPSILON)?;
    call.rewritten("ReduceL2, Maximum, Divide");
    let wire = call.e.binary("Divide", &x, &norm)?;
    Ok(Held::Tensor { wire, order })
}
