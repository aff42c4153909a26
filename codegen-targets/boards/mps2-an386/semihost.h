/* Arm semihosting for Cortex-M: files, terminal and exit code of the machine that runs the emulator or debugger.
 * Operation numbers and parameter blocks are those of Arm's "Semihosting for AArch32 and AArch64" specification. */
#ifndef SEMIHOST_H
#define SEMIHOST_H

#include <stdint.h>

enum semihost_operation {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_FLEN = 0x0C,
    SYS_EXIT_EXTENDED = 0x20
};

/* fopen-like modes of SYS_OPEN. */
enum semihost_mode { SEMIHOST_READ = 1 /* "rb" */, SEMIHOST_WRITE_TEXT = 4 /* "w" */, SEMIHOST_WRITE = 5 /* "wb" */ };

static inline int32_t semihost_call(uint32_t operation, const void *arguments) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

static inline uint32_t semihost_length(const char *text) {
    uint32_t n = 0;
    while (text[n] != '\0') n++;
    return n;
}

/* Opens a file of the host (":tt" is the terminal). Returns a handle, or -1. */
static inline int32_t semihost_open(const char *path, enum semihost_mode mode) {
    const uint32_t block[3] = {(uint32_t)(uintptr_t)path, (uint32_t)mode, semihost_length(path)};
    return semihost_call(SYS_OPEN, block);
}

static inline int32_t semihost_close(int32_t file) {
    const uint32_t block[1] = {(uint32_t)file};
    return semihost_call(SYS_CLOSE, block);
}

/* Length of an open file in bytes, or -1. */
static inline int32_t semihost_file_length(int32_t file) {
    const uint32_t block[1] = {(uint32_t)file};
    return semihost_call(SYS_FLEN, block);
}

/* Return the number of bytes NOT transferred: 0 is success. */
static inline int32_t semihost_read(int32_t file, void *to, uint32_t bytes) {
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)to, bytes};
    return semihost_call(SYS_READ, block);
}

static inline int32_t semihost_write(int32_t file, const void *from, uint32_t bytes) {
    const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)from, bytes};
    return semihost_call(SYS_WRITE, block);
}

/* Ends the emulator with this exit status. */
__attribute__((noreturn)) static inline void semihost_exit(uint32_t status) {
    const uint32_t block[2] = {0x20026u /* ADP_Stopped_ApplicationExit */, status};
    for (;;) semihost_call(SYS_EXIT_EXTENDED, block);
}

#endif
