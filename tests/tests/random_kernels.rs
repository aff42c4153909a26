//! Random kernels, run with the arithmetic of emitted Rust (it wraps, shift counts are masked,
//! unproved accesses outside are zero): no access that counts as proved may leave its buffer.

#![allow(
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "only what the kernels are made of occurs"
)]

use std::collections::BTreeMap;
use tinycc_core::TensorData;
use tinycc_core::kir::bounds::Proof;
use tinycc_core::kir::{
    Access, BinOp, Buf, BufDecl, Expr, Intrinsic, Kernel, Stmt, Ty, Var, VarDecl,
};

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const INTS: [Ty; 5] = [Ty::I32, Ty::I32, Ty::I64, Ty::U32, Ty::U64];
const BUFFERS: [(Ty, usize); 6] =
    [(Ty::I32, 4), (Ty::I8, 9), (Ty::U8, 24), (Ty::F32, 5), (Ty::I32, 3), (Ty::I32, 13)];
const TABLE: [i32; 3] = [4, 7, 5];
const EDGES: [i64; 10] =
    [-1, 0, 1, 2, 3, 7, 127, i32::MAX as i64, i32::MIN as i64, i32::MAX as i64 - 2];

struct Maker {
    random: Random,
    vars: Vec<VarDecl>,
    scope: Vec<Var>,
}

impl Maker {
    fn int(&mut self, ty: Ty) -> Expr {
        let value = match self.random.below(12) {
            0 => self.random.pick(&EDGES),
            _small => self.random.below(12) as i64 - 2,
        };
        Expr::Int(if ty == Ty::U32 { i64::from(value as u32) } else { value }, ty)
    }

    fn var(&mut self, ty: Ty) -> Option<Expr> {
        let fitting: Vec<Var> = self.scope.iter().copied().filter(|v| v.ty == ty).collect();
        (!fitting.is_empty()).then(|| Expr::Var(self.random.pick(&fitting)))
    }

    fn load(&mut self, ty: Ty, depth: usize) -> Option<Expr> {
        let fitting: Vec<u32> =
            (0..BUFFERS.len() as u32).filter(|&b| BUFFERS[b as usize].0 == ty).collect();
        let id = *fitting.get(self.random.below(fitting.len().max(1)))?;
        Some(Expr::Load(Buf { id, ty }, Box::new(self.index(id, depth))))
    }

    /// An index, often one that has a chance.
    fn index(&mut self, buf: u32, depth: usize) -> Expr {
        let last = BUFFERS[buf as usize].1 as i64 - 1 + self.random.below(2) as i64;
        let e = self.expr(Ty::I32, depth);
        let low = self.random.below(6) as i64 - 1;
        match self.random.below(9) {
            0 => Expr::call(
                Intrinsic::Clamp,
                vec![e, Expr::Int(low.max(0), Ty::I32), Expr::Int(last, Ty::I32)],
            ),
            1 => Expr::bin(BinOp::And, e, Expr::Int(last, Ty::I32)),
            2 | 3 => {
                let other = self.expr(Ty::I32, depth / 2);
                let c = self.within(e.clone(), Expr::Int(last, Ty::I32));
                Expr::Select(Box::new(c), Box::new(e), Box::new(other))
            }
            4 => Expr::bin(BinOp::Rem, e, Expr::Int(last + 1, Ty::I32)),
            _plain => e,
        }
    }

    fn within(&mut self, e: Expr, last: Expr) -> Expr {
        if self.random.below(3) == 0 {
            let (e, last) = (e.cast(Ty::U32), last.cast(Ty::U32));
            return Expr::Bin(self.random.pick(&[BinOp::Lt, BinOp::Le]), e.into(), last.into());
        }
        let low = Expr::Bin(BinOp::Ge, e.clone().into(), Expr::Int(0, Ty::I32).into());
        let op = self.random.pick(&[BinOp::Lt, BinOp::Le]);
        let high = Expr::Bin(op, e.into(), last.into());
        Expr::Bin(BinOp::LogicAnd, low.into(), high.into())
    }

