//! Pooling over one to three spatial dimensions, and over all of them.

use super::Context;
use super::activation::whole_power;
use super::spatial::{Span, Windows};
use crate::format::onnx::build::Builder;
use crate::geometry::Ends;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{
    Abs, ArgAttributes, ArgMax, AveragePool2d, Cast, Exp, Gather, Log, MaxPool2d, Mean, Op,
    OpError, PoolAttributes, ReduceAttributes, ReduceMax, Sqrt, Square, Sum,
};
use crate::tensor::{DType, TensorData};

type Read = Result<Vec<ValueId>, OpError>;
type Made = Result<ValueId, OpError>;

/// Mean of the taps inside the input; with `count_include_pad` padded zeros count, too.
pub fn average_pool(c: &mut Context<'_, '_>) -> Read {
    let include = c.attributes.flag("count_include_pad", false)?;
    let (x, mut windows) = window(c)?;
    let rank = c.build.shape(x).len();
    let mut last = c.build.channels_last(x)?;
    // What ceil_mode adds does not count.
    let counted: Vec<(usize, usize)> = windows.0.iter().map(Span::pads).collect();
    apply_ceil_mode(c, &mut windows)?;
    if include {
        last = with_zeros(&mut c.build, last, &mut windows, &counted)?;
    }
    let y = pooled(&mut c.build, last, &windows, |a| AveragePool2d(a).into())?;
    Ok(vec![c.build.channels_first(y, rank)?])
}

/// Maximum of the taps inside the input. The second result, where it lies, costs nothing unless it is
/// read.
pub fn max_pool(c: &mut Context<'_, '_>) -> Read {
    let (x, mut windows) = window(c)?;
    apply_ceil_mode(c, &mut windows)?;
    let rank = c.build.shape(x).len();
    let last = c.build.channels_last(x)?;
    let y = pooled(&mut c.build, last, &windows, |a| MaxPool2d(a).into())?;
    let y = c.build.channels_first(y, rank)?;
    if c.outputs < 2 {
        return Ok(vec![y]);
    }
    let column_major = c.attributes.flag("storage_order", false)?;
    let positions = positions(&mut c.build, x, &windows, column_major)?;
    Ok(vec![y, positions])
}

/// The p-th root of the sum of p-th powers of magnitudes; padded positions are zeros.
pub fn lp_pool(c: &mut Context<'_, '_>) -> Read {
    let p = exponent(c)?;
    let (x, mut windows) = window(c)?;
    apply_ceil_mode(c, &mut windows)?;
    let rank = c.build.shape(x).len();
    let b = &mut c.build;
    let powers = powers(b, x, p)?;
    let last = b.channels_last(powers)?;
    let all: Vec<(usize, usize)> = windows.0.iter().map(Span::pads).collect();
    let last = with_zeros(b, last, &mut windows, &all)?;
    let mean = pooled(b, last, &windows, |a| AveragePool2d(a).into())?;
    let taps: usize = windows.0.iter().map(|s| s.kernel).product();
    let sum = b.scaled(mean, taps as f32)?;
    let y = root(b, sum, p)?;
    Ok(vec![b.channels_first(y, rank)?])
}

/// The same over all spatial dimensions.
pub fn global_lp_pool(c: &mut Context<'_, '_>) -> Read {
    let p = exponent(c)?;
    let (x, attributes) = spatial_axes(c)?;
    let powers = powers(&mut c.build, x, p)?;
    let sum = c.build.apply(Sum(attributes), powers)?;
    Ok(vec![root(&mut c.build, sum, p)?])
}

fn exponent(c: &Context<'_, '_>) -> Result<i32, OpError> {
    let p = c.attributes.int("p")?.unwrap_or(2);
    let known = i32::try_from(p).ok().filter(|p| (1..=16).contains(p));
    known.ok_or_else(|| OpError::unsupported(format!("p = {p} is not supported, only 1 to 16")))
}

/// |x|^p.
pub(super) fn powers(b: &mut Builder<'_>, x: ValueId, p: i32) -> Made {
    match p {
        2 => b.apply(Square, x),
        _other => {
            let size = b.apply(Abs, x)?;
            whole_power(b, size, p)
        }
    }
}

/// The p-th root of a value that is not negative.
pub(super) fn root(b: &mut Builder<'_>, x: ValueId, p: i32) -> Made {
    match p {
        1 => Ok(x),
        2 => b.apply(Sqrt, x),
        // The logarithm of 0 is minus infinity, whose exponential is 0.
        _other => {
            let log = b.apply(Log, x)?;
            let part = b.scaled(log, 1.0 / p as f32)?;
            b.apply(Exp, part)
        }
    }
}

