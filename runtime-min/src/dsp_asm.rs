//! The lane operations of `dsp` as one instruction each, where LLVM does not (always) find it.
//!
//! Stable Rust neither tells whether the CPU has the DSP extension nor has its intrinsics, so the
//! caller chooses: these functions exist on every Arm CPU, and on one without the extension a
//! program that calls them fails to assemble. Code that does not call them is not affected.
//! `smmulr` becomes the instruction by itself. So does `ssat8`, unless LLVM knows so much about the
//! argument that it rather compares with other limits, as after `requantize_shr` with a constant
//! shift and the addition of a zero point.

/// [`sxtb16`](crate::sxtb16) as the instruction.
#[cfg(target_arch = "arm")]
#[inline(always)]
pub fn sxtb16_asm(x: u32) -> u32 {
    let y;
    // SAFETY: registers only; a CPU without the instruction is refused by the assembler.
    unsafe {
        core::arch::asm!("sxtb16 {}, {}", lateout(reg) y, in(reg) x, options(pure, nomem, nostack, preserves_flags));
    }
    y
}

/// [`sxtb16_ror8`](crate::sxtb16_ror8) as the instruction.
#[cfg(target_arch = "arm")]
#[inline(always)]
pub fn sxtb16_ror8_asm(x: u32) -> u32 {
    let y;
    // SAFETY: registers only; a CPU without the instruction is refused by the assembler.
    unsafe {
        core::arch::asm!("sxtb16 {}, {}, ror #8", lateout(reg) y, in(reg) x, options(pure, nomem, nostack, preserves_flags));
    }
    y
}

/// [`smlad`](crate::smlad) as the instruction.
#[cfg(target_arch = "arm")]
#[inline(always)]
pub fn smlad_asm(a: u32, b: u32, acc: i32) -> i32 {
    let y;
    // SAFETY: registers and the sticky overflow flag only; a CPU without the instruction is
    // refused by the assembler.
    unsafe {
        core::arch::asm!("smlad {}, {}, {}, {}", lateout(reg) y, in(reg) a, in(reg) b, in(reg) acc, options(pure, nomem, nostack));
    }
    y
}

/// [`ssat8`](crate::ssat8) as the instruction.
#[cfg(target_arch = "arm")]
#[inline(always)]
pub fn ssat8_asm(x: i32) -> i32 {
    let y;
    // SAFETY: registers and the sticky saturation flag only; a CPU without the instruction is
    // refused by the assembler.
    unsafe {
        core::arch::asm!("ssat {}, #8, {}", lateout(reg) y, in(reg) x, options(pure, nomem, nostack));
    }
    y
}

#[cfg(all(test, target_arch = "arm"))]
mod tests {
    use super::*;
    use crate::dsp::{smlad, ssat8, sxtb16, sxtb16_ror8};

    #[test]
    fn instructions_do_what_the_portable_functions_do() {
        let words = [0, 0x8080_8080, 0x7F7F_7F7F, 0x8000_8000, 0xFFFF_FFFF, 0x1234_89AB];
        for a in words {
            assert_eq!(ssat8_asm(a as i32 >> 20), ssat8(a as i32 >> 20));
            assert_eq!((sxtb16_asm(a), sxtb16_ror8_asm(a)), (sxtb16(a), sxtb16_ror8(a)));
            for b in words {
                assert_eq!(smlad_asm(a, b, i32::MAX), smlad(a, b, i32::MAX));
            }
        }
    }
}
