//! What is known at a place of a kernel: ranges of unknowns, linear facts between them, and the
//! search for the bound of a form. Knows nothing about kernels.
//!
//! A bound is certified by exact arithmetic: for facts `F_k <= h_k` and any factors `m_k >= 0`,
//! `L <= sum m_k * h_k + max(L - sum m_k * F_k)`, the last term by intervals. How the factors were
//! found does not matter.

use super::affine::{Atom, Form, Range, div_ceil, gcd};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Facts that may take part in one bound.
const DEPTH: u32 = 4;
/// Selections that one proof distinguishes.
const SPLITS: u32 = 3;
/// Combinations tried for one bound.
const BUDGET: u32 = 20_000;

/// `lo <= form <= hi`, either side may be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub form: Form,
    pub lo: Option<i128>,
    pub hi: Option<i128>,
}

impl Fact {
    pub fn at_least(form: Form, lo: i128) -> Self {
        Self { form, lo: Some(lo), hi: None }
    }

    pub fn at_most(form: Form, hi: i128) -> Self {
        Self { form, lo: None, hi: Some(hi) }
    }

    pub fn between(form: Form, lo: i128, hi: i128) -> Self {
        Self { form, lo: Some(lo), hi: Some(hi) }
    }
}

/// What holds when a condition is true, and when it is false.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    pub yes: Vec<Fact>,
    pub no: Vec<Fact>,
}

/// An unknown that is one of two forms.
#[derive(Clone, Debug)]
struct Split {
    truth: Rc<Truth>,
    then: Form,
    otherwise: Form,
}

/// How a form depends on another: equal keys name equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    Quotient(i128),
    Remainder(i128),
}

/// A place to return to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    facts: usize,
    tightened: usize,
    derived: usize,
}

#[derive(Debug, Default)]
pub(super) struct Context {
    ranges: Vec<Range>,
    facts: Vec<Fact>,
    /// Former ranges of atoms that facts have narrowed.
    tightened: Vec<(Atom, Range)>,
    known: BTreeMap<(Relation, Form), Atom>,
    /// Keys of `known` in order of their creation.
    derived: Vec<(Relation, Form)>,
    splits: BTreeMap<Atom, Split>,
    /// Conversions of a form in the range of i32 to u32.
    unsigned: BTreeMap<Atom, Form>,
}

impl Context {
    pub fn mark(&self) -> Mark {
        Mark {
            facts: self.facts.len(),
            tightened: self.tightened.len(),
            derived: self.derived.len(),
        }
    }

    /// Forgets what was learned since `mark`. Unknowns made since then stay, unnamed: what was
    /// known about them may have held only there.
    pub fn reset(&mut self, mark: Mark) {
        self.facts.truncate(mark.facts);
        for (atom, range) in self.tightened.drain(mark.tightened..).rev() {
            if let Some(r) = self.ranges.get_mut(atom) {
                *r = range;
            }
        }
        for key in self.derived.drain(mark.derived..) {
            self.known.remove(&key);
        }
    }

    /// How many unknowns there are; later ones have this number or a larger one.
    pub fn atoms(&self) -> usize {
        self.ranges.len()
    }

    pub fn fresh(&mut self, range: Range) -> Form {
        self.ranges.push(range);
        Form::atom(self.ranges.len() - 1)
    }

    fn range_of(&self, atom: Atom) -> Range {
        self.ranges.get(atom).copied().unwrap_or(Range::new(i128::MIN, i128::MAX))
    }

    pub fn interval(&self, form: &Form) -> Option<Range> {
        form.interval(|a| self.range_of(a))
    }

    /// Takes a fact for granted until the next reset.
    pub fn assume(&mut self, fact: &Fact) {
        let Some(fact) = normalised(fact) else { return };
        if let ([(atom, 1)], Some(hi)) = (fact.form.terms.as_slice(), fact.hi)
            && hi <= i128::from(i32::MAX)
            && let Some(signed) = self.unsigned.get(atom).cloned()
        {
            self.assume(&Fact::between(signed, 0, hi));
        }
        self.propagate(&fact);
        if fact.form.terms.len() > 1 {
            self.facts.push(fact);
        }
        for _ in 0..2 {
            for i in 0..self.facts.len() {
                if let Some(fact) = self.facts.get(i).cloned() {
                    self.propagate(&fact);
                }
            }
        }
    }

