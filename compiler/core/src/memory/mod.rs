//! Where values live: liveness on the schedule, storage sharing, and offsets in the arena.

pub mod liveness;
pub mod planner;
