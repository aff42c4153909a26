//! Storage classes and their lifetimes: which values share bytes, and from which step to which they
//! must be kept. Offsets are the planner's business.

use crate::graph::{Graph, NodeId, ValueId};
use crate::op::{Op, Reuse};
use std::collections::BTreeMap;

/// One block of arena storage shared by one or more values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Bytes.
    pub size: usize,
    /// Alignment in bytes.
    pub align: usize,
    /// First step (position in the schedule) at which it is live.
    pub first: usize,
    /// Last step.
    pub last: usize,
}

/// Storage of every non-constant value.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    /// Blocks in creation order.
    pub storage: Vec<Storage>,
    /// Block of each value.
    pub of: BTreeMap<ValueId, usize>,
}

/// Alignment of all blocks: enough for every element type on 32-bit cores.
pub const ALIGN: usize = 4;

/// Computes storage classes over `schedule`. Inputs are live from the start, outputs to the end.
#[must_use]
pub fn analyse(graph: &Graph, schedule: &[NodeId]) -> Liveness {
    let step: BTreeMap<NodeId, usize> = schedule.iter().enumerate().map(|(i, &n)| (n, i)).collect();
    let last_use = last_uses(graph, schedule, &step);
    let mut live = Liveness::default();
    for (now, &id) in schedule.iter().enumerate() {
        let Some(node) = graph.get(id) else { continue };
        if matches!(node.op, Op::Constant(_)) {
            continue;
        }
        let shared = shared_storage(graph, id, now, &live);
        for (r, value) in node.results.iter().enumerate() {
            let v = id.result(r);
            let last = last_use.get(&v).copied().unwrap_or(now);
            let first = if matches!(node.op, Op::Input(_)) { 0 } else { now };
            match shared.filter(|_| r == 0) {
                Some(class) => {
                    live.of.insert(v, class);
                    let block = &mut live.storage[class];
                    block.last = block.last.max(last);
                }
                None => {
                    live.of.insert(v, live.storage.len());
                    let align = ALIGN.max(value.ty.dtype.size());
                    live.storage.push(Storage { size: value.ty.bytes(), align, first, last });
                }
            }
        }
    }
    live
}

/// Step of the last read of every value; outputs are read after the last step.
fn last_uses(
    graph: &Graph,
    schedule: &[NodeId],
    step: &BTreeMap<NodeId, usize>,
) -> BTreeMap<ValueId, usize> {
    let mut last = BTreeMap::new();
    for &id in schedule {
        let now = step.get(&id).copied().unwrap_or(0);
        for operand in graph.operands(id) {
            let entry = last.entry(operand).or_insert(now);
            *entry = now.max(*entry);
        }
    }
    for &output in graph.outputs() {
        last.insert(output, schedule.len());
    }
    last
}

/// The block that result 0 of `id` may take over, if any. Aliases of a block extend its life, so a
/// block whose `last` lies behind `now` is still wanted by someone.
fn shared_storage(graph: &Graph, id: NodeId, now: usize, live: &Liveness) -> Option<usize> {
    let node = graph.get(id)?;
    let operands = graph.operands(id);
    let bytes = node.results.first()?.ty.bytes();
    let block_of = |i: usize| {
        let class = *live.of.get(operands.get(i)?)?;
        (live.storage[class].size == bytes).then_some(class)
    };
    match node.op.reuse(&graph.signature(id)) {
        Reuse::None => None,
        Reuse::Alias => block_of(0),
        Reuse::InPlace(candidates) => candidates.into_iter().find_map(|i| {
            let class = block_of(i)?;
            // A second operand in the same block would be overwritten while it is read.
            let twice = operands
                .iter()
                .enumerate()
                .any(|(j, v)| j != i && live.of.get(v) == Some(&class) && operands[i] != *v);
            (live.storage[class].last == now && !twice).then_some(class)
        }),
    }
}
