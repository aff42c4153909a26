//! Kernel IR -> Rust statements: every expression is a syn node, so that prettyplease sets the
//! parentheses. Tiles are in `tile`; whole functions and files are in `source`.

use super::lexical::{boolean, float, identifier, int, negative, path, unsigned, variable};
use super::nodes::{
    as_type, binary, call, expression, if_node, let_stmt, method_call, pattern, value_block,
};
use super::text::Inserts;
use super::tile;
use proc_macro2::Ident;
use std::collections::BTreeSet;
use syn::{Block, Expr, Stmt, token};
use tinycc_core::kir::{self, Access, BinOp, Buf, Kernel, Tile, Ty, Var};

/// Names and requirements of one function while it is printed.
#[derive(Debug)]
pub struct Printer<'a> {
    kernel: &'a Kernel,
    /// Name per kernel buffer: parameter, or the static of a constant.
    buffers: Vec<Ident>,
    vars: Vec<Ident>,
    /// Whether each access is proved in range, in the order of the proof's walk.
    proved: &'a [bool],
    /// Accesses printed so far.
    pub accesses: usize,
    /// Names of the run-time items used so far, over all functions of the file.
    pub used: &'a mut BTreeSet<String>,
    /// Lines of the file that are no syn nodes.
    pub inserts: &'a mut Inserts,
    /// Whether something printed so far needs an `unsafe` block.
    pub is_unsafe: bool,
    /// Whether a tile may read outside of its buffer; tiles have no checked form.
    pub has_unproved_tile: bool,
}

impl<'a> Printer<'a> {
    /// A printer for one kernel; `constant` names the static of a constant buffer.
    pub fn new(
        kernel: &'a Kernel,
        proved: &'a [bool],
        used: &'a mut BTreeSet<String>,
        inserts: &'a mut Inserts,
        constant: impl Fn(usize) -> Option<Ident>,
    ) -> Self {
        let buffers = kernel.buffers.iter().enumerate();
        let buffers = buffers.map(|(i, b)| constant(i).unwrap_or_else(|| identifier(&b.name)));
        let vars = kernel.vars.iter().map(|v| identifier(&v.name)).collect();
        Self {
            kernel,
            buffers: buffers.collect(),
            vars,
            proved,
            accesses: 0,
            used,
            inserts,
            is_unsafe: false,
            has_unproved_tile: false,
        }
    }

    /// A variable's name.
    #[must_use]
    pub fn var(&self, var: Var) -> &Ident {
        &self.vars[var.id as usize]
    }

    /// A buffer's name.
    #[must_use]
    pub fn buffer(&self, buf: Buf) -> &Ident {
        &self.buffers[buf.id as usize]
    }

    /// Notes that a method of the buffer's type is called.
    fn uses(&mut self, buf: Buf, method: &str) {
        let is_const = matches!(self.kernel.buffers[buf.id as usize].access, Access::Const(_));
        let ty = if is_const { "Weights" } else { "View" };
        self.used.insert(format!("{ty}::{method}"));
    }

    /// Whether the next access of the walk is proved in range.
    fn is_next_proved(&mut self) -> bool {
        let proved = self.proved.get(self.accesses).copied().unwrap_or(false);
        self.accesses += 1;
        self.is_unsafe |= proved;
        proved
    }

    /// Statements in a block.
    pub fn block(&mut self, body: &[kir::Stmt]) -> Block {
        let mut stmts = Vec::new();
        for stmt in body {
            self.stmt(&mut stmts, stmt);
        }
        Block { brace_token: token::Brace::default(), stmts }
    }

