//! Code generators. A target turns a legal graph into files in memory; it never touches the disk.
//!
//! One module per target, plus `boards/` with example firmware as data.

pub mod c;
mod constants;
mod estimate;
mod manifest;
pub mod rust;

use std::collections::BTreeMap;
use tinycc_core::diagnostic::{Code, Diagnostic, Diagnostics, Origin};
use tinycc_core::kir::{KernelBuilder, Module};
use tinycc_core::lower::{Core, Legal};
use tinycc_core::op::{Op, Signature};
use tinycc_core::pass::Pass;
use tinycc_core::{DType, SmallType};

/// Emitted files: relative path -> bytes, in path order.
pub type Artifacts = BTreeMap<String, Vec<u8>>;

/// A target's answer about one operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// Has a kernel of its own.
    Native,
    /// Expressed by other operators through the named pass.
    Decompose(&'static str),
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
}

/// What emission yields besides files.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The files.
    pub artifacts: Artifacts,
    /// The kernel IR they were printed from.
    pub module: Module,
    /// Estimated bytes of machine code (constants not included).
    pub code_bytes: usize,
    /// Upper estimate of the stack one invocation needs, in bytes.
    pub stack_bytes: usize,
}

/// A code generator.
pub trait Target: Sync {
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
    /// Emits the files.
    ///
    /// # Errors
    /// Options that do not fit; nothing else can fail on a legal graph.
    fn emit(&self, legal: &Legal, options: &EmitOptions) -> Result<Emitted, Diagnostics>;
}

/// All targets.
pub const TARGETS: &[&dyn Target] = &[&c::C, &rust::Rust];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static dyn Target> {
    TARGETS.iter().copied().find(|t| t.name() == name)
}

/// What every target that prints kernels answers to [`Target::supports`].
fn kernel_support(op: &Op, signature: &Signature<'_>, core: Core) -> Support {
    let int8 = signature.operands.len() == 1 && signature.operands[0].dtype() == DType::I8;
    if op.is_elementwise_unary() && int8 {
        return Support::Decompose("tabulate");
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
