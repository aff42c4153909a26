//! If, Loop and Scan: compiled code has no graphs inside of graphs, so one branch is chosen or both
//! are computed, and iterations are unrolled.

use super::inner::Body;
use super::node::{Refusal, Results, Site};
use super::read::Reader;
use super::scope::LOOP_BODY;
use crate::graph::ValueId;
use crate::op::{Concat, Op, OpError, Range, Slice};
use crate::tensor::{Shape, Tensor, TensorData};
use onnx_protobuf::GraphProto;

/// Reads a node with graphs inside.
type FlowFn = fn(&mut Reader<'_>, &Site<'_>) -> Results;

/// ONNX name, and first opset of the definition that is read, sorted by name.
const FLOW: &[(&str, i64, FlowFn)] = &[
    ("If", 1, choose),
    ("Loop", 1, unroll),
    ("Scan", 9, scan),
    ("ai.onnx.preview::FlexAttention", 1, super::flex::attention),
];

/// Names of the operators with graphs inside, and the first opset they are read in.
pub fn operators() -> impl Iterator<Item = (&'static str, i64)> {
    FLOW.iter().map(|(name, since, _)| (*name, *since))
}

/// The reader of an operator with graphs inside.
#[must_use]
pub(super) fn find(name: &str, opset: i64) -> Option<FlowFn> {
    FLOW.iter().find(|(n, since, _)| *n == name && *since <= opset).map(|(_, _, read)| *read)
}

impl<'s> Site<'s> {
    fn operand(&self, i: usize) -> Result<ValueId, OpError> {
        let operand = self.operands.get(i).copied().flatten();
        operand.ok_or_else(|| OpError::invalid(format!("operand {i} is missing")))
    }

    fn graph(&self, name: &str) -> Result<&'s GraphProto, OpError> {
        let graph = self.scope.attributes(self.node).graph(name)?;
        graph.ok_or_else(|| OpError::invalid(format!("attribute \"{name}\" is missing")))
    }

    /// Operands from `first` on, none left out.
    fn rest(&self, first: usize) -> Result<Vec<ValueId>, OpError> {
        (first..self.operands.len()).map(|i| self.operand(i)).collect()
    }
}

/// One constant number; `None` when it is computed at run time.
fn number(reader: &Reader<'_>, value: ValueId) -> Result<Option<i64>, OpError> {
    let Some(Op::Constant(c)) = reader.graph.get(value.node).map(|n| &n.op) else {
        return Ok(None);
    };
    match c.tensor.to_i64().as_deref() {
        Some(&[one]) => Ok(Some(one)),
        _other => {
            Err(OpError::invalid("a condition or count should be one integer or truth value"))
        }
    }
}

/// What a user can do about a value that is needed now and known at run time only: bind the inputs
/// it comes from.
fn bind(reader: &Reader<'_>, value: ValueId, error: OpError) -> OpError {
    let (mut seen, mut open) = (std::collections::BTreeSet::new(), vec![value.node]);
    let mut names = Vec::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if let Some(node) = reader.graph.get(id).filter(|n| matches!(n.op, Op::Input(_))) {
            names.extend(node.results.iter().map(|v| format!("--input-value {}=VALUE", v.name)));
        }
        open.extend(reader.graph.operands(id).into_iter().map(|v| v.node));
    }
    names.sort();
    error.help(format!("make it constant: {}", names.join(" ")))
}

