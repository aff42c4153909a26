//! Quantization parameters: what integers stand for, and how results are rounded to them. Arithmetic
//! with them lives in `numeric` and with the operators.

/// Where a result half way between two integers goes, and how often it is rounded on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// The rules of TensorFlow Lite Micro: reals away from zero, sums of products twice.
    #[default]
    HalfAway,
    /// Once, to the even integer: ONNX, IEEE 754.
    HalfEven,
}

/// Affine quantization: real = scale * (q - zero_point). Scales are kept as the file's float32.
///
/// On a float32 constant of a graph that was read from ONNX it says that the elements are such reals,
/// until the pass `fuse-quantization` has run.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantParams {
    /// One scale, or one per index of `axis`. Finite and > 0.
    pub scales: Vec<f32>,
    /// As many zero points as scales.
    pub zero_points: Vec<i32>,
    /// `None`: per tensor. `Some(d)`: per index of dimension `d`.
    pub axis: Option<usize>,
    /// How operators round to it.
    pub rounding: Rounding,
}

impl QuantParams {
    /// Per-tensor parameters.
    #[must_use]
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        let rounding = Rounding::HalfAway;
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: None, rounding }
    }

    /// The same, rounded to as ONNX does.
    #[must_use]
    pub fn half_even(self) -> Self {
        Self { rounding: Rounding::HalfEven, ..self }
    }

    /// Of the uint8 elements that lie 128 above int8 ones of these parameters, for the same numbers.
    #[must_use]
    pub fn above(mut self) -> Self {
        self.zero_points.iter_mut().for_each(|z| *z += 128);
        self
    }

    /// Of the int8 elements that lie 128 below uint8 ones of these parameters, for the same numbers.
    #[must_use]
    pub fn below(mut self) -> Self {
        self.zero_points.iter_mut().for_each(|z| *z -= 128);
        self
    }

    /// The single (or first) scale.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scales.first().copied().unwrap_or(1.0)
    }

    /// The single (or first) zero point.
    #[must_use]
    pub fn zero_point(&self) -> i32 {
        self.zero_points.first().copied().unwrap_or(0)
    }

    /// Scale for channel `c`.
    #[must_use]
    pub fn channel_scale(&self, c: usize) -> f32 {
        if self.scales.len() == 1 { self.scale() } else { self.scales[c] }
    }
}
