#!/usr/bin/env python3
"""Runs @NAME@ with OpenVINO on one or more devices and measures them.

    run.py                                  all Neural Compute Sticks there are, else the CPU
    run.py --devices CPU,MYRIAD             one after the other, side by side
    run.py --devices AUTO MULTI:MYRIAD.1.2-ma2480,CPU --inputs x.npy --outputs results

MYRIAD stands for all sticks: each one alone, then all together through MULTI. Sticks need OpenVINO 2022.1 to 2022.3 with the
MYRIAD plugin (archives, not pip); everything else runs with any release from 2022.1 on. Per device: median and 95th
percentile of the latency, frames per second, and how far its outputs are from those of the first device. --json, --csv and
--plot save the table. Several requests are in flight all the time, four per stick, or four, unless --requests says otherwise: a
stick that waits for its host is an idle stick. A device that fails has a row that says why, the others are measured all the same,
and the exit code is 1.
"""

import argparse
import csv
import json
import sys
import time
from pathlib import Path

import numpy as np

try:
    import openvino as ov

    ov.Core
except AttributeError:  # 2022
    import openvino.runtime as ov

NAME = "@NAME@"
COLUMNS = ["device", "requests", "frames", "median_ms", "p95_ms", "fps", "difference", "error"]


def expand(wanted, available):
    """Device strings to run, in order: `MYRIAD` becomes each stick there is and then all of them."""
    devices = []
    sticks = sorted(d for d in available if d.split(".")[0] == "MYRIAD")
    for device in wanted:
        if device != "MYRIAD" or not sticks:
            devices.append(device)
        else:
            devices += sticks
            if len(sticks) > 1:
                devices.append("MULTI:" + ",".join(sticks))
    return devices


def configuration(core, device):
    """float32 where the plugin would otherwise take bfloat16, or quantize in front of int8 weights."""
    wanted = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    members = device.split(":")[-1].split(",") if ":" in device else [device]
    if members != ["CPU"] or device.startswith("MULTI"):
        return {}
    supported = core.get_property(device, "SUPPORTED_PROPERTIES")
    return {key: value for key, value in wanted.items() if key in supported}


def compile_for(core, model, device, exact):
    """The compiled model. MULTI and AUTO take the CPU's configuration from the CPU."""
    if exact and ("CPU" in device or device.startswith("AUTO")):
        try:
            core.set_property("CPU", configuration(core, "CPU"))
        except (RuntimeError, TypeError):
            pass  # a release without these properties computes in float32 anyway
    return core.compile_model(model, device)


def random_inputs(model, seed):
    generator = np.random.default_rng(seed)
    feeds = []
    for port in model.inputs:
        dtype, shape = port.element_type.to_dtype(), list(port.shape)
        if np.issubdtype(dtype, np.floating):
            feeds.append(generator.random(shape, dtype=np.float32).astype(dtype))
        else:
            feeds.append(generator.integers(0, 256 if dtype == np.uint8 else 2, shape).astype(dtype))
    return feeds


def given_inputs(model, paths):
    if len(paths) != len(model.inputs):
        sys.exit(f"run.py: {len(paths)} inputs given, the model has {len(model.inputs)}")
    return [given_input(port, path) for port, path in zip(model.inputs, paths)]


def given_input(port, path):
    try:
        array = np.load(path)
    except (OSError, ValueError) as error:
        sys.exit(f"run.py: {path} is no .npy file of numbers: {error}")
    shape, dtype = list(port.shape), port.element_type.to_dtype()
    # Extents of 1 may be left out or added, nothing else: in another order the numbers mean something else.
    if [n for n in array.shape if n != 1] != [n for n in shape if n != 1]:
        sys.exit(f"run.py: {path} has shape {list(array.shape)}, the input \"{port.get_any_name()}\" has {shape}")
    with np.errstate(invalid="ignore"):
        values = array.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(values, array):
        sys.exit(f"run.py: {path} holds values that the input \"{port.get_any_name()}\" of {dtype} cannot have")
    return values.reshape(shape)


def measure(compiled, feeds, requests, frames):
    """Latencies in milliseconds, the seconds for all, and the outputs.

    No callbacks: a plugin's thread that is still on its way out of Python when MULTI goes away stops the program.
    """
    pool = [compiled.create_infer_request() for _ in range(requests)]
    for request in pool:
        request.infer(feeds)  # the first run allocates
    latencies, running = [], []
    begin = time.perf_counter()
    for _ in range(frames):
        request = finished(running, latencies) if len(running) == requests else pool[len(running)]
        request.start_async()  # the inputs are still there
        running.append(request)
    while running:
        finished(running, latencies)
    total = time.perf_counter() - begin
    outputs = [pool[0].get_output_tensor(i).data.copy() for i in range(len(compiled.outputs))]
    return latencies, total, outputs


def finished(running, latencies):
    """Takes a request that is done out of the list: any if there is one, else waits for the oldest."""
    index = next((i for i, request in enumerate(running) if request.wait_for(0)), 0)
    request = running.pop(index)
    request.wait()
    latencies.append(request.latency)
    return request


def difference(outputs, reference):
    """Largest absolute difference relative to the largest reference value."""
    worst = 0.0
    for got, want in zip(outputs, reference):
        apart = np.abs(got.astype(np.float64) - want.astype(np.float64)).max(initial=0.0)
        worst = max(worst, apart / max(np.abs(want.astype(np.float64)).max(initial=0.0), 1e-30))
    return worst


