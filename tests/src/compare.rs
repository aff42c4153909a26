//! Raw tensors in and out, and how far two results are apart.

use tinycc_core::{Tensor, TensorData, TensorType};

/// Splits the bytes of one input or output set into tensors.
#[must_use]
pub fn split(bytes: &[u8], types: &[TensorType]) -> Vec<Tensor> {
    let mut at = 0;
    types
        .iter()
        .map(|ty| {
            let data = TensorData::from_le_bytes(ty.dtype, &bytes[at..at + ty.bytes()]);
            at += ty.bytes();
            Tensor::new(ty.shape.clone(), data.expect("whole elements")).expect("right count")
        })
        .collect()
}

/// `None` when `got` equals `want` (integers) or lies within `atol + rtol * |want|` (floats);
/// otherwise what differs.
#[must_use]
pub fn difference(got: &Tensor, want: &Tensor, rtol: f64, atol: f64) -> Option<String> {
    if got.ty() != want.ty() {
        return Some(format!("type {} instead of {}", got.ty(), want.ty()));
    }
    let (TensorData::F32(g), TensorData::F32(w)) = (&got.data, &want.data) else {
        let (g, w) = (got.to_i64()?, want.to_i64()?);
        let bad = g.iter().zip(&w).filter(|(a, b)| a != b).count();
        let most = g.iter().zip(&w).map(|(a, b)| (a - b).abs()).max().unwrap_or(0);
        return (bad > 0).then(|| format!("{bad} of {} differ, by at most {most}", g.len()));
    };
    let apart = |(a, b): (&f32, &f32)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        !(a == b || (a - b).abs() <= atol + rtol * b.abs() || a.is_nan() && b.is_nan())
    };
    let bad = g.iter().zip(w).filter(|(a, b)| apart((a, b))).count();
    let most = g.iter().zip(w).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    (bad > 0).then(|| format!("{bad} of {} outside the tolerance, largest {most:e}", g.len()))
}
