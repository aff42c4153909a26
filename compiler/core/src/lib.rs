//! tinycc's compiler core, from model bytes to kernel IR.
//!
//! One direction only: `format` reads bytes into a `graph`; `pass`es rewrite the graph; `lower`
//! schedules it, builds one kernel per operator (`op` + `kernels` -> `kir`), plans the arena
//! (`memory`) and returns a `kir::Module` that printers in other crates turn into text.
//! This crate does no I/O, prints nothing and never panics on input.

pub mod diagnostic;
pub mod evaluate;
pub mod format;
pub mod geometry;
pub mod graph;
pub mod kernels;
pub mod kir;
pub mod lower;
pub mod memory;
pub mod numeric;
pub mod op;
pub mod pass;
mod quant;
pub mod tensor;

pub use diagnostic::{Code, Diagnostic, Diagnostics, Origin};
pub use graph::Graph;
pub use op::{Op, Operator};
pub use tensor::{DType, QuantParams, Shape, SmallType, Tensor, TensorData, TensorType};