    pub fn assume_all(&mut self, facts: &[Fact]) {
        for fact in facts {
            self.assume(fact);
        }
    }

    /// Narrows the range of every atom of a fact by those of the others.
    fn propagate(&mut self, fact: &Fact) {
        for &(atom, c) in &fact.form.terms {
            let Some(rest) = fact.form.combined(1, &Form::atom(atom), -c) else { continue };
            let Some(rest) = self.interval(&rest) else { continue };
            let hi = fact.hi.and_then(|hi| hi.checked_sub(rest.lo));
            let lo = fact.lo.and_then(|lo| lo.checked_sub(rest.hi));
            // c * atom in lo..=hi
            let (lo, hi) = if c > 0 {
                (lo.map(|v| div_ceil(v, c)), hi.map(|v| v.div_euclid(c)))
            } else {
                let Some(c) = c.checked_neg() else { continue };
                let negated = |v: Option<i128>| v.and_then(i128::checked_neg);
                (negated(hi).map(|v| div_ceil(v, c)), negated(lo).map(|v| v.div_euclid(c)))
            };
            let old = self.range_of(atom);
            let new = Range::new(
                lo.map_or(old.lo, |v| v.max(old.lo)),
                hi.map_or(old.hi, |v| v.min(old.hi)),
            );
            if new != old
                && let Some(r) = self.ranges.get_mut(atom)
            {
                *r = new;
                self.tightened.push((atom, old));
            }
        }
    }

    /// `form / divisor` rounded down; `divisor` is positive.
    pub fn quotient(&mut self, form: &Form, divisor: i128) -> Option<Form> {
        let (whole, rest) = form.divided(divisor);
        if self.proves(&rest, Range::new(0, divisor - 1)) {
            return Some(whole);
        }
        let key = (Relation::Quotient(divisor), form.clone());
        if let Some(&atom) = self.known.get(&key) {
            return Some(Form::atom(atom));
        }
        let range = self.range(form)?;
        let range = Range::new(range.lo.div_euclid(divisor), range.hi.div_euclid(divisor));
        let q = self.derive(key, range);
        let rest = form.combined(1, &q, -divisor)?;
        self.assume(&Fact::between(rest, 0, divisor - 1));
        Some(q)
    }

    /// `form - divisor * quotient`.
    pub fn remainder(&mut self, form: &Form, divisor: i128) -> Option<Form> {
        let (_, rest) = form.divided(divisor);
        if self.proves(&rest, Range::new(0, divisor - 1)) {
            return Some(rest);
        }
        let key = (Relation::Remainder(divisor), form.clone());
        if let Some(&atom) = self.known.get(&key) {
            return Some(Form::atom(atom));
        }
        let q = self.quotient(form, divisor)?;
        let r = self.derive(key, Range::new(0, divisor - 1));
        let relation = form.combined(1, &q, -divisor)?.minus(&r)?;
        self.assume(&Fact::between(relation, 0, 0));
        Some(r)
    }

    fn derive(&mut self, key: (Relation, Form), range: Range) -> Form {
        let form = self.fresh(range);
        self.known.insert(key.clone(), self.ranges.len() - 1);
        self.derived.push(key);
        form
    }

    /// The conversion of a value of i32 to u32 where it may be negative.
    pub fn unsigned(&mut self, signed: &Form, range: Range) -> Form {
        let form = self.fresh(range);
        self.unsigned.insert(self.ranges.len() - 1, signed.clone());
        form
    }

    /// An unknown that is `then` or `otherwise`, as `truth` decides.
    pub fn split(&mut self, truth: Rc<Truth>, then: Form, otherwise: Form, range: Range) -> Form {
        let form = self.fresh(range);
        self.splits.insert(self.ranges.len() - 1, Split { truth, then, otherwise });
        form
    }

    /// The best range found at small expense.
    pub fn range(&self, form: &Form) -> Option<Range> {
        let mut budget = BUDGET;
        let hi = self.upper(form, 0, 1, i128::MIN, &mut budget)?;
        let lo = self.upper(&form.scaled(-1)?, 0, 1, i128::MIN, &mut budget)?;
        Some(Range::new(lo.checked_neg()?, hi))
    }

