//! Building kernels: declares buffers and variables, keeps the names of a scope unique, nests
//! statements by closures. Loops of extent 1 vanish.

use super::{Access, Buf, BufDecl, Expr, Kernel, Stmt, Tile, Ty, Var, VarDecl, idx};
use crate::lower::Core;
use crate::op::{OpError, Signature};
use crate::tensor::TensorData;
use std::collections::BTreeSet;

/// Collects one kernel.
#[derive(Debug)]
pub struct KernelBuilder {
    core: Core,
    buffers: Vec<BufDecl>,
    vars: Vec<VarDecl>,
    /// Every name given so far, for buffers: they are visible in the whole file.
    names: BTreeSet<String>,
    buffer_names: BTreeSet<String>,
    stack: Vec<Block>,
}

/// An open block: its statements and the variables declared in it.
#[derive(Debug, Default)]
struct Block {
    stmts: Vec<Stmt>,
    names: BTreeSet<String>,
}

/// `base`, or the first of base2, base3, … that is free (base_2 after a digit: acc0_2, not acc02).
fn unique(base: &str, taken: impl Fn(&str) -> bool) -> String {
    let separator = if base.ends_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    let mut name = base.to_string();
    let mut n = 2;
    while taken(&name) {
        name = format!("{base}{separator}{n}");
        n += 1;
    }
    name
}

impl KernelBuilder {
    /// A builder for the given core.
    #[must_use]
    pub fn new(core: Core) -> Self {
        Self {
            core,
            buffers: Vec::new(),
            vars: Vec::new(),
            names: BTreeSet::new(),
            buffer_names: BTreeSet::new(),
            stack: vec![Block::default()],
        }
    }

    /// The core the code is for: decides between portable loops and tiles.
    #[must_use]
    pub fn core(&self) -> Core {
        self.core
    }

    fn declare(&mut self, name: &str, ty: Ty, len: usize, access: Access) -> Buf {
        let name = unique(name, |n| self.names.contains(n));
        self.names.insert(name.clone());
        self.buffer_names.insert(name.clone());
        self.buffers.push(BufDecl { name, ty, len, access });
        Buf { id: (self.buffers.len() - 1) as u32, ty }
    }

    /// The buffer of operand `i`: a parameter, or a constant when the operand is one.
    /// Repeated calls give the same buffer.
    ///
    /// # Errors
    /// There is no such operand.
    pub fn operand(&mut self, s: &Signature<'_>, i: usize, name: &str) -> Result<Buf, OpError> {
        let info = s.operand(i)?;
        let ty = Ty::from(info.ty.dtype);
        if let Some(tensor) = info.constant {
            return Ok(self.constant(name, tensor.data.clone()));
        }
        if let Some(id) = self.buffers.iter().position(|b| b.access == Access::In(i)) {
            return Ok(Buf { id: id as u32, ty });
        }
        Ok(self.declare(name, ty, info.ty.shape.elements(), Access::In(i)))
    }

    /// The buffer of result `i`. Repeated calls give the same buffer.
    ///
    /// # Errors
    /// There is no such result.
    pub fn result(&mut self, s: &Signature<'_>, i: usize, name: &str) -> Result<Buf, OpError> {
        let info = s.result(i)?;
        let ty = Ty::from(info.ty.dtype);
        if let Some(id) = self.buffers.iter().position(|b| b.access == Access::Out(i)) {
            return Ok(Buf { id: id as u32, ty });
        }
        Ok(self.declare(name, ty, info.ty.shape.elements(), Access::Out(i)))
    }

    /// Constant data of the kernel (packed weights, folded biases, tables).
    /// Identical data under the same name is declared once.
    pub fn constant(&mut self, name: &str, data: TensorData) -> Buf {
        let ty = Ty::from(data.dtype());
        let len = data.len();
        let access = Access::Const(data);
        let same = |b: &BufDecl| b.access == access && b.name == name;
        if let Some(id) = self.buffers.iter().position(same) {
            return Buf { id: id as u32, ty };
        }
        self.declare(name, ty, len, access)
    }

    /// Working memory in the arena, alive only while the kernel runs.
    pub fn scratch(&mut self, name: &str, ty: Ty, len: usize) -> Buf {
        self.declare(name, ty, len, Access::Scratch)
    }

    fn new_var(&mut self, name: &str, ty: Ty, mutable: bool) -> Var {
        let name = unique(name, |n| {
            self.buffer_names.contains(n) || self.stack.iter().any(|b| b.names.contains(n))
        });
        self.names.insert(name.clone());
        if let Some(block) = self.stack.last_mut() {
            block.names.insert(name.clone());
        }
        self.vars.push(VarDecl { name, ty, mutable });
        Var { id: (self.vars.len() - 1) as u32, ty }
    }

