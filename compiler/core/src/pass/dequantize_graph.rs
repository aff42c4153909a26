//! Turns a quantized graph into the float32 graph it stands for, for targets that compute with real
//! numbers. Constants of int8 stay constants of int8 behind a Dequantize; int32 biases become float32.
//! The second form keeps the rounding of every activation as a Quantize and a Dequantize.

use super::Pass;
use super::port_quantization::label_ports;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use crate::graph::{Graph, NodeId, Value, ValueId};
use crate::numeric::Activation;
use crate::numeric::dequantize as dequantize_one;
use crate::op::{Add, Constant, Dequantize, Minimum, Mul, Op, QuantRule, Quantize, Relu};
use crate::tensor::{DType, QuantParams, Rounding, Shape, Tensor, TensorData, TensorType};
use std::sync::Arc;

/// Activations become real numbers without rounding.
pub const DROP: Pass = Pass {
    name: "dequantize-graph",
    about: "make quantized values real numbers; int8 weights stay int8",
    run: |graph| run(graph, false),
};

/// Activations keep the 256 values they can have.
pub const KEEP: Pass = Pass {
    name: "fake-quantize-graph",
    about: "make quantized values real numbers that are rounded as before",
    run: |graph| run(graph, true),
};

fn run(graph: &mut Graph, keep_rounding: bool) -> Result<usize, Diagnostics> {
    label_ports(graph);
    let (mut changes, mut problems) = (0, taken_for_integers(graph));
    let relabelled = relabelled(graph);
    let is_constant =
        |graph: &Graph, id| matches!(graph.get(id).map(|n| &n.op), Some(Op::Constant(_)));
    let (constants, rest): (Vec<NodeId>, Vec<NodeId>) =
        graph.schedule().into_iter().partition(|&id| is_constant(graph, id));
    // Biases first: they go by the parameters of what they are added to.
    let (biases, weights): (Vec<NodeId>, Vec<NodeId>) = constants
        .into_iter()
        .partition(|id| graph.value(id.result(0)).is_some_and(|v| v.ty.dtype != DType::I8));
    for id in biases.into_iter().chain(weights).chain(rest) {
        let Some(node) = graph.get(id) else { continue };
        let result = if let Op::Constant(_) = node.op {
            constant(graph, id)
        } else if let Op::Dequantize(_) | Op::FlipSign(_) = node.op {
            Ok(dequantize(graph, id))
        } else {
            Ok(activation(graph, id, keep_rounding))
        };
        match result {
            Ok(changed) => changes += usize::from(changed),
            Err(more) => problems.0.extend(more.0),
        }
    }
    relabelled.iter().for_each(|what| relabel(graph, what));
    graph.remove_dead();
    problems.into_result(changes)
}

/// Quantization parameters of a value whose elements are quantized integers.
fn quantization(value: &Value) -> Option<&QuantParams> {
    value.quant.as_ref().filter(|_| !matches!(value.ty.dtype, DType::F32 | DType::Bool))
}

fn origin(graph: &Graph, id: NodeId) -> Origin {
    graph.get(id).map(|n| n.origin.clone()).unwrap_or_default()
}

