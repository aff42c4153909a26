//! Moves transposes towards the outputs until they meet and cancel, end in weights, or move no data.
//! Readers of channels-first formats set one before and one after each spatial operator; inside a
//! network none of them is left.

use super::Pass;
use crate::diagnostic::{Diagnostics, Origin};
use crate::graph::{Graph, NodeId, Value, ValueId};
use crate::op::{
    Concat, Constant, FullyConnected, Mean, Op, Operator, Pad, ReduceAttributes, ReduceMax,
    ReduceMin, ReduceProd, Reshape, Signature, Slice, Split, Sum, Transpose, ValueInfo,
};
use crate::tensor::{Shape, Tensor, TensorType};
use std::sync::Arc;

/// The pass.
pub const PASS: Pass = Pass {
    name: "layout",
    about: "move transposes until they cancel, end in weights or at an output",
    run,
};

/// Each round moves every transpose by one operator at least, so a graph needs no more rounds than
/// it has operators in a row.
const MAX_ROUNDS: usize = 10_000;

fn run(graph: &mut Graph) -> Result<usize, Diagnostics> {
    let mut total = 0;
    for _ in 0..MAX_ROUNDS {
        let mut changes = 0;
        for id in graph.schedule() {
            changes += usize::from(rewrite(graph, id).is_some());
        }
        graph.remove_dead();
        total += changes;
        if changes == 0 {
            break;
        }
    }
    Ok(total)
}

/// One rewrite of one node, `None` when there is none.
fn rewrite(graph: &mut Graph, id: NodeId) -> Option<()> {
    let op = graph.get(id)?.op.clone();
    if op.is_elementwise() {
        return unary(graph, id).or_else(|| broadcasting(graph, id));
    }
    if let Op::Transpose(t) = &op {
        return merge(graph, id, &t.permutation);
    }
    if let Op::Concat(c) = &op {
        return concat(graph, id, c.axis);
    }
    if let Op::Pad(p) = &op {
        return pad(graph, id, p);
    }
    if let Op::Slice(s) = &op {
        return slice(graph, id, s);
    }
    if let Op::Split(s) = &op {
        return split(graph, id, s);
    }
    if let Op::FullyConnected(f) = &op {
        return fully_connected(graph, id, f);
    }
    if let Op::Reshape(r) = &op {
        return merge_reshapes(graph, id, &r.shape);
    }
    reduction(graph, id, op)
}

/// Everything that is not listed here or above keeps the order of its operands' dimensions.
fn reduction(graph: &mut Graph, id: NodeId, op: Op) -> Option<()> {
    if let Op::Mean(a) = op {
        return reduce(graph, id, a.0, |a| Mean(a).into());
    }
    if let Op::Sum(a) = op {
        return reduce(graph, id, a.0, |a| Sum(a).into());
    }
    if let Op::ReduceMax(a) = op {
        return reduce(graph, id, a.0, |a| ReduceMax(a).into());
    }
    if let Op::ReduceMin(a) = op {
        return reduce(graph, id, a.0, |a| ReduceMin(a).into());
    }
    let Op::ReduceProd(a) = op else { return None };
    reduce(graph, id, a.0, |a| ReduceProd(a).into())
}

/// What a value is a transpose of, and how: its dimension `i` is dimension `p[i]` of that.
fn transposed(graph: &Graph, value: ValueId) -> Option<(ValueId, Vec<usize>)> {
    let Op::Transpose(t) = &graph.get(value.node)?.op else { return None };
    Some((*graph.operands(value.node).first()?, t.permutation.clone()))
}

fn inverse(p: &[usize]) -> Vec<usize> {
    let mut out = vec![0; p.len()];
    for (i, &j) in p.iter().enumerate() {
        out[j] = i;
    }
    out
}

/// Extents such that transposing them by `p` gives `shape`.
fn before(shape: &Shape, p: &[usize]) -> Shape {
    Shape(inverse(p).into_iter().map(|i| shape.0[i]).collect())
}

/// A constant with permuted dimensions.
fn permute(tensor: &Tensor, permutation: &[usize]) -> Option<Tensor> {
    let op = Transpose { permutation: permutation.to_vec() };
    let ty = tensor.ty();
    let operand = ValueInfo { name: "", ty: &ty, quant: None, constant: None };
    let mut signature = Signature { operands: vec![operand], results: Vec::new() };
    let result = op.infer(&signature).ok()?;
    signature.results =
        vec![ValueInfo { name: "", ty: result.first()?, quant: None, constant: None }];
    op.eval(&signature, &[tensor]).ok()?.pop()
}

