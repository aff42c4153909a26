//! Gather: picks indices along one dimension. TFLite GATHER. Operands: data, int32 or int64 indices.

use super::indexing::{Index, check_type, limited};
use super::{OpError, Operator, QuantRule, Signature, movement};
use crate::tensor::{Tensor, TensorType};
use crate::kir::{KernelBuilder, idx};

/// Constant indices must be in range. Indices computed at run time count from the end when they are
/// negative and are limited to the range, so that no input makes the emitted code read elsewhere
/// (TFLM stops with an error instead).
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// Dimension that is indexed.
    pub axis: usize,
    /// Leading dimensions that data and indices share, at most `axis`.
    pub batch_dims: usize,
}

/// Extents of the loops: data is `[batch, outer, extent, inner]`, indices `[batch, count]`.
struct Loops {
    batch: usize,
    outer: usize,
    extent: usize,
    inner: usize,
    count: usize,
}

impl Gather {
    fn loops(&self, s: &Signature<'_>) -> Result<Loops, OpError> {
        let (x, indices) = (&s.operand(0)?.shape().0, &s.operand(1)?.shape().0);
        Ok(Loops {
            batch: x.iter().take(self.batch_dims).product(),
            outer: x.iter().take(self.axis).skip(self.batch_dims).product(),
            extent: x.get(self.axis).copied().unwrap_or(0),
            inner: x.iter().skip(self.axis + 1).product(),
            count: indices.iter().skip(self.batch_dims).product(),
        })
    }
}

impl Operator for Gather {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        let (x, indices) = (s.operand(0)?, s.operand(1)?);
        check_type(s)?;
        let (from, by) = (&x.shape().0, &indices.shape().0);
        let batch = self.batch_dims;
        if self.axis >= from.len()
            || batch > self.axis
            || batch > by.len()
            || from[..batch] != by[..batch]
        {
            return Err(OpError::invalid(format!(
                "{} cannot be indexed by {} along axis {} with {batch} batch dimensions",
                x.shape(),
                indices.shape(),
                self.axis
            )));
        }
        let extent = from[self.axis];
        if extent == 0 && indices.shape().elements() > 0 {
            return Err(OpError::invalid(format!("{} has nothing to pick from", x.shape())));
        }
        if let Some(values) = indices.constant.and_then(Tensor::to_i64)
            && let Some(bad) = values.iter().find(|&&i| i < 0 || i >= extent as i64)
        {
            return Err(OpError::invalid(format!(
                "index {bad} does not exist in dimension {} of {}",
                self.axis,
                x.shape()
            )));
        }
        let dims =
            from[..self.axis].iter().chain(&by[batch..]).chain(&from[self.axis + 1..]).copied();
        Ok(vec![TensorType::new(x.dtype(), movement::result_shape(dims.collect())?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let (Some(x), Some(indices)) = (inputs.first(), inputs.get(1).and_then(|t| t.to_i64()))
        else {
            return Err(OpError::types(s));
        };
        let l = self.loops(s)?;
        let mut order = Vec::new();
        for b in 0..l.batch {
            for o in 0..l.outer {
                for i in 0..l.count {
                    let pick = limited(indices[b * l.count + i], l.extent);
                    let from = ((b * l.outer + o) * l.extent + pick) * l.inner;
                    order.extend(from..from + l.inner);
                }
            }
        }
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data: x.data.gather(&order) }])
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let l = self.loops(s)?;
        if s.result(0)?.shape().elements() == 0 {
            return Ok(());
        }
        let x = k.operand(s, 0, "x")?;
        let index = Index::declare(s, k, l.extent)?;
        let y = k.result(s, 0, "y")?;
        k.for_("b", l.batch, |k, b| {
            k.for_("o", l.outer, |k, o| {
                let block = b.clone() * idx(l.outer) + o;
                let block = k.let_("block", block);
                k.for_("i", l.count, |k, i| {
                    let pick = index.at(k, b.clone() * idx(l.count) + i.clone());
                    let from = (block.clone() * idx(l.extent) + pick) * idx(l.inner);
                    let to = (block.clone() * idx(l.count) + i) * idx(l.inner);
                    let (from, to) = (k.let_("from", from), k.let_("to", to));
                    k.for_("c", l.inner, |k, c| {
                        let value = k.load(x, from.clone() + c.clone());
                        k.store(y, to.clone() + c, value);
                    });
                });
            });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{DType, TensorData};
    use crate::op::testing::{Spec, check, check_indices, graph_of};

    #[test]
    fn constant_indices() {
        let x = Spec::i8(&[3, 4, 5], 0.1, 0);
        for (axis, values) in [(0, vec![2, 0, 2, 1]), (1, vec![3, 3]), (2, vec![4, 2, 0])] {
            let indices = Spec::of(DType::I32, &[values.len()]).data(TensorData::I32(values));
            check(Gather { axis, batch_dims: 0 }, &[x.clone(), indices], &[(0.1, 0)]);
        }
        let data = TensorData::I64(vec![0, 4, 1, 2, 2, 3]);
        let indices = Spec::of(DType::I64, &[3, 2]).data(data);
        check(Gather { axis: 2, batch_dims: 1 }, &[x, indices], &[(0.1, 0)]);
    }

    /// The generator's indices lie far outside the range as well.
    #[test]
    fn run_time_indices_are_limited_to_the_range() {
        for dtype in [DType::I32, DType::I64] {
            let x = Spec::of(DType::I16, &[2, 700, 3]);
            let op = Gather { axis: 1, batch_dims: 1 };
            check(op, &[x, Spec::of(dtype, &[2, 6])], &[]);
        }
    }

    #[test]
    fn constant_indices_out_of_range_are_refused() {
        for bad in [-1, 4] {
            let indices = Spec::of(DType::I32, &[1]).data(TensorData::I32(vec![3]));
            let op = Gather { axis: 0, batch_dims: 0 };
            let mut graph = graph_of(&op.clone().into(), &[Spec::f32(&[4]), indices], &[]);
            let node = graph.outputs()[0].node;
            let constant = graph.operands(node)[1].node;
            let shape = [1].as_slice().into();
            let tensor = Tensor { shape, data: TensorData::I32(vec![bad]) };
            graph.get_mut(constant).expect("constant").op =
                crate::op::Constant { tensor: std::sync::Arc::new(tensor) }.into();
            assert!(op.infer(&graph.signature(node)).is_err());
        }
    }

    #[test]
    fn no_input_leaves_the_buffers() {
        for dtype in [DType::I32, DType::I64] {
            let operands = [Spec::of(DType::I16, &[2, 700, 3]), Spec::of(dtype, &[2, 6])];
            check_indices(Gather { axis: 1, batch_dims: 1 }, &operands, &[]);
        }
    }
}
