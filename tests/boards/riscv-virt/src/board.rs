//! QEMU's RISC-V virt: its instruction counter is the processor's.

use core::arch::asm;

/// What QEMU must be started with for [`Time`] to count instructions: otherwise the counter follows
/// the host's clock.
pub const ICOUNT: &str = "shift=0";

/// Comes first after a reset: nothing to do.
pub fn init() {}

/// The low word of `minstret`: wraps after 4e9 instructions, more than any model of the tests.
pub struct Time(u32);

impl Time {
    #[inline(always)]
    pub fn now() -> Time {
        let count;
        // SAFETY: reads a register.
        unsafe { asm!("csrr {}, minstret", out(reg) count, options(nostack)) };
        Time(count)
    }

    /// Executed instructions since then.
    #[inline(always)]
    pub fn instructions_since(&self) -> u64 {
        u64::from(Time::now().0.wrapping_sub(self.0))
    }
}