fn origin(graph: &Graph, id: NodeId) -> Origin {
    graph.get(id).map(|n| n.origin.clone()).unwrap_or_default()
}

fn constant(graph: &mut Graph, like: &Value, tensor: Tensor, origin: Origin) -> ValueId {
    let value = Value { name: like.name.clone(), ty: tensor.ty(), quant: like.quant.clone() };
    let op = Constant { tensor: Arc::new(tensor) };
    graph.add(op.into(), vec![value], origin).result(0)
}

/// Replaces `id` by `op` on `operands`, each of its results transposed by `p`.
fn sink(graph: &mut Graph, id: NodeId, op: Op, operands: &[ValueId], p: &[usize]) -> Option<()> {
    let node = graph.get(id)?;
    let (results, origin) = (node.results.clone(), node.origin.clone());
    let inner = results
        .iter()
        .map(|v| Value { ty: TensorType::new(v.ty.dtype, before(&v.ty.shape, p)), ..v.clone() })
        .collect();
    let new = graph.add_with(op, operands, inner, origin.clone());
    for (r, value) in results.into_iter().enumerate() {
        let op = Transpose { permutation: p.to_vec() };
        let t = graph.add_with(op.into(), &[new.result(r)], vec![value], origin.clone());
        graph.replace_uses(id.result(r), t.result(0));
    }
    Some(())
}

/// Two transposes in a row are one; one that moves no data is a reshape or nothing.
fn merge(graph: &mut Graph, id: NodeId, p: &[usize]) -> Option<()> {
    let operand = *graph.operands(id).first()?;
    if p.iter().copied().eq(0..p.len()) {
        let result = id.result(0);
        let is_used = !graph.users(result).is_empty() || graph.outputs().contains(&result);
        graph.replace_uses(result, operand);
        return is_used.then_some(());
    }
    let (value, origin) = (graph.get(id)?.results.first()?.clone(), origin(graph, id));
    let (source, permutation) = match transposed(graph, operand) {
        Some((x, q)) => (x, p.iter().map(|&i| q[i]).collect::<Vec<_>>()),
        None => {
            let dims = &graph.value(operand)?.ty.shape.0;
            let moved: Vec<usize> = p.iter().copied().filter(|&i| dims[i] != 1).collect();
            if !moved.is_sorted() {
                return None;
            }
            let op = Reshape { shape: value.ty.shape.clone() };
            let new = graph.add_with(op.into(), &[operand], vec![value], origin);
            graph.replace_uses(id.result(0), new.result(0));
            return Some(());
        }
    };
    let new = graph.add_with(Transpose { permutation }.into(), &[source], vec![value], origin);
    graph.replace_uses(id.result(0), new.result(0));
    Some(())
}

fn unary(graph: &mut Graph, id: NodeId) -> Option<()> {
    let operands = graph.operands(id);
    let [x] = operands.as_slice() else { return None };
    let (source, p) = transposed(graph, *x)?;
    let op = graph.get(id)?.op.clone();
    sink(graph, id, op, &[source], &p)
}

/// All operands transposed alike, but for constant ones and scalars.
fn broadcasting(graph: &mut Graph, id: NodeId) -> Option<()> {
    let operands = graph.operands(id);
    let p = operands.iter().find_map(|&v| transposed(graph, v))?.1;
    // Broadcasting aligns the last dimensions: a shorter transposed operand would align anew.
    if graph.get(id)?.results.first()?.ty.shape.rank() != p.len() {
        return None;
    }
    let mut sources = Vec::new();
    for &value in &operands {
        let source = match transposed(graph, value) {
            Some((source, q)) => (q == p).then_some(source),
            None if graph.value(value)?.ty.shape.rank() == 0 => Some(value),
            None => constant_before(graph, id, value, &p),
        };
        sources.push(source?);
    }
    let op = graph.get(id)?.op.clone();
    sink(graph, id, op, &sources, &p)
}

/// The constant that, transposed by `p`, broadcasts as `value` does.
fn constant_before(graph: &mut Graph, id: NodeId, value: ValueId, p: &[usize]) -> Option<ValueId> {
    let Op::Constant(c) = &graph.get(value.node)?.op else { return None };
    let like = graph.value(value)?.clone();
    if like.quant.as_ref().is_some_and(|q| q.scales.len() > 1) {
        return None;
    }
    let mut tensor = c.tensor.as_ref().clone();
    let missing = p.len().checked_sub(tensor.shape.rank())?;
    let mut dims = vec![1; missing];
    dims.extend(&tensor.shape.0);
    tensor.shape = Shape(dims);
    let tensor = permute(&tensor, &inverse(p))?;
    let origin = origin(graph, id);
    Some(constant(graph, &like, tensor, origin))
}

