//! ConvTranspose over one and two spatial dimensions, through channels last like Conv.

use super::Context;
use super::conv::{channels_first, channels_last, pair};
use crate::graph::ValueId;
use crate::kernels::window::Padding;
use crate::numeric::Activation;
use crate::op::{OpError, TransposeConv};

/// One spatial dimension.
struct Spread {
    input: usize,
    stride: usize,
    kernel: usize,
    /// Extra positions behind.
    extra: usize,
}

impl Spread {
    /// Extent without any padding.
    fn full(&self) -> Option<usize> {
        self.input
            .checked_sub(1)?
            .checked_mul(self.stride)?
            .checked_add(self.kernel)?
            .checked_add(self.extra)
    }

    /// Result extent and positions cut off in front, from the paddings.
    fn padded(&self, before: usize, after: usize) -> Option<(usize, usize)> {
        let output = self.full()?.checked_sub(before)?.checked_sub(after)?;
        (output > 0).then_some((output, before))
    }

    /// The same from the result extent; what is cut off is shared out, the odd position behind when
    /// `upper`.
    fn sized(&self, output: usize, upper: bool) -> Option<(usize, usize)> {
        let total = self.full()?.saturating_sub(output);
        (output > 0).then_some((output, if upper { total / 2 } else { total.div_ceil(2) }))
    }
}

/// Spreads each input over a window; weights are `[in][out][kh][kw]`.
pub fn conv_transpose(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    let (x, w) = (c.operand(0)?, c.operand(1)?);
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let kernel = match (dims.len(), weights.as_slice()) {
        (3, &[_, _, kw]) => (1, kw),
        (4, &[_, _, kh, kw]) => (kh, kw),
        _other => {
            return Err(OpError::unsupported(format!(
                "input of {} and weights of {} dimensions are not supported, only 3 or 4 of both",
                dims.len(),
                weights.len()
            )));
        }
    };
    if c.attributes.int("group")?.unwrap_or(1) != 1 {
        return Err(OpError::unsupported("groups are not supported"));
    }
    if weights[0] != dims[1] {
        let message = format!("weights for {} channels, input has {}", weights[0], dims[1]);
        return Err(OpError::invalid(message));
    }
    let rank = dims.len() - 2;
    let of = |name: &str, least: i64, default: usize| match c.attributes.ints(name)? {
        Some(values) => pair(values, rank, least, name),
        None => Ok((default, default)),
    };
    if of("dilations", 1, 1)? != (1, 1) {
        return Err(OpError::unsupported("dilations are not supported"));
    }
    let mut stride = of("strides", 1, 1)?;
    let mut extra = of("output_padding", 0, 0)?;
    let mut height = dims[2];
    if rank == 1 {
        (stride.0, extra.0, height) = (1, 0, 1);
    }
    let rows = Spread { input: height, stride: stride.0, kernel: kernel.0, extra: extra.0 };
    let width = dims[dims.len() - 1];
    let columns = Spread { input: width, stride: stride.1, kernel: kernel.1, extra: extra.1 };
    let ((out_h, top), (out_w, left)) = extents(c, &rows, &columns, rank)?;
    let last = channels_last(&mut c.build, x)?;
    let w = c.build.reshape(w, vec![weights[0], weights[1], kernel.0, kernel.1])?;
    let w = c.build.transpose(w, &[1, 2, 3, 0])?;
    let op = TransposeConv {
        stride,
        padding: Padding::Explicit { rows: (top, 0), columns: (left, 0) },
        activation: Activation::None,
        output: (out_h, out_w),
    };
    let operands: Vec<ValueId> =
        [Some(last), Some(w), c.optional(2)].into_iter().flatten().collect();
    let y = c.build.add(op, &operands)?;
    Ok(vec![channels_first(&mut c.build, y, dims.len())?])
}

type Extent = (usize, usize);

