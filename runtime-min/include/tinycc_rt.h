/*
 * tinycc_rt.h: arithmetic of the C that tinycc emits. C99, freestanding, no state.
 *
 * Every function equals the Rust function of the crate tinycc-rt with the same name minus `tcc_`.
 * The code generator copies single snippets, each between a tcc:begin and a tcc:end line; a
 * snippet uses only itself, the snippets after `needs` (all of which stand above it), <stdint.h>
 * and the headers after `includes`.
 *
 * No undefined behaviour inside the documented ranges. Two implementation-defined points are
 * relied on, and checked by the snippet `assumptions`: >> of a negative number keeps the sign,
 * and a conversion to a narrower signed type wraps.
 *
 * Qm.n is a fixed-point number in an int32_t with n fraction bits.
 */
#ifndef TINYCC_RT_H
#define TINYCC_RT_H

#include <stdint.h>
#include <string.h>

/* tcc:begin assumptions */
/* Fails to compile where >> of negative numbers or narrowing conversions behave differently. */
typedef char tcc_assume_arithmetic_shift[((int32_t)-2 >> 1) == -1 ? 1 : -1];
typedef char tcc_assume_wrapping_narrowing[(int32_t)UINT32_C(0xFFFFFFFF) == -1 ? 1 : -1];
/* tcc:end */

/* ---- Comparison, rounding, bits ---- */

/* tcc:begin clamp */
/* x limited to lo..hi, with lo <= hi. */
static inline int32_t tcc_clamp(int32_t x, int32_t lo, int32_t hi)
{
    return x < lo ? lo : (x > hi ? hi : x);
}
/* tcc:end */

/* tcc:begin min_i32 */
/* The smaller of two integers. */
static inline int32_t tcc_min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}
/* tcc:end */

/* tcc:begin max_i32 */
/* The larger of two integers. */
static inline int32_t tcc_max_i32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}
/* tcc:end */

/* tcc:begin min_f32 */
/* The smaller of two floats; b if either is NaN or both are equal. */
static inline float tcc_min_f32(float a, float b)
{
    return a < b ? a : b;
}
/* tcc:end */

/* tcc:begin max_f32 */
/* The larger of two floats; b if either is NaN or both are equal. */
static inline float tcc_max_f32(float a, float b)
{
    return a > b ? a : b;
}
/* tcc:end */

/* tcc:begin div_round [needs assumptions] */
/* acc / n to the nearest integer, ties away from zero; n >= 1. */
static inline int32_t tcc_div_round(int32_t acc, int32_t n)
{
    uint32_t magnitude = acc < 0 ? 0u - (uint32_t)acc : (uint32_t)acc;
    uint32_t quotient = (magnitude + (uint32_t)n / 2u) / (uint32_t)n;
    return (int32_t)(acc < 0 ? 0u - quotient : quotient);
}
/* tcc:end */

/* tcc:begin div_round_even */
/* acc / n to the nearest integer, ties to the even one; n >= 1, acc at most 2^30. */
static inline int32_t tcc_div_round_even(int32_t acc, int32_t n)
{
    int32_t quotient = acc / n;
    int32_t rest = acc - quotient * n;
    int32_t twice = rest < 0 ? -2 * rest : 2 * rest;
    if (twice > n || (twice == n && (quotient & 1) != 0)) {
        return acc < 0 ? quotient - 1 : quotient + 1;
    }
    return quotient;
}
/* tcc:end */

/* tcc:begin round_half_away_f32 */
/* x to the nearest integer, ties away from zero; saturates, NaN gives 0. Needs no libm. */
static inline int32_t tcc_round_half_away_f32(float x)
{
    int32_t whole;
    float rest;
    if (!(x < 2147483648.0f)) {
        return x >= 2147483648.0f ? INT32_MAX : 0;
    }
    if (x < -2147483648.0f) {
        return INT32_MIN;
    }
    whole = (int32_t)x;
    rest = x - (float)whole; /* exact; 0 from 2^23 on, so the steps below cannot overflow */
    if (rest >= 0.5f) {
        return whole + 1;
    }
    return rest <= -0.5f ? whole - 1 : whole;
}
/* tcc:end */

