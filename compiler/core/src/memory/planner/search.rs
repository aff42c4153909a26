//! Exact search of the offset planner: depth-first over canonical solutions, bounded by work.
//! Greedy starting points and the split into groups come from the caller.
//!
//! A canonical solution is, among all that fit the target height, one with the least sum of
//! offsets, ties broken by the offset vector. Listed by (offset, item), each of its buffers lies
//! at the lowest offset above the conflicting buffers listed before. So it is enough to search
//! over such lists. The rules below cut branches that no canonical solution can follow:
//!
//! * order: the next buffer does not come before the last one in (offset, item) order;
//! * dominance: the next buffer starts below the lowest end any open buffer could have, otherwise
//!   that open buffer would fit underneath it;
//! * exchange: a buffer resting on one larger buffer within its own lifetime could swap with it;
//! * inference: the open buffers of one section exclude each other, so from their lowest possible
//!   starts follows the least height of that section;
//! * decomposition: open buffers not connected in time are solved apart, and if one part has no
//!   solution the others are not tried again.

use super::{Group, Item, Packing, greedy, section_loads};
use std::cmp::Reverse;

/// Above this many buffers in one group the recursion could get too deep; greedy results stand.
const MAX_ITEMS: usize = 1000;
/// Work of the first attempts; doubles each time all heuristics have had their turn.
const FIRST_SLICE: u64 = 1 << 16;
/// Number of tie-breaking heuristics in [`ranks`].
const HEURISTICS: usize = 4;

/// Work left and nodes visited, over all groups.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) work: u64,
    pub(super) nodes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Feasible,
    Infeasible,
    OutOfWork,
}

/// Lowers `best` towards `enough` while work lasts and returns the proven lower bound of the
/// group's height; `best` is optimal when its height equals that bound.
///
/// Each target height is a yes-or-no question. Low targets prune best, so the bound itself comes
/// first; a question that runs out of work moves the next target halfway up to the best height.
pub(super) fn improve(
    group: &Group,
    best: &mut Packing,
    enough: usize,
    meter: &mut Meter,
) -> usize {
    let mut bound = group.bound;
    if group.items.len() > MAX_ITEMS {
        meter.work = greedy::shake(&group.items, best, bound.max(enough), meter.work);
        return bound;
    }
    // Small groups are searched at once; where that fails, local search gets its turn below.
    let mut shaken = false;
    let mut slice = FIRST_SLICE;
    let mut target = bound.max(enough);
    let mut heuristic = 0;
    while best.height > bound.max(enough) && meter.work > 0 {
        let grant = slice.min(meter.work);
        let mut search = Search::new(group, target, ranks(group, heuristic), grant);
        let open: Vec<usize> = (0..group.items.len()).collect();
        let outcome = search.solve(&open, (0, 0));
        meter.work -= grant - search.work;
        meter.nodes += search.nodes;
        match outcome {
            Outcome::Feasible => {
                *best = search.packing();
                target = bound.max(enough);
            }
            Outcome::Infeasible => {
                bound = target + 1;
                target = middle(bound, best.height - 1);
            }
            Outcome::OutOfWork if target + 1 < best.height => {
                target = middle(target + 1, best.height - 1);
            }
            Outcome::OutOfWork => {
                heuristic += 1;
                if heuristic == HEURISTICS {
                    heuristic = 0;
                    slice = slice.saturating_mul(2);
                    if !shaken {
                        shaken = true;
                        let grant = meter.work / 4;
                        let left = greedy::shake(&group.items, best, bound.max(enough), grant);
                        meter.work -= grant - left;
                    }
                }
                target = bound.max(enough);
            }
        }
    }
    bound
}

/// Midpoint, `low` when the range is empty.
fn middle(low: usize, high: usize) -> usize {
    low + high.saturating_sub(low) / 2
}

