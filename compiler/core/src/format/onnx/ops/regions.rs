//! Operators on regions of images and on matrices as a whole.

use super::Context;
use crate::diagnostic::Code;
use crate::graph::ValueId;
use crate::op::{Determinant, NonMaxSuppression, OpError, Pooling, RoiAlign};
use crate::tensor::{DType, Shape, TensorData};

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

/// Boxes of one class, and classes, when boxes are selected while reading: suppression compares every
/// two of them.
const MAX_KNOWN: usize = 4096;

/// Rows of a result: far more than a program for a small machine can hold.
const MAX_ROWS: usize = 1 << 24;

/// The boxes of each class that are left when those that overlap a better one go: rows of (batch,
/// class, box). Where boxes and scores arrive at run time, the user says how many rows.
pub fn non_max_suppression(c: &mut Context<'_, '_>) -> Read {
    let (boxes, scores) = (c.operand(0)?, c.operand(1)?);
    let (boxes, scores) = (c.build.widened(boxes)?, c.build.widened(scores)?);
    let most = match c.ints(2)?.as_deref() {
        None => 0,
        Some(&[most]) => most,
        Some(many) => {
            let message = format!("max_output_boxes_per_class has {} elements, not 1", many.len());
            return Err(OpError::invalid(message));
        }
    };
    let most = usize::try_from(most).unwrap_or(0);
    let (overlap, least) = (c.float(3)?.unwrap_or(0.0), c.float(4)?);
    if !(0.0..=1.0).contains(&overlap) {
        return Err(OpError::invalid(format!("the iou_threshold {overlap} is not in 0 to 1")));
    }
    let by_centre = c.attributes.flag("center_point_box", false)?;
    let extents = [boxes, scores].map(|v| c.build.ty(v).shape);
    let extents = NonMaxSuppression::extents(&extents[0], &extents[1])?;
    let [batches, classes, n] = extents;
    let bound = batches.saturating_mul(classes).saturating_mul(most.min(n));
    let given = c.rows();
    if let Some(rows) = given.filter(|&rows| rows > MAX_ROWS) {
        let message = format!("--nms-rows {rows} is too large, only up to {MAX_ROWS} are possible");
        let error = OpError { code: Code::BadOption, ..OpError::invalid(message) };
        return Err(error.help(format!("all that can be selected here are {bound} rows")));
    }
    let rows = given.unwrap_or(bound);
    let op = NonMaxSuppression { rows, most, overlap, least, by_centre };
    if bound == 0 {
        let shape = Shape::checked(vec![rows, 3]);
        let shape = shape.ok_or_else(|| OpError::invalid(format!("{rows} rows are too many")))?;
        let nothing = TensorData::I64(vec![-1; shape.elements()]);
        return Ok(vec![c.build.tensor(shape.0, nothing)?]);
    }
    let known = c.build.data(boxes).zip(c.build.data(scores));
    if known.is_some() && n.max(batches.saturating_mul(classes)) > MAX_KNOWN {
        return Err(OpError::unsupported(format!("more than {MAX_KNOWN} boxes or classes")));
    }
    let floats = known.as_ref().and_then(|(b, s)| Some((b.as_f32()?, s.as_f32()?)));
    match (given, floats) {
        (None, Some((boxes, scores))) => {
            let selected = op.selected(extents, boxes, scores);
            let rows = selected.iter().flatten().map(|&v| v as i64).collect();
            Ok(vec![c.build.tensor(vec![selected.len(), 3], TensorData::I64(rows))?])
        }
        (None, None) if c.build.ty(boxes).dtype == DType::F32 => {
            let message = "how many boxes are selected is known at run time only";
            Err(OpError::unsupported(message).help(format!(
                "say how many rows the result has: --nms-rows {bound} holds all that can be \
                 selected, with fewer the last ones are cut; rows that are not needed hold -1"
            )))
        }
        (_, _) => Ok(vec![c.build.add(op, &[boxes, scores])?]),
    }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

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

    const BOXES: [f32; 12] = [0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 10.0, 1.0, 11.0];

    fn rows_of(c: Case) -> (Vec<usize>, Vec<i64>) {
        let y = c.run(11).expect("reads");
        (y.shape.0.clone(), y.to_i64().expect("integers"))
    }

    #[test]
    fn known_boxes_that_are_left() {
        let known = || {
            let c = case("NonMaxSuppression").floats(&[1, 3, 4], &BOXES);
            c.floats(&[1, 1, 3], &[0.9, 0.75, 0.6])
        };
        let c = known().ints(&[1], &[3]).floats(&[1], &[0.5]);
        assert_eq!(rows_of(c), (vec![2, 3], vec![0, 0, 0, 0, 0, 2]));
        let c = known().ints(&[], &[3]).none().floats(&[], &[0.7]).nms_rows(3);
        assert_eq!(rows_of(c), (vec![3, 3], vec![0, 0, 0, -1, -1, -1, -1, -1, -1]));
        known().ints(&[1], &[3]).floats(&[1], &[1.5]).refused(11, "iou_threshold 1.5");
        // By default, nothing is selected.
        assert_eq!(rows_of(known()), (vec![0, 3], vec![]));
        assert_eq!(rows_of(known().nms_rows(1)), (vec![1, 3], vec![-1; 3]));
    }

    #[test]
    fn the_user_says_how_many_boxes_are_left() {
        let open = || {
            let c = case("NonMaxSuppression").input(&[1, 3, 4], &BOXES);
            c.input(&[1, 2, 3], &[0.9, 0.75, 0.6, 0.0, 0.2, 0.1])
        };
        let c = || open().ints(&[1], &[2]).floats(&[1], &[0.5]);
        c().refused(11, "--nms-rows 4 holds all");
        let rows = [0, 0, 0, 0, 0, 2, 0, 1, 1, 0, 1, 2, -1, -1, -1];
        assert_eq!(rows_of(c().nms_rows(5)), (vec![5, 3], rows.to_vec()));
        assert_eq!(rows_of(c().nms_rows(3)), (vec![3, 3], rows[..9].to_vec()));
        // Corners apart; as centre and size, the second box holds the first.
        for (by_centre, second) in [(0, vec![0, 0, 1]), (1, vec![-1; 3])] {
            let boxes = [0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 3.0];
            let c = case("NonMaxSuppression").input(&[1, 2, 4], &boxes);
            let c = c.input(&[1, 1, 2], &[0.2, 0.1]).ints(&[1], &[2]).floats(&[1], &[0.25]);
            let c = c.int("center_point_box", by_centre).nms_rows(2);
            assert_eq!(rows_of(c).1, [vec![0; 3], second].concat());
        }
        let huge = c().nms_rows(u32::MAX as usize);
        huge.refused(11, "--nms-rows 4294967295 is too large, only up to 16777216 are possible");
        open().ints(&[2], &[2, 1]).refused(11, "max_output_boxes_per_class has 2 elements, not 1");
        open().input(&[1], &[2.0]).refused(11, "--input-value x2=...");
        open().ints(&[1], &[2]).input(&[1], &[0.5]).refused(11, "--input-value x3=...");
        case("Abs").input(&[1], &[2.0]).nms_rows(2).refused(13, "--nms-rows is given, but no");
    }
}
