//! Operators whose result has as many elements as the data says: they are computed while reading,
//! so what decides must be constant.

use super::Context;
use crate::graph::ValueId;
use crate::op::{Gather, OpError};
use crate::tensor::{Tensor, TensorData};
use std::sync::Arc;

type Read = Result<Vec<ValueId>, OpError>;

/// Operand `i`, which decides how many elements the result has.
fn decisive(c: &Context<'_, '_>, i: usize) -> Result<Arc<Tensor>, OpError> {
    c.constant(i).map_err(|e| {
        let message = format!("{}, because the size of the result depends on it", e.message);
        OpError { message, ..e }
    })
}

/// Numbers that are in the order of the elements, 0 for 0; `None` for types that are only stored.
fn ranks(data: &TensorData) -> Option<Vec<i128>> {
    // The bits of a positive float ascend with its value.
    let rank = |v: f64| {
        let magnitude = i128::from(v.abs().to_bits());
        if v < 0.0 { -magnitude } else { magnitude }
    };
    match data {
        TensorData::F32(v) => Some(v.iter().map(|&v| rank(v.into())).collect()),
        TensorData::F64(v) => Some(v.iter().map(|&v| rank(v)).collect()),
        TensorData::I8(_)
        | TensorData::U8(_)
        | TensorData::I16(_)
        | TensorData::U16(_)
        | TensorData::I32(_)
        | TensorData::U32(_)
        | TensorData::I64(_)
        | TensorData::U64(_)
        | TensorData::F16(_)
        | TensorData::BF16(_)
        | TensorData::Bool(_)
        | TensorData::Small(..) => data.to_i128(),
    }
}

fn ordered(tensor: &Tensor) -> Result<Vec<i128>, OpError> {
    ranks(&tensor.data).ok_or_else(|| {
        OpError::unsupported(format!("elements of {} cannot be compared", tensor.data.dtype()))
    })
}

fn vector(c: &mut Context<'_, '_>, values: Vec<i64>) -> Result<ValueId, OpError> {
    c.build.tensor(vec![values.len()], TensorData::I64(values))
}

/// Coordinates of all elements that are not 0, one row per dimension.
pub fn non_zero(c: &mut Context<'_, '_>) -> Read {
    let x = decisive(c, 0)?;
    let found = ordered(&x)?.into_iter().enumerate().filter(|(_, v)| *v != 0);
    let found: Vec<usize> = found.map(|(i, _)| i).collect();
    let strides = x.shape.strides();
    let mut rows = Vec::with_capacity(x.shape.rank() * found.len());
    for (&extent, &stride) in x.shape.0.iter().zip(&strides) {
        rows.extend(found.iter().map(|i| (i / stride.max(1) % extent.max(1)) as i64));
    }
    Ok(vec![c.build.tensor(vec![x.shape.rank(), found.len()], TensorData::I64(rows))?])
}

/// The slices along `axis`, or elements, for which the condition (operand 1) is true.
pub fn compress(c: &mut Context<'_, '_>) -> Read {
    let mut x = c.operand(0)?;
    let condition = decisive(c, 1)?.data.to_i128();
    let condition = condition.ok_or_else(|| OpError::invalid("the condition is no truth value"))?;
    let dims = c.build.shape(x);
    let axis = match c.attributes.int("axis")? {
        Some(axis) => c.axis(axis, dims.len())?,
        None => {
            x = c.build.reshape(x, vec![dims.iter().product()])?;
            0
        }
    };
    let extent = c.build.shape(x).get(axis).copied().unwrap_or(0);
    let kept = condition.iter().take(extent).enumerate().filter(|(_, v)| **v != 0);
    let kept: Vec<i32> = kept.map(|(i, _)| i as i32).collect();
    let indices = c.build.tensor(vec![kept.len()], TensorData::I32(kept))?;
    Ok(vec![c.build.add(Gather { axis, batch_dims: 0 }, &[x, indices])?])
}

/// Different slices along `axis`, or elements: themselves, where each is first, which one each
/// slice of the operand is, how often each occurs.
pub fn unique(c: &mut Context<'_, '_>) -> Read {
    let x = decisive(c, 0)?;
    let (flat, axis) = match c.attributes.int("axis")? {
        Some(axis) => (x.shape.0.clone(), c.axis(axis, x.shape.rank())?),
        None => (vec![x.data.len()], 0),
    };
    let keys = ordered(&x)?;
    let (extent, inner) = (flat[axis], flat[axis + 1..].iter().product::<usize>());
    let mut slices: Vec<Vec<i128>> = vec![Vec::new(); extent];
    for (at, key) in keys.into_iter().enumerate() {
        slices[at / inner % extent].push(key);
    }
    let mut order: Vec<usize> = (0..extent).collect();
    order.sort_by(|&a, &b| slices[a].cmp(&slices[b]));
    // Slices that are equal lie together, the first one first: sorting is stable.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match groups.last_mut() {
            Some(group) if slices[group[0]] == slices[i] => group.push(i),
            _new => groups.push(vec![i]),
        }
    }
    if !c.attributes.flag("sorted", true)? {
        groups.sort_by_key(|group| group.first().copied());
    }
    let first: Vec<i64> = groups.iter().filter_map(|g| g.first()).map(|&i| i as i64).collect();
    let mut inverse = vec![0; extent];
    for (number, group) in groups.iter().enumerate() {
        for &i in group {
            inverse[i] = number as i64;
        }
    }
    let counts = groups.iter().map(|g| g.len() as i64).collect();
    let data = c.operand(0)?;
    let data = c.build.reshape(data, flat)?;
    let indices = TensorData::I32(first.iter().map(|&i| i as i32).collect());
    let indices = c.build.tensor(vec![first.len()], indices)?;
    let y = c.build.add(Gather { axis, batch_dims: 0 }, &[data, indices])?;
    Ok(vec![y, vector(c, first)?, vector(c, inverse)?, vector(c, counts)?])
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::{Case, case};

    fn ints_of(c: Case, opset: i64) -> (Vec<usize>, Vec<i64>) {
        let y = c.run(opset).expect("reads");
        (y.shape.0.clone(), y.to_i64().expect("integers"))
    }

    #[test]
    fn what_is_not_zero() {
        let c = case("NonZero").floats(&[2, 2], &[1.0, -0.0, -2.0, 3.0]);
        assert_eq!(ints_of(c, 13), (vec![2, 3], vec![0, 1, 1, 0, 0, 1]));
        case("NonZero").input(&[2], &[1.0, 0.0]).refused(13, "the size of the result depends");
    }

    #[test]
    fn chosen_slices() {
        let x = || case("Compress").input(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        x().ints(&[2], &[0, 1]).int("axis", -1).gives(11, &[2, 1], &[2.0, 4.0]);
        x().ints(&[4], &[0, 1, 0, 1]).gives(11, &[2], &[2.0, 4.0]);
        x().input(&[2], &[1.0, 0.0]).refused(11, "--input-value");
    }

    #[test]
    fn different_slices() {
        let c = case("Unique").floats(&[4], &[2.0, -1.0, 2.0, 0.0]);
        c.gives(11, &[3], &[-1.0, 0.0, 2.0]);
        let c = case("Unique").floats(&[4], &[2.0, -1.0, 2.0, 0.0]).int("sorted", 0);
        c.gives(11, &[3], &[2.0, -1.0, 0.0]);
        let c = case("Unique").floats(&[2, 3], &[1.0, 0.0, 1.0, 4.0, 2.0, 4.0]).int("axis", 1);
        c.gives(11, &[2, 2], &[0.0, 1.0, 2.0, 4.0]);
    }
}
