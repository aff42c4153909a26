//! Convolutions and matrix products. Spatial operators go through channels last: a transpose before
//! and after, which the pass `layout` moves and cancels.

use super::Context;
use crate::format::onnx::build::{Builder, TO_CHANNELS_FIRST, TO_CHANNELS_LAST};
use crate::graph::ValueId;
use crate::kernels::window::Padding;
use crate::numeric::Activation;
use crate::op::{Add, BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, Mul, OpError};
use crate::tensor::{Shape, Tensor, TensorData};

type Read = Result<Vec<ValueId>, OpError>;

/// Geometry of a window over one or two spatial dimensions; one dimension counts as columns.
#[derive(Clone, Copy, Debug)]
pub struct Spatial {
    /// Height and width of the window.
    pub kernel: (usize, usize),
    /// Steps.
    pub stride: (usize, usize),
    /// Distances between taps.
    pub dilation: (usize, usize),
    /// Added positions.
    pub padding: Padding,
}

/// Height and width of a list attribute over `rank` spatial dimensions, none below `least`; one
/// dimension counts as columns.
///
/// # Errors
/// Another number of values, or one that is too small.
pub fn pair(
    values: &[i64],
    rank: usize,
    least: i64,
    name: &str,
) -> Result<(usize, usize), OpError> {
    let wrong = || OpError::invalid(format!("attribute \"{name}\" = {values:?} is not possible"));
    if values.len() != rank || values.iter().any(|&v| v < least) {
        return Err(wrong());
    }
    let get = |i: usize| usize::try_from(values[i]).map_err(|_| wrong());
    if rank == 1 { Ok((1, get(0)?)) } else { Ok((get(0)?, get(1)?)) }
}

impl Spatial {
    /// From the attributes of a node over `input` (NCW or NCHW extents).
    ///
    /// # Errors
    /// Other ranks; attributes that do not fit.
    pub fn read(
        c: &Context<'_, '_>,
        input: &[usize],
        kernel: Option<(usize, usize)>,
    ) -> Result<Self, OpError> {
        let rank = input.len().saturating_sub(2);
        if !(1..=2).contains(&rank) {
            return Err(OpError::unsupported(format!(
                "{rank} spatial dimensions are not supported, only 1 and 2"
            )));
        }
        let of = |name: &str| -> Result<(usize, usize), OpError> {
            match c.attributes.ints(name)? {
                Some(values) => pair(values, rank, 1, name),
                None => Ok((1, 1)),
            }
        };
        let kernel = match (kernel, c.attributes.ints("kernel_shape")?) {
            (Some(kernel), _) => kernel,
            (None, Some(values)) => pair(values, rank, 1, "kernel_shape")?,
            (None, None) => {
                return Err(OpError::invalid("attribute \"kernel_shape\" is missing"));
            }
        };
        let (stride, dilation) = (of("strides")?, of("dilations")?);
        let mut s = Self { kernel, stride, dilation, padding: Padding::Valid };
        s.padding = s.read_padding(c, input, rank)?;
        Ok(s)
    }

    fn read_padding(
        &self,
        c: &Context<'_, '_>,
        input: &[usize],
        rank: usize,
    ) -> Result<Padding, OpError> {
        match c.attributes.text("auto_pad")?.unwrap_or("NOTSET") {
            "NOTSET" => {}
            "VALID" => return Ok(Padding::Valid),
            "SAME_UPPER" => return Ok(Padding::Same),
            "SAME_LOWER" => return Ok(self.same_lower(input, rank)),
            other => {
                return Err(OpError::invalid(format!("auto_pad \"{other}\" does not exist")));
            }
        }
        let Some(pads) = c.attributes.ints("pads")? else { return Ok(Padding::Valid) };
        if pads.len() != 2 * rank {
            return Err(OpError::invalid(format!("{} pads for {rank} dimensions", pads.len())));
        }
        let (before, after) = pads.split_at(rank);
        let (before, after) = (pair(before, rank, 0, "pads")?, pair(after, rank, 0, "pads")?);
        let rows = if rank == 1 { (0, 0) } else { (before.0, after.0) };
        Ok(Padding::Explicit { rows, columns: (before.1, after.1) })
    }