/* tcc:begin round_half_even_f32 */
/* x to the nearest integer, ties to the even one; NaN and what has no fraction stay. Needs no libm. */
static inline float tcc_round_half_even_f32(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    int32_t whole;
    float rest;
    float rounded;
    if (!(magnitude < 8388608.0f)) {
        return x;
    }
    whole = (int32_t)magnitude;
    rest = magnitude - (float)whole; /* exact */
    rounded = (float)(rest > 0.5f || (rest == 0.5f && (whole & 1) != 0) ? whole + 1 : whole);
    return x < 0.0f ? -rounded : rounded;
}
/* tcc:end */

/* tcc:begin clz */
/* Number of leading zero bits; 32 for 0. */
static inline int32_t tcc_clz(uint32_t x)
{
#if defined(__GNUC__)
    return x == 0u ? 32 : __builtin_clzl(x) - (int)(8u * sizeof(unsigned long) - 32u);
#else
    int32_t n = 32;
    while (x != 0u) {
        x >>= 1;
        n--;
    }
    return n;
#endif
}
/* tcc:end */

/* ---- Requantisation ---- */

/* tcc:begin saturating_rounding_doubling_high_mul [needs assumptions] */
/* a * b / 2^31 to nearest, ties to plus infinity; only INT32_MIN * INT32_MIN saturates. */
static inline int32_t tcc_saturating_rounding_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return (int32_t)(((int64_t)a * b + INT64_C(0x40000000)) >> 31);
}
/* tcc:end */

/* tcc:begin rounding_divide_by_pot [needs assumptions] */
/* x / 2^exponent to nearest, ties away from zero; exponent 0..31. */
static inline int32_t tcc_rounding_divide_by_pot(int32_t x, int32_t exponent)
{
    int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
    int32_t remainder = x & mask;
    int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}
/* tcc:end */

/* tcc:begin requantize [needs assumptions saturating_rounding_doubling_high_mul rounding_divide_by_pot] */
/*
 * acc * multiplier * 2^(exponent - 31), rounded twice as TensorFlow Lite Micro does.
 * exponent -31..30; a left shift wraps.
 */
static inline int32_t tcc_requantize(int32_t acc, int32_t multiplier, int32_t exponent)
{
    int32_t left = exponent > 0 ? exponent : 0;
    int32_t right = exponent > 0 ? 0 : -exponent;
    int32_t shifted = (int32_t)((uint32_t)acc << left);
    return tcc_rounding_divide_by_pot(
        tcc_saturating_rounding_doubling_high_mul(shifted, multiplier), right);
}
/* tcc:end */

/* tcc:begin requantize_shr [needs assumptions] */
/*
 * requantize(acc, multiplier, -shift - 1) for shift 1..30 and multiplier >= 0, with one
 * multiply-accumulate: start holds both rounding terms, 2^(31 + shift) and +-2^30 with the
 * sign of acc.
 */
static inline int32_t tcc_requantize_shr(int32_t acc, int32_t multiplier, int32_t shift)
{
    uint32_t lo = UINT32_C(0x40000000) | ((uint32_t)acc & UINT32_C(0x80000000));
    int32_t hi = (((int32_t)1 << shift) >> 1) + (acc >> 31);
    int64_t start = (int64_t)(((uint64_t)(uint32_t)hi << 32) | lo);
    return (int32_t)((start + (int64_t)acc * multiplier) >> 32) >> shift;
}
/* tcc:end */

/* tcc:begin requantize_shr_pos [needs assumptions] */
/*
 * requantize_shr with +2^30 for every acc. Only for results that are then limited to >= 0
 * (after adding the zero point: to >= the zero point): a negative acc gives a result <= 0 here
 * and there, but not always the same one.
 */
static inline int32_t tcc_requantize_shr_pos(int32_t acc, int32_t multiplier, int32_t shift)
{
    int32_t hi = ((int32_t)1 << shift) >> 1;
    int64_t start = (int64_t)(((uint64_t)(uint32_t)hi << 32) | UINT32_C(0x40000000));
    return (int32_t)((start + (int64_t)acc * multiplier) >> 32) >> shift;
}
/* tcc:end */

