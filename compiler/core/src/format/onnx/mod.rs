//! ONNX: reader. The protobuf messages come from the crate `onnx-protobuf`.
//!
//! The graph keeps channels last, as all kernels want them: readers of convolutions and the like set
//! a transpose before and after, which the pass `layout` moves to the borders and cancels.

mod attribute;
mod build;
pub mod ops;
mod order;
mod read;
mod summary;
mod tensor;
#[cfg(test)]
mod testing;

pub use read::{OPSETS, read, recognise};
pub use summary::summary;