    /// Appends a statement to the innermost open block.
    pub fn push(&mut self, stmt: Stmt) {
        if let Some(block) = self.stack.last_mut() {
            block.stmts.push(stmt);
        }
    }

    /// Collects what `f` appends into a block of its own.
    pub fn block<E>(&mut self, f: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<Vec<Stmt>, E> {
        self.stack.push(Block::default());
        let outcome = f(self);
        let block = self.close();
        outcome.map(|()| block)
    }

    fn close(&mut self) -> Vec<Stmt> {
        self.stack.pop().unwrap_or_default().stmts
    }

    /// `for i in 0..extent`; for extent 1 the body appears once with the literal 0.
    pub fn for_(&mut self, name: &str, extent: usize, f: impl FnOnce(&mut Self, Expr)) {
        self.for_step(name, extent, 1, f);
    }

    /// `for i in (0..extent).step_by(step)`.
    pub fn for_step(
        &mut self,
        name: &str,
        extent: usize,
        step: usize,
        f: impl FnOnce(&mut Self, Expr),
    ) {
        if extent == 0 {
            return;
        }
        if extent <= step {
            f(self, idx(0));
            return;
        }
        self.stack.push(Block::default());
        let var = self.new_var(name, Ty::I32, false);
        f(self, var.into());
        let body = self.close();
        self.push(Stmt::For { var, extent, step, body });
    }

    /// Names a value; literals and variables stay as they are.
    pub fn let_(&mut self, name: &str, value: Expr) -> Expr {
        if matches!(value, Expr::Int(..) | Expr::Float(_) | Expr::Var(_)) {
            return value;
        }
        let var = self.new_var(name, value.ty(), false);
        self.push(Stmt::Let(var, value));
        var.into()
    }

    /// Declares a mutable variable.
    pub fn var(&mut self, name: &str, initial: Expr) -> Var {
        let var = self.new_var(name, initial.ty(), true);
        self.push(Stmt::Let(var, initial));
        var
    }

    /// `var = value`.
    pub fn assign(&mut self, var: Var, value: Expr) {
        self.push(Stmt::Assign(var, value));
    }

    /// `var = var + value`.
    pub fn accumulate(&mut self, var: Var, value: Expr) {
        self.push(Stmt::Assign(var, var + value));
    }

    /// Element `index` of `buf`.
    #[must_use]
    pub fn load(&self, buf: Buf, index: Expr) -> Expr {
        Expr::Load(buf, Box::new(index))
    }

    /// Element `index` of `buf`, narrow integers widened to I32.
    #[must_use]
    pub fn load_wide(&self, buf: Buf, index: Expr) -> Expr {
        let e = self.load(buf, index);
        match buf.ty {
            Ty::Bool | Ty::I8 | Ty::U8 | Ty::I16 | Ty::U16 => e.cast(Ty::I32),
            Ty::I32 | Ty::U32 | Ty::I64 | Ty::U64 | Ty::F32 | Ty::F64 => e,
        }
    }

    /// `buf[index] = value`, converted to the buffer's type.
    pub fn store(&mut self, buf: Buf, index: Expr, value: Expr) {
        self.push(Stmt::Store(buf, index, value.cast(buf.ty)));
    }

    /// `if cond { .. }`; decided now when the condition is a literal.
    pub fn if_(&mut self, cond: Expr, then: impl FnOnce(&mut Self)) {
        self.if_else(cond, then, |_| {});
    }

    /// `if cond { .. } else { .. }`.
    pub fn if_else(
        &mut self,
        cond: Expr,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        match cond.literal() {
            Some(0) => otherwise(self),
            Some(_) => then(self),
            None => {
                self.stack.push(Block::default());
                then(self);
                let then = self.close();
                self.stack.push(Block::default());
                otherwise(self);
                let otherwise = self.close();
                self.push(Stmt::If { cond, then, otherwise });
            }
        }
    }

    /// Register-level code.
    pub fn tile(&mut self, tile: Tile) {
        self.push(Stmt::Tile(tile));
    }

    /// A comment line.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.push(Stmt::Comment(text.into()));
    }

    /// The finished kernel, without unread variables. Parameters keep their declaration order.
    #[must_use]
    pub fn finish(mut self, name: &str, doc: Vec<String>) -> Kernel {
        let mut body = self.close();
        super::prune::prune(&mut body);
        Kernel { name: name.to_string(), doc, buffers: self.buffers, vars: self.vars, body }
    }
}
