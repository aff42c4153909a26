//! Spectra and what is done around them: Fourier transforms as products with constant matrices,
//! windows, mel filters.

use super::Context;
use crate::format::onnx::tensor;
use crate::geometry::Padding;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{Cast, Conv2d, FullyConnected, OpError};
use crate::tensor::TensorData;
use std::f64::consts::PI;

type Read = Result<Vec<ValueId>, OpError>;

/// Elements of constants made here.
const MAX_ELEMENTS: usize = 4 << 20;

/// a - b cos(angle) + c cos(2 angle) over one period.
fn window(c: &mut Context<'_, '_>, [first, second, third]: [f64; 3]) -> Read {
    let size = number(c, 0)?.ok_or_else(|| OpError::invalid("operand 0 (the size) is missing"))?;
    let size = usize::try_from(size).ok().filter(|&n| n > 0 && n <= MAX_ELEMENTS);
    let size = size.ok_or_else(|| OpError::unsupported("a window of that size is not possible"))?;
    let is_periodic = c.attributes.flag("periodic", true)?;
    let period = if is_periodic { size } else { size.saturating_sub(1).max(1) };
    let at = |i: usize| {
        let angle = 2.0 * PI * i as f64 / period as f64;
        (first - second * libm::cos(angle) + third * libm::cos(2.0 * angle)) as f32
    };
    let y = c.build.tensor(vec![size], TensorData::F32((0..size).map(at).collect()))?;
    Ok(vec![typed(c, y)?])
}

/// In the type of attribute `output_datatype`.
fn typed(c: &mut Context<'_, '_>, y: ValueId) -> Result<ValueId, OpError> {
    let code = c.attributes.int("output_datatype")?.unwrap_or(1);
    let to = tensor::dtype(i32::try_from(code).unwrap_or(0))?;
    if c.build.ty(y).dtype == to { Ok(y) } else { c.build.apply(Cast { to }, y) }
}

/// Hann window.
pub fn hann(c: &mut Context<'_, '_>) -> Read {
    window(c, [0.5, 0.5, 0.0])
}

/// Hamming window.
pub fn hamming(c: &mut Context<'_, '_>) -> Read {
    window(c, [25.0 / 46.0, 21.0 / 46.0, 0.0])
}

/// Blackman window.
pub fn blackman(c: &mut Context<'_, '_>) -> Read {
    window(c, [0.42, 0.5, 0.08])
}

/// Operand `i` as one constant integer; `None` when it is left out.
fn number(c: &Context<'_, '_>, i: usize) -> Result<Option<i64>, OpError> {
    match c.ints(i)?.as_deref() {
        None => Ok(None),
        Some(&[one]) => Ok(Some(one)),
        Some(_) => Err(OpError::invalid(format!("operand {i} should be one number"))),
    }
}

/// A Fourier transform of `length` points.
#[derive(Clone, Copy, Debug)]
struct Fourier {
    length: usize,
    inverse: bool,
    /// Only the first half of a spectrum, the other one mirrors it: as result, or of the inverse as
    /// operand, whose result is real then.
    one_sided: bool,
}

impl Fourier {
    /// Rows of results and numbers of each.
    fn result(self) -> (usize, usize) {
        match (self.one_sided, self.inverse) {
            (true, false) => (self.length / 2 + 1, 2),
            (true, true) => (self.length, 1),
            (false, _) => (self.length, 2),
        }
    }

