//! Static estimates of code size and stack use from the kernel IR, for the report. They are upper
//! estimates for 32-bit Arm at -O2; the tests hold them against real builds.

use std::collections::BTreeSet;
use tinycc_core::kir::{Access, Expr, Intrinsic, Kernel, Module, Stmt, Tile};

/// Bytes of code of the whole file, constants not included.
#[must_use]
pub fn code_bytes(module: &Module) -> usize {
    let kernels: usize = module.kernels.iter().map(|k| 24 + block(&k.body)).sum();
    let calls: usize = module.calls.iter().map(|c| 4 + 6 * c.offsets.len()).sum();
    16 + kernels + calls
}

fn block(body: &[Stmt]) -> usize {
    body.iter()
        .map(|stmt| match stmt {
            Stmt::For { body, .. } => 10 + block(body),
            Stmt::Let(_, e) | Stmt::Assign(_, e) => 1 + expr(e),
            Stmt::Store(_, index, value) => 4 + expr(index) + expr(value),
            Stmt::If { cond, then, otherwise } => 6 + expr(cond) + block(then) + block(otherwise),
            Stmt::Tile(tile) => tile_bytes(tile),
            Stmt::Comment(_) => 0,
        })
        .sum()
}

fn tile_bytes(tile: &Tile) -> usize {
    16 + 4 * tile.body.len() + 8 * tile.cursors.len()
}

/// Average Thumb-2 bytes per operation.
fn expr(e: &Expr) -> usize {
    match e {
        Expr::Int(..) | Expr::Float(_) | Expr::Var(_) => 1,
        Expr::Load(_, index) => 3 + expr(index),
        Expr::Bin(_, a, b) => 3 + expr(a) + expr(b),
        Expr::Cast(_, a) => expr(a),
        Expr::Select(c, a, b) => 6 + expr(c) + expr(a) + expr(b),
        Expr::Call(f, args) => intrinsic(*f) + args.iter().map(expr).sum::<usize>(),
    }
}

fn intrinsic(f: Intrinsic) -> usize {
    match f {
        Intrinsic::LogQ12 => 400,
        Intrinsic::InvSqrtMultiplier | Intrinsic::NarrowFloat => 160,
        Intrinsic::Requantize
        | Intrinsic::RequantizeNearest
        | Intrinsic::SoftmaxRecip
        | Intrinsic::WidenFloat => 80,
        Intrinsic::RequantizeShrNearest => 16,
        Intrinsic::RequantizeShr | Intrinsic::RequantizeShrPos => 28,
        Intrinsic::RoundingDivideByPot
        | Intrinsic::DivRound
        | Intrinsic::DivRoundEven
        | Intrinsic::SoftmaxShift
        | Intrinsic::SoftmaxFinish
        | Intrinsic::InvSqrtExponent
        | Intrinsic::RoundHalfAwayF32
        | Intrinsic::RoundHalfEvenF32 => 32,
        Intrinsic::Clamp => 12,
        Intrinsic::MinI32 | Intrinsic::MaxI32 | Intrinsic::MinF32 | Intrinsic::MaxF32 => 8,
        Intrinsic::FloatBits
        | Intrinsic::BitsFloat
        | Intrinsic::DoubleBits
        | Intrinsic::BitsDouble
        | Intrinsic::Sxtb16
        | Intrinsic::Sxtb16Ror8
        | Intrinsic::Smlad
        | Intrinsic::Smmulr
        | Intrinsic::Ssat8 => 4,
        Intrinsic::Exp
        | Intrinsic::Log
        | Intrinsic::Tanh
        | Intrinsic::Erf
        | Intrinsic::Sqrt
        | Intrinsic::Floor
        | Intrinsic::FAbs
        | Intrinsic::Expm1
        | Intrinsic::Atan
        | Intrinsic::Cos
        | Intrinsic::Fmod
        | Intrinsic::Log1p
        | Intrinsic::Pow
        | Intrinsic::RoundEven
        | Intrinsic::Sin => 8,
    }
}

/// Bytes of stack below the caller of the invocation: its frame and that of the hungriest layer.
#[must_use]
pub fn stack_bytes(module: &Module) -> usize {
    64 + module.kernels.iter().map(frame).max().unwrap_or(0)
}

/// Saved registers and one slot for each variable and parameter; libm has frames of its own.
fn frame(kernel: &Kernel) -> usize {
    let params = kernel.buffers.iter().filter(|b| !matches!(b.access, Access::Const(_))).count();
    let slots: usize = kernel.vars.iter().map(|v| v.ty.size().max(4)).sum();
    let mut used = BTreeSet::new();
    calls(&kernel.body, &mut used);
    let libm = if used.iter().any(|f| f.is_libm()) { 256 } else { 0 };
    let wide = if used.is_empty() { 0 } else { 48 };
    48 + 4 * params + slots + wide + libm
}

fn calls(body: &[Stmt], used: &mut BTreeSet<Intrinsic>) {
    fn walk(e: &Expr, used: &mut BTreeSet<Intrinsic>) {
        match e {
            Expr::Int(..) | Expr::Float(_) | Expr::Var(_) => {}
            Expr::Load(_, a) | Expr::Cast(_, a) => walk(a, used),
            Expr::Bin(_, a, b) => {
                walk(a, used);
                walk(b, used);
            }
            Expr::Select(c, a, b) => {
                for e in [c, a, b] {
                    walk(e, used);
                }
            }
            Expr::Call(f, args) => {
                used.insert(*f);
                for a in args {
                    walk(a, used);
                }
            }
        }
    }
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => calls(body, used),
            Stmt::Let(_, e) | Stmt::Assign(_, e) => walk(e, used),
            Stmt::Store(_, i, v) => {
                walk(i, used);
                walk(v, used);
            }
            Stmt::If { cond, then, otherwise } => {
                walk(cond, used);
                calls(then, used);
                calls(otherwise, used);
            }
            Stmt::Tile(_) | Stmt::Comment(_) => {}
        }
    }
}
