//! The readable text form of kernel IR, for `--emit kir`. Print only: there is no parser, and no
//! target language is spelled here.

use super::{Access, BinOp, BufDecl, Expr, Kernel, Module, Port, Stmt, Tile, TileInst, Ty};
use std::fmt::Write;

/// Ports, kernels and calls of a module.
#[must_use]
pub fn print(module: &Module) -> String {
    let mut out = format!(
        "arena {} bytes, align {}, lower bound {}\n",
        module.arena_bytes, module.arena_align, module.arena_lower_bound
    );
    let port = |out: &mut String, kind: &str, p: &Port| {
        let _ = writeln!(out, "{kind} \"{}\": {} at {}", p.name.escape_default(), p.ty, p.offset);
    };
    for p in &module.inputs {
        port(&mut out, "input", p);
    }
    for p in &module.outputs {
        port(&mut out, "output", p);
    }
    for kernel in &module.kernels {
        out.push('\n');
        out.push_str(&print_kernel(kernel));
    }
    out.push_str("\ninvoke {\n");
    for call in &module.calls {
        let Some(kernel) = module.kernels.get(call.kernel) else { continue };
        let offsets: Vec<String> = kernel
            .params()
            .zip(&call.offsets)
            .map(|((_, buffer), offset)| format!("{}={offset}", buffer.name))
            .collect();
        let _ = writeln!(out, "  {}({})", kernel.name, offsets.join(", "));
    }
    out.push_str("}\n");
    out
}

/// One kernel.
#[must_use]
pub fn print_kernel(kernel: &Kernel) -> String {
    let mut printer = Printer { kernel, out: String::new(), depth: 0 };
    for line in &kernel.doc {
        printer.line(&format!("# {}", crate::diagnostic::printable(line).replace('\n', " ")));
    }
    let params: Vec<String> = kernel.params().map(|(_, b)| parameter(b)).collect();
    printer.line(&format!("kernel {}({}) {{", kernel.name, params.join(", ")));
    printer.depth = 1;
    for b in &kernel.buffers {
        if matches!(b.access, Access::Const(_)) {
            printer.line(&format!("const {}: {}[{}]", b.name, ty_name(b.ty), b.len));
        }
    }
    printer.block(&kernel.body);
    printer.depth = 0;
    printer.line("}");
    printer.out
}

/// One expression of a kernel.
#[must_use]
pub fn expression(kernel: &Kernel, e: &Expr) -> String {
    Printer { kernel, out: String::new(), depth: 0 }.expr(e, 0)
}

fn parameter(b: &BufDecl) -> String {
    let role = match b.access {
        Access::In(_) => "in",
        Access::Out(_) => "out",
        Access::Scratch => "scratch",
        Access::Const(_) => "const",
    };
    format!("{role} {}: {}[{}]", b.name, ty_name(b.ty), b.len)
}

fn ty_name(ty: Ty) -> &'static str {
    match ty {
        Ty::Bool => "bool",
        Ty::I8 => "i8",
        Ty::U8 => "u8",
        Ty::I16 => "i16",
        Ty::U16 => "u16",
        Ty::I32 => "i32",
        Ty::U32 => "u32",
        Ty::I64 => "i64",
        Ty::U64 => "u64",
        Ty::F32 => "f32",
        Ty::F64 => "f64",
    }
}

/// Spelling and binding strength (larger binds tighter).
fn operator(op: BinOp) -> (&'static str, u8) {
    match op {
        BinOp::Mul => ("*", 10),
        BinOp::Div => ("/", 10),
        BinOp::Rem => ("%", 10),
        BinOp::Add => ("+", 9),
        BinOp::Sub => ("-", 9),
        BinOp::Shl => ("<<", 8),
        BinOp::Shr => (">>", 8),
        BinOp::And => ("&", 7),
        BinOp::Xor => ("^", 6),
        BinOp::Or => ("|", 5),
        BinOp::Lt => ("<", 4),
        BinOp::Le => ("<=", 4),
        BinOp::Gt => (">", 4),
        BinOp::Ge => (">=", 4),
        BinOp::Eq => ("==", 4),
        BinOp::Ne => ("!=", 4),
        BinOp::LogicAnd => ("&&", 3),
        BinOp::LogicOr => ("||", 2),
    }
}

struct Printer<'a> {
    kernel: &'a Kernel,
    out: String,
    depth: usize,
}

