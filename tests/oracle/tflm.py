#!/usr/bin/env python3
"""Runs a TFLite model with TensorFlow Lite Micro's host reference kernels, the canonical arithmetic of this project.

    tflm.py MODEL --sets N [--seed S] --in in.bin --out out.bin     random inputs, written to in.bin
    tflm.py MODEL --use-input        --in in.bin --out out.bin      inputs read from in.bin

Both files hold one set after the other; a set is every input (output) of the model in model order, raw, little-endian,
without padding: what the emitted examples read and write. A line of JSON on standard output describes the tensors:
{"sets": N, "inputs": [{"dtype": "int8", "shape": [1, 49, 10, 1]}], "outputs": [...]}.

Random inputs are the same on every machine. They are one stream of 64-bit words, word k (from 0) being splitmix64:

    z = S + (k + 1) * 0x9E3779B97F4A7C15
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9
    z = (z ^ z >> 27) * 0x94D049BB133111EB
    word = z ^ z >> 31                                              (all modulo 2^64)

Words are laid out little-endian; each tensor takes the next ceil(bytes / 8) of them and drops what is left of the last.
8- and 16-bit integers use the bytes as they are (full range); bool takes bit 0; an int32 or int64 element takes its
unsigned value u and becomes LO + u mod (HI - LO + 1) for --int-range; a float32 element takes its 32 bits u and becomes
LO + (HI - LO) * ((u >> 8) / 2^24) in float32 for --float-range.

Variable tensors keep their state from set to set, as in the interpreter, unless --reset is given.
"""

import argparse
import json
import os
import sys

import numpy as np
from tflite_micro.python.tflite_micro import runtime

MINIMUM_ARENA = 32 << 20


def random_bytes(seed, first_word, count):
    """`count` bytes of the documented stream from word `first_word` on, and the number of words used."""
    words = (count + 7) // 8
    with np.errstate(over="ignore"):
        k = np.arange(first_word + 1, first_word + words + 1, dtype=np.uint64)
        z = np.uint64(seed % 2**64) + k * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return z.astype("<u8").tobytes()[:count], words


def random_tensor(raw, dtype, options):
    """The flat tensor of `dtype` that the random bytes `raw` stand for."""
    if dtype in (np.int8, np.uint8, np.int16, np.uint16):
        return np.frombuffer(raw, dtype.newbyteorder("<"))
    if dtype == np.bool_:
        return (np.frombuffer(raw, np.uint8) & 1).astype(np.bool_)
    if dtype in (np.int32, np.int64):
        if options.int_range is None:
            sys.exit("tflm.py: the model has an integer input of 32 or 64 bits: give --int-range LO HI")
        low, high = options.int_range
        unsigned = np.frombuffer(raw, f"<u{dtype.itemsize}").astype(object)
        return np.array([low + int(u) % (high - low + 1) for u in unsigned], dtype)
    if dtype == np.float32:
        low, high = (np.float32(bound) for bound in options.float_range)
        unit = (np.frombuffer(raw, "<u4") >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
        return low + (high - low) * unit
    sys.exit(f"tflm.py: no random inputs for {dtype}")


def describe(details):
    """(dtype, shape) of each tensor, from the interpreter's details."""
    return [(np.dtype(d["dtype"]), tuple(int(n) for n in d["shape"])) for d in details]


def set_bytes(tensors):
    return sum(dtype.itemsize * int(np.prod(shape)) for dtype, shape in tensors)


class Model:
    """A loaded model with its input and output descriptions."""

    def __init__(self, data, arena):
        graph = runtime.convert_bytearray_to_object(data).subgraphs[0]
        self.data = data  # the interpreter reads the weights in place
        self.interpreter = runtime.Interpreter.from_bytes(data, arena_size=max(arena, 20 * len(data)))
        self.inputs = describe(self.interpreter.get_input_details(i) for i in range(len(graph.inputs)))
        self.outputs = describe(self.interpreter.get_output_details(i) for i in range(len(graph.outputs)))

    def run(self, values, reset):
        """One inference; the outputs as little-endian bytes."""
        if reset:
            self.interpreter.reset()
        for i, value in enumerate(values):
            self.interpreter.set_input(value, i)
        self.interpreter.invoke()
        outputs = (self.interpreter.get_output(i) for i in range(len(self.outputs)))
        return b"".join(np.ascontiguousarray(o, o.dtype.newbyteorder("<")).tobytes() for o in outputs)


def random_set(inputs, word, options):
    """One random input set as bytes, and the next word of the stream."""
    parts = []
    for dtype, shape in inputs:
        raw, used = random_bytes(options.seed, word, dtype.itemsize * int(np.prod(shape)))
        word += used
        tensor = random_tensor(raw, dtype, options)
        parts.append(tensor.astype(dtype.newbyteorder("<")).tobytes())
    return b"".join(parts), word


def split_set(raw, inputs):
    """The tensors of one input set."""
    values, at = [], 0
    for dtype, shape in inputs:
        end = at + dtype.itemsize * int(np.prod(shape))
        values.append(np.frombuffer(raw[at:end], dtype.newbyteorder("<")).astype(dtype).reshape(shape))
        at = end
    return values


def input_sets(model, options):
    """All input sets as bytes: read from the file, or made (and then written to it)."""
    size = set_bytes(model.inputs)
    if options.use_input:
        with open(options.input, "rb") as file:
            raw = file.read()
        if not raw or len(raw) % size:
            sys.exit(f"tflm.py: {options.input}: {len(raw)} bytes are no whole number of sets of {size} bytes")
        sets = [raw[at : at + size] for at in range(0, len(raw), size)]
        return sets if options.sets is None else sets[: options.sets]
    sets, word = [], 0
    for _ in range(options.sets):
        one, word = random_set(model.inputs, word, options)
        sets.append(one)
    write(options.input, b"".join(sets))
    return sets


def write(path, data):
    """Replaces the file in one step, so that a test that was interrupted leaves no half-written reference."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(data)
    os.replace(temporary, path)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--sets", type=int, help="number of input sets (with --use-input: at most this many)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in", dest="input", required=True, metavar="FILE")
    parser.add_argument("--out", dest="output", required=True, metavar="FILE")
    parser.add_argument("--use-input", action="store_true", help="read the inputs instead of making them")
    parser.add_argument("--float-range", type=float, nargs=2, default=(-1.0, 1.0), metavar=("LO", "HI"))
    parser.add_argument("--int-range", type=int, nargs=2, metavar=("LO", "HI"))
    parser.add_argument("--arena", type=int, default=MINIMUM_ARENA, help="bytes for the interpreter, at least")
    parser.add_argument("--reset", action="store_true", help="clear variable tensors before every set")
    options = parser.parse_args()
    if options.sets is not None and options.sets < 1 or options.sets is None and not options.use_input:
        parser.error("--sets must be at least 1")
    return options


def main():
    options = arguments()
    with open(options.model, "rb") as file:
        data = file.read()
    model = Model(data, options.arena)
    sets = input_sets(model, options)
    write(options.output, b"".join(model.run(split_set(one, model.inputs), options.reset) for one in sets))
    tensors = {
        name: [{"dtype": dtype.name, "shape": list(shape)} for dtype, shape in described]
        for name, described in (("inputs", model.inputs), ("outputs", model.outputs))
    }
    print(json.dumps({"sets": len(sets), **tensors}))


if __name__ == "__main__":
    main()
