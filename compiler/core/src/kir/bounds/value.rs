//! What is known about the value of an expression, by operation. Order of evaluation, statements
//! and accesses are in `walk.rs`.

use super::affine::{Form, Range};
use super::context::{Context, Fact, Truth};
use crate::kir::{BinOp, Intrinsic, Ty};
use std::rc::Rc;

/// What is known about a value. Without a form an integer is not known at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    /// Integers and truth values: the exact value.
    pub form: Option<Form>,
    /// Truth values: what follows.
    pub truth: Option<Rc<Truth>>,
    /// Floats.
    pub real: Real,
}

/// What is known about a float.
#[derive(Clone, Debug, Default)]
pub(super) struct Real {
    /// Not NaN, and between these.
    pub range: Option<(f64, f64)>,
    /// The conversion of this integer, exact.
    whole: Option<Form>,
    /// `x - whole` rounded, `x` at most the number: positive only when the integer is below it.
    excess: Option<(Form, f64)>,
}

impl Value {
    pub fn int(form: Form) -> Self {
        Self { form: Some(form), ..Self::default() }
    }

    pub fn constant(value: i128) -> Self {
        Self::int(Form::constant(value))
    }

    pub fn float(range: Option<(f64, f64)>) -> Self {
        Self { real: Real { range, ..Real::default() }, ..Self::default() }
    }
}

/// Integers that the arithmetic of a type can yield: the narrow types are storage.
fn arithmetic(ty: Ty) -> Range {
    match ty {
        Ty::I8 | Ty::U8 | Ty::I16 | Ty::U16 => limits(Ty::I32),
        Ty::Bool | Ty::I32 | Ty::U32 | Ty::I64 | Ty::U64 | Ty::F32 | Ty::F64 => limits(ty),
    }
}

/// Integers that a type holds.
pub(super) fn limits(ty: Ty) -> Range {
    let signed = |bits: u32| Range::new(-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1);
    match ty {
        Ty::Bool => Range::new(0, 1),
        Ty::I8 => signed(8),
        Ty::U8 => Range::new(0, 255),
        Ty::I16 => signed(16),
        Ty::U16 => Range::new(0, (1 << 16) - 1),
        Ty::I32 => signed(32),
        Ty::U32 => Range::new(0, (1 << 32) - 1),
        Ty::U64 => Range::new(0, (1 << 64) - 1),
        Ty::I64 | Ty::F32 | Ty::F64 => signed(64),
    }
}

impl Context {
    /// Any value of a type.
    pub fn opaque(&mut self, ty: Ty) -> Value {
        if ty.is_float() { Value::default() } else { Value::int(self.fresh(limits(ty))) }
    }

    fn in_range(&mut self, range: Range) -> Value {
        Value::int(self.fresh(range))
    }

    /// The form where it cannot leave its type; otherwise it may have wrapped.
    fn fitting(&mut self, form: Option<Form>, ty: Ty) -> Value {
        match form {
            Some(form) if self.proves(&form, limits(ty)) => Value::int(form),
            _other => self.in_range(arithmetic(ty)),
        }
    }

    /// `a op b` for operands of type `ty`; `&&` and `||` are in `walk.rs`.
    pub fn binary(&mut self, op: BinOp, ty: Ty, a: &Value, b: &Value) -> Value {
        if ty == Ty::F32 {
            return self.binary_real(op, &a.real, &b.real);
        }
        if ty == Ty::F64 {
            return self.opaque(if op.is_predicate() { Ty::Bool } else { ty });
        }
        let (Some(x), Some(y)) = (&a.form, &b.form) else {
            return self.opaque(if op.is_predicate() { Ty::Bool } else { ty });
        };
        match op {
            BinOp::Add => self.fitting(x.plus(y), ty),
            BinOp::Sub => self.fitting(x.minus(y), ty),
            BinOp::Mul => {
                let product = match (x.as_constant(), y.as_constant()) {
                    (Some(c), _) => y.scaled(c),
                    (_, Some(c)) => x.scaled(c),
                    (None, None) => {
                        let ranges = self.range(x).zip(self.range(y));
                        let product = ranges.and_then(|(x, y)| x.times(y));
                        product.map(|range| self.fresh(range))
                    }
                };
                self.fitting(product, ty)
            }
            BinOp::Div | BinOp::Rem => self.division(op, ty, x, y),
            BinOp::Shl => {
                let factor = shift(y, ty).map(|n| 1i128 << n);
                self.fitting(factor.and_then(|f| x.scaled(f)), ty)
            }
            BinOp::Shr => {
                let quotient = shift(y, ty).and_then(|n| self.quotient(x, 1i128 << n));
                self.fitting(quotient, ty)
            }
            BinOp::And => match (self.range(x), self.range(y)) {
                (Some(x), Some(y)) if x.lo >= 0 || y.lo >= 0 => {
                    let most = [x, y].iter().filter(|r| r.lo >= 0).map(|r| r.hi).min();
                    self.in_range(Range::new(0, most.unwrap_or(limits(ty).hi)))
                }
                _any => self.in_range(arithmetic(ty)),
            },
            BinOp::Or | BinOp::Xor => self.in_range(arithmetic(ty)),
            BinOp::Lt | BinOp::Le | BinOp::Gt | BinOp::Ge | BinOp::Eq | BinOp::Ne => {
                self.comparison(op, x, y)
            }
            BinOp::LogicAnd | BinOp::LogicOr => self.opaque(Ty::Bool),
        }
    }

