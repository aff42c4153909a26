//! int8 arithmetic that Add and Sub have in common. Not an operator itself.

use super::{OpError, Signature};
use crate::kir::{Expr, KernelBuilder, int};
use crate::numeric::{Activation, Multiplier};

/// Left shift of both inputs: enough headroom for the common scale (numerics 4.1).
const LEFT_SHIFT: i64 = 20;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// a + b.
    Plus,
    /// a - b.
    Minus,
}

/// Parameters of the int8 form. All scales are combined in double, for both operators: measured
/// with the pinned TensorFlow Lite Micro on data that tells it from float32.
#[derive(Debug)]
pub struct Rescale {
    sign: Sign,
    zero_points: [i32; 3],
    inputs: [Multiplier; 2],
    output: Multiplier,
    range: (i32, i32),
}

impl Rescale {
    /// From the quantization of operands and result.
    ///
    /// # Errors
    /// Missing or per-axis quantization.
    pub fn new(s: &Signature<'_>, sign: Sign, activation: Activation) -> Result<Self, OpError> {
        let (a, za) = s.operand(0)?.per_tensor()?;
        let (b, zb) = s.operand(1)?.per_tensor()?;
        let (y, zy) = s.result(0)?.per_tensor()?;
        let twice_max = 2.0 * f64::from(a.max(b));
        let output = twice_max / (f64::from(1u32 << LEFT_SHIFT) * f64::from(y));
        Ok(Self {
            sign,
            zero_points: [za, zb, zy],
            inputs: [a, b].map(|s| Multiplier::from_real(f64::from(s) / twice_max)),
            output: Multiplier::from_real(output).rounded(s.result(0)?.quantized()?.rounding),
            range: activation.range_i8(y, zy),
        })
    }

    /// The result of two raw elements.
    #[must_use]
    pub fn eval(&self, a: i32, b: i32) -> i32 {
        let x = self.inputs[0].apply((a - self.zero_points[0]) * (1 << LEFT_SHIFT));
        let y = self.inputs[1].apply((b - self.zero_points[1]) * (1 << LEFT_SHIFT));
        let sum = match self.sign {
            Sign::Plus => x + y,
            Sign::Minus => x - y,
        };
        self.output.finish(sum, self.zero_points[2], self.range)
    }

    /// The expression of [`Rescale::eval`].
    pub fn lower(&self, k: &mut KernelBuilder, a: Expr, b: Expr) -> Expr {
        let [za, zb, zy] = self.zero_points;
        let shifted = |x: Expr, z: i32| (x - int(i64::from(z))) * int(1 << LEFT_SHIFT);
        let a = k.let_("a", self.inputs[0].requantize(shifted(a, za), false));
        let b = k.let_("b", self.inputs[1].requantize(shifted(b, zb), false));
        let sum = match self.sign {
            Sign::Plus => a + b,
            Sign::Minus => a - b,
        };
        self.output.lower_finish(sum, zy, self.range)
    }
}
