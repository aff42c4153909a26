//! The interpreter: the exact meaning of the kernel IR, and the oracle of every printer. It checks
//! what C leaves undefined (overflow, out-of-range index) and reports it as an error.

use super::{Access, BinOp, Buf, Expr, Intrinsic, Kernel, Module, Stmt, Tile, TileInst, Ty, Var};
use crate::tensor::TensorData;

/// A broken rule of the kernel IR: always a bug in a kernel, never in the user's model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kernel {kernel}: {message}")]
pub struct InterpError {
    /// Kernel name.
    pub kernel: String,
    /// What was violated.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Val {
    /// Any integer type, u64 included.
    Int(i128),
    Float(f32),
    Double(f64),
}

struct Frame<'a> {
    kernel: &'a Kernel,
    arena: &'a mut [u8],
    /// Byte offset in the arena per buffer; constants live in `constants`.
    offsets: Vec<usize>,
    constants: Vec<Vec<u8>>,
    vars: Vec<Val>,
}

/// Runs a whole module on an arena that already holds the inputs.
///
/// # Errors
/// A kernel that overflows or leaves its buffers.
pub fn run_module(module: &Module, arena: &mut [u8]) -> Result<(), InterpError> {
    for call in &module.calls {
        run(&module.kernels[call.kernel], arena, &call.offsets)?;
    }
    Ok(())
}

/// Runs one kernel. `offsets` are the byte offsets of its parameters in declaration order.
///
/// # Errors
/// Overflow or an index out of range.
pub fn run(kernel: &Kernel, arena: &mut [u8], offsets: &[usize]) -> Result<(), InterpError> {
    let mut of_buffer = Vec::new();
    let mut constants = Vec::new();
    let mut next = offsets.iter();
    for buffer in &kernel.buffers {
        let (offset, data) = match &buffer.access {
            Access::Const(data) => (0, TensorData::to_le_bytes(data)),
            Access::In(_) | Access::Out(_) | Access::Scratch => {
                (next.next().copied().unwrap_or(usize::MAX), Vec::new())
            }
        };
        of_buffer.push(offset);
        constants.push(data);
    }
    let vars = vec![Val::Int(0); kernel.vars.len()];
    let mut frame = Frame { kernel, arena, offsets: of_buffer, constants, vars };
    frame
        .block(&kernel.body)
        .map_err(|message| InterpError { kernel: kernel.name.clone(), message })
}