    fn condition(&mut self, depth: usize) -> Expr {
        let depth = depth.saturating_sub(1);
        match self.random.below(10) {
            0 | 1 if depth > 0 => {
                let (a, b) = (self.condition(depth), self.condition(depth));
                Expr::Bin(self.random.pick(&[BinOp::LogicAnd, BinOp::LogicOr]), a.into(), b.into())
            }
            2 => match self.var(Ty::Bool) {
                Some(var) => var,
                None => Expr::Int(1, Ty::Bool),
            },
            3 => self.expr(Ty::I32, depth).cast(Ty::Bool),
            4 => {
                let (a, b) = (self.expr(Ty::F32, depth), self.expr(Ty::I32, depth).cast(Ty::F32));
                let bound = self.random.pick(&[0.0, 0.5, -1.0, f32::NAN]);
                let d = Expr::Bin(BinOp::Sub, a.into(), b.into());
                Expr::Bin(BinOp::Gt, d.into(), Expr::Float(bound).into())
            }
            _compare => {
                let ty = self.random.pick(&INTS);
                let op = self.random.pick(&[
                    BinOp::Lt,
                    BinOp::Le,
                    BinOp::Gt,
                    BinOp::Ge,
                    BinOp::Eq,
                    BinOp::Ne,
                ]);
                Expr::Bin(op, self.expr(ty, depth).into(), self.expr(ty, depth).into())
            }
        }
    }

    fn float(&mut self, depth: usize) -> Expr {
        match self.random.below(6) {
            0 => Expr::Float(self.random.pick(&[0.0, -0.5, 3.25, 1e10, f32::NAN, f32::INFINITY])),
            1 => self.load(Ty::F32, depth).unwrap_or(Expr::Float(2.0)),
            2 | 3 => {
                let x = self.expr(Ty::F32, depth);
                let (lo, hi) = (Expr::Float(self.random.pick(&[0.0, 1.5])), Expr::Float(6.0));
                let x = Expr::Call(Intrinsic::MaxF32, vec![x, lo]);
                Expr::Call(Intrinsic::MinF32, vec![x, hi])
            }
            4 => self.expr(Ty::I32, depth).cast(Ty::F32),
            _any => {
                let op = self.random.pick(&[BinOp::Add, BinOp::Sub, BinOp::Mul, BinOp::Div]);
                Expr::Bin(op, self.expr(Ty::F32, depth).into(), self.expr(Ty::F32, depth).into())
            }
        }
    }

