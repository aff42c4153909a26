/* Runs a compiled model on the board: reads input sets, writes the outputs, reports instructions, stack and arena.
 *
 * Everything about the model comes from model.h:
 *   TCC_MODEL_ARENA_BYTES, TCC_MODEL_ARENA_ALIGN   size and alignment of the arena
 *   TCC_MODEL_INVOKE(arena)                    one inference
 *   model_inputs[], model_outputs[]        struct io { uint32_t offset, bytes; char dtype; }, in model order: place in the
 *                                          arena and element type ('b' int8, 'B' uint8, '?' bool, 'h' int16, 'i' int32,
 *                                          'q' int64, capitals: unsigned, 'f' float32, 'd' float64, 'e' and 'E' float16 and bfloat16)
 *
 * input.bin holds any number of input sets, each being all inputs, raw little-endian, in model order; output.bin receives
 * the outputs in the same way. Without input.bin one set is made up. Exit status: 0, 1 (message), 99 (processor fault). */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "console.h"
#include "model.h"
#include "semihost.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    PRINTED_SETS = 4,   /* the others are in output.bin only */
    PRINTED_VALUES = 16 /* per output */
};

extern uint32_t __stack_limit[];

static uint8_t arena[TCC_MODEL_ARENA_BYTES] __attribute__((aligned(TCC_MODEL_ARENA_ALIGN)));

__attribute__((noreturn)) static void fail(const char *message) {
    console_text("error: ");
    console_text(message);
    console_text("\n");
    semihost_exit(1);
}

/* ---- measuring ---- */

struct cost {
    uint64_t instructions;
    uint32_t stack; /* bytes */
};

typedef void (*task)(void *);

static const uint32_t PAINT = 0xC0DEFACEu;

/* Runs `run(argument)` and measures it: executed instructions, and the bytes of stack changed below this frame. */
__attribute__((noinline, noclone)) static struct cost measure(task run, void *argument) {
    uint32_t *sp;
    __asm__ volatile("mov %0, sp" : "=r"(sp));
    /* Volatile, or the compiler makes this a call of memset, which would paint over its own frame. */
    volatile uint32_t *word = __stack_limit;
    do *word = PAINT;
    while (++word < sp);

    struct board_time from, to;
    from.centiseconds = board_centiseconds();
    from.ticks = board_ticks();
    run(argument);
    to.ticks = board_ticks();
    to.centiseconds = board_centiseconds();

    volatile uint32_t *deepest = __stack_limit;
    if (*deepest != PAINT) fail("stack overflow: try `make clean run STACK=1M`");
    while (deepest < sp && *deepest == PAINT) deepest++;
    const struct cost cost = {board_instructions(from, to), (uint32_t)((uintptr_t)sp - (uintptr_t)deepest)};
    return cost;
}

/* The same call with a function of one instruction (its return) in the place of the model: the cost of measuring. */
__attribute__((naked, noinline)) static void return_at_once(void *unused) {
    (void)unused;
    __asm__ volatile("bx lr");
}
__attribute__((noinline, noclone)) static void call_nothing(void *argument) { return_at_once(argument); }
__attribute__((noinline, noclone)) static void call_model(void *argument) { TCC_MODEL_INVOKE(argument); }

/* Two instructions per iteration. */
__attribute__((noinline, noclone)) static void spin(void *iterations) {
    uint32_t left = (uint32_t)(uintptr_t)iterations;
    __asm__ volatile("1: subs %0, #1\n\tbne 1b" : "+r"(left) : : "cc");
}

/* Whether the counter really counts instructions: it does not without `-icount shift=10`. */
static bool counter_works(void) {
    const uint64_t shorter = measure(spin, (void *)1000).instructions;
    return measure(spin, (void *)3000).instructions == shorter + 2 * 2000;
}

/* ---- inputs and outputs ---- */

/* A fixed pseudo-random input: floats in [-1, 1), any byte for 8 and 16 bits, 0 for the wider integers, which often are
 * indices. */
static void made_up_input(const struct io *input) {
    static uint32_t state = 1;
    for (uint32_t at = 0; at < input->bytes;) {
        state = state * 1664525u + 1013904223u;
        const uint8_t byte = (uint8_t)(state >> 24);
        uint8_t *to = arena + input->offset + at;
        if (input->dtype == 'f') {
            const float value = (float)(int8_t)byte / 128.0f;
            memcpy(to, &value, sizeof value);
            at += (uint32_t)sizeof value;
            continue;
        }
        const bool wide = input->dtype == 'i' || input->dtype == 'q';
        *to = wide ? 0 : input->dtype == '?' ? byte & 1u : byte;
        at++;
    }
}

