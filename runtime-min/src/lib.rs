//! What a neural network compiled by `tinycc` needs at run time: the memory its tensors live in,
//! integer arithmetic bit-exact with TensorFlow Lite Micro, float32 functions; no kernels here.
//!
//! `no_std`, no dependencies, no allocation, no floating-point unit needed, no initialisation.
//! `tinycc` writes a model as one Rust file. By default the file embeds the pieces of this crate it
//! uses; with the option to use the crate it says `use tinycc_rt as rt;`. Either way a firmware
//! sees the model's own functions and one type of this crate, the [`Arena`]:
//!
//! ```text
//! static ARENA: Mutex<kws::Arena> = Mutex::new(kws::Arena::new()); // RAM, planned by the compiler
//! let output = kws::invoke(&mut arena, &input);
//! ```
//!
//! # Memory
//!
//! An arena is a block of bytes; [`Arena::tensor`] and [`Share::view`] give typed parts of it. Type,
//! offset and length are const parameters, so a part out of range or misaligned does not compile:
//!
//! ```
//! let mut arena = tinycc_rt::Arena::<16>::new();
//! let (whole, last) = {
//!     let share = arena.share();
//!     (share.view::<i8, 0, 16>(), share.view::<i32, 12, 1>())
//! };
//! last.set(0, -1);
//! assert_eq!((whole.get(11), whole.get(12), whole.get(16)), (0, -1, 0)); // 16 is outside
//! arena.zeroise();
//! assert_eq!(arena.tensor::<i32, 12, 1>(), &[0]);
//! ```
//!
//! ```compile_fail
//! let _beyond = tinycc_rt::Arena::<16>::new().tensor::<i32, 12, 2>();
//! ```
//!
//! ```compile_fail
//! let _misaligned = tinycc_rt::Arena::<16>::new().tensor::<i32, 2, 1>();
//! ```
//!
//! Weights stand in flash as [`Weights`], as literals or cut out of a file while compiling ([`Weights::cut`]).
//!
//! # Modules
//!
//! | module | contents | in C |
//! |---|---|---|
//! | [`memory`] | arena, overlapping views, weights | - |
//! | [`round`] | clamp, minimum and maximum, rounding division, float to integer, clz | all |
//! | [`mod@requantize`] | int32 accumulator times a quantised multiplier | all |
//! | [`fixed_point`] | reciprocal, exponential, logistic, tanh, logarithm, inverse square root | reciprocal, logarithm, inverse square root |
//! | [`small_float`] | float32 to and from floats of 16 bits and fewer; the bits of floats | all |
//! | [`softmax`] | the end of an int8 softmax row | all |
//! | [`dsp`] | two- and four-lane operations of the Arm DSP extension, portable | all |
//! | [`dsp_asm`] | some of them as instructions, on Arm | part of `dsp` |
//! | [`math`] | `expf`, `logf`, `tanhf`, `erff`, `expm1f` within 2 ulp; `sqrtf`, `floorf`, `fabsf` exact | from `<math.h>` |
//! | [`trig`] | `sinf`, `cosf`, `atanf` within 1 ulp, through float64 | from `<math.h>` |
//! | [`power`] | `powf`, `log1pf` within 1 ulp, through float64; `fmodf`, `rintf` exact | from `<math.h>` |
//!
//! Only in Rust, because the compiler turns them into tables before C is written: `exp_q5`,
//! `one_minus_x_over_one_plus_x`, `logistic_q4`, `tanh_q4`.
//!
//! No function panics in a release build, and none of those outside [`memory`] is unsafe. Arguments
//! outside a documented range give an unspecified value. In a debug build the unchecked accesses
//! check their index. Unsafe code stands in [`memory`] and [`dsp_asm`] only.
//!
//! The crate is used three times: the compiler's reference evaluation and compile-time tables
//! call the functions, emitted Rust links the crate or embeds pieces of [`RUST_SOURCES`], and emitted
//! C embeds pieces of [`C_HEADER`], which [`snippet`] cuts out. `vectors/*.csv` drive the tests of
//! both languages.
#![no_std]

pub mod dsp;
#[allow(unsafe_code, reason = "inline assembly on registers")]
pub mod dsp_asm;
pub mod fixed_point;
pub mod math;
#[allow(unsafe_code, reason = "typed views of one block of bytes; every block has its reason")]
pub mod memory;
pub mod power;
pub mod requantize;
pub mod round;
pub mod small_float;
pub mod snippet;
pub mod softmax;
pub mod trig;

pub use dsp::{load_u32, sadd16, smlad, smmulr, ssat8, sxtb16, sxtb16_ror8};
#[cfg(target_arch = "arm")]
pub use dsp_asm::{smlad_asm, ssat8_asm, sxtb16_asm, sxtb16_ror8_asm};
pub use fixed_point::{
    exp_q5, inv_sqrt_exponent, inv_sqrt_multiplier, inv_sqrt_pairs, log_q12, logistic_q4,
    one_minus_x_over_one_plus_x, one_over_one_plus_x, saturating_rounding_multiply_by_pot, tanh_q4,
};
pub use math::{erff, expf, expm1f, fabsf, floorf, logf, sqrtf, tanhf};
pub use memory::{Arena, Element, Share, View, Weights};
pub use power::{fmodf, log1pf, powf, rintf};
pub use requantize::{
    requantize, requantize_nearest, requantize_shr, requantize_shr_nearest, requantize_shr_pos,
    rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
};
pub use round::{
    clamp, clz, div_round, div_round_even, max_f32, max_i32, min_f32, min_i32, round_half_away_f32,
    round_half_even_f32,
};
pub use small_float::{
    bits_double, bits_float, double_bits, float_bits, narrow_float, widen_float,
};
pub use softmax::{softmax_finish, softmax_recip, softmax_shift};
pub use trig::{atanf, cosf, sinf};

/// The C99 headers with the same functions, named `tcc_` plus the Rust name, one behind the other.
pub const C_HEADER: &str =
    concat!(include_str!("../include/tinycc_rt.h"), include_str!("../include/tinycc_rt_float.h"));

/// The modules that emitted Rust embeds pieces of: name and source, in an order without meaning.
///
/// Their items can stand in one flat module: no two have the same name, all are called by their
/// plain names, and no macro makes items.
pub const RUST_SOURCES: &[(&str, &str)] = &[
    ("round", include_str!("round.rs")),
    ("requantize", include_str!("requantize.rs")),
    ("fixed_point", include_str!("fixed_point.rs")),
    ("softmax", include_str!("softmax.rs")),
    ("dsp", include_str!("dsp.rs")),
    ("dsp_asm", include_str!("dsp_asm.rs")),
    ("math", include_str!("math.rs")),
    ("trig", include_str!("trig.rs")),
    ("power", include_str!("power.rs")),
    ("small_float", include_str!("small_float.rs")),
    ("memory", include_str!("memory.rs")),
];
