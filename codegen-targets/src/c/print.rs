//! Kernel IR -> C statements and expressions: an exhaustive match with a precedence table, so that
//! parentheses stand exactly where C or a careful reader needs them. Tiles are in `tile`.

use super::lexical::{c_type, comment_text, float_literal, identifier};
use super::tile;
use std::collections::BTreeSet;
use tinycc_core::kir::{Access, BinOp, Buf, Expr, Intrinsic, Kernel, Stmt, Tile, Ty, Var};

/// Names and requirements of one function while it is printed.
#[derive(Debug)]
pub struct Printer<'a> {
    kernel: &'a Kernel,
    /// Name per kernel buffer: parameter, or the file-level constant.
    buffers: Vec<String>,
    vars: Vec<String>,
    /// Intrinsics used so far, over all functions of the file.
    pub used: &'a mut BTreeSet<Intrinsic>,
    /// Whether tiles are printed as assembly where the core has it.
    pub out: String,
}

/// Precedence levels, higher binds tighter.
const TERNARY: u8 = 1;
const LOGIC_OR: u8 = 2;
const LOGIC_AND: u8 = 3;
/// Below relations, as C has it.
const BITS: u8 = 5;
const RELATION: u8 = 6;
const SHIFT: u8 = 8;
const SUM: u8 = 9;
const PRODUCT: u8 = 10;
const UNARY: u8 = 11;
const PRIMARY: u8 = 12;

struct Operator {
    text: &'static str,
    level: u8,
    /// Least level of the left and right operand that stands without parentheses.
    left: u8,
    right: u8,
}

fn operator(op: BinOp) -> Operator {
    let of = |text, level, left, right| Operator { text, level, left, right };
    match op {
        BinOp::Add => of("+", SUM, SUM, SUM + 1),
        BinOp::Sub => of("-", SUM, SUM, SUM + 1),
        BinOp::Mul => of("*", PRODUCT, PRODUCT, PRODUCT + 1),
        BinOp::Div => of("/", PRODUCT, PRODUCT, PRODUCT + 1),
        BinOp::Rem => of("%", PRODUCT, PRODUCT, PRODUCT + 1),
        // Compilers and readers want parentheses around arithmetic inside shifts and bit operations.
        BinOp::Shl => of("<<", SHIFT, UNARY, UNARY),
        BinOp::Shr => of(">>", SHIFT, UNARY, UNARY),
        BinOp::And => of("&", BITS, UNARY, UNARY),
        BinOp::Or => of("|", BITS, UNARY, UNARY),
        BinOp::Xor => of("^", BITS, UNARY, UNARY),
        BinOp::Lt => of("<", RELATION, SHIFT, SHIFT),
        BinOp::Le => of("<=", RELATION, SHIFT, SHIFT),
        BinOp::Gt => of(">", RELATION, SHIFT, SHIFT),
        BinOp::Ge => of(">=", RELATION, SHIFT, SHIFT),
        BinOp::Eq => of("==", RELATION, SHIFT, SHIFT),
        BinOp::Ne => of("!=", RELATION, SHIFT, SHIFT),
        BinOp::LogicAnd => of("&&", LOGIC_AND, LOGIC_AND, LOGIC_AND + 1),
        BinOp::LogicOr => of("||", LOGIC_OR, RELATION, RELATION),
    }
}

fn int_literal(value: i64, ty: Ty) -> (String, u8) {
    let level = if value < 0 { UNARY } else { PRIMARY };
    match ty {
        Ty::U32 => (format!("{value}u"), PRIMARY),
        Ty::U64 => (format!("UINT64_C({})", value.cast_unsigned()), PRIMARY),
        Ty::I64 if value == i64::MIN => (format!("(-INT64_C({}) - 1)", i64::MAX), PRIMARY),
        Ty::I64 if value < 0 => (format!("-INT64_C({})", -value), UNARY),
        Ty::I64 => (format!("INT64_C({value})"), PRIMARY),
        Ty::Bool | Ty::I8 | Ty::U8 | Ty::I16 | Ty::U16 | Ty::I32 | Ty::F32 | Ty::F64 => {
            if value == i64::from(i32::MIN) {
                return ("(-2147483647 - 1)".into(), PRIMARY);
            }
            (value.to_string(), level)
        }
    }
}

