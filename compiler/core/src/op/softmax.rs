//! Softmax along the last dimension. TFLite SOFTMAX.

use super::rows::{self, Distances, Int8, Rows};
use super::{OpError, Operator, QuantRule, Reuse, Signature};
use crate::tensor::{DType, Tensor, TensorData, TensorType};
use crate::kir::{Expr, Intrinsic, KernelBuilder, Ty, float, int};
use crate::numeric::math;

/// y = exp(beta * (x - max)) / sum over the row.
///
/// int8 (numerics 4.4): the exponentials are a table over the distance to the maximum; the
/// reciprocal of their sum, Q12.19 without sign, is computed at run time.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax {
    /// Factor of the exponent.
    pub beta: f32,
}

/// A row of equal elements sums up to 2^19 each.
const INT8: Int8 = Int8 { result: (1.0 / 256.0, -128), longest: (1 << 13) - 1 };

impl Operator for Softmax {
    fn infer(&self, s: &Signature<'_>) -> Result<Vec<TensorType>, OpError> {
        let types = rows::infer(s, INT8)?;
        if s.operand(0)?.dtype() == DType::I8 {
            Distances::new(s.operand(0)?.per_tensor()?.0, self.beta)?;
        }
        Ok(types)
    }

    fn eval(&self, s: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError> {
        let table = if s.operand(0)?.dtype() == DType::I8 {
            Distances::new(s.operand(0)?.per_tensor()?.0, self.beta)?.exponentials
        } else {
            Vec::new()
        };
        rows::eval(
            s,
            inputs,
            |row, y| softmax_f32(row, self.beta, y),
            |row, y| softmax_i8(row, &table, y),
        )
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
            rows.each(k, |k, first| lower_f32(&rows, k, &first, self.beta));
            return Ok(());
        }
        let distances = Distances::new(s.operand(0)?.per_tensor()?.0, self.beta)?;
        rows.each(k, |k, first| lower_i8(&rows, k, &first, distances.exponentials));
        Ok(())
    }
}

fn softmax_f32(row: &[f32], beta: f32, y: &mut Vec<f32>) {
    let max = rows::max_f32(row);
    let e: Vec<f32> = row.iter().map(|&x| math::exp((x - max) * beta)).collect();
    let sum = e.iter().fold(0.0f32, |sum, e| sum + e);
    y.extend(e.iter().map(|e| e / sum));
}

fn softmax_i8(row: &[i8], table: &[i32], y: &mut Vec<i8>) {
    let max = row.iter().max().map_or(0, |&m| i32::from(m));
    let e = |x: i8| table.get((max - i32::from(x)) as usize).copied().unwrap_or(0);
    let sum = row.iter().map(|&x| tinycc_rt::rounding_divide_by_pot(e(x), 12) as u32).sum();
    let (recip, shift) = (tinycc_rt::softmax_recip(sum), tinycc_rt::softmax_shift(sum));
    y.extend(row.iter().map(|&x| tinycc_rt::softmax_finish(recip, shift, e(x)) as i8));
}

fn lower_f32(rows: &Rows, k: &mut KernelBuilder, first: &Expr, beta: f32) {
    let max = rows.max(k, first);
    let sum = k.var("sum", float(0.0));
    rows.elements(k, first, |k, at, v| {
        let distance = v - max;
        let scaled = if beta == 1.0 { distance } else { distance * float(beta) };
        let e = k.let_("e", Expr::call(Intrinsic::Exp, vec![scaled]));
        k.store(rows.y, at, e.clone());
        k.accumulate(sum, e);
    });
    k.for_("i", rows.depth, |k, i| {
        let at = first.clone() + i;
        k.store(rows.y, at.clone(), k.load(rows.y, at) / sum);
    });
}

fn lower_i8(rows: &Rows, k: &mut KernelBuilder, first: &Expr, exponentials: Vec<i32>) {
    let len = exponentials.len();
    let table = k.constant("exponentials", TensorData::I32(exponentials));
    let max = rows.max(k, first);
    let exponential = |k: &mut KernelBuilder, v: Expr| {
        let distance = k.let_("distance", max - v);
        Distances::lookup(k, table, len, distance)
    };
    let sum = k.var("sum", Expr::Int(0, Ty::U32));
    rows.elements(k, first, |k, _, v| {
        let e = exponential(k, v);
        let e = Expr::call(Intrinsic::RoundingDivideByPot, vec![e, int(12)]);
        k.accumulate(sum, e.cast(Ty::U32));
    });
    let recip = k.let_("recip", Expr::call(Intrinsic::SoftmaxRecip, vec![sum.into()]));
    let shift = k.let_("shift", Expr::call(Intrinsic::SoftmaxShift, vec![sum.into()]));
    rows.elements(k, first, |k, at, v| {
        let e = exponential(k, v);
        let y = Expr::call(Intrinsic::SoftmaxFinish, vec![recip.clone(), shift.clone(), e]);
        k.store(rows.y, at, y);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};

    #[test]
    fn lowering_equals_evaluation() {
        for beta in [1.0, 0.3, 4.0] {
            check(Softmax { beta }, &[Spec::f32(&[2, 3, 11])], &[]);
            for scale in [0.01, 0.1, 1.0, 1000.0] {
                let x = Spec::i8(&[2, 3, 11], scale, 7);
                check(Softmax { beta }, &[x], &[INT8.result]);
            }
        }
        check(Softmax { beta: 1.0 }, &[Spec::i8(&[700], 0.001, 7)], &[INT8.result]);
        check(Softmax { beta: 1.0 }, &[Spec::i8(&[5, 1], 0.001, 7)], &[INT8.result]);
    }

    #[test]
    fn longest_row_of_nearly_equal_elements_does_not_overflow() {
        check(Softmax { beta: 1.0 }, &[Spec::i8(&[INT8.longest], 1e-7, 0)], &[INT8.result]);
    }
}
