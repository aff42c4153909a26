//! The kernel IR (KIR): the small typed loop language between the tensor graph and printed code.
//!
//! An operator builds a [`Kernel`] and knows nothing about C or Rust; a printer prints it and knows
//! nothing about operators; the interpreter ([`interp`]) gives every construct its exact meaning and
//! is the oracle of every printer.
//!
//! Meaning: a kernel is a function over buffers. Buffers are parameters (operands, results,
//! scratch: they may share storage exactly as `Reuse` allows) or constants. Statements are
//! structured; expressions are pure; signed `+ - *` never overflow; every index is in range.
//! A [`Tile`] is straight-line register-level code with the same rules: portable statements
//! everywhere, one inline-assembly block on a core that has the instructions.

pub mod bounds;
mod builder;
mod expr;
pub mod interp;
pub mod prune;
pub mod text;
mod tile;

pub use builder::KernelBuilder;
pub use expr::{BinOp, Buf, Expr, Intrinsic, Ty, Var, float, idx, int};
pub use tile::{Cursor, Tile, TileInst, TileReg};

use crate::diagnostic::Origin;
use crate::tensor::{DType, QuantParams, SmallType, TensorData, TensorType};

impl From<DType> for Ty {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::I8 | DType::Small(SmallType::I2 | SmallType::I4) => Ty::I8,
            DType::U8 | DType::Bool | DType::Small(_) => Ty::U8,
            DType::I16 => Ty::I16,
            DType::U16 | DType::F16 | DType::BF16 => Ty::U16,
            DType::I32 => Ty::I32,
            DType::U32 => Ty::U32,
            DType::I64 => Ty::I64,
            DType::U64 => Ty::U64,
            DType::F32 => Ty::F32,
            DType::F64 => Ty::F64,
        }
    }
}

/// What a kernel buffer is.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// Operand: read only. Holds the operand number.
    In(usize),
    /// Result: written (and read back only after being written). Holds the result number.
    Out(usize),
    /// Working memory, undefined at entry.
    Scratch,
    /// Constant data.
    Const(TensorData),
}

/// A buffer of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct BufDecl {
    /// Name, unique in the kernel.
    pub name: String,
    /// Element type.
    pub ty: Ty,
    /// Number of elements.
    pub len: usize,
    /// Role.
    pub access: Access,
}

/// A variable of a kernel; declared where its `Let` or `For` stands.
#[derive(Clone, Debug, PartialEq)]
pub struct VarDecl {
    /// Name: no buffer and no other variable that is visible at the same place has it.
    pub name: String,
    /// Type.
    pub ty: Ty,
    /// Whether `Assign` changes it.
    pub mutable: bool,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Stmt {
    /// `for var in 0..extent step step`; extent and step are constant.
    For {
        /// I32 loop variable.
        var: Var,
        /// Exclusive end; the variable takes 0, step, 2*step ... below it.
        extent: usize,
        /// Increment, at least 1.
        step: usize,
        /// Body.
        body: Vec<Stmt>,
    },
    /// Declares a variable with its initial value.
    Let(Var, Expr),
    /// Changes a mutable variable.
    Assign(Var, Expr),
    /// `buffer[index] = value`, the value being of the buffer's type.
    Store(Buf, Expr, Expr),
    /// Conditional.
    If {
        /// Truth value.
        cond: Expr,
        /// When true.
        then: Vec<Stmt>,
        /// When false; may be empty.
        otherwise: Vec<Stmt>,
    },
    /// Register-level code.
    Tile(Tile),
    /// A line for the reader of the emitted code.
    Comment(String),
}

/// One layer's function.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Function name, unique in the module, without prefix.
    pub name: String,
    /// Comment lines above the function: operator, origin, shapes.
    pub doc: Vec<String>,
    /// Parameters and constants.
    pub buffers: Vec<BufDecl>,
    /// Variables.
    pub vars: Vec<VarDecl>,
    /// Code.
    pub body: Vec<Stmt>,
}

impl Kernel {
    /// Buffers that are parameters, in declaration order.
    pub fn params(&self) -> impl Iterator<Item = (usize, &BufDecl)> {
        self.buffers.iter().enumerate().filter(|(_, b)| !matches!(b.access, Access::Const(_)))
    }
}

/// A kernel applied to places in the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Index into `Module::kernels`.
    pub kernel: usize,
    /// Byte offset in the arena per parameter, in parameter order.
    pub offsets: Vec<usize>,
}

/// A model input or output in the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name from the model.
    pub name: String,
    /// Type.
    pub ty: TensorType,
    /// Quantization.
    pub quant: Option<QuantParams>,
    /// Byte offset in the arena.
    pub offset: usize,
}

/// A whole model, ready to print.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Layer functions in execution order.
    pub kernels: Vec<Kernel>,
    /// The invocation: kernels on arena offsets, in order.
    pub calls: Vec<Call>,
    /// Arena size in bytes.
    pub arena_bytes: usize,
    /// Required alignment of the arena in bytes.
    pub arena_align: usize,
    /// Largest sum of bytes alive at one step: no whole-tensor plan can be smaller.
    pub arena_lower_bound: usize,
    /// No whole-tensor plan is smaller: the bound is met, or the planner searched to the end.
    pub arena_proven: bool,
    /// Model inputs in model order; filled in by the caller before the invocation.
    pub inputs: Vec<Port>,
    /// Model outputs in model order.
    pub outputs: Vec<Port>,
    /// One row per operator that stands for work, in execution order.
    pub layers: Vec<Layer>,
}

/// What the report says about one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Unique name, also that of its function.
    pub name: String,
    /// Graph operator, for example `Conv2d`.
    pub operator: String,
    /// Where it came from.
    pub origin: Origin,
    /// Type of the first result.
    pub output: TensorType,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of constant data the kernel reads.
    pub weights_bytes: usize,
    /// Arena bytes alive while it runs.
    pub live_bytes: usize,
    /// Index into `Module::kernels`, `None` when the layer needs no code (a view).
    pub kernel: Option<usize>,
    /// Why it computes in float although the model is quantized.
    pub float_reason: Option<String>,
}
