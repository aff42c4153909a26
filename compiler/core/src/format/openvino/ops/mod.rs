//! What each operator of the graph becomes: one file per family, one line per operator here.

mod conv;
mod elementwise;
mod index;
mod logic;
mod movement;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod resize;

use super::held::{Call, Held};
use crate::op::{Op, OpError, ValueInfo};

/// Joins the operators with their forms. One match without a wildcard, as in `operators!`: a new operator
/// needs a line, if only among those that are refused.
macro_rules! forms {
    (
        $call:ident;
        one result: { $($one:ident($o:pat) => $form:expr,)* }
        any number: { $($many:ident($m:pat) => $forms:expr,)* }
        refused: { $($refused:ident)* }
    ) => {
        /// The layers of one operator application; yields its results.
        ///
        /// # Errors
        /// What the file, or the device it is for, cannot express.
        pub fn emit(op: &Op, $call: &mut Call<'_, '_>) -> Result<Vec<Held>, OpError> {
            let is_empty = |ends: &[ValueInfo<'_>]| ends.iter().any(|v| v.shape().elements() == 0);
            if $call.e.is_myriad() && (is_empty(&$call.s.operands) || is_empty(&$call.s.results)) {
                return Err(OpError::unsupported(
                    "the stick's compiler takes no tensors without elements",
                ));
            }
            match op {
                $(Op::$one($o) => $form.map(|held| vec![held]),)*
                $(Op::$many($m) => $forms,)*
                $(Op::$refused(_))|* => Err(OpError::unsupported(format!(
                    "{} has no form in an OpenVINO file", op.name()
                ))),
            }
        }
    };
}

forms! {
    call;
    one result: {
        Abs(_) => elementwise::abs(call),
        Add(o) => elementwise::binary(call, "Add", o.activation),
        ArgMax(o) => index::arg(call, &o.0, "max"),
        ArgMin(o) => index::arg(call, &o.0, "min"),
        AveragePool2d(o) => pool::pool(call, &o.0, "AvgPool"),
        BatchMatmul(o) => conv::batch_matmul(call, o),
        Bitwise(o) => logic::bitwise(call, o),
        BroadcastTo(o) => movement::broadcast(call, &o.shape),
        Cast(o) => elementwise::cast(call, o.to),
        Compare(o) => logic::compare(call, o),
        Concat(o) => movement::concat(call, o.axis),
        Conv2d(o) => conv::conv2d(call, o),
        Cumulative(o) => index::cumulative(call, o),
        DepthToSpace(o) => movement::blocks(call, "DepthToSpace", o.block),
        DepthwiseConv2d(o) => conv::depthwise(call, o),
        Dequantize(_) => elementwise::dequantize(call),
        Div(o) => elementwise::binary(call, "Divide", o.activation),
        Elu(_) => elementwise::elu(call),
        Exp(_) => elementwise::unary(call, ("Exp", 1)),
        FlipSign(_) => elementwise::dequantize(call),
        Floor(_) => elementwise::unary(call, ("Floor", 1)),
        FullyConnected(o) => conv::fully_connected(call, o),
        Gather(o) => index::gather(call, o),
        GatherElements(o) => index::gather_elements(call, o.axis),
        GatherNd(o) => index::gather_nd(call, o.batch_dims),
        Gelu(o) => elementwise::gelu(call, o.approximate),
        HardSwish(_) => elementwise::unary(call, ("HSwish", 4)),
        L2Normalization(_) => norm::l2(call),
        LeakyRelu(o) => elementwise::leaky(call, o.alpha),
        Log(_) => elementwise::unary(call, ("Log", 1)),
        Logistic(_) => elementwise::unary(call, ("Sigmoid", 1)),
        LogSoftmax(_) => norm::log_softmax(call),
        Math(o) => logic::math(call, o.function),
        Maximum(_) => elementwise::bound(call, "Maximum"),
        MaxPool2d(o) => pool::pool(call, &o.0, "MaxPool"),
        Mean(o) => reduce::reduce(call, "ReduceMean", &o.0),
        Minimum(_) => elementwise::bound(call, "Minimum"),
        MirrorPad(o) => movement::mirror(call, o),
        Mod(o) => logic::modulo(call, o),
        Mul(o) => elementwise::binary(call, "Multiply", o.activation),
        Neg(_) => elementwise::unary(call, ("Negative", 1)),
        Pack(o) => movement::pack(call, o.axis),
        Pad(o) => movement::pad(call, o),
        Pow(_) => elementwise::plain_binary(call, "Power"),
        PRelu(_) => elementwise::prelu(call),
        Quantize(_) => elementwise::quantize(call),
        ReduceMax(o) => reduce::reduce(call, "ReduceMax", &o.0),
        ReduceMin(o) => reduce::reduce(call, "ReduceMin", &o.0),
        ReduceProd(o) => reduce::product(call, &o.0),
        Relu(o) => elementwise::relu(call, o.kind),
        Reshape(o) => movement::reshape(call, &o.shape),
        ResizeBilinear(o) => resize::bilinear(call, o),
        ResizeNearest(o) => resize::nearest(call, o),
        Rsqrt(_) => elementwise::rsqrt(call),
        ScatterElements(o) => index::scatter_elements(call, o),
        ScatterNd(o) => index::scatter_nd(call, o),
        Select(_) => logic::select(call),
        Sign(_) => logic::sign(call),
        Slice(o) => movement::slice(call, o),
        Softmax(o) => norm::softmax(call, o.beta),
        SpaceToDepth(o) => movement::blocks(call, "SpaceToDepth", o.block),
        Sqrt(_) => elementwise::unary(call, ("Sqrt", 1)),
        Square(_) => elementwise::square(call),
        SquaredDifference(_) => elementwise::plain_binary(call, "SquaredDifference"),
        Sub(o) => elementwise::binary(call, "Subtract", o.activation),
        Sum(o) => reduce::reduce(call, "ReduceSum", &o.0),
        Tanh(_) => elementwise::unary(call, ("Tanh", 1)),
        Tile(o) => movement::tile(call, &o.repeats),
        Transpose(o) => movement::transpose(call, &o.permutation),
        TransposeConv(o) => conv::transposed(call, o),
    }
    any number: {
        Gru(o) => recurrent::gru(call, o),
        Lstm(o) => recurrent::lstm(call, o),
        Rnn(o) => recurrent::rnn(call, o),
        Split(o) => movement::split(call, o),
        TopK(o) => index::top_k(call, o),
        Unpack(o) => movement::unpack(call, o.axis),
    }
    // Data is handled before; tables exist in kernels only.
    refused: {
        BitCast CastFloat8 Constant Determinant Input NonMaxSuppression RoiAlign Shift Table
    }
}
