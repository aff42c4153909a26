//! Convolutions and matrix products. Weights are laid out while compiling and stay int8 where they are.

use crate::format::openvino::file::Wire;
use crate::format::openvino::held::{Call, FIRST, Held};
use crate::format::openvino::xml::list;
use crate::geometry::{Axis, Ends};
use crate::numeric::Activation;
use crate::op::{
    BatchMatmul, Conv2d, DepthwiseConv2d, FullyConnected, OpError, Range, TransposeConv,
};

/// The rows or columns of a convolution: pads before and after, as many as the windows touch.
#[derive(Clone, Copy)]
pub struct Spatial {
    pub stride: usize,
    pub dilation: usize,
    pub before: usize,
    pub after: usize,
    pub output: usize,
}

impl Spatial {
    /// One spatial axis.
    ///
    /// # Errors
    /// No window fits.
    pub fn new(
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        ends: Ends,
    ) -> Result<Self, OpError> {
        let axis = Axis::new(input, kernel, stride, dilation, ends).ok_or_else(|| {
            OpError::invalid(format!("no window of {kernel} fits an extent of {input}"))
        })?;
        let Axis { before, output, .. } = axis;
        let after = axis.reach().saturating_sub(input + before);
        Ok(Self { stride, dilation, before, after, output })
    }
}

/// The attributes that all windows have.
pub fn window(y: &Spatial, x: &Spatial) -> Vec<(&'static str, String)> {
    vec![
        ("strides", list(&[y.stride, x.stride])),
        ("pads_begin", list(&[y.before, x.before])),
        ("pads_end", list(&[y.after, x.after])),
    ]
}

/// What follows the product: the bias along dimension `channel` of a tensor, then the activation.
fn finish(
    call: &mut Call<'_, '_>,
    mut y: Wire,
    channel: usize,
    activation: Activation,
) -> Result<Wire, OpError> {
    if call.held.len() > 2 {
        let mut dims = vec![1; y.dims.len()];
        if let (Some(slot), Some(&extent)) = (dims.get_mut(channel), y.dims.get(channel)) {
            *slot = extent;
        }
        let bias = match call.stored(2) {
            Some(stored) => {
                let stored = stored.reshaped(|_| dims.clone());
                call.e.constant(&stored)?
            }
            None => {
                let bias = call.plain(2)?;
                call.e.reshape(&bias, &dims)
            }
        };
        y = call.e.binary("Add", &y, &bias)?;
    }
    Ok(call.e.activate(y, activation))
}

fn four(dims: &[usize], what: &str) -> Result<[usize; 4], OpError> {
    dims.try_into().map_err(|_| OpError::invalid(format!("{what} should have 4 dimensions")))
}

/// The stick's compiler takes no weights that are computed. Before the passes ran nobody can know.
fn known_weights(call: &Call<'_, '_>) -> Result<(), OpError> {
    let layers = call.e.network.layers.len();
    if let Held::Tensor { wire, .. } = call.operand(1)?
        && call.e.is_myriad()
        && wire.port.layer < layers
    {
        return Err(OpError::unsupported(
            "the stick's compiler wants constant weights; these are computed at run time",
        ));
    }
    Ok(())
}

/// Convolution, or GroupConvolution.
pub fn conv2d(call: &mut Call<'_, '_>, op: &Conv2d) -> Result<Held, OpError> {
    known_weights(call)?;
    let ([_, h, w, c], [o, kh, kw, i]) =
        (four(&call.dims(0)?, "the input")?, four(&call.dims(1)?, "weights")?);
    let y = Spatial::new(h, kh, op.stride.0, op.dilation.0, op.padding.rows())?;
    let x = Spatial::new(w, kw, op.stride.1, op.dilation.1, op.padding.columns())?;
    let mut weights = call.weights(1, &FIRST)?;
    let groups = c.checked_div(i).unwrap_or(0);
    if groups > 1 {
        let dims = [groups, o / groups, i, kh, kw];
        weights = grouped(call, 1, &dims)?.unwrap_or_else(|| call.e.reshape(&weights, &dims));
    }
    convolution(call, &weights, groups > 1, [&y, &x], o, op.activation)
}