    /// Whether `form` certainly lies in `limits`.
    pub fn proves(&mut self, form: &Form, limits: Range) -> bool {
        self.proves_splitting(form, limits, SPLITS)
    }

    fn proves_splitting(&mut self, form: &Form, limits: Range, splits: u32) -> bool {
        if self.at_most(form, limits.hi) && self.at_least(form, limits.lo) {
            return true;
        }
        let found = form.terms.iter().find_map(|t| Some((t.0, self.splits.get(&t.0)?.clone())));
        let Some((atom, split)) = found.filter(|_| splits > 0) else { return false };
        [(&split.truth.yes, &split.then), (&split.truth.no, &split.otherwise)].iter().all(
            |(facts, value)| {
                let Some(form) = form.substituted(atom, value) else { return false };
                let mark = self.mark();
                self.assume_all(facts);
                let proved = self.proves_splitting(&form, limits, splits - 1);
                self.reset(mark);
                proved
            },
        )
    }

    fn at_least(&self, form: &Form, limit: i128) -> bool {
        match (form.scaled(-1), limit.checked_neg()) {
            (Some(form), Some(limit)) => self.at_most(&form, limit),
            _too_large => false,
        }
    }

    fn at_most(&self, form: &Form, limit: i128) -> bool {
        (0..=DEPTH).any(|depth| {
            let mut budget = BUDGET;
            self.upper(form, 0, depth, limit, &mut budget).is_some_and(|hi| hi <= limit)
        })
    }

    /// An upper bound of `form`: the best found, or the first that is `enough`. `used` has a bit
    /// for each fact, counted from the end, that has taken part.
    fn upper(
        &self,
        form: &Form,
        used: u128,
        depth: u32,
        enough: i128,
        budget: &mut u32,
    ) -> Option<i128> {
        let mut best = self.interval(form).map(|r| r.hi);
        if depth == 0 {
            return best;
        }
        for (bit, fact) in self.facts.iter().rev().take(128).enumerate() {
            if used >> bit & 1 != 0 {
                continue;
            }
            let mut tried: Option<(i128, i128)> = None;
            for &(atom, f) in &fact.form.terms {
                let c = form.coefficient(atom);
                if best.is_some_and(|b| b <= enough) || *budget == 0 {
                    return best;
                }
                // scale * form - factor * fact has no such atom any more.
                let g = gcd(c, f);
                let (scale, factor) = ((f / g).abs(), c / g * f.signum());
                if c == 0 || tried == Some((scale, factor)) {
                    continue;
                }
                tried = Some((scale, factor));
                *budget -= 1;
                let bound = self.without(form, fact, (scale, factor)).and_then(|(rest, share)| {
                    let enough = enough.saturating_mul(scale).saturating_sub(share);
                    let rest = self.upper(&rest, used | 1 << bit, depth - 1, enough, budget)?;
                    Some(rest.checked_add(share)?.div_euclid(scale))
                });
                best = match (best, bound) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        best
    }

    /// `scale * form - factor * fact`, and the most that `factor * fact` can be.
    fn without(
        &self,
        form: &Form,
        fact: &Fact,
        (scale, factor): (i128, i128),
    ) -> Option<(Form, i128)> {
        let share = if factor > 0 { fact.hi? } else { fact.lo? }.checked_mul(factor)?;
        Some((form.combined(scale, &fact.form, factor.checked_neg()?)?, share))
    }
}

/// The same fact without a constant and with coprime coefficients; none when it has no unknown.
fn normalised(fact: &Fact) -> Option<Fact> {
    let g = fact.form.terms.iter().fold(0, |g, t| gcd(g, t.1));
    if g == 0 {
        return None;
    }
    let c = fact.form.constant;
    let terms = fact.form.terms.iter().map(|&(a, v)| (a, v / g)).collect();
    Some(Fact {
        form: Form { terms, constant: 0 },
        lo: fact.lo.and_then(|v| v.checked_sub(c)).map(|v| div_ceil(v, g)),
        hi: fact.hi.and_then(|v| v.checked_sub(c)).map(|v| v.div_euclid(g)),
    })
}