    fn expr(&mut self, ty: Ty, depth: usize) -> Expr {
        let Some(depth) = depth.checked_sub(1) else {
            let var = self.var(ty);
            return match ty {
                Ty::F32 => var.unwrap_or(Expr::Float(1.0)),
                _int if self.random.below(3) > 0 => var.unwrap_or_else(|| self.int(ty)),
                _int => self.int(ty),
            };
        };
        if ty == Ty::F32 {
            return self.float(depth);
        }
        let shift = |r: &mut Random| Expr::Int(r.below(5) as i64, Ty::I32);
        match self.random.below(16) {
            0 => self.load(ty, depth).unwrap_or_else(|| self.int(ty)),
            1 if ty == Ty::I32 => {
                let from = self.random.pick(&[Ty::I8, Ty::U8]);
                self.load(from, depth).map_or(Expr::Int(0, ty), |e| e.cast(ty))
            }
            2 => {
                let from = self.random.pick(&[Ty::I32, Ty::U32, Ty::I64, Ty::F32]);
                let through = self.random.pick(&[ty, ty, Ty::I8, Ty::U8, Ty::I16]);
                self.expr(from, depth).cast(through).cast(ty)
            }
            3 => self.condition(depth).cast(ty),
            4 | 5 => {
                let (c, a, b) = (self.condition(depth), self.expr(ty, depth), self.expr(ty, depth));
                Expr::Select(Box::new(c), Box::new(a), Box::new(b))
            }
            6 if ty == Ty::I32 => {
                let f = self.random.pick(&[Intrinsic::MinI32, Intrinsic::MaxI32]);
                Expr::Call(f, vec![self.expr(ty, depth), self.expr(ty, depth)])
            }
            7 if ty == Ty::I32 => {
                let args = (0..3).map(|_| self.expr(ty, depth / 2)).collect();
                Expr::Call(Intrinsic::Clamp, args)
            }
            8 => {
                let op = self.random.pick(&[BinOp::Shl, BinOp::Shr]);
                Expr::Bin(op, self.expr(ty, depth).into(), shift(&mut self.random).into())
            }
            9 | 10 => {
                let op = self.random.pick(&[BinOp::Div, BinOp::Rem]);
                let by = Expr::Int(self.random.below(7) as i64 + 1, ty);
                Expr::Bin(op, self.expr(ty, depth).into(), by.into())
            }
            11 => {
                let op = self.random.pick(&[BinOp::And, BinOp::Or, BinOp::Xor, BinOp::Mul]);
                Expr::Bin(op, self.expr(ty, depth).into(), self.expr(ty, depth).into())
            }
            12 => Expr::Bin(BinOp::Mul, self.expr(ty, depth).into(), self.int(ty).into()),
            _sum => {
                let op = self.random.pick(&[BinOp::Add, BinOp::Add, BinOp::Sub]);
                Expr::Bin(op, self.expr(ty, depth).into(), self.expr(ty, depth).into())
            }
        }
    }

    fn declare(&mut self, ty: Ty, mutable: bool) -> Var {
        let name = format!("v{}", self.vars.len());
        self.vars.push(VarDecl { name, ty, mutable });
        Var { id: self.vars.len() as u32 - 1, ty }
    }

    fn block(&mut self, depth: usize) -> Vec<Stmt> {
        let outer = self.scope.len();
        let n = self.random.below(4) + 1;
        let body = (0..n).map(|_| self.stmt(depth)).collect();
        self.scope.truncate(outer);
        body
    }

    fn stmt(&mut self, depth: usize) -> Stmt {
        match self.random.below(if depth > 0 { 10 } else { 6 }) {
            0 | 1 => {
                let ty = self.random.pick(&[Ty::I32, Ty::I32, Ty::I32, Ty::Bool, Ty::F32, Ty::I64]);
                let value = if ty == Ty::Bool { self.condition(2) } else { self.expr(ty, 2) };
                let mutable = self.random.below(2) == 0;
                let var = self.declare(ty, mutable);
                self.scope.push(var);
                Stmt::Let(var, value)
            }
            2 | 3 => {
                let of = |v: &&Var| self.vars[v.id as usize].mutable;
                let vars: Vec<Var> = self.scope.iter().filter(of).copied().collect();
                if vars.is_empty() {
                    return Stmt::Comment(String::new());
                }
                let var = self.random.pick(&vars);
                let value =
                    if var.ty == Ty::Bool { self.condition(2) } else { self.expr(var.ty, 2) };
                Stmt::Assign(var, value)
            }
            4 | 5 => {
                let id = self.random.pick(&[0, 1, 2, 3, 5]);
                let ty = BUFFERS[id as usize].0;
                let index = self.index(id, 3);
                let value = match ty {
                    Ty::F32 => self.expr(ty, 2),
                    _int => self.expr(Ty::I32, 2).cast(ty),
                };
                Stmt::Store(Buf { id, ty }, index, value)
            }
            6 | 7 => {
                let cond = self.condition(3);
                Stmt::If { cond, then: self.block(depth - 1), otherwise: self.block(depth - 1) }
            }
            _loop => {
                let var = self.declare(Ty::I32, false);
                let (extent, step) = (self.random.below(6), self.random.below(3) + 1);
                self.scope.push(var);
                let body = self.block(depth - 1);
                self.scope.pop();
                Stmt::For { var, extent, step, body }
            }
        }
    }

