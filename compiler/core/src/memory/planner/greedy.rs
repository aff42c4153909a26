//! Greedy placement orders of the offset planner, each buffer at the lowest free offset, and a
//! local search over orders. No proof of optimality; the caller compares heights with its bound.

use super::{Group, Item, Packing, section_loads};
use std::cmp::Reverse;

/// Sort keys of the greedy orders; smaller is placed earlier.
type Key = (Reverse<usize>, Reverse<usize>);

/// The lowest packing of several orders; stops at the first not higher than `enough`.
pub(super) fn best(group: &Group, enough: usize) -> Packing {
    let (items, sections) = (group.items.as_slice(), group.sections);
    let loads = section_loads(items, sections);
    let load = |item: &Item| loads[item.from..=item.to].iter().copied().max().unwrap_or(0);
    // Products only order buffers, so saturation costs quality at most.
    let area = |item: &Item| item.size.saturating_mul(item.span());
    let orders: [&dyn Fn(&Item) -> Key; 7] = [
        &|item| (Reverse(item.size), Reverse(item.span())),
        &|item| (Reverse(area(item)), Reverse(item.size)),
        &|item| (Reverse(load(item)), Reverse(item.size)),
        &|item| (Reverse(item.span()), Reverse(item.size)),
        &|item| (Reverse(load(item)), Reverse(area(item))),
        &|item| (Reverse(sections - item.from), Reverse(item.size)),
        &|item| (Reverse(item.to), Reverse(item.size)),
    ];
    let mut best: Option<Packing> = None;
    for key in orders {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|&i| (key(&items[i]), i));
        let packing = first_fit(items, &order);
        let reached = packing.height <= enough;
        if best.as_ref().is_none_or(|b| packing.height < b.height) {
            best = Some(packing);
        }
        if reached {
            break;
        }
    }
    best.unwrap_or(Packing { offsets: Vec::new(), height: 0 })
}

/// Local search: moves a buffer that ends above `enough` to an earlier place in the order and
/// keeps the change unless the packing gets worse. Ends at `enough` or when `work` is used up;
/// returns the work left.
pub(super) fn shake(items: &[Item], best: &mut Packing, enough: usize, mut work: u64) -> u64 {
    // One packing looks at no more than half of all pairs.
    let cost = ((items.len() * items.len()) as u64 / 2).max(1);
    // Listed by offset, buffers fall back to where they are or lower.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&i| (best.offsets[i], i));
    let mut now = best.clone();
    let mut now_excess = excess(items, &now, enough);
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    while best.height > enough && work > cost {
        work -= cost;
        let above = |&p: &usize| now.offsets[order[p]] + items[order[p]].size > enough;
        let high: Vec<usize> = (1..order.len()).filter(above).collect();
        if high.is_empty() {
            break;
        }
        let from = high[draw(&mut random, high.len())];
        let to = draw(&mut random, from);
        order[to..=from].rotate_right(1);
        let next = first_fit(items, &order);
        let next_excess = excess(items, &next, enough);
        if next_excess > now_excess {
            order[to..=from].rotate_left(1);
            continue;
        }
        if next.height < best.height {
            *best = next.clone();
        }
        (now, now_excess) = (next, next_excess);
    }
    work
}

/// Height, then how far buffers reach above `enough` in all.
fn excess(items: &[Item], packing: &Packing, enough: usize) -> (usize, usize) {
    let ends = packing.offsets.iter().zip(items).map(|(&at, item)| at + item.size);
    let over = ends.fold(0usize, |sum, end| sum.saturating_add(end.saturating_sub(enough)));
    (packing.height, over)
}

/// A number below `limit` (at least 1) from Marsaglia's xorshift64; the seed is fixed, so the
/// planner stays deterministic.
fn draw(state: &mut u64, limit: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    ((*state >> 33) as usize) % limit.max(1)
}

/// Places items in the given order, each at the lowest aligned offset that is free throughout
/// its life.
pub(super) fn first_fit(items: &[Item], order: &[usize]) -> Packing {
    let mut offsets = vec![0; items.len()];
    let mut height = 0;
    // (offset, item) of what is placed, by offset.
    let mut placed: Vec<(usize, usize)> = Vec::with_capacity(items.len());
    for &i in order {
        let item = &items[i];
        let mut at = 0usize;
        for &(offset, other) in &placed {
            let other = &items[other];
            if !item.meets(other) {
                continue;
            }
            if at + item.size <= offset {
                break;
            }
            at = at.max((offset + other.size).next_multiple_of(item.align));
        }
        offsets[i] = at;
        height = height.max(at + item.size);
        let position = placed.partition_point(|&entry| entry < (at, i));
        placed.insert(position, (at, i));
    }
    Packing { offsets, height }
}