    /// The matrix from `points` elements of `parts` numbers to the results, row by row. Elements
    /// beyond the length do not count; missing ones are zeros.
    fn matrix(self, points: usize, parts: usize) -> Result<Vec<f32>, OpError> {
        let (rows, numbers) = self.result();
        let size = rows
            .checked_mul(numbers)
            .and_then(|n| n.checked_mul(points)?.checked_mul(parts))
            .filter(|&n| n <= MAX_ELEMENTS && self.length > 0);
        let size = size.ok_or_else(|| {
            OpError::unsupported(format!("a transform of {} points is not possible", self.length))
        })?;
        let mut matrix = Vec::with_capacity(size);
        let mirrored = self.one_sided && self.inverse;
        let known = if mirrored { self.length / 2 + 1 } else { self.length };
        let factor = if self.inverse { 1.0 / self.length as f64 } else { 1.0 };
        for row in 0..rows {
            for number in 0..numbers {
                for point in 0..points {
                    // What is mirrored counts twice.
                    let is_middle = point == 0 || 2 * point == self.length;
                    let weight = match (point < known, mirrored && !is_middle) {
                        (false, _) => 0.0,
                        (true, true) => 2.0 * factor,
                        (true, false) => factor,
                    };
                    let turns = (row as u128 * point as u128) % self.length as u128;
                    let angle = 2.0 * PI * turns as f64 / self.length as f64;
                    let (cos, sin) = (libm::cos(angle), libm::sin(angle));
                    let sin = if self.inverse { -sin } else { sin };
                    for part in 0..parts {
                        let value = match (number, part) {
                            (0, 0) | (1, 1) => cos,
                            (0, _) => sin,
                            (_, _) => -sin,
                        };
                        matrix.push((value * weight) as f32);
                    }
                }
            }
        }
        Ok(matrix)
    }
}

/// The axis is an attribute.
pub fn dft_17(c: &mut Context<'_, '_>) -> Read {
    let axis = c.attributes.int("axis")?.unwrap_or(1);
    dft(c, axis)
}

/// The axis is operand 2.
pub fn dft_20(c: &mut Context<'_, '_>) -> Read {
    let axis = number(c, 2)?.unwrap_or(-2);
    dft(c, axis)
}

/// Discrete Fourier transform along an axis; real and imaginary part are the last dimension.
fn dft(c: &mut Context<'_, '_>, axis: i64) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let rank = dims.len();
    let parts = *dims.last().unwrap_or(&0);
    let axis = c.axis(axis, rank)?;
    if rank < 2 || axis + 1 == rank || !(1..=2).contains(&parts) {
        return Err(OpError::invalid(format!(
            "axis {axis} of an input {dims:?} cannot be transformed: the last dimension should hold \
             real and imaginary parts"
        )));
    }
    let one_sided = c.attributes.flag("onesided", false)?;
    let inverse = c.attributes.flag("inverse", false)?;
    let points = dims[axis];
    let default = if one_sided && inverse { 2 * points.saturating_sub(1) } else { points };
    let length = match number(c, 1)? {
        None => default,
        Some(n) => usize::try_from(n).unwrap_or(0),
    };
    if one_sided && !inverse && parts == 2 {
        return Err(OpError::invalid("a one-sided spectrum needs a real input"));
    }
    let fourier = Fourier { length, inverse, one_sided };
    let (rows, numbers) = fourier.result();
    let matrix = fourier.matrix(points, parts)?;
    let matrix = TensorData::F32(matrix);
    let matrix = c.build.tensor(vec![rows * numbers, points * parts], matrix)?;
    let mut order: Vec<usize> = (0..rank).filter(|&i| i != axis && i + 1 != rank).collect();
    let mut shape: Vec<usize> = order.iter().map(|&i| dims[i]).collect();
    let outer = shape.iter().product();
    order.extend([axis, rank - 1]);
    let x = c.build.transpose(x, &order)?;
    let x = c.build.reshape(x, vec![outer, points * parts])?;
    let op = FullyConnected { activation: Activation::None, keep_dims: false };
    let y = c.build.add(op, &[x, matrix])?;
    shape.extend([rows, numbers]);
    let y = c.build.reshape(y, shape)?;
    let mut back = vec![0; rank];
    order.iter().enumerate().for_each(|(i, &d)| back[d] = i);
    Ok(vec![c.build.transpose(y, &back)?])
}