/// If with a constant condition is that branch. Otherwise both are computed and every result is
/// chosen, element by element.
fn choose(reader: &mut Reader<'_>, site: &Site<'_>) -> Results {
    let condition = site.operand(0)?;
    let (yes, no) = (site.graph("then_branch")?, site.graph("else_branch")?);
    let known = number(reader, condition)?;
    let branch = |reader: &mut Reader<'_>, is_then: bool| {
        let (part, graph) = if is_then { ("then_branch", yes) } else { ("else_branch", no) };
        reader.body(site, part, &Body::of(graph), &[])
    };
    if let Some(condition) = known {
        return branch(reader, condition != 0);
    }
    // Both are read, so that all of their problems are reported.
    let (a, b) = (branch(reader, true), branch(reader, false));
    let (a, b) = (a?, b?);
    if a.len() != b.len() {
        return Err(OpError::invalid("its branches have different numbers of outputs").into());
    }
    let condition = reader.builder(site).reshape(condition, Vec::new())?;
    let mut results = Vec::new();
    for (x, y) in a.into_iter().zip(b) {
        results.push(if x == y { x } else { select(reader, site, condition, x, y)? });
    }
    Ok(results)
}

fn select(
    reader: &mut Reader<'_>,
    site: &Site<'_>,
    condition: ValueId,
    x: ValueId,
    y: ValueId,
) -> Result<ValueId, OpError> {
    let build = reader.builder(site);
    let (tx, ty) = (build.ty(x), build.ty(y));
    if tx != ty {
        let message = format!(
            "its condition is computed at run time, and its branches give {tx} and {ty}: only \
             results of one type can be chosen then"
        );
        return Err(bind(reader, condition, OpError::unsupported(message)));
    }
    let operands = vec![Some(condition), Some(x), Some(y)];
    match reader.apply(site, "Where", operands, 1) {
        Ok(results) => results.first().copied().ok_or_else(|| OpError::invalid("no result")),
        Err(error) => {
            let message =
                format!("its condition is computed at run time, and then {}", error.message);
            Err(bind(reader, condition, OpError { message, ..error }))
        }
    }
}

/// A constant of one element without dimensions.
fn scalar(reader: &mut Reader<'_>, site: &Site<'_>, data: TensorData) -> Result<ValueId, OpError> {
    let tensor = Tensor::new(Shape(Vec::new()), data);
    let tensor = tensor.ok_or_else(|| OpError::invalid("a scalar has one element"))?;
    Ok(reader.builder(site).constant(tensor))
}

/// Loop with a trip count and conditions that are known while reading.
fn unroll(reader: &mut Reader<'_>, site: &Site<'_>) -> Results {
    let graph = site.graph(LOOP_BODY)?;
    let body = Body::of(graph);
    let optional = |i: usize| site.operands.get(i).copied().flatten();
    let limit = match optional(0) {
        None => i64::MAX,
        Some(count) => number(reader, count)?.ok_or_else(|| {
            let error = OpError::unsupported("its trip count is computed at run time");
            bind(reader, count, error)
        })?,
    };
    let at_run_time = |reader: &Reader<'_>, value, what: String| {
        bind(
            reader,
            value,
            OpError::unsupported(format!("its condition {what}is computed at run time")),
        )
    };
    let mut goes_on = match optional(1) {
        None => true,
        Some(v) => number(reader, v)?.ok_or_else(|| at_run_time(reader, v, String::new()))? != 0,
    };
    let mut carried = site.rest(2)?;
    let count = carried.len();
    let Some(scans) = graph.output.len().checked_sub(1 + count) else {
        let message =
            format!("its body has {} outputs, {count} values are carried", graph.output.len());
        return Err(OpError::invalid(message).into());
    };
    let mut stacks: Vec<Vec<ValueId>> = vec![Vec::new(); scans];
    let mut i = 0;
    while goes_on && i < limit {
        reader.iteration(graph.node.len())?;
        let mut inputs = vec![scalar(reader, site, TensorData::I64(vec![i]))?];
        inputs.push(scalar(reader, site, TensorData::Bool(vec![1]))?);
        inputs.append(&mut carried);
        let mut results = reader.body(site, LOOP_BODY, &body, &inputs)?.into_iter();
        if let Some(condition) = results.next() {
            goes_on = number(reader, condition)?
                .ok_or_else(|| at_run_time(reader, condition, format!("after iteration {i} ")))?
                != 0;
        }
        carried.extend(results.by_ref().take(count));
        stacks.iter_mut().zip(results).for_each(|(stack, value)| stack.push(value));
        i += 1;
    }
    for (k, stack) in stacks.iter().enumerate() {
        let is_used = site.node.output.get(count + k).is_some_and(|name| !name.is_empty());
        match stacked(reader, site, stack, 0)? {
            Some(value) => carried.push(value),
            None if is_used => {
                let message = "it runs no iteration, so its stacked outputs have no elements";
                return Err(OpError::unsupported(message).into());
            }
            None => break,
        }
    }
    Ok(carried)
}

