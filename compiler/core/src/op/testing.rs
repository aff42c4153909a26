//! The one test every operator takes: on seeded random data, inference agrees with evaluation's
//! shape, and interpreting the lowered kernel gives what evaluation gives. Test-only.

use super::{Constant, Input, Op, Operator, Signature, ValueInfo};
use crate::diagnostic::Origin;
use crate::graph::{Graph, Value};
use crate::kir::bounds::Proof;
use crate::kir::interp;
use crate::lower::{self, Core};
use crate::pass;
use crate::tensor::{DType, QuantParams, Rounding, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

/// An operand of a test case.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    ty: TensorType,
    quant: Option<QuantParams>,
    constant: Option<TensorData>,
}

impl Spec {
    /// An int8 input, full range.
    pub(crate) fn i8(shape: &[usize], scale: f32, zero_point: i32) -> Self {
        let quant = Some(QuantParams::per_tensor(scale, zero_point));
        Self { ty: TensorType::new(DType::I8, shape.into()), quant, constant: None }
    }

    /// A float32 input in [-4, 4).
    pub(crate) fn f32(shape: &[usize]) -> Self {
        Self { ty: TensorType::new(DType::F32, shape.into()), quant: None, constant: None }
    }

    /// An input of any type.
    pub(crate) fn of(dtype: DType, shape: &[usize]) -> Self {
        Self { ty: TensorType::new(dtype, shape.into()), quant: None, constant: None }
    }

    /// Constant random data of the same type.
    pub(crate) fn constant(mut self, seed: u64) -> Self {
        self.constant = Some(random(&self.ty, seed));
        self
    }

    /// Constant given data.
    pub(crate) fn data(mut self, data: TensorData) -> Self {
        self.constant = Some(data);
        self
    }

    /// Quantization per index of `axis`, zero points 0.
    pub(crate) fn per_axis(mut self, axis: usize, scales: Vec<f32>) -> Self {
        let zero_points = vec![0; scales.len()];
        self.quant = Some(QuantParams {
            axis: Some(axis),
            scales,
            zero_points,
            rounding: Rounding::HalfAway,
        });
        self
    }
}

/// xorshift64*: deterministic on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// Random tensor data of a type.
pub(crate) fn random(ty: &TensorType, seed: u64) -> TensorData {
    let mut rng = Random::new(seed + 1);
    let n = ty.shape.elements();
    let mut next = || (rng.next() >> 32) as u32;
    match ty.dtype {
        DType::I8 => TensorData::I8((0..n).map(|_| next() as i8).collect()),
        DType::U8 => TensorData::U8((0..n).map(|_| next() as u8).collect()),
        DType::U16 => TensorData::U16((0..n).map(|_| next() as u16).collect()),
        DType::U32 => TensorData::U32((0..n).map(|_| next() >> 20).collect()),
        DType::U64 => TensorData::U64((0..n).map(|_| u64::from(next() >> 20)).collect()),
        DType::F16 => TensorData::F16((0..n).map(|_| next() as u16).collect()),
        DType::BF16 => TensorData::BF16((0..n).map(|_| next() as u16).collect()),
        DType::F64 => TensorData::F64((0..n).map(|_| f64::from(next() as i32) / 1e8).collect()),
        DType::Small(small) => {
            TensorData::Small(small, (0..n).map(|_| small.from_bits(next() as u8)).collect())
        }
        DType::I16 => TensorData::I16((0..n).map(|_| next() as i16).collect()),
        DType::I32 => TensorData::I32((0..n).map(|_| next() as i32 >> 20).collect()),
        DType::I64 => TensorData::I64((0..n).map(|_| i64::from(next() as i32 >> 20)).collect()),
        DType::F32 => {
            let unit = |x: u32| (x >> 8) as f32 / (1 << 24) as f32;
            TensorData::F32((0..n).map(|_| unit(next()) * 8.0 - 4.0).collect())
        }
        DType::Bool => TensorData::Bool((0..n).map(|_| (next() & 1) as u8).collect()),
    }
}

/// Runs the test for generic and DSP cores. `quant` gives scale and zero point of quantized results.
pub(crate) fn check(op: impl Into<Op>, operands: &[Spec], quant: &[(f32, i32)]) {
    let op = op.into();
    for core in [Core::Generic, Core::CortexM4] {
        for seed in 0..3 {
            check_once(&op, operands, quant, core, seed);
        }
    }
}

