//! Which variables and buffers code reads, and removal of variables nobody reads: builders declare
//! some that a special case then has no use for, and C compilers warn about them.

use super::{Expr, Stmt};
use std::collections::BTreeSet;

/// What a list of statements reads or writes.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// Variables that are read, by number.
    pub vars: BTreeSet<u32>,
    /// Buffers that are loaded from or stored to, by number.
    pub buffers: BTreeSet<u32>,
}

impl Uses {
    /// Collects the uses in `body`.
    #[must_use]
    pub fn of(body: &[Stmt]) -> Self {
        let mut uses = Self::default();
        uses.block(body);
        uses
    }

    fn block(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::For { body, .. } => self.block(body),
                Stmt::Let(_, value) | Stmt::Assign(_, value) => self.expr(value),
                Stmt::Store(buf, index, value) => {
                    self.buffers.insert(buf.id);
                    self.expr(index);
                    self.expr(value);
                }
                Stmt::If { cond, then, otherwise } => {
                    self.expr(cond);
                    self.block(then);
                    self.block(otherwise);
                }
                Stmt::Tile(tile) => {
                    self.vars.extend(tile.accumulators.iter().map(|v| v.id));
                    for cursor in &tile.cursors {
                        self.buffers.insert(cursor.buf.id);
                        self.expr(&cursor.start);
                    }
                }
                Stmt::Comment(_) => {}
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Int(..) | Expr::Float(_) => {}
            Expr::Var(v) => {
                self.vars.insert(v.id);
            }
            Expr::Load(buf, index) => {
                self.buffers.insert(buf.id);
                self.expr(index);
            }
            Expr::Bin(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Expr::Cast(_, a) => self.expr(a),
            Expr::Select(c, a, b) => {
                self.expr(c);
                self.expr(a);
                self.expr(b);
            }
            Expr::Call(_, args) => args.iter().for_each(|a| self.expr(a)),
        }
    }
}

/// Removes declarations of and assignments to variables nobody reads, and blocks left empty.
/// Expressions are pure, so nothing else changes.
pub fn prune(body: &mut Vec<Stmt>) {
    loop {
        let read = Uses::of(body).vars;
        if !remove(body, &read) {
            return;
        }
    }
}

/// One sweep; says whether it removed anything.
fn remove(body: &mut Vec<Stmt>, read: &BTreeSet<u32>) -> bool {
    let mut changed = false;
    body.retain_mut(|stmt| {
        let keep = match stmt {
            Stmt::Let(var, _) | Stmt::Assign(var, _) => read.contains(&var.id),
            Stmt::For { body, .. } => {
                changed |= remove(body, read);
                !body.is_empty()
            }
            Stmt::If { then, otherwise, .. } => {
                changed |= remove(then, read);
                changed |= remove(otherwise, read);
                !(then.is_empty() && otherwise.is_empty())
            }
            Stmt::Store(..) | Stmt::Tile(_) | Stmt::Comment(_) => true,
        };
        changed |= !keep;
        keep
    });
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kir::{Buf, Ty, Var, int};

    #[test]
    fn unread_variables_vanish_with_what_only_they_read() {
        let var = |id| Var { id, ty: Ty::I32 };
        let out = Buf { id: 0, ty: Ty::I32 };
        let mut body = vec![
            Stmt::Let(var(0), int(1)),
            Stmt::Let(var(1), Expr::from(var(0)) + int(1)),
            Stmt::For { var: var(2), extent: 3, step: 1, body: vec![Stmt::Assign(var(1), int(2))] },
            Stmt::Let(var(3), int(4)),
            Stmt::Store(out, int(0), var(3).into()),
        ];
        let kept = body[3..].to_vec();
        prune(&mut body);
        assert_eq!(body, kept);
    }
}
