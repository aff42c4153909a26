//! The processor, a 32-bit RISC-V hart: stack, instructions to measure with, the semihosting
//! instructions. It starts and traps in `startup`.

use crate::model::Arena;
use core::arch::{asm, naked_asm};

unsafe extern "C" {
    // From `link.ld`.
    static __stack_limit: u32;
}

/// Two instructions per iteration.
#[inline(always)]
pub fn spin(iterations: usize) {
    // SAFETY: changes its own register only.
    unsafe {
        asm!("1:", "addi {0}, {0}, -1", "bnez {0}, 1b", inout(reg) iterations => _,
            options(nomem, nostack))
    };
}

/// Stands in the place of the model to measure the cost of measuring.
#[unsafe(naked)]
pub extern "C" fn return_at_once(_: &mut Arena) {
    naked_asm!("ret")
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
    unsafe { asm!("mv {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    sp
}

/// Calls the host.
///
/// # Safety
/// `block` must point to the parameters that the operation takes.
pub unsafe fn semihost(operation: usize, block: *const usize) -> usize {
    let result;
    // SAFETY: the caller's; the host may read and write memory, which asm! assumes. The two shifts
    // of the zero register mark the break as a call; all three must be uncompressed and in one page.
    unsafe {
        asm!(
            ".option push",
            ".option norvc",
            ".balign 16",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inout("a0") operation => result,
            in("a1") block,
            options(nostack)
        )
    };
    result
}