impl Frame<'_> {
    fn block(&mut self, body: &[Stmt]) -> Result<(), String> {
        for stmt in body {
            self.stmt(stmt)?;
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), String> {
        match stmt {
            Stmt::For { var, extent, step, body } => {
                for i in (0..*extent).step_by((*step).max(1)) {
                    self.vars[var.id as usize] = Val::Int(i as i128);
                    self.block(body)?;
                }
            }
            Stmt::Let(var, e) | Stmt::Assign(var, e) => {
                let value = self.eval(e)?;
                self.vars[var.id as usize] = value;
            }
            Stmt::Store(buf, index, e) => {
                let (i, value) = (self.int(index)?, self.eval(e)?);
                self.store(*buf, i, value)?;
            }
            Stmt::If { cond, then, otherwise } => {
                let taken = self.int(cond)? != 0;
                self.block(if taken { then } else { otherwise })?;
            }
            Stmt::Tile(tile) => self.tile(tile)?,
            Stmt::Comment(_) => {}
        }
        Ok(())
    }

    fn int(&mut self, e: &Expr) -> Result<i64, String> {
        let wide = || format!("integer of 64 bits expected: {e:?}");
        match self.eval(e)? {
            Val::Int(v) => i64::try_from(v).map_err(|_| wide()),
            Val::Float(_) | Val::Double(_) => Err(wide()),
        }
    }

    fn eval(&mut self, e: &Expr) -> Result<Val, String> {
        Ok(match e {
            Expr::Int(v, Ty::U64) => Val::Int(v.cast_unsigned().into()),
            Expr::Int(v, _) => Val::Int((*v).into()),
            Expr::Float(v) => Val::Float(*v),
            Expr::Var(v) => self.vars[v.id as usize],
            Expr::Load(buf, index) => {
                let i = self.int(index)?;
                self.load(*buf, i)?
            }
            Expr::Bin(op, a, b) => {
                // Short circuit as in C and Rust: the right side may index out of range.
                if matches!(op, BinOp::LogicAnd | BinOp::LogicOr) {
                    let left = self.int(a)? != 0;
                    let needs_right = left == (*op == BinOp::LogicAnd);
                    let value = if needs_right { self.int(b)? != 0 } else { left };
                    return Ok(Val::Int(i128::from(value)));
                }
                let (x, y) = (self.eval(a)?, self.eval(b)?);
                binary(*op, a.ty(), x, y)?
            }
            Expr::Cast(ty, a) => cast(*ty, self.eval(a)?),
            Expr::Select(c, a, b) => {
                if self.int(c)? != 0 {
                    self.eval(a)?
                } else {
                    self.eval(b)?
                }
            }
            Expr::Call(f, args) => {
                let values: Result<Vec<Val>, String> = args.iter().map(|a| self.eval(a)).collect();
                intrinsic(*f, &values?)?
            }
        })
    }

    fn bytes(&self, buf: Buf, index: i64) -> Result<(bool, usize), String> {
        let decl = &self.kernel.buffers[buf.id as usize];
        let i = usize::try_from(index).ok().filter(|&i| i < decl.len).ok_or_else(|| {
            format!("index {index} outside {} of {} elements", decl.name, decl.len)
        })?;
        let is_const = matches!(decl.access, Access::Const(_));
        let at = self.offsets[buf.id as usize] + i * buf.ty.size();
        let limit = if is_const { self.constants[buf.id as usize].len() } else { self.arena.len() };
        if at + buf.ty.size() > limit {
            return Err(format!("buffer {} lies outside the arena", decl.name));
        }
        Ok((is_const, at))
    }

    fn load(&self, buf: Buf, index: i64) -> Result<Val, String> {
        let (is_const, at) = self.bytes(buf, index)?;
        let memory: &[u8] = if is_const { &self.constants[buf.id as usize] } else { self.arena };
        let b = &memory[at..at + buf.ty.size()];
        let bits = b.iter().rev().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        Ok(match buf.ty {
            Ty::I8 => Val::Int((bits as i8).into()),
            Ty::U8 | Ty::Bool | Ty::U16 | Ty::U32 | Ty::U64 => Val::Int(bits.into()),
            Ty::I16 => Val::Int((bits as i16).into()),
            Ty::I32 => Val::Int((bits as i32).into()),
            Ty::I64 => Val::Int((bits as i64).into()),
            Ty::F32 => Val::Float(f32::from_bits(bits as u32)),
            Ty::F64 => Val::Double(f64::from_bits(bits)),
        })
    }

    fn store(&mut self, buf: Buf, index: i64, value: Val) -> Result<(), String> {
        let (is_const, at) = self.bytes(buf, index)?;
        if is_const {
            return Err("store to a constant".into());
        }
        let raw = match value {
            Val::Int(v) => v.to_le_bytes().to_vec(),
            Val::Float(v) => v.to_le_bytes().to_vec(),
            Val::Double(v) => v.to_le_bytes().to_vec(),
        };
        let n = buf.ty.size();
        self.arena[at..at + n].copy_from_slice(&raw[..n]);
        Ok(())
    }

    fn tile(&mut self, tile: &Tile) -> Result<(), String> {
        let mut regs = vec![0u32; tile.registers as usize];
        let mut at = Vec::new();
        for cursor in &tile.cursors {
            at.push(self.int(&cursor.start)? * cursor.buf.ty.size() as i64);
        }
        for _ in 0..tile.trips {
            for inst in &tile.body {
                match inst {
                    TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                        let address = at[*cursor] + i64::from(*offset);
                        let buf = tile.cursors[*cursor].buf;
                        regs[lo.0 as usize] = self.word(buf, address)?;
                        regs[hi.0 as usize] = self.word(buf, address + 4)?;
                        if *advance {
                            at[*cursor] += tile.cursors[*cursor].stride as i64;
                        }
                    }
                    TileInst::Sxtb16 { dst, src, ror8 } => {
                        let s = regs[src.0 as usize];
                        regs[dst.0 as usize] =
                            if *ror8 { tinycc_rt::sxtb16_ror8(s) } else { tinycc_rt::sxtb16(s) };
                    }
                    TileInst::Smlad { acc, a, b } => {
                        let Var { id, .. } = tile.accumulators[*acc];
                        let Val::Int(old) = self.vars[id as usize] else {
                            return Err("float accumulator".into());
                        };
                        let (a, b) = (regs[a.0 as usize], regs[b.0 as usize]);
                        let sum = tinycc_rt::smlad(a, b, old as i32);
                        self.vars[id as usize] = Val::Int(i128::from(sum));
                    }
                }
            }
        }
        Ok(())
    }

    /// The little-endian word at a byte address of a buffer.
    fn word(&self, buf: Buf, address: i64) -> Result<u32, String> {
        if address % 4 != 0 {
            return Err("unaligned word access in a tile".into());
        }
        let size = buf.ty.size() as i64;
        let last = (address + 3).div_euclid(size);
        let (is_const, _) = self.bytes(buf, last)?;
        let (_, first) = self.bytes(buf, address.div_euclid(size))?;
        let memory: &[u8] = if is_const { &self.constants[buf.id as usize] } else { self.arena };
        Ok(u32::from_le_bytes([
            memory[first],
            memory[first + 1],
            memory[first + 2],
            memory[first + 3],
        ]))
    }
}