impl<'a> Printer<'a> {
    /// A printer for one kernel; `constant` names the file-level array of a constant buffer.
    pub fn new(
        kernel: &'a Kernel,
        used: &'a mut BTreeSet<Intrinsic>,
        constant: impl Fn(usize) -> String,
    ) -> Self {
        let buffers = kernel
            .buffers
            .iter()
            .enumerate()
            .map(|(i, b)| match b.access {
                Access::Const(_) => constant(i),
                Access::In(_) | Access::Out(_) | Access::Scratch => identifier(&b.name),
            })
            .collect();
        let vars = kernel.vars.iter().map(|v| identifier(&v.name)).collect();
        Self { kernel, buffers, vars, used, out: String::new() }
    }

    /// Name of a variable.
    #[must_use]
    pub fn var(&self, var: Var) -> &str {
        &self.vars[var.id as usize]
    }

    /// Name of a buffer.
    #[must_use]
    pub fn buffer(&self, buf: Buf) -> &str {
        &self.buffers[buf.id as usize]
    }

    /// Appends one indented line.
    pub fn line(&mut self, depth: usize, text: &str) {
        for _ in 0..depth {
            self.out.push_str("    ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Prints statements at a nesting depth.
    pub fn block(&mut self, depth: usize, body: &[Stmt]) {
        for stmt in body {
            self.stmt(depth, stmt);
        }
    }

    fn stmt(&mut self, depth: usize, stmt: &Stmt) {
        match stmt {
            Stmt::For { var, extent, step, body } => {
                let name = self.var(*var).to_string();
                let next = match step {
                    1 => format!("{name}++"),
                    n => format!("{name} += {n}"),
                };
                self.line(
                    depth,
                    &format!("for (int32_t {name} = 0; {name} < {extent}; {next}) {{"),
                );
                self.block(depth + 1, body);
                self.line(depth, "}");
            }
            Stmt::Let(var, value) => {
                let text = self.expr(value);
                let mutable = self.kernel.vars[var.id as usize].mutable;
                let qualifier = if mutable { "" } else { "const " };
                let line = format!("{qualifier}{} {} = {text};", c_type(var.ty), self.var(*var));
                self.line(depth, &line);
            }
            Stmt::Assign(var, value) => self.assign(depth, *var, value),
            Stmt::Store(buf, index, value) => {
                let (index, value) = (self.expr(index), self.expr(value));
                let line = format!("{}[{index}] = {value};", self.buffer(*buf));
                self.line(depth, &line);
            }
            Stmt::If { cond, then, otherwise } => {
                let cond = self.expr(cond);
                self.line(depth, &format!("if ({cond}) {{"));
                self.block(depth + 1, then);
                if !otherwise.is_empty() {
                    self.line(depth, "} else {");
                    self.block(depth + 1, otherwise);
                }
                self.line(depth, "}");
            }
            Stmt::Tile(tile) => self.tile(depth, tile),
            Stmt::Comment(text) => {
                self.line(depth, &format!("/* {} */", comment_text(text)));
            }
        }
    }

    fn tile(&mut self, depth: usize, tile: &Tile) {
        self.used.extend(tile::INTRINSICS);
        let starts = tile
            .cursors
            .iter()
            .map(|c| {
                let start = self.expr(&c.start);
                format!("&{}[{start}]", self.buffer(c.buf))
            })
            .collect();
        let accumulators = tile.accumulators.iter().map(|&v| self.var(v).to_string()).collect();
        for (below, text) in tile::lines(tile, &tile::Names { starts, accumulators }) {
            self.line(below.map_or(0, |n| depth + n), &text);
        }
    }

    /// `x = x + e` reads better as `x += e`.
    fn assign(&mut self, depth: usize, var: Var, value: &Expr) {
        let name = self.var(var).to_string();
        if let Expr::Bin(op @ (BinOp::Add | BinOp::Sub), left, right) = value
            && **left == Expr::Var(var)
        {
            let text = self.expr(right);
            let sign = operator(*op).text;
            self.line(depth, &format!("{name} {sign}= {text};"));
            return;
        }
        let text = self.expr(value);
        self.line(depth, &format!("{name} = {text};"));
    }

    /// An expression without outer parentheses.
    pub fn expr(&mut self, e: &Expr) -> String {
        self.at_level(e, 0)
    }

    fn at_level(&mut self, e: &Expr, least: u8) -> String {
        let (text, level) = self.with_level(e);
        if level < least { format!("({text})") } else { text }
    }

    fn with_level(&mut self, e: &Expr) -> (String, u8) {
        match e {
            Expr::Int(value, ty) => int_literal(*value, *ty),
            Expr::Float(value) => {
                let level = if value.is_sign_negative() { UNARY } else { PRIMARY };
                (float_literal(*value), level)
            }
            Expr::Var(var) => (self.var(*var).to_string(), PRIMARY),
            Expr::Load(buf, index) => {
                let index = self.expr(index);
                (format!("{}[{index}]", self.buffer(*buf)), PRIMARY)
            }
            Expr::Bin(op, a, b) => {
                let op = operator(*op);
                let (a, b) = (self.at_level(a, op.left), self.at_level(b, op.right));
                (format!("{a} {} {b}", op.text), op.level)
            }
            Expr::Cast(ty, a) => {
                let inner = self.at_level(a, UNARY);
                (format!("({}){inner}", c_type(*ty)), UNARY)
            }
            Expr::Select(c, a, b) => {
                let c = self.at_level(c, LOGIC_OR);
                let (a, b) = (self.at_level(a, LOGIC_OR), self.at_level(b, TERNARY));
                (format!("{c} ? {a} : {b}"), TERNARY)
            }
            Expr::Call(f, args) => {
                self.used.insert(*f);
                let args: Vec<String> = args.iter().map(|a| self.expr(a)).collect();
                let prefix = if f.is_libm() { "" } else { "tcc_" };
                (format!("{prefix}{}({})", f.name(), args.join(", ")), PRIMARY)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinycc_core::kir::int;

    fn text(e: &Expr) -> String {
        let kernel = Kernel {
            name: String::new(),
            doc: vec![],
            buffers: vec![],
            vars: vec![],
            body: vec![],
        };
        Printer::new(&kernel, &mut BTreeSet::new(), |_| String::new()).expr(e)
    }

    fn bin(op: BinOp, a: Expr, b: Expr) -> Expr {
        Expr::Bin(op, Box::new(a), Box::new(b))
    }

    #[test]
    fn parentheses_stand_where_needed() {
        let sum = bin(BinOp::Add, int(1), int(2));
        assert_eq!(text(&bin(BinOp::Mul, sum.clone(), int(3))), "(1 + 2) * 3");
        assert_eq!(text(&bin(BinOp::Sub, int(3), sum.clone())), "3 - (1 + 2)");
        assert_eq!(text(&bin(BinOp::Sub, sum.clone(), int(3))), "1 + 2 - 3");
        assert_eq!(text(&bin(BinOp::Shr, sum.clone(), int(3))), "(1 + 2) >> 3");
        let product = bin(BinOp::Mul, int(3), int(4));
        assert_eq!(text(&bin(BinOp::Div, int(1), product)), "1 / (3 * 4)");
        assert_eq!(text(&sum.clone().cast(Ty::I64)), "(int64_t)(1 + 2)");
        let masked = bin(BinOp::And, int(3), int(1));
        assert_eq!(text(&bin(BinOp::Ne, masked, int(0))), "(3 & 1) != 0");
        let less = bin(BinOp::Lt, sum, int(-5));
        assert_eq!(text(&bin(BinOp::LogicAnd, less.clone(), less)), "1 + 2 < -5 && 1 + 2 < -5");
    }

    #[test]
    fn literals_read_back() {
        assert_eq!(text(&int(i64::from(i32::MIN))), "(-2147483647 - 1)");
        assert_eq!(text(&Expr::Int(7, Ty::U32)), "7u");
        assert_eq!(text(&Expr::Int(-7, Ty::I64)), "-INT64_C(7)");
        assert_eq!(float_literal(0.1), "0.1f");
        assert_eq!(float_literal(1e20), "1e20f");
        assert_eq!(float_literal(-1.0), "-1.0f");
    }
}
