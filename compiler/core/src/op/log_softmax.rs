//! Logarithm of softmax along the last dimension. TFLite LOG_SOFTMAX.

use super::rows::{self, Distances, Int8, Rows};
use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, float, int};
use crate::numeric::{Multiplier, math};

/// y = x - max - log(sum of exp(x - max)) over the row.
///
/// int8 after TensorFlow Lite Micro's `LogSoftmaxQuantized`: the exponentials, already in Q12.19,
/// are a table over the distance to the maximum; the logarithm of their sum is computed at run
/// time in Q5.26.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSoftmax;

/// A row of equal elements sums up to 2^19 each, in a signed number.
const INT8: Int8 = Int8 { result: (16.0 / 256.0, 127), longest: (1 << 12) - 1 };

/// Shift from Q5.26 to results of scale 1/16.
const RESULT_SHIFT: i32 = 22;

impl Operator for LogSoftmax {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = rows::infer(s, INT8)?;
        if s.operand(0)?.dtype() == DType::I8 {
            Fixed::new(s)?;
        }
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let is_int8 = s.operand(0)?.dtype() == DType::I8;
        let fixed = if is_int8 { Some(Fixed::new(s)?) } else { None };
        let int8 = |row: &[i8], y: &mut Vec<i8>| {
            if let Some(fixed) = &fixed {
                fixed.row(row, y);
            }
        };
        rows::eval(s, inputs, log_softmax_f32, int8)
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
        let fixed = Fixed::new(s)?;
        rows.each(k, |k, first| fixed.lower(&rows, k, &first));
        Ok(())
    }
}

fn log_softmax_f32(row: &[f32], y: &mut Vec<f32>) {
    let max = rows::max_f32(row);
    let sum = row.iter().fold(0.0f32, |sum, x| sum + math::exp(x - max));
    let log = math::log(sum);
    y.extend(row.iter().map(|x| x - max - log));
}

fn lower_f32(rows: &Rows, k: &mut KernelBuilder, first: &Expr) {
    let max = rows.max(k, first);
    let sum = k.var("sum", float(0.0));
    rows.elements(k, first, |k, _, v| {
        k.accumulate(sum, Expr::call(Intrinsic::Exp, vec![v - max]));
    });
    let log = k.let_("log", Expr::call(Intrinsic::Log, vec![sum.into()]));
    rows.elements(k, first, |k, at, v| k.store(rows.y, at, v - max - log.clone()));
}

/// The int8 form.
struct Fixed {
    /// From a difference to Q5.26.
    scale: Multiplier,
    /// From Q5.26 back to a difference.
    back: Multiplier,
    /// Exponentials in Q12.19 by distance.
    table: Vec<i32>,
}

impl Fixed {
    fn new(s: &Signature<'_>) -> Result<Self, OpError> {
        let scale = s.operand(0)?.per_tensor()?.0;
        let distances = Distances::new(scale, 1.0)?;
        let Multiplier { mantissa, exponent, .. } = distances.scale;
        let back = 2f64.powi(31 - exponent) / f64::from(mantissa);
        if back >= 1.0 {
            let message = format!("scale {scale} is too small for the int8 form");
            return Err(OpError::unsupported(message));
        }
        let in_q12 = |&e: &i32| tinycc_rt::rounding_divide_by_pot(e, 12);
        Ok(Self {
            scale: distances.scale,
            back: Multiplier::from_real(back),
            table: distances.exponentials.iter().map(in_q12).collect(),
        })
    }

    /// Differences to the maximum up to this one are cut off whatever the sum.
    fn cut_off(&self) -> i32 {
        -(self.table.len() as i32)
    }

    fn row(&self, row: &[i8], y: &mut Vec<i8>) {
        let max = row.iter().max().map_or(0, |&m| i32::from(m));
        let e = |x: i8| self.table.get((max - i32::from(x)) as usize).copied().unwrap_or(0);
        let log = tinycc_rt::log_q12(row.iter().map(|&x| e(x)).sum());
        // What remains representable after the logarithm is subtracted.
        let cut_off = self.back.apply(log + i32::MIN).max(self.cut_off());
        y.extend(row.iter().map(|&x| {
            let difference = i32::from(x) - max;
            if difference <= cut_off {
                return -128;
            }
            let z = self.scale.apply(difference) - log;
            let z = tinycc_rt::rounding_divide_by_pot(z, RESULT_SHIFT) + INT8.result.1;
            z.clamp(-128, 127) as i8
        }));
    }

    fn lower(&self, rows: &Rows, k: &mut KernelBuilder, first: &Expr) {
        let table = k.constant("exponentials", TensorData::I32(self.table.clone()));
        let max = rows.max(k, first);
        let sum = k.var("sum", int(0));
        rows.elements(k, first, |k, _, v| {
            let distance = k.let_("distance", max - v);
            k.accumulate(sum, Distances::lookup(k, table, self.table.len(), distance));
        });
        let log = k.let_("log", Expr::call(Intrinsic::LogQ12, vec![sum.into()]));
        // Minus 2^31 in two steps: C has no literal for it.
        let least = log.clone() - int(i64::from(i32::MAX)) - int(1);
        let fixed = int(i64::from(self.cut_off()));
        let cut_off = Expr::call(Intrinsic::MaxI32, vec![self.back.requantize(least, false), fixed]);
        let cut_off = k.let_("cut_off", cut_off);
        rows.elements(k, first, |k, at, v| {
            let difference = k.let_("difference", v - max);
            let z = self.scale.requantize(difference.clone(), false) - log;
            let z = Expr::call(Intrinsic::RoundingDivideByPot, vec![z, int(RESULT_SHIFT.into())]);
            let z = (z + int(INT8.result.1.into())).clamp(-128, 127);
            k.store(rows.y, at, difference.gt(cut_off).select(z, int(-128)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        check(LogSoftmax, &[Spec::f32(&[2, 3, 11])], &[]);
        for scale in [0.001, 0.02, 0.1, 1.0, 1000.0] {
            check(LogSoftmax, &[Spec::i8(&[2, 3, 11], scale, 7)], &[INT8.result]);
        }
        check(LogSoftmax, &[Spec::i8(&[700], 0.25, 7)], &[INT8.result]);
    }

    #[test]
    fn longest_row_of_nearly_equal_elements_does_not_overflow() {
        check(LogSoftmax, &[Spec::i8(&[INT8.longest], 1e-7, 0)], &[INT8.result]);
    }
}
