#!/usr/bin/env python3
"""Writes common.csv and rust_only.csv, the expected values of tinycc-rt.

    make.py           rewrite the files beside this script
    make.py --check   exit 1 if they differ from what would be written

Independent of the code under test: unbounded integers and exact fractions, the rounding rules
spelled as definitions (round to nearest, ties away from zero) instead of bit tricks. Line format:
function,arguments...,expected; everything is a decimal integer, a float is its IEEE-754 bits.
"""
import bisect
import math
import pathlib
import random
import struct
import sys
from fractions import Fraction

MIN, MAX = -(2**31), 2**31 - 1
EDGES = [MIN, MIN + 1, -(2**30), -1, 0, 1, 2**30, MAX - 1, MAX]


def s32(v):
    """The int32 that v wraps to."""
    return (v + 2**31) % 2**32 - 2**31


def sat(v, lo=MIN, hi=MAX):
    return max(lo, min(hi, v))


def half_away(v):
    """Nearest integer of a fraction, ties away from zero."""
    v = Fraction(v)
    return math.floor(v + Fraction(1, 2)) if v >= 0 else -math.floor(-v + Fraction(1, 2))


def half_up(v):
    """Nearest integer of a fraction, ties to plus infinity."""
    return math.floor(Fraction(v) + Fraction(1, 2))


def srdhm(a, b):
    return sat(half_up(Fraction(a * b, 2**31)))


def rdp(x, e):
    return half_away(Fraction(x, 2**e))


def srmp(x, k):
    return sat(x * 2**k) if k > 0 else rdp(x, -k)


def requantize(acc, q, e):
    return rdp(srdhm(s32(acc * 2 ** max(e, 0)), q), max(-e, 0))


def requantize_single_tie_up(acc, q, shift):
    """requantize_shr_pos: one more 2^30 before the floor, whatever the sign."""
    r = shift + 1
    return math.floor(Fraction(acc * q, 2 ** (31 + r)) + Fraction(1, 2) + Fraction(1, 2 ** (r + 1)))


def exp_neg(a, ib):
    """e^a of a <= 0 with ib integer bits, as Q0.31 (ib <= 5)."""
    if a == 0:
        return MAX
    fb = 31 - ib
    quarter = 2 ** (fb - 2)
    m = a % quarter - quarter
    x = m * 2**ib + 2**28
    c = 1895147668
    x2 = srdhm(x, x)
    x3 = srdhm(x2, x)
    x4 = srdhm(x2, x2)
    poly = srmp(srdhm(srmp(x4, -2) + x3, 715827883) + x2, -1)
    p = c + srdhm(c, x + poly)
    rem = m - a
    for e, k in [(-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308),
                 (2, 39332535), (3, 720401), (4, 242)]:
        if ib > e and rem // 2 ** (fb + e) % 2:
            p = srdhm(p, k)
    return p


def newton(a):
    """x of about 2/(1+a) in Q2.29."""
    h = half_away(Fraction(a + MAX, 2))
    x = 1515870810 + srdhm(h, -1010580540)
    for _ in range(3):
        x += srmp(srdhm(x, 2**29 - srdhm(h, x)), 2)
    return x


def recip(a):
    return srmp(newton(a), 1)


def ratio(a):
    return srmp(newton(a) - 2**29, 2)


def logistic_q4(a):
    r = recip(exp_neg(-abs(a), 4))
    return 2**30 if a == 0 else r if a > 0 else MAX - r


def tanh_q4(a):
    t = ratio(exp_neg(-abs(a), 5))
    return 0 if a == 0 else t if a > 0 else -t


def log_q12(x):
    """ln of x in Q12.19 (x >= 2^19) as Q5.26, by the rational function around 2^(-1/4)."""
    root_half, centre = 1518500250, 1805811301
    zeros = clz(x)
    headroom = clz(srdhm(x, root_half)) - 1
    r = min(srmp(srdhm(x * 2 ** (zeros - 1), root_half), 1), srmp(x, headroom))
    power = max((12 - zeros) * 2**25 + 2**23, (12 - headroom) * 2**25 - 2**23)
    p, q = half_away(Fraction(r + centre, 2)), 2 * (r - centre)
    square = srdhm(q, q)
    top = srdhm(q, r) + srdhm(srdhm(q, square), 117049297)
    below = srdhm(p, 1057819769 + q + srdhm(127690142, square)) + srdhm(638450708, q)
    return srmp(srdhm(power, 1488522236) + srdhm(rdp(top, 6), recip(below)), 1)


