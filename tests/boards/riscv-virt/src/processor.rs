//! The processor, a 32-bit RISC-V hart: start and traps, stack, the semihosting instructions. The
//! memory symbols come from `link.ld`.

use crate::console::{Hex, print};
use crate::model::Arena;
use crate::{board, semihost};
use core::arch::{asm, naked_asm};

unsafe extern "C" {
    static __stack_limit: u32;
    static mut __bss_start: u32;
    static mut __bss_end: u32;
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

/// # Safety
/// Only the processor calls it, after a reset.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".init")]
unsafe extern "C" fn reset() -> ! {
    naked_asm!("la sp, __stack_top", "la t0, {trap}", "csrw mtvec, t0", "j {start}",
        trap = sym trap, start = sym start)
}

extern "C" fn start() -> ! {
    board::init();
    // SAFETY: .bss as link.ld lays it out, which nothing uses yet (.data is where it was loaded).
    // Volatile, as the loop would become a call of memset.
    unsafe {
        let mut to = &raw mut __bss_start;
        while to < &raw mut __bss_end {
            to.write_volatile(0);
            to = to.add(1);
        }
    }
    semihost::exit(crate::main())
}

/// Reports on a fresh stack: the old one may be what went wrong.
#[unsafe(naked)]
#[unsafe(link_section = ".text.trap")]
unsafe extern "C" fn trap() {
    naked_asm!("csrr a0, mepc", "csrr a1, mcause", "mv a2, sp", "la sp, __stack_top",
        "j {report}", report = sym report)
}

extern "C" fn report(pc: u32, cause: u32, sp: u32) -> ! {
    if (sp as usize) < stack_limit() as usize {
        print!("stack overflow: raise __stack_size in link.ld\n");
    }
    print!("fault: cause ", u64::from(cause), ", pc 0x", Hex(pc), ", sp 0x", Hex(sp), "\n");
    semihost::exit(99)
}