/// Users of a constant read its real numbers: of int8 behind a Dequantize, else computed here.
fn constant(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostics> {
    let constant = id.result(0);
    let (Some(value), Some(node)) = (graph.value(constant).cloned(), graph.get(id)) else {
        return Ok(false);
    };
    let Op::Constant(c) = &node.op else { return Ok(false) };
    let (tensor, from) = (c.tensor.clone(), node.origin.clone());
    if let Some(q) = quantized_again(&tensor, value.quant.as_ref()) {
        return Ok(store_quantized(graph, constant, &value, q, from));
    }
    if value.ty.dtype == DType::F32 {
        return Ok(false);
    }
    let mut shared = None;
    let mut changed = false;
    for (user, operand) in graph.users(constant) {
        let reader = graph.get(user).map(|n| &n.op);
        let bias = bias_quantization(graph, user, operand);
        let Some(quant) = bias.as_ref().or(quantization(&value)).cloned() else { continue };
        if matches!(reader, Some(Op::Dequantize(_))) {
            continue;
        }
        let ty = TensorType::new(DType::F32, value.ty.shape.clone());
        let real = Value { ty, quant: None, ..value.clone() };
        let new = match shared {
            Some(new) if bias.is_none() => new,
            _first if value.ty.dtype == DType::I8 => {
                graph.add_with(Dequantize.into(), &[constant], vec![real], from.clone()).result(0)
            }
            _first => {
                let tensor = Arc::new(real_numbers(&tensor, &quant).ok_or_else(|| {
                    let message =
                        format!("constant \"{}\" ({}) has no real numbers", value.name, value.ty);
                    Diagnostics::from(Diagnostic::new(Code::UnsupportedType, from.clone(), message))
                })?);
                graph.add(Constant { tensor }.into(), vec![real], from.clone()).result(0)
            }
        };
        if bias.is_none() {
            shared = Some(new);
        }
        graph.connect(new, user, operand);
        changed = true;
    }
    Ok(changed)
}

/// The int8 elements that float32 weights were dequantized from; the parameters are still with them.
fn quantized_again(tensor: &Tensor, quant: Option<&QuantParams>) -> Option<Tensor> {
    let (real, quant) = (tensor.as_f32()?, quant?);
    let stride = quant.axis.and_then(|a| tensor.shape.strides().get(a).copied()).unwrap_or(1);
    let scales = quant.scales.len().max(1);
    let one = |(i, &x): (usize, &f32)| {
        let channel = i / stride.max(1) % scales;
        let (scale, zero) = (*quant.scales.get(channel)?, *quant.zero_points.get(channel)?);
        let q = Rounding::HalfAway.quantize_i8(x, scale, zero);
        (dequantize_one(i32::from(q), scale, zero).to_bits() == (x + 0.0).to_bits()).then_some(q)
    };
    let data: Option<Vec<i8>> = real.iter().enumerate().map(one).collect();
    Some(Tensor { shape: tensor.shape.clone(), data: TensorData::I8(data?) })
}

/// Readers that multiply by the constant get it as int8 behind a Dequantize.
fn store_quantized(graph: &mut Graph, of: ValueId, value: &Value, q: Tensor, from: Origin) -> bool {
    let weights = |op: &Op| {
        matches!(op, Op::BatchMatmul(_)) || matches!(op.quant_rule(), QuantRule::Weights { .. })
    };
    let users = graph.users(of).into_iter();
    let readers: Vec<(NodeId, usize)> = users
        .filter(|(user, i)| *i == 1 && graph.get(*user).is_some_and(|n| weights(&n.op)))
        .collect();
    if readers.is_empty() {
        return false;
    }
    let stored = Value { ty: q.ty(), ..value.clone() };
    let real = Value { quant: None, ..value.clone() };
    let q = graph.add(Constant { tensor: Arc::new(q) }.into(), vec![stored], from.clone());
    let new = graph.add_with(Dequantize.into(), &[q.result(0)], vec![real], from);
    for (user, operand) in readers {
        graph.connect(new.result(0), user, operand);
    }
    true
}

/// A bias has the scale of the sums it is added to, input times weights; what the file says about it is
/// not asked, here as in the kernels.
fn bias_quantization(graph: &Graph, user: NodeId, operand: usize) -> Option<QuantParams> {
    let op = &graph.get(user)?.op;
    let QuantRule::Weights { .. } = op.quant_rule() else { return None };
    if operand != 2 {
        return None;
    }
    let operands = graph.operands(user);
    let of = |i: usize| operands.get(i).and_then(|&v| graph.value(v)).and_then(|v| v.quant.clone());
    let (x, w) = (of(0)?, of(1)?);
    let scales: Vec<f32> =
        w.scales.iter().map(|&s| (f64::from(s) * f64::from(x.scale())) as f32).collect();
    let axis = (scales.len() > 1).then_some(0);
    Some(QuantParams { zero_points: vec![0; scales.len()], scales, axis, rounding: x.rounding })
}

/// scale * (q - zero point), one scale per index of the axis or one for all.
fn real_numbers(tensor: &Tensor, quant: &QuantParams) -> Option<Tensor> {
    let q = tensor.to_i64()?;
    let stride = quant.axis.and_then(|a| tensor.shape.strides().get(a).copied()).unwrap_or(1);
    let scales = quant.scales.len().max(1);
    let real = q.iter().enumerate().map(|(i, &q)| {
        let channel = i / stride.max(1) % scales;
        let scale = quant.scales.get(channel).copied().unwrap_or(1.0);
        let zero = quant.zero_points.get(channel).copied().unwrap_or(0);
        // An int32 minus a zero point is exact in double.
        ((q as f64 - f64::from(zero)) * f64::from(scale)) as f32
    });
    Some(Tensor { shape: tensor.shape.clone(), data: TensorData::F32(real.collect()) })
}

/// A Dequantize of an activation is nothing any more, nor is the other spelling of the same number; a
/// Dequantize of a constant stays.
fn dequantize(graph: &mut Graph, id: NodeId) -> bool {
    let Some(&operand) = graph.operands(id).first() else { return false };
    let is_real = graph.value(operand).is_some_and(|v| v.ty.dtype == DType::F32);
    if is_real {
        graph.replace_uses(id.result(0), operand);
    }
    is_real
}

/// An operator with quantized results, or an input.
fn activation(graph: &mut Graph, id: NodeId, keep_rounding: bool) -> bool {
    let Some(node) = graph.get(id) else { return false };
    let count = node.results.len();
    let is_move = node.op.quant_rule() == QuantRule::SameAsInput;
    if let Op::Quantize(_) = node.op {
        return quantize(graph, id, keep_rounding);
    }
    let mut changed = false;
    for result in (0..count).map(|r| id.result(r)) {
        let Some(value) = graph.value(result).cloned() else { continue };
        let Some(quant) = quantization(&value).cloned() else { continue };
        changed = true;
        let ty = TensorType::new(DType::F32, value.ty.shape.clone());
        if let Some(value) = graph.value_mut(result) {
            value.ty = ty.clone();
            value.quant = None;
        }
        if let Some(node) = graph.get_mut(id)
            && let Op::Input(input) = &mut node.op
        {
            input.ty = ty;
        }
        if keep_rounding && !is_move && value.ty.dtype.size() == 1 {
            round(graph, result, &value, quant);
        }
    }
    changed
}

/// The largest number of a range that begins at zero, where quantizing is what limits a value to it:
/// quantizers leave out a ReLU, ReLU6 or Clip whose limits are those of the range.
fn limit(graph: &Graph, value: ValueId, quant: Option<&QuantParams>) -> Option<f32> {
    let quant = quant.filter(|q| q.zero_point() == i32::from(i8::MIN))?;
    let op = &graph.get(value.node)?.op;
    let is_positive = matches!(op, Op::Relu(_) | Op::Logistic(_) | Op::Softmax(_) | Op::Input(_));
    (!is_positive).then(|| 255.0 * quant.scale())
}

/// A value limited to 0 and `most`.
fn limited(graph: &mut Graph, x: ValueId, like: Value, most: f32, from: &Origin) -> ValueId {
    if (most - 6.0).abs() < 1e-5 {
        let op = Relu { kind: Activation::Relu6 };
        return graph.add_with(op.into(), &[x], vec![like], from.clone()).result(0);
    }
    let name = format!("{}/limit", like.name);
    let tensor = Tensor { shape: Shape(vec![]), data: TensorData::F32(vec![most]) };
    let constant = Value { name: name.clone(), ty: tensor.ty(), quant: None };
    let op = Constant { tensor: Arc::new(tensor) };
    let most = graph.add(op.into(), vec![constant], from.clone()).result(0);
    let op = Relu { kind: Activation::Relu };
    let positive = Value { name: format!("{}/positive", like.name), ..like.clone() };
    let positive = graph.add_with(op.into(), &[x], vec![positive], from.clone()).result(0);
    graph.add_with(Minimum.into(), &[positive, most], vec![like], from.clone()).result(0)
}

/// Quantized values that somebody reads as the integers they are stored as.
fn taken_for_integers(graph: &Graph) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let is_move =
            matches!(node.op, Op::FlipSign(_)) || node.op.quant_rule() == QuantRule::SameAsInput;
        // Whether its bytes stand for real numbers; `None` where they are no bytes.
        let real = |v: ValueId| {
            let value = graph.value(v).filter(|v| matches!(v.ty.dtype, DType::I8 | DType::U8))?;
            Some(value.quant.is_some())
        };
        let (from, to) = (graph.operands(id).first().and_then(|&v| real(v)), real(id.result(0)));
        if is_move && from.zip(to).is_some_and(|(from, to)| from != to) {
            let message = "its bytes are plain integers on one side of it and stand for real numbers on \
                           the other, with which this target computes";
            let d = Diagnostic::new(Code::UnsupportedOperator, node.origin.clone(), message);
            problems.push(d.help(
                "put what computes with the integers behind a DequantizeLinear, or use target c or rust",
            ));
        }
    }
    problems
}

