//! Operator readers: attributes and operands of an ONNX node -> graph operators. One small function
//! per ONNX operator and change of its definition, listed in [`READERS`].

mod activation;
mod arithmetic;
pub(super) mod attention;
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

use super::attribute::Attributes;
use super::build::Builder;
use crate::graph::ValueId;
use crate::numeric::small_float;
use crate::op::OpError;
use crate::tensor::Tensor;
use std::sync::Arc;

/// What the reader of one node sees.
#[derive(Debug)]
pub struct Context<'g, 'f> {
    /// Its attributes.
    pub attributes: Attributes<'f>,
    /// Version of the default domain.
    pub opset: i64,
    /// Operands; `None` where an optional one is left out.
    pub operands: Vec<Option<ValueId>>,
    /// Number of outputs the file names.
    pub outputs: usize,
    /// Rows of NonMaxSuppression's result, if the user says.
    pub nms_rows: Option<usize>,
    /// Where the operators go.
    pub build: Builder<'g>,
}

/// Reads a node; the values of its outputs in order.
pub type ReadFn = fn(&mut Context<'_, '_>) -> Result<Vec<ValueId>, OpError>;

/// ONNX name, and (first opset, reader) in ascending order: the last one not above the model's opset
/// reads the node.
type Entry = (&'static str, &'static [(i64, ReadFn)]);

