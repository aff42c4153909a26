//! The attribute `#[tinycc::model]`: compiles a neural network where it stands. Reach it through
//! `tinycc` with the feature `macros`; that half of `tinycc` is `no_std`.
//!
//! ```toml
//! [dependencies]
//! tinycc = { version = "0.1", default-features = false, features = ["macros"] }
//! ```
//!
//! A build script (`tinycc-build`) does the same with a report, C, and files to look at; the
//! attribute is for quick use.

mod args;
mod expand;

use proc_macro::TokenStream;

/// Makes a unit struct the front of a model.
///
/// ```
/// # use tinycc_macros as tinycc;
/// #[tinycc::model("../../fixtures/sine/sine_int8.tflite", max_arena = "1K")]
/// struct Sine;
///
/// # fn main() {
/// let mut arena = Sine::new_arena();
/// let output: sine::Output = Sine::invoke(&mut arena, &[Sine::quantize(1.0)]);
/// assert!((Sine::dequantize(output[0]) - 0.84).abs() < 0.05);
/// # }
/// ```
///
/// The path starts at the package (`CARGO_MANIFEST_DIR`). Cargo compiles again when the file
/// changes. Further arguments are the options of `tinycc compile` with `_` for `-`, for example
/// `core`, `max_arena`, `max_flash`, `input_shape`, `input_value`, `nms_rows`, `io_layout`, and `config = "tinycc.toml"` for a file of them,
/// which the arguments win over. Options with several values take a list: `["a=1x8", "b=1x8"]`.
///
/// Beside the struct stands a module of its name in snake case (`kws` for `KWS`), as visible as the struct, with all
/// that was emitted: types such as `sine::Arena`, `sine::Input`, `sine::Output`. The public functions
/// and constants of the module are also the struct's: `Sine::invoke`, `Sine::ARENA_BYTES`. In
/// addition, `Sine::new_arena()` is a `const fn`, so an arena can be a `static`. All constants of the
/// model are literals in the expansion. The struct must stand in a module, not in a function.
///
/// # Errors
/// Everything that is wrong with the options, the model or its size, at the attribute.
#[proc_macro_attribute]
pub fn model(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    expand::model(attribute.into(), item.into(), package.as_ref()).into()
}