/// Rank of each item among candidates with the same offset; lower is tried first.
fn ranks(group: &Group, heuristic: usize) -> Vec<usize> {
    let items = &group.items;
    let loads = section_loads(items, group.sections);
    let key = |i: usize| {
        let item = &items[i];
        let load = loads[item.from..=item.to].iter().copied().max().unwrap_or(0);
        let area = item.size.saturating_mul(item.span());
        let key = match heuristic {
            0 => (load, area, item.size),
            1 => (load, item.size, item.span()),
            2 => (area, load, item.span()),
            _ => (item.span(), load, item.size),
        };
        (Reverse(key), i)
    };
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| key(i));
    let mut ranks = vec![0; items.len()];
    for (rank, &i) in order.iter().enumerate() {
        ranks[i] = rank;
    }
    ranks
}

/// What [`Search::undo`] takes back.
#[derive(Debug)]
enum Change {
    /// Former `lowest` of an item.
    Lowest { item: usize, was: usize },
    /// Former `height` and `top` of a section.
    Skyline { section: usize, was: (usize, usize) },
}

/// State of one yes-or-no question: does the group fit below `target`?
struct Search<'a> {
    items: &'a [Item],
    target: usize,
    ranks: Vec<usize>,
    /// Alignment plays no part, so buffers may swap freely.
    uniform: bool,
    /// Per item: its offset once placed, until then the lowest above all placed conflicts.
    lowest: Vec<usize>,
    /// Per section: end and item of the highest placed buffer, `usize::MAX` for none.
    skyline: Vec<(usize, usize)>,
    changes: Vec<Change>,
    /// Scratch of the inference: least height of each section.
    finish: Vec<usize>,
    work: u64,
    nodes: u64,
}

impl<'a> Search<'a> {
    fn new(group: &'a Group, target: usize, ranks: Vec<usize>, work: u64) -> Self {
        Search {
            items: &group.items,
            target,
            ranks,
            uniform: group.items.iter().all(|item| item.align == 1),
            lowest: vec![0; group.items.len()],
            skyline: vec![(0, usize::MAX); group.sections],
            changes: Vec::new(),
            finish: vec![0; group.sections],
            work,
            nodes: 0,
        }
    }

    /// The packing after a feasible outcome.
    fn packing(self) -> Packing {
        let ends = self.lowest.iter().zip(self.items).map(|(&at, item)| at + item.size);
        let height = ends.max().unwrap_or(0);
        Packing { offsets: self.lowest, height }
    }

    /// Places the open items, which are in item order and not before `last` in (offset, item)
    /// order. Leaves them placed when feasible, otherwise restores the state.
    fn solve(&mut self, open: &[usize], last: (usize, usize)) -> Outcome {
        let mark = self.changes.len();
        let mut rest = open;
        while let Some(&head) = rest.first() {
            let mut to = self.items[head].to;
            let mut count = rest.len();
            for (position, &i) in rest.iter().enumerate() {
                if self.items[i].from > to {
                    count = position;
                    break;
                }
                to = to.max(self.items[i].to);
            }
            let (part, others) = rest.split_at(count);
            let outcome = self.solve_connected(part, to, last);
            if outcome != Outcome::Feasible {
                self.undo(mark);
                return outcome;
            }
            rest = others;
        }
        Outcome::Feasible
    }

    /// [`Search::solve`] for items connected in time that end in section `to`.
    fn solve_connected(&mut self, open: &[usize], to: usize, last: (usize, usize)) -> Outcome {
        self.nodes += 1;
        if let [only] = *open {
            // Nothing left conflicts with it, so it may stay where it is.
            let end = self.lowest[only] + self.items[only].size;
            return if end <= self.target { Outcome::Feasible } else { Outcome::Infeasible };
        }
        let starts = self.starts(open, last);
        if !self.fits(open, to, &starts) {
            return if self.work == 0 { Outcome::OutOfWork } else { Outcome::Infeasible };
        }
        let end = |i: usize| self.lowest[i] + self.items[i].size;
        let limit = open.iter().map(|&i| end(i)).min().unwrap_or(0);
        let mut rest = Vec::with_capacity(open.len());
        for &(start, _, i) in &starts {
            if start >= limit {
                break;
            }
            if (self.lowest[i], i) < last || self.exchangeable(i) {
                continue;
            }
            let mark = self.changes.len();
            rest.clear();
            rest.extend(open.iter().copied().filter(|&j| j != i));
            self.put(i, &rest);
            match self.solve(&rest, (start, i)) {
                Outcome::Infeasible => self.undo(mark),
                outcome @ (Outcome::Feasible | Outcome::OutOfWork) => return outcome,
            }
        }
        Outcome::Infeasible
    }

