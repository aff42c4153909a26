//! ONNX: reader. The protobuf messages come from the crate `onnx-protobuf`.
//!
//! The graph keeps channels last, as all kernels want them: readers of convolutions and the like set
//! a transpose before and after, which the pass `layout` moves to the borders and cancels.

mod attribute;
mod build;
mod external;
mod flex;
mod flow;
mod function;
mod inner;
mod inputs;
mod message;
mod node;
pub mod ops;
mod order;
mod outputs;
mod quant;
mod read;
mod scope;
mod summary;
mod tensor;
#[cfg(test)]
mod testing;
mod wire;

pub use external::external_files;
pub use flow::operators as flow_operators;
pub use message::OPSETS;
pub use read::read_partly;
pub use summary::summary;
pub use wire::recognise;
