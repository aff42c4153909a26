//! Operators: the trait they answer to and the one list that joins them.
//!
//! Everything about an operator lives in its own file: attributes, shape inference, reference
//! evaluation, quantization rule, cost, buffer reuse, lowering to kernel IR, tests. Adding one is
//! that file plus one line in `operators!` (plus its entry in a format reader).

mod additive;
mod arg;
mod binary;
mod conversion;
mod gate;
mod indexing;
mod integer;
mod movement;
mod pool;
mod recurrent;
mod reduce;
mod resize;
mod rows;
mod signature;
#[cfg(test)]
pub(crate) mod testing;
mod unary;
mod weights;

pub use crate::kernels::combine::Combine;
use crate::kir::KernelBuilder;
use crate::tensor::{Tensor, TensorType};
pub use arg::ArgAttributes;
pub use bitwise::Connective;
pub use compare::Relation;
pub use gate::GateFunction;
pub use math::Function;
pub use mirror_pad::Mirror;
pub use pool::PoolAttributes;
pub use recurrent::{RecurrentAttributes, RecurrentOperand, RecurrentResult};
pub use reduce::ReduceAttributes;
pub use resize::Sampling;
pub use roi_align::Pooling;
pub use signature::{Arithmetic, Elements, OpError, Signature, ValueInfo};
pub use slice::Range;

/// What an operator answers. All methods are pure; none may panic on any attributes or operands.
pub trait Operator {
    /// Result types from operand types and attributes.
    ///
    /// # Errors
    /// Operands that do not fit: count, rank, extents, element types, quantization.
    fn infer(&self, signature: &Signature<'_>) -> Result<Vec<TensorType>, OpError>;

    /// Plain reference evaluation: obviously right rather than fast. Used for constant folding,
    /// as the oracle of `tinycc verify`, and to fill tables. `inputs` has one tensor per operand,
    /// of the types `infer` accepted.
    ///
    /// # Errors
    /// Combinations of types the operator does not define.
    fn eval(&self, signature: &Signature<'_>, inputs: &[&Tensor]) -> Result<Vec<Tensor>, OpError>;

    /// How quantization parameters of operands and results relate.
    fn quant_rule(&self) -> QuantRule {
        QuantRule::Free
    }

    /// Multiply-accumulates of one execution, by the convention of the MLPerf Tiny tables:
    /// matrix-like operators count, everything else is 0.
    fn macs(&self, signature: &Signature<'_>) -> u64 {
        let _ = signature;
        0
    }

    /// Whether results may share storage with operands.
    fn reuse(&self, signature: &Signature<'_>) -> Reuse {
        let _ = signature;
        Reuse::None
    }

    /// Whether the operator maps each int8 element on its own, so that a 256-entry table computed
    /// through `eval` replaces it (pass `tabulate`).
    fn is_elementwise_unary(&self) -> bool {
        false
    }

    /// The same operator without the results that are not marked in `read`, the others in their
    /// order; `None` where results come together or none is left out (pass `remove-dead`).
    fn with_results(&self, read: &[bool]) -> Option<Op> {
        let _ = read;
        None
    }

    /// Whether element `i` of the result depends on elements `i` of the operands, repeated as
    /// broadcasting says, and on nothing else of them: the order of dimensions does not matter.
    fn is_elementwise(&self) -> bool {
        self.is_elementwise_unary()
    }

    /// Whether one element may take more than a few steps to evaluate: windows, matrix products and loops
    /// over time.
    fn takes_long(&self) -> bool {
        false
    }

    /// Whether the last dimension of operand 0 is channels.
    fn has_channels(&self) -> bool {
        false
    }

    /// Builds the kernel, specialised to shapes, constants and quantization.
    ///
    /// # Errors
    /// Combinations that have no kernel; the target reports them as unsupported.
    fn lower(&self, signature: &Signature<'_>, k: &mut KernelBuilder) -> Result<(), OpError>;
}

/// Relation between the quantization parameters of operands and results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum QuantRule {
    /// Any parameters: the kernel rescales.
    Free,
    /// Data moves unchanged: result parameters must equal those of operand 0.
    SameAsInput,
    /// The result has these fixed parameters.
    Fixed {
        /// Scale of the result.
        scale: f32,
        /// Zero point of the result.
        zero_point: i32,
    },
    /// Operand 1 is symmetric, per tensor or per index of this dimension; an int32 bias has scale
    /// input * weight.
    Weights {
        /// Output channel dimension of operand 1.
        axis: usize,
    },
}

/// Storage sharing between operands and results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Results need storage of their own.
    None,
    /// Result 0 is byte for byte operand `0`'s data: no code when they share storage.
    Alias,
    /// Result 0 may be written over any one of these operands: element `i` of the result needs
    /// element `i` of that operand and no earlier one, and is stored after it is read.
    InPlace(Vec<usize>),
}

/// Joins the operators: module declarations, the enum, names and dispatch.
macro_rules! operators {
    ($($variant:ident => $module:ident),* $(,)?) => {
        $(mod $module; pub use $module::$variant;)*

        /// Any operator. Match on it without wildcard arms.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op { $(#[doc = concat!("See [`", stringify!($variant), "`].")] $variant($variant),)* }

        impl Op {
            /// Names of all operators, in list order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($variant)),*];

            /// Name of the operator, for example `Conv2d`.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Op::$variant(_) => stringify!($variant),)* }
            }
        }

        impl std::ops::Deref for Op {
            type Target = dyn Operator;
            fn deref(&self) -> &Self::Target {
                match self { $(Op::$variant(op) => op,)* }
            }
        }

        $(impl From<$variant> for Op { fn from(op: $variant) -> Self { Op::$variant(op) } })*
    };
}