    fn kernel(seed: u64) -> Kernel {
        let mut maker = Self { random: Random(seed), vars: Vec::new(), scope: Vec::new() };
        let body = (0..3).flat_map(|_| maker.block(3)).collect();
        let buffers = BUFFERS.iter().enumerate().map(|(i, &(ty, len))| {
            let access = match i {
                4 => Access::Const(TensorData::I32(TABLE.to_vec())),
                _scratch => Access::Scratch,
            };
            BufDecl { name: format!("b{i}"), ty, len, access }
        });
        let buffers = buffers.collect();
        Kernel { name: "random".into(), doc: Vec::new(), buffers, vars: maker.vars, body }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Val {
    Int(i128),
    Float(f32),
}

/// Numbers the accesses as the proof documents it, by the address of their node.
#[derive(Default)]
struct Numbers {
    of: BTreeMap<usize, usize>,
}

fn address<T>(node: &T) -> usize {
    std::ptr::from_ref(node) as usize
}

impl Numbers {
    fn add<T>(&mut self, node: &T) {
        let n = self.of.len();
        self.of.insert(address(node), n);
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::For { body, .. } => self.block(body),
                Stmt::Let(_, e) | Stmt::Assign(_, e) => self.expr(e),
                Stmt::Store(_, index, value) => {
                    self.expr(index);
                    self.expr(value);
                    self.add(stmt);
                }
                Stmt::If { cond, then, otherwise } => {
                    self.expr(cond);
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Tile(_) | Stmt::Comment(_) => {}
            }
        }
    }

    fn expr(&mut self, e: &Expr) {
        match e {
            Expr::Int(..) | Expr::Float(_) | Expr::Var(_) => {}
            Expr::Load(_, index) => {
                self.expr(index);
                self.add(e);
            }
            Expr::Cast(_, a) => self.expr(a),
            Expr::Bin(_, a, b) => [a, b].into_iter().for_each(|e| self.expr(e)),
            Expr::Select(c, a, b) => [c, a, b].into_iter().for_each(|e| self.expr(e)),
            Expr::Call(_, args) => args.iter().for_each(|e| self.expr(e)),
        }
    }
}

struct Machine<'a> {
    kernel: &'a Kernel,
    numbers: Numbers,
    proof: Proof,
    vars: Vec<Val>,
    memory: Vec<Vec<Val>>,
    wrong: Vec<String>,
    outside: usize,
    inside: usize,
}

fn wrap(ty: Ty, v: i128) -> i128 {
    match ty {
        Ty::Bool => i128::from(v != 0),
        Ty::I8 => i128::from(v as i8),
        Ty::U8 => i128::from(v as u8),
        Ty::I16 => i128::from(v as i16),
        Ty::U16 => i128::from(v as u16),
        Ty::I32 => i128::from(v as i32),
        Ty::U32 => i128::from(v as u32),
        Ty::I64 => i128::from(v as i64),
        Ty::U64 => i128::from(v as u64),
        Ty::F32 | Ty::F64 => v,
    }
}