/// The values of all iterations along a new axis; `None` of none.
fn stacked(
    reader: &mut Reader<'_>,
    site: &Site<'_>,
    values: &[ValueId],
    axis: i64,
) -> Result<Option<ValueId>, OpError> {
    let mut build = reader.builder(site);
    let Some(&first) = values.first() else { return Ok(None) };
    let axis = wrapped(axis, build.shape(first).len() + 1)?;
    let mut slices = Vec::with_capacity(values.len());
    for &value in values {
        let mut dims = build.shape(value);
        if axis > dims.len() {
            return Err(OpError::invalid("its iterations give results of different ranks"));
        }
        dims.insert(axis, 1);
        slices.push(build.reshape(value, dims)?);
    }
    match slices.as_slice() {
        [one] => Ok(Some(*one)),
        all => build.add(Concat { axis }, all).map(Some),
    }
}

fn wrapped(axis: i64, rank: usize) -> Result<usize, OpError> {
    let at = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(at)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| OpError::invalid(format!("axis {axis} does not exist in {rank} dimensions")))
}

/// Scan over operands of known extents, without the batch that opset 8 had.
fn scan(reader: &mut Reader<'_>, site: &Site<'_>) -> Results {
    let graph = site.graph(LOOP_BODY)?;
    let body = Body::of(graph);
    let attributes = site.scope.attributes(site.node);
    let operands = site.rest(0)?;
    let scanned = attributes.int("num_scan_inputs")?.and_then(|n| usize::try_from(n).ok());
    let states = scanned.filter(|&n| n > 0).and_then(|n| operands.len().checked_sub(n));
    let states = states.ok_or_else(|| {
        OpError::invalid("attribute \"num_scan_inputs\" is missing or not possible")
    })?;
    let (states, inputs) = operands.split_at(states);
    let Some(scans) = graph.output.len().checked_sub(states.len()) else {
        let (have, want) = (graph.output.len(), states.len());
        let message = format!("its body has {have} outputs, {want} states");
        return Err(OpError::invalid(message).into());
    };
    let list = |name: &str, n: usize| -> Result<Vec<i64>, OpError> {
        match attributes.ints(name)? {
            None => Ok(vec![0; n]),
            Some(given) if given.len() == n => Ok(given.to_vec()),
            Some(given) => {
                let have = given.len();
                Err(OpError::invalid(format!("attribute \"{name}\" has {have} numbers, not {n}")))
            }
        }
    };
    let axes = list("scan_input_axes", inputs.len())?;
    let backwards = list("scan_input_directions", inputs.len())?;
    let out_axes = list("scan_output_axes", scans)?;
    let out_backwards = list("scan_output_directions", scans)?;
    let mut sources = Vec::new();
    for ((&value, axis), backwards) in inputs.iter().zip(axes).zip(backwards) {
        let axis = wrapped(axis, reader.builder(site).shape(value).len())?;
        sources.push(Source { value, axis, is_backwards: backwards != 0 });
    }
    let steps = steps(reader, site, &sources)?;
    let mut carried = states.to_vec();
    let mut stacks: Vec<Vec<ValueId>> = vec![Vec::new(); scans];
    for step in 0..steps {
        reader.iteration(graph.node.len() + sources.len())?;
        let count = carried.len();
        for source in &sources {
            carried.push(source.at(reader, site, step)?);
        }
        let mut results = reader.body(site, LOOP_BODY, &body, &carried)?.into_iter();
        carried.clear();
        carried.extend(results.by_ref().take(count));
        stacks.iter_mut().zip(results).for_each(|(stack, value)| stack.push(value));
    }
    for ((mut stack, axis), backwards) in stacks.into_iter().zip(out_axes).zip(out_backwards) {
        if backwards != 0 {
            stack.reverse();
        }
        let value = stacked(reader, site, &stack, axis)?;
        carried.push(value.ok_or_else(|| OpError::unsupported("it scans no elements"))?);
    }
    Ok(carried)
}

