"""A run on a machine with a GPU, as ``bench`` would write it; nothing in it was measured."""

from __future__ import annotations

import math
import random
from typing import Any

from tests.reports.made_once import made_once
from tests.reports.sample import benchmark_of, document_of, speedup_record
from torchduet.bench.record.schema import KEY
from torchduet.bench.record.statistics import seconds_per_call, speedup

CPU_SECONDS = {256: 2e-4, 1024: 9e-3, 4096: 0.5}
CUDA_SECONDS = {256: 4e-4, 1024: 1e-4, 4096: 3e-3}


def gpu_record(number: int = 400, **changes: Any) -> dict[str, Any]:
    """A GPU of 700 W that is held back by its power limit for a while."""
    busy = [math.sin(place / 30) > 0 for place in range(number)]
    return {
        "device": "cuda:0",
        "facts": {
            **{"name": "NVIDIA H200", "uuid": "GPU-aaaa", "driver": "580.65.06", "power_limit_w": 700.0},
            **{"most_sm_mhz": 1980, "memory_bytes": 2**37, "ecc": "on", "mig": "off", "persistence": "on"},
        },
        "slice": False,
        "update_seconds": {"power": 0.1, "energy": 0.02},
        "missing": {"pcie_width": "Not Supported"},
        "at": [0.1 * place for place in range(number)],
        "samples": {
            "power_w": [690.0 if one else 120.0 for one in busy],
            "sm_mhz": [1650.0 if one else 1980.0 for one in busy],
            "temperature_c": [None, *(50.0 + place / 40 for place in range(1, number))],
            "reasons": [4.0 if one and place > number / 2 else 1.0 for place, one in enumerate(busy)],
        },
    } | changes


@made_once
def make_gpu_run(**changes: Any) -> Any:
    """Square products of three sizes on CPU and GPU, of which the GPU wins from the second on; with energies."""
    rng = random.Random(1)
    benchmarks = []
    for size in CPU_SECONDS:
        blocks = {
            device: [[seconds * math.exp(rng.gauss(0, 0.002)) for _ in range(9)] for _ in range(12)]
            for device, seconds in (("cpu", CPU_SECONDS[size]), ("cuda", CUDA_SECONDS[size]))
        }
        cases = {
            device: {
                **{"id": f"matmul.square[n={size}] {device} eager fp32", "family": f"matmul.square[n={size}]"},
                **{"suite": "matmul", "workload": "square", "about": "A @ B", "size": {"n": size}},
                **{"size_label": f"n={size}", "implementation": "square", "device": device, "mode": "eager"},
                **{"precision": "fp32", "reference": device == "cpu"},
            }
            for device in blocks
        }
        found = speedup(blocks["cpu"], blocks["cuda"])
        held = [speedup_record(knob, cases["cuda"], cases["cpu"], found) for knob in ("reference", "device")]
        cost = {"flops": 2.0 * size**3, "samples": 1}
        benchmarks.append(benchmark_of(cases["cpu"], blocks["cpu"], [], cost, rng))
        made = benchmark_of(cases["cuda"], blocks["cuda"], held, cost, rng)
        record = made["extra_info"][KEY]
        seconds = seconds_per_call(blocks["cuda"]).point
        record["timing"] |= {
            "clock": "cuda_events",
            "host_seconds": 3.9e-4 if size == 256 else 2e-5,
            "wall_seconds": seconds,
            "device_seconds": 5e-6 if size == 256 else 0.99 * seconds,
            "launch_bound": size == 256,
        }
        record |= {
            "peak_bytes": 4 * size**2,
            "reserved_bytes": 2**21,
            "context_bytes": 5 * 2**27,
            "energy": {"joules": 0.5, "seconds": 5.1, "changes": 51, "source": "nvml"}
            if size == 4096
            else {"why": "not measurable: its counter changed 3 times in 6 s, and 10 are needed"},
        }
        benchmarks.append(made)
    document = document_of(benchmarks)
    document[KEY]["gpus"] = [gpu_record()]
    document[KEY] |= changes
    return document


# case by mode: seconds per call as called, and of the device's work; size → mode → both
AS_CALLED_AND_KERNELS = {
    256: {"eager": (30e-6, 10e-6), "compile": (30e-6, 5.3e-6), "graph": (10e-6, 9.98e-6)},
    1024: {"eager": (60e-6, 40e-6), "compile": (40e-6, 21e-6), "graph": (41e-6, 40e-6)},
    4096: {"eager": (3e-3, 2.98e-3), "compile": (2e-3, 1.98e-3), "graph": (3e-3, 2.99e-3)},
}


def make_kernels_run() -> Any:
    """A chain of operators on a GPU in three modes: launching hides what the compiler gains, and is what a graph saves.

    The largest is slower without pause: the GPU reaches its power limit.
    """
    rng = random.Random(2)
    benchmarks = []
    for size, by_mode in AS_CALLED_AND_KERNELS.items():
        times = {
            mode: [[[s * math.exp(rng.gauss(0, 0.002)) for _ in range(9)] for _ in range(12)] for s in both]
            for mode, both in by_mode.items()
        }
        cases = {
            mode: {
                **{"id": f"tensor_ops.chain[n={size}] cuda {mode} fp32", "family": f"tensor_ops.chain[n={size}]"},
                **{"suite": "tensor_ops", "workload": "chain", "about": "gelu(x) * x + x", "size": {"n": size}},
                **{"size_label": f"n={size}", "implementation": "chain", "device": "cuda", "mode": mode},
                **{"precision": "fp32", "reference": mode == "eager"},
            }
            for mode in by_mode
        }
        for mode, (blocks, device_blocks) in times.items():
            held = []
            for knob in ("reference", "mode") if mode != "eager" else ():
                record = speedup_record(knob, cases[mode], cases["eager"], speedup(times["eager"][0], blocks))
                of_device = speedup(times["eager"][1], device_blocks)
                device = speedup_record(knob, cases[mode], cases["eager"], of_device)
                for name in ("knob", "value", "baseline", "against"):
                    del device[name]
                device |= {"visit_ratios": [of_device.ratio], "visit_errors": [0.001]}
                held.append(record | {"device_speedup": device})
            made = benchmark_of(cases[mode], blocks, held, {}, rng)
            record = made["extra_info"][KEY]
            record["timing"] |= {
                "clock": "cuda_events",
                "host_seconds": 0.95 * by_mode[mode][0] if size == 256 else 2e-5,
                "wall_seconds": by_mode[mode][0],
                "device_seconds": by_mode[mode][1],
                "device_blocks": device_blocks,
                "launch_bound": size == 256,
            }
            hot = size == 4096
            record["sustained"] = {
                "seconds": by_mode[mode][0] * (1.07 if hot else 1.001),
                "window_seconds": 1.03,
                "watts": 695.0 if hot else 210.0,
                "sm_mhz": 1755.0 if hot else 1980.0,
                "first_sm_mhz": 1980.0,
            }
            benchmarks.append(made)
    document = document_of(benchmarks)
    document[KEY]["gpus"] = [gpu_record()]
    return document