    /// The odd position of SAME goes before instead of after.
    fn same_lower(&self, input: &[usize], rank: usize) -> Padding {
        let ends = |extent: usize, kernel: usize, stride: usize, dilation: usize| {
            let span = (kernel - 1).saturating_mul(dilation).saturating_add(1);
            let steps = extent.div_ceil(stride).saturating_sub(1).saturating_mul(stride);
            let total = steps.saturating_add(span).saturating_sub(extent);
            (total.div_ceil(2), total / 2)
        };
        let width = input[input.len() - 1];
        let rows = match rank {
            1 => (0, 0),
            _two => ends(input[2], self.kernel.0, self.stride.0, self.dilation.0),
        };
        Padding::Explicit {
            rows,
            columns: ends(width, self.kernel.1, self.stride.1, self.dilation.1),
        }
    }
}

/// NCW or NCHW as NHWC; one spatial dimension becomes a row.
///
/// # Errors
/// Other ranks.
pub fn channels_last(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId, OpError> {
    let x = match b.shape(x).as_slice() {
        &[n, c, w] => b.reshape(x, vec![n, c, 1, w])?,
        _four => x,
    };
    b.transpose(x, &TO_CHANNELS_LAST)
}

/// The way back, to `rank` dimensions.
///
/// # Errors
/// Other ranks.
pub fn channels_first(b: &mut Builder<'_>, y: ValueId, rank: usize) -> Result<ValueId, OpError> {
    let y = b.transpose(y, &TO_CHANNELS_FIRST)?;
    match b.shape(y).as_slice() {
        &[n, c, _, w] if rank == 3 => b.reshape(y, vec![n, c, w]),
        _four => Ok(y),
    }
}

/// Conv: groups of one channel are depthwise.
pub fn conv(c: &mut Context<'_, '_>) -> Read {
    let (x, w) = (c.operand(0)?, c.operand(1)?);
    let (dims, weights) = (c.build.shape(x), c.build.shape(w));
    let (Some(&channels), Some(&out)) = (dims.get(1), weights.first()) else {
        return Err(OpError::invalid("input or weights have too few dimensions"));
    };
    let kernel = match weights.as_slice() {
        &[_, _, kw] => (1, kw),
        &[_, _, kh, kw] => (kh, kw),
        _other => {
            let message = format!("weights of {} dimensions are not supported", weights.len());
            return Err(OpError::unsupported(message));
        }
    };
    if dims.len() != weights.len() {
        return Err(OpError::invalid("input and weights have different numbers of dimensions"));
    }
    let group = c.attributes.int("group")?.unwrap_or(1);
    let group = usize::try_from(group).ok().filter(|&g| g > 0 && channels % g == 0);
    let group = group.ok_or_else(|| OpError::invalid("the groups do not divide the channels"))?;
    if weights[1] != channels / group {
        return Err(OpError::invalid(format!(
            "the weights take {} channels, a group of the input has {}",
            weights[1],
            channels / group
        )));
    }
    let spatial = Spatial::read(c, &dims, Some(kernel))?;
    let last = channels_last(&mut c.build, x)?;
    let w = c.build.reshape(w, vec![out, weights[1], kernel.0, kernel.1])?;
    let bias = c.optional(2);
    let Spatial { stride, dilation, padding, .. } = spatial;
    let activation = Activation::None;
    let y = if group > 1 && group == channels && out % channels == 0 {
        // [out][1][kh][kw] -> [1][kh][kw][out]
        let w = c.build.transpose(w, &[1, 2, 3, 0])?;
        let op = DepthwiseConv2d { stride, dilation, padding, activation };
        c.build.add(op, &operands(last, w, bias))?
    } else {
        let w = c.build.transpose(w, &TO_CHANNELS_LAST)?;
        let op = Conv2d { stride, dilation, padding, activation };
        c.build.add(op, &operands(last, w, bias))?
    };
    Ok(vec![channels_first(&mut c.build, y, dims.len())?])
}

fn operands(x: ValueId, w: ValueId, bias: Option<ValueId>) -> Vec<ValueId> {
    [Some(x), Some(w), bias].into_iter().flatten().collect()
}

/// Gemm: alpha * A' B' + beta * C.
pub fn gemm(c: &mut Context<'_, '_>) -> Read {
    let alpha = c.attributes.float("alpha", 1.0)?;
    let beta = c.attributes.float("beta", 1.0)?;
    gemm_scaled(c, alpha, beta)
}

/// The same with given factors.
///
/// # Errors
/// As [`gemm`].
pub fn gemm_scaled(c: &mut Context<'_, '_>, alpha: f32, beta: f32) -> Read {
    let (mut a, mut b) = (c.operand(0)?, c.operand(1)?);
    let flag = |name: &str| c.attributes.flag(name, false);
    let (trans_a, trans_b) = (flag("transA")?, flag("transB")?);
    if c.build.shape(a).len() != 2 || c.build.shape(b).len() != 2 {
        return Err(OpError::invalid("both operands should be matrices"));
    }
    if trans_a {
        a = c.build.transpose(a, &[1, 0])?;
    }
    if alpha != 1.0 {
        let factor = c.scalar(alpha)?;
        b = c.build.add(Mul { activation: Activation::None }, &[b, factor])?;
    }
    let mut bias = c.optional(2);
    if let Some(value) = bias.filter(|_| beta != 1.0) {
        let factor = c.scalar(beta)?;
        bias = Some(c.build.add(Mul { activation: Activation::None }, &[value, factor])?);
    }
    let columns = c.build.shape(b)[usize::from(!trans_b)];
    let is_constant = c.build.data(b).is_some();
    let row = bias.and_then(|v| as_row(c, v, columns));
    if is_constant && (row.is_some() || bias.is_none()) {
        let w = if trans_b { b } else { c.build.transpose(b, &[1, 0])? };
        let op = FullyConnected { activation: Activation::None, keep_dims: false };
        return Ok(vec![c.build.add(op, &operands(a, w, row))?]);
    }
    let y = c.build.add(BatchMatmul { adj_x: false, adj_y: trans_b }, &[a, b])?;
    match bias {
        None => Ok(vec![y]),
        Some(bias) => Ok(vec![c.build.add(Add { activation: Activation::None }, &[y, bias])?]),
    }
}

/// A constant that is one value per column, repeated when it is a single one.
fn as_row(c: &mut Context<'_, '_>, value: ValueId, columns: usize) -> Option<ValueId> {
    let tensor = c.build.data(value)?;
    let data = match tensor.as_f32()? {
        [one] => vec![*one; columns],
        many if many.len() == columns && tensor.shape.0.last() == Some(&columns) => many.to_vec(),
        _matrix => return None,
    };
    let row = Tensor::new(Shape(vec![columns]), TensorData::F32(data))?;
    Some(c.build.constant(row))
}

/// MatMul: matrices in the last two dimensions, vectors as one row or column.
pub fn matmul(c: &mut Context<'_, '_>) -> Read {
    let (mut a, mut b) = (c.operand(0)?, c.operand(1)?);
    let (left, right) = (c.build.shape(a), c.build.shape(b));
    if left.is_empty() || right.is_empty() {
        return Err(OpError::invalid("scalars cannot be multiplied as matrices"));
    }
    if let &[n] = left.as_slice() {
        a = c.build.reshape(a, vec![1, n])?;
    }
    if let &[n] = right.as_slice() {
        b = c.build.reshape(b, vec![n, 1])?;
    }
    let is_matrix = c.build.data(b).is_some() && c.build.shape(b).len() == 2;
    let y = if is_matrix {
        let depth = c.build.shape(b)[0];
        if c.build.shape(a).last() != Some(&depth) {
            return Err(OpError::invalid(format!("shapes {left:?} and {right:?} do not fit")));
        }
        let w = c.build.transpose(b, &[1, 0])?;
        let op = FullyConnected { activation: Activation::None, keep_dims: true };
        c.build.add(op, &[a, w])?
    } else {
        c.build.add(BatchMatmul { adj_x: false, adj_y: false }, &[a, b])?
    };
    let mut dims = c.build.shape(y);
    if right.len() == 1 {
        dims.pop();
    }
    if left.len() == 1 {
        dims.remove(dims.len() - 1 - usize::from(right.len() > 1));
    }
    Ok(vec![c.build.reshape(y, dims)?])
}
