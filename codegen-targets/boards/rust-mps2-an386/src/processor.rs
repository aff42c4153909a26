//! The processor, any Cortex-M: stack, instructions to measure with, the semihosting instruction. It
//! starts and fails in `startup`.

use crate::model::Arena;
use core::arch::{asm, naked_asm};

unsafe extern "C" {
    // From `link.ld`.
    static __stack_limit: u32;
}

/// Two instructions per iteration.
#[inline(always)]
pub fn spin(iterations: usize) {
    // SAFETY: changes its own register and the flags only.
    unsafe {
        asm!("1:", "subs {0}, #1", "bne 1b", inout(reg) iterations => _, options(nomem, nostack))
    };
}

/// Stands in the place of the model to measure the cost of measuring.
#[unsafe(naked)]
pub extern "C" fn return_at_once(_: &mut Arena) {
    naked_asm!("bx lr")
}

/// The lowest address of the stack.
#[inline(always)]
pub fn stack_limit() -> *mut u32 {
    (&raw const __stack_limit).cast_mut()
}

#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Calls the host.
///
/// # Safety
/// `block` must point to the parameters that the operation takes.
pub unsafe fn semihost(operation: usize, block: *const usize) -> usize {
    let result;
    // SAFETY: the caller's; the host may read and write memory, which asm! assumes.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => result, in("r1") block, options(nostack)) };
    result
}
