//! `tinycc verify`: the emitted code, built and run on this machine, against given outputs or against
//! the reference evaluator. The only part of the library that starts processes.

mod compare;
mod host;
pub mod npy;
mod random;

use crate::compiler::Compiler;
use crate::report::json;
use crate::table::{Align, Table};
pub use compare::Comparison;
use npy::Array;
use serde::Serialize;
use tinycc_core::diagnostic::Diagnostics;
use tinycc_core::evaluate;
use tinycc_core::graph::verify::is_data;
use tinycc_core::graph::{Graph, ValueId};
use tinycc_core::op::Op;
use tinycc_core::{DType, Tensor, TensorType};

/// What to compare.
#[derive(Clone, Debug)]
pub struct Request {
    /// One array per model input; empty: seeded random inputs.
    pub inputs: Vec<Array>,
    /// One array per model output; empty: the reference evaluator.
    pub expect: Vec<Array>,
    /// Number of random input sets.
    pub samples: usize,
    /// Seed of the random inputs.
    pub seed: u64,
    /// Compare every intermediate value instead of the outputs; always against the evaluator.
    pub layers: bool,
    /// Tolerance of float32 results: `atol + rtol * |expected|`.
    pub rtol: f64,
    /// See `rtol`.
    pub atol: f64,
    /// Tolerance of integer results.
    pub steps: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            expect: Vec::new(),
            samples: 10,
            seed: 0,
            layers: false,
            rtol: 1e-5,
            atol: 1e-5,
            steps: 0,
        }
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The model does not compile, or cannot be evaluated.
    #[error(transparent)]
    Model(#[from] Diagnostics),
    /// Arrays that do not fit the model.
    #[error("{0}")]
    Arrays(String),
    /// No compiler for the target's language.
    #[error("cannot start the compiler \"{command}\": {reason}; set {variable} to another one")]
    NoCompiler {
        /// Program name.
        command: String,
        /// Environment variable that names another one.
        variable: &'static str,
        /// Reason.
        reason: std::io::Error,
    },
    /// The compiler refuses the emitted code, which is a defect of tinycc.
    #[error("\"{command}\" does not accept the emitted code; please report this:\n{messages}")]
    Build {
        /// Command without paths.
        command: String,
        /// Its messages.
        messages: String,
    },
    /// The built program fails.
    #[error("{0}")]
    Run(String),
}

/// The result.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// Model file as given.
    pub model: String,
    /// Number of input sets.
    pub samples: usize,
    /// What it was compared with.
    pub against: String,
    /// Per output, or per layer in execution order.
    pub outputs: Vec<Comparison>,
}

impl Verification {
    /// Everything exact or within the tolerance.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outputs.iter().all(Comparison::passed)
    }

    /// The first output or layer outside the tolerance.
    #[must_use]
    pub fn first_difference(&self) -> Option<&Comparison> {
        self.outputs.iter().find(|c| !c.passed())
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        let layers = self.outputs.iter().any(|c| !c.layer.is_empty());
        let first = if layers { "layer" } else { "" };
        let mut table = Table::new(&[
            (first, Align::Left),
            ("tensor", Align::Left),
            ("type", Align::Left),
            ("result", Align::Left),
        ]);
        for c in &self.outputs {
            table.row(vec![c.layer.clone(), short(&c.name), c.output.clone(), c.verdict()]);
        }
        let summary = match self.first_difference() {
            None => "passed".to_string(),
            Some(c) if layers => format!("FAILED, first at {} \"{}\"", c.layer, c.name),
            Some(c) => format!("FAILED, output \"{}\"", c.name),
        };
        // Without layers the first column is empty.
        let lines: Vec<String> =
            table.to_string().lines().map(|l| l.trim_start().to_string()).collect();
        let body = if layers { table.to_string() } else { lines.join("\n") + "\n" };
        format!("{body}\n{} input sets against {}: {summary}\n", self.samples, self.against)
    }

    /// Pretty-printed JSON with a final newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        json(self)
    }
}

