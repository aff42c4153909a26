//! Division by the Euclidean norm along the last dimension. TFLite L2_NORMALIZATION.

use super::rows::{self, Int8, Rows};
use super::{OpError, Operator, QuantRule, Reuse, Signature, unary};
use crate::tensor::{DType, Tensor, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float, int};

/// y = x / max(sqrt(sum of x * x over the row), 1e-6). The operator has no attributes.
///
/// int8: the inverse root of the sum is a multiplier computed at run time; a row of zeros stays 0.
#[derive(Clone, Debug, PartialEq)]
pub struct L2Normalization;

/// A square is at most 255 * 255.
const INT8: Int8 = Int8 { result: (1.0 / 128.0, 0), longest: i32::MAX as usize / (255 * 255) };

/// Smallest norm of a float row.
const EPSILON: f32 = 1e-6;

/// Fraction bits of the int8 result.
const FRACTION: i32 = 7;

impl Operator for L2Normalization {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        rows::infer(s, INT8)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let [(_, zero_point), _] = unary::quantization(s)?;
        rows::eval(s, inputs, normalize_f32, |row, y| normalize_i8(row, zero_point, y))
    }

    fn quant_rule(&self) -> QuantRule {
        QuantRule::Fixed { scale: INT8.result.0, zero_point: INT8.result.1 }
    }

    fn reuse(&self, _: &Signature<'_>) -> Reuse {
        Reuse::InPlace(vec![0])
    }

    fn lower(&self, s: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError> {
        let rows = Rows::new(s, k)?;
        if s.operand(0)?.dtype() == DType::F32 {
            rows.each(k, |k, first| lower_f32(&rows, k, &first));
            return Ok(());
        }
        let zero_point = s.operand(0)?.per_tensor()?.1;
        rows.each(k, |k, first| lower_i8(&rows, k, &first, zero_point));
        Ok(())
    }
}

fn normalize_f32(row: &[f32], y: &mut Vec<f32>) {
    let sum = row.iter().fold(0.0f32, |sum, x| sum + x * x);
    let norm = tinycc_rt::max_f32(sum.sqrt(), EPSILON);
    y.extend(row.iter().map(|x| x / norm));
}

fn normalize_i8(row: &[i8], zero_point: i32, y: &mut Vec<i8>) {
    let real = |x: i8| i32::from(x) - zero_point;
    let sum = row.iter().map(|&x| real(x) * real(x)).sum();
    let multiplier = tinycc_rt::inv_sqrt_multiplier(sum);
    let exponent = tinycc_rt::inv_sqrt_exponent(sum) + FRACTION;
    y.extend(row.iter().map(|&x| {
        tinycc_rt::requantize(real(x), multiplier, exponent).clamp(-128, 127) as i8
    }));
}

fn lower_f32(rows: &Rows, k: &mut KernelBuilder, first: &Expr) {
    let sum = k.var("sum", float(0.0));
    rows.elements(k, first, |k, _, v| k.accumulate(sum, v.clone() * v));
    let root = Expr::call(Intrinsic::Sqrt, vec![sum.into()]);
    let norm = k.let_("norm", Expr::call(Intrinsic::MaxF32, vec![root, float(EPSILON)]));
    rows.elements(k, first, |k, at, v| k.store(rows.y, at, v / norm.clone()));
}

fn lower_i8(rows: &Rows, k: &mut KernelBuilder, first: &Expr, zero_point: i32) {
    let real = |v: Expr| v - int(zero_point.into());
    let sum = k.var("sum", int(0));
    rows.elements(k, first, |k, _, v| {
        let d = k.let_("d", real(v));
        k.accumulate(sum, d.clone() * d);
    });
    let multiplier = Expr::call(Intrinsic::InvSqrtMultiplier, vec![sum.into()]);
    let multiplier = k.let_("multiplier", multiplier);
    let exponent = Expr::call(Intrinsic::InvSqrtExponent, vec![sum.into()]);
    let exponent = k.let_("exponent", exponent + int(FRACTION.into()));
    rows.elements(k, first, |k, at, v| {
        let operands = vec![real(v), multiplier.clone(), exponent.clone()];
        k.store(rows.y, at, Expr::call(Intrinsic::Requantize, operands).clamp(-128, 127));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorData;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        check(L2Normalization, &[Spec::f32(&[2, 3, 11])], &[]);
        for zero_point in [-128, 0, 7] {
            let x = Spec::i8(&[2, 3, 11], 0.1, zero_point);
            check(L2Normalization, &[x], &[INT8.result]);
            let zeros = Spec::i8(&[4], 0.1, zero_point);
            let zeros = zeros.data(TensorData::I8(vec![zero_point as i8; 4]));
            check(L2Normalization, &[zeros], &[INT8.result]);
        }
    }

    #[test]
    fn longest_row_of_largest_elements_does_not_overflow() {
        let mut y = Vec::new();
        normalize_i8(&vec![127; INT8.longest], -128, &mut y);
        // 128 / sqrt(33025) = 0.704
        assert!(y.iter().all(|&y| y == 1));
    }
}
