//! Activation functions of the gates of recurrent operators, with the formulas of the ONNX operators
//! LSTM, GRU and RNN. Not an operator itself.

use crate::kir::{Expr, Intrinsic, float};
use crate::numeric::math;

/// Activation function of a gate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "alpha and beta are the names of the format")]
pub enum GateFunction {
    /// max(x, 0)
    Relu,
    /// tanh(x)
    Tanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// x / (1 + |x|)
    Softsign,
    /// ln(1 + e^x), as max(x, 0) + ln(1 + e^-|x|), which does not overflow
    Softplus,
    /// alpha * x + beta
    Affine { alpha: f32, beta: f32 },
    /// x for x >= 0, else alpha * x
    LeakyRelu { alpha: f32 },
    /// x for x >= alpha, else 0
    ThresholdedRelu { alpha: f32 },
    /// alpha * tanh(beta * x)
    ScaledTanh { alpha: f32, beta: f32 },
    /// min(max(alpha * x + beta, 0), 1)
    HardSigmoid { alpha: f32, beta: f32 },
    /// x for x >= 0, else alpha * (e^x - 1)
    Elu { alpha: f32 },
}

impl GateFunction {
    /// Whether its factors are finite numbers.
    #[must_use]
    pub fn is_finite(self) -> bool {
        match self {
            GateFunction::Relu
            | GateFunction::Tanh
            | GateFunction::Sigmoid
            | GateFunction::Softsign
            | GateFunction::Softplus => true,
            GateFunction::LeakyRelu { alpha }
            | GateFunction::ThresholdedRelu { alpha }
            | GateFunction::Elu { alpha } => alpha.is_finite(),
            GateFunction::Affine { alpha, beta }
            | GateFunction::ScaledTanh { alpha, beta }
            | GateFunction::HardSigmoid { alpha, beta } => alpha.is_finite() && beta.is_finite(),
        }
    }

    /// The value at `x`.
    #[must_use]
    pub fn apply(self, x: f32) -> f32 {
        let max = tinycc_rt::max_f32;
        match self {
            GateFunction::Relu => max(x, 0.0),
            GateFunction::Tanh => math::tanh(x),
            GateFunction::Sigmoid => 1.0 / (1.0 + math::exp(-x)),
            GateFunction::Softsign => x / (1.0 + x.abs()),
            GateFunction::Softplus => max(x, 0.0) + math::log(1.0 + math::exp(-x.abs())),
            GateFunction::Affine { alpha, beta } => alpha * x + beta,
            GateFunction::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            GateFunction::ThresholdedRelu { alpha } => {
                if x >= alpha {
                    x
                } else {
                    0.0
                }
            }
            GateFunction::ScaledTanh { alpha, beta } => alpha * math::tanh(beta * x),
            GateFunction::HardSigmoid { alpha, beta } => {
                tinycc_rt::min_f32(max(alpha * x + beta, 0.0), 1.0)
            }
            GateFunction::Elu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * math::expm1(x)
                }
            }
        }
    }

    /// The value at `x`, which some functions read more than once: a variable or a literal.
    #[must_use]
    pub fn expression(self, x: Expr) -> Expr {
        let max = |x: Expr, y: f32| Expr::call(Intrinsic::MaxF32, vec![x, float(y)]);
        let call = |f: Intrinsic, x: Expr| Expr::call(f, vec![x]);
        let size = |x: Expr| call(Intrinsic::FAbs, x);
        let positive = |x: &Expr| x.clone().ge(float(0.0));
        match self {
            GateFunction::Relu => max(x, 0.0),
            GateFunction::Tanh => call(Intrinsic::Tanh, x),
            GateFunction::Sigmoid => {
                float(1.0) / (float(1.0) + call(Intrinsic::Exp, float(0.0) - x))
            }
            GateFunction::Softsign => x.clone() / (float(1.0) + size(x)),
            GateFunction::Softplus => {
                let e = call(Intrinsic::Exp, float(0.0) - size(x.clone()));
                max(x, 0.0) + call(Intrinsic::Log, float(1.0) + e)
            }
            GateFunction::Affine { alpha, beta } => float(alpha) * x + float(beta),
            GateFunction::LeakyRelu { alpha } => positive(&x).select(x.clone(), float(alpha) * x),
            GateFunction::ThresholdedRelu { alpha } => {
                x.clone().ge(float(alpha)).select(x, float(0.0))
            }
            GateFunction::ScaledTanh { alpha, beta } => {
                float(alpha) * call(Intrinsic::Tanh, float(beta) * x)
            }
            GateFunction::HardSigmoid { alpha, beta } => {
                let above = max(float(alpha) * x + float(beta), 0.0);
                Expr::call(Intrinsic::MinF32, vec![above, float(1.0)])
            }
            GateFunction::Elu { alpha } => {
                let below = float(alpha) * call(Intrinsic::Expm1, x.clone());
                positive(&x).select(x, below)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{Spec, check};
    use crate::op::{RecurrentAttributes, RecurrentResult, Rnn};

    const ALL: [GateFunction; 11] = [
        GateFunction::Relu,
        GateFunction::Tanh,
        GateFunction::Sigmoid,
        GateFunction::Softsign,
        GateFunction::Softplus,
        GateFunction::Affine { alpha: -0.5, beta: 0.25 },
        GateFunction::LeakyRelu { alpha: 0.1 },
        GateFunction::ThresholdedRelu { alpha: 0.5 },
        GateFunction::ScaledTanh { alpha: 1.5, beta: 0.5 },
        GateFunction::HardSigmoid { alpha: 0.2, beta: 0.5 },
        GateFunction::Elu { alpha: 0.7 },
    ];

    #[test]
    fn every_function_is_lowered_as_it_evaluates() {
        for function in ALL {
            let attributes = RecurrentAttributes {
                hidden: 4,
                reverse: false,
                clip: None,
                operands: Vec::new(),
                results: vec![RecurrentResult::Sequence],
            };
            let specs = [Spec::f32(&[2, 1, 3]), Spec::f32(&[4, 3]), Spec::f32(&[4, 4])];
            check(Rnn { attributes, function }, &specs, &[]);
        }
    }

    #[test]
    fn functions_follow_their_formulas() {
        let near = |f: GateFunction, x: f32, y: f32| {
            assert!((f.apply(x) - y).abs() < 1e-6, "{f:?} of {x}");
        };
        for x in [-2.0f32, -0.25, 0.0, 0.5, 3.0] {
            near(GateFunction::Softplus, x, x.exp().ln_1p());
            near(GateFunction::Softsign, x, x / (1.0 + x.abs()));
            near(GateFunction::Sigmoid, x, 1.0 / (1.0 + (-x).exp()));
            near(ALL[5], x, 0.25 - 0.5 * x);
            near(ALL[8], x, 1.5 * (0.5 * x).tanh());
            near(ALL[9], x, (0.2 * x + 0.5).clamp(0.0, 1.0));
        }
        near(GateFunction::Elu { alpha: 2.0 }, -1.0, 2.0 * (-1.0f32).exp_m1());
        near(GateFunction::ThresholdedRelu { alpha: 0.5 }, 0.5, 0.5);
        near(GateFunction::ThresholdedRelu { alpha: 0.5 }, 0.25, 0.0);
        assert_eq!(GateFunction::Softplus.apply(200.0), 200.0);
    }
}