/// The same for one result of any quantization.
pub(crate) fn check_quant(op: impl Into<Op>, operands: &[Spec], quant: &QuantParams) {
    let op = op.into();
    for core in [Core::Generic, Core::CortexM4] {
        for seed in 0..3 {
            let graph = graph_with(&op, operands, std::slice::from_ref(quant));
            let inputs = random_inputs(&graph, seed);
            check_graph(&op, graph, &inputs, core);
        }
    }
}

/// The types of plain integers.
pub(crate) const INTEGERS: [DType; 8] =
    [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32, DType::I64, DType::U64];

/// The smallest, the largest and some small integers of a type.
pub(crate) fn extremes(dtype: DType) -> Vec<i128> {
    let (lo, hi) = super::integer::limits(dtype);
    [lo, lo + 1, -7, -1, 0, 1, 2, 5, 31, 64, hi - 1, hi].into_iter().filter(|v| *v >= lo).collect()
}

/// Runs the test for a binary operator on every type of plain integers: random operands as given,
/// and every pair of extreme ones.
pub(crate) fn check_integers(op: impl Into<Op> + Clone, operands: impl Fn(DType) -> [Spec; 2]) {
    for dtype in INTEGERS {
        check(op.clone(), &operands(dtype), &[]);
        let extremes = extremes(dtype);
        let data = || TensorData::from_i128(dtype, &extremes).expect("integers");
        let column = Spec::of(dtype, &[extremes.len(), 1]).data(data());
        check(op.clone(), &[column, Spec::of(dtype, &[extremes.len()]).data(data())], &[]);
    }
}

/// Runs the test for a unary operator on every type of plain integers.
pub(crate) fn check_integers_unary(op: impl Into<Op> + Clone) {
    for dtype in INTEGERS {
        check_data(
            op.clone(),
            TensorData::from_i128(dtype, &extremes(dtype)).expect("integers"),
            &[],
        );
    }
}

/// The graph of one operator on the given operands.
pub(crate) fn graph_of(op: &Op, operands: &[Spec], quant: &[(f32, i32)]) -> Graph {
    let quant: Vec<QuantParams> =
        quant.iter().map(|&(s, z)| QuantParams::per_tensor(s, z)).collect();
    graph_with(op, operands, &quant)
}

fn graph_with(op: &Op, operands: &[Spec], quant: &[QuantParams]) -> Graph {
    let mut graph = Graph::new();
    let mut ids = Vec::new();
    for (i, spec) in operands.iter().enumerate() {
        let value =
            Value { name: format!("operand{i}"), ty: spec.ty.clone(), quant: spec.quant.clone() };
        let op: Op = match &spec.constant {
            Some(data) => {
                let tensor = Tensor { shape: spec.ty.shape.clone(), data: data.clone() };
                Constant { tensor: Arc::new(tensor) }.into()
            }
            None => Input { ty: spec.ty.clone() }.into(),
        };
        ids.push(graph.add(op, vec![value], Origin::default()).result(0));
    }
    let value = |ty: TensorType, i: usize| Value {
        name: format!("result{i}"),
        ty,
        quant: quant.get(i).or(quant.last()).cloned(),
    };
    // Inference may look at the declared result, so declare something first: enough results of a
    // dummy type, then the inferred ones.
    let dummy = |i| value(TensorType::new(DType::I8, Shape(vec![1])), i);
    let node = graph.add_with(op.clone(), &ids, (0..8).map(dummy).collect(), Origin::default());
    let types = op.infer(&graph.signature(node)).expect("the operands fit");
    graph.get_mut(node).expect("just added").results =
        types.into_iter().enumerate().map(|(i, ty)| value(ty, i)).collect();
    let results = graph.get(node).expect("just added").results.len();
    graph.set_outputs((0..results).map(|r| node.result(r)).collect());
    graph
}

/// Every index of the operator's kernels is proved to lie in its buffer.
pub(crate) fn check_indices(op: impl Into<Op>, operands: &[Spec], quant: &[(f32, i32)]) {
    let op = op.into();
    for core in [Core::Generic, Core::CortexM4] {
        let mut graph = graph_of(&op, operands, quant);
        pass::run_all(&mut graph, pass::LEGALISE).expect("passes");
        let module = lower::lower(&lower::legalise(graph, core).expect("legal")).expect("lowers");
        assert!(!module.kernels.is_empty(), "{op:?}");
        for kernel in &module.kernels {
            let unproved: Vec<String> = Proof::of(kernel).unproved().map(String::from).collect();
            assert!(unproved.is_empty(), "{op:?}: {unproved:?}");
        }
    }
}