/// Compiles for the host, runs, compares. `progress` hears one short line per step.
///
/// # Errors
/// Anything that keeps the comparison from taking place; a difference is not an error.
pub fn verify(
    compiler: &Compiler<'_>,
    request: &Request,
    progress: &mut dyn FnMut(&str),
) -> Result<Verification, VerifyError> {
    compiler.emits_code()?;
    let mut graph = compiler.graph()?;
    if request.layers {
        graph.set_outputs(all_values(&graph));
    }
    let input_values: Vec<ValueId> = graph.inputs().iter().map(|n| n.result(0)).collect();
    let (input_types, output_types) =
        (types(&graph, &input_values), types(&graph, graph.outputs()));
    let sets = input_sets(&graph, request, &input_values, &input_types)?;
    let expected = expectation(&graph, request, &sets, &output_types)?;
    progress("compiling");
    let mut options = compiler.options().clone();
    // The host has no budget, and runs the portable spelling of every kernel.
    (options.max_arena, options.max_flash) = (None, None);
    options.examples = vec!["host".into()];
    // The example has to build without cargo.
    (options.package, options.runtime) = Default::default();
    let output = compiler.with_options(options).compile_graph(graph.clone())?;
    progress("building with the system's compiler");
    let program = host::Program::build(&output.artifacts)?;
    progress("running");
    let got = program.run(&sets, &output_types)?;
    let mut outputs = comparisons(&graph, request.layers);
    for (k, set) in sets.iter().enumerate() {
        let want = match &expected {
            Some(expected) => expected[k].clone(),
            None => {
                progress(&format!("evaluating input set {} of {}", k + 1, sets.len()));
                evaluate::run(&graph, set)?
            }
        };
        for (o, comparison) in outputs.iter_mut().enumerate() {
            comparison.add(&got[k][o], &want[o], request);
        }
    }
    let against =
        if expected.is_some() { "the expected outputs" } else { "the reference evaluator" };
    let model = compiler.file_name().to_string();
    Ok(Verification { model, samples: sets.len(), against: against.into(), outputs })
}

/// Results of all operators that depend on an input, in execution order. Of a model that says by
/// Dequantize and Quantize what is quantized, the floats between them are left out, except outputs:
/// asking for them would change the code, as they do not exist where layers compute in integers.
fn all_values(graph: &Graph) -> Vec<ValueId> {
    let is =
        |f: fn(&Op) -> bool| graph.nodes().iter().filter_map(|&id| graph.get(id)).any(|n| f(&n.op));
    let quantized =
        is(|op| matches!(op, Op::Quantize(_))) && is(|op| matches!(op, Op::Dequantize(_)));
    let exists = |v: ValueId| {
        let is_float = graph.value(v).is_some_and(|v| v.ty.dtype == DType::F32);
        !(quantized && is_float) || graph.outputs().contains(&v)
    };
    let mut varying = std::collections::BTreeSet::new();
    let mut values = Vec::new();
    for id in graph.schedule() {
        let Some(node) = graph.get(id) else { continue };
        let is_input = matches!(node.op, Op::Input(_));
        if is_input || graph.operands(id).iter().any(|v| varying.contains(&v.node)) {
            varying.insert(id);
        }
        if varying.contains(&id) && !is_data(&node.op) {
            values.extend((0..node.results.len()).map(|r| id.result(r)).filter(|&v| exists(v)));
        }
    }
    values
}

fn types(graph: &Graph, values: &[ValueId]) -> Vec<TensorType> {
    values.iter().filter_map(|&v| graph.value(v)).map(|v| v.ty.clone()).collect()
}

fn comparisons(graph: &Graph, layers: bool) -> Vec<Comparison> {
    let comparison = |(v, name): (ValueId, &str)| {
        let (value, node) = (graph.value(v)?, graph.get(v.node)?);
        let layer = match node.origin.index {
            Some(index) if layers => format!("{index} {}", node.origin.operator),
            _outputs => String::new(),
        };
        Some(Comparison {
            name: name.to_string(),
            layer,
            output: value.ty.to_string(),
            elements: 0,
            different: 0,
            outside: 0,
            max_difference: 0.0,
        })
    };
    graph.named_outputs().filter_map(comparison).collect()
}