def run(core, model, device, feeds, options, reference):
    if device == "MYRIAD":
        raise RuntimeError(f"there is no stick; the devices are {', '.join(core.available_devices)}")
    compiled = compile_for(core, model, device, not options.fast_math)
    sticks = device.count("MYRIAD")
    requests = options.requests or 4 * max(1, sticks)
    frames = max(options.frames, requests)
    latencies, total, outputs = measure(compiled, feeds, requests, frames)
    row = {
        "device": device,
        "requests": requests,
        "frames": frames,
        "median_ms": float(np.median(latencies)),
        "p95_ms": float(np.percentile(latencies, 95)),
        "fps": frames / total,
        "difference": difference(outputs, reference or outputs),
        "error": None,
    }
    return row, outputs


def failed(device, error):
    """The row of a device that did not run: what the plugin says without the places in its sources."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith("Exception from"))
    return {**dict.fromkeys(COLUMNS), "device": device, "error": text or type(error).__name__}


def show(rows):
    width = max(len(row["device"]) for row in rows + [{"device": "device"}])
    print(f"{'device':<{width}}  requests  frames  median ms   p95 ms  frames/s  difference")
    for row in rows:
        if row["error"]:
            print(f"{row['device']:<{width}}  failed: {row['error']}")
            continue
        print(
            f"{row['device']:<{width}}  {row['requests']:8}  {row['frames']:6}  {row['median_ms']:9.3f}  {row['p95_ms']:7.3f}"
            f"  {row['fps']:8.1f}  {row['difference']:10.1e}"
        )


def plot(rows, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [row["device"] for row in rows]
    places = np.arange(len(rows))
    figure, (latency, rate) = pyplot.subplots(1, 2, figsize=(10, 2.0 + 0.5 * len(rows)), layout="constrained")
    latency.barh(places - 0.2, [row["median_ms"] for row in rows], 0.4, label="median")
    latency.barh(places + 0.2, [row["p95_ms"] for row in rows], 0.4, label="95th percentile")
    latency.set(title="Latency", xlabel="ms", yticks=places, yticklabels=names)
    bars = rate.barh(places, [row["fps"] for row in rows], 0.5, color="tab:green")
    rate.bar_label(bars, fmt="%.0f", padding=3)
    rate.set(title="Throughput", xlabel="frames per second", yticks=places, yticklabels=names)
    rate.margins(x=0.15)
    for axes in (latency, rate):
        axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)
    figure.suptitle(NAME)
    figure.savefig(path, dpi=120)


def at_least(least):
    """A type for argparse."""

    def number(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = Path(__file__).resolve().parent.parent / f"{NAME}.xml"
    parser.add_argument("--model", type=Path, default=model, help="the network (default: %(default)s)")
    parser.add_argument("--devices", nargs="+", help="for example CPU,MYRIAD or CPU MULTI:MYRIAD.1.2-ma2480,CPU")
    parser.add_argument("--requests", type=at_least(1), help="requests in flight (default: 4 per stick, else 4)")
    parser.add_argument("--frames", type=at_least(1), default=200, help="inferences to measure per device (default: %(default)s)")
    parser.add_argument("--inputs", nargs="+", type=Path, help=".npy per model input, in order; random numbers without")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the random inputs (default: %(default)s)")
    parser.add_argument("--outputs", type=Path, help="folder for the outputs of the first device that runs, as .npy")
    parser.add_argument("--fast-math", action="store_true", help="let the CPU take bfloat16 and quantize activations")
    parser.add_argument("--json", type=Path, help="file for the table as JSON")
    parser.add_argument("--csv", type=Path, help="file for the table as CSV")
    parser.add_argument("--plot", type=Path, help="picture of the table; needs matplotlib")
    return parser.parse_args()


def main():
    options = arguments()
    core = ov.Core()
    available = list(core.available_devices)
    if options.devices:  # the comma is MULTI's own
        wanted = [d for text in options.devices for d in ([text] if ":" in text else text.split(",")) if d]
    else:
        wanted = ["MYRIAD" if any(d.startswith("MYRIAD") for d in available) else "CPU"]
    try:
        model = core.read_model(str(options.model))
    except Exception as error:
        sys.exit(f"run.py: {options.model} cannot be read: {failed('', error)['error']}")
    feeds = given_inputs(model, options.inputs) if options.inputs else random_inputs(model, options.seed)
    rows, reference = [], None
    for device in expand(wanted, available):
        try:
            row, outputs = run(core, model, device, feeds, options, reference)
            reference = reference or outputs
        except Exception as error:  # whatever the plugin says; the other devices run all the same
            row = failed(device, error)
            print(f"run.py: {device}: {row['error']}", file=sys.stderr)
        rows.append(row)
    show(rows)
    save(rows, reference, options)
    return 1 if any(row["error"] for row in rows) else 0


def save(rows, reference, options):
    if options.outputs and reference:
        options.outputs.mkdir(parents=True, exist_ok=True)
        for index, output in enumerate(reference):
            np.save(options.outputs / f"output{index}.npy", output)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    measured = [row for row in rows if not row["error"]]
    if options.plot and measured:
        plot(measured, options.plot)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"run.py: {error}")
