/* Text output on the semihosting terminal, without the C library's printf (and its heap). */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

void console_text(const char *text);
void console_signed(int64_t value);
void console_unsigned(uint64_t value);
void console_hex(uint32_t value, unsigned digits);
/* Six digits after the point; scientific notation below 1e-3 and from 1e6 on. */
void console_float(float value);

#endif
