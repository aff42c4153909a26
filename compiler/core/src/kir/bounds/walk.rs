//! The walk through a kernel that numbers its accesses and carries along what is known: an abstract
//! interpretation with affine forms for values. Loops are walked once, with their variable and all
//! variables they change unknown within bounds that [`prove`] finds by iteration.

use super::affine::{Form, Range};
use super::context::{Context, Truth};
use super::value::{Value, limits};
use crate::kir::{Access, BinOp, Buf, BufDecl, Expr, Kernel, Stmt, Tile, TileInst, Ty, Var, text};
use crate::tensor::TensorData;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds in which the ranges of mutable variables grow by what is assigned; afterwards those that
/// still grow get the range of their type.
const ROUNDS: usize = 3;

/// What one walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub accesses: Vec<bool>,
    pub unproved: Vec<String>,
}

/// Walks until the ranges assumed for mutable variables hold what was assigned to them.
pub(super) fn prove(kernel: &Kernel) -> Found {
    let constants: Vec<Option<Range>> = kernel.buffers.iter().map(constant_range).collect();
    let mut assumed = BTreeMap::new();
    for round in 0.. {
        let mut walk = Walk {
            kernel,
            constants: &constants,
            context: Context::default(),
            values: vec![None; kernel.vars.len()],
            assumed: &assumed,
            assigned: BTreeMap::new(),
            dead: false,
            found: Found::default(),
        };
        walk.block(&kernel.body);
        let (found, assigned) = (walk.found, walk.assigned);
        let grows =
            |id: &u32, range: &Range| !assumed.get(id).is_some_and(|&known| range.within(known));
        let growing: Vec<u32> =
            assigned.iter().filter(|(id, r)| grows(id, r)).map(|(id, _)| *id).collect();
        if growing.is_empty() {
            return found;
        }
        for id in growing {
            let ty = kernel.vars.get(id as usize).map_or(Ty::I64, |v| v.ty);
            let seen = assigned.get(&id).copied().unwrap_or(limits(ty));
            let range = if round < ROUNDS { seen } else { limits(ty).hull(seen) };
            assumed.entry(id).and_modify(|r| *r = r.hull(range)).or_insert(range);
        }
    }
    Found::default()
}

/// Least and largest element of a constant.
fn constant_range(buffer: &BufDecl) -> Option<Range> {
    fn of<T: Copy + Into<i128>>(values: &[T]) -> Option<Range> {
        let each = values.iter().map(|&v| Range::new(v.into(), v.into()));
        each.reduce(Range::hull)
    }
    let Access::Const(data) = &buffer.access else { return None };
    match data {
        TensorData::I8(v) => of(v),
        TensorData::U8(v) | TensorData::Bool(v) => of(v),
        TensorData::I16(v) => of(v),
        TensorData::U16(v) | TensorData::F16(v) | TensorData::BF16(v) => of(v),
        TensorData::I32(v) => of(v),
        TensorData::U32(v) => of(v),
        TensorData::I64(v) => of(v),
        TensorData::U64(v) => of(v),
        TensorData::F32(_) | TensorData::F64(_) | TensorData::Small(..) => None,
    }
}

struct Walk<'a> {
    kernel: &'a Kernel,
    constants: &'a [Option<Range>],
    context: Context,
    /// Of every variable in scope.
    values: Vec<Option<Value>>,
    /// Ranges of mutable variables, to be confirmed by `assigned`.
    assumed: &'a BTreeMap<u32, Range>,
    /// Hull of all that was assigned.
    assigned: BTreeMap<u32, Range>,
    /// In a loop that never runs.
    dead: bool,
    found: Found,
}

