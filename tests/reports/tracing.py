"""Made-up traces, in the format that torch.profiler writes; times in microseconds."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from torchduet.bench.record.schema import PROFILED_CALL


def span(name: str, start: float, lasted: float, kind: str = "cpu_op", thread: int = 1, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": kind, "name": name, "pid": 7, "tid": thread, "ts": start, "dur": lasted, "args": args}


def call(start: float, lasted: float) -> dict[str, Any]:
    return span(PROFILED_CALL, start, lasted, "user_annotation")


def change(at: float, size: int, address: int, device: int = 0) -> dict[str, Any]:
    args = {"Bytes": size, "Addr": address, "Device Type": device, "Total Allocated": 0}
    return {"ph": "i", "cat": "cpu_instant_event", "name": "[memory]", "pid": 7, "tid": 1, "ts": at, "args": args}


def step(start: float) -> list[dict[str, Any]]:
    """A training step of 100 µs: 10 of Python, a product of 40 that holds 20 of views, 30 of optimizer, 20 backward."""
    return [
        call(start, 100),
        span("aten::linear", start + 5, 40, **{"Input Dims": [[100, 784], [784, 100], []]}),
        span("aten::t", start + 6, 10),
        span("aten::transpose", start + 7, 8),
        span("aten::addmm", start + 20, 20, **{"Input Dims": [[100, 784], [784, 100]]}),
        span("autograd::engine::evaluate_function: AddmmBackward0", start + 45, 20),
        span("aten::mm", start + 50, 10),
        span("Optimizer.step#Adam.step", start + 65, 30, "user_annotation"),
        span("aten::addcdiv_", start + 70, 10),
        change(start + 21, 4000, 1),
        change(start + 51, 8000, 2),
        change(start + 60, -4000, 1),
        change(start + 75, -8000, 2),
        change(start + 80, -1000, 9),
    ]


def document(*events: dict[str, Any]) -> dict[str, Any]:
    return {"schemaVersion": 1, "traceEvents": list(events)}


def write(path: Path, *events: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(document(*events)).encode()))
    return path


def steps(number: int) -> list[dict[str, Any]]:
    return [event for place in range(number) for event in step(1000.0 * place)]
