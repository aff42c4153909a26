/* Runs common.csv (argv[1]) on tinycc_rt.h; prints each wrong row, exits 1 if there is one. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PORTABLE
#undef __GNUC__ /* the header without builtins and inline assembly */
#endif
#include "tinycc_rt_float.h"

static float float_of(int64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

static double double_of(int64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int64_t bits_of(float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    return word;
}

/* The four int8 at an odd address, the result as a little-endian CPU has it. */
static int64_t load(const int64_t *a)
{
    int8_t bytes[5];
    uint8_t raw[4];
    uint32_t word;
    int n;
    for (n = 0; n < 4; n++) {
        bytes[n + 1] = (int8_t)a[n];
    }
    word = tcc_load_u32(bytes + 1);
    memcpy(raw, &word, sizeof raw);
    return raw[0] | raw[1] << 8 | raw[2] << 16 | (int64_t)raw[3] << 24;
}

#define I(n) ((int32_t)a[n])
#define U(n) ((uint32_t)a[n])
#define F(n) float_of(a[n])
#define CASE(function, ...)                \
    if (strcmp(name, #function) == 0) {    \
        *y = tcc_##function(__VA_ARGS__);  \
        return 1;                          \
    }
#define CASE_F32(function)                         \
    if (strcmp(name, #function) == 0) {            \
        *y = bits_of(tcc_##function(F(0), F(1)));  \
        return 1;                                  \
    }

/* Calls a function by name; 0 if there is none. */
static int call(const char *name, const int64_t *a, int64_t *y)
{
    CASE(clamp, I(0), I(1), I(2))
    CASE(min_i32, I(0), I(1))
    CASE(max_i32, I(0), I(1))
    CASE_F32(min_f32)
    CASE_F32(max_f32)
    CASE(float_bits, F(0))
    CASE(double_bits, double_of(a[0]))
    CASE(narrow_float, F(0), I(1))
    if (strcmp(name, "bits_float") == 0) {
        *y = bits_of(tcc_bits_float(I(0)));
        return 1;
    }
    if (strcmp(name, "widen_float") == 0) {
        *y = bits_of(tcc_widen_float(I(0), I(1)));
        return 1;
    }
    if (strcmp(name, "bits_double") == 0) {
        const double x = tcc_bits_double(a[0]);
        memcpy(y, &x, sizeof x);
        return 1;
    }
    CASE(div_round, I(0), I(1))
    CASE(div_round_even, I(0), I(1))
    CASE(round_half_away_f32, F(0))
    if (strcmp(name, "round_half_even_f32") == 0) {
        *y = bits_of(tcc_round_half_even_f32(F(0)));
        return 1;
    }
    CASE(clz, U(0))
    CASE(saturating_rounding_doubling_high_mul, I(0), I(1))
    CASE(rounding_divide_by_pot, I(0), I(1))
    CASE(requantize, I(0), I(1), I(2))
    CASE(requantize_nearest, I(0), I(1), I(2))
    CASE(requantize_shr_nearest, I(0), I(1), I(2))
    CASE(requantize_shr, I(0), I(1), I(2))
    CASE(requantize_shr_pos, I(0), I(1), I(2))
    CASE(saturating_rounding_multiply_by_pot, I(0), I(1))
    CASE(one_over_one_plus_x, I(0))
    CASE(log_q12, I(0))
    CASE(inv_sqrt_pairs, I(0))
    CASE(inv_sqrt_multiplier, I(0))
    CASE(inv_sqrt_exponent, I(0))
    CASE(softmax_recip, U(0))
    CASE(softmax_shift, U(0))
    CASE(softmax_finish, I(0), I(1), I(2))
    CASE(sxtb16, U(0))
    CASE(sxtb16_ror8, U(0))
    CASE(sadd16, U(0), U(1))
    CASE(smlad, U(0), U(1), I(2))
    CASE(smmulr, I(0), I(1))
    CASE(ssat8, I(0))
    if (strcmp(name, "load_u32") == 0) {
        *y = load(a);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char line[256];
    long rows = 0, wrong = 0;
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (file == NULL) {
        return 2;
    }
    while (fgets(line, (int)sizeof line, file) != NULL) {
        int64_t fields[8] = {0}, y = 0;
        int count = 0;
        char *next = strchr(line, ',');
        if (line[0] == '#') {
            continue;
        }
        while (next != NULL && count < 8) {
            *next = '\0'; /* ends the name, or the number that was read */
            fields[count] = strtoll(next + 1, &next, 10);
            count++;
            next = *next == ',' ? next : NULL;
        }
        rows++;
        if (count < 2 || !call(line, fields, &y) || y != fields[count - 1]) {
            wrong++;
            printf("%s(%lld, %lld, %lld) = %lld, not %lld\n", line, (long long)fields[0],
                   (long long)fields[1], (long long)fields[2], (long long)y,
                   (long long)fields[count > 0 ? count - 1 : 0]);
        }
    }
    fclose(file);
    printf("%ld rows\n", rows);
    return wrong != 0 || rows == 0;
}