/// Runs the test on given data of a single operand.
pub(crate) fn check_data(op: impl Into<Op>, data: TensorData, quant: &[(f32, i32)]) {
    let op = op.into();
    check_inputs(&op, &[Tensor { shape: Shape(vec![data.len()]), data }], quant);
}

/// Runs the test on given data of all operands, which arrive at run time; what evaluation gives.
pub(crate) fn check_inputs(op: &Op, inputs: &[Tensor], quant: &[(f32, i32)]) -> Vec<Tensor> {
    let specs: Vec<Spec> = inputs.iter().map(|t| Spec::of(t.data.dtype(), &t.shape.0)).collect();
    let graph = graph_of(op, &specs, quant);
    for core in [Core::Generic, Core::CortexM4] {
        check_graph(op, graph.clone(), inputs, core);
    }
    crate::evaluate::run(&graph, inputs).expect("evaluates")
}

/// Evaluates an int8 unary operator; `input` and `output` are scale and zero point.
pub(crate) fn eval_i8<const N: usize>(
    op: &dyn Operator,
    input: (f32, i32),
    output: (f32, i32),
    data: &[i8; N],
) -> [i8; N] {
    let quant = [input, output].map(|(s, z)| QuantParams::per_tensor(s, z));
    let ty = TensorType::new(DType::I8, Shape(vec![N]));
    let info = |q| ValueInfo { name: "x", ty: &ty, quant: Some(q), constant: None };
    let s = Signature { operands: vec![info(&quant[0])], results: vec![info(&quant[1])] };
    assert_eq!(op.infer(&s).expect("fits"), vec![ty.clone()]);
    let x = Tensor { shape: ty.shape.clone(), data: TensorData::I8(data.to_vec()) };
    let y = op.eval(&s, &[&x]).expect("evaluates");
    y[0].as_i8().expect("int8").try_into().expect("as many elements")
}

fn check_once(op: &Op, operands: &[Spec], quant: &[(f32, i32)], core: Core, seed: u64) {
    let graph = graph_of(op, operands, quant);
    let inputs = random_inputs(&graph, seed);
    check_graph(op, graph, &inputs, core);
}

fn random_inputs(graph: &Graph, seed: u64) -> Vec<Tensor> {
    graph
        .inputs()
        .iter()
        .enumerate()
        .map(|(i, n)| {
            let ty = graph.value(n.result(0)).expect("input").ty.clone();
            Tensor { shape: ty.shape.clone(), data: random(&ty, seed * 100 + i as u64) }
        })
        .collect()
}

fn check_graph(op: &Op, graph: Graph, inputs: &[Tensor], core: Core) {
    let expected = crate::evaluate::run(&graph, inputs).expect("evaluates");
    let mut lowered = graph;
    pass::run_all(&mut lowered, pass::LEGALISE).expect("passes");
    let legal = lower::legalise(lowered, core).expect("legal");
    let module = lower::lower(&legal).expect("lowers");
    let mut arena = vec![0xAAu8; module.arena_bytes];
    for (port, tensor) in module.inputs.iter().zip(inputs) {
        let bytes = tensor.data.to_le_bytes();
        arena[port.offset..port.offset + bytes.len()].copy_from_slice(&bytes);
    }
    interp::run_module(&module, &mut arena).expect("interprets");
    for (port, want) in module.outputs.iter().zip(&expected) {
        assert_eq!(port.ty, want.ty(), "{op:?}");
        let bytes = &arena[port.offset..port.offset + port.ty.bytes()];
        let got = TensorData::from_le_bytes(port.ty.dtype, bytes).expect("whole elements");
        compare(op, &got, &want.data);
    }
}

fn compare(op: &Op, got: &TensorData, want: &TensorData) {
    let (TensorData::F32(g), TensorData::F32(w)) = (got, want) else {
        // By bytes: a NaN equals itself.
        let same = got.dtype() == want.dtype() && got.to_le_bytes() == want.to_le_bytes();
        assert!(same, "{op:?}: {got:?} is not {want:?}");
        return;
    };
    for (i, (g, w)) in g.iter().zip(w).enumerate() {
        let close = (g - w).abs() <= 1e-5 + 1e-5 * w.abs() || g == w || g.is_nan() && w.is_nan();
        assert!(close, "{op:?}: element {i}: {g} is not {w}");
    }
}