/// Weights `[o, kh, kw, i]` of groups as `[g, o / g, i, kh, kw]`, when they are constant.
fn grouped(call: &mut Call<'_, '_>, i: usize, dims: &[usize; 5]) -> Result<Option<Wire>, OpError> {
    let Some(stored) = call.stored(i) else { return Ok(None) };
    let first = stored.permuted(&FIRST).reshaped(|d| match d {
        [1, rest @ ..] => [&[1, 1], rest].concat(),
        [_, rest @ ..] => [&[dims[0], dims[1]], rest].concat(),
        [] => Vec::new(),
    });
    call.e.weights(&first).map(Some)
}

/// DepthwiseConv2d: every channel is a group.
pub fn depthwise(call: &mut Call<'_, '_>, op: &DepthwiseConv2d) -> Result<Held, OpError> {
    known_weights(call)?;
    let ([_, h, w, c], [_, kh, kw, o]) =
        (four(&call.dims(0)?, "the input")?, four(&call.dims(1)?, "weights")?);
    let y = Spatial::new(h, kh, op.stride.0, op.dilation.0, op.padding.rows())?;
    let x = Spatial::new(w, kw, op.stride.1, op.dilation.1, op.padding.columns())?;
    let multiplier = o.checked_div(c).unwrap_or(0);
    // [1, kh, kw, c * m] -> [c, m, 1, kh, kw]; with one channel [m, 1, kh, kw].
    let order: &[usize] = if c == 1 { &[4, 0, 1, 2] } else { &[3, 4, 0, 1, 2] };
    let split = |d: &[usize]| match d {
        [a, b, c, 1] => vec![*a, *b, *c, 1, 1],
        [a, b, d, _] => vec![*a, *b, *d, c, multiplier],
        other => other.to_vec(),
    };
    let weights = match call.stored(1) {
        Some(stored) => {
            let mut stored = stored.reshaped(split).permuted(&[3, 4, 0, 1, 2]);
            if c == 1 {
                stored = stored.reshaped(|d| d.get(1..).unwrap_or_default().to_vec());
            }
            call.e.weights(&stored)?
        }
        None => {
            let plain = call.plain(1)?;
            let wide = call.e.reshape(&plain, &[1, kh, kw, c, multiplier]);
            let turned = call.e.transpose(&wide, &[3, 4, 0, 1, 2]);
            if order.len() == 4 {
                call.e.reshape(&turned, &[multiplier, 1, kh, kw])
            } else {
                turned
            }
        }
    };
    convolution(call, &weights, c > 1, [&y, &x], o, op.activation)
}

/// The points of a channels-first tensor, with zeros around it, that windows of one point see.
fn sampled(
    call: &mut Call<'_, '_>,
    input: &Wire,
    y: &Spatial,
    x: &Spatial,
) -> Result<Wire, OpError> {
    let &[n, c, ..] = input.dims.as_slice() else {
        return Err(OpError::invalid("the input should have 4 dimensions"));
    };
    let around = [&[0, 0, y.before, x.before][..], &[0, 0, y.after, x.after]];
    let zero = call.e.zero(input.elem);
    let wide = call.e.pad(input, around, "constant", Some(&zero));
    let every = |step: usize, size| Range { begin: 0, step: step as i64, size };
    let ranges = [every(1, n), every(1, c), every(y.stride, y.output), every(x.stride, x.output)];
    Ok(call.e.strided(&wide, &ranges))
}