/// Splits one array per port into sets: `result[k][port]`.
fn split_sets(
    arrays: &[Array],
    types: &[TensorType],
    names: &[String],
    what: &str,
) -> Result<Vec<Vec<Tensor>>, VerifyError> {
    let wrong = |message: String| VerifyError::Arrays(message);
    if arrays.len() != types.len() {
        let (given, has) = (arrays.len(), types.len());
        return Err(wrong(format!("{given} {what} arrays given, the model has {has}: {names:?}")));
    }
    let mut columns = Vec::new();
    for ((array, ty), name) in arrays.iter().zip(types).zip(names) {
        let samples = array.samples(ty).map_err(|m| wrong(format!("{what} \"{name}\": {m}")))?;
        columns.push(samples);
    }
    let n = columns.first().map_or(0, Vec::len);
    if n == 0 || columns.iter().any(|c| c.len() != n) {
        let counts: Vec<usize> = columns.iter().map(Vec::len).collect();
        return Err(wrong(format!("the {what} arrays have {counts:?} samples")));
    }
    Ok((0..n).map(|k| columns.iter().map(|c| c[k].clone()).collect()).collect())
}

/// A tensor name that fits a table: converters join the names of fused nodes to hundreds of characters.
fn short(name: &str) -> String {
    const LONGEST: usize = 48;
    let name = name.escape_debug().to_string();
    if name.chars().count() <= LONGEST {
        return name;
    }
    name.chars().take(LONGEST - 3).chain("...".chars()).collect()
}

fn names(graph: &Graph, values: &[ValueId]) -> Vec<String> {
    values.iter().filter_map(|&v| graph.value(v)).map(|v| v.name.clone()).collect()
}

fn output_names(graph: &Graph) -> Vec<String> {
    graph.named_outputs().map(|(_, name)| name.to_string()).collect()
}

fn input_sets(
    graph: &Graph,
    request: &Request,
    values: &[ValueId],
    types: &[TensorType],
) -> Result<Vec<Vec<Tensor>>, VerifyError> {
    if !request.inputs.is_empty() {
        return split_sets(&request.inputs, types, &names(graph, values), "input");
    }
    if !request.expect.is_empty() {
        let message = "expected outputs belong to inputs: give the inputs too";
        return Err(VerifyError::Arrays(message.into()));
    }
    let mut random = random::Random::new(request.seed);
    // A model without inputs has one result.
    let n = if types.is_empty() { 1 } else { request.samples };
    Ok((0..n).map(|_| types.iter().map(|ty| random.tensor(ty)).collect()).collect())
}

fn expectation(
    graph: &Graph,
    request: &Request,
    sets: &[Vec<Tensor>],
    types: &[TensorType],
) -> Result<Option<Vec<Vec<Tensor>>>, VerifyError> {
    if request.expect.is_empty() || request.layers {
        return Ok(None);
    }
    let expected = split_sets(&request.expect, types, &output_names(graph), "output")?;
    if expected.len() != sets.len() {
        let (outputs, inputs) = (expected.len(), sets.len());
        let message = format!("{outputs} expected samples for {inputs} input samples");
        return Err(VerifyError::Arrays(message));
    }
    Ok(Some(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_layer_is_named() {
        let row = |layer: &str, outside| Comparison {
            name: format!("t{layer}"),
            layer: layer.into(),
            output: "int8[4]".into(),
            elements: 4,
            different: outside,
            outside,
            max_difference: outside as f64,
        };
        let outputs = vec![row("0 ADD", 0), row("3 MUL", 2), row("4 SUB", 1)];
        let v = Verification { model: "m".into(), samples: 1, against: "x".into(), outputs };
        assert!(!v.passed());
        assert_eq!(v.first_difference().map(|c| c.layer.as_str()), Some("3 MUL"));
        assert!(v.to_text().contains("FAILED, first at 3 MUL \"t3 MUL\""), "{}", v.to_text());
    }
}