impl Printer<'_> {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{:width$}{text}", "", width = 2 * self.depth);
    }

    fn var(&self, id: u32) -> &str {
        self.kernel.vars.get(id as usize).map_or("?", |v| v.name.as_str())
    }

    fn buf(&self, id: u32) -> &str {
        self.kernel.buffers.get(id as usize).map_or("?", |b| b.name.as_str())
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    fn nested(&mut self, body: &[Stmt]) {
        self.depth += 1;
        self.block(body);
        self.depth -= 1;
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::For { var, extent, step, body } => {
                let by = if *step == 1 { String::new() } else { format!(" step {step}") };
                let head = format!("for {} in 0..{extent}{by} {{", self.var(var.id));
                self.line(&head);
                self.nested(body);
                self.line("}");
            }
            Stmt::Let(var, value) => {
                let mutable =
                    self.kernel.vars.get(var.id as usize).is_some_and(|declared| declared.mutable);
                let keyword = if mutable { "var" } else { "let" };
                let (name, ty) = (self.var(var.id), ty_name(var.ty));
                self.line(&format!("{keyword} {name}: {ty} = {}", self.expr(value, 0)));
            }
            Stmt::Assign(var, value) => {
                self.line(&format!("{} = {}", self.var(var.id), self.expr(value, 0)));
            }
            Stmt::Store(buf, index, value) => {
                let (index, value) = (self.expr(index, 0), self.expr(value, 0));
                self.line(&format!("{}[{index}] = {value}", self.buf(buf.id)));
            }
            Stmt::If { cond, then, otherwise } => {
                self.line(&format!("if {} {{", self.expr(cond, 0)));
                self.nested(then);
                if !otherwise.is_empty() {
                    self.line("} else {");
                    self.nested(otherwise);
                }
                self.line("}");
            }
            Stmt::Tile(tile) => self.tile(tile),
            Stmt::Comment(text) => self.line(&format!("# {text}")),
        }
    }

    fn tile(&mut self, tile: &Tile) {
        let accumulators: Vec<&str> = tile.accumulators.iter().map(|v| self.var(v.id)).collect();
        self.line(&format!("tile {} trips ({}) {{", tile.trips, accumulators.join(", ")));
        self.depth += 1;
        for c in &tile.cursors {
            let (buf, start) = (self.buf(c.buf.id), self.expr(&c.start, 0));
            self.line(&format!("cursor {} = &{buf}[{start}] stride {}", c.name, c.stride));
        }
        for inst in &tile.body {
            let text = self.tile_inst(tile, inst);
            self.line(&text);
        }
        self.depth -= 1;
        self.line("}");
    }

    fn tile_inst(&self, tile: &Tile, inst: &TileInst) -> String {
        match inst {
            TileInst::LoadPair { lo, hi, cursor, offset, advance } => {
                let name = tile.cursors.get(*cursor).map_or("?", |c| c.name.as_str());
                let after = if *advance { ", advance" } else { "" };
                format!("r{}, r{} = load {name} + {offset}{after}", lo.0, hi.0)
            }
            TileInst::Sxtb16 { dst, src, ror8 } => {
                let name = if *ror8 { "sxtb16_ror8" } else { "sxtb16" };
                format!("r{} = {name}(r{})", dst.0, src.0)
            }
            TileInst::Smlad { acc, a, b } => {
                let acc = tile.accumulators.get(*acc).map_or("?", |v| self.var(v.id));
                format!("{acc} = smlad(r{}, r{}, {acc})", a.0, b.0)
            }
        }
    }

    /// The expression, in parentheses when it binds weaker than `outer`.
    fn expr(&self, e: &Expr, outer: u8) -> String {
        match e {
            Expr::Int(v, Ty::U64) => v.cast_unsigned().to_string(),
            Expr::Int(v, _) => v.to_string(),
            Expr::Float(v) => format!("{v:?}"),
            Expr::Var(v) => self.var(v.id).to_string(),
            Expr::Load(buf, index) => format!("{}[{}]", self.buf(buf.id), self.expr(index, 0)),
            Expr::Bin(op, a, b) => {
                let (text, strength) = operator(*op);
                // The right side of the same strength needs them: a - (b - c).
                let inner =
                    format!("{} {text} {}", self.expr(a, strength), self.expr(b, strength + 1));
                if strength < outer { format!("({inner})") } else { inner }
            }
            Expr::Cast(ty, inner) => format!("{}({})", ty_name(*ty), self.expr(inner, 0)),
            Expr::Select(cond, a, b) => {
                let [cond, a, b] = [cond, a, b].map(|e| self.expr(e, 2));
                let inner = format!("{cond} ? {a} : {b}");
                if outer > 0 { format!("({inner})") } else { inner }
            }
            Expr::Call(f, args) => {
                let args: Vec<String> = args.iter().map(|a| self.expr(a, 0)).collect();
                format!("{}({})", f.name(), args.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kir::{Buf, Var, VarDecl, int};

    #[test]
    fn prints_loops_and_only_needed_parentheses() {
        let (i, acc) = (Var { id: 0, ty: Ty::I32 }, Var { id: 1, ty: Ty::I32 });
        let (x, y) = (Buf { id: 0, ty: Ty::I8 }, Buf { id: 1, ty: Ty::I8 });
        let load = Expr::Load(x, Box::new(Expr::from(i))).cast(Ty::I32);
        let value = (load - int(3)) * int(2) - (Expr::from(i) - int(1));
        let declare = |name: &str, mutable| VarDecl { name: name.into(), ty: Ty::I32, mutable };
        let buffer = |name: &str, access| BufDecl { name: name.into(), ty: Ty::I8, len: 8, access };
        let kernel = Kernel {
            name: "layer00_test".into(),
            doc: vec!["Test".into()],
            buffers: vec![buffer("x", Access::In(0)), buffer("y", Access::Out(0))],
            vars: vec![declare("i", false), declare("acc", true)],
            body: vec![Stmt::For {
                var: i,
                extent: 8,
                step: 2,
                body: vec![
                    Stmt::Let(acc, value),
                    Stmt::Store(y, i.into(), Expr::from(acc).clamp(-128, 127).cast(Ty::I8)),
                ],
            }],
        };
        let expected = "# Test\n\
            kernel layer00_test(in x: i8[8], out y: i8[8]) {\n  \
              for i in 0..8 step 2 {\n    \
                var acc: i32 = (i32(x[i]) - 3) * 2 - (i - 1)\n    \
                y[i] = i8(clamp(acc, -128, 127))\n  \
              }\n\
            }\n";
        assert_eq!(print_kernel(&kernel), expected);
    }
}