/// An operand whose elements count as other numbers in the result: TFLite operators that move or compare
/// elements do not rescale, and an ONNX file may read one value with two sets of parameters.
struct Relabelled {
    node: NodeId,
    operand: usize,
    from: (f32, i32),
    to: (f32, i32),
}

fn relabelled(graph: &Graph) -> Vec<Relabelled> {
    let of = |v: ValueId| {
        let q = graph.value(v).and_then(quantization)?;
        (q.scales.len() == 1).then(|| (q.scale(), q.zero_point()))
    };
    let mut found = Vec::new();
    for node in graph.schedule() {
        let moves = graph.get(node).is_some_and(|n| n.op.quant_rule() == QuantRule::SameAsInput);
        let Some(to) = of(node.result(0)).filter(|_| moves) else { continue };
        let operands = graph.operands(node).into_iter().enumerate();
        let other = operands.filter_map(|(i, v)| Some((i, of(v).filter(|from| *from != to)?)));
        found.extend(other.map(|(operand, from)| Relabelled { node, operand, from, to }));
    }
    found
}

/// The same number of steps on the scale of the result: x * (to / from) + (zero points apart) * to.
fn relabel(graph: &mut Graph, what: &Relabelled) {
    let ((from, from_zero), (to, to_zero)) = (what.from, what.to);
    let Some(&x) = graph.operands(what.node).get(what.operand) else { return };
    let Some(value) = graph.value(x).cloned() else { return };
    let at = origin(graph, what.node);
    let offset = f64::from(from_zero - to_zero) * f64::from(to);
    let steps: [(Op, f64, &str); 2] = [
        (Mul { activation: Activation::None }.into(), f64::from(to) / f64::from(from), "scaled"),
        (Add { activation: Activation::None }.into(), offset, "shifted"),
    ];
    let mut x = x;
    for (op, number, name) in steps {
        let name = format!("{}/{name}", value.name);
        let tensor = Tensor { shape: Shape(vec![]), data: TensorData::F32(vec![number as f32]) };
        let constant = Value { name: format!("{name}/by"), ty: tensor.ty(), quant: None };
        let tensor = Arc::new(tensor);
        let by = graph.add(Constant { tensor }.into(), vec![constant], at.clone()).result(0);
        let result = Value { name, ty: value.ty.clone(), quant: None };
        x = graph.add_with(op, &[x, by], vec![result], at.clone()).result(0);
    }
    graph.connect(x, what.node, what.operand);
}

