//! Operators that only move elements.

use crate::format::openvino::file::{Elem, Port, Wire};
use crate::format::openvino::held::{Call, FIRST, Held, inverse};
use crate::format::openvino::stored::Stored;
use crate::op::{Mirror, MirrorPad, OpError, Pad, Slice, Split};
use crate::tensor::Shape;

fn int64(values: impl IntoIterator<Item = usize>) -> Vec<i64> {
    values.into_iter().map(|v| v as i64).collect()
}

/// What lies in dimension `i` of the tensor, from a list by the value's dimensions.
fn by_wire<T: Copy>(of: &[T], order: &[usize]) -> Vec<T> {
    inverse(order).into_iter().filter_map(|i| of.get(i).copied()).collect()
}

/// Only a note: whoever needs the new order makes the layer.
pub fn transpose(call: &mut Call<'_, '_>, permutation: &[usize]) -> Result<Held, OpError> {
    Ok(match call.operand(0)?.clone() {
        Held::Constant(stored) => Held::Constant(stored.permuted(permutation)),
        Held::Tensor { wire, order } => {
            let order = permutation.iter().filter_map(|&p| order.get(p).copied()).collect();
            Held::Tensor { wire, order }
        }
    })
}

/// Reshape, or other extents of a constant.
pub fn reshape(call: &mut Call<'_, '_>, shape: &Shape) -> Result<Held, OpError> {
    if let Some(stored) = call.stored(0)
        && stored.factor.is_none()
    {
        return Ok(Held::Constant(stored.reshaped(|_| shape.0.clone())));
    }
    let x = call.plain(0)?;
    Ok(Held::plain(call.e.reshape(&x, &shape.0)))
}

/// Broadcast to a shape. The stick's compiler drops a Broadcast in front of elementwise layers, even where
/// nothing else broadcasts, so there it is a Tile.
pub fn broadcast(call: &mut Call<'_, '_>, shape: &Shape) -> Result<Held, OpError> {
    let x = call.plain(0)?;
    // A Reshape would move a batch to where the stick's compiler does not look for it.
    let has_batch = x.dims.len() > 3 && x.dims.first() != Some(&1) && x.dims.len() != shape.rank();
    if call.e.is_myriad() && !shape.0.is_empty() && !has_batch {
        let mut dims = vec![1; shape.rank().saturating_sub(x.dims.len())];
        dims.extend(&x.dims);
        let x = call.e.reshape(&x, &dims);
        let repeats = shape.0.iter().zip(&x.dims).map(|(&n, &d)| if d == 1 { n } else { 1 });
        let repeats = repeats.collect::<Vec<_>>();
        call.rewritten("Tile");
        return Ok(Held::plain(tiled(call, x, &repeats)));
    }
    let target = call.e.ints(&int64(shape.0.iter().copied()));
    let data = vec![("mode", "numpy".to_string())];
    Ok(Held::plain(call.e.one(("Broadcast", 3), data, &[&x, &target], x.elem, shape.0.clone())))
}