/// All readers, sorted by ONNX name.
pub const READERS: &[Entry] = &[
    ("Abs", &[(1, elementwise::abs)]),
    ("Acos", &[(7, elementwise::acos)]),
    ("Acosh", &[(9, elementwise::acosh)]),
    ("Add", &[(1, legacy::add), (7, elementwise::add)]),
    ("AffineGrid", &[(20, sample::affine_grid)]),
    ("And", &[(1, legacy::and), (7, logic::and)]),
    ("ArgMax", &[(1, reduce::arg_max)]),
    ("ArgMin", &[(1, reduce::arg_min)]),
    ("Asin", &[(7, elementwise::asin)]),
    ("Asinh", &[(9, elementwise::asinh)]),
    ("Atan", &[(7, elementwise::atan)]),
    ("Atanh", &[(9, elementwise::atanh)]),
    ("Attention", &[(23, attention::attention)]),
    ("AveragePool", &[(1, pool::average_pool)]),
    ("BatchNormalization", &[(1, legacy::batch_normalization), (7, norm::batch_normalization)]),
    ("BitCast", &[(26, elementwise::bit_cast)]),
    ("BitShift", &[(11, logic::bit_shift)]),
    ("BitwiseAnd", &[(18, logic::and)]),
    ("BitwiseNot", &[(18, logic::not)]),
    ("BitwiseOr", &[(18, logic::or)]),
    ("BitwiseXor", &[(18, logic::xor)]),
    ("BlackmanWindow", &[(17, spectrum::blackman)]),
    ("Cast", &[(6, elementwise::cast)]),
    ("CastLike", &[(15, elementwise::cast_like)]),
    ("CausalConvWithState", &[(26, linear::causal_conv)]),
    ("Ceil", &[(6, elementwise::ceil)]),
    ("Celu", &[(12, activation::celu)]),
    ("CenterCropPad", &[(18, movement::center_crop_pad)]),
    ("Clip", &[(6, elementwise::clip_6), (11, elementwise::clip_11)]),
    ("Col2Im", &[(18, indexing::col2im)]),
    ("Compress", &[(9, known::compress)]),
    ("Concat", &[(4, movement::concat)]),
    ("Constant", &[(1, shape::constant)]),
    ("ConstantOfShape", &[(9, fill::constant_of_shape)]),
    ("Conv", &[(1, conv::conv)]),
    ("ConvInteger", &[(10, integer::conv_integer)]),
    ("ConvTranspose", &[(1, conv_transpose::conv_transpose)]),
    ("Cos", &[(7, elementwise::cos)]),
    ("Cosh", &[(9, elementwise::cosh)]),
    ("CumProd", &[(26, fill::cum_prod)]),
    ("CumSum", &[(11, fill::cum_sum)]),
    ("DFT", &[(17, spectrum::dft_17), (20, spectrum::dft_20)]),
    ("DeformConv", &[(19, sample::deform_conv)]),
    ("DepthToSpace", &[(1, fill::depth_to_space)]),
    ("DequantizeLinear", &[(10, quantize::dequantize_linear)]),
    ("Det", &[(11, regions::determinant)]),
    ("Div", &[(1, legacy::div), (7, elementwise::div)]),
    ("Dropout", &[(1, shape::dropout)]),
    ("DynamicQuantizeLinear", &[(11, quantize_plain::dynamic_quantize_linear)]),
    ("Einsum", &[(12, einsum::einsum)]),
    ("Elu", &[(6, activation::elu)]),
    ("Equal", &[(1, legacy::equal), (7, logic::equal)]),
    ("Erf", &[(9, elementwise::erf)]),
    ("Exp", &[(6, elementwise::exp)]),
    ("Expand", &[(8, fill::expand)]),
    ("EyeLike", &[(9, fill::eye_like)]),
    ("Flatten", &[(1, movement::flatten)]),
    ("Floor", &[(6, elementwise::floor)]),
    ("GRU", &[(7, recurrent::gru)]),
    ("Gather", &[(1, movement::gather)]),
    ("GatherElements", &[(11, indexing::gather_elements)]),
    ("GatherND", &[(11, indexing::gather_nd)]),
    ("Gelu", &[(20, activation::gelu)]),
    ("Gemm", &[(1, conv::gemm)]),
    ("GlobalAveragePool", &[(1, pool::global_average_pool)]),
    ("GlobalLpPool", &[(2, pool::global_lp_pool)]),
    ("GlobalMaxPool", &[(1, pool::global_max_pool)]),
    ("Greater", &[(1, legacy::greater), (7, logic::greater)]),
    ("GreaterOrEqual", &[(12, logic::greater_or_equal)]),
    ("GridSample", &[(16, sample::grid_sample)]),
    ("GroupNormalization", &[(18, moments::group_18), (21, moments::group_21)]),
    ("HammingWindow", &[(17, spectrum::hamming)]),
    ("HannWindow", &[(17, spectrum::hann)]),
    ("HardSigmoid", &[(6, activation::hard_sigmoid)]),
    ("HardSwish", &[(14, activation::hard_swish)]),
    ("Hardmax", &[(1, norm::hardmax_1), (13, norm::hardmax_13)]),
    ("Identity", &[(1, shape::identity)]),
    ("InstanceNormalization", &[(6, moments::instance)]),
    ("IsInf", &[(10, logic::is_inf)]),
    ("IsNaN", &[(9, logic::is_nan)]),
    ("LRN", &[(1, norm::lrn)]),
    ("LSTM", &[(7, recurrent::lstm)]),
    ("LayerNormalization", &[(1, moments::layer)]),
    ("LeakyRelu", &[(6, elementwise::leaky_relu)]),
    ("Less", &[(1, legacy::less), (7, logic::less)]),
    ("LessOrEqual", &[(12, logic::less_or_equal)]),
    ("LinearAttention", &[(26, linear::linear_attention)]),
    ("Log", &[(6, elementwise::log)]),
    ("LogSoftmax", &[(1, norm::log_softmax_1), (13, norm::log_softmax_13)]),
    ("LpNormalization", &[(1, norm::lp_normalization)]),
    ("LpPool", &[(2, pool::lp_pool)]),
    ("MatMul", &[(1, conv::matmul)]),
    ("MatMulInteger", &[(10, integer::matmul_integer)]),
    ("Max", &[(6, elementwise::max)]),
    ("MaxPool", &[(1, pool::max_pool)]),
    ("MaxUnpool", &[(9, indexing::max_unpool)]),
    ("Mean", &[(6, elementwise::mean)]),
    ("MeanVarianceNormalization", &[(9, moments::mean_variance)]),
    ("MelWeightMatrix", &[(17, spectrum::mel_weight_matrix)]),
    ("Min", &[(6, elementwise::min)]),
    ("Mish", &[(18, activation::mish)]),
    ("Mod", &[(10, logic::modulo)]),
    ("Mul", &[(1, legacy::mul), (7, elementwise::mul)]),
    ("Neg", &[(6, elementwise::neg)]),
    ("NegativeLogLikelihoodLoss", &[(12, loss::negative_log_likelihood)]),
    ("NonMaxSuppression", &[(10, regions::non_max_suppression)]),
    ("NonZero", &[(9, known::non_zero)]),
    ("Not", &[(1, logic::not)]),
    ("OneHot", &[(9, positions::one_hot)]),
    ("Or", &[(1, legacy::or), (7, logic::or)]),
    ("PRelu", &[(1, legacy::prelu), (7, activation::prelu)]),
    ("Pad", &[(2, movement::pad_2), (11, movement::pad_11)]),
    ("Pow", &[(1, legacy::pow), (7, activation::pow)]),
    ("QLinearConv", &[(10, qlinear::conv)]),
    ("QLinearMatMul", &[(10, qlinear::matmul)]),
    ("QuantizeLinear", &[(10, quantize::quantize_linear)]),
    ("RMSNormalization", &[(23, moments::rms)]),
    ("RNN", &[(7, recurrent::rnn)]),
    ("Range", &[(11, fill::range)]),
    ("Reciprocal", &[(6, activation::reciprocal)]),
    ("ReduceL1", &[(1, reduce::l1)]),
    ("ReduceL2", &[(1, reduce::l2)]),
    ("ReduceLogSum", &[(1, reduce::log_sum)]),
    ("ReduceLogSumExp", &[(1, reduce::log_sum_exp)]),
    ("ReduceMax", &[(1, reduce::max)]),
    ("ReduceMean", &[(1, reduce::mean)]),
    ("ReduceMin", &[(1, reduce::min)]),
    ("ReduceProd", &[(1, reduce::product)]),
    ("ReduceSum", &[(1, reduce::sum)]),
    ("ReduceSumSquare", &[(1, reduce::sum_square)]),
    ("Relu", &[(6, elementwise::relu)]),
    ("Reshape", &[(5, movement::reshape)]),
    ("Resize", &[(10, resize::upsample), (11, resize::resize)]),
    ("ReverseSequence", &[(10, positions::reverse_sequence)]),
    ("RoiAlign", &[(10, regions::roi_align)]),
    ("RotaryEmbedding", &[(23, attention::rotary_embedding)]),
    ("Round", &[(11, elementwise::round)]),
    ("STFT", &[(17, spectrum::stft)]),
    ("Scatter", &[(9, indexing::scatter_elements)]),
    ("ScatterElements", &[(11, indexing::scatter_elements)]),
    ("ScatterND", &[(11, indexing::scatter_nd)]),
    ("Selu", &[(6, activation::selu)]),
    ("Shape", &[(1, shape::shape)]),
    ("Shrink", &[(9, elementwise::shrink)]),
    ("Sigmoid", &[(6, elementwise::sigmoid)]),
    ("Sign", &[(9, elementwise::sign)]),
    ("Sin", &[(7, elementwise::sin)]),
    ("Sinh", &[(9, elementwise::sinh)]),
    ("Size", &[(1, fill::size)]),
    ("Slice", &[(1, movement::slice_1), (10, movement::slice_10)]),
    ("Softmax", &[(1, norm::softmax_1), (13, norm::softmax_13)]),
    ("SoftmaxCrossEntropyLoss", &[(12, loss::softmax_cross_entropy)]),
    ("Softplus", &[(1, activation::softplus)]),
    ("Softsign", &[(1, activation::softsign)]),
    ("SpaceToDepth", &[(1, fill::space_to_depth)]),
    ("Split", &[(2, movement::split_2), (13, movement::split_13)]),
    ("Sqrt", &[(6, elementwise::sqrt)]),
    ("Squeeze", &[(1, movement::squeeze)]),
    ("Sub", &[(1, legacy::sub), (7, elementwise::sub)]),
    ("Sum", &[(6, elementwise::sum)]),
    ("Swish", &[(24, activation::swish)]),
    ("Tan", &[(7, elementwise::tan)]),
    ("Tanh", &[(6, elementwise::tanh)]),
    ("TensorScatter", &[(24, positions::tensor_scatter)]),
    ("ThresholdedRelu", &[(10, elementwise::thresholded_relu)]),
    ("Tile", &[(6, fill::tile)]),
    ("TopK", &[(1, indexing::top_k_1), (10, indexing::top_k_10)]),
    ("Transpose", &[(1, movement::transpose)]),
    ("Trilu", &[(14, fill::trilu)]),
    ("Unique", &[(11, known::unique)]),
    ("Unsqueeze", &[(1, movement::unsqueeze)]),
    ("Upsample", &[(7, resize::upsample)]),
    ("Where", &[(9, logic::choose)]),
    ("Xor", &[(1, legacy::xor), (7, logic::xor)]),
    ("com.microsoft::DequantizeLinear", &[(1, quantize::dequantize_linear)]),
    ("com.microsoft::Gelu", &[(1, activation::gelu)]),
    ("com.microsoft::QGemm", &[(1, qlinear::gemm)]),
    ("com.microsoft::QLinearAdd", &[(1, qlinear::add)]),
    ("com.microsoft::QLinearAveragePool", &[(1, qlinear::average_pool)]),
    ("com.microsoft::QLinearConcat", &[(1, qlinear::concat)]),
    ("com.microsoft::QLinearGlobalAveragePool", &[(1, qlinear::global_average_pool)]),
    ("com.microsoft::QLinearLeakyRelu", &[(1, qlinear::leaky_relu)]),
    ("com.microsoft::QLinearMul", &[(1, qlinear::mul)]),
    ("com.microsoft::QLinearReduceMean", &[(1, qlinear::reduce_mean)]),
    ("com.microsoft::QLinearSigmoid", &[(1, qlinear::sigmoid)]),
    ("com.microsoft::QLinearSoftmax", &[(1, qlinear::softmax)]),
    ("com.microsoft::QuantizeLinear", &[(1, quantize::quantize_linear)]),
    ("com.microsoft::QuickGelu", &[(1, activation::quick_gelu)]),
];

