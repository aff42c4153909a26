//! Start and traps of a 32-bit RISC-V hart. The memory symbols come from `link.ld`.

use crate::console::{Hex, print};
use crate::processor::stack_limit;
use crate::{board, semihost};
use core::arch::naked_asm;

unsafe extern "C" {
    static mut __bss_start: u32;
    static mut __bss_end: u32;
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