    fn stmt(&mut self, out: &mut Vec<Stmt>, stmt: &kir::Stmt) {
        match stmt {
            kir::Stmt::For { var, extent, step, body } => {
                self.for_loop(out, *var, *extent, *step, body);
            }
            kir::Stmt::Let(var, value) => {
                let is_literal = matches!(value, kir::Expr::Int(..) | kir::Expr::Float(_));
                let value = self.expr(value);
                let is_mutable = self.kernel.vars[var.id as usize].mutable;
                out.push(let_stmt(self.var(*var), is_literal.then_some(var.ty), is_mutable, value));
            }
            kir::Stmt::Assign(var, value) => {
                let stmt = self.assign(*var, value);
                out.push(stmt);
            }
            kir::Stmt::Store(buf, index, value) => {
                let (index, value) = (self.expr(index), self.expr(value));
                let method = if self.is_next_proved() { "put" } else { "set" };
                self.uses(*buf, method);
                let call = method_call(variable(self.buffer(*buf)), method, [index, value]);
                out.push(expression(call));
            }
            kir::Stmt::If { cond, then, otherwise } => {
                let cond = self.expr(cond);
                let then_branch = self.block(then);
                let else_branch = (!otherwise.is_empty()).then(|| self.block(otherwise));
                let node = if_node(cond, then_branch, else_branch);
                out.push(Stmt::Expr(node, None));
            }
            kir::Stmt::Tile(tile) => self.tile(out, tile),
            kir::Stmt::Comment(text) => {
                out.push(self.inserts.comment(text));
            }
        }
    }

    /// Ranges with a step are slow for i32 (their size hint divides), hence `while`.
    fn for_loop(
        &mut self,
        out: &mut Vec<Stmt>,
        var: Var,
        extent: usize,
        step: usize,
        body: &[kir::Stmt],
    ) {
        let name = self.var(var).clone();
        let mut body = self.block(body);
        let end = int(extent as i64, None);
        if step == 1 {
            let range = Expr::Range(syn::ExprRange {
                attrs: Vec::new(),
                start: Some(Box::new(int(0, None))),
                limits: syn::RangeLimits::HalfOpen(Default::default()),
                end: Some(Box::new(end)),
            });
            out.push(Stmt::Expr(
                Expr::ForLoop(syn::ExprForLoop {
                    attrs: Vec::new(),
                    label: None,
                    for_token: Default::default(),
                    pat: Box::new(pattern(&name, None, false)),
                    in_token: Default::default(),
                    expr: Box::new(range),
                    body,
                }),
                None,
            ));
            return;
        }
        out.push(let_stmt(&name, None, true, int(0, None)));
        let step = int(step as i64, None);
        body.stmts.push(expression(binary(
            syn::BinOp::AddAssign(Default::default()),
            variable(&name),
            step,
        )));
        let cond = binary(syn::BinOp::Lt(Default::default()), variable(&name), end);
        out.push(Stmt::Expr(
            Expr::While(syn::ExprWhile {
                attrs: Vec::new(),
                label: None,
                while_token: Default::default(),
                cond: Box::new(cond),
                body,
            }),
            None,
        ));
    }

    fn tile(&mut self, out: &mut Vec<Stmt>, tile: &Tile) {
        let mut starts = Vec::new();
        for cursor in &tile.cursors {
            starts.push(self.expr(&cursor.start));
            self.has_unproved_tile |= !self.is_next_proved();
        }
        self.is_unsafe = true;
        for cursor in &tile.cursors {
            self.uses(cursor.buf, "word");
            self.uses(cursor.buf, "as_ptr");
        }
        self.used.extend(["sxtb16", "sxtb16_ror8", "smlad"].map(String::from));
        let names = tile::Names {
            starts,
            buffers: tile.cursors.iter().map(|c| self.buffer(c.buf).clone()).collect(),
            sizes: tile.cursors.iter().map(|c| c.buf.ty.size()).collect(),
            accumulators: tile.accumulators.iter().map(|&v| self.var(v).clone()).collect(),
        };
        out.extend(tile::statements(tile, &names, self.inserts));
    }

    /// `x = x + e` reads better as `x += e`.
    fn assign(&mut self, var: Var, value: &kir::Expr) -> Stmt {
        let name = variable(self.var(var));
        if let kir::Expr::Bin(op, left, right) = value
            && let Some(op) = assign_operator(*op).filter(|_| !var.ty.wraps())
            && **left == kir::Expr::Var(var)
        {
            return expression(binary(op, name, self.expr(right)));
        }
        let right = Box::new(self.expr(value));
        expression(Expr::Assign(syn::ExprAssign {
            attrs: Vec::new(),
            left: Box::new(name),
            eq_token: Default::default(),
            right,
        }))
    }

