//! QEMU's microbit, a Cortex-M0: no FPU and no instruction counter worth the effort.

/// What QEMU must be started with for [`Time`] to count instructions.
pub const ICOUNT: &str = "on a board with a counter";

/// Comes first after a reset: nothing to do.
pub fn init() {}

/// No point in time.
pub struct Time;

impl Time {
    pub fn now() -> Time {
        Time
    }

    pub fn instructions_since(&self) -> u64 {
        0
    }
}