/// Concat along the dimension that `axis` is, in the order of the first operand that has one.
pub fn concat(call: &mut Call<'_, '_>, axis: usize) -> Result<Held, OpError> {
    let rank = call.dims(0)?.len();
    let turned = |h: &Held| {
        let Held::Tensor { order, .. } = h else { return None };
        (!order.is_sorted()).then(|| order.clone())
    };
    let order = call.held.iter().find_map(turned);
    let order = order.unwrap_or_else(|| (0..rank).collect());
    let want = inverse(&order);
    let parts: Vec<Wire> =
        (0..call.held.len()).map(|i| call.arranged(i, &want)).collect::<Result<_, _>>()?;
    let axis = *order.get(axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?;
    Ok(Held::Tensor { wire: join(call, &parts, axis)?, order })
}

/// Concat of tensors along their dimension `axis`.
///
/// # Errors
/// There are none.
pub fn join(call: &mut Call<'_, '_>, parts: &[Wire], axis: usize) -> Result<Wire, OpError> {
    let first = parts.first().ok_or_else(|| OpError::invalid("nothing to join"))?;
    let mut dims = first.dims.clone();
    if let Some(extent) = dims.get_mut(axis) {
        *extent = parts.iter().filter_map(|w| w.dims.get(axis)).sum();
    }
    let mut parts = parts.to_vec();
    if call.e.is_myriad() {
        for part in &mut parts {
            *part = in_one_piece(call, part, axis)?;
        }
    }
    let data = vec![("axis", axis.to_string())];
    let inputs: Vec<&Wire> = parts.iter().collect();
    Ok(call.e.one(("Concat", 1), data, &inputs, first.elem, dims))
}

/// A part of a Concat along dimension `axis`. If it comes from a Concat along a later one, the stick's
/// compiler gives its parts places with gaps between them, and fails where such a part is used elsewhere
/// too: a layer that changes nothing keeps the two apart.
fn in_one_piece(call: &mut Call<'_, '_>, part: &Wire, axis: usize) -> Result<Wire, OpError> {
    let layer = call.e.network.layers.get(part.port.layer).filter(|l| l.kind == "Concat");
    let inner = layer.and_then(|l| l.data.iter().find(|d| d.0 == "axis"));
    let is_later = inner.and_then(|(_, a)| a.parse::<usize>().ok()).is_some_and(|a| a > axis);
    if !is_later || part.elem != Elem::F32 {
        return Ok(part.clone());
    }
    call.e.binary("Maximum", part, part)
}

/// Operands side by side in a new dimension.
pub fn pack(call: &mut Call<'_, '_>, axis: usize) -> Result<Held, OpError> {
    let mut parts = Vec::new();
    for i in 0..call.held.len() {
        let x = call.plain(i)?;
        let mut dims = x.dims.clone();
        dims.insert(axis.min(dims.len()), 1);
        parts.push(call.e.reshape(&x, &dims));
    }
    Ok(Held::plain(join(call, &parts, axis)?))
}

/// Parts of `sizes` along a dimension.
pub fn cut(call: &mut Call<'_, '_>, x: &Wire, axis: usize, sizes: &[usize]) -> Vec<Wire> {
    let number = call.e.int(axis as i64);
    let lengths = call.e.ints(&int64(sizes.iter().copied()));
    let part = |&size: &usize| {
        let mut dims = x.dims.clone();
        if let Some(extent) = dims.get_mut(axis) {
            *extent = size;
        }
        dims
    };
    let dims: Vec<Vec<usize>> = sizes.iter().map(part).collect();
    let outputs = dims.iter().map(|d| (x.elem, d.clone())).collect();
    let layer = call.e.layer(("VariadicSplit", 1), Vec::new(), &[x, &number, &lengths], outputs);
    let wire = |(output, dims)| Wire { port: Port { layer, output }, elem: x.elem, dims };
    dims.into_iter().enumerate().map(wire).collect()
}

/// VariadicSplit.
pub fn split(call: &mut Call<'_, '_>, op: &Split) -> Result<Vec<Held>, OpError> {
    let (x, order) = call.any(0)?;
    if op.sizes.len() == 1 {
        return Ok(vec![Held::Tensor { wire: x, order }]);
    }
    let axis = *order.get(op.axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?;
    let parts = cut(call, &x, axis, &op.sizes);
    Ok(parts.into_iter().map(|wire| Held::Tensor { wire, order: order.clone() }).collect())
}

/// The slices along a dimension, which disappears.
pub fn unpack(call: &mut Call<'_, '_>, axis: usize) -> Result<Vec<Held>, OpError> {
    let x = call.plain(0)?;
    let count = x.dims.get(axis).copied().unwrap_or(0);
    let mut dims = x.dims.clone();
    if axis < dims.len() {
        dims.remove(axis);
    }
    let parts = if count == 1 { vec![x] } else { cut(call, &x, axis, &vec![1; count]) };
    Ok(parts.iter().map(|part| Held::plain(call.e.reshape(part, &dims))).collect())
}

/// StridedSlice, then a reshape where dimensions come or go.
pub fn slice(call: &mut Call<'_, '_>, op: &Slice) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let ranges = by_wire(&op.ranges, &order);
    if ranges.len() != x.dims.len() || ranges.iter().any(|r| r.size == 0) {
        return Err(OpError::unsupported(
            "a slice without elements has no form in an OpenVINO file",
        ));
    }
    let is_whole =
        ranges.iter().zip(&x.dims).all(|(r, &d)| r.begin == 0 && r.size == d && r.step == 1);
    let wire = if is_whole { x } else { call.e.strided(&x, &ranges) };
    let held = Held::Tensor { wire, order };
    if held.dims() == op.shape.0 {
        return Ok(held);
    }
    let wire = held.materialised(call.e)?;
    Ok(Held::plain(call.e.reshape(&wire, &op.shape.0)))
}

fn padded(
    call: &mut Call<'_, '_>,
    (before, after): (&[usize], &[usize]),
    mode: &'static str,
    value: Option<Stored>,
) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let (before, after) = (by_wire(before, &order), by_wire(after, &order));
    if before.iter().chain(&after).all(|&n| n == 0) {
        return Ok(Held::Tensor { wire: x, order });
    }
    if call.e.is_myriad() && !matches!(x.dims.len(), 3 | 4) {
        return Err(OpError::unsupported("the stick's plugin pads 3 or 4 dimensions only"));
    }
    let elem = x.elem;
    let x = stuffed(call, x);
    let value = match (mode, value) {
        ("constant", Some(value)) => {
            let value = call.e.constant(&value.reshaped(|_| Vec::new()))?;
            Some(call.e.convert(&value, x.elem))
        }
        ("constant", None) => Some(call.e.zero(x.elem)),
        _mirror => None,
    };
    let wire = call.e.pad(&x, [&before, &after], mode, value.as_ref());
    Ok(Held::Tensor { wire: call.e.convert(&wire, elem), order })
}