/// Quantize: nothing, or with a Dequantize behind it.
fn quantize(graph: &mut Graph, id: NodeId, keep_rounding: bool) -> bool {
    let Some(&operand) = graph.operands(id).first() else { return false };
    let Some(value) = graph.value(id.result(0)).cloned() else { return false };
    if keep_rounding {
        let readers = graph.users(id.result(0));
        // A pair already, as quantizers write them into ONNX files.
        let is_output = graph.outputs().contains(&id.result(0));
        if !is_output
            && readers
                .iter()
                .all(|(u, _)| matches!(graph.get(*u).map(|n| &n.op), Some(Op::Dequantize(_))))
        {
            return false;
        }
        let ty = TensorType::new(DType::F32, value.ty.shape.clone());
        let real = Value { ty, quant: None, ..value };
        let from = origin(graph, id);
        let new = graph.add_with(Dequantize.into(), &[id.result(0)], vec![real], from).result(0);
        redirect(graph, id.result(0), new, &readers);
        return true;
    }
    if let Some(most) = limit(graph, operand, value.quant.as_ref()) {
        let ty = TensorType::new(DType::F32, value.ty.shape.clone());
        let real = Value { ty, quant: None, ..value };
        let from = origin(graph, id);
        let new = limited(graph, operand, real, most, &from);
        graph.replace_uses(id.result(0), new);
        return true;
    }
    graph.replace_uses(id.result(0), operand);
    true
}