impl Machine<'_> {
    fn at(&mut self, node: usize, buf: Buf, i: i128) -> Option<usize> {
        let len = self.memory[buf.id as usize].len();
        let number = self.numbers.of[&node];
        let proved = self.proof.in_range(number);
        let at = usize::try_from(i).ok().filter(|&i| i < len);
        self.inside += usize::from(proved && at.is_some());
        self.outside += usize::from(!proved && at.is_none());
        if proved && at.is_none() {
            self.wrong.push(format!("access {number}: b{}[{i}] of {len}", buf.id));
        }
        at
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::For { var, extent, step, body } => {
                    for i in (0..*extent).step_by(*step) {
                        self.vars[var.id as usize] = Val::Int(i as i128);
                        self.block(body);
                    }
                }
                Stmt::Let(v, e) | Stmt::Assign(v, e) => {
                    self.vars[v.id as usize] = self.eval(e);
                }
                Stmt::Store(buf, index, value) => {
                    let (i, value) = (self.int(index), self.eval(value));
                    if let Some(i) = self.at(address(stmt), *buf, i) {
                        self.memory[buf.id as usize][i] = value;
                    }
                }
                Stmt::If { cond, then, otherwise } => {
                    let taken = if self.int(cond) != 0 { then } else { otherwise };
                    self.block(taken);
                }
                Stmt::Tile(_) | Stmt::Comment(_) => {}
            }
        }
    }

    fn int(&mut self, e: &Expr) -> i128 {
        match self.eval(e) {
            Val::Int(v) => v,
            Val::Float(v) => panic!("float {v} for an integer"),
        }
    }

    fn float(&mut self, e: &Expr) -> f32 {
        match self.eval(e) {
            Val::Float(v) => v,
            Val::Int(v) => panic!("integer {v} for a float"),
        }
    }

    fn eval(&mut self, e: &Expr) -> Val {
        match e {
            Expr::Int(v, ty) => Val::Int(wrap(*ty, i128::from(*v))),
            Expr::Float(v) => Val::Float(*v),
            Expr::Var(v) => self.vars[v.id as usize],
            Expr::Load(buf, index) => {
                let i = self.int(index);
                let at = self.at(address(e), *buf, i);
                let zero = if buf.ty == Ty::F32 { Val::Float(0.0) } else { Val::Int(0) };
                at.map_or(zero, |i| self.memory[buf.id as usize][i])
            }
            Expr::Bin(BinOp::LogicAnd, a, b) => {
                Val::Int(i128::from(self.int(a) != 0 && self.int(b) != 0))
            }
            Expr::Bin(BinOp::LogicOr, a, b) => {
                Val::Int(i128::from(self.int(a) != 0 || self.int(b) != 0))
            }
            Expr::Bin(op, a, b) if a.ty() == Ty::F32 => {
                let (x, y) = (self.float(a), self.float(b));
                match op {
                    BinOp::Add => Val::Float(x + y),
                    BinOp::Sub => Val::Float(x - y),
                    BinOp::Mul => Val::Float(x * y),
                    BinOp::Div => Val::Float(x / y),
                    BinOp::Gt => Val::Int(i128::from(x > y)),
                    other => panic!("{other:?} of floats"),
                }
            }
            Expr::Bin(op, a, b) => {
                let (x, y) = (self.int(a), self.int(b));
                Val::Int(integers(*op, a.ty(), x, y))
            }
            Expr::Cast(ty, a) => match (self.eval(a), ty) {
                (Val::Int(v), Ty::F32) => Val::Float(v as f32),
                (Val::Int(v), _) => Val::Int(wrap(*ty, v)),
                (Val::Float(v), Ty::I8) => Val::Int(i128::from(v as i8)),
                (Val::Float(v), Ty::U8) => Val::Int(i128::from(v as u8)),
                (Val::Float(v), Ty::I16) => Val::Int(i128::from(v as i16)),
                (Val::Float(v), Ty::I32) => Val::Int(i128::from(v as i32)),
                (Val::Float(v), Ty::U16) => Val::Int(i128::from(v as u16)),
                (Val::Float(v), Ty::U32) => Val::Int(i128::from(v as u32)),
                (Val::Float(v), Ty::I64) => Val::Int(i128::from(v as i64)),
                (Val::Float(v), Ty::U64) => Val::Int(i128::from(v as u64)),
                (Val::Float(v), Ty::Bool) => Val::Int(i128::from(v != 0.0)),
                (v @ Val::Float(_), Ty::F32 | Ty::F64) => v,
            },
            Expr::Select(c, a, b) => {
                if self.int(c) != 0 {
                    self.eval(a)
                } else {
                    self.eval(b)
                }
            }
            Expr::Call(f, args) if f.result() == Ty::F32 => {
                let (a, b) = (self.float(&args[0]), self.float(&args[1]));
                Val::Float(match f {
                    Intrinsic::MinF32 if a < b => a,
                    Intrinsic::MaxF32 if a > b => a,
                    _other => b,
                })
            }
            Expr::Call(f, args) => {
                let args: Vec<i32> = args.iter().map(|a| self.int(a) as i32).collect();
                Val::Int(i128::from(match f {
                    Intrinsic::MinI32 => args[0].min(args[1]),
                    Intrinsic::MaxI32 => args[0].max(args[1]),
                    _clamp => args[0].max(args[1]).min(args[2]),
                }))
            }
        }
    }
}