    /// (lowest possible start, rank, item) of the open items, sorted.
    fn starts(&self, open: &[usize], last: (usize, usize)) -> Vec<(usize, usize, usize)> {
        // The two lowest possible ends; an item that has missed its turn at its current offset
        // must come to lie on some other open item.
        let (mut lowest_end, mut owner, mut second_end) = (usize::MAX, 0, usize::MAX);
        for &i in open {
            let end = self.lowest[i].max(last.0) + self.items[i].size;
            if end < lowest_end {
                (second_end, lowest_end, owner) = (lowest_end, end, i);
            } else {
                second_end = second_end.min(end);
            }
        }
        let start = |i: usize| {
            if (self.lowest[i], i) >= last {
                self.lowest[i]
            } else if i == owner {
                second_end
            } else {
                lowest_end
            }
        };
        let mut starts: Vec<_> = open.iter().map(|&i| (start(i), self.ranks[i], i)).collect();
        starts.sort_unstable();
        starts
    }

    /// Least height of every section when its open items follow one another in order of their
    /// lowest starts (earliest release first, optimal on one machine); false when the target is
    /// exceeded or work runs out.
    fn fits(&mut self, open: &[usize], to: usize, starts: &[(usize, usize, usize)]) -> bool {
        let from = open.first().map_or(0, |&i| self.items[i].from);
        self.finish[from..=to].fill(0);
        // Sorting the starts costs about as much as looking at each item eight times.
        let mut work = 8 * open.len() + (to - from);
        let mut fits = true;
        for &(start, _, i) in starts {
            let item = &self.items[i];
            work += item.span();
            for finish in &mut self.finish[item.from..=item.to] {
                *finish = start.max(*finish) + item.size;
                fits &= *finish <= self.target;
            }
            if !fits {
                break;
            }
        }
        self.work = self.work.saturating_sub(work as u64);
        fits && self.work > 0
    }

    /// Whether `upper`, placed next, would rest on a single item that lies within its lifetime
    /// and could change places with it for a smaller sum of offsets.
    fn exchangeable(&self, upper: usize) -> bool {
        let item = &self.items[upper];
        let at = self.lowest[upper];
        if !self.uniform || at == 0 {
            return false;
        }
        let covered = &self.skyline[item.from..=item.to];
        let Some(&(_, lower)) = covered.iter().find(|(height, _)| *height == at) else {
            return false;
        };
        let below = &self.items[lower];
        let floor = self.lowest[lower];
        let inside = item.from <= below.from && below.to <= item.to;
        let smaller = (item.size, upper) < (below.size, lower);
        inside && smaller && covered.iter().all(|&(h, top)| top == lower || h <= floor)
    }

    /// Places `i` at its lowest offset and raises the conflicting items of `rest`.
    fn put(&mut self, i: usize, rest: &[usize]) {
        let item = &self.items[i];
        let end = self.lowest[i] + item.size;
        for section in item.from..=item.to {
            self.changes.push(Change::Skyline { section, was: self.skyline[section] });
            self.skyline[section] = (end, i);
        }
        for &j in rest {
            let other = &self.items[j];
            if item.meets(other) && self.lowest[j] < end {
                self.changes.push(Change::Lowest { item: j, was: self.lowest[j] });
                self.lowest[j] = end.next_multiple_of(other.align);
            }
        }
    }

    /// Takes back all changes after `mark`.
    fn undo(&mut self, mark: usize) {
        for change in self.changes.drain(mark..).rev() {
            match change {
                Change::Lowest { item, was } => self.lowest[item] = was,
                Change::Skyline { section, was } => self.skyline[section] = was,
            }
        }
    }
}