/// An operand that is scanned.
struct Source {
    value: ValueId,
    axis: usize,
    is_backwards: bool,
}

/// Steps of a scan: the extent that all scanned operands have along their axes.
fn steps(reader: &mut Reader<'_>, site: &Site<'_>, sources: &[Source]) -> Result<usize, Refusal> {
    let build = reader.builder(site);
    let extents: Vec<usize> =
        sources.iter().filter_map(|s| build.shape(s.value).get(s.axis).copied()).collect();
    match extents.split_first() {
        Some((&first, rest)) if rest.iter().all(|&e| e == first) => Ok(first),
        _differ => {
            Err(OpError::invalid(format!("its scanned operands have extents {extents:?}")).into())
        }
    }
}

impl Source {
    /// The slice of one step, without the scanned axis.
    fn at(
        &self,
        reader: &mut Reader<'_>,
        site: &Site<'_>,
        step: usize,
    ) -> Result<ValueId, OpError> {
        let mut build = reader.builder(site);
        let mut dims = build.shape(self.value);
        let whole = |&extent: &usize| Range { begin: 0, step: 1, size: extent };
        let mut ranges: Vec<Range> = dims.iter().map(whole).collect();
        if let Some(range) = ranges.get_mut(self.axis) {
            let begin = if self.is_backwards { range.size.saturating_sub(step + 1) } else { step };
            *range = Range { begin, step: 1, size: 1 };
            dims.remove(self.axis);
        }
        build.add(Slice { ranges, shape: Shape(dims) }, &[self.value])
    }
}

#[cfg(test)]
mod tests {
    use crate::format::onnx::testing::models::{
        attribute, body, floats, graph, input, int, ints, longs, model, node, output, read, run,
    };
    use crate::tensor::DType;
    use onnx_protobuf::{GraphProto, ModelProto, NodeProto};

    fn outputs(names: &[&str]) -> Vec<onnx_protobuf::ValueInfoProto> {
        names.iter().map(|n| output(n)).collect()
    }

    /// One node that gives `results`, in a graph with the float input `x` of two elements and the
    /// integer constants `three`, `yes`.
    fn around(mut flow: NodeProto, results: &[&str]) -> ModelProto {
        flow.output = results.iter().map(|n| (*n).to_string()).collect();
        let cast = attribute(node("Cast", &["one"], &["yes"]), int("to", 9));
        let mut g = graph(vec![cast, flow], vec![input("x", &[2])], outputs(results));
        g.initializer = vec![longs("three", &[], &[3]), longs("one", &[], &[1])];
        model(17, g)
    }

    fn branch(op: &str, result: &str) -> GraphProto {
        graph(vec![node(op, &["x"], &[result])], Vec::new(), outputs(&[result]))
    }

    fn if_node(condition: &str, yes: GraphProto, no: GraphProto) -> NodeProto {
        let node = node("If", &[condition], &[]);
        attribute(attribute(node, body("then_branch", yes)), body("else_branch", no))
    }

    const X: &[(&[usize], &[f32])] = &[(&[2], &[-1.0, 2.0])];

