/*
 * tinycc_rt_float.h: floats as bits, and floats of 16 bits and fewer. The rules of snippets are those of
 * tinycc_rt.h, which stands before this file.
 */
#ifndef TINYCC_RT_FLOAT_H
#define TINYCC_RT_FLOAT_H

#include "tinycc_rt.h"

/* tcc:begin float_bits */
/* The bits of a float. */
static inline int32_t tcc_float_bits(float x)
{
    union {
        float value;
        int32_t bits;
    } same;
    same.value = x;
    return same.bits;
}
/* tcc:end */

/* tcc:begin bits_float */
/* The float of these bits. */
static inline float tcc_bits_float(int32_t bits)
{
    union {
        int32_t bits;
        float value;
    } same;
    same.bits = bits;
    return same.value;
}
/* tcc:end */

/* tcc:begin double_bits */
/* The bits of a double. */
static inline int64_t tcc_double_bits(double x)
{
    union {
        double value;
        int64_t bits;
    } same;
    same.value = x;
    return same.bits;
}
/* tcc:end */

/* tcc:begin bits_double */
/* The double of these bits. */
static inline double tcc_bits_double(int64_t bits)
{
    union {
        int64_t bits;
        double value;
    } same;
    same.bits = bits;
    return same.value;
}
/* tcc:end */

/* tcc:begin narrow_float [needs assumptions float_bits] */
/*
 * The code of x in a float format of at most 16 bits: nearest, ties to even. The format is packed:
 * fraction bits | exponent bits << 4 | bias << 8 | kind << 16 | saturate << 18. Kind 0 has infinities
 * and NaN as IEEE 754, 1 NaN at all ones, 2 NaN at the sign alone and one zero, 3 neither.
 */
static inline int32_t tcc_narrow_float(float x, int32_t format)
{
    const int32_t m = format & 15, e = (format >> 4) & 15;
    const int32_t bias = (format >> 8) & 255, kind = (format >> 16) & 3;
    const int saturate = ((format >> 18) & 1) != 0 || kind == 3;
    const int32_t bits = tcc_float_bits(x);
    const int32_t sign = bits < 0 ? (int32_t)1 << (e + m) : 0;
    const int32_t size = bits & 0x7FFFFFFF;
    const int32_t ones = ((int32_t)1 << (e + m)) - 1;
    /* The largest number, one code below infinity or NaN. */
    const int32_t limit = kind == 0 ? ((ones >> m) << m) - 1 : (kind == 1 ? ones - 1 : ones);
    int32_t mantissa = size, to = 1, shift, whole, rest, half, code;
    if (size > 0x7F800000) {
        return kind == 0 ? sign | (limit + 1) | ((int32_t)1 << (m - 1))
                         : (kind == 1 ? sign | ones : ones + 1);
    }
    if (size >> 23 != 0) {
        mantissa = (size & 0x007FFFFF) | 0x00800000;
        to = size >> 23;
    }
    /* Exponent as the format stores it; below 1 the number is subnormal there. */
    to += bias - 127;
    shift = 23 - m + (to < 1 ? (1 - to > 3 + m ? 3 + m : 1 - to) : 0);
    whole = mantissa >> shift;
    half = (int32_t)1 << (shift - 1);
    rest = mantissa & (2 * half - 1);
    /* The leading bit, and a carry, go into the exponent. */
    code = (to < 1 ? 0 : (to - 1) * ((int32_t)1 << m)) + whole;
    code += rest > half || (rest == half && (whole & 1) != 0) ? 1 : 0;
    if (code > limit) {
        return saturate ? sign | limit : (kind == 2 ? ones + 1 : sign | (limit + 1));
    }
    return kind == 2 && code == 0 ? 0 : sign | code;
}
/* tcc:end */

/* tcc:begin widen_float [needs assumptions bits_float] */
/* The float of a code in a format packed as for narrow_float, exactly. */
static inline float tcc_widen_float(int32_t code, int32_t format)
{
    const int32_t m = format & 15, e = (format >> 4) & 15;
    const int32_t bias = (format >> 8) & 255, kind = (format >> 16) & 3;
    const int32_t ones = ((int32_t)1 << (e + m)) - 1;
    const int32_t size = code & ones;
    const int32_t negative = code & (ones + 1);
    const int32_t exponent = size >> m, fraction = size & (((int32_t)1 << m) - 1);
    float magnitude;
    if (e == 8) {
        return tcc_bits_float((int32_t)((uint32_t)code << 16));
    }
    if ((kind == 1 && size == ones) || (kind == 2 && size == 0 && negative != 0)) {
        return tcc_bits_float(0x7FC00000);
    }
    if (kind == 0 && exponent == ones >> m) {
        magnitude = tcc_bits_float(0x7F800000 | (fraction * ((int32_t)1 << (23 - m))));
    } else if (exponent == 0) {
        magnitude = (float)fraction * tcc_bits_float((128 - bias - m) * 0x00800000);
    } else {
        magnitude = tcc_bits_float((exponent + 127 - bias) * 0x00800000
                                   + fraction * ((int32_t)1 << (23 - m)));
    }
    return negative != 0 ? -magnitude : magnitude;
}
/* tcc:end */

#endif /* TINYCC_RT_FLOAT_H */
