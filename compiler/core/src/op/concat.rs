//! Concat: joins operands along one dimension. TFLite CONCATENATION without a fused activation.

use super::{OpError, Operator, QuantRule, Reuse, Signature, movement};
use crate::tensor::{Tensor, TensorType};
use crate::kernels::affine::{AffineCopy, Dim};
use crate::kir::KernelBuilder;

/// Operands agree in type, rank and all extents but that of `axis`.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// Dimension along which the operands follow each other.
    pub axis: usize,
}

impl Concat {
    fn maps(&self, s: &Signature<'_>) -> Vec<AffineCopy> {
        let shapes: Vec<&[usize]> = s.operands.iter().map(|o| o.shape().0.as_slice()).collect();
        let inner: usize = shapes.first().map_or(1, |d| d.iter().skip(self.axis + 1).product());
        let total: usize = shapes.iter().map(|d| d[self.axis]).sum();
        let mut start = 0;
        let mut maps = Vec::with_capacity(shapes.len());
        for dims in shapes {
            let run = dims[self.axis] * inner;
            let outer = dims.iter().take(self.axis).product();
            maps.push(AffineCopy {
                dims: vec![
                    Dim { extent: outer, source: run as i64, target: (total * inner) as i64 },
                    Dim { extent: run, source: 1, target: 1 },
                ],
                source_base: 0,
                target_base: start as i64,
            });
            start += run;
        }
        maps
    }
}

impl Operator for Concat {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, usize::MAX)?;
        let first = s.operand(0)?;
        let mut dims = first.shape().0.clone();
        if self.axis >= dims.len() {
            return Err(OpError::invalid(format!(
                "axis {} does not exist in {}",
                self.axis,
                first.shape()
            )));
        }
        let outside = |d: &[usize]| {
            let mut rest = d.to_vec();
            rest.remove(self.axis);
            rest
        };
        for x in s.operands.iter().skip(1) {
            if x.dtype() != first.dtype() {
                return Err(OpError::types(s));
            }
            let other = &x.shape().0;
            if other.len() != dims.len() || outside(other) != outside(&dims) {
                return Err(OpError::invalid(format!(
                    "{} and {} differ outside axis {}",
                    first.shape(),
                    x.shape(),
                    self.axis
                )));
            }
            dims[self.axis] = dims[self.axis].saturating_add(other[self.axis]);
        }
        for x in &s.operands {
            if let (Some(a), Some(b)) = (x.quant, s.result(0)?.quant)
                && (a.scale(), a.zero_point()) != (b.scale(), b.zero_point())
            {
                return Err(OpError::unsupported(format!(
                    "operand \"{}\" has scale {} and zero point {}, the result has {} and {}",
                    x.name,
                    a.scale(),
                    a.zero_point(),
                    b.scale(),
                    b.zero_point()
                ))
                .help(
                    "concatenation copies bytes: convert the model again so that all operands \
                     share the result's quantization, or put a QUANTIZE before the operand",
                ));
            }
        }
        Ok(vec![TensorType::new(first.dtype(), movement::result_shape(dims)?)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        movement::eval_join(s, inputs, &self.maps(s))
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::SameAsInput
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        movement::alias_if(s.operands.len() == 1)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        movement::lower_join(s, k, &self.maps(s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;
    use crate::op::testing::{Spec, check, graph_of};

    #[test]
    fn lowering_equals_evaluation() {
        for axis in 0..3 {
            let part = |n: usize| {
                let mut dims = [2, 3, 4];
                dims[axis] = n;
                Spec::i8(&dims, 0.1, 3)
            };
            let operands = [part(1), part(3).constant(1), part(2)];
            check(Concat { axis }, &operands, &[(0.1, 3)]);
        }
        check(Concat { axis: 0 }, &[Spec::of(DType::I64, &[3]), Spec::of(DType::I64, &[2])], &[]);
        check(Concat { axis: 1 }, &[Spec::of(DType::Bool, &[2, 3])], &[]);
    }

    #[test]
    fn other_scales_are_refused_with_advice() {
        let operands = [Spec::i8(&[2], 0.1, 3), Spec::i8(&[2], 0.1, 3)];
        let mut graph = graph_of(&Concat { axis: 0 }.into(), &operands, &[(0.1, 3)]);
        let result = graph.outputs()[0];
        let quant = crate::tensor::QuantParams::per_tensor(0.2, 3);
        graph.value_mut(result).expect("result").quant = Some(quant);
        let error = Concat { axis: 0 }.infer(&graph.signature(result.node)).expect_err("scales");
        assert!(error.message.contains("0.2"), "{error:?}");
        assert!(error.help.contains("QUANTIZE"), "{error:?}");
    }
}
