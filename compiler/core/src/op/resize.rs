//! What both resize operators have in common: NHWC geometry and its checks. Not an operator itself.

use super::conv2d::dims4;
use super::{OpError, Signature, movement};
use crate::tensor::{Shape, TensorType};

/// Extents up to this keep every position in int32 with ten fractional bits.
const MAX_EXTENT: usize = 1 << 19;

/// How output positions map to input positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    /// First and last samples coincide.
    pub align_corners: bool,
    /// Samples stand for pixel centres.
    pub half_pixel_centers: bool,
}

/// One spatial dimension.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Input extent, at least 1.
    pub from: usize,
    /// Output extent, at least 1.
    pub to: usize,
    /// Position rule.
    pub sampling: Sampling,
}

/// A whole resize.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Batch.
    pub batch: usize,
    /// Vertical.
    pub y: Axis,
    /// Horizontal.
    pub x: Axis,
    /// Channels.
    pub channels: usize,
}

impl Axis {
    /// Input step per output step in float32 (TFLite reference kernels).
    #[must_use]
    pub fn scale(&self) -> f32 {
        if self.sampling.align_corners && self.to > 1 {
            (self.from - 1) as f32 / (self.to - 1) as f32
        } else {
            self.from as f32 / self.to as f32
        }
    }

    /// The same with ten fractional bits, rounded (numerics 4.5).
    #[must_use]
    pub fn scale10(&self) -> i64 {
        let (n, m) = if self.sampling.align_corners && self.to > 1 {
            (self.from as i64 - 1, self.to as i64 - 1)
        } else {
            (self.from as i64, self.to as i64)
        };
        ((n << 10) + m / 2) / m
    }

    /// How far positions with ten fractional bits are from the exact ones at most, in input samples.
    #[must_use]
    pub fn drift(&self) -> f64 {
        let step = self.scale10();
        let exact = if self.sampling.align_corners && self.to > 1 {
            (self.from as f64 - 1.0) / (self.to as f64 - 1.0)
        } else {
            self.from as f64 / self.to as f64
        };
        let is_cut = self.sampling.half_pixel_centers && step % 2 == 1;
        let shift = if is_cut { 0.5 / 1024.0 } else { 0.0 };
        (step as f64 / 1024.0 - exact).abs() * self.to as f64 + shift
    }
}

impl Geometry {
    /// Geometry of operand 0 resized to `(height, width)`.
    ///
    /// # Errors
    /// Not four dimensions; empty or excessive extents.
    pub fn new(
        s: &Signature<'_>,
        size: (usize, usize),
        sampling: Sampling,
    ) -> Result<Self, OpError> {
        let shape = s.operand(0)?.shape();
        let [batch, h, w, channels] = dims4(shape, "input")?;
        let extents = [h, w, size.0, size.1];
        if extents.contains(&0) || extents.iter().any(|&e| e > MAX_EXTENT) {
            return Err(OpError::invalid(format!(
                "{shape} cannot be resized to {}x{}: extents should be 1 to {MAX_EXTENT}",
                size.0, size.1
            )));
        }
        Ok(Self {
            batch,
            y: Axis { from: h, to: size.0, sampling },
            x: Axis { from: w, to: size.1, sampling },
            channels,
        })
    }

    /// Type of the result.
    ///
    /// # Errors
    /// Too many elements.
    pub fn result(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let shape: Shape =
            movement::result_shape(vec![self.batch, self.y.to, self.x.to, self.channels])?;
        Ok(vec![TensorType::new(s.operand(0)?.dtype(), shape)])
    }

    /// Flat index of the first channel of an input pixel.
    #[must_use]
    pub fn at(&self, n: usize, y: usize, x: usize) -> usize {
        ((n * self.y.from + y) * self.x.from + x) * self.channels
    }
}