    #[test]
    fn a_constant_condition_chooses_a_branch_and_the_other_is_not_looked_at() {
        let m = around(if_node("yes", branch("Neg", "a"), branch("Nothing", "a")), &["y"]);
        assert_eq!(run(&m, X).expect("reads")[0].as_f32(), Some(&[1.0, -2.0][..]));
        let m = around(if_node("yes", branch("Nothing", "a"), branch("Neg", "a")), &["y"]);
        let message = read(&m).expect_err("unknown");
        let place = "node 1 If \"y\", then_branch node 0 Nothing: operator Nothing of opset 17";
        assert!(message.contains(place), "{message}");
    }

    #[test]
    fn branches_that_differ_need_a_condition() {
        let mut wide = branch("Neg", "a");
        wide.node.push(attribute(node("Concat", &["a", "a"], &["b"]), int("axis", 0)));
        wide.output = outputs(&["b"]);
        let mut m = around(if_node("c", wide, branch("Neg", "a")), &["y"]);
        let g = m.graph.as_mut().expect("graph");
        g.input.push(input("flag", &[1]));
        g.node.insert(0, attribute(node("Cast", &["flag"], &["c"]), int("to", 9)));
        let message = read(&m).expect_err("refused");
        assert!(message.contains("its branches give float32[4] and float32[2]"), "{message}");
        assert!(message.contains("help: make it constant: --input-value flag=VALUE"), "{message}");
    }

    /// Adds `x` to the carried value, stacks it, and ends by the condition `i < limit`.
    fn loop_node(trips: &str, limit: i64) -> NodeProto {
        let mut g = graph(
            vec![
                node("Add", &["v", "x"], &["sum"]),
                node("Less", &["i", "limit"], &["go"]),
                node("Identity", &["sum"], &["scan"]),
            ],
            outputs(&["i", "c", "v"]),
            outputs(&["go", "sum", "scan"]),
        );
        g.initializer = vec![longs("limit", &[], &[limit])];
        attribute(node("Loop", &[trips, "", "x"], &[]), body("body", g))
    }

    #[test]
    fn loops_are_unrolled_and_stacked() {
        let m = around(loop_node("three", 100), &["v", "all"]);
        let results = run(&m, X).expect("reads");
        assert_eq!(results[0].as_f32(), Some(&[-4.0, 8.0][..]));
        assert_eq!(results[1].shape.0, [3, 2]);
        assert_eq!(results[1].as_f32(), Some(&[-2.0, 4.0, -3.0, 6.0, -4.0, 8.0][..]));
        // The condition ends it after iteration 1.
        let m = around(loop_node("", 1), &["v", "all"]);
        assert_eq!(run(&m, X).expect("reads")[1].shape.0, [2, 2]);
        let m = around(loop_node("", i64::MAX), &["v", "all"]);
        let message = read(&m).expect_err("endless");
        assert!(message.contains("node 1 Loop \"v\": unrolled, the loops"), "{message}");
        let mut m = around(loop_node("n", 100), &["v", "all"]);
        m.graph.as_mut().expect("graph").initializer.push(longs("n", &[], &[0]));
        assert!(read(&m).expect_err("nothing").contains("it runs no iteration"));
    }

    #[test]
    fn constants_of_a_loop_exist_once() {
        let nodes = vec![
            attribute(node("Transpose", &["w"], &["t"]), ints("perm", &[1, 0])),
            node("MatMul", &["v", "t"], &["p"]),
            node("Identity", &["c"], &["go"]),
        ];
        let mut g = graph(nodes, outputs(&["i", "c", "v"]), outputs(&["go", "p"]));
        g.initializer = vec![floats("w", &[2, 2], &[0.0, 2.0, 1.0, 0.0])];
        let m = around(attribute(node("Loop", &["three", "", "x"], &[]), body("body", g)), &["v"]);
        let read = read(&m).expect("reads");
        let constants = read.nodes().into_iter().filter_map(|id| read.get(id)).filter(|n| {
            matches!(n.op, crate::op::Op::Constant(_)) && n.results[0].ty.dtype == DType::F32
        });
        assert_eq!(constants.count(), 1);
        assert_eq!(run(&m, X).expect("reads")[0].as_f32(), Some(&[8.0, -2.0][..]));
    }

