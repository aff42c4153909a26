//! Targets. Each turns a legal graph into files in memory; none touches the disk. Targets for kernels
//! print the kernel IR as a language; targets for graphs write the graph in another format.
//!
//! One module per target, plus `boards/` with example firmware as data.

pub mod c;
mod constants;
mod estimate;
mod manifest;
pub mod openvino;
pub mod rust;

use std::collections::BTreeMap;
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use tinycc_core::graph::Graph;
use tinycc_core::kir::{KernelBuilder, Module};
use tinycc_core::lower::{self, Core, Legal};
use tinycc_core::op::{Op, Signature};
use tinycc_core::pass::Pass;
use tinycc_core::{DType, QuantParams, SmallType, TensorType};

/// Emitted files: relative path -> bytes, in path order.
pub type Artifacts = BTreeMap<String, Vec<u8>>;

/// A target's answer about one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// Has a kernel of its own.
    Native,
    /// Expressed by other operators: the name of the pass that does it, or what stands in its place.
    Decompose(String),
    /// Not expressible, with the reason.
    No(String),
}

/// Where the run-time functions of emitted code come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// The part that is used stands in the emitted file.
    #[default]
    Embedded,
    /// The emitted code depends on the crate `tinycc-rt`.
    Crate,
}

/// What emission needs to know besides the graph.
#[derive(Clone, Debug, Default)]
pub struct EmitOptions {
    /// C identifier that prefixes everything emitted, for example `kws`.
    pub name: String,
    /// Processor to specialise for.
    pub core: Core,
    /// Example programs to add, by the names in [`Target::examples`].
    pub examples: Vec<String>,
    /// The user's options as they should appear in the manifest.
    pub options: BTreeMap<String, String>,
    /// Model file name for comments and the manifest (no directories: output must not depend on
    /// where the model lies).
    pub source: String,
    /// Emit a whole package around the module (Rust only).
    pub package: bool,
    /// Source of the run-time functions (Rust only).
    pub runtime: Runtime,
    /// Keep all constants inside the source file instead of a side file (Rust only).
    pub inline_weights: bool,
    /// Form of an OpenVINO file.
    pub openvino: openvino::FileOptions,
}

/// What emission yields besides files.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The files.
    pub artifacts: Artifacts,
    /// What they hold, for the report.
    pub product: Product,
}

/// What was made, with the numbers that only this kind of product has.
#[derive(Clone, Debug)]
pub enum Product {
    /// Code that runs by itself.
    Program(Program),
    /// A file that another run-time executes.
    Network(Network),
}

/// Emitted code.
#[derive(Clone, Debug)]
pub struct Program {
    /// The kernel IR it was printed from.
    pub module: Module,
    /// Estimated bytes of machine code (constants not included).
    pub code_bytes: usize,
    /// Upper estimate of the stack one invocation needs, in bytes.
    pub stack_bytes: usize,
}

/// An emitted network.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Inputs in model order, as the file has them.
    pub inputs: Vec<NetworkPort>,
    /// Outputs in model order, as the file has them.
    pub outputs: Vec<NetworkPort>,
    /// Operators in execution order.
    pub steps: Vec<Step>,
    /// Bytes of constants in the file.
    pub weights_bytes: usize,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// An input or output of an emitted network.
#[derive(Clone, Debug)]
pub struct NetworkPort {
    /// Name.
    pub name: String,
    /// Element type as callers see it, by its numpy name.
    pub dtype: &'static str,
    /// Extents.
    pub shape: Vec<usize>,
    /// How the source model stored it, where the file has real numbers instead.
    pub quant: Option<QuantParams>,
}

/// An operator of an emitted network.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of its first result.
    pub name: String,
    /// Operator, for example `Conv2d`.
    pub operator: String,
    /// Where it came from.
    pub origin: Origin,
    /// Type of its first result.
    pub output: TensorType,
    /// Multiply-accumulates.
    pub macs: u64,
    /// What it is in the file.
    pub layers: Vec<String>,
}

/// What a target walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel IR: every operator needs a kernel, the result has an arena, code and stack.
    Kernels,
    /// The graph itself: every operator needs a form in the format, and somebody else executes it.
    Graph,
}

/// A code generator or a format writer.
pub trait Target: Sync {
    /// What it walks.
    fn kind(&self) -> Kind;
    /// Name on the command line.
    fn name(&self) -> &'static str;
    /// One line for `tinycc targets`.
    fn about(&self) -> &'static str;
    /// Passes it needs, in order.
    fn passes(&self) -> &'static [Pass];
    /// Example programs it can add: name and one line.
    fn examples(&self) -> &'static [(&'static str, &'static str)];
    /// Whether it can express an operator application, asked before its passes run.
    fn supports(&self, op: &Op, signature: &Signature<'_>, core: Core) -> Support;
    /// Checks that every operator of a graph that its passes have run over can be expressed.
    ///
    /// # Errors
    /// All operators that cannot.
    fn legalise(&self, graph: Graph, core: Core) -> Result<Legal, Diagnostics> {
        lower::legalise(graph, core)
    }
    /// Emits the files.
    ///
    /// # Errors
    /// Options that do not fit; nothing else can fail on a legal graph.
    fn emit(&self, legal: &Legal, options: &EmitOptions) -> Result<Emitted, Diagnostics>;
}

/// All targets.
pub const TARGETS: &[&dyn Target] =
    &[&c::C, &rust::Rust, &openvino::OpenVino::NCS, &openvino::OpenVino::ANY];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static dyn Target> {
    TARGETS.iter().copied().find(|t| t.name() == name)
}

/// What every target that prints kernels answers to [`Target::supports`].
fn kernel_support(op: &Op, signature: &Signature<'_>, core: Core) -> Support {
    let int8 = signature.operands.len() == 1 && signature.operands[0].dtype() == DType::I8;
    if op.is_elementwise_unary() && int8 {
        return Support::Decompose("tabulate".into());
    }
    match op.lower(signature, &mut KernelBuilder::new(core)) {
        Ok(()) => Support::Native,
        Err(error) => Support::No(error.message),
    }
}

fn no_such_example(target: &dyn Target, wanted: &str) -> Diagnostics {
    let known: Vec<&str> = target.examples().iter().map(|e| e.0).collect();
    let message = format!("there is no example \"{wanted}\" for target {}", target.name());
    Diagnostic::new(Code::BadOption, Origin::default(), message)
        .help(format!("choose one of: {}", known.join(", ")))
        .into()
}

/// How the generic example programs of all targets name element types.
fn dtype_letter(dtype: DType) -> char {
    match dtype {
        DType::I8 => 'b',
        DType::U8 => 'B',
        DType::I16 => 'h',
        DType::U16 => 'H',
        DType::I32 => 'i',
        DType::U32 => 'I',
        DType::I64 => 'q',
        DType::U64 => 'Q',
        DType::F16 => 'e',
        DType::BF16 => 'E',
        DType::F32 => 'f',
        DType::F64 => 'd',
        DType::Bool => '?',
        DType::Small(SmallType::I2 | SmallType::I4) => 'b',
        DType::Small(_) => 'B',
    }
}
