//! Operators about positions.

use crate::format::openvino::file::{Elem, Port, Wire};
use crate::format::openvino::held::{Call, Held};
use crate::format::openvino::stored::Stored;
use crate::op::{
    ArgAttributes, Combine, Cumulative, Gather, OpError, ScatterElements, ScatterNd, TopK,
};
use crate::tensor::{Shape, Tensor, TensorData};

/// Gather; indices computed at run time are taken as they are. A batch of one is none: the CPU plugin
/// (2026.4.1) reads beyond it.
pub fn gather(call: &mut Call<'_, '_>, op: &Gather) -> Result<Held, OpError> {
    let (x, mut indices) = (call.plain(0)?, call.plain(1)?);
    let axis = call.e.int(op.axis as i64);
    let dims = call.result()?;
    let has_batch = x.dims.iter().take(op.batch_dims).any(|&extent| extent != 1);
    if !has_batch && op.batch_dims > 0 {
        let picks: Vec<usize> = indices.dims.iter().skip(op.batch_dims).copied().collect();
        indices = call.e.reshape(&indices, &picks);
    }
    let (kind, data) = if !has_batch {
        (("Gather", 1), Vec::new())
    } else {
        (("Gather", 7), vec![("batch_dims", op.batch_dims.to_string())])
    };
    Ok(Held::plain(call.e.one(kind, data, &[&x, &indices, &axis], x.elem, dims)))
}

