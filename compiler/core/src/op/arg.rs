//! What the position-of-an-extremum operators have in common. Not an operator itself.

use super::{OpError, Signature};
use crate::kernels::reduce::Reduction;
use crate::kir::{Expr, KernelBuilder};
use crate::tensor::{DType, Shape, Tensor, TensorData, TensorType};

/// Attributes of ArgMax and ArgMin.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgAttributes {
    /// Dimension that is searched; it disappears from the result.
    pub axis: usize,
    /// Type of the positions: int32 or int64.
    pub index: DType,
    /// The last one of equal elements instead of the first.
    pub last: bool,
}

impl ArgAttributes {
    fn plan(&self, s: &Signature<'_>) -> Result<Reduction, OpError> {
        let shape = s.operand(0)?.shape();
        if shape.elements() == 0 {
            return Err(OpError::invalid(format!("input {shape} has no elements to search")));
        }
        Reduction::new(shape, &[self.axis]).ok_or_else(|| {
            OpError::invalid(format!("axis {} does not exist in input {shape}", self.axis))
        })
    }

    /// Result type.
    ///
    /// # Errors
    /// Other than one integer or float32 operand, an index type that is no integer, a wrong axis.
    pub fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        if !(x.dtype().is_int() || x.dtype() == DType::F32)
            || !matches!(self.index, DType::I32 | DType::I64)
        {
            return Err(OpError::types(s));
        }
        self.plan(s)?;
        let mut dims = x.shape().0.clone();
        dims.remove(self.axis);
        Ok(vec![TensorType::new(self.index, Shape(dims))])
    }

    /// Position of the first element that no later one is `better` than.
    ///
    /// # Errors
    /// Other types.
    pub fn eval(
        &self,
        s: &Signature<'_>,
        inputs: &[&Tensor],
        int: impl Fn(i128, i128) -> bool,
        real: impl Fn(f32, f32) -> bool,
    ) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        let plan = self.plan(s)?;
        let positions = match (x.data.to_i128(), x.as_f32()) {
            (Some(v), _) => search(&plan, &v, int),
            (None, Some(v)) => search(&plan, v, real),
            (None, None) => return Err(OpError::types(s)),
        };
        let data = if self.index == DType::I64 {
            TensorData::I64(positions.into_iter().map(|p| p as i64).collect())
        } else {
            TensorData::I32(positions.into_iter().map(|p| p as i32).collect())
        };
        Ok(vec![Tensor { shape: s.result(0)?.shape().clone(), data }])
    }

    /// Builds the kernel.
    ///
    /// # Errors
    /// A wrong axis.
    pub fn lower(
        &self,
        s: &Signature<'_>,
        k: &mut KernelBuilder,
        better: &dyn Fn(Expr, Expr) -> Expr,
    ) -> Result<(), OpError> {
        let plan = self.plan(s)?;
        // A parameter that is never read would be a warning in C.
        let x = if plan.count > 1 { Some(k.operand(s, 0, "x")?) } else { None };
        let y = k.result(s, 0, "y")?;
        plan.build_position(k, (x, y), better);
        Ok(())
    }
}

/// Positions in result order; elements of one result arrive in ascending position.
fn search<T: Copy>(plan: &Reduction, data: &[T], better: impl Fn(T, T) -> bool) -> Vec<usize> {
    let mut seen: Vec<(usize, usize, Option<T>)> = vec![(0, 0, None); data.len() / plan.count];
    plan.for_each(&mut |from, to| {
        let (next, position, best) = &mut seen[to];
        if best.is_none_or(|b| better(data[from], b)) {
            (*position, *best) = (*next, Some(data[from]));
        }
        *next += 1;
    });
    seen.into_iter().map(|(_, position, _)| position).collect()
}

/// Shared test: every axis, both index types, ties, one element.
#[cfg(test)]
pub(super) fn check_all<O: Into<super::Op>>(make: impl Fn(ArgAttributes) -> O) {
    use super::testing::{Spec, check};
    for (index, last) in [(DType::I32, false), (DType::I64, false), (DType::I64, true)] {
        for axis in 0..3 {
            let op = || make(ArgAttributes { axis, index, last });
            check(op(), &[Spec::i8(&[2, 9, 4], 0.05, 4)], &[]);
            check(op(), &[Spec::f32(&[3, 1, 5])], &[]);
            for dtype in super::testing::INTEGERS {
                check(op(), &[Spec::of(dtype, &[2, 9, 4])], &[]);
            }
        }
        let op = || make(ArgAttributes { axis: 0, index, last });
        check(op(), &[Spec::f32(&[1])], &[]);
        // 300 int8 elements: ties are certain.
        check(op(), &[Spec::i8(&[300], 0.05, 4)], &[]);
    }
}