/// Spectra of overlapping frames of a signal: a convolution along time.
pub fn stft(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    let dims = c.build.shape(x);
    let (batch, points, parts) = match dims.as_slice() {
        &[batch, points] => (batch, points, 1),
        &[batch, points, parts @ 1..=2] => (batch, points, parts),
        _other => return Err(OpError::invalid(format!("{dims:?} is no signal"))),
    };
    let step = number(c, 1)?.and_then(|s| usize::try_from(s).ok()).filter(|&s| s > 0);
    let step = step.ok_or_else(|| OpError::invalid("operand 1 (frame_step) is not possible"))?;
    let taper = c.optional(2);
    let tapered = taper.map(|w| c.build.shape(w).iter().product());
    let length = match number(c, 3)? {
        Some(n) => usize::try_from(n).unwrap_or(0),
        None => tapered.unwrap_or(points),
    };
    if length == 0 || length > points || tapered.is_some_and(|n: usize| n != length) {
        return Err(OpError::invalid(format!(
            "frames of {length} do not fit the window or the {points} points of the signal"
        )));
    }
    let one_sided = c.attributes.flag("onesided", true)?;
    let fourier = Fourier { length, inverse: false, one_sided };
    let (rows, numbers) = fourier.result();
    let matrix = TensorData::F32(fourier.matrix(length, parts)?);
    let mut weights = c.build.tensor(vec![rows * numbers, 1, length, parts], matrix)?;
    if let Some(taper) = taper {
        let taper = c.build.reshape(taper, vec![length, 1])?;
        weights = c.build.times(weights, taper)?;
    }
    let x = c.build.reshape(x, vec![batch, 1, points, parts])?;
    let op = Conv2d {
        stride: (1, step),
        dilation: (1, 1),
        padding: Padding::Valid,
        activation: Activation::None,
    };
    let y = c.build.add(op, &[x, weights])?;
    let frames = (points - length) / step + 1;
    Ok(vec![c.build.reshape(y, vec![batch, frames, rows, numbers])?])
}