    /// Both truncate towards zero.
    fn division(&mut self, op: BinOp, ty: Ty, x: &Form, y: &Form) -> Value {
        let (Some(range), Some(by)) = (self.range(x), y.as_constant().filter(|&c| c > 0)) else {
            return self.in_range(arithmetic(ty));
        };
        let form = match (op, range.lo >= 0) {
            (BinOp::Div, true) => self.quotient(x, by),
            (BinOp::Div, false) => Some(self.fresh(Range::new(range.lo / by, range.hi / by))),
            (_rem, true) => self.remainder(x, by),
            (_rem, false) => Some(self.fresh(Range::new(1 - by, by - 1))),
        };
        self.fitting(form, ty)
    }

    fn comparison(&mut self, op: BinOp, x: &Form, y: &Form) -> Value {
        let Some(d) = x.minus(y) else { return self.opaque(Ty::Bool) };
        let least = |lo: i128| vec![Fact::at_least(d.clone(), lo)];
        let most = |hi: i128| vec![Fact::at_most(d.clone(), hi)];
        let equal = || vec![Fact::between(d.clone(), 0, 0)];
        let (yes, no) = match op {
            BinOp::Lt => (most(-1), least(0)),
            BinOp::Le => (most(0), least(1)),
            BinOp::Gt => (least(1), most(0)),
            BinOp::Ge => (least(0), most(-1)),
            BinOp::Eq => (equal(), Vec::new()),
            BinOp::Ne => (Vec::new(), equal()),
            BinOp::Add
            | BinOp::Sub
            | BinOp::Mul
            | BinOp::Div
            | BinOp::Rem
            | BinOp::Shl
            | BinOp::Shr
            | BinOp::And
            | BinOp::Or
            | BinOp::Xor
            | BinOp::LogicAnd
            | BinOp::LogicOr => (Vec::new(), Vec::new()),
        };
        self.predicate(Truth { yes, no })
    }

    pub fn predicate(&mut self, truth: Truth) -> Value {
        Value { truth: Some(Rc::new(truth)), ..self.opaque(Ty::Bool) }
    }

    fn binary_real(&mut self, op: BinOp, a: &Real, b: &Real) -> Value {
        if op == BinOp::Sub {
            let excess = b.whole.clone().zip(a.range.map(|r| r.1));
            return Value { real: Real { excess, ..Real::default() }, ..Value::default() };
        }
        if !op.is_predicate() {
            return Value::default();
        }
        match (op, &a.excess, b.range) {
            (BinOp::Gt, Some((whole, most)), Some((lo, _))) if lo >= 0.0 && most.abs() < EXACT => {
                let below = most.ceil() as i128 - 1;
                let yes = vec![Fact::at_most(whole.clone(), below)];
                self.predicate(Truth { yes, no: Vec::new() })
            }
            _unknown => self.opaque(Ty::Bool),
        }
    }

    /// Conversion of a value of type `from`.
    pub fn cast(&mut self, ty: Ty, from: Ty, value: &Value) -> Value {
        if ty == from {
            return value.clone();
        }
        if from == Ty::F64 || ty == Ty::F64 {
            return self.opaque(ty);
        }
        if from == Ty::F32 {
            let Some((lo, hi)) = value.real.range else { return self.opaque(ty) };
            // Saturates far outside every type.
            let range = Range::new(lo.trunc() as i128, hi.trunc() as i128);
            let fits = range.within(limits(ty)) && ty != Ty::Bool;
            return if fits { self.in_range(range) } else { self.opaque(ty) };
        }
        let Some(form) = &value.form else { return self.opaque(ty) };
        if ty == Ty::F32 {
            let exact = Range::new(-(EXACT as i128), EXACT as i128);
            let range = self.range(form).filter(|r| r.within(exact));
            let whole = range.map(|_| form.clone());
            let range = range.map(|r| (r.lo as f64, r.hi as f64));
            return Value { real: Real { range, whole, excess: None }, ..Value::default() };
        }
        if self.proves(form, limits(ty)) {
            return value.clone();
        }
        let signed = self.range(form).is_some_and(|r| r.within(limits(Ty::I32)));
        if ty == Ty::U32 && signed {
            return Value::int(self.unsigned(form, limits(ty)));
        }
        self.opaque(ty)
    }

