#!/usr/bin/env python3
"""Runs OpenVINO IR files on the CPU plugin: the reference for what tinycc writes.

    openvino_cpu.py < jobs.json > results.json

jobs.json is a list of {"xml": PATH, "inputs": [NPY, ...], "outputs": [NPY, ...]}; inputs are in the file's order, axis 0
counts samples, and the outputs are written there likewise, as float32 (or their own integer type). The answer is a list of
{"ok": true, "outputs": [[NAME, ...], ...], "types": [TYPE, ...]} (a tensor may have several names; types of inputs, then of
outputs) or {"ok": false, "error": TEXT}.

The plugin is asked for float32 arithmetic: by itself it takes bfloat16 where the processor has it, and it quantizes the
activations in front of int8 weights.
"""

import json
import sys

import numpy as np
import openvino as ov


CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


def run(core, job):
    compiled = core.compile_model(core.read_model(job["xml"]), "CPU", CONFIG)
    request = compiled.create_infer_request()
    feeds = [np.load(path) for path in job["inputs"]]
    samples = len(feeds[0]) if feeds else 1
    results = [[] for _ in job["outputs"]]
    for sample in range(samples):
        ports = zip(compiled.inputs, feeds, strict=True)
        request.infer([f[sample].astype(p.element_type.to_dtype()).reshape(p.shape) for p, f in ports])
        for index, result in enumerate(results):
            result.append(request.get_output_tensor(index).data.copy())
    for path, result in zip(job["outputs"], results, strict=True):
        data = np.stack(result)
        np.save(path, data.astype(np.float32) if data.dtype.kind == "f" else data)
    types = [port.element_type.to_dtype().name for port in [*compiled.inputs, *compiled.outputs]]
    return {"ok": True, "outputs": [sorted(port.get_names()) for port in compiled.outputs], "types": types}


def main():
    core = ov.Core()
    answers = []
    for job in json.load(sys.stdin):
        try:
            answers.append(run(core, job))
        except Exception as error:  # whatever the plugin says is the answer
            answers.append({"ok": False, "error": " ".join(str(error).split())[-400:]})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
