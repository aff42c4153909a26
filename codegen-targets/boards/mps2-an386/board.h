/* What differs from board to board: here the instruction counter of QEMU's mps2-an386.
 *
 * QEMU has no cycle model. Started with `-icount shift=10` it gives every executed instruction 2^10 ns of virtual time,
 * and the FPGAIO block's COUNTER ticks at 25 MHz, one tick per 40 ns: 25.6 ticks per instruction. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define BOARD_FPGAIO 0x40028000u

/* A point in virtual time. COUNTER alone wraps after 167 million instructions. */
struct board_time {
    uint32_t centiseconds; /* CLK100HZ, wraps after 497 days of virtual time */
    uint32_t ticks;        /* COUNTER, 25 MHz, wraps after 171.8 s of virtual time */
};

static inline uint32_t board_ticks(void) { return *(volatile uint32_t *)(BOARD_FPGAIO + 0x18u); }
static inline uint32_t board_centiseconds(void) { return *(volatile uint32_t *)(BOARD_FPGAIO + 0x14u); }

/* Executed instructions between two points. COUNTER gives the 25 MHz ticks modulo 2^32; CLK100HZ, good to one step of
 * 250,000 ticks, says how often it wrapped. Exact up to 4e12 instructions. */
static inline uint64_t board_instructions(struct board_time from, struct board_time to) {
    const int64_t exact_modulo = (uint32_t)(to.ticks - from.ticks);
    const int64_t coarse = (int64_t)(uint32_t)(to.centiseconds - from.centiseconds) * 250000;
    const int64_t wraps = (coarse - exact_modulo + ((int64_t)1 << 31)) >> 32;
    const uint64_t ticks = (uint64_t)(exact_modulo + wraps * ((int64_t)1 << 32));
    return (ticks * 5 + 64) / 128; /* nearest of ticks / 25.6 */
}

#endif
