//! Operator readers: TFLite options and constant operands -> graph operator and data operands.
//! One small function per TFLite operator, listed in [`READERS`].

mod conv;
mod elementwise;
mod join;
mod movement;
mod reduce;
mod resize;
mod slice;
mod unary;

use super::generated as fb;
use super::lstm;
use crate::geometry::Padding;
use crate::graph::ValueId;
use crate::numeric::Activation;
use crate::op::{Op, OpError};
use crate::tensor::{Tensor, TensorType};

/// One operand as the reader resolved it.
#[derive(Clone, Debug)]
pub struct Operand<'a> {
    /// The value in the graph.
    pub value: ValueId,
    /// Tensor name.
    pub name: &'a str,
    /// Type.
    pub ty: TensorType,
    /// Data, when constant.
    pub constant: Option<&'a Tensor>,
}

/// What the reader of one operator sees.
#[derive(Debug)]
pub struct OpContext<'a> {
    /// The flatbuffer operator; options through `builtin_options_as_...`.
    pub op: fb::Operator<'a>,
    /// Operands; `None` where the file omits an optional one (index -1).
    pub operands: Vec<Option<Operand<'a>>>,
    /// Declared result types (what the file says; a reader may need the rank).
    pub results: Vec<TensorType>,
}

/// What a reader returns: the operator and the operands that remain data.
#[derive(Debug)]
pub struct Reading {
    /// Graph operator.
    pub op: Op,
    /// Its operands, in order.
    pub operands: Vec<ValueId>,
}

/// A reader.
pub type ReadFn = fn(&OpContext<'_>) -> Result<Reading, OpError>;

/// All readers, sorted by TFLite name.
pub const READERS: &[(&str, ReadFn)] = &[
    ("ABS", unary::abs),
    ("ADD", elementwise::add),
    ("ARG_MAX", reduce::arg_max),
    ("ARG_MIN", reduce::arg_min),
    ("AVERAGE_POOL_2D", reduce::average_pool_2d),
    ("BATCH_MATMUL", conv::batch_matmul),
    ("BROADCAST_TO", movement::broadcast_to),
    ("CAST", elementwise::cast),
    ("CONCATENATION", join::concatenation),
    ("CONV_2D", conv::conv_2d),
    ("CUSTOM \"Convolution2DTransposeBias\"", conv::convolution_2d_transpose_bias),
    ("DEPTHWISE_CONV_2D", conv::depthwise_conv_2d),
    ("DEPTH_TO_SPACE", resize::depth_to_space),
    ("DEQUANTIZE", elementwise::dequantize),
    ("DIV", elementwise::div),
    ("ELU", unary::elu),
    ("EXP", unary::exp),
    ("EXPAND_DIMS", movement::reshape_to_declared),
    ("FLOOR", unary::floor),
    ("FULLY_CONNECTED", conv::fully_connected),
    ("GATHER", slice::gather),
    ("GELU", unary::gelu),
    ("HARD_SWISH", unary::hard_swish),
    ("L2_NORMALIZATION", unary::l2_normalization),
    ("LEAKY_RELU", unary::leaky_relu),
    ("LOG", unary::log),
    ("LOGISTIC", elementwise::logistic),
    ("LOG_SOFTMAX", unary::log_softmax),
    ("MAXIMUM", elementwise::maximum),
    ("MAX_POOL_2D", reduce::max_pool_2d),
    ("MEAN", reduce::mean),
    ("MINIMUM", elementwise::minimum),
    ("MIRROR_PAD", movement::mirror_pad),
    ("MUL", elementwise::mul),
    ("NEG", unary::neg),
    ("PACK", join::pack),
    ("PAD", movement::pad),
    ("PADV2", movement::pad_v2),
    ("PRELU", elementwise::prelu),
    ("QUANTIZE", elementwise::quantize),
    ("REDUCE_MAX", reduce::reduce_max),
    ("REDUCE_MIN", reduce::reduce_min),
    ("RELU", unary::relu),
    ("RELU6", unary::relu6),
    ("RELU_N1_TO_1", unary::relu_n1_to_1),
    ("RESHAPE", movement::reshape),
    ("RESIZE_BILINEAR", resize::bilinear),
    ("RESIZE_NEAREST_NEIGHBOR", resize::nearest),
    ("RSQRT", unary::rsqrt),
    ("SLICE", slice::slice),
    ("SOFTMAX", unary::softmax),
    ("SPACE_TO_DEPTH", resize::space_to_depth),
    ("SPLIT", join::split),
    ("SPLIT_V", join::split_v),
    ("SQRT", unary::sqrt),
    ("SQUARE", unary::square),
    ("SQUARED_DIFFERENCE", elementwise::squared_difference),
    ("SQUEEZE", movement::reshape_to_declared),
    ("STRIDED_SLICE", slice::strided_slice),
    ("SUB", elementwise::sub),
    ("SUM", reduce::sum),
    ("TANH", unary::tanh),
    ("TILE", movement::tile),
    ("TRANSPOSE", movement::transpose),
    ("TRANSPOSE_CONV", conv::transpose_conv),
    ("UNPACK", join::unpack),
];

/// Whether there is a reader of the operator.
#[must_use]
pub fn is_known(name: &str) -> bool {
    name == lstm::NAME || READERS.binary_search_by(|(n, _)| (*n).cmp(name)).is_ok()
}

impl<'a> OpContext<'a> {
    /// Operand `i`, required.
    ///
    /// # Errors
    /// It is missing.
    pub fn operand(&self, i: usize) -> Result<&Operand<'a>, OpError> {
        self.operands
            .get(i)
            .and_then(Option::as_ref)
            .ok_or_else(|| OpError::invalid(format!("operand {i} is missing")))
    }

    /// All operands from `first` on that are present, as data.
    #[must_use]
    pub fn data_from(&self, first: usize) -> Vec<ValueId> {
        self.operands.iter().skip(first).flatten().map(|o| o.value).collect()
    }

    /// Operand `i` as constant integers of any width.
    ///
    /// # Errors
    /// Missing, computed at run time, or not integers.
    pub fn constant_ints(&self, i: usize) -> Result<Vec<i64>, OpError> {
        let operand = self.operand(i)?;
        let tensor = operand.constant.ok_or_else(|| {
            OpError::unsupported(format!(
                "operand {i} (tensor \"{}\") is computed at run time; shapes, axes and the like \
                 must be constant",
                operand.name
            ))
        })?;
        tensor.to_i64().ok_or_else(|| OpError::invalid(format!("operand {i} should hold integers")))
    }

    /// Operand `i` as one constant integer.
    ///
    /// # Errors
    /// As [`OpContext::constant_ints`], or another element count.
    pub fn constant_int(&self, i: usize) -> Result<i64, OpError> {
        match self.constant_ints(i)?.as_slice() {
            [one] => Ok(*one),
            many => {
                Err(OpError::invalid(format!("operand {i} has {} elements, not 1", many.len())))
            }
        }
    }

    /// The options table a reader needs.
    ///
    /// # Errors
    /// The file has none, or of another operator.
    pub fn options<T>(&self, table: Option<T>) -> Result<T, OpError> {
        table.ok_or_else(|| OpError::invalid("its options table is missing or of another operator"))
    }

    /// `axis` in `0..rank`, counted from the end when negative.
    ///
    /// # Errors
    /// Out of range.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, OpError> {
        let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(wrapped).ok().filter(|&a| a < rank).ok_or_else(|| {
            OpError::invalid(format!("axis {axis} does not exist in {rank} dimensions"))
        })
    }
}