/// The reader of an operator in an opset.
#[must_use]
pub fn find(name: &str, opset: i64) -> Option<ReadFn> {
    let entry = READERS.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
    READERS[entry].1.iter().rev().find(|(since, _)| *since <= opset).map(|(_, read)| *read)
}

impl Context<'_, '_> {
    /// Operand `i`, required.
    ///
    /// # Errors
    /// It is missing.
    pub fn operand(&self, i: usize) -> Result<ValueId, OpError> {
        self.optional(i).ok_or_else(|| OpError::invalid(format!("operand {i} is missing")))
    }

    /// Operand `i`, if given.
    #[must_use]
    pub fn optional(&self, i: usize) -> Option<ValueId> {
        self.operands.get(i).copied().flatten()
    }

    /// Data of operand `i`.
    ///
    /// # Errors
    /// Missing, or computed at run time.
    pub fn constant(&self, i: usize) -> Result<Arc<Tensor>, OpError> {
        let value = self.operand(i)?;
        self.build.data(value).ok_or_else(|| {
            let names = self.build.inputs_behind(value);
            let is_input = self.build.is_input(value);
            let how = if is_input { "an input of the model" } else { "computed at run time" };
            let error =
                OpError::unsupported(format!("operand {i} is {how}; here it must be constant"));
            if names.is_empty() {
                return error;
            }
            let flags: Vec<String> =
                names.iter().map(|name| format!("--input-value {name}=...")).collect();
            error.help(format!("if it never changes, give its value: {}", flags.join(" ")))
        })
    }