/// Inserts a Quantize and a Dequantize behind a value.
fn round(graph: &mut Graph, at: ValueId, was: &Value, quant: QuantParams) {
    let quant = if was.ty.dtype == DType::U8 { quant.below() } else { quant };
    let readers = graph.users(at);
    let from = origin(graph, at.node);
    let quantized = Value {
        name: format!("{}/quantized", was.name),
        ty: TensorType::new(DType::I8, was.ty.shape.clone()),
        quant: Some(quant.half_even()),
    };
    let real = Value {
        name: was.name.clone(),
        ty: TensorType::new(DType::F32, was.ty.shape.clone()),
        quant: None,
    };
    let q = graph.add_with(Quantize.into(), &[at], vec![quantized], from.clone());
    let new = graph.add_with(Dequantize.into(), &[q.result(0)], vec![real], from).result(0);
    redirect(graph, at, new, &readers);
}

/// Lets `readers` of `old`, and the outputs, read `new`.
fn redirect(graph: &mut Graph, old: ValueId, new: ValueId, readers: &[(NodeId, usize)]) {
    for &(user, operand) in readers {
        graph.connect(new, user, operand);
    }
    graph.replace_output(old, new);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use crate::numeric::Activation;
    use crate::op::{FullyConnected, Input, Maximum};

    /// y = x w + b with int8 x, w and y; the bias says nothing about its scale.
    fn layer() -> Graph {
        let mut graph = Graph::new();
        let value = |name: &str, dtype, dims: &[usize], quant: Option<QuantParams>| Value {
            name: name.into(),
            ty: TensorType::new(dtype, dims.into()),
            quant,
        };
        let per_tensor = |scale, zero| Some(QuantParams::per_tensor(scale, zero));
        let x = value("x", DType::I8, &[1, 2], per_tensor(0.5, 3));
        let x = graph.add(Input { ty: x.ty.clone() }.into(), vec![x], Origin::default()).result(0);
        let quant = QuantParams {
            scales: vec![0.25, 2.0],
            zero_points: vec![0, 0],
            axis: Some(0),
            ..QuantParams::per_tensor(1.0, 0)
        };
        let constant = |graph: &mut Graph, value: Value, data| {
            let tensor = Arc::new(Tensor { shape: value.ty.shape.clone(), data });
            graph.add(Constant { tensor }.into(), vec![value], Origin::default()).result(0)
        };
        let w = value("w", DType::I8, &[2, 2], Some(quant));
        let w = constant(&mut graph, w, TensorData::I8(vec![1, -2, 3, 4]));
        let b = value("b", DType::I32, &[2], None);
        let b = constant(&mut graph, b, TensorData::I32(vec![8, -1]));
        let op = FullyConnected { activation: Activation::None, keep_dims: false };
        let y = value("y", DType::I8, &[1, 2], per_tensor(0.75, -5));
        let y = graph.add_with(op.into(), &[x, w, b], vec![y], Origin::default()).result(0);
        graph.set_outputs(vec![y]);
        graph
    }

    fn run_on(pass: Pass, x: [f32; 2]) -> (Graph, Vec<f32>) {
        let mut graph = layer();
        crate::pass::run_all(&mut graph, &[pass]).expect("valid");
        let x = Tensor { shape: Shape(vec![1, 2]), data: TensorData::F32(x.to_vec()) };
        let y = evaluate::run(&graph, &[x]).expect("runs");
        let y = y[0].as_f32().expect("real numbers").to_vec();
        (graph, y)
    }

    #[test]
    fn values_become_real_and_weights_stay_int8() {
        let (graph, y) = run_on(DROP, [1.5, -2.5]);
        // Bias scales are 0.5 * 0.25 and 0.5 * 2.
        assert_eq!(y, [1.5 * 0.25 + 2.5 * 0.5 + 1.0, 1.5 * 6.0 - 2.5 * 8.0 - 1.0]);
        let stored = graph.nodes().into_iter().filter_map(|id| graph.get(id));
        let int8 = stored.filter(|n| n.results[0].ty.dtype == DType::I8).count();
        assert_eq!(int8, 1, "{}", crate::graph::text::print(&graph));
    }

    /// Maximum compares raw elements whatever their scales, so its real form takes them for the same
    /// number of steps on the result's scale.
    #[test]
    fn elements_read_as_other_numbers_are_converted() {
        let mut graph = Graph::new();
        let value = |scale, zero| Value {
            name: format!("{scale}"),
            ty: TensorType::new(DType::I8, [1, 4].as_slice().into()),
            quant: Some(QuantParams::per_tensor(scale, zero)),
        };
        let mut input = |v: Value| {
            graph.add(Input { ty: v.ty.clone() }.into(), vec![v], Origin::default()).result(0)
        };
        let (a, b) = (input(value(0.5, 3)), input(value(0.25, -7)));
        let y = graph.add_with(Maximum.into(), &[a, b], vec![value(2.0, 1)], Origin::default());
        graph.set_outputs(vec![y.result(0)]);
        let q: [[i8; 4]; 2] = [[-128, 5, 0, 127], [4, -9, 127, 126]];
        let int8 = |q: [i8; 4]| Tensor { shape: Shape(vec![1, 4]), data: TensorData::I8(q.into()) };
        let want = evaluate::run(&graph, &q.map(int8)).expect("runs");
        let want = real_numbers(&want[0], &QuantParams::per_tensor(2.0, 1)).expect("integers");
        crate::pass::run_all(&mut graph, &[DROP]).expect("valid");
        let reals = [
            real_numbers(&int8(q[0]), &QuantParams::per_tensor(0.5, 3)).expect("integers"),
            real_numbers(&int8(q[1]), &QuantParams::per_tensor(0.25, -7)).expect("integers"),
        ];
        assert_eq!(evaluate::run(&graph, &reals).expect("runs"), [want]);
    }

    /// A range from zero on is what a quantizer leaves of ReLU6 or Clip.
    #[test]
    fn ranges_that_begin_at_zero_limit() {
        for (most, names) in [(6.0f32, vec!["Relu"]), (1.0, vec!["Relu", "Minimum"])] {
            let mut graph = Graph::new();
            let ty = TensorType::new(DType::F32, [1, 4].as_slice().into());
            let value = |dtype, quant| Value {
                name: "v".into(),
                ty: TensorType::new(dtype, ty.shape.clone()),
                quant,
            };
            let input = Input { ty: ty.clone() };
            let x = graph.add(input.into(), vec![value(DType::F32, None)], Origin::default());
            let op = crate::op::Neg;
            let x = graph.add_with(
                op.into(),
                &[x.result(0)],
                vec![value(DType::F32, None)],
                Origin::default(),
            );
            let quant = QuantParams::per_tensor(most / 255.0, -128).half_even();
            let q = value(DType::I8, Some(quant));
            let q = graph.add_with(Quantize.into(), &[x.result(0)], vec![q], Origin::default());
            let y = value(DType::F32, None);
            let y = graph.add_with(Dequantize.into(), &[q.result(0)], vec![y], Origin::default());
            graph.set_outputs(vec![y.result(0)]);
            crate::pass::run_all(&mut graph, &[DROP]).expect("valid");
            let data = TensorData::F32(vec![-9.0, -0.5, 0.0, 2.0]);
            let y = evaluate::run(&graph, &[Tensor { shape: ty.shape, data }]).expect("runs");
            assert_eq!(y[0].as_f32().expect("real"), [most, 0.5, 0.0, 0.0]);
            let all = graph.schedule().into_iter().filter_map(|id| Some(graph.get(id)?.op.name()));
            let limits = |n: &&str| matches!(*n, "Relu" | "Minimum");
            assert_eq!(all.filter(limits).collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn rounding_is_kept_where_it_was() {
        let (_, y) = run_on(KEEP, [1.4, -2.3]);
        // x is rounded to multiples of 0.5, y to multiples of 0.75 in -92.25..=99: ties go to even.
        let sums: [f32; 2] = [1.5 * 0.25 + 2.5 * 0.5 + 1.0, 1.5 * 6.0 - 2.5 * 8.0 - 1.0];
        assert_eq!(y, sums.map(|v| (v / 0.75).round_ties_even() * 0.75));
    }

    #[test]
    fn dequantized_weights_are_found_again() {
        let q = Tensor { shape: Shape(vec![2, 2]), data: TensorData::I8(vec![-128, 0, 5, 127]) };
        let quant = QuantParams {
            scales: vec![0.013, 1.7e-4],
            zero_points: vec![0, 3],
            axis: Some(1),
            ..QuantParams::per_tensor(1.0, 0)
        };
        let real = real_numbers(&q, &quant).expect("integers");
        assert_eq!(quantized_again(&real, Some(&quant)), Some(q));
        let other = Tensor { data: TensorData::F32(vec![0.1; 4]), ..real };
        assert_eq!(quantized_again(&other, Some(&quant)), None);
    }
}
