//! Cast: converts element types; quantization plays no part. TFLite CAST, ONNX Cast.

use super::conversion::Conversion;
use super::{OpError, Operator, Reuse, Signature};
use crate::kir::KernelBuilder;
use crate::numeric::small_float::Rounding;
use crate::tensor::{DType, Tensor, TensorType};

/// y = x as the type `to`.
///
/// Integers wrap, to 4 and 2 bits too. Floats to integer truncate towards zero; values that do not
/// fit saturate to the nearest float of their own type that does, and NaN gives the lowest (C leaves
/// both undefined). To bool: whether it is not zero. To a narrower float: nearest, ties to even, from
/// float64 rounded once; 8-bit floats saturate, powers of two (e8m0) round up.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// Element type of the result.
    pub to: DType,
}

impl Cast {
    fn conversion(&self) -> Conversion {
        Conversion { to: self.to, saturate: true, rounding: Rounding::Up }
    }
}

impl Operator for Cast {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        s.expect_operands(1, 1)?;
        Ok(vec![TensorType::new(self.to, s.operand(0)?.shape().clone())])
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let x = inputs.first().ok_or_else(|| OpError::types(s))?;
        if x.data.dtype() == self.to {
            return Ok(vec![(*x).clone()]);
        }
        Ok(vec![self.conversion().eval(s, x)?])
    }

    fn reuse(&self, s: &Signature<'_>) -> Reuse {
        match s.operands.first() {
            Some(x) if x.dtype() == self.to => Reuse::Alias,
            // Not in place even where sizes agree: C may not see one object as two types.
            _other_type => Reuse::None,
        }
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        if s.operand(0)?.dtype() != self.to {
            return self.conversion().lower(s, k);
        }
        let (x, y) = (k.operand(s, 0, "x")?, k.result(s, 0, "y")?);
        k.for_("i", s.result(0)?.shape().elements(), |k, i| {
            let v = k.load(x, i.clone());
            k.store(y, i, v);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check, check_data};
    use crate::tensor::TensorData;

    #[test]
    fn lowering_equals_evaluation() {
        for from in DType::ALL {
            for to in DType::ALL {
                check(Cast { to }, &[Spec::of(from, &[3, 11])], &[]);
            }
        }
    }

    #[test]
    fn floats_that_do_not_fit() {
        let odd = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e30, -1e30, 2147483648.0];
        for to in DType::ALL {
            check_data(Cast { to }, TensorData::F32(odd.clone()), &[]);
        }
        let near = [1.0 + 2f64.powi(-11) + 2f64.powi(-40), -1.0 - 2f64.powi(-9), 1e-42, 1e300];
        let doubles = odd.iter().map(|&v| f64::from(v)).chain(near).collect::<Vec<_>>();
        for to in DType::ALL {
            check_data(Cast { to }, TensorData::F64(doubles.clone()), &[]);
        }
    }
}