/* tcc:begin requantize_nearest [needs assumptions] */
/* acc * multiplier * 2^(exponent - 31), exponent -31..30, rounded once, ties to even; saturates. */
static inline int32_t tcc_requantize_nearest(int32_t acc, int32_t multiplier, int32_t exponent)
{
    int64_t product = (int64_t)acc * multiplier;
    int32_t shift = 31 - exponent;
    int64_t half = (int64_t)1 << (shift - 1);
    int64_t nearest = product >> shift;
    int64_t rest = product & (half - 1 + half);
    if (rest > half || (rest == half && (nearest & 1) != 0)) {
        nearest++;
    }
    if (nearest > INT32_MAX) {
        return INT32_MAX;
    }
    return nearest < INT32_MIN ? INT32_MIN : (int32_t)nearest;
}
/* tcc:end */

/* tcc:begin requantize_shr_nearest [needs assumptions] */
/* acc * multiplier / 2^(32 + shift) to nearest, shift 1..30. The compiler emits it where no tie can occur. */
static inline int32_t tcc_requantize_shr_nearest(int32_t acc, int32_t multiplier, int32_t shift)
{
    int32_t high = (int32_t)(((int64_t)acc * multiplier) >> 32);
    return (high + (((int32_t)1 << shift) >> 1)) >> shift;
}
/* tcc:end */

/* ---- Fixed point ---- */

/* tcc:begin saturating_rounding_multiply_by_pot [needs assumptions rounding_divide_by_pot] */
/* x * 2^exponent, exponent -31..31: saturates to the left, rounds half away to the right. */
static inline int32_t tcc_saturating_rounding_multiply_by_pot(int32_t x, int32_t exponent)
{
    int32_t limit;
    if (exponent <= 0) {
        return tcc_rounding_divide_by_pot(x, -exponent);
    }
    limit = INT32_MAX >> exponent;
    if (x > limit) {
        return INT32_MAX;
    }
    return x < -limit ? INT32_MIN : (int32_t)((uint32_t)x << exponent);
}
/* tcc:end */

/* tcc:begin one_over_one_plus_x [needs assumptions saturating_rounding_doubling_high_mul saturating_rounding_multiply_by_pot] */
/* 1 / (1 + a) in Q0.31 of a in Q0.31, a >= 0: three Newton-Raphson steps for 2 / (1 + a). */
static inline int32_t tcc_one_over_one_plus_x(int32_t a)
{
    int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1); /* (1 + a) / 2 */
    int32_t x = INT32_C(1515870810) /* 48/17 and -32/17 in Q2.29 */
        + tcc_saturating_rounding_doubling_high_mul(half, -INT32_C(1010580540));
    int step;
    for (step = 0; step < 3; step++) {
        int32_t error =
            ((int32_t)1 << 29) - tcc_saturating_rounding_doubling_high_mul(half, x);
        x += tcc_saturating_rounding_multiply_by_pot(
            tcc_saturating_rounding_doubling_high_mul(x, error), 2);
    }
    return tcc_saturating_rounding_multiply_by_pot(x, 1);
}
/* tcc:end */

/* tcc:begin softmax_recip [needs assumptions clz one_over_one_plus_x] */
/* 1 / s in Q0.31, where s is sum times the power of two that puts it into [1, 2); sum >= 1. */
static inline int32_t tcc_softmax_recip(uint32_t sum)
{
    uint32_t mantissa = sum << tcc_clz(sum); /* top bit set: 1 + fraction */
    return tcc_one_over_one_plus_x((int32_t)(mantissa - UINT32_C(0x80000000)));
}
/* tcc:end */

/* tcc:begin softmax_shift [needs clz] */
/* The right shift that belongs to softmax_recip(sum), for a sum in Q12.19. */
static inline int32_t tcc_softmax_shift(uint32_t sum)
{
    return 35 - tcc_clz(sum); /* 12 integer bits of sum + 31 - 8 output bits - clz */
}
/* tcc:end */

/* tcc:begin softmax_finish [needs clamp saturating_rounding_doubling_high_mul rounding_divide_by_pot] */
/*
 * int8 softmax output (scale 1/256, zero point -128) of the exponential e in Q0.31, e >= 0.
 * recip and shift belong to the row's sum; from shift 32 on everything rounds to zero.
 */