/* Fills the inputs from the open file, or makes them up (`file` < 0). */
static void load_inputs(int32_t file) {
    for (uint32_t i = 0; i < COUNT(model_inputs); i++) {
        const struct io *input = &model_inputs[i];
        if (file < 0) {
            made_up_input(input);
        } else if (semihost_read(file, arena + input->offset, input->bytes) != 0) {
            fail("input.bin: read failed");
        }
    }
}

/* Prints the element at `from`; returns its size in bytes. */
static uint32_t print_element(char dtype, const uint8_t *from) {
    union {
        int8_t int8;
        int16_t int16;
        int32_t int32;
        int64_t int64;
        uint16_t uint16;
        uint32_t uint32;
        uint64_t uint64;
        float float32;
        double float64;
        uint8_t raw[8];
    } value;
    memcpy(value.raw, from, sizeof value.raw);
    console_text(" ");
    switch (dtype) {
    case 'b': console_signed(value.int8); return 1;
    case 'h': console_signed(value.int16); return 2;
    case 'i': console_signed(value.int32); return 4;
    case 'q': console_signed(value.int64); return 8;
    case 'H': console_unsigned(value.uint16); return 2;
    case 'I': console_unsigned(value.uint32); return 4;
    case 'Q': console_unsigned(value.uint64); return 8;
    case 'f': console_float(value.float32); return 4;
    case 'd': console_float((float)value.float64); return 8;
    case 'e': /* float16 and bfloat16: their bits */
    case 'E': console_hex(value.uint16, 4); return 2;
    default: console_unsigned(value.raw[0]); return 1; /* uint8, bool */
    }
}

static void print_output(uint32_t index) {
    const struct io *output = &model_outputs[index];
    console_text("  output ");
    console_unsigned(index);
    console_text(":");
    uint32_t at = 0;
    for (int n = 0; n < PRINTED_VALUES && at < output->bytes; n++) {
        uint8_t element[8] = {0};
        const uint32_t left = output->bytes - at;
        memcpy(element, arena + output->offset + at, left < sizeof element ? left : sizeof element);
        at += print_element(output->dtype, element);
    }
    console_text(at < output->bytes ? " ...\n" : "\n");
}

static void store_outputs(uint32_t set, int32_t file) {
    if (set < PRINTED_SETS) {
        console_text("set ");
        console_unsigned(set);
        console_text("\n");
    } else if (set == PRINTED_SETS) {
        console_text("(the other sets are in output.bin)\n");
    }
    for (uint32_t i = 0; i < COUNT(model_outputs); i++) {
        const struct io *output = &model_outputs[i];
        if (semihost_write(file, arena + output->offset, output->bytes) != 0) fail("output.bin: write failed");
        if (set < PRINTED_SETS) print_output(i);
    }
}

/* The number of input sets in the open file; one without a file. */
static uint32_t count_sets(int32_t file) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < COUNT(model_inputs); i++) bytes += model_inputs[i].bytes;
    if (file < 0 || bytes == 0) return 1;
    const int32_t length = semihost_file_length(file);
    if (length <= 0 || (uint32_t)length % bytes != 0) {
        console_text("an input set has ");
        console_unsigned(bytes);
        console_text(" bytes, input.bin ");
        console_signed(length);
        console_text("\n");
        fail("input.bin: not a whole number of input sets");
    }
    return (uint32_t)length / bytes;
}

static void print_line(const char *name, uint64_t value) {
    console_text(name);
    console_text(" ");
    console_unsigned(value);
    console_text("\n");
}

int main(void) {
    const bool counts = counter_works();
    const struct cost nothing = measure(call_nothing, arena);

    const int32_t in = semihost_open("input.bin", SEMIHOST_READ);
    const int32_t out = semihost_open("output.bin", SEMIHOST_WRITE);
    if (out < 0) fail("output.bin: cannot be written");
    console_text(in < 0 ? "no input.bin: made-up input\n" : "");

    const uint32_t sets = count_sets(in);
    struct cost most = {0, 0};
    uint64_t fewest = UINT64_MAX;
    for (uint32_t set = 0; set < sets; set++) {
        load_inputs(in);
        struct cost cost = measure(call_model, arena);
        cost.instructions -= nothing.instructions - 1;
        cost.stack -= nothing.stack;
        if (cost.instructions > most.instructions) most.instructions = cost.instructions;
        if (cost.instructions < fewest) fewest = cost.instructions;
        if (cost.stack > most.stack) most.stack = cost.stack;
        store_outputs(set, out);
    }
    semihost_close(out);

    print_line("sets", sets);
    if (counts) {
        print_line("instructions", most.instructions); /* of one inference; the largest of all sets */
        if (fewest != most.instructions) print_line("instructions_min", fewest);
    } else {
        console_text("instructions unknown (QEMU needs -icount shift=10)\n");
    }
    print_line("stack", most.stack);
    print_line("arena", TCC_MODEL_ARENA_BYTES);
    return 0;
}
