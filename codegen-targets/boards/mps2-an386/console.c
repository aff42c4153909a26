/* See console.h. */
#include "console.h"
#include "semihost.h"

void console_text(const char *text) {
    static int32_t terminal = -1;
    if (terminal < 0) terminal = semihost_open(":tt", SEMIHOST_WRITE_TEXT);
    semihost_write(terminal, text, semihost_length(text));
}

void console_unsigned(uint64_t value) {
    char digits[21];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do {
        *--first = (char)('0' + (char)(value % 10));
        value /= 10;
    } while (value != 0);
    console_text(first);
}

void console_signed(int64_t value) {
    if (value < 0) console_text("-");
    console_unsigned(value < 0 ? 0u - (uint64_t)value : (uint64_t)value);
}

void console_hex(uint32_t value, unsigned digits) {
    char text[2] = {0, 0};
    while (digits-- > 0) {
        text[0] = "0123456789abcdef"[(value >> (4 * digits)) & 15u];
        console_text(text);
    }
}

/* `value` >= 0 and below 1e6, rounded to six digits after the point. */
static void fixed_point(double value) {
    const uint64_t millionths = (uint64_t)(value * 1e6 + 0.5);
    char text[8] = ".000000";
    uint32_t rest = (uint32_t)(millionths % 1000000u);
    for (int i = 6; i > 0; i--, rest /= 10) text[i] = (char)('0' + (char)(rest % 10));
    console_unsigned(millionths / 1000000u);
    console_text(text);
}

void console_float(float value) {
    if (value != value) {
        console_text("nan");
        return;
    }
    double magnitude = value;
    if (magnitude < 0) {
        console_text("-");
        magnitude = -magnitude;
    }
    if (magnitude > 3.5e38) {
        console_text("inf");
        return;
    }
    int exponent = 0;
    if (magnitude != 0 && (magnitude < 1e-3 || magnitude >= 1e6)) {
        for (; magnitude >= 10; exponent++) magnitude /= 10;
        for (; magnitude < 1; exponent--) magnitude *= 10;
        /* What would print as 10.000000 is 1.000000 of the next power. */
        if (magnitude >= 9.9999995) {
            magnitude = 1;
            exponent++;
        }
    }
    fixed_point(magnitude);
    if (exponent != 0) {
        console_text("e");
        console_signed(exponent);
    }
}
