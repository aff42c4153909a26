//! BitCast: the bits of elements read as another type of the same width. ONNX BitCast.

use super::{OpError, Operator, Reuse, Signature};
use crate::kir::{BinOp, Expr, Intrinsic, KernelBuilder, Ty};
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// y = the bits of x as the type `to`. A byte becomes a truth value by not being 0.
#[derive(Clone, Debug, PartialEq)]
pub struct BitCast {
    /// Element type of the result.
    pub to: DType,
}

fn width(dtype: DType) -> usize {
    if let DType::Small(small) = dtype { small.bits() as usize } else { 8 * dtype.size() }
}

/// The bits of `v` as another type of kernels of the same size.
fn reread(v: Expr, to: Ty) -> Expr {
    let bits = if v.ty() == Ty::F32 {
        Expr::call(Intrinsic::FloatBits, vec![v])
    } else if v.ty() == Ty::F64 {
        Expr::call(Intrinsic::DoubleBits, vec![v])
    } else {
        v
    };
    if to == Ty::F32 {
        Expr::call(Intrinsic::BitsFloat, vec![bits.cast(Ty::I32)])
    } else if to == Ty::F64 {
        Expr::call(Intrinsic::BitsDouble, vec![bits.cast(Ty::I64)])
    } else {
        bits.cast(to)
    }
}

impl Operator for BitCast {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if x.dtype() != self.to && width(self.to) < 8 {
            return Err(OpError::unsupported("types below a byte cannot be read anew"));
        }
        if width(x.dtype()) != width(self.to) {
            return Err(OpError::invalid(format!(
                "{} and {} differ in width",
                x.dtype(),
                self.to
            )));
        }
        Ok(vec![TensorType::new(self.to, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let bytes = x.data.to_le_bytes();
        let data = TensorData::from_le_bytes(self.to, &bytes).ok_or_else(|| OpError::types(s))?;
        Ok(vec![Tensor { shape: x.shape.clone(), data }])
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        match s.operands.first() {
            Some(x) if x.dtype() == self.to => Reuse::Alias,
            // C may not see one object as two types.
            _other_type => Reuse::None,
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        let from = s.operand(0)?.dtype();
        let to = Ty::from(self.to);
        let is_same = Ty::from(from) == to;
        k.for_("i", s.result(0)?.shape().elements(), |k, i| {
            let v = k.load(x, i.clone());
            let value = if is_same { v } else { reread(v, to) };
            let value = if self.to == DType::Bool && from != DType::Bool {
                let zero = Expr::Int(0, value.ty());
                Expr::bin(BinOp::Ne, value, zero)
            } else {
                value
            };
            k.store(y, i, value);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for from in DType::ALL {
            for to in DType::ALL.into_iter().filter(|&to| width(to) == width(from)) {
                if width(to) >= 8 || to == from {
                    check(BitCast { to }, &[Spec::of(from, &[3, 7])], &[]);
                }
            }
        }
    }
}
