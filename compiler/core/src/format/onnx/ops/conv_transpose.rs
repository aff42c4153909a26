//! ConvTranspose over one to three spatial dimensions. A kernel computes the plain case; groups,
//! dilations and a third dimension are a convolution of the input with zeros between its elements.

use super::Context;
use super::conv::{convolve, groups};
use super::spatial::{Span, Windows, check_kernel, extents, per_axis, rank};
use crate::geometry::{Ends, Padding};
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{OpError, TransposeConv};

type Made = Result<ValueId, OpError>;

/// One spatial dimension.
#[derive(Clone, Copy, Debug)]
struct Spread {
    input: usize,
    stride: usize,
    kernel: usize,
    dilation: usize,
    /// Extra positions behind.
    extra: usize,
}

impl Spread {
    /// From the first tap to the last one.
    fn reach(&self) -> Option<usize> {
        self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)
    }

    /// Extent without any padding.
    fn full(&self) -> Option<usize> {
        self.input
            .checked_sub(1)?
            .checked_mul(self.stride)?
            .checked_add(self.reach()?)?
            .checked_add(self.extra)
    }

    /// Result extent and positions cut off in front, from the paddings.
    fn padded(&self, before: usize, after: usize) -> Option<Extent> {
        let output = self.full()?.checked_sub(before)?.checked_sub(after)?;
        (output > 0).then_some((output, before))
    }

    /// The same from the result extent; what is cut off is shared out, the odd position behind when
    /// `upper`.
    fn sized(&self, output: usize, upper: bool) -> Option<Extent> {
        let total = self.full()?.saturating_sub(output);
        (output > 0).then_some((output, if upper { total / 2 } else { total.div_ceil(2) }))
    }
}

/// Result extent, and positions cut off in front.
type Extent = (usize, usize);

