//! Reductions, in whatever order their operand lies.

use crate::format::openvino::file::Elem;
use crate::format::openvino::held::{Call, Held};
use crate::op::{OpError, ReduceAttributes};

/// ReduceProd, which the stick's plugin does not have.
pub fn product(call: &mut Call<'_, '_>, op: &ReduceAttributes) -> Result<Held, OpError> {
    if call.e.is_myriad() {
        return Err(OpError::unsupported("the stick's plugin has no ReduceProd"));
    }
    reduce(call, "ReduceProd", op)
}

/// A reduction over some dimensions.
pub fn reduce(
    call: &mut Call<'_, '_>,
    kind: &'static str,
    op: &ReduceAttributes,
) -> Result<Held, OpError> {
    let (x, order) = call.any(0)?;
    if x.elem == Elem::Bool && call.e.is_myriad() {
        return Err(OpError::unsupported("the stick's compiler does not reduce truth values"));
    }
    let kind = match (kind, x.elem) {
        ("ReduceMax", Elem::Bool) => "ReduceLogicalOr",
        ("ReduceMin", Elem::Bool) => "ReduceLogicalAnd",
        (numbers, _) => numbers,
    };
    let mut axes: Vec<usize> = op.axes.iter().filter_map(|&a| order.get(a).copied()).collect();
    axes.sort_unstable();
    axes.dedup();
    let extents = x.dims.iter().enumerate();
    let dims = extents
        .filter(|(i, _)| op.keep_dims || !axes.contains(i))
        .map(|(i, &d)| if axes.contains(&i) { 1 } else { d })
        .collect();
    let list: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
    let list = call.e.ints(&list);
    let data = vec![("keep_dims", op.keep_dims.to_string())];
    let wire = call.e.one((kind, 1), data, &[&x, &list], x.elem, dims);
    if op.keep_dims {
        return Ok(Held::Tensor { wire, order });
    }
    // Numbers of the remaining dimensions among themselves.
    let kept: Vec<usize> = order.iter().copied().filter(|d| !axes.contains(d)).collect();
    let order = kept.iter().map(|&d| kept.iter().filter(|&&e| e < d).count()).collect();
    Ok(Held::Tensor { wire, order })
}