fn window(c: &Context<'_, '_>) -> Result<(ValueId, Windows), OpError> {
    let x = c.operand(0)?;
    let windows = Windows::read(c, &c.build.shape(x), None)?;
    Ok((x, windows))
}

/// Zeros in place of the padding, which then counts; what is beyond `counted` stays padding.
fn with_zeros(
    b: &mut Builder<'_>,
    last: ValueId,
    windows: &mut Windows,
    counted: &[(usize, usize)],
) -> Made {
    let dims = b.shape(last);
    let mut ends = vec![(0, 0); dims.len()];
    let first = dims.len().saturating_sub(1 + windows.0.len());
    for (i, (span, &(_, most))) in windows.0.iter_mut().zip(counted).enumerate() {
        let (before, after) = span.pads();
        let zeros = after.min(most);
        ends[first + i] = (before, zeros);
        span.input = span.input.saturating_add(before).saturating_add(zeros);
        span.ends = Ends::Explicit(0, after - zeros);
    }
    b.padded(last, &ends)
}

/// `ceil_mode`: more padding behind, so that the last window counts although it is not whole. A
/// window that would begin in the padding behind does not exist.
fn apply_ceil_mode(c: &Context<'_, '_>, windows: &mut Windows) -> Result<(), OpError> {
    if c.attributes.flag("ceil_mode", false)? {
        windows.0.iter_mut().for_each(ceil);
    }
    Ok(())
}

fn ceil(s: &mut Span) {
    if s.ends == Ends::Same {
        return;
    }
    let (before, after) = s.pads();
    let padded = s.input.saturating_add(before).saturating_add(after);
    let Some(room) = padded.checked_sub(s.reach()) else {
        // Not even the first window is whole.
        if s.reach() - padded < s.stride {
            s.ends = Ends::Explicit(before, after.saturating_add(s.reach() - padded));
        }
        return;
    };
    let last = room.div_ceil(s.stride).saturating_mul(s.stride);
    let data = s.input.saturating_add(before);
    if last < data {
        s.ends = Ends::Explicit(before, after.saturating_add(last - room));
    } else if last == room && last >= s.stride {
        // Without rounding, too, the last window would begin in the padding behind.
        let reach = (last - s.stride).saturating_add(s.reach());
        s.ends = Ends::Explicit(before, reach.saturating_sub(data));
    }
}

/// Pools a channels-last value. Of three dimensions the last two go first: mean and maximum of a
/// box are those of its rows' means and maxima, because all rows of a box have the same length.
fn pooled(
    b: &mut Builder<'_>,
    x: ValueId,
    windows: &Windows,
    op: impl Fn(PoolAttributes) -> Op,
) -> Made {
    let plane = windows.plane();
    let attributes = PoolAttributes {
        window: plane.kernel,
        stride: plane.stride,
        dilation: plane.dilation,
        padding: plane.padding,
        activation: Activation::None,
    };
    let (&[n, d, h, w, c], [depth, ..]) = (b.shape(x).as_slice(), windows.0.as_slice()) else {
        return b.apply(op(attributes), x);
    };
    let frames = n.saturating_mul(d);
    let frames = b.reshape(x, vec![frames, h, w, c])?;
    let frames = b.apply(op(attributes), frames)?;
    let &[_, h, w, _] = b.shape(frames).as_slice() else {
        return Err(OpError::invalid("the frames have no rows"));
    };
    let lines = b.reshape(frames, vec![n, 1, d, h * w * c])?;
    let plane = Windows(vec![*depth]).plane();
    let attributes = PoolAttributes {
        window: plane.kernel,
        stride: plane.stride,
        dilation: plane.dilation,
        padding: plane.padding,
        activation: Activation::None,
    };
    let y = b.apply(op(attributes), lines)?;
    let d = b.shape(y).get(2).copied().unwrap_or(0);
    b.reshape(y, vec![n, d, h, w, c])
}

/// Elements of the table of all taps.
const MAX_TABLE: usize = 1 << 20;

