//! CastFloat8: conversion to an 8-bit float with the rules that ONNX Cast leaves to attributes.

use super::conversion::Conversion;
use super::{OpError, Operator, Signature};
use crate::kir::KernelBuilder;
use crate::numeric::small_float::Rounding;
use crate::tensor::{DType, SmallType, Tensor, TensorType};

/// y = x as the type `to`; with `saturate` and `Rounding::Up` that is Cast.
#[derive(Clone, Debug, PartialEq)]
pub struct CastFloat8 {
    /// Element type of the result.
    pub to: SmallType,
    /// Whether numbers too large become the largest, or else an infinity or NaN.
    pub saturate: bool,
    /// How powers of two (e8m0) are chosen.
    pub rounding: Rounding,
}

impl CastFloat8 {
    fn conversion(&self) -> Conversion {
        Conversion { to: DType::Small(self.to), saturate: self.saturate, rounding: self.rounding }
    }
}

impl Operator for CastFloat8 {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        let x = s.operand(0)?;
        let to = DType::Small(self.to);
        if x.dtype() == to {
            return Err(OpError::types(s));
        }
        Ok(vec![TensorType::new(to, x.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        Ok(vec![self.conversion().eval(s, x)?])
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        self.conversion().lower(s, k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::check_data;
    use crate::tensor::TensorData;

    #[test]
    fn lowering_equals_evaluation() {
        let ends = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, f32::MAX, 1e-45];
        let all: Vec<f32> = ends.into_iter().chain([1.0, 1.4, 1.5, 500.0, -6e4, 1e9]).collect();
        for to in SmallType::ALL {
            for saturate in [false, true] {
                for rounding in [Rounding::Up, Rounding::Down, Rounding::Nearest] {
                    let op = CastFloat8 { to, saturate, rounding };
                    check_data(op, TensorData::F32(all.clone()), &[]);
                }
            }
        }
    }
}
