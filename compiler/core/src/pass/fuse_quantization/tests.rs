//! Rules on small graphs: what the pass makes of them, and that results stay within one step of the
//! float operators between the same integers.

use crate::diagnostic::Origin;
use crate::evaluate;
use crate::geometry::Padding;
use crate::graph::{Graph, Value, ValueId};
use crate::numeric::Activation;
use crate::op::{
    Add, AveragePool2d, BatchMatmul, Concat, Constant, Conv2d, Dequantize, Exp, FlipSign,
    FullyConnected, Input, LogSoftmax, Logistic, MaxPool2d, Maximum, Mean, Mul, Op, PoolAttributes,
    Quantize, ReduceAttributes, Relu, Reshape, ResizeBilinear, Sampling, Softmax, Sub, Transpose,
};
use crate::tensor::{DType, QuantParams, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

type Scale = (f32, i32);

struct Net(Graph);

impl Net {
    fn new() -> Self {
        Self(Graph::new())
    }

    fn value(ty: TensorType, quant: Option<QuantParams>) -> Value {
        Value { name: "v".into(), ty, quant }
    }

    /// An int8 input as the float it stands for.
    fn input(&mut self, dims: &[usize], (scale, zero_point): Scale) -> ValueId {
        let ty = TensorType::new(DType::I8, dims.into());
        let quant = QuantParams::per_tensor(scale, zero_point).half_even();
        let value = Self::value(ty.clone(), Some(quant));
        let x = self.0.add(Input { ty }.into(), vec![value], Origin::default()).result(0);
        self.add(Dequantize, &[x], None)
    }

    /// A float constant that stands for int8 elements.
    fn weights(&mut self, dims: &[usize], scales: Vec<f32>, zero_point: i32) -> ValueId {
        let axis = (scales.len() > 1).then_some(0);
        let inner = dims.iter().product::<usize>() / scales.len();
        let q = |i: usize| ((i * 37 + 11) % 255) as i32 - 127;
        let data = (0..dims.iter().product())
            .map(|i| (q(i) - zero_point) as f32 * scales[i / inner])
            .collect();
        let zero_points = vec![zero_point; scales.len()];
        let rounding = crate::tensor::Rounding::HalfEven;
        self.floats(dims, data, Some(QuantParams { scales, zero_points, axis, rounding }))
    }

    fn floats(&mut self, dims: &[usize], data: Vec<f32>, quant: Option<QuantParams>) -> ValueId {
        let tensor = Tensor::new(dims.into(), TensorData::F32(data)).expect("fits");
        let value = Self::value(tensor.ty(), quant);
        let op = Constant { tensor: Arc::new(tensor) };
        self.0.add(op.into(), vec![value], Origin::default()).result(0)
    }

    fn add(&mut self, op: impl Into<Op>, operands: &[ValueId], quant: Option<Scale>) -> ValueId {
        let quant = quant.map(|(s, z)| QuantParams::per_tensor(s, z).half_even());
        let dummy = Self::value(TensorType::new(DType::F32, Shape(vec![1])), quant.clone());
        let id = self.0.add_with(op.into(), operands, vec![dummy], Origin::default());
        let types = self.0.get(id).expect("node").op.infer(&self.0.signature(id)).expect("fits");
        self.0.get_mut(id).expect("node").results =
            types.into_iter().map(|ty| Self::value(ty, quant.clone())).collect();
        id.result(0)
    }

    fn quantize(&mut self, x: ValueId, to: Scale) -> ValueId {
        self.add(Quantize, &[x], Some(to))
    }

    /// Runs the pass: the operators that remain, in order, and how far results are apart at most.
    fn run(mut self, outputs: &[ValueId]) -> (Vec<&'static str>, i64) {
        self.0.set_outputs(outputs.to_vec());
        let inputs: Vec<Tensor> = self
            .0
            .inputs()
            .iter()
            .enumerate()
            .map(|(n, id)| {
                let ty = &self.0.value(id.result(0)).expect("input").ty;
                let data = (0..ty.shape.elements()).map(|i| (i * 91 + n * 57) as u8 as i8);
                Tensor::new(ty.shape.clone(), TensorData::I8(data.collect())).expect("fits")
            })
            .collect();
        let want = evaluate::run(&self.0, &inputs).expect("runs");
        let passes = [crate::pass::fuse_activation::PASS, super::PASS];
        crate::pass::run_all(&mut self.0, &passes).expect("valid");
        let got = evaluate::run(&self.0, &inputs).expect("runs");
        let mut most = 0;
        for (g, w) in got.iter().zip(&want) {
            assert_eq!(g.ty(), w.ty());
            if let (Some(g), Some(w)) = (g.to_i64(), w.to_i64()) {
                most = g.iter().zip(w).map(|(a, b)| (a - b).abs()).fold(most, i64::max);
            } else {
                assert_eq!(g, w, "floats are the same");
            }
        }
        let names = self.0.schedule().into_iter().filter_map(|id| {
            let op = &self.0.get(id)?.op;
            (!crate::graph::verify::is_data(op)).then(|| op.name())
        });
        (names.collect(), most)
    }
}

fn conv(activation: Activation) -> Conv2d {
    Conv2d { stride: (1, 1), dilation: (1, 1), padding: Padding::Same, activation }
}

const NONE: Activation = Activation::None;

#[test]
fn convolution_with_bias_and_relu_is_one_layer() {
    for (scales, zero_point) in [(vec![0.01], 0), (vec![0.01], 40), (vec![0.01, 0.02, 0.03], 0)] {
        let mut n = Net::new();
        let x = n.input(&[1, 4, 4, 2], (0.05, 3));
        let w = n.weights(&[3, 3, 3, 2], scales, zero_point);
        let b = n.floats(&[3], vec![1.5, -0.25, 0.003], None);
        let y = n.add(conv(NONE), &[x, w, b], None);
        let y = n.add(Relu { kind: Activation::Relu }, &[y], None);
        let y = n.quantize(y, (0.07, -128));
        assert_eq!(n.run(&[y]), (vec!["Conv2d"], 0));
    }
}

#[test]
fn an_addition_of_constants_is_a_bias() {
    let mut n = Net::new();
    let x = n.input(&[2, 8], (0.05, -128));
    let w = n.weights(&[5, 8], vec![0.02], 0);
    let y = n.add(FullyConnected { activation: NONE, keep_dims: true }, &[x, w], None);
    let b = n.floats(&[5], vec![0.5, 1.0, -2.0, 0.0, 3.0], None);
    let y = n.add(Add { activation: NONE }, &[y, b], None);
    let y = n.quantize(y, (0.1, 14));
    assert_eq!(n.run(&[y]), (vec!["FullyConnected"], 0));
}

#[test]
fn a_layer_read_as_float_stays_float() {
    let mut n = Net::new();
    let x = n.input(&[1, 4, 4, 2], (0.05, 3));
    let w = n.weights(&[3, 3, 3, 2], vec![0.01], 0);
    let float = n.add(conv(NONE), &[x, w], None);
    let y = n.quantize(float, (0.07, -128));
    assert_eq!(n.run(&[y, float]).0, ["Dequantize", "Conv2d", "Quantize"]);
}

#[test]
fn weights_with_zero_points_per_channel_stay_float() {
    let mut n = Net::new();
    let x = n.input(&[1, 4, 4, 2], (0.05, 3));
    let w = n.weights(&[3, 3, 3, 2], vec![0.01, 0.02, 0.03], 100);
    let y = n.add(conv(NONE), &[x, w], None);
    let y = n.quantize(y, (0.07, -128));
    assert_eq!(n.run(&[y]).0, ["Dequantize", "Conv2d", "Quantize"]);
}

#[test]
fn functions_of_one_element_are_exact_tables() {
    let mut n = Net::new();
    let x = n.input(&[300], (0.04, -5));
    // x * sigmoid(x), then a scale of one's own.
    let s = n.add(Logistic, &[x], None);
    let y = n.add(Mul { activation: NONE }, &[x, s], None);
    let k = n.floats(&[], vec![0.7], None);
    let y = n.add(Mul { activation: NONE }, &[y, k], None);
    let y = n.quantize(y, (0.03, -100));
    assert_eq!(n.run(&[y]), (vec!["Table"], 0));
}

#[test]
fn relu_between_equal_scales_that_cut_nothing_is_nothing() {
    let mut n = Net::new();
    let x = n.input(&[300], (0.04, -128));
    let y = n.add(Relu { kind: Activation::Relu }, &[x], None);
    let y = n.quantize(y, (0.04, -128));
    assert_eq!(n.run(&[y]), (vec!["Reshape"], 0));
}

#[test]
fn sums_products_and_matrices_of_two_quantized_operands() {
    for op in [
        Op::from(Add { activation: NONE }),
        Sub { activation: NONE }.into(),
        Mul { activation: NONE }.into(),
        BatchMatmul { adj_x: false, adj_y: false }.into(),
    ] {
        let name = op.name();
        let mut n = Net::new();
        let (a, b) = (n.input(&[9, 9], (0.05, 3)), n.input(&[9, 9], (0.021, -70)));
        let y = n.add(op, &[a, b], None);
        let y = n.quantize(y, (0.09, 11));
        let (names, apart) = n.run(&[y]);
        assert_eq!(names, [name]);
        assert!(apart <= 1, "{name}: {apart}");
    }
}

#[test]
fn relu_after_a_layer_without_activation_is_a_table() {
    let mut n = Net::new();
    let (a, b) = (n.input(&[70], (0.05, 3)), n.input(&[70], (0.021, -70)));
    let y = n.add(Sub { activation: NONE }, &[a, b], None);
    let y = n.add(Relu { kind: Activation::Relu6 }, &[y], None);
    let y = n.quantize(y, (0.09, -100));
    let (names, apart) = n.run(&[y]);
    assert_eq!(names, ["Sub", "Table"]);
    assert!(apart <= 1);
}

#[test]
fn moved_elements_are_moved_as_integers() {
    let mut n = Net::new();
    let x = n.input(&[1, 4, 6, 2], (0.05, 3));
    let pool = PoolAttributes {
        window: (2, 2),
        stride: (2, 2),
        dilation: (1, 1),
        padding: Padding::Valid,
        activation: NONE,
    };
    let y = n.add(MaxPool2d(pool), &[x], None);
    let y = n.add(Transpose { permutation: vec![0, 3, 1, 2] }, &[y], None);
    let y = n.add(Reshape { shape: Shape(vec![12]) }, &[y], None);
    let same = n.quantize(y, (0.05, 3));
    let other = n.quantize(y, (0.06, 3));
    let (names, apart) = n.run(&[same, other, y]);
    assert_eq!(names, ["MaxPool2d", "Transpose", "Reshape", "Dequantize", "Reshape", "Quantize"]);
    assert_eq!(apart, 0);
}

#[test]
fn joined_parts_are_rescaled_first() {
    let mut n = Net::new();
    let (a, b) = (n.input(&[2, 30], (0.05, 3)), n.input(&[2, 40], (0.021, -70)));
    let c = n.floats(&[2, 2], vec![0.5, -0.125, 30.0, 0.0], None);
    let y = n.add(Concat { axis: 1 }, &[a, b, c], None);
    let y = n.quantize(y, (0.05, 3));
    assert_eq!(n.run(&[y]), (vec!["Quantize", "Concat"], 0));
}

#[test]
fn limits_of_a_layer_are_limits_of_its_integers() {
    let mut n = Net::new();
    let (a, b) = (n.input(&[70], (0.05, 3)), n.input(&[70], (0.021, -70)));
    let y = n.add(Mul { activation: NONE }, &[a, b], None);
    let lo = n.floats(&[], vec![-0.3], None);
    let y = n.add(Maximum, &[y, lo], None);
    let y = n.quantize(y, (0.09, 11));
    assert_eq!(n.run(&[y]).0, ["Mul", "Maximum"]);
}

#[test]
fn averages_between_equal_and_other_scales() {
    let pool = |padding| {
        AveragePool2d(PoolAttributes {
            window: (2, 2),
            stride: (2, 2),
            dilation: (1, 1),
            padding,
            activation: NONE,
        })
    };
    for (padding, to, want) in [
        (Padding::Valid, (0.05, 3), vec!["AveragePool2d"]),
        (Padding::Valid, (0.031, -9), vec!["DepthwiseConv2d"]),
        (Padding::Same, (0.06, -9), vec!["AveragePool2d", "Quantize"]),
        (Padding::Same, (0.01, -9), vec!["Dequantize", "AveragePool2d", "Quantize"]),
    ] {
        let mut n = Net::new();
        let x = n.input(&[1, 5, 5, 3], (0.05, 3));
        let y = n.add(pool(padding), &[x], None);
        let y = n.quantize(y, to);
        let (names, apart) = n.run(&[y]);
        assert_eq!(names, want);
        assert!(apart <= 1);
    }
    let mut n = Net::new();
    let x = n.input(&[1, 5, 4, 3], (0.05, 3));
    let whole = PoolAttributes {
        window: (5, 4),
        stride: (1, 1),
        dilation: (1, 1),
        padding: Padding::Valid,
        activation: NONE,
    };
    let y = n.add(AveragePool2d(whole), &[x], None);
    let y = n.quantize(y, (0.011, 3));
    assert_eq!(n.run(&[y]).0, ["Mean"]);
    let mut n = Net::new();
    let x = n.input(&[1, 5, 5, 3], (0.05, 3));
    let axes = ReduceAttributes { axes: vec![1, 2], keep_dims: true };
    let y = n.add(Mean(axes), &[x], None);
    let y = n.quantize(y, (0.01, 3));
    assert_eq!(n.run(&[y]), (vec!["Mean"], 0));
}

#[test]
fn softmax_has_a_scale_of_its_own() {
    for (to, want) in [
        ((1.0 / 256.0, -128), vec!["Softmax"]),
        ((1.0 / 255.0, -128), vec!["Softmax", "Quantize"]),
        ((1.0 / 1024.0, -128), vec!["Dequantize", "Softmax", "Quantize"]),
        ((1.0 / 127.0, 0), vec!["Dequantize", "Softmax", "Quantize"]),
    ] {
        let mut n = Net::new();
        let x = n.input(&[3, 10], (0.08, 3));
        let y = n.add(Softmax { beta: 1.0 }, &[x], None);
        let y = n.quantize(y, to);
        let (names, apart) = n.run(&[y]);
        assert_eq!(names, want);
        assert!(apart <= 1, "{apart}");
    }
}

/// Between equal scales ties go to the even distance from the zero point, as the float formula has it:
/// an odd zero point turns them round.
#[test]
fn ties_of_averages_are_those_of_the_numbers() {
    for zero_point in [-3, 0, 3, 4] {
        let mut n = Net::new();
        let x = n.input(&[1, 6, 8, 3], (0.5, zero_point));
        let pool = PoolAttributes {
            window: (2, 1),
            stride: (2, 1),
            dilation: (1, 1),
            padding: Padding::Valid,
            activation: NONE,
        };
        let y = n.add(AveragePool2d(pool), &[x], None);
        let y = n.quantize(y, (0.5, zero_point));
        assert_eq!(n.run(&[y]), (vec!["AveragePool2d"], 0), "zero point {zero_point}");
    }
}

/// The int8 logarithm of softmax ends at -15.9.
#[test]
fn logarithms_of_softmax_that_reach_further_stay_float() {
    for (to, want) in [
        ((1.0 / 16.0, 127), vec!["LogSoftmax"]),
        ((0.1, 31), vec!["LogSoftmax", "Quantize"]),
        ((0.1, 127), vec!["Dequantize", "LogSoftmax", "Quantize"]),
        ((0.25, 127), vec!["Dequantize", "LogSoftmax", "Quantize"]),
    ] {
        let mut n = Net::new();
        let x = n.input(&[3, 10], (0.2, 3));
        let y = n.add(LogSoftmax, &[x], None);
        let y = n.quantize(y, to);
        let (names, apart) = n.run(&[y]);
        assert_eq!(names, want);
        assert!(apart <= 1, "{apart}");
    }
}

#[test]
fn pixels_are_not_blended_at_a_coarser_scale() {
    let sampling = Sampling { align_corners: false, half_pixel_centers: true };
    let float = vec!["Dequantize", "ResizeBilinear", "Quantize"];
    for (size, to, want) in [
        ((10, 8), (0.05, 3), vec!["ResizeBilinear"]),
        ((10, 8), (0.06, 3), vec!["ResizeBilinear", "Quantize"]),
        ((10, 8), (0.004, 3), float.clone()),
        // 48/1024 for 5/107: the last position is 0.016 pixels off, up to four steps.
        ((107, 8), (0.05, 3), float),
    ] {
        let mut n = Net::new();
        let x = n.input(&[1, 5, 4, 3], (0.05, 3));
        let y = n.add(ResizeBilinear { size, sampling }, &[x], None);
        let y = n.quantize(y, to);
        let (names, apart) = n.run(&[y]);
        assert_eq!(names, want);
        assert!(apart <= 1, "{apart}");
    }
}

/// One element may be read under two labels: quantizing is not moved from one to the other.
#[test]
fn relabelled_elements_are_rescaled_by_their_own_label() {
    let mut n = Net::new();
    let x = n.input(&[300], (0.1, 3));
    let q = n.quantize(x, (0.2, 3));
    let other = n.add(Reshape { shape: Shape(vec![300]) }, &[q], Some((0.3, 5)));
    let d = n.add(Dequantize, &[other], None);
    let y = n.quantize(d, (0.15, -7));
    assert_eq!(n.run(&[y]), (vec!["Quantize", "Reshape", "Quantize"], 0));
}

/// uint8 files move bytes between layers without saying what they stand for.
#[test]
fn moved_bytes_are_what_was_quantized() {
    let mut n = Net::new();
    let x = n.input(&[1, 4, 6, 2], (0.05, 3));
    let q = n.quantize(x, (0.06, -8));
    let bytes = n.add(FlipSign, &[q], None);
    let moved = n.add(Transpose { permutation: vec![0, 3, 1, 2] }, &[bytes], None);
    let back = n.add(FlipSign, &[moved], None);
    let flat = n.add(Reshape { shape: Shape(vec![48]) }, &[back], None);
    let known = n.add(Reshape { shape: Shape(vec![48]) }, &[flat], Some((0.06, -8)));
    let y = n.add(Dequantize, &[known], None);
    n.0.set_outputs(vec![y]);
    crate::pass::run_all(&mut n.0, &[super::SETTLE_MOVES]).expect("valid");
    for id in n.0.schedule() {
        let value = n.0.value(id.result(0)).expect("value");
        assert!(value.ty.dtype == DType::F32 || value.quant.is_some(), "{value:?}");
        assert_ne!(value.ty.dtype, DType::U8);
    }
}

#[test]
fn the_reason_says_what_is_missing() {
    let mut n = Net::new();
    let x = n.input(&[4, 4], (0.05, 3));
    let e = n.add(Exp, &[x], None);
    let y = n.add(Softmax { beta: 1.0 }, &[e], None);
    let y = n.quantize(y, (1.0 / 1024.0, -128));
    n.0.set_outputs(vec![y]);
    crate::pass::run_all(&mut n.0, &[super::PASS]).expect("valid");
    let reasons: Vec<String> =
        n.0.schedule().into_iter().filter_map(|id| super::float_reason(&n.0, id)).collect();
    assert_eq!(
        reasons,
        ["Softmax reads its result as float", "operand \"v\" comes from Exp as float"]
    );
}