/// Where the maxima lie in the whole input, counted row by row, or first dimension first.
fn positions(b: &mut Builder<'_>, x: ValueId, windows: &Windows, column_major: bool) -> Made {
    let dims = b.shape(x);
    let table = Taps::new(windows, column_major)?;
    let planes: usize = dims.iter().take(2).product();
    let extent: usize = dims.iter().skip(2).product();
    let (count, taps) = (table.windows, table.taps);
    let mut x = b.reshape(x, vec![planes, extent])?;
    if matches!(b.ty(x).dtype, DType::I8 | DType::U8) {
        x = b.apply(Cast { to: DType::F32 }, x)?;
    }
    let from = b.tensor(vec![count, taps], TensorData::I32(table.from))?;
    let boxes = b.add(Gather { axis: 1, batch_dims: 0 }, &[x, from])?;
    let tap = b.apply(ArgMax(ArgAttributes { axis: 2, index: DType::I32, last: false }), boxes)?;
    let tap = b.transpose(tap, &[1, 0])?;
    let position = b.tensor(vec![count, taps], TensorData::I64(table.position))?;
    let y = b.add(Gather { axis: 1, batch_dims: 1 }, &[position, tap])?;
    let mut y = b.transpose(y, &[1, 0])?;
    if planes > 1 {
        let offsets = (0..planes).map(|p| p.saturating_mul(extent) as i64).collect();
        let offsets = b.tensor(vec![planes, 1], TensorData::I64(offsets))?;
        y = b.plus(y, offsets)?;
    }
    b.reshape(y, [&dims[..2], &table.outputs].concat())
}

/// All taps of all windows over one plane. Those outside of the input repeat the first one inside,
/// which changes neither the maximum nor where it is.
struct Taps {
    outputs: Vec<usize>,
    windows: usize,
    taps: usize,
    /// Element that a tap reads.
    from: Vec<i32>,
    /// Its position as the node counts it.
    position: Vec<i64>,
}

impl Taps {
    fn new(windows: &Windows, column_major: bool) -> Result<Self, OpError> {
        let axes = windows.0.iter().map(Span::axis).collect::<Result<Vec<_>, _>>()?;
        let count = axes.iter().map(|a| a.output).try_fold(1, usize::checked_mul);
        let taps = axes.iter().map(|a| a.kernel).try_fold(1, usize::checked_mul);
        let (count, taps) = count
            .zip(taps)
            .filter(|(n, t)| n.checked_mul(*t).is_some_and(|all| all <= MAX_TABLE))
            .ok_or_else(|| OpError::unsupported("the windows have too many taps to locate"))?;
        let mut table = Self {
            outputs: axes.iter().map(|a| a.output).collect(),
            windows: count,
            taps,
            from: Vec::new(),
            position: Vec::new(),
        };
        for window in 0..count {
            let mut inside = Vec::new();
            for tap in 0..taps {
                let (mut w, mut t) = (window, tap);
                let (mut step, mut flat, mut at) = (1, 0, Some(Vec::new()));
                for axis in axes.iter().rev() {
                    let i = axis.inside(w % axis.output, t % axis.kernel);
                    (w, t) = (w / axis.output, t / axis.kernel);
                    flat += i.unwrap_or(0) * step;
                    step *= axis.input;
                    at = at.zip(i).map(|(mut all, i)| {
                        all.push(i);
                        all
                    });
                }
                inside.push(at.map(|at| {
                    // `at` begins with the last dimension.
                    let first_fastest = at.iter().zip(axes.iter().rev());
                    let mirrored = first_fastest.fold(0, |sum, (i, axis)| sum * axis.input + i);
                    (flat as i32, if column_major { mirrored } else { flat } as i64)
                }));
            }
            let first = inside.iter().flatten().next().copied();
            let first = first
                .ok_or_else(|| OpError::unsupported("a window lies in the padding entirely"))?;
            for (from, position) in inside.into_iter().map(|i| i.unwrap_or(first)) {
                table.from.push(from);
                table.position.push(position);
            }
        }
        Ok(table)
    }
}

fn spatial_axes(c: &Context<'_, '_>) -> Result<(ValueId, ReduceAttributes), OpError> {
    let x = c.operand(0)?;
    let rank = c.build.shape(x).len();
    if rank < 3 {
        return Err(OpError::invalid("the input has no spatial dimensions"));
    }
    Ok((x, ReduceAttributes { axes: (2..rank).collect(), keep_dims: true }))
}

/// Mean over all spatial dimensions.
pub fn global_average_pool(c: &mut Context<'_, '_>) -> Read {
    let (x, attributes) = spatial_axes(c)?;
    Ok(vec![c.build.add(Mean(attributes), &[x])?])
}

