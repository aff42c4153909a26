//! Mean over dimensions. TFLite MEAN.

use super::reduce::{ReduceAttributes, RescaledSum};
use super::{OpError, Operator, Signature};
use crate::tensor::{DType, Rounding, Tensor, TensorType};
use crate::kir::{KernelBuilder, float};
use crate::numeric::Multiplier;

/// Arithmetic mean of the reduced elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean(pub ReduceAttributes);

/// The multiplier of a mean of `count` elements: the division goes into the mantissa, truncating
/// (numerics 4.1). The mantissa can be below 2^30.
fn divided(m: Multiplier, count: usize) -> Multiplier {
    let shift = count.max(1).ilog2().min(32).min((31 + m.exponent).max(0) as u32);
    let mantissa = (i64::from(m.mantissa) << shift) / count.max(1) as i64;
    Multiplier { mantissa: mantissa as i32, exponent: m.exponent - shift as i32, ..m }
}

impl Mean {
    fn rescale(&self, s: &Signature<'_>) -> Result<RescaledSum, OpError> {
        let count = self.0.plan(s)?.count;
        let (x, y) = (s.operand(0)?.per_tensor()?.0, s.result(0)?.per_tensor()?.0);
        let exact = f64::from(x) / f64::from(y) / count.max(1) as f64;
        RescaledSum::new(s, count, |m| match m.rounding {
            Rounding::HalfAway => divided(m, count),
            Rounding::HalfEven => Multiplier::from_real(exact).rounded(m.rounding),
        })
    }
}

impl Operator for Mean {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = self.0.infer(s)?;
        if s.operand(0)?.dtype() == DType::I8 {
            self.rescale(s)?;
        }
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        if s.operand(0)?.dtype() == DType::I8 {
            return self.rescale(s)?.eval(&self.0, s, inputs);
        }
        let count = self.0.plan(s)?.count as f32;
        self.0.eval_f32(s, inputs, 0.0, |a, b| a + b, |sum| sum / count)
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if s.operand(0)?.dtype() == DType::I8 {
            return self.rescale(s)?.lower(&self.0, s, k);
        }
        let count = self.0.plan(s)?.count as f32;
        self.0.lower(s, k, &float(0.0), &|a, b| a + b, &|_, sum| sum / float(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowering_equals_evaluation() {
        super::super::reduce::check_all((0.021, 10), Mean);
        super::super::reduce::check_all((0.05, -128), Mean);
    }

    #[test]
    fn the_division_goes_into_the_mantissa() {
        let one = Multiplier::of(1 << 30, 1);
        assert_eq!(divided(one, 1), one);
        assert_eq!(divided(one, 4), Multiplier::of(1 << 30, -1));
        assert_eq!(divided(one, 3), Multiplier::of(715_827_882, 0));
        let tiny = Multiplier::of(1 << 30, -31);
        assert_eq!(divided(tiny, 4), Multiplier::of(1 << 28, -31));
    }
}
