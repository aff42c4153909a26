//! float32 elementary functions that give the same bits on every machine: computed in double by the
//! portable `libm` crate and rounded once, which is also what good C libraries return almost always.

macro_rules! through_double {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(x: f32) -> f32 { libm::$name(f64::from(x)) as f32 })*
    };
}

through_double! {
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
