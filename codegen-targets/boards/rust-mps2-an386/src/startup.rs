//! Vector table, reset and faults of any Cortex-M. The memory symbols come from `link.ld`.

use crate::console::{Hex, print};
use crate::processor::stack_limit;
use crate::{board, semihost};
use core::arch::{asm, naked_asm};

const SCB_CFSR: *const u32 = 0xE000_ED28 as *const u32; // configurable fault status

unsafe extern "C" {
    static mut __data_start: u32;
    static mut __data_end: u32;
    static __data_load: u32;
    static mut __bss_start: u32;
    static mut __bss_end: u32;
    // Declared as a function because the vector table wants one; it is an address like the others.
    fn __stack_top();
}

/// # Safety
/// Only the processor calls it, after a reset.
#[unsafe(no_mangle)]
unsafe extern "C" fn reset() -> ! {
    board::init();
    // SAFETY: .data and .bss as link.ld lays them out, which nothing uses yet. Volatile, as these
    // loops would become calls of memcpy and memset.
    unsafe {
        let (mut from, mut to) = (&raw const __data_load, &raw mut __data_start);
        while to < &raw mut __data_end {
            to.write_volatile(from.read_volatile());
            (from, to) = (from.add(1), to.add(1));
        }
        let mut to = &raw mut __bss_start;
        while to < &raw mut __bss_end {
            to.write_volatile(0);
            to = to.add(1);
        }
    }
    semihost::exit(crate::main())
}

/// Takes pc and lr from the frame the core pushed (r0-r3, r12, lr, pc, xpsr) and reports on a fresh
/// stack: the old one may be what went wrong.
#[unsafe(naked)]
unsafe extern "C" fn fault() {
    naked_asm!(
        "mov r2, sp",
        "ldr r0, [r2, #24]",
        "ldr r1, [r2, #20]",
        "ldr r3, ={top}",
        "mov sp, r3",
        "bl {report}", // not b, which reaches 2 KB on a Cortex-M0
        ".ltorg",
        top = sym __stack_top,
        report = sym report,
    )
}

extern "C" fn report(pc: u32, lr: u32, sp: u32) -> ! {
    let exception: u32;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, ipsr", out(reg) exception, options(nomem, nostack, preserves_flags)) };
    // SAFETY: a readable register of the system control block.
    let status = unsafe { SCB_CFSR.read_volatile() };
    if (sp as usize) < stack_limit() as usize {
        print!("stack overflow: raise __stack_size in link.ld\n");
    }
    print!("fault: exception ", u64::from(exception), ", pc 0x", Hex(pc), ", lr 0x", Hex(lr));
    print!(", sp 0x", Hex(sp), ", CFSR 0x", Hex(status), "\n");
    semihost::exit(99)
}

type Handler = unsafe extern "C" fn();

/// What the core reads at address 0; `None` is reserved.
#[repr(C)]
struct Vectors {
    stack: Handler,
    reset: unsafe extern "C" fn() -> !,
    rest: [Option<Handler>; 14],
}

#[used]
#[unsafe(link_section = ".vectors")]
static VECTORS: Vectors = Vectors {
    stack: __stack_top,
    reset,
    rest: [
        Some(fault), // NMI
        Some(fault), // HardFault
        Some(fault), // MemManage
        Some(fault), // BusFault
        Some(fault), // UsageFault
        None,
        None,
        None,
        None,
        Some(fault), // SVCall
        Some(fault), // DebugMonitor
        None,
        Some(fault), // PendSV
        Some(fault), // SysTick
    ],
};