/// A fused activation.
///
/// # Errors
/// One that TFLM does not fuse either.
pub fn activation(code: fb::ActivationFunctionType) -> Result<Activation, OpError> {
    match code {
        fb::ActivationFunctionType::NONE => Ok(Activation::None),
        fb::ActivationFunctionType::RELU => Ok(Activation::Relu),
        fb::ActivationFunctionType::RELU6 => Ok(Activation::Relu6),
        fb::ActivationFunctionType::RELU_N1_TO_1 => Ok(Activation::ReluN1To1),
        other => {
            let name = other.variant_name().map_or_else(|| other.0.to_string(), str::to_string);
            Err(OpError::unsupported(format!("fused activation {name} is not supported")))
        }
    }
}

/// A padding scheme.
///
/// # Errors
/// A number the schema does not define.
pub fn padding(code: fb::Padding) -> Result<Padding, OpError> {
    match code {
        fb::Padding::SAME => Ok(Padding::Same),
        fb::Padding::VALID => Ok(Padding::Valid),
        other => Err(OpError::invalid(format!("padding {} is not defined", other.0))),
    }
}

/// A positive option (stride, dilation, window) as an extent.
///
/// # Errors
/// Zero or negative.
pub fn extent(value: i32, what: &str) -> Result<usize, OpError> {
    usize::try_from(value)
        .ok()
        .filter(|&v| v > 0)
        .ok_or_else(|| OpError::invalid(format!("{what} {value} should be at least 1")))
}

/// Constant integers of a file (sizes, repeats, shapes) as extents.
///
/// # Errors
/// A negative one.
pub fn extents(values: &[i64], what: &str) -> Result<Vec<usize>, OpError> {
    let extent = |&v: &i64| {
        usize::try_from(v)
            .map_err(|_| OpError::invalid(format!("{what} {values:?} has a negative number")))
    };
    values.iter().map(extent).collect()
}