operators! {
    Input => input,
    Constant => constant,
    Abs => abs,
    Add => add,
    ArgMax => arg_max,
    ArgMin => arg_min,
    AveragePool2d => average_pool2d,
    BatchMatmul => batch_matmul,
    BitCast => bit_cast,
    Bitwise => bitwise,
    BroadcastTo => broadcast_to,
    Cast => cast,
    CastFloat8 => cast_float8,
    Compare => compare,
    Concat => concat,
    Conv2d => conv2d,
    Cumulative => cumulative,
    DepthToSpace => depth_to_space,
    DepthwiseConv2d => depthwise_conv2d,
    Dequantize => dequantize,
    Determinant => determinant,
    Div => div,
    Elu => elu,
    Exp => exp,
    FlipSign => flip_sign,
    Floor => floor,
    FullyConnected => fully_connected,
    Gather => gather,
    GatherElements => gather_elements,
    GatherNd => gather_nd,
    Gelu => gelu,
    Gru => gru,
    HardSwish => hard_swish,
    L2Normalization => l2_normalization,
    LeakyRelu => leaky_relu,
    Log => log,
    LogSoftmax => log_softmax,
    Logistic => logistic,
    Lstm => lstm,
    Math => math,
    MaxPool2d => max_pool2d,
    Maximum => maximum,
    Mean => mean,
    Minimum => minimum,
    MirrorPad => mirror_pad,
    Mod => modulo,
    Mul => mul,
    Neg => neg,
    NonMaxSuppression => non_max_suppression,
    PRelu => prelu,
    Pack => pack,
    Pad => pad,
    Pow => pow,
    Quantize => quantize,
    ReduceMax => reduce_max,
    ReduceMin => reduce_min,
    ReduceProd => reduce_prod,
    Relu => relu,
    Reshape => reshape,
    ResizeBilinear => resize_bilinear,
    ResizeNearest => resize_nearest,
    Rnn => rnn,
    RoiAlign => roi_align,
    Rsqrt => rsqrt,
    ScatterElements => scatter_elements,
    ScatterNd => scatter_nd,
    Select => select,
    Shift => shift,
    Sign => sign,
    Slice => slice,
    Softmax => softmax,
    SpaceToDepth => space_to_depth,
    Split => split,
    Sqrt => sqrt,
    Square => square,
    SquaredDifference => squared_difference,
    Sub => sub,
    Sum => sum,
    Table => table,
    Tanh => tanh,
    Tile => tile,
    TopK => top_k,
    Transpose => transpose,
    TransposeConv => transpose_conv,
    Unpack => unpack,
}