    /// An expression.
    pub fn expr(&mut self, e: &kir::Expr) -> Expr {
        match e {
            kir::Expr::Int(value, Ty::Bool) => boolean(*value != 0),
            kir::Expr::Int(value, Ty::U64) => unsigned(value.cast_unsigned()),
            kir::Expr::Int(value, _) => int(*value, None),
            kir::Expr::Float(value) => float(*value),
            kir::Expr::Var(var) => variable(self.var(*var)),
            kir::Expr::Load(buf, index) => {
                let index = self.expr(index);
                let method = if self.is_next_proved() { "at" } else { "get" };
                self.uses(*buf, method);
                method_call(variable(self.buffer(*buf)), method, [index])
            }
            kir::Expr::Bin(op, a, b) => self.bin(*op, a, b),
            kir::Expr::Cast(ty, a) => self.cast(*ty, a),
            kir::Expr::Select(c, a, b) => {
                let (c, a, b) = (self.expr(c), self.expr(a), self.expr(b));
                if_node(c, value_block(a), Some(value_block(b)))
            }
            kir::Expr::Call(f, args) => {
                self.used.insert(f.name().into());
                let args: Vec<Expr> = args.iter().map(|a| self.expr(a)).collect();
                call(path(&["rt", f.name()]), args)
            }
        }
    }

    fn bin(&mut self, op: BinOp, a: &kir::Expr, b: &kir::Expr) -> Expr {
        if let Some((var, from, to)) = range(op, a, b) {
            return contains(int(from, None), int(to, None), variable(self.var(var)));
        }
        if let (BinOp::LogicAnd, kir::Expr::Bin(BinOp::LogicAnd, a, from)) = (op, a)
            && range(op, from, b).is_some()
        {
            let left = self.expr(a);
            return binary(operator(op), left, self.bin(op, from, b));
        }
        if op == BinOp::Mul && is_minus_one(b) {
            return negative(self.expr(a));
        }
        if let (BinOp::Add, kir::Expr::Bin(BinOp::Mul, b, factor)) = (op, b)
            && is_minus_one(factor)
        {
            let (left, right) = (self.expr(a), self.expr(b));
            return binary(syn::BinOp::Sub(Default::default()), left, right);
        }
        let is_int = !a.ty().is_float();
        let is_safe_divisor = b.literal().is_some_and(|n| n > 0);
        let (left, right) = (self.expr(a), self.expr(b));
        // Divisors are never zero (kernel IR rule); this spelling has no panic even for one.
        let may_divide_by_zero = is_int && !is_safe_divisor;
        let total = match (may_divide_by_zero, op) {
            (true, BinOp::Div) => Some("checked_div"),
            (true, BinOp::Rem) => Some("checked_rem"),
            _infallible => None,
        };
        if let Some(method) = total {
            let checked = method_call(left, method, [right]);
            return method_call(checked, "unwrap_or", [int(0, None)]);
        }
        if let Some(method) = wrapping(op).filter(|_| a.ty().wraps()) {
            return method_call(suffixed(left, a), method, [right]);
        }
        if matches!(op, BinOp::Shl | BinOp::Shr) {
            return binary(operator(op), plain(left), plain(right));
        }
        binary(operator(op), left, right)
    }

    fn cast(&mut self, ty: Ty, a: &kir::Expr) -> Expr {
        if let kir::Expr::Int(value, from) = a
            && *from != Ty::Bool
            && *from != Ty::U64
            && !ty.is_float()
        {
            return int(*value, Some(ty));
        }
        let from = a.ty();
        let inner = self.expr(a);
        match (from, ty) {
            (_, Ty::Bool) => binary(syn::BinOp::Ne(Default::default()), inner, int(0, None)),
            (Ty::Bool, Ty::F32 | Ty::F64) => as_type(as_type(inner, Ty::U8), ty),
            _numbers => as_type(inner, ty),
        }
    }
}