/// Maximum over all spatial dimensions.
pub fn global_max_pool(c: &mut Context<'_, '_>) -> Read {
    let (x, attributes) = spatial_axes(c)?;
    Ok(vec![c.build.add(ReduceMax(attributes), &[x])?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn of(name: &str, shape: &[usize]) -> Case {
        let n: usize = shape.iter().product();
        let x: Vec<f32> = (0..n).map(|i| (i * 7 % 16) as f32).collect();
        case(name).input(&[&[1, 1], shape].concat(), &x)
    }

    /// 0 7 14 5 / 12 3 10 1 / 8 15 6 13 / 4 11 2 9
    fn square(name: &str) -> Case {
        of(name, &[4, 4])
    }

    #[test]
    fn dilated_windows() {
        let c = || square("MaxPool").list("kernel_shape", &[2, 2]).list("dilations", &[2, 2]);
        c().gives(19, &[1, 1, 2, 2], &[14.0, 15.0, 12.0, 11.0]);
        let c = square("AveragePool").list("kernel_shape", &[2, 2]).list("dilations", &[3, 2]);
        c.gives(19, &[1, 1, 1, 2], &[5.0, 8.0]);
    }

    #[test]
    fn three_dimensions_go_one_after_the_other() {
        let c = |name| of(name, &[2, 2, 4]).list("kernel_shape", &[2, 2, 2]);
        c("MaxPool").gives(12, &[1, 1, 1, 1, 3], &[15.0, 15.0, 14.0]);
        let means = [0.0 + 7.0 + 12.0 + 3.0 + 8.0 + 15.0 + 4.0 + 11.0, 68.0, 60.0].map(|s| s / 8.0);
        c("AveragePool").gives(12, &[1, 1, 1, 1, 3], &means);
        let pads = |c: Case| c.list("pads", &[1, 0, 0, 0, 0, 0]).list("strides", &[2, 1, 2]);
        // The first window has one frame only: rows 0 7 14 5 and 12 3 10 1.
        pads(c("AveragePool")).gives(12, &[1, 1, 1, 1, 2], &[5.5, 7.5]);
        let counted = pads(c("AveragePool")).int("count_include_pad", 1);
        counted.gives(12, &[1, 1, 1, 1, 2], &[2.75, 3.75]);
    }

    /// Three columns, padded by one behind: the second window would begin there.
    #[test]
    fn windows_in_the_padding_behind_do_not_exist() {
        for counts in [0, 1] {
            let c = case("AveragePool").floats(&[1, 1, 1, 3], &[1.0, 3.0, 9.0]);
            let c = c.list("kernel_shape", &[1, 2]).list("strides", &[1, 3]);
            let c = c.list("pads", &[0, 0, 0, 1]).int("ceil_mode", 1);
            c.int("count_include_pad", counts).gives(19, &[1, 1, 1, 1], &[2.0]);
        }
    }

    #[test]
    fn what_ceil_mode_adds_is_not_counted() {
        let c = square("AveragePool").list("kernel_shape", &[3, 3]).list("strides", &[3, 3]);
        let c = c.int("ceil_mode", 1).int("count_include_pad", 1);
        let corner = (7.0 + 14.0 + 12.0 + 3.0 + 10.0 + 8.0 + 15.0 + 6.0) / 9.0;
        let want = [corner, (5.0 + 1.0 + 13.0) / 3.0, (4.0 + 11.0 + 2.0) / 3.0, 9.0];
        c.gives(19, &[1, 1, 2, 2], &want);
    }

    #[test]
    fn norms_of_windows() {
        let c = |p| of("LpPool", &[3]).list("kernel_shape", &[2]).int("p", p);
        c(1).gives(18, &[1, 1, 2], &[7.0, 21.0]);
        c(2).gives(18, &[1, 1, 2], &[7.0, 245f32.sqrt()]);
        c(3).list("pads", &[1, 0]).gives(18, &[1, 1, 3], &[0.0, 7.0, 3087f32.cbrt()]);
        of("GlobalLpPool", &[3]).int("p", 3).gives(18, &[1, 1, 1], &[3087f32.cbrt()]);
        c(0).refused(18, "p = 0");
        c(99).refused(18, "p = 99");
    }

    #[test]
    fn positions_of_maxima() {
        let c = || square("MaxPool").list("kernel_shape", &[2, 2]).list("strides", &[2, 2]);
        let of = |c: Case| c.result(1).run(12).map(|t| t.to_i64().unwrap_or_default());
        assert_eq!(of(c()), Ok(vec![4, 2, 9, 11]));
        assert_eq!(of(c().int("storage_order", 1)), Ok(vec![1, 8, 6, 14]));
        // Padded positions are never the maximum, not even of negative values.
        let c = case("MaxPool").input(&[1, 1, 3], &[-3.0, -1.0, -2.0]).list("kernel_shape", &[3]);
        assert_eq!(of(c.list("pads", &[1, 1])), Ok(vec![1, 1, 1]));
    }

    #[test]
    fn windows_outside_are_refused() {
        let c = square("MaxPool").list("kernel_shape", &[1, 1]).list("pads", &[0, 3, 0, 0]);
        c.refused(12, "in the padding");
        let c = square("MaxPool").list("kernel_shape", &[2, 2]).list("dilations", &[i64::MAX, 1]);
        c.refused(12, "give no output");
    }
}
