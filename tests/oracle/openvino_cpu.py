#!/usr/bin/env python3
"""Runs OpenVINO IR files on the CPU plugin: the reference for what tinycc writes.

    openvino_cpu.py < jobs.json > results.json

jobs.json is a list of {"xml": PATH, "inputs": [NPY, ...], "outputs": [NPY, ...]}; inputs are in the file's order, the
outputs are written there as float32 (or their own integer type). The answer is a list of {"ok": true, "inputs": [NAME, ...],
"outputs": [NAME, ...], "types": [TYPE, ...]} or {"ok": false, "error": TEXT}. The plugin is asked for float32 arithmetic:
by itself it takes bfloat16 where the processor has it. A job may ask for what the plugin chooses with "hint": null.
"""

import json
import sys

import numpy as np
import openvino as ov


def run(core, job):
    config = {"INFERENCE_PRECISION_HINT": job.get("hint", "f32")}
    compiled = core.compile_model(core.read_model(job["xml"]), "CPU", {k: v for k, v in config.items() if v})
    request = compiled.create_infer_request()
    feeds = []
    for port, path in zip(compiled.inputs, job["inputs"], strict=True):
        feeds.append(np.load(path).astype(port.element_type.to_dtype()).reshape(port.shape))
    request.infer(feeds)
    for index, path in enumerate(job["outputs"]):
        data = request.get_output_tensor(index).data
        np.save(path, data.astype(np.float32) if data.dtype.kind == "f" else data)
    return {
        "ok": True,
        "inputs": [port.get_any_name() for port in compiled.inputs],
        "outputs": [port.get_any_name() for port in compiled.outputs],
        "types": [port.element_type.get_type_name() for port in compiled.outputs],
    }


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