/// Extent and cut of rows and columns.
fn extents(
    c: &Context<'_, '_>,
    rows: &Spread,
    columns: &Spread,
    rank: usize,
) -> Result<(Extent, Extent), OpError> {
    let auto = c.attributes.text("auto_pad")?.unwrap_or("NOTSET");
    let asked = match c.attributes.ints("output_shape")? {
        Some(shape) => {
            // Some exporters list batch and channels, too.
            let spatial = shape.get(shape.len().saturating_sub(rank)..).unwrap_or_default();
            Some(pair(spatial, rank, 1, "output_shape")?)
        }
        None => match auto {
            "SAME_UPPER" | "SAME_LOWER" => Some((
                rows.input.saturating_mul(rows.stride),
                columns.input.saturating_mul(columns.stride),
            )),
            "NOTSET" | "VALID" => None,
            other => {
                return Err(OpError::invalid(format!("auto_pad \"{other}\" does not exist")));
            }
        },
    };
    let found = if let Some((height, width)) = asked {
        let upper = auto == "SAME_UPPER";
        rows.sized(if rank == 1 { 1 } else { height }, upper).zip(columns.sized(width, upper))
    } else {
        let pads = c.attributes.ints("pads")?.filter(|_| auto == "NOTSET");
        let (mut before, mut after) = ((0, 0), (0, 0));
        if let Some(pads) = pads {
            let (first, second) = pads.split_at(rank.min(pads.len()));
            before = pair(first, rank, 0, "pads")?;
            after = pair(second, rank, 0, "pads")?;
        }
        if rank == 1 {
            (before.0, after.0) = (0, 0);
        }
        rows.padded(before.0, after.0).zip(columns.padded(before.1, after.1))
    };
    found.ok_or_else(|| OpError::invalid("the attributes leave no output"))
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    /// Two inputs 1 and 2 spread by the window 1, 10, 100 with stride 2: 1, 10, 102, 20, 200.
    fn row() -> Case {
        let c = case("ConvTranspose").input(&[1, 1, 2], &[1.0, 2.0]);
        c.floats(&[1, 1, 3], &[1.0, 10.0, 100.0]).list("strides", &[2])
    }

    #[test]
    fn rows_with_every_padding() {
        row().gives(11, &[1, 1, 5], &[1.0, 10.0, 102.0, 20.0, 200.0]);
        row().list("pads", &[1, 1]).gives(11, &[1, 1, 3], &[10.0, 102.0, 20.0]);
        let c = row().list("pads", &[1, 1]).list("output_padding", &[1]);
        c.gives(11, &[1, 1, 4], &[10.0, 102.0, 20.0, 200.0]);
        row().text("auto_pad", "SAME_UPPER").gives(11, &[1, 1, 4], &[1.0, 10.0, 102.0, 20.0]);
        row().text("auto_pad", "SAME_LOWER").gives(11, &[1, 1, 4], &[10.0, 102.0, 20.0, 200.0]);
        row().list("output_shape", &[4]).gives(11, &[1, 1, 4], &[10.0, 102.0, 20.0, 200.0]);
    }

    #[test]
    fn planes_and_channels() {
        // One pixel of two channels to two channels: a matrix product per tap, plus bias.
        let c = case("ConvTranspose").input(&[1, 2, 1, 1], &[1.0, 2.0]);
        let c = c.floats(&[2, 2, 1, 2], &[1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0]);
        let c = c.floats(&[2], &[0.5, 0.0]);
        c.gives(11, &[1, 2, 1, 2], &[21.5, 42.5, 63.0, 84.0]);
    }

    #[test]
    fn hostile_attributes_are_refused() {
        row().list("pads", &[i64::MAX, 1]).refused(11, "no output");
        row().list("pads", &[1]).refused(11, "pads");
        row().list("output_padding", &[i64::MAX]).refused(11, "do not give an output");
        row().list("output_shape", &[0]).refused(11, "output_shape");
        row().int("group", 2).refused(11, "groups");
        row().list("dilations", &[2]).refused(11, "dilations");
    }
}
