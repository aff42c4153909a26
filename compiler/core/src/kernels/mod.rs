//! Kernel building blocks shared by operators: index maps, sliding windows, requantization of
//! channels, elementwise loops. Each writes kernel IR; none knows a target language.

pub mod affine;
pub mod combine;
pub mod conv;
pub mod depthwise;
pub mod elementwise;
pub mod index;
pub mod matmul;
pub mod pointwise;
pub mod pool;
pub mod recurrent;
pub mod reduce;
pub mod requantize;
pub mod transpose_conv;
pub mod window;
