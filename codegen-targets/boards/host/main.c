/* Runs the model as a filter: reads input sets from stdin until end of file (all inputs of the
 * model, raw little-endian, in model order) and writes each result (all outputs, raw, in order) to
 * stdout. Exit code 0; 1 with a message when the input ends inside a set or output fails. */
#include <stdio.h>

#include "model.h"

static union {
    uint8_t bytes[TCC_MODEL_ARENA_BYTES];
    int64_t align;
} arena;

/* 1: all inputs read; 0: end of input; -1: it ended inside a set. */
static int read_inputs(void)
{
    size_t seen = 0;

    for (int i = 0; i < TCC_MODEL_INPUT_COUNT; i++) {
        const size_t n = fread(arena.bytes + model_inputs[i].offset, 1, model_inputs[i].bytes, stdin);
        seen += n;
        if (n != model_inputs[i].bytes) {
            return seen == 0 ? 0 : -1;
        }
    }
    return 1;
}

int main(void)
{
    for (;;) {
        const int got = read_inputs();

        if (got < 0) {
            fprintf(stderr, "the input ends in the middle of a set\n");
            return 1;
        }
        if (got == 0) {
            break;
        }
        TCC_MODEL_INVOKE(arena.bytes);
        for (int i = 0; i < TCC_MODEL_OUTPUT_COUNT; i++) {
            const struct io *o = &model_outputs[i];
            if (fwrite(arena.bytes + o->offset, 1, o->bytes, stdout) != o->bytes) {
                fprintf(stderr, "cannot write the output\n");
                return 1;
            }
        }
        if (TCC_MODEL_INPUT_COUNT == 0) {
            break;
        }
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