/// Spreads each input over a window; weights are `[in][out / group][kernel]`.
pub fn conv_transpose(c: &mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError> {
    let (x, w) = (c.operand(0)?, c.operand(1)?);
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let rank = rank(&dims)?;
    if weights.len() != dims.len() {
        return Err(OpError::invalid("input and weights have different numbers of dimensions"));
    }
    if weights[0] != dims[1] {
        let message = format!("weights for {} channels, input has {}", weights[0], dims[1]);
        return Err(OpError::invalid(message));
    }
    let group = groups(c, dims[1])?;
    check_kernel(c, &weights[2..])?;
    let stride = per_axis(c, "strides", (rank, 1, 1))?;
    let dilation = per_axis(c, "dilations", (rank, 1, 1))?;
    let extra = per_axis(c, "output_padding", (rank, 0, 0))?;
    let spread = |i: usize| Spread {
        input: dims[i + 2],
        stride: stride[i],
        kernel: weights[i + 2],
        dilation: dilation[i],
        extra: extra[i],
    };
    let spreads: Vec<Spread> = (0..rank).map(spread).collect();
    let outputs = outputs(c, &spreads)?;
    let is_plain = rank <= 2 && group == 1 && dilation.iter().all(|&d| d == 1);
    let bias = c.optional(2);
    let y = match is_plain {
        true => plain(c, [x, w], bias, (&spreads, &outputs))?,
        false => convolved(c, [x, w], bias, (&spreads, &outputs), group)?,
    };
    Ok(vec![y])
}

/// Extent and cut of each axis.
fn outputs(c: &Context<'_, '_>, spreads: &[Spread]) -> Result<Vec<Extent>, OpError> {
    let rank = spreads.len();
    let auto = c.attributes.text("auto_pad")?.unwrap_or("NOTSET");
    let asked = match c.attributes.ints("output_shape")? {
        Some(shape) => {
            // Some exporters list batch and channels, too.
            let spatial = shape.get(shape.len().saturating_sub(rank)..).unwrap_or_default();
            Some(extents(spatial, rank, 1, "output_shape")?)
        }
        None => match auto {
            "SAME_UPPER" | "SAME_LOWER" => {
                Some(spreads.iter().map(|s| s.input.saturating_mul(s.stride)).collect())
            }
            "NOTSET" | "VALID" => None,
            other => {
                return Err(OpError::invalid(format!("auto_pad \"{other}\" does not exist")));
            }
        },
    };
    let pads = match c.attributes.ints("pads")?.filter(|_| auto == "NOTSET") {
        Some(pads) => extents(pads, 2 * rank, 0, "pads")?,
        None => vec![0; 2 * rank],
    };
    let output = |(i, s): (usize, &Spread)| match &asked {
        Some(extents) => s.sized(extents[i], auto == "SAME_UPPER"),
        None => s.padded(pads[i], pads[i + rank]),
    };
    let all: Option<Vec<Extent>> = spreads.iter().enumerate().map(output).collect();
    all.ok_or_else(|| OpError::invalid("the attributes leave no output"))
}

/// Through the kernel, channels last.
fn plain(
    c: &mut Context<'_, '_>,
    [x, w]: [ValueId; 2],
    bias: Option<ValueId>,
    (spreads, outputs): (&[Spread], &[Extent]),
) -> Made {
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let of = |f: &dyn Fn(usize) -> usize, one: usize| match spreads.len() {
        1 => (one, f(0)),
        _two => (f(0), f(1)),
    };
    let kernel = of(&|i| spreads[i].kernel, 1);
    let output = of(&|i| outputs[i].0, 1);
    let (top, left) = of(&|i| outputs[i].1, 0);
    let last = c.build.channels_last(x)?;
    let w = c.build.reshape(w, vec![weights[0], weights[1], kernel.0, kernel.1])?;
    let w = c.build.transpose(w, &[1, 2, 3, 0])?;
    let op = TransposeConv {
        stride: of(&|i| spreads[i].stride, 1),
        padding: Padding::Explicit { rows: (top, 0), columns: (left, 0) },
        activation: Activation::None,
        output,
    };
    let operands: Vec<ValueId> = [Some(last), Some(w), bias].into_iter().flatten().collect();
    let y = c.build.add(op, &operands)?;
    c.build.channels_first(y, dims.len())
}

/// As a convolution with mirrored weights over the input with zeros between its elements.
fn convolved(
    c: &mut Context<'_, '_>,
    [x, w]: [ValueId; 2],
    bias: Option<ValueId>,
    (spreads, outputs): (&[Spread], &[Extent]),
    group: usize,
) -> Made {
    let impossible = || OpError::invalid("the attributes leave no output");
    let b = &mut c.build;
    let (weights, rank) = (b.shape(w), spreads.len());
    // [in][out / group][kernel] -> [out][in / group][kernel], mirrored
    let (channels, per_group) = (weights[0], weights[1]);
    let taps = &weights[2..];
    let w = b.reshape(w, [&[group, channels / group, per_group], taps].concat())?;
    let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..rank + 3).collect();
    let w = b.transpose(w, &order)?;
    let out = group.checked_mul(per_group).ok_or_else(impossible)?;
    let mut w = b.reshape(w, [&[out, channels / group], taps].concat())?;
    for (i, &n) in taps.iter().enumerate().filter(|(_, n)| **n > 1) {
        w = b.part(w, i + 2, (n - 1, -1, n))?;
    }
    let mut x = b.spread(x, &spreads.iter().map(|s| s.stride).collect::<Vec<_>>())?;
    let mut windows = Vec::new();
    for (i, (s, &(output, cut))) in spreads.iter().zip(outputs).enumerate() {
        let reach = s.reach().ok_or_else(impossible)?;
        let mut extent = b.shape(x)[i + 2];
        // Positions before the first element, and elements that no window needs.
        let before = (reach - 1).saturating_sub(cut);
        let skipped = cut.saturating_sub(reach - 1);
        let needed = output.saturating_add(reach - 1).checked_sub(before).ok_or_else(impossible)?;
        let kept = extent.checked_sub(skipped).ok_or_else(impossible)?.min(needed);
        if kept == 0 {
            return Err(impossible());
        }
        x = b.part(x, i + 2, (skipped, 1, kept))?;
        extent = kept;
        windows.push(Span {
            input: extent,
            kernel: s.kernel,
            stride: 1,
            dilation: s.dilation,
            ends: Ends::Explicit(before, needed - kept),
        });
    }
    convolve(b, [x, w], bias, &Windows(windows), group)
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
    fn dilations_groups_and_depth() {
        // Taps two apart: 1, 0, 10, 0, 100 and twice that, two positions later.
        let c = row().list("dilations", &[2]);
        c.gives(11, &[1, 1, 7], &[1.0, 0.0, 12.0, 0.0, 120.0, 0.0, 200.0]);
        let c = row().list("dilations", &[2]).list("pads", &[3, 5]);
        c.refused(11, "no output");
        let c = case("ConvTranspose").input(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]).int("group", 2);
        let c = c.floats(&[2, 1, 2], &[1.0, 10.0, 1.0, 100.0]).floats(&[2], &[0.0, 0.5]);
        let want = [1.0, 10.0, 2.0, 20.0, 3.5, 300.5, 4.5, 400.5];
        c.list("strides", &[2]).gives(11, &[1, 2, 4], &want);
        // More cut off than one window has.
        let c = case("ConvTranspose").input(&[1, 2, 4], &[1.0; 8]).int("group", 2);
        let c = c.floats(&[2, 1, 2], &[1.0, 10.0, 1.0, 100.0]).list("pads", &[2, 1]);
        c.gives(11, &[1, 2, 2], &[11.0, 11.0, 101.0, 101.0]);
        let c = case("ConvTranspose").input(&[1, 1, 2, 1, 1], &[1.0, 2.0]);
        let c = c.floats(&[1, 1, 2, 1, 2], &[1.0, 10.0, 100.0, 1000.0]);
        let want = [1.0, 10.0, 100.0, 1000.0, 2.0, 20.0, 200.0, 2000.0];
        c.list("strides", &[2, 1, 1]).gives(11, &[1, 1, 4, 1, 2], &want);
    }

    #[test]
    fn hostile_attributes_are_refused() {
        row().list("pads", &[i64::MAX, 1]).refused(11, "no output");
        row().list("pads", &[1]).refused(11, "pads");
        row().list("output_padding", &[i64::MAX]).refused(11, "do not give an output");
        row().list("output_shape", &[0]).refused(11, "output_shape");
        row().int("group", 2).refused(11, "groups");
        row().list("dilations", &[i64::MAX]).refused(11, "no output");
    }
}
