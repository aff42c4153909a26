//! Operators about positions.

use crate::format::openvino::file::{Elem, Port, Wire};
use crate::format::openvino::held::{Call, Held};
use crate::op::{ArgAttributes, Gather, OpError};

/// Gather; indices computed at run time are taken as they are.
pub fn gather(call: &mut Call<'_, '_>, op: &Gather) -> Result<Held, OpError> {
    let (x, indices) = (call.plain(0)?, call.plain(1)?);
    let axis = call.e.int(op.axis as i64);
    let dims = call.result()?;
    let (kind, data) = if op.batch_dims == 0 {
        (("Gather", 1), Vec::new())
    } else {
        (("Gather", 7), vec![("batch_dims", op.batch_dims.to_string())])
    };
    Ok(Held::plain(call.e.one(kind, data, &[&x, &indices, &axis], x.elem, dims)))
}

/// The position of an extremum: TopK of one.
pub fn arg(
    call: &mut Call<'_, '_>,
    op: &ArgAttributes,
    mode: &'static str,
) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    let axis = *order.get(op.axis).ok_or_else(|| OpError::invalid("the axis does not exist"))?;
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
    let wire = Wire { port: Port { layer, output: 1 }, elem: Elem::I32, dims };
    let kept = Held::Tensor { wire, order }.materialised(call.e)?;
    let result = call.result()?;
    let wire = call.e.reshape(&kept, &result);
    let elem = call.e.elem(op.index)?;
    call.rewritten("TopK");
    Ok(Held::plain(call.e.convert(&wire, elem)))
}