/// CumSum; there is no running product.
pub fn cumulative(call: &mut Call<'_, '_>, op: &Cumulative) -> Result<Held, OpError> {
    if call.e.is_myriad() {
        return Err(OpError::unsupported("the stick's plugin has no CumSum"));
    }
    if op.combine != Combine::Sum {
        return Err(OpError::unsupported("only running sums have a form in an OpenVINO file"));
    }
    let (x, order) = call.any(0)?;
    let axis = *order.get(op.axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?;
    let axis = call.e.int(axis as i64);
    let data = vec![("exclusive", op.exclusive.to_string()), ("reverse", op.reverse.to_string())];
    let wire = call.e.one(("CumSum", 3), data, &[&x, &axis], x.elem, x.dims.clone());
    Ok(Held::Tensor { wire, order })
}

/// Indices without negative ones, which the format does not have. Those computed at run time are taken
/// as they are.
fn indices(
    call: &mut Call<'_, '_>,
    i: usize,
    extent: impl Fn(usize) -> usize,
) -> Result<Wire, OpError> {
    let Some(stored) = call.stored(i) else { return call.plain(i) };
    let values =
        stored.data.to_i64().ok_or_else(|| OpError::invalid("indices should be integers"))?;
    let last = stored.data.shape.0.last().copied().unwrap_or(1).max(1);
    let from_start = |(at, &v): (usize, &i64)| if v < 0 { v + extent(at % last) as i64 } else { v };
    let values = values.iter().enumerate().map(from_start).collect();
    let data = Tensor { data: TensorData::I64(values), ..stored.data.clone() };
    call.e.constant(&Stored { data, factor: None, is_exact: true })
}

/// GatherElements.
pub fn gather_elements(call: &mut Call<'_, '_>, axis: usize) -> Result<Held, OpError> {
    let x = call.plain(0)?;
    let extent = x.dims.get(axis).copied().unwrap_or(1);
    let picks = indices(call, 1, |_| extent)?;
    let dims = call.result()?;
    let data = vec![("axis", axis.to_string())];
    Ok(Held::plain(call.e.one(("GatherElements", 6), data, &[&x, &picks], x.elem, dims)))
}

/// GatherND; several batch dimensions of its result are one, so a reshape follows.
pub fn gather_nd(call: &mut Call<'_, '_>, batch_dims: usize) -> Result<Held, OpError> {
    let x = call.plain(0)?;
    let dims = x.dims.clone();
    let picks = indices(call, 1, |k| dims.get(batch_dims + k).copied().unwrap_or(1))?;
    let result = call.result()?;
    let mut flat: Vec<usize> = result.clone();
    if batch_dims > 1 {
        let batch = result.iter().take(batch_dims).product();
        flat = std::iter::once(batch).chain(result.iter().skip(batch_dims).copied()).collect();
    }
    let data = vec![("batch_dims", batch_dims.to_string())];
    let wire = call.e.one(("GatherND", 5), data, &[&x, &picks], x.elem, flat);
    Ok(Held::plain(call.e.reshape(&wire, &result)))
}

/// ScatterElementsUpdate.
pub fn scatter_elements(call: &mut Call<'_, '_>, op: &ScatterElements) -> Result<Held, OpError> {
    if op.reduction.is_some() {
        return Err(OpError::unsupported(
            "a scatter that combines needs opset12, which the stick does not read",
        ));
    }
    let x = call.plain(0)?;
    let extent = x.dims.get(op.axis).copied().unwrap_or(1);
    let (at, updates) = (indices(call, 1, |_| extent)?, call.plain(2)?);
    let axis = call.e.int(op.axis as i64);
    let inputs = [&x, &at, &updates, &axis];
    let wire =
        call.e.one(("ScatterElementsUpdate", 3), Vec::new(), &inputs, x.elem, x.dims.clone());
    Ok(Held::plain(wire))
}

/// ScatterNDUpdate.
pub fn scatter_nd(call: &mut Call<'_, '_>, op: &ScatterNd) -> Result<Held, OpError> {
    if op.reduction.is_some() {
        return Err(OpError::unsupported(
            "a scatter that combines needs opset15, which the stick does not read",
        ));
    }
    if call.e.is_myriad() {
        return Err(OpError::unsupported("the stick's plugin has no ScatterNDUpdate"));
    }
    let x = call.plain(0)?;
    let dims = x.dims.clone();
    let at = indices(call, 1, |k| dims.get(k).copied().unwrap_or(1))?;
    let updates = call.plain(2)?;
    let wire = call.e.one(("ScatterNDUpdate", 4), Vec::new(), &[&x, &at, &updates], x.elem, dims);
    Ok(Held::plain(wire))
}

/// TopK.
pub fn top_k(call: &mut Call<'_, '_>, op: &TopK) -> Result<Vec<Held>, OpError> {
    let (x, order) = call.any(0)?;
    let own = x.elem;
    let x = call.real_on_stick(x);
    let axis = *order.get(op.axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?;
    let k = call.e.int(op.k as i64);
    let mut dims = x.dims.clone();
    if let Some(extent) = dims.get_mut(axis) {
        *extent = op.k;
    }
    let data = vec![
        ("axis", axis.to_string()),
        ("mode", if op.largest { "max" } else { "min" }.to_string()),
        ("sort", "value".to_string()),
        ("index_element_type", "i32".to_string()),
    ];
    let outputs = vec![(x.elem, dims.clone()), (Elem::I32, dims.clone())];
    let layer = call.e.layer(("TopK", 3), data, &[&x, &k], outputs);
    let wire = |output, elem| Wire { port: Port { layer, output }, elem, dims: dims.clone() };
    let elem = call.e.elem(op.index)?;
    let positions = call.e.convert(&wire(1, Elem::I32), elem);
    let values = call.e.convert(&wire(0, x.elem), own);
    let values = Held::Tensor { wire: values, order: order.clone() };
    Ok(vec![values, Held::Tensor { wire: positions, order }])
}

/// From the last to the first along a dimension.
fn reversed(call: &mut Call<'_, '_>, x: &Wire, axis: usize) -> Wire {
    let extent = x.dims.get(axis).copied().unwrap_or(1) as i64;
    let picks = call.e.ints(&(0..extent).rev().collect::<Vec<_>>());
    let axis = call.e.int(axis as i64);
    call.e.one(("Gather", 1), Vec::new(), &[x, &picks, &axis], x.elem, x.dims.clone())
}

/// The position of an extremum: TopK of one, which finds the first.
pub fn arg(
    call: &mut Call<'_, '_>,
    op: &ArgAttributes,
    mode: &'static str,
) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let axis = *order.get(op.axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?;
    let extent = x.dims.get(axis).copied().unwrap_or(1);
    let x = if op.last { reversed(call, &x, axis) } else { x };
    let one = call.e.int(1);
    let mut dims = x.dims.clone();
    if let Some(extent) = dims.get_mut(axis) {
        *extent = 1;
    }
    let data = vec![
        ("axis", axis.to_string()),
        ("mode", mode.to_string()),
        ("sort", "value".to_string()),
        ("index_element_type", "i32".to_string()),
    ];
    let outputs = vec![(x.elem, dims.clone()), (Elem::I32, dims.clone())];
    let layer = call.e.layer(("TopK", 3), data, &[&x, &one], outputs);
    let mut wire = Wire { port: Port { layer, output: 1 }, elem: Elem::I32, dims };
    if op.last {
        let shape = Shape(vec![1; wire.dims.len()]);
        let data = Tensor { shape, data: TensorData::I32(vec![extent as i32 - 1]) };
        let end = call.e.constant(&Stored { data, factor: None, is_exact: true })?;
        wire = call.e.binary("Subtract", &end, &wire)?;
    }
    let kept = Held::Tensor { wire, order }.materialised(call.e)?;
    let result = call.result()?;
    let wire = call.e.reshape(&kept, &result);
    let elem = call.e.elem(op.index)?;
    call.rewritten("TopK");
    Ok(Held::plain(call.e.convert(&wire, elem)))
}