fn cast(ty: Ty, value: Val) -> Val {
    match (ty, value) {
        (Ty::F32, Val::Int(v)) => Val::Float(v as f32),
        (Ty::F32, Val::Double(v)) => Val::Float(v as f32),
        (Ty::F32, v @ Val::Float(_)) => v,
        (Ty::F64, Val::Int(v)) => Val::Double(v as f64),
        (Ty::F64, Val::Float(v)) => Val::Double(v.into()),
        (Ty::F64, v @ Val::Double(_)) => v,
        (_, Val::Float(f)) => cast(ty, Val::Int(f as i128)),
        (_, Val::Double(f)) => cast(ty, Val::Int(f as i128)),
        (Ty::Bool, Val::Int(v)) => Val::Int(i128::from(v != 0)),
        (_, Val::Int(v)) => Val::Int(wrap(ty, v)),
    }
}

/// The low bits of an integer as the type reads them.
fn wrap(ty: Ty, v: i128) -> i128 {
    match ty {
        Ty::I8 => (v as i8).into(),
        Ty::U8 | Ty::Bool => (v as u8).into(),
        Ty::I16 => (v as i16).into(),
        Ty::U16 => (v as u16).into(),
        Ty::I32 => (v as i32).into(),
        Ty::U32 => (v as u32).into(),
        Ty::I64 | Ty::F32 | Ty::F64 => (v as i64).into(),
        Ty::U64 => (v as u64).into(),
    }
}

fn binary(op: BinOp, ty: Ty, x: Val, y: Val) -> Result<Val, String> {
    match (x, y) {
        // Sums, products and quotients of float32 are the rounded ones of float64.
        (Val::Float(a), Val::Float(b)) => match float_binary(op, a.into(), b.into())? {
            Val::Double(v) => Ok(Val::Float(v as f32)),
            other => Ok(other),
        },
        (Val::Double(a), Val::Double(b)) => float_binary(op, a, b),
        (Val::Int(a), Val::Int(b)) => int_binary(op, ty, a, b),
        _mixed => Err(format!("mixed operands of {op:?}")),
    }
}

fn float_binary(op: BinOp, a: f64, b: f64) -> Result<Val, String> {
    Ok(match op {
        BinOp::Add => Val::Double(a + b),
        BinOp::Sub => Val::Double(a - b),
        BinOp::Mul => Val::Double(a * b),
        BinOp::Div => Val::Double(a / b),
        BinOp::Lt => Val::Int(i128::from(a < b)),
        BinOp::Le => Val::Int(i128::from(a <= b)),
        BinOp::Gt => Val::Int(i128::from(a > b)),
        BinOp::Ge => Val::Int(i128::from(a >= b)),
        BinOp::Eq => Val::Int(i128::from(a == b)),
        BinOp::Ne => Val::Int(i128::from(a != b)),
        BinOp::Rem
        | BinOp::Shl
        | BinOp::Shr
        | BinOp::And
        | BinOp::Or
        | BinOp::Xor
        | BinOp::LogicAnd
        | BinOp::LogicOr => return Err(format!("{op:?} on floats")),
    })
}