fn concat(graph: &mut Graph, id: NodeId, axis: usize) -> Option<()> {
    let operands = graph.operands(id);
    let p = operands.iter().find_map(|&v| transposed(graph, v))?.1;
    let mut sources = Vec::new();
    for &v in &operands {
        let source = match transposed(graph, v) {
            Some((source, q)) => (q == p).then_some(source),
            None => constant_before(graph, id, v, &p),
        };
        sources.push(source?);
    }
    sink(graph, id, Concat { axis: p[axis] }.into(), &sources, &p)
}

fn pad(graph: &mut Graph, id: NodeId, op: &Pad) -> Option<()> {
    let mut operands = graph.operands(id);
    let (source, p) = transposed(graph, *operands.first()?)?;
    operands[0] = source;
    let back = inverse(&p);
    let pick = |amounts: &[usize]| back.iter().map(|&i| amounts[i]).collect();
    let op = Pad { before: pick(&op.before), after: pick(&op.after) };
    sink(graph, id, op.into(), &operands, &p)
}

/// Only slices that keep all dimensions; others would renumber them.
fn slice(graph: &mut Graph, id: NodeId, op: &Slice) -> Option<()> {
    let (source, p) = transposed(graph, *graph.operands(id).first()?)?;
    if !op.shape.0.iter().copied().eq(op.ranges.iter().map(|r| r.size)) {
        return None;
    }
    let ranges = inverse(&p).into_iter().map(|i| op.ranges[i]).collect();
    let op = Slice { ranges, shape: before(&op.shape, &p) };
    sink(graph, id, op.into(), &[source], &p)
}

fn split(graph: &mut Graph, id: NodeId, op: &Split) -> Option<()> {
    let (source, p) = transposed(graph, *graph.operands(id).first()?)?;
    let op = Split { axis: p[op.axis], sizes: op.sizes.clone() };
    sink(graph, id, op.into(), &[source], &p)
}

fn reduce(
    graph: &mut Graph,
    id: NodeId,
    attributes: ReduceAttributes,
    op: fn(ReduceAttributes) -> Op,
) -> Option<()> {
    let (source, p) = transposed(graph, *graph.operands(id).first()?)?;
    let gone = |i: &usize| attributes.axes.contains(i);
    let mut axes: Vec<usize> = attributes.axes.iter().map(|&a| p[a]).collect();
    axes.sort_unstable();
    let rest = if attributes.keep_dims {
        p.clone()
    } else {
        // Numbers of the remaining dimensions among themselves.
        let kept: Vec<usize> = (0..p.len()).filter(|i| !gone(i)).map(|i| p[i]).collect();
        kept.iter().map(|&d| kept.iter().filter(|&&e| e < d).count()).collect()
    };
    let keep_dims = attributes.keep_dims;
    sink(graph, id, op(ReduceAttributes { axes, keep_dims }), &[source], &rest)
}

/// Rows flattened after a transpose: the columns of constant weights take the order of the data.
fn fully_connected(graph: &mut Graph, id: NodeId, op: &FullyConnected) -> Option<()> {
    let mut operands = graph.operands(id);
    let flat = *operands.first()?;
    let Op::Reshape(_) = graph.get(flat.node)?.op else { return None };
    let (source, p) = transposed(graph, *graph.operands(flat.node).first()?)?;
    let weights = *operands.get(1)?;
    let Op::Constant(c) = &graph.get(weights.node)?.op else { return None };
    let dims = graph.value(source)?.ty.shape.0.clone();
    let flat_ty = graph.value(flat)?.ty.clone();
    let (out, depth) = (*c.tensor.shape.0.first()?, *c.tensor.shape.0.get(1)?);
    let rows_stay = p.first() == Some(&0) && flat_ty.shape.0 == [*dims.first()?, depth];
    if !rows_stay || dims[1..].iter().product::<usize>() != depth {
        return None;
    }
    let mut tensor = c.tensor.as_ref().clone();
    tensor.shape = Shape(std::iter::once(out).chain(p[1..].iter().map(|&i| dims[i])).collect());
    let mut tensor = permute(&tensor, &inverse(&p))?;
    tensor.shape = Shape(vec![out, depth]);
    let (like, origin) = (graph.value(weights)?.clone(), origin(graph, id));
    operands[1] = constant(graph, &like, tensor, origin.clone());
    let value = graph.value(flat)?.clone();
    let shape = flat_ty.shape;
    let rows = graph.add_with(Reshape { shape }.into(), &[source], vec![value], origin.clone());
    operands[0] = rows.result(0);
    let results = graph.get(id)?.results.clone();
    let new = graph.add_with(op.clone().into(), &operands, results, origin);
    graph.replace_uses(id.result(0), new.result(0));
    Some(())
}

