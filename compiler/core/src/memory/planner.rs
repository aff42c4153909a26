//! Exact offset planner: places buffers with known lifetimes in one arena of least size.
//! Liveness, in-place classes and the order of the schedule are decided by the caller, not here.
//!
//! This is offline dynamic storage allocation. Greedy orders are tried first and nearly always
//! reach the live-sum lower bound on network graphs; what is left goes to an exact search over
//! canonical solutions in the manner of MiniMalloc (Moffitt, ASPLOS 2023).

mod greedy;
mod search;
#[cfg(test)]
mod tests;

use std::fmt;

/// One storage request: `size` bytes live in the closed interval of schedule steps `[first, last]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Size in bytes; a request of 0 bytes is placed at offset 0 and conflicts with nothing.
    pub size: usize,
    /// The offset must be a multiple of this many bytes; 0 means 1. Need not be a power of two.
    pub align: usize,
    /// First schedule step in which the bytes are live.
    pub first: usize,
    /// Last schedule step in which the bytes are live, inclusive.
    pub last: usize,
}

/// Limit of the exact search. It counts work, not time, so results do not depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Elementary inference steps: one buffer looked at in one section of the schedule, about a
    /// nanosecond each in an optimised build. 0 leaves only the greedy orders.
    pub work: u64,
}

impl Default for Budget {
    /// Well under a second in an optimised build.
    fn default() -> Self {
        Budget { work: 200_000_000 }
    }
}

/// An offset for every request, in request order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Byte offset of each request in the arena.
    pub offsets: Vec<usize>,
    /// Arena size in bytes, a multiple of the greatest common divisor of all alignments.
    pub size: usize,
    /// [`lower_bound`] of the same requests, in bytes.
    pub lower_bound: usize,
    /// No placement is smaller: `size` equals the lower bound, or the search was exhausted.
    pub proven_optimal: bool,
    /// Search nodes visited; 0 when a greedy order was enough.
    pub nodes: u64,
}

/// Why requests cannot be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceError {
    /// Request `index` ends before it begins.
    EmptyInterval {
        /// Position in the request slice.
        index: usize,
    },
    /// The sizes and alignments of a group of requests connected in time sum to more than a
    /// quarter of the address space.
    TooLarge,
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlaceError::EmptyInterval { index } => {
                write!(f, "storage request {index} ends before its first step")
            }
            PlaceError::TooLarge => f.write_str("storage requests exceed the address space"),
        }
    }
}

impl std::error::Error for PlaceError {}

/// What [`check`] found wrong with a placement. Indices are positions in the request slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementFault {
    /// The number of offsets differs from the number of requests.
    Length {
        /// Number of requests.
        requests: usize,
        /// Number of offsets.
        offsets: usize,
    },
    /// The offset of the request is not a multiple of its alignment.
    Misaligned {
        /// The request.
        index: usize,
    },
    /// The request ends beyond the arena.
    OutOfArena {
        /// The request.
        index: usize,
    },
    /// Two requests share a byte in a step in which both are live.
    Overlap {
        /// The request with the lower index.
        a: usize,
        /// The other request.
        b: usize,
    },
}

impl fmt::Display for PlacementFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlacementFault::Length { requests, offsets } => {
                write!(f, "{offsets} offsets for {requests} storage requests")
            }
            PlacementFault::Misaligned { index } => {
                write!(f, "storage request {index} is not aligned")
            }
            PlacementFault::OutOfArena { index } => {
                write!(f, "storage request {index} ends outside the arena")
            }
            PlacementFault::Overlap { a, b } => {
                write!(f, "storage requests {a} and {b} overlap while both are live")
            }
        }
    }
}

impl std::error::Error for PlacementFault {}