fn int_binary(op: BinOp, ty: Ty, a: i128, b: i128) -> Result<Val, String> {
    let overflow = || format!("overflow: {a} {op:?} {b}");
    let bits = 8 * ty.size().max(4) as u32;
    let count = || u32::try_from(b).ok().filter(|&n| n < bits).ok_or_else(overflow);
    let value = match op {
        BinOp::Add => a + b,
        BinOp::Sub => a - b,
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::Div => a.checked_div(b).ok_or_else(overflow)?,
        BinOp::Rem => a.checked_rem(b).ok_or_else(overflow)?,
        BinOp::Shl => a << count()?,
        BinOp::Shr => a >> count()?,
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Lt => i128::from(a < b),
        BinOp::Le => i128::from(a <= b),
        BinOp::Gt => i128::from(a > b),
        BinOp::Ge => i128::from(a >= b),
        BinOp::Eq => i128::from(a == b),
        BinOp::Ne => i128::from(a != b),
        BinOp::LogicAnd => i128::from(a != 0 && b != 0),
        BinOp::LogicOr => i128::from(a != 0 || b != 0),
    };
    if ty.wraps() && !op.is_predicate() {
        return Ok(Val::Int(wrap(ty, value)));
    }
    let in_range = match ty {
        Ty::I64 => i64::try_from(value).is_ok(),
        // Narrow types compute in i32.
        Ty::Bool | Ty::I8 | Ty::U8 | Ty::I16 | Ty::U16 | Ty::I32 => i32::try_from(value).is_ok(),
        Ty::U32 | Ty::U64 | Ty::F32 | Ty::F64 => true,
    };
    if in_range { Ok(Val::Int(value)) } else { Err(overflow()) }
}