fn integers(op: BinOp, ty: Ty, x: i128, y: i128) -> i128 {
    let bits = 8 * ty.size() as u32;
    wrap(
        ty,
        match op {
            BinOp::Add => x.wrapping_add(y),
            BinOp::Sub => x.wrapping_sub(y),
            BinOp::Mul => x.wrapping_mul(y),
            BinOp::Div => wrap(ty, x).checked_div(y).unwrap_or(0),
            BinOp::Rem => x.checked_rem(y).unwrap_or(0),
            BinOp::Shl => x.wrapping_shl(y as u32 % bits),
            BinOp::Shr => x >> (y as u32 % bits),
            BinOp::And => x & y,
            BinOp::Or => x | y,
            BinOp::Xor => x ^ y,
            BinOp::Lt => return i128::from(x < y),
            BinOp::Le => return i128::from(x <= y),
            BinOp::Gt => return i128::from(x > y),
            BinOp::Ge => return i128::from(x >= y),
            BinOp::Eq => return i128::from(x == y),
            BinOp::Ne => return i128::from(x != y),
            BinOp::LogicAnd | BinOp::LogicOr => panic!("evaluated by short circuit"),
        },
    )
}

fn memory(random: &mut Random) -> Vec<Vec<Val>> {
    let mut element = |ty: Ty| match ty {
        Ty::F32 => Val::Float(random.pick(&[0.0, 1.0, 3.7, -2.0, 1e30, f32::NAN, f32::INFINITY])),
        ty => {
            let small = random.below(10) as i128 - 3;
            let edge = i128::from(random.pick(&EDGES));
            Val::Int(wrap(ty, random.pick(&[small, edge])))
        }
    };
    let mut memory: Vec<Vec<Val>> =
        BUFFERS.iter().map(|&(ty, len)| (0..len).map(|_| element(ty)).collect()).collect();
    memory[4] = TABLE.iter().map(|&v| Val::Int(v.into())).collect();
    memory
}

#[test]
fn no_random_kernel_is_proved_wrongly() {
    let full = std::env::var_os("TINYCC_FULL").is_some();
    let (mut inside, mut outside) = (0, 0);
    for seed in 1..=(if full { 20_000 } else { 1_000 }) {
        let kernel = Maker::kernel(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1);
        let mut numbers = Numbers::default();
        numbers.block(&kernel.body);
        let proof = Proof::of(&kernel);
        assert_eq!(proof.accesses().len(), numbers.of.len());
        let vars = kernel.vars.iter().map(|v| match v.ty {
            Ty::F32 => Val::Float(0.0),
            _int => Val::Int(0),
        });
        let vars = vars.collect();
        let mut machine = Machine {
            kernel: &kernel,
            numbers,
            proof,
            vars,
            memory: Vec::new(),
            wrong: Vec::new(),
            outside: 0,
            inside: 0,
        };
        for run in 0..8 {
            machine.memory = memory(&mut Random(seed << 8 | run << 1 | 1));
            machine.block(&machine.kernel.body);
        }
        let text = || tinycc_core::kir::text::print_kernel(&kernel);
        assert!(machine.wrong.is_empty(), "seed {seed}: {:?}\n{}", machine.wrong, text());
        inside += machine.inside;
        outside += machine.outside;
    }
    println!("{inside} proved accesses inside, {outside} others outside");
    assert!(inside > 1_000 && outside > 1_000, "random kernels say nothing");
}
