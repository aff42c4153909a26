//! The Rust target.

pub mod runtime;