fn intrinsic(f: Intrinsic, args: &[Val]) -> Result<Val, String> {
    let int = |i: usize| match args.get(i) {
        Some(Val::Int(v)) => Ok(*v as i32),
        _float => Err(format!("{f:?}: integer operand {i} expected")),
    };
    let word = |i: usize| int(i).map(|v| v as u32);
    let real = |i: usize| match args.get(i) {
        Some(Val::Float(v)) => Ok(*v),
        _int => Err(format!("{f:?}: float operand {i} expected")),
    };
    let n = |v: i32| Val::Int(i128::from(v));
    let u = |v: u32| Val::Int(i128::from(v));
    Ok(match f {
        Intrinsic::Requantize => n(tinycc_rt::requantize(int(0)?, int(1)?, int(2)?)),
        Intrinsic::RequantizeShr => n(tinycc_rt::requantize_shr(int(0)?, int(1)?, int(2)?)),
        Intrinsic::RequantizeShrNearest => {
            n(tinycc_rt::requantize_shr_nearest(int(0)?, int(1)?, int(2)?))
        }
        Intrinsic::RequantizeNearest => n(tinycc_rt::requantize_nearest(int(0)?, int(1)?, int(2)?)),
        Intrinsic::RequantizeShrPos => n(tinycc_rt::requantize_shr_pos(int(0)?, int(1)?, int(2)?)),
        Intrinsic::RoundingDivideByPot => n(tinycc_rt::rounding_divide_by_pot(int(0)?, int(1)?)),
        Intrinsic::Clamp => n(tinycc_rt::clamp(int(0)?, int(1)?, int(2)?)),
        Intrinsic::MinI32 => n(tinycc_rt::min_i32(int(0)?, int(1)?)),
        Intrinsic::MaxI32 => n(tinycc_rt::max_i32(int(0)?, int(1)?)),
        Intrinsic::MinF32 => Val::Float(tinycc_rt::min_f32(real(0)?, real(1)?)),
        Intrinsic::MaxF32 => Val::Float(tinycc_rt::max_f32(real(0)?, real(1)?)),
        Intrinsic::DivRound => n(tinycc_rt::div_round(int(0)?, int(1)?)),
        Intrinsic::DivRoundEven => n(tinycc_rt::div_round_even(int(0)?, int(1)?)),
        Intrinsic::SoftmaxRecip => n(tinycc_rt::softmax_recip(word(0)?)),
        Intrinsic::SoftmaxShift => n(tinycc_rt::softmax_shift(word(0)?)),
        Intrinsic::SoftmaxFinish => n(tinycc_rt::softmax_finish(int(0)?, int(1)?, int(2)?)),
        Intrinsic::LogQ12 => n(tinycc_rt::log_q12(int(0)?)),
        Intrinsic::InvSqrtMultiplier => n(tinycc_rt::inv_sqrt_multiplier(int(0)?)),
        Intrinsic::InvSqrtExponent => n(tinycc_rt::inv_sqrt_exponent(int(0)?)),
        Intrinsic::RoundHalfAwayF32 => n(tinycc_rt::round_half_away_f32(real(0)?)),
        Intrinsic::RoundHalfEvenF32 => Val::Float(tinycc_rt::round_half_even_f32(real(0)?)),
        Intrinsic::Sxtb16 => u(tinycc_rt::sxtb16(word(0)?)),
        Intrinsic::Sxtb16Ror8 => u(tinycc_rt::sxtb16_ror8(word(0)?)),
        Intrinsic::Smlad => n(tinycc_rt::smlad(word(0)?, word(1)?, int(2)?)),
        Intrinsic::Smmulr => n(tinycc_rt::smmulr(int(0)?, int(1)?)),
        Intrinsic::Ssat8 => n(tinycc_rt::ssat8(int(0)?)),
        Intrinsic::FloatBits => n(tinycc_rt::float_bits(real(0)?)),
        Intrinsic::BitsFloat => Val::Float(tinycc_rt::bits_float(int(0)?)),
        Intrinsic::DoubleBits => match args.first() {
            Some(Val::Double(v)) => Val::Int(tinycc_rt::double_bits(*v).into()),
            _other => return Err(format!("{f:?}: double operand expected")),
        },
        Intrinsic::BitsDouble => match args.first() {
            Some(Val::Int(v)) => Val::Double(tinycc_rt::bits_double(*v as i64)),
            _other => return Err(format!("{f:?}: integer operand expected")),
        },
        Intrinsic::NarrowFloat => n(tinycc_rt::narrow_float(real(0)?, int(1)?)),
        Intrinsic::WidenFloat => Val::Float(tinycc_rt::widen_float(int(0)?, int(1)?)),
        Intrinsic::Exp => Val::Float(crate::numeric::math::exp(real(0)?)),
        Intrinsic::Log => Val::Float(crate::numeric::math::log(real(0)?)),
        Intrinsic::Tanh => Val::Float(crate::numeric::math::tanh(real(0)?)),
        Intrinsic::Erf => Val::Float(crate::numeric::math::erf(real(0)?)),
        Intrinsic::Sqrt => Val::Float(real(0)?.sqrt()),
        Intrinsic::Floor => Val::Float(real(0)?.floor()),
        Intrinsic::FAbs => Val::Float(real(0)?.abs()),
        Intrinsic::Expm1 => Val::Float(crate::numeric::math::expm1(real(0)?)),
        Intrinsic::Atan => Val::Float(crate::numeric::math::atan(real(0)?)),
        Intrinsic::Cos => Val::Float(crate::numeric::math::cos(real(0)?)),
        Intrinsic::Fmod => Val::Float(real(0)? % real(1)?),
        Intrinsic::Log1p => Val::Float(crate::numeric::math::log1p(real(0)?)),
        Intrinsic::Pow => Val::Float(crate::numeric::math::pow(real(0)?, real(1)?)),
        Intrinsic::RoundEven => Val::Float(real(0)?.round_ties_even()),
        Intrinsic::Sin => Val::Float(crate::numeric::math::sin(real(0)?)),
    })
}