def inv_sqrt(x):
    """Pairs of bits to shift, multiplier and exponent of 1/sqrt(x)."""
    pairs = (clz(x) - 1) // 2 - 1
    normal, y = math.floor(x * Fraction(4) ** pairs), 2**28
    for _ in range(5):
        y = srmp(srdhm(3 * 2**27, y) - srdhm(rdp(normal // 2, 1), srmp(srdhm(srdhm(y, y), y), 6)), 3)
    y = srdhm(y, 1518500250)
    return pairs, y * 2 ** max(pairs - 11, 0), min(pairs - 11, 0)


def clz(x):
    return 32 - x.bit_length()


def softmax_recip(total):
    return recip(total * 2 ** clz(total) - 2**31)


def softmax_shift(total):
    return 12 - clz(total) + 31 - 8


def softmax_finish(r, shift, e):
    return sat(rdp(srdhm(r, e), shift) - 128, -128, 127)


def f32(v):
    return struct.unpack("<f", struct.pack("<f", v))[0]


def bits(v):
    return struct.unpack("<I", struct.pack("<f", v))[0]


def round_half_away_f32(x):
    if math.isnan(x):
        return 0
    if math.isinf(x):
        return MAX if x > 0 else MIN
    return sat(half_away(Fraction(x)))


def round_half_even_f32(x):
    if math.isnan(x) or math.isinf(x):
        return bits(x)
    # Python rounds ties to even; the sign of a zero follows "x < 0".
    return bits(math.copysign(float(round(Fraction(x))), -1.0 if x < 0 else 1.0))


def lanes(word):
    """The two signed halves of a word, low first."""
    return [(h + 2**15) % 2**16 - 2**15 for h in (word % 2**16, word // 2**16)]


def signed_bytes(word):
    return [(word >> s & 255 ^ 128) - 128 for s in (0, 8, 16, 24)]


def pack(lo, hi):
    return lo % 2**16 + hi % 2**16 * 2**16


def sadd16(a, b):
    return pack(*(p + q for p, q in zip(lanes(a), lanes(b))))


def smlad(a, b, c):
    return s32(c + sum(p * q for p, q in zip(lanes(a), lanes(b))))


def checked_constants():
    """Values measured on TensorFlow Lite Micro; the model above must reproduce them."""
    for acc, q, e, y in [(100, 1518500250, -7, 1), (-100, 1518500250, -7, -1),
                         (12345, 2**30, -1, 3087), (-12345, 2**30, -1, -3086),
                         (3, 2**30, 0, 2), (-3, 2**30, 0, -1)]:
        assert requantize(acc, q, e) == y
    for a, y in [(-1, 2147483124), (-(2**24), 1672462419), (-(2**26), 790015308),
                 (-(2**28), 39332546), (-(2**30), 242)]:
        assert exp_neg(a, 5) == y
    for a, y in [(-(2**27), 577547421), (-1, 1073741699), (1, 1073741948), (2**27, 1569936226)]:
        assert logistic_q4(a) == y
    for a, y in [(1, 260), (2**26, 992388804), (2**28, 2070233436)]:
        assert tanh_q4(a) == y
    for x in range(2**19, MAX, 10**8 + 7):
        assert abs(log_q12(x) / 2**26 - math.log(x / 2**19)) < 1e-6
        pairs, m, e = inv_sqrt(x)
        assert abs(m * 2.0 ** (e - 31) * math.sqrt(x) - 1) < 2e-6 and 2**27 <= x * 4.0**pairs < 2**29
    for a in range(0, MAX, 10**8 + 7):
        assert abs(recip(a) / 2**31 - 1 / (1 + a / 2**31)) < 1e-8
        assert abs(exp_neg(-a, 5) / 2**31 - math.exp(-a / 2**26)) < 1e-6


def requantize_rows(rng, put):
    """Random, edge and tie-targeted accumulators for the requantisation forms."""
    def all_forms(acc, q, e):
        put("requantize", acc, q, e, requantize(acc, q, e))
        # Python rounds ties to even.
        exact = acc * q * Fraction(2) ** (e - 31)
        put("requantize_nearest", acc, q, e, sat(round(exact)))
        if e <= -2:
            y, shift = requantize(acc, q, e), -e - 1
            pos = requantize_single_tie_up(acc, q, shift)
            assert max(pos, 0) == max(y, 0)
            put("requantize_shr", acc, q, shift, y)
            put("requantize_shr_pos", acc, q, shift, pos)
            put("requantize_shr_nearest", acc, q, shift, half_up(exact))

    for acc, q, e in [(100, 1518500250, -7), (12345, 2**30, -1), (3, 2**30, 0)]:
        all_forms(acc, q, e)
        all_forms(-acc, q, e)
    for acc in EDGES:
        for q, e in [(0, 0), (2**30, -31), (MAX, -2), (MAX, 30), (1518500250, 3)]:
            all_forms(acc, q, e)
    for i in range(96):
        q, r = rng.randint(2**30, MAX), rng.randint(2, 31)
        k = rng.randint(0, 127)
        tie = (2 * k + 1) * 2 ** (30 + r) // q + rng.randint(-1, 1)
        # A power-of-two multiplier hits the ties exactly.
        if i % 2:
            q, r = 2**30, rng.randint(2, 22)
            tie = (2 * k + 1) * 2**r + rng.randint(-1, 1)
        all_forms(s32(rng.choice([-1, 1]) * sat(tie)), q, -r)
        all_forms(rng.randint(MIN, MAX), rng.randint(2**30, MAX), rng.randint(-31, 30))


def integer_rows(rng, put):
    def any32():
        return rng.choice([rng.randint(MIN, MAX), rng.randint(-1000, 1000), rng.choice(EDGES)])

    for a in EDGES:
        for b in EDGES:
            put("saturating_rounding_doubling_high_mul", a, b, srdhm(a, b))
        for e in (0, 1, 2, 30, 31):
            put("rounding_divide_by_pot", a, e, rdp(a, e))
        for n in (1, 2, 3, 9, MAX):
            put("div_round", a, n, s32(half_away(Fraction(a, n))))
    for _ in range(60):
        a, b, e = any32(), any32(), rng.randint(0, 31)
        put("saturating_rounding_doubling_high_mul", a, b, srdhm(a, b))
        put("rounding_divide_by_pot", a, e, rdp(a, e))
        tie = sat((2 * rng.randint(-9, 9) + 1) * 2**e // 2)
        put("rounding_divide_by_pot", tie, e, rdp(tie, e))
        n = rng.choice([rng.randint(1, 50), rng.randint(1, MAX)])
        small = rng.randint(-128 * min(n, 2**23), 127 * min(n, 2**23))
        put("div_round", small, n, half_away(Fraction(small, n)))
        put("div_round_even", small, n, round(Fraction(small, n)))
        even = 2 * rng.randint(1, 60)
        tie = rng.randint(-300, 300) * even + even // 2
        put("div_round_even", tie, even, round(Fraction(tie, even)))
        put("div_round", a, n, s32(half_away(Fraction(a, n))))
        lo, hi = sorted((any32(), any32()))
        put("clamp", a, lo, hi, sat(a, lo, hi))
        put("min_i32", a, b, min(a, b))
        put("max_i32", a, b, max(a, b))
    for word in [0, 1, 2, 3, 2**31, 2**32 - 1] + [2**k + rng.randrange(2**k) for k in range(32)]:
        put("clz", word, clz(word))


def float_rows(rng, put):
    below_half = struct.unpack("<f", struct.pack("<I", 0x3EFFFFFF))[0]
    below_2_31 = struct.unpack("<f", struct.pack("<I", 0x4EFFFFFF))[0]
    edges = [0.0, -0.0, 0.5, below_half, 1.5, 2.5, 127.5, 128.5, 8388607.5, 8388609.0, 4194303.5,
             2.0**31, below_2_31, 1e10, 3.4e38, math.inf, 1e-40]
    edges = [f32(sign * v) for v in edges for sign in (1, -1)] + [math.nan]
    samples = edges + [f32(rng.uniform(-300, 300)) for _ in range(20)]
    samples += [f32(rng.randint(-300, 300) + 0.5) for _ in range(20)]
    for x in samples:
        put("round_half_away_f32", bits(x), round_half_away_f32(x))
        put("round_half_even_f32", bits(x), round_half_even_f32(x))
    pairs = [(rng.choice(samples), rng.choice(samples)) for _ in range(40)]
    for a, b in pairs + [(0.0, -0.0), (-0.0, 0.0), (math.nan, 1.0), (1.0, math.nan)]:
        put("min_f32", bits(a), bits(b), bits(a if a < b else b))
        put("max_f32", bits(a), bits(b), bits(a if a > b else b))


# Fraction bits, exponent bits, bias, kind (see small_float.rs).
FORMATS = {"float16": (10, 5, 15, 0), "bfloat16": (7, 8, 127, 0), "e4m3fn": (3, 4, 7, 1),
           "e4m3fnuz": (3, 4, 8, 2), "e5m2": (2, 5, 15, 0), "e5m2fnuz": (2, 5, 16, 2),
           "e2m1": (1, 2, 1, 3)}


def small_value(code, m, e, bias, kind):
    """The number of a code: a fraction, an infinity, or None for NaN."""
    sign, exponent, fraction = code >> (e + m), code >> m & (2**e - 1), code & (2**m - 1)
    if kind == 0 and exponent == 2**e - 1:
        return None if fraction else math.inf * (-1) ** sign
    if kind == 1 and code & (2 ** (e + m) - 1) == 2 ** (e + m) - 1:
        return None
    if kind == 2 and code == 2 ** (e + m):
        return None
    size = Fraction(fraction + (2**m if exponent else 0), 2**m)
    return (-1) ** sign * size * Fraction(2) ** (max(exponent, 1) - bias)


def small_float_rows(rng, put):
    def wide(v, code, width):
        # The sign of a zero is not in the fraction.
        return -0.0 if v == 0 and code >> (width - 1) else float(v)

    for m, e, bias, kind in FORMATS.values():
        width = 1 + e + m
        packed = m | e << 4 | bias << 8 | kind << 16
        codes = range(2**width) if width <= 8 else [rng.randrange(2**width) for _ in range(150)]
        values = [(small_value(c, m, e, bias, kind), c) for c in codes]
        for v, c in values:
            if v is not None:
                put("widen_float", c, packed, bits(wide(v, c, width)))
        finite = sorted({v for v, _ in values if v is not None and not math.isinf(v)})
        table = {small_value(c, m, e, bias, kind): c for c in range(2**width - 1, -1, -1)}
        numbers = sorted(v for v in table if v is not None and not math.isinf(v))
        largest = numbers[-1]
        # Between neighbours: the middle, and a float32 on either side of it.
        tries = []
        for _ in range(60):
            i = rng.randrange(len(numbers) - 1)
            middle = f32(float((numbers[i] + numbers[i + 1]) / 2))
            tries += [middle, f32(middle * (1 + 2**-20)), f32(middle * (1 - 2**-20)), f32(rng.uniform(-3, 3))]
        tries += [float(v) for v in rng.sample(finite, min(len(finite), 20))]
        tries += [f32(float(largest) * k) for k in (1.01, -1.01, 1.2, -2)] if e < 8 else [3.4e38, -3.4e38]
        tries += [0.0, -0.0, 1e-40, -1e-45, math.inf, -math.inf]
        order = sorted(numbers)
        for x in tries:
            for saturate in (0, 1):
                put("narrow_float", bits(x), packed | saturate << 18,
                    narrow(x, order, table, (m, e, bias, kind), saturate or kind == 3))


def narrow(x, order, table, form, saturate):
    """The code of a float32: the nearest number, of two the one with an even code."""
    m, e, bias, kind = form
    sign = 2 ** (e + m) if math.copysign(1, x) < 0 else 0
    largest = order[-1]
    size = math.inf if math.isinf(x) else Fraction(abs(x))
    # One step beyond the largest number; half of it still rounds down, unless that is a tie to even.
    step = largest - order[-2]
    code = table[largest]
    beyond = size - largest > step / 2 or size - largest == step / 2 and code % 2 == 1
    if beyond:
        if saturate:
            return sign | code
        return {0: sign | code + 1, 1: sign | code + 1, 2: 2 ** (e + m)}[kind]
    at = bisect.bisect_right(order, size)
    low = order[at - 1]
    high = order[at] if low != size and at < len(order) else low
    pick = low if size - low < high - size else high
    if size - low == high - size:
        pick = low if table[low] % 2 == 0 else high
    code = table[pick] % 2 ** (e + m)
    return 0 if kind == 2 and code == 0 else sign | code


def bits_rows(rng, put):
    for _ in range(20):
        word, long = rng.randrange(2**31), rng.randrange(-(2**63), 2**63)
        word %= 0x7F800000
        long %= 0x7FF0 << 48
        put("float_bits", word, word)
        put("bits_float", word, word)
        put("double_bits", long, long)
        put("bits_double", long, long)


def fixed_point_rows(rng, put):
    fractions = [0, 1, 2**30, MAX - 1, MAX] + [rng.randint(0, MAX) for _ in range(60)]
    for a in fractions:
        put("one_over_one_plus_x", a, recip(a))
    for a in [MIN, MIN + 1] + EDGES[2:] + [rng.randint(MIN, MAX) for _ in range(20)]:
        for k in (1, 4, 30, -1, -4, -31):
            put("saturating_rounding_multiply_by_pot", a, k, srmp(a, k))
    for x in [2**19, 2**19 + 1, 2**20, 741455, 623487, MAX] + \
            [2**19 + rng.randrange(2 ** rng.randint(4, 30)) for _ in range(60)]:
        put("log_q12", x, log_q12(x))
    for x in list(range(2, 20)) + [2**k + d for k in range(5, 31) for d in (-1, 0, 1)] + \
            [rng.randint(2, 2 ** rng.randint(2, 31) - 1) for _ in range(60)] + [MAX]:
        for part, y in zip(("pairs", "multiplier", "exponent"), inv_sqrt(x)):
            put("inv_sqrt_" + part, x, y)
    for x in (0, 1):
        put("inv_sqrt_multiplier", x, MAX)
        put("inv_sqrt_exponent", x, 0)
    # One to 8192 equal classes; the larger sums shift everything out.
    exponents = [MAX] + [exp_neg(-rng.randint(0, 2**28), 5) for _ in range(3)]
    sums = [half_away(Fraction(MAX, 2**12)) * n for n in (1, 2, 3, 10, 256, 512, 1000, 4095)]
    for total in sums + [2**19 + rng.randrange(2**24) for _ in range(20)] + [MAX, 2**31]:
        r, shift = softmax_recip(total), softmax_shift(total)
        put("softmax_recip", total, r)
        put("softmax_shift", total, shift)
        for e in exponents:
            put("softmax_finish", r, shift, e, softmax_finish(r, shift, e))


def rust_only_rows(rng, put):
    magnitudes = [0, 1, 2**24, 2**25, 2**26, 2**27, 2**28, 2**30, MAX]
    magnitudes += [rng.randint(0, 2 ** rng.randint(1, 31) - 1) for _ in range(60)]
    for a in magnitudes:
        put("exp_q5", -a, exp_neg(-a, 5))
        put("one_minus_x_over_one_plus_x", a, ratio(a))
        for v in (a, -a):
            put("logistic_q4", v, logistic_q4(v))
            put("tanh_q4", v, tanh_q4(v))
    for f, y in [("exp_q5", exp_neg(MIN, 5)), ("logistic_q4", logistic_q4(MIN)),
                 ("tanh_q4", tanh_q4(MIN))]:
        put(f, MIN, y)


def dsp_rows(rng, put):
    words = [0, 0x80808080, 0x7F7F7F7F, 0x80008000, 0x7FFF7FFF, 0xFFFFFFFF, 0x80007FFF]
    words += [rng.randrange(2**32) for _ in range(30)]
    for w in words:
        b = signed_bytes(w)
        put("sxtb16", w, pack(b[0], b[2]))
        put("sxtb16_ror8", w, pack(b[1], b[3]))
        v, c = rng.choice(words), rng.choice(EDGES + [rng.randint(MIN, MAX)])
        put("sadd16", w, v, sadd16(w, v))
        put("smlad", w, v, c, smlad(w, v, c))
        put("smlad", w, w, c, smlad(w, w, c))
        a, m = rng.randint(MIN, MAX), rng.choice(EDGES + [rng.randint(MIN, MAX)])
        put("smmulr", a, m, half_up(Fraction(a * m, 2**32)))
        # load_u32 takes four int8 in address order; the vectors are those of a little-endian CPU.
        put("load_u32", *b, w)
    for x in EDGES + [-130, -129, -128, -127, 126, 127, 128, 129]:
        put("ssat8", x, sat(x, -128, 127))
        put("smmulr", x, MIN, half_up(Fraction(x * MIN, 2**32)))


def render(title, makers):
    rows = []
    for maker in makers:
        maker(random.Random(maker.__name__), lambda *fields: rows.append(",".join(map(str, fields))))
    head = f"# {title}: function,arguments...,expected. Written by make.py, do not edit.\n"
    return head + "\n".join(dict.fromkeys(rows)) + "\n"


def main():
    checked_constants()
    common = [integer_rows, requantize_rows, float_rows, fixed_point_rows, dsp_rows, small_float_rows,
              bits_rows]
    files = {"common.csv": render("Rust and C", common),
             "rust_only.csv": render("Rust only", [rust_only_rows])}
    here = pathlib.Path(__file__).resolve().parent
    stale = 0
    for name, text in files.items():
        path = here / name
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                print(f"{name} differs from make.py", file=sys.stderr)
                stale = 1
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
    return stale


if __name__ == "__main__":
    sys.exit(main())
