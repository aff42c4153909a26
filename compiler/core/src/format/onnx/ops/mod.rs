//! Operator readers: attributes and operands of an ONNX node -> graph operators. One small function
//! per ONNX operator and change of its definition, listed in [`READERS`].

mod activation;
mod arithmetic;
pub(super) mod attention;
mod context;
mod conv;
mod conv_transpose;
mod einsum;
mod elementwise;
mod fill;
mod indexing;
mod integer;
mod known;
mod legacy;
mod linear;
mod logic;
mod loss;
mod moments;
mod movement;
mod norm;
mod pool;
mod positions;
mod qlinear;
mod quantize;
mod quantize_plain;
mod recurrent;
mod reduce;
mod regions;
mod resize;
mod sample;
mod shape;
mod spatial;
mod spectrum;

pub use context::{Context, Rows};

use crate::graph::ValueId;
use crate::op::OpError;

/// Reads a node; the values of its outputs in order.
pub type ReadFn = fn(&mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError>;

/// What is known about one ONNX operator.
#[derive(Debug)]
pub struct Row {
    /// Its name, with the domain outside of the default one.
    pub name: &'static str,
    /// (first opset, reader) in ascending order: the last one not above the model's opset reads the node.
    pub versions: &'static [(i64, ReadFn)],
    /// Whether it sees the scale and zero point of int8 operands. To the others these are plain integers.
    pub takes_quantized: bool,
}

const fn row(name: &'static str, versions: &'static [(i64, ReadFn)]) -> Row {
    Row { name, versions, takes_quantized: false }
}

impl Row {
    /// An operator that moves int8 elements, or says itself what they stand for.
    const fn quantized(self) -> Self {
        Self { takes_quantized: true, ..self }
    }

    /// The reader in an opset.
    #[must_use]
    pub fn reader(&self, opset: i64) -> Option<ReadFn> {
        self.versions.iter().rev().find(|(since, _)| *since <= opset).map(|(_, read)| *read)
    }
}

/// All readers, sorted by ONNX name.
pub const READERS: &[Row] = &[
    row("Abs", &[(1, elementwise::abs)]),
    row("Acos", &[(7, elementwise::acos)]),
    row("Acosh", &[(9, elementwise::acosh)]),
    row("Add", &[(1, legacy::add), (7, elementwise::add)]),
    row("AffineGrid", &[(20, sample::affine_grid)]),
    row("And", &[(1, legacy::and), (7, logic::and)]),
    row("ArgMax", &[(1, reduce::arg_max)]),
    row("ArgMin", &[(1, reduce::arg_min)]),
    row("Asin", &[(7, elementwise::asin)]),
    row("Asinh", &[(9, elementwise::asinh)]),
    row("Atan", &[(7, elementwise::atan)]),
    row("Atanh", &[(9, elementwise::atanh)]),
    row("Attention", &[(23, attention::attention)]),
    row("AveragePool", &[(1, pool::average_pool)]),
    row("BatchNormalization", &[(1, legacy::batch_normalization), (7, norm::batch_normalization)]),
    row("BitCast", &[(26, elementwise::bit_cast)]),
    row("BitShift", &[(11, logic::bit_shift)]),
    row("BitwiseAnd", &[(18, logic::and)]),
    row("BitwiseNot", &[(18, logic::not)]),
    row("BitwiseOr", &[(18, logic::or)]),
    row("BitwiseXor", &[(18, logic::xor)]),
    row("BlackmanWindow", &[(17, spectrum::blackman)]),
    row("Cast", &[(6, elementwise::cast)]),
    row("CastLike", &[(15, elementwise::cast_like)]),
    row("CausalConvWithState", &[(26, linear::causal_conv)]),
    row("Ceil", &[(6, elementwise::ceil)]),
    row("Celu", &[(12, activation::celu)]),
    row("CenterCropPad", &[(18, movement::center_crop_pad)]),
    row("Clip", &[(6, elementwise::clip_6), (11, elementwise::clip_11)]),
    row("Col2Im", &[(18, indexing::col2im)]),
    row("Compress", &[(9, known::compress)]),
    row("Concat", &[(4, movement::concat)]).quantized(),
    row("Constant", &[(1, shape::constant)]),
    row("ConstantOfShape", &[(9, fill::constant_of_shape)]),
    row("Conv", &[(1, conv::conv)]),
    row("ConvInteger", &[(10, integer::conv_integer)]),
    row("ConvTranspose", &[(1, conv_transpose::conv_transpose)]),
    row("Cos", &[(7, elementwise::cos)]),
    row("Cosh", &[(9, elementwise::cosh)]),
    row("CumProd", &[(26, fill::cum_prod)]),
    row("CumSum", &[(11, fill::cum_sum)]),
    row("DFT", &[(17, spectrum::dft_17), (20, spectrum::dft_20)]),
    row("DeformConv", &[(19, sample::deform_conv)]),
    row("DepthToSpace", &[(1, fill::depth_to_space)]).quantized(),
    row("DequantizeLinear", &[(10, quantize::dequantize_linear)]).quantized(),
    row("Det", &[(11, regions::determinant)]),
    row("Div", &[(1, legacy::div), (7, elementwise::div)]),
    row("Dropout", &[(1, shape::dropout)]),
    row("DynamicQuantizeLinear", &[(11, quantize_plain::dynamic_quantize_linear)]),
    row("Einsum", &[(12, einsum::einsum)]),
    row("Elu", &[(6, activation::elu)]),
    row("Equal", &[(1, legacy::equal), (7, logic::equal)]),
    row("Erf", &[(9, elementwise::erf)]),
    row("Exp", &[(6, elementwise::exp)]),
    row("Expand", &[(8, fill::expand)]).quantized(),
    row("EyeLike", &[(9, fill::eye_like)]),
    row("Flatten", &[(1, movement::flatten)]).quantized(),
    row("Floor", &[(6, elementwise::floor)]),
    row("GRU", &[(7, recurrent::gru)]),
    row("Gather", &[(1, movement::gather)]).quantized(),
    row("GatherElements", &[(11, indexing::gather_elements)]).quantized(),
    row("GatherND", &[(11, indexing::gather_nd)]).quantized(),
    row("Gelu", &[(20, activation::gelu)]),
    row("Gemm", &[(1, conv::gemm)]),
    row("GlobalAveragePool", &[(1, pool::global_average_pool)]),
    row("GlobalLpPool", &[(2, pool::global_lp_pool)]),
    row("GlobalMaxPool", &[(1, pool::global_max_pool)]),
    row("Greater", &[(1, legacy::greater), (7, logic::greater)]),
    row("GreaterOrEqual", &[(12, logic::greater_or_equal)]),
    row("GridSample", &[(16, sample::grid_sample)]),
    row("GroupNormalization", &[(18, moments::group_18), (21, moments::group_21)]),
    row("HammingWindow", &[(17, spectrum::hamming)]),
    row("HannWindow", &[(17, spectrum::hann)]),
    row("HardSigmoid", &[(6, activation::hard_sigmoid)]),
    row("HardSwish", &[(14, activation::hard_swish)]),
    row("Hardmax", &[(1, norm::hardmax_1), (13, norm::hardmax_13)]),
    row("Identity", &[(1, shape::identity)]).quantized(),
    row("InstanceNormalization", &[(6, moments::instance)]),
    row("IsInf", &[(10, logic::is_inf)]),
    row("IsNaN", &[(9, logic::is_nan)]),
    row("LRN", &[(1, norm::lrn)]),
    row("LSTM", &[(7, recurrent::lstm)]),
    row("LayerNormalization", &[(1, moments::layer)]),
    row("LeakyRelu", &[(6, elementwise::leaky_relu)]),
    row("Less", &[(1, legacy::less), (7, logic::less)]),
    row("LessOrEqual", &[(12, logic::less_or_equal)]),
    row("LinearAttention", &[(26, linear::linear_attention)]),
    row("Log", &[(6, elementwise::log)]),
    row("LogSoftmax", &[(1, norm::log_softmax_1), (13, norm::log_softmax_13)]),
    row("LpNormalization", &[(1, norm::lp_normalization)]),
    row("LpPool", &[(2, pool::lp_pool)]),
    row("MatMul", &[(1, conv::matmul)]),
    row("MatMulInteger", &[(10, integer::matmul_integer)]),
    row("Max", &[(6, elementwise::max)]),
    row("MaxPool", &[(1, pool::max_pool)]).quantized(),
    row("MaxUnpool", &[(9, indexing::max_unpool)]),
    row("Mean", &[(6, elementwise::mean)]),
    row("MeanVarianceNormalization", &[(9, moments::mean_variance)]),
    row("MelWeightMatrix", &[(17, spectrum::mel_weight_matrix)]),
    row("Min", &[(6, elementwise::min)]),
    row("Mish", &[(18, activation::mish)]),
    row("Mod", &[(10, logic::modulo)]),
    row("Mul", &[(1, legacy::mul), (7, elementwise::mul)]),
    row("Neg", &[(6, elementwise::neg)]),
    row("NegativeLogLikelihoodLoss", &[(12, loss::negative_log_likelihood)]),
    row("NonMaxSuppression", &[(10, regions::non_max_suppression)]),
    row("NonZero", &[(9, known::non_zero)]),
    row("Not", &[(1, logic::not)]),
    row("OneHot", &[(9, positions::one_hot)]),
    row("Or", &[(1, legacy::or), (7, logic::or)]),
    row("PRelu", &[(1, legacy::prelu), (7, activation::prelu)]),
    row("Pad", &[(2, movement::pad_2), (11, movement::pad_11)]),
    row("Pow", &[(1, legacy::pow), (7, activation::pow)]),
    row("QLinearConv", &[(10, qlinear::conv)]).quantized(),
    row("QLinearMatMul", &[(10, qlinear::matmul)]).quantized(),
    row("QuantizeLinear", &[(10, quantize::quantize_linear)]),
    row("RMSNormalization", &[(23, moments::rms)]),
    row("RNN", &[(7, recurrent::rnn)]),
    row("Range", &[(11, fill::range)]),
    row("Reciprocal", &[(6, activation::reciprocal)]),
    row("ReduceL1", &[(1, reduce::l1)]),
    row("ReduceL2", &[(1, reduce::l2)]),
    row("ReduceLogSum", &[(1, reduce::log_sum)]),
    row("ReduceLogSumExp", &[(1, reduce::log_sum_exp)]),
    row("ReduceMax", &[(1, reduce::max)]),
    row("ReduceMean", &[(1, reduce::mean)]),
    row("ReduceMin", &[(1, reduce::min)]),
    row("ReduceProd", &[(1, reduce::product)]),
    row("ReduceSum", &[(1, reduce::sum)]),
    row("ReduceSumSquare", &[(1, reduce::sum_square)]),
    row("Relu", &[(6, elementwise::relu)]),
    row("Reshape", &[(5, movement::reshape)]).quantized(),
    row("Resize", &[(10, resize::upsample), (11, resize::resize)]),
    row("ReverseSequence", &[(10, positions::reverse_sequence)]).quantized(),
    row("RoiAlign", &[(10, regions::roi_align)]),
    row("RotaryEmbedding", &[(23, attention::rotary_embedding)]),
    row("Round", &[(11, elementwise::round)]),
    row("STFT", &[(17, spectrum::stft)]),
    row("Scatter", &[(9, indexing::scatter_elements)]),
    row("ScatterElements", &[(11, indexing::scatter_elements)]),
    row("ScatterND", &[(11, indexing::scatter_nd)]),
    row("Selu", &[(6, activation::selu)]),
    row("Shape", &[(1, shape::shape)]),
    row("Shrink", &[(9, elementwise::shrink)]),
    row("Sigmoid", &[(6, elementwise::sigmoid)]),
    row("Sign", &[(9, elementwise::sign)]),
    row("Sin", &[(7, elementwise::sin)]),
    row("Sinh", &[(9, elementwise::sinh)]),
    row("Size", &[(1, fill::size)]),
    row("Slice", &[(1, movement::slice_1), (10, movement::slice_10)]).quantized(),
    row("Softmax", &[(1, norm::softmax_1), (13, norm::softmax_13)]),
    row("SoftmaxCrossEntropyLoss", &[(12, loss::softmax_cross_entropy)]),
    row("Softplus", &[(1, activation::softplus)]),
    row("Softsign", &[(1, activation::softsign)]),
    row("SpaceToDepth", &[(1, fill::space_to_depth)]).quantized(),
    row("Split", &[(2, movement::split_2), (13, movement::split_13)]).quantized(),
    row("Sqrt", &[(6, elementwise::sqrt)]),
    row("Squeeze", &[(1, movement::squeeze)]).quantized(),
    row("Sub", &[(1, legacy::sub), (7, elementwise::sub)]),
    row("Sum", &[(6, elementwise::sum)]),
    row("Swish", &[(24, activation::swish)]),
    row("Tan", &[(7, elementwise::tan)]),
    row("Tanh", &[(6, elementwise::tanh)]),
    row("TensorScatter", &[(24, positions::tensor_scatter)]),
    row("ThresholdedRelu", &[(10, elementwise::thresholded_relu)]),
    row("Tile", &[(6, fill::tile)]).quantized(),
    row("TopK", &[(1, indexing::top_k_1), (10, indexing::top_k_10)]),
    row("Transpose", &[(1, movement::transpose)]).quantized(),
    row("Trilu", &[(14, fill::trilu)]).quantized(),
    row("Unique", &[(11, known::unique)]),
    row("Unsqueeze", &[(1, movement::unsqueeze)]).quantized(),
    row("Upsample", &[(7, resize::upsample)]),
    row("Where", &[(9, logic::choose)]).quantized(),
    row("Xor", &[(1, legacy::xor), (7, logic::xor)]),
    row("com.microsoft::DequantizeLinear", &[(1, quantize::dequantize_linear)]).quantized(),
    row("com.microsoft::Gelu", &[(1, activation::gelu)]),
    row("com.microsoft::QGemm", &[(1, qlinear::gemm)]).quantized(),
    row("com.microsoft::QLinearAdd", &[(1, qlinear::add)]).quantized(),
    row("com.microsoft::QLinearAveragePool", &[(1, qlinear::average_pool)]).quantized(),
    row("com.microsoft::QLinearConcat", &[(1, qlinear::concat)]).quantized(),
    row("com.microsoft::QLinearGlobalAveragePool", &[(1, qlinear::global_average_pool)])
        .quantized(),
    row("com.microsoft::QLinearLeakyRelu", &[(1, qlinear::leaky_relu)]).quantized(),
    row("com.microsoft::QLinearMul", &[(1, qlinear::mul)]).quantized(),
    row("com.microsoft::QLinearReduceMean", &[(1, qlinear::reduce_mean)]).quantized(),
    row("com.microsoft::QLinearSigmoid", &[(1, qlinear::sigmoid)]).quantized(),
    row("com.microsoft::QLinearSoftmax", &[(1, qlinear::softmax)]).quantized(),
    row("com.microsoft::QuantizeLinear", &[(1, quantize::quantize_linear)]),
    row("com.microsoft::QuickGelu", &[(1, activation::quick_gelu)]),
];

/// What is known about an operator.
#[must_use]
pub fn find(name: &str) -> Option<&'static Row> {
    READERS.binary_search_by(|row| row.name.cmp(name)).ok().and_then(|i| READERS.get(i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_sorted_and_versions_ascend() {
        assert!(READERS.is_sorted_by(|a, b| a.name < b.name));
        for Row { name, versions, .. } in READERS {
            assert!(!versions.is_empty() && versions.is_sorted_by(|a, b| a.0 < b.0), "{name}");
        }
        let clip = find("Clip").expect("known");
        assert!(clip.reader(5).is_none() && clip.reader(24).is_some());
    }

    /// What computes on int8 elements must not take codes for numbers, and the other way round.
    #[test]
    fn quantization_is_seen_by_what_moves_elements_only() {
        let takes = |name| find(name).expect("known").takes_quantized;
        assert!(takes("Reshape") && takes("QLinearConv") && takes("com.microsoft::QGemm"));
        assert!(!takes("Add") && !takes("QuantizeLinear") && !takes("Cast"));
    }
}
