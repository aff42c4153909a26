//! What each operator of the graph becomes: one file per family, one line per operator here.

mod conv;
mod elementwise;
mod index;
mod movement;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod resize;

use super::held::{Call, Held};
use crate::op::{Function, Math, Op, OpError};

/// The layers of one operator application; yields its results.
///
/// # Errors
/// What the file, or the device it is for, cannot express.
pub fn emit(op: &Op, call: &mut Call<'_, '_>) -> Result<Vec<Held>, OpError> {
    let one = |held: Result<Held, OpError>| held.map(|h| vec![h]);
    match op {
        Op::Abs(_) => one(elementwise::abs(call)),
        Op::Add(o) => one(elementwise::binary(call, "Add", o.activation)),
        Op::ArgMax(o) => one(index::arg(call, &o.0, "max")),
        Op::ArgMin(o) => one(index::arg(call, &o.0, "min")),
        Op::AveragePool2d(o) => one(pool::pool(call, &o.0, "AvgPool")),
        Op::BatchMatmul(o) => one(conv::batch_matmul(call, o)),
        Op::BroadcastTo(o) => one(movement::broadcast(call, &o.shape)),
        Op::Cast(o) => one(elementwise::cast(call, o.to)),
        Op::Concat(o) => one(movement::concat(call, o.axis)),
        Op::Conv2d(o) => one(conv::conv2d(call, o)),
        Op::Cumulative(o) => one(index::cumulative(call, o)),
        Op::DepthToSpace(o) => one(movement::blocks(call, "DepthToSpace", o.block)),
        Op::DepthwiseConv2d(o) => one(conv::depthwise(call, o)),
        Op::Dequantize(_) => one(elementwise::dequantize(call)),
        Op::Div(o) => one(elementwise::binary(call, "Divide", o.activation)),
        Op::Elu(_) => one(elementwise::elu(call)),
        Op::Exp(_) => one(elementwise::unary(call, ("Exp", 1))),
        Op::FlipSign(_) => one(elementwise::dequantize(call)),
        Op::Floor(_) => one(elementwise::unary(call, ("Floor", 1))),
        Op::FullyConnected(o) => one(conv::fully_connected(call, o)),
        Op::Gather(o) => one(index::gather(call, o)),
        Op::GatherElements(o) => one(index::gather_elements(call, o.axis)),
        Op::GatherNd(o) => one(index::gather_nd(call, o.batch_dims)),
        Op::Gelu(o) => one(elementwise::gelu(call, o.approximate)),
        Op::Gru(o) => recurrent::gru(call, o),
        Op::HardSwish(_) => one(elementwise::unary(call, ("HSwish", 4))),
        Op::L2Normalization(_) => one(norm::l2(call)),
        Op::LeakyRelu(o) => one(elementwise::leaky(call, o.alpha)),
        Op::Log(_) => one(elementwise::unary(call, ("Log", 1))),
        Op::LogSoftmax(_) => one(norm::log_softmax(call)),
        Op::Logistic(_) => one(elementwise::unary(call, ("Sigmoid", 1))),
        Op::Lstm(o) => recurrent::lstm(call, o),
        Op::MaxPool2d(o) => one(pool::pool(call, &o.0, "MaxPool")),
        Op::Maximum(_) => one(elementwise::plain_binary(call, "Maximum")),
        Op::Mean(o) => one(reduce::reduce(call, "ReduceMean", &o.0)),
        Op::Minimum(_) => one(elementwise::plain_binary(call, "Minimum")),
        Op::MirrorPad(o) => one(movement::mirror(call, o)),
        Op::Mul(o) => one(elementwise::binary(call, "Multiply", o.activation)),
        Op::Neg(_) => one(elementwise::unary(call, ("Negative", 1))),
        Op::PRelu(_) => one(elementwise::prelu(call)),
        Op::Pack(o) => one(movement::pack(call, o.axis)),
        Op::Pad(o) => one(movement::pad(call, o)),
        Op::Quantize(_) => one(elementwise::quantize(call)),
        Op::ReduceMax(o) => one(reduce::reduce(call, "ReduceMax", &o.0)),
        Op::ReduceMin(o) => one(reduce::reduce(call, "ReduceMin", &o.0)),
        Op::Relu(o) => one(elementwise::relu(call, o.kind)),
        Op::Reshape(o) => one(movement::reshape(call, &o.shape)),
        Op::ResizeBilinear(o) => one(resize::bilinear(call, o)),
        Op::ResizeNearest(o) => one(resize::nearest(call, o)),
        Op::Rnn(o) => recurrent::rnn(call, o),
        Op::Math(Math { function: Function::RoundEven }) => one(elementwise::round(call)),
        Op::Rsqrt(_) => one(elementwise::rsqrt(call)),
        Op::ScatterElements(o) => one(index::scatter_elements(call, o)),
        Op::ScatterNd(o) => one(index::scatter_nd(call, o)),
        Op::Slice(o) => one(movement::slice(call, o)),
        Op::Softmax(o) => one(norm::softmax(call, o.beta)),
        Op::SpaceToDepth(o) => one(movement::blocks(call, "SpaceToDepth", o.block)),
        Op::Split(o) => movement::split(call, o),
        Op::Sqrt(_) => one(elementwise::unary(call, ("Sqrt", 1))),
        Op::Square(_) => one(elementwise::square(call)),
        Op::SquaredDifference(_) => one(elementwise::plain_binary(call, "SquaredDifference")),
        Op::Sub(o) => one(elementwise::binary(call, "Subtract", o.activation)),
        Op::Sum(o) => one(reduce::reduce(call, "ReduceSum", &o.0)),
        Op::Tanh(_) => one(elementwise::unary(call, ("Tanh", 1))),
        Op::Tile(o) => one(movement::tile(call, &o.repeats)),
        Op::TopK(o) => index::top_k(call, o),
        Op::Transpose(o) => one(movement::transpose(call, &o.permutation)),
        Op::TransposeConv(o) => one(conv::transposed(call, o)),
        Op::Unpack(o) => movement::unpack(call, o.axis),
        // Data is handled before; tables exist in kernels only.
        Op::Input(_) | Op::Constant(_) | Op::Table(_) => Err(refused(op)),
        Op::BitCast(_)
        | Op::Bitwise(_)
        | Op::CastFloat8(_)
        | Op::Compare(_)
        | Op::Determinant(_)
        | Op::RoiAlign(_)
        | Op::Math(_)
        | Op::Mod(_)
        | Op::Pow(_)
        | Op::ReduceProd(_)
        | Op::Select(_)
        | Op::Shift(_)
        | Op::Sign(_) => Err(refused(op)),
    }
}

/// An operator that the writer has no form for.
fn refused(op: &Op) -> OpError {
    OpError::unsupported(format!("{} has no form in an OpenVINO file", op.name()))
}
