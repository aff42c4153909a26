//! Neural networks for microcontrollers, compiled ahead of time from .tflite or .onnx files. This crate is the front door: what
//! firmware needs to include a model is `no_std` and has no dependencies; the compiler itself, as a
//! library and as the command line tool, is the feature `cli`, which is on by default.
//!
//! Firmware takes the small half:
//!
//! ```toml
//! [dependencies]
//! tinycc = { version = "0.1", default-features = false }
//!
//! [build-dependencies]
//! tinycc-build = "0.1"
//! ```
//!
//! # First door: a build script
//!
//! `build.rs` compiles the model with `tinycc-build`, for the processor that cargo builds for:
//!
//! ```no_run
//! fn main() -> Result<(), tinycc_build::Error> {
//!     tinycc_build::Config::new("models/kws.tflite")
//!         .target_from_env()
//!         .max_arena("32K")
//!         .compile()?;
//!     Ok(())
//! }
//! ```
//!
//! and a module of the program includes it by its name:
//!
//! ```ignore
//! mod kws {
//!     tinycc::include_model!("kws");
//! }
//!
//! let mut arena = kws::Arena::new();
//! let scores = kws::invoke(&mut arena, &samples);
//! ```
//!
//! # Second door: an attribute
//!
//! With the feature `macros`, without a build script:
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! #[tinycc::model("../../fixtures/sine/sine_int8.tflite", max_arena = "1K")]
//! struct Sine;
//!
//! # fn main() {
//! let mut arena = Sine::new_arena();
//! let output = Sine::invoke(&mut arena, &[Sine::quantize(1.0)]);
//! assert!((Sine::dequantize(output[0]) - 0.84).abs() < 0.05);
//! # }
//! ```
#![cfg_attr(
    feature = "cli",
    doc = r#"
# The compiler as a library

Feature `cli`:

```no_run
# fn main() -> Result<(), Box<dyn std::error::Error>> {
let bytes = std::fs::read("model.tflite")?;
let options = tinycc::Options { target: "c".into(), ..tinycc::Options::default() };
let output = tinycc::Compiler::new(&bytes, options).file("model.tflite").compile()?;
println!("{}", output.report.to_text());
# Ok(())
# }
```
"#
)]
#![no_std]

#[cfg(feature = "cli")]
pub use tinycc_driver::*;
#[cfg(feature = "macros")]
pub use tinycc_macros::model;

/// Includes a model that `tinycc-build` compiled, by its name, at the place of the call. The place
/// is a module of yours, which gives the model its name in the program:
///
/// ```ignore
/// mod kws {
///     tinycc::include_model!("kws");
/// }
/// ```
///
/// The name is that of the model file without its ending, with `_` for what cannot stand in an
/// identifier, unless the build script gives another.
#[macro_export]
macro_rules! include_model {
    ($name:literal) => {
        ::core::include!(::core::concat!(::core::env!("OUT_DIR"), "/", $name, ".rs"));
    };
}