/// A reshape of a reshape needs only the last shape.
fn merge_reshapes(graph: &mut Graph, id: NodeId, shape: &Shape) -> Option<()> {
    let operand = *graph.operands(id).first()?;
    let Op::Reshape(_) = graph.get(operand.node)?.op else { return None };
    let source = *graph.operands(operand.node).first()?;
    let (value, origin) = (graph.get(id)?.results.first()?.clone(), origin(graph, id));
    let op = Reshape { shape: shape.clone() };
    let new = graph.add_with(op.into(), &[source], vec![value], origin);
    graph.replace_uses(id.result(0), new.result(0));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use crate::geometry::Padding;
    use crate::numeric::Activation;
    use crate::op::{Add, Compare, Conv2d, Input, Relation, Relu, Select, Softmax};
    use crate::tensor::{DType, TensorData};

    const LAST: [usize; 4] = [0, 2, 3, 1];
    const FIRST: [usize; 4] = [0, 3, 1, 2];

    struct Net(Graph);

    impl Net {
        fn input(&mut self, dims: &[usize]) -> ValueId {
            let ty = TensorType::new(DType::F32, dims.into());
            let value = Value { name: "x".into(), ty: ty.clone(), quant: None };
            self.0.add(Input { ty }.into(), vec![value], Origin::default()).result(0)
        }

        fn constant(&mut self, dims: &[usize]) -> ValueId {
            let data = (0..dims.iter().product()).map(|i: usize| (i * 7 % 11) as f32 - 5.0);
            let tensor = Tensor::new(dims.into(), TensorData::F32(data.collect())).expect("fits");
            let like = Value { name: "c".into(), ty: tensor.ty(), quant: None };
            constant(&mut self.0, &like, tensor, Origin::default())
        }

        fn add(&mut self, op: impl Into<Op>, operands: &[ValueId]) -> ValueId {
            // Some operators look at the quantization of their results before they are known.
            let unknown = self.0.value(operands[0]).expect("operand").clone();
            let id = self.0.add_with(op.into(), operands, vec![unknown], Origin::default());
            let op = self.0.get(id).expect("added").op.clone();
            let types = op.infer(&self.0.signature(id)).expect("fits");
            let value = |ty| Value { name: "y".into(), ty, quant: None };
            self.0.get_mut(id).expect("added").results = types.into_iter().map(value).collect();
            id.result(0)
        }

        fn transpose(&mut self, x: ValueId, p: &[usize]) -> ValueId {
            self.add(Transpose { permutation: p.to_vec() }, &[x])
        }

        /// A 3x3 convolution of a channels-first value, as a reader writes it.
        fn conv(&mut self, x: ValueId, channels: usize) -> ValueId {
            let inputs = self.0.value(x).expect("value").ty.shape.0[1];
            let w = self.constant(&[channels, 3, 3, inputs]);
            let x = self.transpose(x, &LAST);
            let (stride, dilation) = ((1, 1), (1, 1));
            let (padding, activation) = (Padding::Same, Activation::None);
            let y = self.add(Conv2d { stride, dilation, padding, activation }, &[x, w]);
            self.transpose(y, &FIRST)
        }

        fn relu(&mut self, x: ValueId) -> ValueId {
            self.add(Relu { kind: Activation::Relu }, &[x])
        }

        /// Runs the passes; the values are the same and `left` transposes remain.
        fn check(mut self, outputs: &[ValueId], left: usize) -> Graph {
            self.0.set_outputs(outputs.to_vec());
            let inputs: Vec<Tensor> = self
                .0
                .inputs()
                .iter()
                .map(|n| {
                    let ty = &self.0.value(n.result(0)).expect("input").ty;
                    let data = (0..ty.shape.elements()).map(|i| (i * 5 % 13) as f32 - 6.0);
                    Tensor::new(ty.shape.clone(), TensorData::F32(data.collect())).expect("fits")
                })
                .collect();
            let want = evaluate::run(&self.0, &inputs).expect("runs");
            crate::pass::run_all(&mut self.0, &[PASS]).expect("valid");
            assert_eq!(evaluate::run(&self.0, &inputs).expect("runs"), want);
            let nodes = self.0.nodes();
            let count = nodes
                .iter()
                .filter(|&&n| matches!(self.0.get(n).expect("node").op, Op::Transpose(_)))
                .count();
            assert_eq!(count, left, "{}", crate::graph::text::print(&self.0));
            self.0
        }
    }

    /// Whichever value an output becomes, the model's caller knows it by the model's name.
    #[test]
    fn outputs_keep_their_names() {
        let mut n = Net(Graph::new());
        let x = n.input(&[1, 3, 4, 5]);
        let y = n.conv(x, 4);
        let y = n.transpose(y, &LAST);
        n.0.value_mut(y).expect("value").name = "logits".into();
        let graph = n.check(&[y], 1);
        let names: Vec<&str> = graph.named_outputs().map(|(_, name)| name).collect();
        assert_eq!(names, ["logits"]);
    }

    #[test]
    fn residual_network_keeps_one_transpose_at_the_input() {
        let mut n = Net(Graph::new());
        let x = n.input(&[1, 3, 4, 5]);
        let a = n.conv(x, 4);
        let a = n.relu(a);
        let b = n.conv(a, 4);
        let scale = n.constant(&[4, 1, 1]);
        let b = n.add(crate::op::Mul { activation: Activation::None }, &[b, scale]);
        let sum = n.add(Add { activation: Activation::None }, &[a, b]);
        let axes = ReduceAttributes { axes: vec![2, 3], keep_dims: false };
        let mean = n.add(Mean(axes), &[sum]);
        let y = n.add(Softmax { beta: 1.0 }, &[mean]);
        n.check(&[y], 1);
    }

    #[test]
    fn choices_let_transposes_through() {
        let mut n = Net(Graph::new());
        let x = n.input(&[1, 3, 4, 5]);
        let a = n.conv(x, 4);
        let limit = n.constant(&[4, 1, 1]);
        let above = n.add(Compare { relation: Relation::Greater }, &[a, limit]);
        let zero = n.constant(&[]);
        let chosen = n.add(Select, &[above, a, zero]);
        let y = n.conv(chosen, 2);
        // One at the input, one at the output.
        n.check(&[y], 2);
    }

    #[test]
    fn flattened_features_reorder_the_weights() {
        let mut n = Net(Graph::new());
        let x = n.input(&[2, 1, 3, 4]);
        let features = n.conv(x, 5);
        let flat = n.add(Reshape { shape: Shape(vec![2, 60]) }, &[features]);
        let w = n.constant(&[7, 60]);
        let op = FullyConnected { activation: Activation::None, keep_dims: false };
        let y = n.add(op, &[flat, w]);
        // One input channel: what is left of its transpose is a reshape.
        n.check(&[y], 0);
    }

    #[test]
    fn joins_parts_and_pads_follow_their_axis() {
        let mut n = Net(Graph::new());
        let x = n.input(&[1, 1, 4, 5]);
        let (a, b) = (n.conv(x, 2), n.conv(x, 3));
        let joined = n.add(Concat { axis: 1 }, &[a, b]);
        let pads = (vec![0, 1, 0, 2], vec![0, 0, 3, 0]);
        let padded = n.add(Pad { before: pads.0, after: pads.1 }, &[joined]);
        let parts = n.add(Split { axis: 1, sizes: vec![2, 4] }, &[padded]);
        let range = |begin, step, size| crate::op::Range { begin, step, size };
        let ranges = vec![range(0, 1, 1), range(1, 1, 1), range(6, -2, 3), range(0, 3, 2)];
        let op = Slice { ranges, shape: Shape(vec![1, 1, 3, 2]) };
        let part = n.add(op, &[parts]);
        let back = n.conv(part, 2);
        // Only the one at the output is left.
        n.check(&[back], 1);
    }

    #[test]
    fn short_operands_keep_their_alignment() {
        let mut n = Net(Graph::new());
        let x = n.input(&[2, 3]);
        let y = n.input(&[1, 3, 3, 2]);
        let t = n.transpose(x, &[1, 0]);
        let sum = n.add(Add { activation: Activation::None }, &[t, y]);
        n.check(&[sum], 1);
    }
}
