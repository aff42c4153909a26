//! Operators on regions of images and on matrices as a whole.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Determinant, OpError, Pooling, RoiAlign};

type Read = Result<Vec<ValueId>, OpError>;

/// Determinants of the matrices in the last two dimensions.
pub fn determinant(c: &mut Context<'_, '_>) -> Read {
    let x = c.operand(0)?;
    Ok(vec![c.build.apply(Determinant, x)?])
}

/// Regions (operand 1) of the images that operand 2 numbers, resampled to one size.
pub fn roi_align(c: &mut Context<'_, '_>) -> Read {
    let operands = [c.operand(0)?, c.operand(1)?, c.operand(2)?];
    let size = |name: &str, default: i64| -> Result<usize, OpError> {
        let n = c.attributes.int(name)?.unwrap_or(default);
        let n = usize::try_from(n).ok().filter(|&n| n < 1 << 15);
        n.ok_or_else(|| OpError::invalid(format!("attribute \"{name}\" is not possible")))
    };
    let (height, width) = (size("output_height", 1)?, size("output_width", 1)?);
    let samples = size("sampling_ratio", 0)?;
    if samples == 0 {
        return Err(OpError::unsupported(
            "sampling_ratio 0, as many samples as the size of each region asks for, is not supported",
        )
        .help("export the model with a sampling_ratio of 1 or more"));
    }
    let mode = match c.attributes.text("coordinate_transformation_mode")? {
        // Before opset 16 there was no choice.
        None if c.opset < 16 => "output_half_pixel",
        None => "half_pixel",
        Some(mode) => mode,
    };
    let half_pixel = match mode {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => return Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
    };
    let pooling = match c.attributes.text("mode")?.unwrap_or("avg") {
        "avg" => Pooling::Mean,
        "max" => Pooling::Max,
        other => return Err(OpError::invalid(format!("mode \"{other}\" does not exist"))),
    };
    let scale = c.attributes.float("spatial_scale", 1.0)?;
    let op = RoiAlign { height, width, samples, scale, half_pixel, pooling };
    Ok(vec![c.build.add(op, &operands)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::case;

    #[test]
    fn regions_and_matrices() {
        let c = case("RoiAlign").input(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let c = c.floats(&[1, 4], &[0.0, 0.0, 2.0, 2.0]).ints(&[1], &[0]);
        c.int("sampling_ratio", 1).gives(16, &[1, 1, 1, 1], &[2.5]);
        let c = case("RoiAlign").input(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let c = c.floats(&[1, 4], &[0.0, 0.0, 2.0, 2.0]).ints(&[1], &[0]);
        c.refused(16, "sampling_ratio 0");
        case("Det").input(&[2, 2], &[1.0, 2.0, 3.0, 4.0]).gives(11, &[], &[-2.0]);
    }
}