impl Walk<'_> {
    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
        for stmt in body {
            if let Stmt::Let(var, _) = stmt {
                self.set(*var, None);
            }
        }
    }

    fn set(&mut self, var: Var, value: Option<Value>) {
        if let Some(slot) = self.values.get_mut(var.id as usize) {
            *slot = value;
        }
    }

    fn assign(&mut self, var: Var, value: Value) {
        if self.kernel.vars.get(var.id as usize).is_none_or(|v| v.mutable) && !var.ty.is_float() {
            let range = value.form.as_ref().and_then(|f| self.context.range(f));
            self.widen(var, range.unwrap_or(limits(var.ty)));
        }
        self.set(var, Some(value));
    }

    fn widen(&mut self, var: Var, range: Range) {
        self.assigned.entry(var.id).and_modify(|r| *r = r.hull(range)).or_insert(range);
    }

    /// Forgets the values of variables that are about to change, or may have changed.
    fn forget(&mut self, vars: &BTreeSet<Var>) {
        for &var in vars {
            let ranges = [self.assumed.get(&var.id), self.assigned.get(&var.id)];
            let range = ranges.into_iter().flatten().copied().reduce(Range::hull);
            let value = match range {
                Some(range) if !var.ty.is_float() => Value::int(self.context.fresh(range)),
                _unknown => self.context.opaque(var.ty),
            };
            self.set(var, Some(value));
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::For { var, extent, step, body } => {
                let dead = self.dead;
                self.dead |= *extent == 0;
                let changed = changed(body);
                self.forget(&changed);
                let mark = self.context.mark();
                let value = if changed.contains(var) {
                    self.context.opaque(var.ty)
                } else {
                    self.loop_variable(*extent, (*step).max(1))
                };
                self.set(*var, Some(value));
                self.block(body);
                self.set(*var, None);
                self.context.reset(mark);
                self.forget(&changed);
                self.dead = dead;
            }
            Stmt::Let(var, value) | Stmt::Assign(var, value) => {
                let value = self.expr(value);
                self.assign(*var, value);
            }
            Stmt::Store(buf, index, value) => {
                let at = self.expr(index);
                self.expr(value);
                self.access("store", *buf, index, &at);
            }
            Stmt::If { cond, then, otherwise } => {
                let truth = self.expr(cond).truth.unwrap_or_default();
                let mut changed = changed(then);
                changed.extend(self::changed(otherwise));
                let before = self.values.clone();
                let mark = self.context.mark();
                self.context.assume_all(&truth.yes);
                self.block(then);
                self.context.reset(mark);
                self.values = before;
                self.context.assume_all(&truth.no);
                self.block(otherwise);
                self.context.reset(mark);
                self.forget(&changed);
            }
            Stmt::Tile(tile) => self.tile(tile),
            Stmt::Comment(_) => {}
        }
    }

    fn loop_variable(&mut self, extent: usize, step: usize) -> Value {
        // The increment after the last pass must not overflow either.
        if extent.saturating_add(step) > i32::MAX as usize {
            return self.context.opaque(Ty::I32);
        }
        let passes = extent.div_ceil(step).max(1);
        let pass = self.context.fresh(Range::new(0, passes as i128 - 1));
        Value { form: pass.scaled(step as i128), ..Value::default() }
    }

    fn expr(&mut self, e: &Expr) -> Value {
        match e {
            Expr::Int(v, Ty::U64) => Value::constant(v.cast_unsigned().into()),
            Expr::Int(v, _) => Value::constant((*v).into()),
            Expr::Float(v) => Value::float((!v.is_nan()).then(|| (f64::from(*v), f64::from(*v)))),
            Expr::Var(v) => match self.values.get(v.id as usize).cloned().flatten() {
                Some(value) => value,
                None => self.context.opaque(v.ty),
            },
            Expr::Load(buf, index) => {
                let at = self.expr(index);
                let proved = self.access("load", *buf, index, &at);
                match self.constants.get(buf.id as usize).copied().flatten() {
                    Some(range) if !buf.ty.is_float() => {
                        // A checked load yields 0 outside of the constant.
                        let range = if proved { range } else { range.hull(Range::new(0, 0)) };
                        Value::int(self.context.fresh(range))
                    }
                    _unknown => self.context.opaque(buf.ty),
                }
            }
            Expr::Bin(op @ (BinOp::LogicAnd | BinOp::LogicOr), a, b) => self.logic(*op, a, b),
            Expr::Bin(op, a, b) => {
                let (x, y) = (self.expr(a), self.expr(b));
                self.context.binary(*op, a.ty(), &x, &y)
            }
            Expr::Cast(ty, a) => {
                let value = self.expr(a);
                self.context.cast(*ty, a.ty(), &value)
            }
            Expr::Select(cond, a, b) => self.select(cond, a, b),
            Expr::Call(f, args) => {
                let values: Vec<Value> = args.iter().map(|a| self.expr(a)).collect();
                self.context.call(*f, &values)
            }
        }
    }

    /// Short circuit: the right side is evaluated where the left side leaves the result open.
    fn logic(&mut self, op: BinOp, a: &Expr, b: &Expr) -> Value {
        let left = self.expr(a).truth.unwrap_or_default();
        let mark = self.context.mark();
        let open = if op == BinOp::LogicAnd { &left.yes } else { &left.no };
        self.context.assume_all(open);
        let right = self.expr(b).truth.unwrap_or_default();
        self.context.reset(mark);
        let both = |a: &[_], b: &[_]| [a, b].concat();
        self.context.predicate(if op == BinOp::LogicAnd {
            Truth { yes: both(&left.yes, &right.yes), no: Vec::new() }
        } else {
            Truth { yes: Vec::new(), no: both(&left.no, &right.no) }
        })
    }

    fn select(&mut self, cond: &Expr, a: &Expr, b: &Expr) -> Value {
        let truth = self.expr(cond).truth;
        let known = truth.clone().unwrap_or_default();
        let outside = self.context.atoms();
        let [x, y] = [(&known.yes, a), (&known.no, b)].map(|(facts, side)| {
            let mark = self.context.mark();
            self.context.assume_all(facts);
            let value = self.expr(side);
            let range = value.form.as_ref().and_then(|f| self.context.range(f));
            self.context.reset(mark);
            (value, range)
        });
        self.context.selected(truth, (&x.0, x.1), (&y.0, y.1), outside)
    }

    /// Decides the next access: element `at` of `buf`.
    fn access(&mut self, kind: &str, buf: Buf, index: &Expr, at: &Value) -> bool {
        let len = length(self.kernel, buf);
        let integer = if index.ty().is_float() { None } else { at.form.as_ref() };
        let proved = self.dead
            || integer.is_some_and(|f| self.context.proves(f, Range::new(0, len as i128 - 1)));
        self.record(proved, kind, buf, index, integer);
        proved
    }

    fn record(&mut self, proved: bool, kind: &str, buf: Buf, index: &Expr, at: Option<&Form>) {
        self.found.accesses.push(proved);
        if !proved {
            let range = match at.and_then(|f| self.context.range(f)) {
                Some(Range { lo, hi }) => format!("{lo}..={hi}"),
                None => "unknown".into(),
            };
            let name = self.kernel.buffers.get(buf.id as usize).map_or("?", |b| b.name.as_str());
            self.found.unproved.push(format!(
                "{}: {kind} {name}[{}] of {} elements: {range}",
                self.kernel.name,
                text::expression(self.kernel, index),
                length(self.kernel, buf)
            ));
        }
    }

    fn tile(&mut self, tile: &Tile) {
        for (number, cursor) in tile.cursors.iter().enumerate() {
            let start = self.expr(&cursor.start);
            let reach = reach(tile, number);
            let bytes = cursor.buf.ty.size() as i128;
            let first = start.form.as_ref().and_then(|f| f.scaled(bytes));
            let size = length(self.kernel, cursor.buf) as i128 * bytes;
            let proved = match (&first, reach) {
                (_, Reach::Nothing) => true,
                (Some(first), Reach::Words { lo, hi }) => {
                    let aligned =
                        first.terms.iter().all(|t| t.1 % 4 == 0) && first.constant % 4 == 0;
                    aligned && self.context.proves(first, Range::new(-lo, size - hi))
                }
                (None, _) | (_, Reach::Unknown) => false,
            };
            self.record(
                proved || self.dead,
                "tile reads from",
                cursor.buf,
                &cursor.start,
                start.form.as_ref(),
            );
        }
        for &var in &tile.accumulators {
            let value = self.context.opaque(var.ty);
            self.assign(var, value);
        }
    }
}

