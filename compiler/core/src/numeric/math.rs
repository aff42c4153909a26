//! float32 elementary functions that give the same bits on every machine: computed in double by the
//! portable `libm` crate and rounded once, which is also what good C libraries return almost always.

macro_rules! through_double {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(x: f32) -> f32 { libm::$name(f64::from(x)) as f32 })*
    };
}

through_double! {
    /// Arc cosine.
    acos;
    /// Inverse hyperbolic cosine.
    acosh;
    /// Arc sine.
    asin;
    /// Inverse hyperbolic sine.
    asinh;
    /// Arc tangent.
    atan;
    /// Inverse hyperbolic tangent.
    atanh;
    /// Cosine.
    cos;
    /// Hyperbolic cosine.
    cosh;
    /// ln(1 + x).
    log1p;
    /// Sine.
    sin;
    /// Hyperbolic sine.
    sinh;
    /// Tangent.
    tan;
    /// e^x.
    exp;
    /// Natural logarithm.
    log;
    /// Hyperbolic tangent.
    tanh;
    /// Error function.
    erf;
    /// e^x - 1.
    expm1;
}

/// x to the power y.
#[must_use]
pub fn pow(x: f32, y: f32) -> f32 {
    libm::pow(x.into(), y.into()) as f32
}
