//! What differs from board to board, here QEMU's mps2-an386: its FPU, and its instruction counter.

use core::arch::asm;

/// What QEMU must be started with for [`Time`] to count instructions.
pub const ICOUNT: &str = "shift=10";

const SCB_CPACR: *mut u32 = 0xE000_ED88 as *mut u32; // coprocessor access control
const FPGAIO_CLK100HZ: *const u32 = 0x4002_8014 as *const u32;
const FPGAIO_COUNTER: *const u32 = 0x4002_8018 as *const u32;

/// Comes first after a reset.
#[inline(always)]
pub fn init() {
    // SAFETY: full access to CP10 and CP11, the FPU, before its first instruction.
    unsafe {
        SCB_CPACR.write_volatile(SCB_CPACR.read_volatile() | 0xF << 20);
        asm!("dsb", "isb");
    }
}

/// A point in virtual time. QEMU has no cycle model. Started with `-icount shift=10` it gives every
/// executed instruction 2^10 ns of virtual time.
pub struct Time {
    /// 100 Hz: wraps after 497 days.
    centiseconds: u32,
    /// 25 MHz, 25.6 per instruction: wraps after 171.8 s.
    ticks: u32,
}

impl Time {
    #[inline(always)]
    pub fn now() -> Time {
        // SAFETY: two readable registers of the FPGAIO block.
        unsafe {
            Time {
                centiseconds: FPGAIO_CLK100HZ.read_volatile(),
                ticks: FPGAIO_COUNTER.read_volatile(),
            }
        }
    }

    /// Executed instructions since then. COUNTER gives the ticks modulo 2^32; CLK100HZ, good to one
    /// step of 250,000 ticks, says how often it wrapped. Exact up to 4e12 instructions.
    #[inline(always)]
    pub fn instructions_since(&self) -> u64 {
        // SAFETY: as in `now`. The exact counter first: nothing may come between it and the task.
        let (ticks, centiseconds) =
            unsafe { (FPGAIO_COUNTER.read_volatile(), FPGAIO_CLK100HZ.read_volatile()) };
        let modulo = i64::from(ticks.wrapping_sub(self.ticks));
        let coarse = i64::from(centiseconds.wrapping_sub(self.centiseconds)) * 250_000;
        let wraps = (coarse - modulo + (1 << 31)) >> 32;
        let ticks = (modulo + (wraps << 32)) as u64;
        (ticks * 5 + 64) / 128 // nearest of ticks / 25.6
    }
}