fn convolution(
    call: &mut Call<'_, '_>,
    weights: &Wire,
    is_grouped: bool,
    [y, x]: [&Spatial; 2],
    channels: usize,
    activation: Activation,
) -> Result<Held, OpError> {
    let mut input = call.arranged(0, &FIRST)?;
    let batch = input.dims.first().copied().unwrap_or(1);
    let mut data = window(y, x);
    let is_point = weights.dims.iter().rev().take(2).all(|&extent| extent == 1);
    if is_point && (y.stride > 1 || x.stride > 1) && [y, x].iter().any(|s| s.before + s.after > 0) {
        // The CPU plugin (2026.4.1) moves such strides in front of the layer, wrongly where it pads.
        input = sampled(call, &input, y, x)?;
        let bare = |s: &Spatial| Spatial { stride: 1, before: 0, after: 0, ..*s };
        data = window(&bare(y), &bare(x));
    }
    data.push(("dilations", list(&[y.dilation, x.dilation])));
    data.push(("auto_pad", "explicit".into()));
    let kind = if is_grouped { "GroupConvolution" } else { "Convolution" };
    let dims = vec![batch, channels, y.output, x.output];
    let result = call.e.one((kind, 1), data, &[&input, weights], input.elem, dims);
    finish(call, result, 1, activation).map(Held::first)
}

/// ConvolutionBackpropData. What the full result has beyond the wanted one is cut off as padding; what
/// it lacks is added as output padding.
pub fn transposed(call: &mut Call<'_, '_>, op: &TransposeConv) -> Result<Held, OpError> {
    known_weights(call)?;
    let ([n, h, w, _], [o, kh, kw, _]) =
        (four(&call.dims(0)?, "the input")?, four(&call.dims(1)?, "weights")?);
    let axis = |input: usize, kernel: usize, stride: usize, output: usize, ends: Ends| {
        let before = match ends {
            Ends::Valid => 0,
            Ends::Explicit(before, _) => before,
            Ends::Same => Axis::new(output, kernel, stride, 1, Ends::Same).map_or(0, |a| a.before),
        };
        let full = (input.saturating_sub(1)).saturating_mul(stride).saturating_add(kernel);
        let kept = full.saturating_sub(before);
        let extra = output.saturating_sub(kept);
        let spatial =
            Spatial { stride, dilation: 1, before, after: kept.saturating_sub(output), output };
        (spatial, extra)
    };
    let (y, more_y) = axis(h, kh, op.stride.0, op.output.0, op.padding.rows());
    let (x, more_x) = axis(w, kw, op.stride.1, op.output.1, op.padding.columns());
    if more_y >= op.stride.0.max(1) || more_x >= op.stride.1.max(1) {
        return Err(OpError::unsupported(format!(
            "a transposed convolution whose result {:?} is larger than its windows reach",
            op.output
        )));
    }
    let weights = call.weights(1, &[3, 0, 1, 2])?;
    let input = call.arranged(0, &FIRST)?;
    let mut data = window(&y, &x);
    data.push(("dilations", "1,1".into()));
    data.push(("auto_pad", "explicit".into()));
    data.push(("output_padding", list(&[more_y, more_x])));
    let dims = vec![n, o, y.output, x.output];
    let result =
        call.e.one(("ConvolutionBackpropData", 1), data, &[&input, &weights], input.elem, dims);
    finish(call, result, 1, op.activation).map(Held::first)
}

fn matmul(
    call: &mut Call<'_, '_>,
    [a, b]: [&Wire; 2],
    [turn_a, turn_b]: [bool; 2],
    dims: Vec<usize>,
) -> Wire {
    let data = vec![("transpose_a", turn_a.to_string()), ("transpose_b", turn_b.to_string())];
    call.e.one(("MatMul", 1), data, &[a, b], a.elem, dims)
}

/// MatMul with the weights `[out, in]` transposed.
pub fn fully_connected(call: &mut Call<'_, '_>, op: &FullyConnected) -> Result<Held, OpError> {
    let weights = call.weights(1, &[0, 1])?;
    let &[out, depth] = weights.dims.as_slice() else {
        return Err(OpError::invalid("weights should have 2 dimensions"));
    };
    let mut x = call.plain(0)?;
    let result = call.result()?;
    if x.dims.len() != result.len() || x.dims.last() != Some(&depth) {
        let rows = x.dims.iter().product::<usize>().checked_div(depth).unwrap_or(0);
        x = call.e.reshape(&x, &[rows, depth]);
    }
    let mut dims = x.dims.clone();
    if let Some(last) = dims.last_mut() {
        *last = out;
    }
    let last = dims.len().saturating_sub(1);
    let y = matmul(call, [&x, &weights], [false, true], dims);
    let y = finish(call, y, last, op.activation)?;
    let y = call.e.reshape(&y, &result);
    Ok(Held::plain(y))
}