/// Bytes that a cursor reads relative to its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Nothing,
    /// `lo..hi`, all words aligned if the start is.
    Words {
        lo: i128,
        hi: i128,
    },
    Unknown,
}

fn reach(tile: &Tile, number: usize) -> Reach {
    let Some(cursor) = tile.cursors.get(number) else { return Reach::Unknown };
    let (mut moved, mut bytes): (i128, Option<Range>) = (0, None);
    let (mut aligned, mut advances) = (true, 0);
    for inst in &tile.body {
        if let TileInst::LoadPair { cursor: read, offset, advance, .. } = inst
            && *read == number
        {
            let at = moved + i128::from(*offset);
            aligned &= at % 4 == 0;
            let pair = Range::new(at, at + 8);
            bytes = Some(bytes.map_or(pair, |b| b.hull(pair)));
            if *advance {
                moved += cursor.stride as i128;
                advances += 1;
            }
        }
    }
    // Assembly counts the trips by cursor 0 and looks after the first one.
    let counts = advances == 1 && moved > 0;
    if tile.trips == 0 || number == 0 && !counts {
        return Reach::Unknown;
    }
    let Some(bytes) = bytes else { return Reach::Nothing };
    if !aligned || moved % 4 != 0 {
        return Reach::Unknown;
    }
    match moved.checked_mul(tile.trips as i128 - 1) {
        Some(last) => Reach::Words { lo: bytes.lo + last.min(0), hi: bytes.hi + last.max(0) },
        None => Reach::Unknown,
    }
}

fn length(kernel: &Kernel, buf: Buf) -> usize {
    kernel.buffers.get(buf.id as usize).map_or(0, |b| match &b.access {
        Access::Const(data) => b.len.min(data.len()),
        Access::In(_) | Access::Out(_) | Access::Scratch => b.len,
    })
}

/// Variables that `body` declares or assigns to.
fn changed(body: &[Stmt]) -> BTreeSet<Var> {
    let mut vars = BTreeSet::new();
    for stmt in body {
        match stmt {
            Stmt::Let(var, _) | Stmt::Assign(var, _) => {
                vars.insert(*var);
            }
            Stmt::For { var, body, .. } => {
                vars.insert(*var);
                vars.extend(changed(body));
            }
            Stmt::If { then, otherwise, .. } => {
                vars.extend(changed(then));
                vars.extend(changed(otherwise));
            }
            Stmt::Tile(tile) => vars.extend(&tile.accumulators),
            Stmt::Store(..) | Stmt::Comment(_) => {}
        }
    }
    vars
}