    /// Operand `i` as constant integers; `None` when it is left out.
    ///
    /// # Errors
    /// Computed at run time, or not integers.
    pub fn ints(&self, i: usize) -> Result<Option<Vec<i64>>, OpError> {
        if self.optional(i).is_none() {
            return Ok(None);
        }
        let tensor = self.constant(i)?;
        tensor
            .to_i64()
            .map(Some)
            .ok_or_else(|| OpError::invalid(format!("operand {i} should hold integers")))
    }

    /// Operand `i` as one constant float; `None` when it is left out.
    ///
    /// # Errors
    /// Computed at run time, or not one float.
    pub fn float(&self, i: usize) -> Result<Option<f32>, OpError> {
        if self.optional(i).is_none() {
            return Ok(None);
        }
        match small_float::to_f32(&self.constant(i)?.data).as_deref() {
            Some([one]) => Ok(Some(*one)),
            _other => Err(OpError::invalid(format!("operand {i} should be one float"))),
        }
    }

    /// `axis` in `0..rank`, counted from the end when negative.
    ///
    /// # Errors
    /// Out of range.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, OpError> {
        let wrapped = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        usize::try_from(wrapped).ok().filter(|&a| a < rank).ok_or_else(|| {
            OpError::invalid(format!("axis {axis} does not exist in {rank} dimensions"))
        })
    }

    /// Several axes, ascending, each once.
    ///
    /// # Errors
    /// Out of range.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, OpError> {
        let mut all: Vec<usize> =
            axes.iter().map(|&a| self.axis(a, rank)).collect::<Result<_, _>>()?;
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// One float constant without dimensions.
    pub fn scalar(&mut self, value: f32) -> Result<ValueId, OpError> {
        let data = crate::TensorData::F32(vec![value]);
        let tensor = Tensor::new(crate::Shape(Vec::new()), data);
        let tensor = tensor.ok_or_else(|| OpError::invalid("a scalar has one element"))?;
        Ok(self.build.constant(tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_sorted_and_versions_ascend() {
        assert!(READERS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, versions) in READERS {
            assert!(!versions.is_empty() && versions.is_sorted_by(|a, b| a.0 < b.0), "{name}");
        }
        assert!(find("Clip", 5).is_none() && find("Clip", 24).is_some());
    }
}