/// Triangular filters that are equally wide on the mel scale: `[spectrum, filters]`.
pub fn mel_weight_matrix(c: &mut Context<'_, '_>) -> Read {
    let extent = |i: usize| -> Result<usize, OpError> {
        let n = number(c, i)?.and_then(|n| usize::try_from(n).ok());
        let n = n.filter(|&n| n > 0 && n <= MAX_ELEMENTS);
        n.ok_or_else(|| OpError::invalid(format!("operand {i} should be a positive number")))
    };
    let (filters, length, rate) = (extent(0)?, extent(1)?, extent(2)?);
    let hertz = |i: usize| {
        let edge = c.float(i)?.map(f64::from).filter(|&e| e >= 0.0);
        edge.ok_or_else(|| OpError::invalid(format!("operand {i} should be a frequency")))
    };
    let mel = |hertz: f64| 2595.0 * libm::log10(1.0 + hertz / 700.0);
    let (low, high) = (mel(hertz(3)?), mel(hertz(4)?));
    let rows = length / 2 + 1;
    let size = rows.checked_mul(filters).filter(|&n| n <= MAX_ELEMENTS);
    let size = size.ok_or_else(|| OpError::unsupported("the filters are too many"))?;
    let step = (high - low) / (filters as f64 + 2.0);
    let bin = |i: usize| {
        let hertz = 700.0 * (libm::pow(10.0, (i as f64 * step + low) / 2595.0) - 1.0);
        ((length as f64 + 1.0) * hertz / rate as f64).floor()
    };
    let bins: Vec<usize> = (0..filters + 2).map(|i| bin(i).clamp(0.0, 1e9) as usize).collect();
    let mut matrix = vec![0.0f32; size];
    for (filter, edges) in bins.windows(3).enumerate() {
        let &[left, centre, right] = edges else { continue };
        if right > rows || centre >= rows || left > centre || centre > right {
            return Err(OpError::invalid("the frequencies lie outside of the spectrum"));
        }
        for row in left..=centre {
            let rise = (row - left) as f32 / (centre - left).max(1) as f32;
            matrix[row * filters + filter] = if left == centre { 1.0 } else { rise };
        }
        for row in centre..right {
            matrix[row * filters + filter] = (right - row) as f32 / (right - centre) as f32;
        }
    }
    let y = c.build.tensor(vec![rows, filters], TensorData::F32(matrix))?;
    Ok(vec![typed(c, y)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    #[test]
    fn windows_by_hand() {
        let c = |name| case(name).ints(&[], &[4]);
        c("HannWindow").gives(17, &[4], &[0.0, 0.5, 1.0, 0.5]);
        c("HannWindow").int("periodic", 0).gives(17, &[4], &[0.0, 0.75, 0.75, 0.0]);
        c("HammingWindow").gives(17, &[4], &[4.0 / 46.0, 25.0 / 46.0, 1.0, 25.0 / 46.0]);
        c("BlackmanWindow").gives(17, &[4], &[0.0, 0.34, 1.0, 0.34]);
        case("HannWindow").ints(&[], &[i64::MAX]).refused(17, "not possible");
    }

    fn signal(parts: usize) -> Case {
        case("DFT").input(&[1, 4 / parts, parts], &[1.0, 2.0, 3.0, 5.0])
    }

    #[test]
    fn transforms_by_hand() {
        let spectrum = [11.0, 0.0, -2.0, 3.0, -3.0, 0.0, -2.0, -3.0];
        signal(1).gives(20, &[1, 4, 2], &spectrum);
        signal(1).int("axis", 1).gives(19, &[1, 4, 2], &spectrum);
        signal(1).int("onesided", 1).gives(20, &[1, 3, 2], &spectrum[..6]);
        // Two points, and the next two cut off.
        signal(1).ints(&[], &[2]).gives(20, &[1, 2, 2], &[3.0, 0.0, -1.0, 0.0]);
        signal(2).gives(20, &[1, 2, 2], &[4.0, 7.0, -2.0, -3.0]);
        signal(2).int("inverse", 1).gives(20, &[1, 2, 2], &[2.0, 3.5, -1.0, -1.5]);
        let half = case("DFT").input(&[1, 3, 2], &spectrum[..6]).int("inverse", 1);
        half.int("onesided", 1).gives(20, &[1, 4, 1], &[1.0, 2.0, 3.0, 5.0]);
        signal(2).int("onesided", 1).refused(20, "real");
        signal(1).none().ints(&[], &[2]).refused(20, "cannot be transformed");
        signal(1).ints(&[], &[1 << 40]).refused(20, "not possible");
    }

    #[test]
    fn frames_of_a_signal() {
        let c = || case("STFT").input(&[1, 5, 1], &[1.0, 2.0, 3.0, 5.0, 7.0]).ints(&[], &[3]);
        let frames = c().none().ints(&[], &[2]);
        frames.gives(17, &[1, 2, 2, 2], &[3.0, 0.0, -1.0, 0.0, 12.0, 0.0, -2.0, 0.0]);
        let tapered = c().input(&[2], &[1.0, 0.5]);
        tapered.gives(17, &[1, 2, 2, 2], &[2.0, 0.0, 0.0, 0.0, 8.5, 0.0, 1.5, 0.0]);
        c().none().ints(&[], &[6]).refused(17, "do not fit");
    }

    #[test]
    fn mel_filters() {
        let c = |high: f32| {
            let c = case("MelWeightMatrix").ints(&[], &[2]).ints(&[], &[16]).ints(&[], &[8000]);
            c.floats(&[], &[0.0]).floats(&[], &[high])
        };
        let y = c(4000.0).run(17).expect("reads");
        assert_eq!(y.shape.0, [9, 2]);
        // Edges at 0, 427, 1114 and 2220 Hz: bins 0, 0, 2 and 4.
        let have = y.as_f32().expect("floats");
        let column = |i: usize| have.chunks(2).map(|row| row[i]).collect::<Vec<_>>();
        assert_eq!(column(0), [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(column(1), [0.0, 0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]);
        c(9e9).refused(17, "outside");
    }
}