/// Places every request at an offset such that no two live buffers overlap, with the arena as
/// small as the budget allows. The result depends on nothing but the arguments.
///
/// # Errors
/// [`PlaceError`] when an interval is reversed or the sizes cannot be summed safely.
pub fn place(requests: &[Request], budget: Budget) -> Result<Placement, PlaceError> {
    let (unit, groups) = prepare(requests)?;
    // `floor` is a proven bound on the arena, `stuck` the height of a group we could not improve;
    // groups share the arena, so none needs to be lower than either.
    let mut floor = groups.iter().map(|group| group.bound).max().unwrap_or(0);
    let mut stuck = 0;
    let mut packings: Vec<_> = groups.iter().map(|g| greedy::best(g, floor)).collect();
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&g| (std::cmp::Reverse(packings[g].height), g));
    let mut meter = search::Meter { work: budget.work, nodes: 0 };
    for g in order {
        let enough = floor.max(stuck);
        if packings[g].height <= enough {
            continue;
        }
        let bound = search::improve(&groups[g], &mut packings[g], enough, &mut meter);
        floor = floor.max(bound);
        stuck = stuck.max(packings[g].height);
    }
    let mut offsets = vec![0; requests.len()];
    let mut height = 0;
    for (group, packing) in groups.iter().zip(&packings) {
        height = height.max(packing.height);
        for (item, &offset) in group.items.iter().zip(&packing.offsets) {
            offsets[item.request] = offset * unit;
        }
    }
    Ok(Placement {
        offsets,
        size: height * unit,
        lower_bound: lower_bound(requests),
        proven_optimal: height <= floor,
        nodes: meter.nodes,
    })
}