/// Pad with a constant.
pub fn pad(call: &mut Call<'_, '_>, op: &Pad) -> Result<Held, OpError> {
    let value = call.stored(1).cloned();
    if call.held.len() > 1 && value.is_none() {
        let message = "operand 1, the value of the padding, should be a constant";
        return Err(OpError::unsupported(message));
    }
    padded(call, (&op.before, &op.after), "constant", value)
}

/// Pad with the mirror image.
pub fn mirror(call: &mut Call<'_, '_>, op: &MirrorPad) -> Result<Held, OpError> {
    let mode = match op.mirror {
        Mirror::Reflect => "reflect",
        Mirror::Symmetric => "symmetric",
    };
    padded(call, (&op.before, &op.after), mode, None)
}

/// Tile.
pub fn tile(call: &mut Call<'_, '_>, repeats: &[usize]) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let repeats = by_wire(repeats, &order);
    Ok(Held::Tensor { wire: tiled(call, x, &repeats), order })
}

/// The stick's plugin pads and repeats real numbers only.
fn stuffed(call: &mut Call<'_, '_>, x: Wire) -> Wire {
    if x.elem == Elem::Bool && call.e.is_myriad() {
        return call.e.convert(&x, Elem::F32);
    }
    call.real_on_stick(x)
}

fn tiled(call: &mut Call<'_, '_>, x: Wire, repeats: &[usize]) -> Wire {
    let dims: Vec<usize> = x.dims.iter().zip(repeats).map(|(&d, &r)| d.saturating_mul(r)).collect();
    if dims == x.dims {
        return x;
    }
    let repeats = call.e.ints(&int64(repeats.iter().copied()));
    let elem = x.elem;
    let x = stuffed(call, x);
    let wire = call.e.one(("Tile", 1), Vec::new(), &[&x, &repeats], x.elem, dims);
    call.e.convert(&wire, elem)
}

/// DepthToSpace or SpaceToDepth; the block is the outer part of the channels, as in TFLite.
pub fn blocks(call: &mut Call<'_, '_>, kind: &'static str, block: usize) -> Result<Held, OpError> {
    let x = call.arranged(0, &FIRST)?;
    let result = call.result()?;
    let &[n, h, w, c] = result.as_slice() else {
        return Err(OpError::invalid("the result should have 4 dimensions"));
    };
    let data = vec![("mode", "blocks_first".to_string()), ("block_size", block.to_string())];
    Ok(Held::first(call.e.one((kind, 1), data, &[&x], x.elem, vec![n, c, h, w])))
}
