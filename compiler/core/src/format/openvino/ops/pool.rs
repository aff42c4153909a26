//! Pooling windows.

use super::conv::{Spatial, window};
use crate::format::openvino::held::{Call, FIRST, Held};
use crate::format::openvino::xml::list;
use crate::op::{OpError, PoolAttributes};

/// MaxPool or AvgPool. Padded positions do not count in averages.
pub fn pool(
    call: &mut Call<'_, '_>,
    op: &PoolAttributes,
    kind: &'static str,
) -> Result<Held, OpError> {
    if op.dilation != (1, 1) {
        return Err(OpError::unsupported(
            "a dilated pooling window needs opset8; files have opset1 to opset7, which the stick reads",
        ));
    }
    let input = call.arranged(0, &FIRST)?;
    let &[n, c, h, w] = input.dims.as_slice() else {
        return Err(OpError::invalid("the input should have 4 dimensions"));
    };
    let y = Spatial::new(h, op.window.0, op.stride.0, 1, op.padding.rows())?;
    let x = Spatial::new(w, op.window.1, op.stride.1, 1, op.padding.columns())?;
    let mut data = window(&y, &x);
    data.push(("kernel", list(&[op.window.0, op.window.1])));
    if kind == "AvgPool" {
        data.push(("exclude-pad", "true".into()));
    }
    data.push(("rounding_type", "floor".into()));
    data.push(("auto_pad", "explicit".into()));
    let dims = vec![n, c, y.output, x.output];
    let result = call.e.one((kind, 1), data, &[&input], input.elem, dims);
    Ok(Held::first(call.e.activate(result, op.activation)))
}