/// Bytes no arena can go below: the largest sum, over all steps, of the sizes live in that step,
/// each rounded up to the greatest common divisor of all alignments (with one common alignment,
/// to that alignment). Saturates at `usize::MAX`; reversed intervals count as never live.
pub fn lower_bound(requests: &[Request]) -> usize {
    let unit = common_alignment(requests);
    let mut events: Vec<(usize, bool, u128)> = Vec::with_capacity(2 * requests.len());
    for request in requests.iter().filter(|r| r.size > 0 && r.first <= r.last) {
        let size = (request.size as u128).next_multiple_of(unit as u128);
        events.push((request.first, false, size));
        events.push((request.last, true, size));
    }
    // Intervals are closed: in one step, beginnings come before ends.
    events.sort_unstable();
    let (mut live, mut most) = (0u128, 0u128);
    for (_, ends, size) in events {
        if ends {
            live = live.saturating_sub(size);
        } else {
            live = live.saturating_add(size);
            most = most.max(live);
        }
    }
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Verifies a placement against its requests, independently of how it was found.
///
/// # Errors
/// The first [`PlacementFault`] found, in request order.
pub fn check(requests: &[Request], placement: &Placement) -> Result<(), PlacementFault> {
    let offsets = &placement.offsets;
    if offsets.len() != requests.len() {
        return Err(PlacementFault::Length { requests: requests.len(), offsets: offsets.len() });
    }
    for (index, (request, &offset)) in requests.iter().zip(offsets).enumerate() {
        if !offset.is_multiple_of(request.align.max(1)) {
            return Err(PlacementFault::Misaligned { index });
        }
        if offset.checked_add(request.size).is_none_or(|end| end > placement.size) {
            return Err(PlacementFault::OutOfArena { index });
        }
    }
    for (b, (upper, &at_b)) in requests.iter().zip(offsets).enumerate() {
        for (a, (lower, &at_a)) in requests.iter().zip(offsets).enumerate().take(b) {
            let in_time = lower.first <= upper.last && upper.first <= lower.last;
            // Both ends are inside the arena, so the sums cannot overflow.
            let in_space = at_a < at_b + upper.size && at_b < at_a + lower.size;
            if in_time && in_space && lower.size > 0 && upper.size > 0 {
                return Err(PlacementFault::Overlap { a, b });
            }
        }
    }
    Ok(())
}

/// A request in search units: sizes and alignments divided by the common unit, steps replaced by
/// sections. A section is a maximal set of buffers live together; every buffer covers a
/// contiguous range of sections, and two buffers conflict exactly when their ranges meet.
#[derive(Debug, Clone, Copy)]
struct Item {
    size: usize,
    align: usize,
    from: usize,
    to: usize,
    request: usize,
}

impl Item {
    fn meets(&self, other: &Item) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// Number of sections covered.
    fn span(&self) -> usize {
        self.to - self.from + 1
    }
}

/// Items connected in time, sorted by first section; sections count from 0.
#[derive(Debug)]
struct Group {
    items: Vec<Item>,
    sections: usize,
    /// Largest sum of sizes in one section.
    bound: usize,
}

/// Offsets in search units, in item order, and the end of the highest item.
#[derive(Debug, Clone)]
struct Packing {
    offsets: Vec<usize>,
    height: usize,
}

/// Validates requests and splits them into independent groups; returns the unit in bytes.
fn prepare(requests: &[Request]) -> Result<(usize, Vec<Group>), PlaceError> {
    if let Some(index) = requests.iter().position(|r| r.first > r.last) {
        return Err(PlaceError::EmptyInterval { index });
    }
    let common = common_alignment(requests);
    let mut items = Vec::new();
    for (index, request) in requests.iter().enumerate().filter(|(_, r)| r.size > 0) {
        let size = request.size.checked_next_multiple_of(common).ok_or(PlaceError::TooLarge)?;
        let align = request.align.max(1);
        items.push(Item { size, align, from: 0, to: 0, request: index });
    }
    // Canonical offsets are sums of sizes rounded up to alignments, so a divisor of all sizes
    // that every alignment divides is a unit in which alignment vanishes.
    let divisor = items.iter().fold(0, |d, item| gcd(d, item.size));
    let aligned = items.iter().all(|item| divisor.is_multiple_of(item.align));
    let unit = if aligned { divisor.max(1) } else { gcd(divisor, common) };
    for item in &mut items {
        item.size /= unit;
        item.align = if aligned { 1 } else { item.align / unit };
    }
    assign_sections(requests, &mut items);
    let groups = split(items, unit)?;
    Ok((unit, groups))
}

/// Sets `from` and `to` of every item by a sweep over the steps: an end that follows a beginning
/// closes a section, since the set of live buffers shrinks there for the first time.
fn assign_sections(requests: &[Request], items: &mut [Item]) {
    let mut events = Vec::with_capacity(2 * items.len());
    for (i, item) in items.iter().enumerate() {
        let request = &requests[item.request];
        events.push((request.first, false, i));
        events.push((request.last, true, i));
    }
    events.sort_unstable();
    let (mut closed, mut grew) = (0, false);
    for (_, ends, i) in events {
        if !ends {
            items[i].from = closed;
            grew = true;
            continue;
        }
        if grew {
            closed += 1;
            grew = false;
        }
        items[i].to = closed - 1;
    }
}

/// Splits items where no buffer crosses from one section to the next. `unit` is in bytes.
fn split(mut items: Vec<Item>, unit: usize) -> Result<Vec<Group>, PlaceError> {
    items.sort_by_key(|item| (item.from, item.to, item.request));
    let mut groups = Vec::new();
    let mut rest = items.as_slice();
    while let Some(head) = rest.first() {
        let mut to = head.to;
        let count = rest
            .iter()
            .position(|item| {
                let outside = item.from > to;
                to = to.max(item.to);
                outside
            })
            .unwrap_or(rest.len());
        let (mine, others) = rest.split_at(count);
        groups.push(group(mine, head.from, usize::MAX / 4 / unit)?);
        rest = others;
    }
    Ok(groups)
}

/// Builds one group whose first section is `base`. Any height the search computes is at most
/// twice the sum limited here, so its additions stay in range, in units and in bytes.
fn group(items: &[Item], base: usize, limit: usize) -> Result<Group, PlaceError> {
    let mut total = 0usize;
    for item in items {
        total = total
            .checked_add(item.size)
            .and_then(|sum| sum.checked_add(item.align - 1))
            .filter(|&sum| sum <= limit)
            .ok_or(PlaceError::TooLarge)?;
    }
    let items: Vec<Item> = items
        .iter()
        .map(|item| Item { from: item.from - base, to: item.to - base, ..*item })
        .collect();
    let sections = items.iter().map(|item| item.to + 1).max().unwrap_or(0);
    let bound = section_loads(&items, sections).into_iter().max().unwrap_or(0);
    Ok(Group { items, sections, bound })
}

/// Sum of the sizes in each section.
fn section_loads(items: &[Item], sections: usize) -> Vec<usize> {
    let mut loads = vec![0; sections];
    for item in items {
        for load in &mut loads[item.from..=item.to] {
            *load += item.size;
        }
    }
    loads
}

/// Greatest common divisor of the alignments of all requests that need bytes; 1 when none does.
fn common_alignment(requests: &[Request]) -> usize {
    let sized = requests.iter().filter(|r| r.size > 0 && r.first <= r.last);
    sized.fold(0, |d, r| gcd(d, r.align.max(1))).max(1)
}

fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
