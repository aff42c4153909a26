//! Affine forms over numbered unknowns, with exact arithmetic: `None` where i128 does not suffice.
//! What is known about the unknowns lives in `context.rs`.

/// An unknown integer that keeps its value while it is in scope.
pub(super) type Atom = usize;

/// `lo..=hi`; empty (`lo > hi`) only in code that is never reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub lo: i128,
    pub hi: i128,
}

impl Range {
    pub fn new(lo: i128, hi: i128) -> Self {
        Self { lo, hi }
    }

    pub fn within(self, outer: Range) -> bool {
        outer.lo <= self.lo && self.hi <= outer.hi
    }

    /// The smallest range that holds both.
    pub fn hull(self, other: Range) -> Range {
        Range { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    fn scaled(self, factor: i128) -> Option<Range> {
        let (a, b) = (self.lo.checked_mul(factor)?, self.hi.checked_mul(factor)?);
        Some(if factor >= 0 { Range::new(a, b) } else { Range::new(b, a) })
    }

    fn plus(self, other: Range) -> Option<Range> {
        Some(Range::new(self.lo.checked_add(other.lo)?, self.hi.checked_add(other.hi)?))
    }

    /// All products of a value of each.
    pub fn times(self, other: Range) -> Option<Range> {
        Some(self.scaled(other.lo)?.hull(self.scaled(other.hi)?))
    }
}

/// `constant + sum of coefficient * atom`; terms sorted by atom, no coefficient 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub terms: Vec<(Atom, i128)>,
    pub constant: i128,
}

impl Form {
    pub fn constant(value: i128) -> Self {
        Self { terms: Vec::new(), constant: value }
    }

    pub fn atom(atom: Atom) -> Self {
        Self { terms: vec![(atom, 1)], constant: 0 }
    }

    pub fn as_constant(&self) -> Option<i128> {
        self.terms.is_empty().then_some(self.constant)
    }

    pub fn coefficient(&self, atom: Atom) -> i128 {
        self.terms
            .binary_search_by_key(&atom, |t| t.0)
            .ok()
            .and_then(|i| self.terms.get(i))
            .map_or(0, |t| t.1)
    }

    /// `a * self + b * other`.
    pub fn combined(&self, a: i128, other: &Form, b: i128) -> Option<Form> {
        let constant = self.constant.checked_mul(a)?.checked_add(other.constant.checked_mul(b)?)?;
        let mut terms = Vec::with_capacity(self.terms.len() + other.terms.len());
        let (mut left, mut right) = (self.terms.iter().peekable(), other.terms.iter().peekable());
        loop {
            let (atom, value) = match (left.peek(), right.peek()) {
                (Some(&&(x, cx)), Some(&&(y, cy))) if x == y => {
                    left.next();
                    right.next();
                    (x, cx.checked_mul(a)?.checked_add(cy.checked_mul(b)?)?)
                }
                (Some(&&(x, cx)), Some(&&(y, _))) if x < y => {
                    left.next();
                    (x, cx.checked_mul(a)?)
                }
                (Some(&&(x, cx)), None) => {
                    left.next();
                    (x, cx.checked_mul(a)?)
                }
                (_, Some(&&(y, cy))) => {
                    right.next();
                    (y, cy.checked_mul(b)?)
                }
                (None, None) => break,
            };
            if value != 0 {
                terms.push((atom, value));
            }
        }
        Some(Form { terms, constant })
    }

    pub fn plus(&self, other: &Form) -> Option<Form> {
        self.combined(1, other, 1)
    }

    pub fn minus(&self, other: &Form) -> Option<Form> {
        self.combined(1, other, -1)
    }

    pub fn scaled(&self, factor: i128) -> Option<Form> {
        self.combined(factor, &Form::constant(0), 0)
    }

    /// `with` in place of `atom`.
    pub fn substituted(&self, atom: Atom, with: &Form) -> Option<Form> {
        let c = self.coefficient(atom);
        let without = self.combined(1, &Form::atom(atom), c.checked_neg()?)?;
        without.combined(1, with, c)
    }

    /// `(self - remainder) / divisor` and the remainder, which has no term that divides evenly and
    /// a constant in `0..divisor`; `divisor` is positive.
    pub fn divided(&self, divisor: i128) -> (Form, Form) {
        let (mut quotient, mut rest) = (Form::constant(0), Form::constant(0));
        for &(atom, c) in &self.terms {
            if c % divisor == 0 {
                quotient.terms.push((atom, c / divisor));
            } else {
                rest.terms.push((atom, c));
            }
        }
        quotient.constant = self.constant.div_euclid(divisor);
        rest.constant = self.constant.rem_euclid(divisor);
        (quotient, rest)
    }

    /// Its range when every atom has that of `of`.
    pub fn interval(&self, of: impl Fn(Atom) -> Range) -> Option<Range> {
        let mut sum = Range::new(self.constant, self.constant);
        for &(atom, c) in &self.terms {
            sum = sum.plus(of(atom).scaled(c)?)?;
        }
        Some(sum)
    }
}

/// Greatest common divisor of the magnitudes; `gcd(0, n) = n`.
pub(super) fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.saturating_abs(), b.saturating_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `a / b` rounded up; `b` is positive.
pub(super) fn div_ceil(a: i128, b: i128) -> i128 {
    let q = a.div_euclid(b);
    if a.rem_euclid(b) == 0 { q } else { q + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_combine_and_cancel() {
        let f = Form { terms: vec![(0, 3), (2, -1)], constant: 5 };
        let g = Form { terms: vec![(1, 2), (2, 1)], constant: -1 };
        let sum = Form { terms: vec![(0, 3), (1, 2)], constant: 4 };
        assert_eq!(f.plus(&g), Some(sum));
        assert_eq!(f.minus(&f), Some(Form::constant(0)));
        assert_eq!(f.scaled(0), Some(Form::constant(0)));
        let replaced = Form { terms: vec![(0, 3), (1, -2)], constant: 4 };
        assert_eq!(f.substituted(2, &Form { terms: vec![(1, 2)], constant: 1 }), Some(replaced));
        assert_eq!(Form { terms: vec![(0, 3)], constant: 0 }.scaled(i128::MAX), None);
    }

    #[test]
    fn division_splits_off_what_is_even() {
        let f = Form { terms: vec![(0, 8), (1, 3)], constant: -5 };
        let (q, r) = f.divided(4);
        assert_eq!(q, Form { terms: vec![(0, 2)], constant: -2 });
        assert_eq!(r, Form { terms: vec![(1, 3)], constant: 3 });
        assert_eq!(q.combined(4, &r, 1), Some(f));
    }

    #[test]
    fn intervals_follow_the_signs() {
        let f = Form { terms: vec![(0, 2), (1, -3)], constant: 1 };
        let of = |a: Atom| if a == 0 { Range::new(0, 4) } else { Range::new(-1, 2) };
        assert_eq!(f.interval(of), Some(Range::new(-5, 12)));
        assert_eq!(Range::new(-2, 3).times(Range::new(-5, 4)), Some(Range::new(-15, 12)));
        assert_eq!((div_ceil(7, 2), div_ceil(-7, 2), div_ceil(6, 2)), (4, -3, 3));
        assert_eq!((gcd(12, -18), gcd(0, 5)), (6, 5));
    }
}
