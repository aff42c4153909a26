//! Compare: the relation of two operands of one type, with broadcasting. ONNX Equal, Less and
//! relatives.

use super::{OpError, Operator, Signature, integer};
use crate::geometry::broadcast;
use crate::kernels::elementwise::Broadcast;
use crate::kir::{BinOp, Expr, KernelBuilder};
use crate::tensor::{DType, Tensor, TensorData, TensorType};

/// A relation. Every one but `NotEqual` is false for NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// a = b.
    Equal,
    /// a != b; true for NaN.
    NotEqual,
    /// a < b.
    Less,
    /// a <= b.
    LessOrEqual,
    /// a > b.
    Greater,
    /// a >= b.
    GreaterOrEqual,
}

impl Relation {
    fn operator(self) -> BinOp {
        match self {
            Relation::Equal => BinOp::Eq,
            Relation::NotEqual => BinOp::Ne,
            Relation::Less => BinOp::Lt,
            Relation::LessOrEqual => BinOp::Le,
            Relation::Greater => BinOp::Gt,
            Relation::GreaterOrEqual => BinOp::Ge,
        }
    }

    #[allow(clippy::float_cmp, reason = "equality of floats is what is asked for")]
    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Relation::Equal => a == b,
            Relation::NotEqual => a != b,
            Relation::Less => a < b,
            Relation::LessOrEqual => a <= b,
            Relation::Greater => a > b,
            Relation::GreaterOrEqual => a >= b,
        }
    }
}

/// y = a `relation` b as a truth value; plain integers, truth values, float32 and float64.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// What is asked.
    pub relation: Relation,
}

impl Compare {
    fn plan(s: &Signature<'_>) -> Result<Broadcast, OpError> {
        let (a, b) = (s.operand(0)?.shape(), s.operand(1)?.shape());
        Broadcast::new(a, b)
            .ok_or_else(|| OpError::invalid(format!("shapes {a} and {b} do not broadcast")))
    }

    fn apply<T: PartialOrd>(&self, s: &Signature<'_>, a: &[T], b: &[T]) -> Result<Vec<u8>, OpError> {
        let mut out = Vec::new();
        Self::plan(s)?
            .for_each(&mut |i, j| out.push(u8::from(self.relation.holds(&a[i], &b[j]))));
        Ok(out)
    }
}

impl Operator for Compare {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(2, 2)?;
        let (a, b) = (s.operand(0)?, s.operand(1)?);
        let is_float = matches!(a.dtype(), DType::F32 | DType::F64);
        if a.dtype() != b.dtype() || !(is_float || integer::is_plain_or_bool(s)) {
            return Err(OpError::types(s));
        }
        Self::plan(s)?;
        let shape = broadcast(a.shape(), b.shape()).ok_or_else(|| OpError::types(s))?;
        Ok(vec![TensorType::new(DType::Bool, shape)])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let &[a, b] = inputs else { return Err(OpError::types(s)) };
        let out = match (&a.data, &b.data) {
            (TensorData::F32(a), TensorData::F32(b)) => self.apply(s, a, b)?,
            (TensorData::F64(a), TensorData::F64(b)) => self.apply(s, a, b)?,
            (a, b) => {
                let (a, b) = a.to_i128().zip(b.to_i128()).ok_or_else(|| OpError::types(s))?;
                self.apply(s, &a, &b)?
            }
        };
        let shape = s.result(0)?.shape().clone();
        Ok(vec![Tensor { shape, data: TensorData::Bool(out) }])
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let operator = self.relation.operator();
        let (a, b) = (k.operand(s, 0, "a")?, k.operand(s, 1, "b")?);
        let y = k.result(s, 0, "y")?;
        Self::plan(s)?.build(k, (a, b, y), |_, a, b| Expr::bin(operator, a, b));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_integers};

    const RELATIONS: [Relation; 6] = [
        Relation::Equal,
        Relation::NotEqual,
        Relation::Less,
        Relation::LessOrEqual,
        Relation::Greater,
        Relation::GreaterOrEqual,
    ];

    #[test]
    fn lowering_equals_evaluation() {
        for relation in RELATIONS {
            let op = || Compare { relation };
            check_integers(op(), |dtype| [Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[2, 3])]);
            for dtype in [DType::Bool, DType::F32, DType::F64] {
                check(op(), &[Spec::of(dtype, &[2, 1, 3]), Spec::of(dtype, &[4, 1])], &[]);
            }
            let odd = vec![f32::NAN, -0.0, 0.0, f32::INFINITY, 1.0];
            let data = || TensorData::F32(odd.clone());
            check(op(), &[Spec::f32(&[5, 1]).data(data()), Spec::f32(&[5]).data(data())], &[]);
        }
    }
}