    #[test]
    fn run_time_counts_and_hostile_nests_are_refused() {
        let mut m = around(loop_node("n", 100), &["v", "all"]);
        let g = m.graph.as_mut().expect("graph");
        g.input.push(input("count", &[]));
        g.node.insert(0, attribute(node("Cast", &["count"], &["n"]), int("to", 7)));
        let message = read(&m).expect_err("run time");
        assert!(
            message.contains("node 2 Loop \"v\": its trip count is computed at run time"),
            "{message}"
        );
        assert!(message.contains("--input-value count=VALUE"), "{message}");
        // 1000 * 1000 * 1000 iterations.
        let mut inner = graph(
            vec![node("Identity", &["c"], &["go"])],
            outputs(&["i", "c", "v"]),
            outputs(&["go", "v"]),
        );
        for _ in 0..3 {
            let mut nested = attribute(node("Loop", &["n", "", "v"], &["w"]), body("body", inner));
            nested.name = "nested".into();
            inner = graph(
                vec![nested, node("Identity", &["c"], &["go"])],
                outputs(&["i", "c", "v"]),
                outputs(&["go", "w"]),
            );
        }
        let nest = attribute(node("Loop", &["n", "", "x"], &[]), body("body", inner));
        let mut m = around(nest, &["y"]);
        m.graph.as_mut().expect("graph").initializer.push(longs("n", &[], &[1000]));
        let message = read(&m).expect_err("too many");
        assert!(
            message.contains("unrolled, the loops of the model have over 4096 nodes"),
            "{message}"
        );
        assert!(
            message.contains("body node 0 Loop \"nested\", body node 0 Loop \"nested\""),
            "{message}"
        );
    }

    #[test]
    fn scans_follow_axes_and_directions() {
        let nodes = vec![node("Add", &["s", "e"], &["t"]), node("Neg", &["t"], &["out"])];
        let g = graph(nodes, outputs(&["s", "e"]), outputs(&["t", "out"]));
        let scan = |extra: &[(&str, i64)]| {
            let mut scan = node("Scan", &["zero", "rows"], &[]);
            scan = attribute(attribute(scan, int("num_scan_inputs", 1)), body("body", g.clone()));
            for (name, value) in extra {
                scan = attribute(scan, ints(name, &[*value]));
            }
            let mut m = around(scan, &["last", "all"]);
            let inner = m.graph.as_mut().expect("graph");
            inner.initializer.push(floats("zero", &[2], &[0.0, 0.0]));
            inner.node.insert(0, attribute(node("Concat", &["x", "x"], &["r"]), int("axis", 0)));
            inner.initializer.push(longs("shape", &[2], &[2, 2]));
            inner.node.insert(1, node("Reshape", &["r", "shape"], &["rows"]));
            run(&m, X)
                .map(|r| (r[0].as_f32().map(<[f32]>::to_vec), r[1].as_f32().map(<[f32]>::to_vec)))
        };
        let given = |last: [f32; 2], all: [f32; 4]| Ok((Some(last.to_vec()), Some(all.to_vec())));
        assert_eq!(scan(&[]), given([-2.0, 4.0], [1.0, -2.0, 2.0, -4.0]));
        let columns = [("scan_input_axes", 1), ("scan_output_axes", -1)];
        assert_eq!(scan(&columns), given([1.0, 1.0], [1.0, -1.0, 1.0, -1.0]));
        let back =
            [("scan_input_axes", 1), ("scan_input_directions", 1), ("scan_output_directions", 1)];
        assert_eq!(scan(&back), given([1.0, 1.0], [-1.0, -1.0, -2.0, -2.0]));
        let error = scan(&[("scan_input_axes", 5)]).expect_err("axis");
        assert!(error.contains("axis 5 does not exist in 2 dimensions"), "{error}");
    }
}