/// The methods of arithmetic that wraps.
fn wrapping(op: BinOp) -> Option<&'static str> {
    let names =
        [(BinOp::Add, "wrapping_add"), (BinOp::Sub, "wrapping_sub"), (BinOp::Mul, "wrapping_mul")];
    names.into_iter().find(|(o, _)| *o == op).map(|(_, name)| name)
}

/// A receiver of a method: a literal needs its type.
fn suffixed(printed: Expr, e: &kir::Expr) -> Expr {
    let kir::Expr::Int(value, ty) = e else { return printed };
    if *ty == Ty::U64 { as_type(printed, *ty) } else { int(*value, Some(*ty)) }
}

/// The operators that accumulations use, as `op=`.
fn assign_operator(op: BinOp) -> Option<syn::BinOp> {
    if op == BinOp::Add {
        Some(syn::BinOp::AddAssign(Default::default()))
    } else if op == BinOp::Sub {
        Some(syn::BinOp::SubAssign(Default::default()))
    } else {
        None
    }
}

fn operator(op: BinOp) -> syn::BinOp {
    match op {
        BinOp::Add => syn::BinOp::Add(Default::default()),
        BinOp::Sub => syn::BinOp::Sub(Default::default()),
        BinOp::Mul => syn::BinOp::Mul(Default::default()),
        BinOp::Div => syn::BinOp::Div(Default::default()),
        BinOp::Rem => syn::BinOp::Rem(Default::default()),
        BinOp::Shl => syn::BinOp::Shl(Default::default()),
        BinOp::Shr => syn::BinOp::Shr(Default::default()),
        BinOp::And => syn::BinOp::BitAnd(Default::default()),
        BinOp::Or => syn::BinOp::BitOr(Default::default()),
        BinOp::Xor => syn::BinOp::BitXor(Default::default()),
        BinOp::Lt => syn::BinOp::Lt(Default::default()),
        BinOp::Le => syn::BinOp::Le(Default::default()),
        BinOp::Gt => syn::BinOp::Gt(Default::default()),
        BinOp::Ge => syn::BinOp::Ge(Default::default()),
        BinOp::Eq => syn::BinOp::Eq(Default::default()),
        BinOp::Ne => syn::BinOp::Ne(Default::default()),
        BinOp::LogicAnd => syn::BinOp::And(Default::default()),
        BinOp::LogicOr => syn::BinOp::Or(Default::default()),
    }
}

fn is_minus_one(e: &kir::Expr) -> bool {
    matches!(e, kir::Expr::Float(value) if *value == -1.0) || e.literal() == Some(-1)
}

/// The variable and limits of `v >= from && v < to`.
fn range(op: BinOp, a: &kir::Expr, b: &kir::Expr) -> Option<(Var, i64, i64)> {
    use kir::Expr::{Bin, Var};
    let (Bin(BinOp::Ge, v, from), Bin(BinOp::Lt, w, to)) = (a, b) else { return None };
    let (Var(v), Var(w)) = (&**v, &**w) else { return None };
    (op == BinOp::LogicAnd && v == w).then_some((*v, from.literal()?, to.literal()?))
}

/// `(from..to).contains(&value)`
fn contains(from: Expr, to: Expr, value: Expr) -> Expr {
    let range = Expr::Range(syn::ExprRange {
        attrs: Vec::new(),
        start: Some(Box::new(from)),
        limits: syn::RangeLimits::HalfOpen(Default::default()),
        end: Some(Box::new(to)),
    });
    let reference = Expr::Reference(syn::ExprReference {
        attrs: Vec::new(),
        and_token: Default::default(),
        mutability: None,
        expr: Box::new(value),
    });
    method_call(range, "contains", [reference])
}

/// In parentheses if it is arithmetic: few know whether `a + b >> c` shifts the sum.
fn plain(e: Expr) -> Expr {
    let Expr::Binary(_) = e else { return e };
    let expr = Box::new(e);
    Expr::Paren(syn::ExprParen { attrs: Vec::new(), paren_token: token::Paren::default(), expr })
}