    /// `condition ? a : b`; the ranges hold where the condition is true and false. `outside` is how
    /// many unknowns there were before either side was evaluated.
    pub fn selected(
        &mut self,
        truth: Option<Rc<Truth>>,
        (a, a_range): (&Value, Option<Range>),
        (b, b_range): (&Value, Option<Range>),
        outside: usize,
    ) -> Value {
        let (Some(x), Some(y), Some(hull)) =
            (&a.form, &b.form, a_range.zip(b_range).map(|(a, b)| a.hull(b)))
        else {
            let reals = a.real.range.zip(b.real.range);
            return Value::float(reals.map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))));
        };
        let outer = |f: &Form| f.terms.iter().all(|t| t.0 < outside);
        if x == y && outer(x) {
            return a.clone();
        }
        match truth {
            Some(truth) if outer(x) && outer(y) => {
                Value::int(self.split(truth, x.clone(), y.clone(), hull))
            }
            _other => self.in_range(hull),
        }
    }

    pub fn call(&mut self, f: Intrinsic, args: &[Value]) -> Value {
        let forms: Vec<&Form> = args.iter().filter_map(|a| a.form.as_ref()).collect();
        let ranges: Vec<Range> = forms.iter().filter_map(|f| self.range(f)).collect();
        let reals: Vec<Option<(f64, f64)>> = args.iter().map(|a| a.real.range).collect();
        match (f, forms.as_slice(), ranges.as_slice()) {
            (Intrinsic::Clamp, &[x, _, _], &[v, lo, hi]) => {
                if lo.hi <= v.lo && v.hi <= hi.lo {
                    return Value::int(x.clone());
                }
                if lo.hi > hi.lo {
                    return self.in_range(lo.hull(hi));
                }
                let limited = |v: i128, lo: i128, hi: i128| v.max(lo).min(hi);
                self.in_range(Range::new(limited(v.lo, lo.lo, hi.lo), limited(v.hi, lo.hi, hi.hi)))
            }
            (Intrinsic::MinI32, &[x, y], &[a, b]) => {
                let min = self.fresh(Range::new(a.lo.min(b.lo), a.hi.min(b.hi)));
                self.assume_difference(&min, x, |d| Fact::at_most(d, 0));
                self.assume_difference(&min, y, |d| Fact::at_most(d, 0));
                Value::int(min)
            }
            (Intrinsic::MaxI32, &[x, y], &[a, b]) => {
                let max = self.fresh(Range::new(a.lo.max(b.lo), a.hi.max(b.hi)));
                self.assume_difference(&max, x, |d| Fact::at_least(d, 0));
                self.assume_difference(&max, y, |d| Fact::at_least(d, 0));
                Value::int(max)
            }
            (Intrinsic::Ssat8, ..) => self.in_range(limits(Ty::I8)),
            // a > b ? a : b, and a < b ? a : b: NaN on the left gives b.
            (Intrinsic::MaxF32, ..) => Value::float(match (reals.first(), reals.get(1)) {
                (Some(a), Some(&Some((lo, hi)))) => {
                    Some((lo, a.map_or(f64::INFINITY, |a| a.1).max(hi)))
                }
                _unknown => None,
            }),
            (Intrinsic::MinF32, ..) => Value::float(match (reals.first(), reals.get(1)) {
                (Some(a), Some(&Some((lo, hi)))) => {
                    Some((a.map_or(f64::NEG_INFINITY, |a| a.0).min(lo), hi))
                }
                _unknown => None,
            }),
            _other => self.opaque(f.result()),
        }
    }

    fn assume_difference(&mut self, a: &Form, b: &Form, fact: impl Fn(Form) -> Fact) {
        if let Some(difference) = a.minus(b) {
            self.assume(&fact(difference));
        }
    }
}

/// Up to this magnitude every integer is a float32.
const EXACT: f64 = 16_777_216.0;

/// A constant shift count that is less than the bits of the type: targets do not agree on others.
fn shift(count: &Form, ty: Ty) -> Option<u32> {
    let bits = 8 * ty.size() as u32;
    count.as_constant().and_then(|n| u32::try_from(n).ok()).filter(|&n| n < bits)
}