/// MatMul of two matrices; constant ones stay int8. The stick multiplies up to 4 dimensions: outer ones
/// become one where both operands have them alike.
pub fn batch_matmul(call: &mut Call<'_, '_>, op: &BatchMatmul) -> Result<Held, OpError> {
    let order = |rank: usize| (0..rank).collect::<Vec<_>>();
    let (rank_a, rank_b) = (call.dims(0)?.len(), call.dims(1)?.len());
    let a = call.weights(0, &order(rank_a))?;
    let b = call.weights(1, &order(rank_b))?;
    let dims = call.result()?;
    let turns = [op.adj_x, op.adj_y];
    if !call.e.is_myriad() || rank_a.max(rank_b) <= 4 {
        return Ok(Held::plain(matmul(call, [&a, &b], turns, dims)));
    }
    let [outer_a, outer_b, outer] = folded(&a.dims, &b.dims).ok_or_else(|| {
        OpError::unsupported(format!(
            "the stick's plugin multiplies up to 4 dimensions, and those of {:?} and {:?} do not \
             become fewer",
            a.dims, b.dims
        ))
    })?;
    let inner = |dims: &[usize]| dims.get(dims.len().saturating_sub(2)..).unwrap_or(dims).to_vec();
    let a = call.e.reshape(&a, &[outer_a, inner(&a.dims)].concat());
    let b = call.e.reshape(&b, &[outer_b, inner(&b.dims)].concat());
    let wire = matmul(call, [&a, &b], turns, [outer, inner(&dims)].concat());
    call.rewritten("MatMul of fewer dimensions");
    Ok(Held::plain(call.e.reshape(&wire, &dims)))
}

/// The dimensions in front of the matrices of `a`, of `b` and of their product: neighbours that broadcast
/// alike are one. At most two, or `None`.
fn folded(a: &[usize], b: &[usize]) -> Option<[Vec<usize>; 3]> {
    let outer = a.len().max(b.len()).saturating_sub(2);
    let extent = |of: &[usize], i: usize| {
        let missing = (outer + 2).saturating_sub(of.len());
        i.checked_sub(missing).and_then(|i| of.get(i)).copied().unwrap_or(1)
    };
    let mut result = [const { Vec::new() }; 3];
    let mut before = None;
    for (x, y) in (0..outer).map(|i| (extent(a, i), extent(b, i))).filter(|&ends| ends != (1, 1)) {
        let is_alike = before.replace((x == 1, y == 1)) == Some((x == 1, y == 1));
        for (dims, n) in result.iter_mut().zip([x, y, x.max(y)]) {
            match dims.last_mut().filter(|_| is_alike) {
                Some(last) => *last *= n,
                None => dims.push(n),
            }
        }
    }
    (result[0].len() <= 2).then_some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_dimensions_fold_where_they_broadcast_alike() {
        let fold =
            |a: &[usize], b: &[usize]| folded(&[a, &[4, 5]].concat(), &[b, &[5, 6]].concat());
        assert_eq!(fold(&[1, 3, 2], &[1, 3, 2]), Some([vec![6], vec![6], vec![6]]));
        assert_eq!(fold(&[2, 3, 2], &[]), Some([vec![12], vec![1], vec![12]]));
        assert_eq!(fold(&[3, 2], &[7, 3, 1]), None, "three kinds");
        let two = Some([vec![6, 1], vec![6, 5], vec![6, 5]]);
        assert_eq!(fold(&[2, 3, 1], &[2, 3, 5]), two);
    }
}
