//! The front door: the compiler as a library (feature `cli`, on by default). Without features a
//! `no_std` crate without dependencies, which firmware can name. It has no code of its own.

#![no_std]

#[cfg(feature = "cli")]
pub use tinycc_driver::*;