static inline int32_t tcc_softmax_finish(int32_t recip, int32_t shift, int32_t e)
{
    int32_t y;
    if (shift > 31) {
        return -128;
    }
    y = tcc_rounding_divide_by_pot(tcc_saturating_rounding_doubling_high_mul(recip, e), shift);
    return tcc_clamp(y, 0, 255) - 128;
}
/* tcc:end */

/* tcc:begin log_q12 [needs assumptions min_i32 max_i32 clz saturating_rounding_doubling_high_mul rounding_divide_by_pot saturating_rounding_multiply_by_pot one_over_one_plus_x] */
/*
 * Natural logarithm in Q5.26 of x in Q12.19, x >= 2^19. x = 2^power * r with r near 2^(-1/4);
 * a rational function of q = 2 * (r - 2^(-1/4)) gives the logarithm of r.
 */
static inline int32_t tcc_log_q12(int32_t x)
{
    const int32_t root_half = INT32_C(1518500250), fourth_root_half = INT32_C(1805811301);
    int32_t zeros = tcc_clz((uint32_t)x);
    int32_t root = tcc_saturating_rounding_doubling_high_mul(x, root_half);
    int32_t headroom = tcc_clz((uint32_t)root) - 1;
    int32_t scaled = tcc_saturating_rounding_doubling_high_mul(
        tcc_saturating_rounding_multiply_by_pot(x, zeros - 1), root_half);
    int32_t r = tcc_min_i32(tcc_saturating_rounding_multiply_by_pot(scaled, 1),
        tcc_saturating_rounding_multiply_by_pot(x, headroom));
    int32_t power = tcc_max_i32((12 - zeros) * INT32_C(33554432) + INT32_C(8388608),
        (12 - headroom) * INT32_C(33554432) - INT32_C(8388608));
    int32_t p = (int32_t)(((int64_t)r + fourth_root_half + 1) >> 1);
    int32_t q = (r - fourth_root_half) * 2;
    int32_t square = tcc_saturating_rounding_doubling_high_mul(q, q);
    int32_t cube = tcc_saturating_rounding_doubling_high_mul(q, square);
    int32_t numerator = tcc_saturating_rounding_doubling_high_mul(q, r)
        + tcc_saturating_rounding_doubling_high_mul(cube, INT32_C(117049297));
    int32_t sum = INT32_C(1057819769) + q
        + tcc_saturating_rounding_doubling_high_mul(INT32_C(127690142), square);
    int32_t denominator = tcc_saturating_rounding_doubling_high_mul(p, sum)
        + tcc_saturating_rounding_doubling_high_mul(INT32_C(638450708), q);
    int32_t fraction = tcc_saturating_rounding_doubling_high_mul(
        tcc_rounding_divide_by_pot(numerator, 6), tcc_one_over_one_plus_x(denominator));
    int32_t whole = tcc_saturating_rounding_doubling_high_mul(power, INT32_C(1488522236));
    return tcc_saturating_rounding_multiply_by_pot(whole + fraction, 1);
}
/* tcc:end */

/* tcc:begin inv_sqrt_pairs [needs clz] */
/* By which power of four to multiply x >= 2 to get into 2^27..2^29; -1..13. */
static inline int32_t tcc_inv_sqrt_pairs(int32_t x)
{
    return (tcc_clz((uint32_t)x) - 1) / 2 - 1;
}
/* tcc:end */

