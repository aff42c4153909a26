//! Lane operations named after the Arm DSP instructions; portable code only.
//!
//! The assembly spellings stand in `dsp_asm` and in the C header. Both operands of a dot
//! product are unpacked alike, so it does not depend on which byte ends up in which lane.

use crate::round::clamp;

/// Four consecutive int8 as one word in the byte order of the CPU.
#[inline]
pub const fn load_u32(p: &[i8; 4]) -> u32 {
    u32::from_ne_bytes([
        p[0].cast_unsigned(),
        p[1].cast_unsigned(),
        p[2].cast_unsigned(),
        p[3].cast_unsigned(),
    ])
}

/// Bytes 0 and 2 of `x`, sign extended to the low and the high half.
#[inline]
pub const fn sxtb16(x: u32) -> u32 {
    let low = x as i8 as i16 as u16;
    let high = (x >> 16) as i8 as i16 as u16;
    low as u32 | (high as u32) << 16
}

/// Bytes 1 and 3 of `x`, sign extended to the low and the high half.
#[inline]
pub const fn sxtb16_ror8(x: u32) -> u32 {
    sxtb16(x.rotate_right(8))
}

/// Sum of the low and of the high halves, each modulo 2^16.
#[inline]
pub const fn sadd16(a: u32, b: u32) -> u32 {
    let low = (a as u16).wrapping_add(b as u16);
    let high = ((a >> 16) as u16).wrapping_add((b >> 16) as u16);
    low as u32 | (high as u32) << 16
}

/// `acc` + product of the low halves + product of the high halves (signed), modulo 2^32.
#[inline]
pub const fn smlad(a: u32, b: u32, acc: i32) -> i32 {
    let low = (a as i16 as i32) * (b as i16 as i32);
    let high = ((a >> 16) as i16 as i32) * ((b >> 16) as i16 as i32);
    acc.wrapping_add(low).wrapping_add(high)
}

/// `a * b / 2^32` to nearest, ties to plus infinity.
#[inline]
pub const fn smmulr(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64 + (1 << 31)) >> 32) as i32
}

/// `x` limited to -128..=127.
#[inline]
pub const fn ssat8(x: i32) -> i32 {
    clamp(x, -128, 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacked_words_give_the_int8_dot_product() {
        let (a, b) = ([-128i8, 127, -1, 5], [-128i8, -128, 77, -6]);
        let (x, y) = (load_u32(&a), load_u32(&b));
        let even = smlad(sxtb16(x), sxtb16(y), 1000);
        let both = smlad(sxtb16_ror8(x), sxtb16_ror8(y), even);
        let dot: i32 = a.iter().zip(b).map(|(&p, q)| i32::from(p) * i32::from(q)).sum();
        assert_eq!(both, 1000 + dot);
    }
}