/* tcc:begin inv_sqrt_multiplier [needs assumptions saturating_rounding_doubling_high_mul rounding_divide_by_pot saturating_rounding_multiply_by_pot inv_sqrt_pairs] */
/* Multiplier of 1 / sqrt(x) for requantize, with inv_sqrt_exponent(x); x <= 1 counts as 1. */
static inline int32_t tcc_inv_sqrt_multiplier(int32_t x)
{
    int32_t pairs, half, multiplier, step, y = (int32_t)1 << 28;
    if (x <= 1) {
        return INT32_MAX;
    }
    pairs = tcc_inv_sqrt_pairs(x);
    half = tcc_rounding_divide_by_pot((pairs < 0 ? x / 4 : x << (2 * pairs)) >> 1, 1);
    for (step = 0; step < 5; step++) { /* Newton in Q3.28 */
        int32_t square = tcc_saturating_rounding_doubling_high_mul(y, y);
        int32_t cube = tcc_saturating_rounding_multiply_by_pot(
            tcc_saturating_rounding_doubling_high_mul(square, y), 6);
        int32_t next = tcc_saturating_rounding_doubling_high_mul(INT32_C(402653184), y)
            - tcc_saturating_rounding_doubling_high_mul(half, cube);
        y = tcc_saturating_rounding_multiply_by_pot(next, 3);
    }
    multiplier = tcc_saturating_rounding_doubling_high_mul(y, INT32_C(1518500250));
    return pairs > 11 ? multiplier << (pairs - 11) : multiplier;
}
/* tcc:end */

/* tcc:begin inv_sqrt_exponent [needs min_i32 inv_sqrt_pairs] */
/* Exponent, -12..0, that belongs to inv_sqrt_multiplier(x). */
static inline int32_t tcc_inv_sqrt_exponent(int32_t x)
{
    return x <= 1 ? 0 : tcc_min_i32(tcc_inv_sqrt_pairs(x) - 11, 0);
}
/* tcc:end */

/* ---- DSP: two or four lanes in one word; one instruction each on cores with the extension ---- */

/* tcc:begin load_u32 [includes string.h] */
/* Four consecutive int8 as one word in the byte order of the CPU; p needs no alignment. */
static inline uint32_t tcc_load_u32(const int8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}
/* tcc:end */

/* tcc:begin sxtb16 [needs assumptions] */
/* Bytes 0 and 2 of x, sign extended to the low and the high half. */
static inline uint32_t tcc_sxtb16(uint32_t x)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    uint32_t y;
    __asm__("sxtb16 %0, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return ((uint32_t)(int8_t)x & UINT32_C(0xFFFF)) | ((uint32_t)(int8_t)(x >> 16) << 16);
#endif
}
/* tcc:end */

/* tcc:begin sxtb16_ror8 [needs assumptions] */
/* Bytes 1 and 3 of x, sign extended to the low and the high half. */
static inline uint32_t tcc_sxtb16_ror8(uint32_t x)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    uint32_t y;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
    return y;
#else
    return ((uint32_t)(int8_t)(x >> 8) & UINT32_C(0xFFFF)) | ((uint32_t)(int8_t)(x >> 24) << 16);
#endif
}
/* tcc:end */

/* tcc:begin sadd16 */
/* Sum of the low and of the high halves, each modulo 2^16. */
static inline uint32_t tcc_sadd16(uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    uint32_t y;
    __asm__("sadd16 %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
#else
    uint32_t high = (a & UINT32_C(0xFFFF0000)) + (b & UINT32_C(0xFFFF0000));
    return high | ((a + b) & UINT32_C(0xFFFF));
#endif
}
/* tcc:end */

/* tcc:begin smlad [needs assumptions] */
/* acc + product of the low halves + product of the high halves (signed), modulo 2^32. */
static inline int32_t tcc_smlad(uint32_t a, uint32_t b, int32_t acc)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t y;
    __asm__("smlad %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(acc));
    return y;
#else
    int32_t low = (int32_t)(int16_t)a * (int16_t)b;
    int32_t high = (int32_t)(int16_t)(a >> 16) * (int16_t)(b >> 16);
    return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
#endif
}
/* tcc:end */

/* tcc:begin smmulr [needs assumptions] */
/* a * b / 2^32 to nearest, ties to plus infinity. */
static inline int32_t tcc_smmulr(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t y;
    __asm__("smmulr %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));
    return y;
#else
    return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
#endif
}
/* tcc:end */

/* tcc:begin ssat8 */
/* x limited to -128..127. */
static inline int32_t tcc_ssat8(int32_t x)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t y;
    __asm__("ssat %0, #8, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return x < -128 ? -128 : (x > 127 ? 127 : x);
#endif
}
/* tcc:end */

#endif /* TINYCC_RT_H */
