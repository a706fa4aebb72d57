"""Runs as if they were made on other machines: recorded fixtures with other facts, and times by a factor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from tests.reports.remeasured import begun
from tests.reports.sample import make_run
from tests.reports.with_gpu import make_gpu_run
from torchduet.bench.record.schema import KEY
from torchduet.reports.read.run_file import Run, from_json

SQUARE = "matmul.square[n=512] cpu eager fp32"
WORK = "matmul.square[n=512] eager fp32"
EPYC, XEON, H200 = "AMD EPYC 7763", "Intel(R) Xeon(R) CPU @ 2.20GHz", "NVIDIA H200"


def on(
    document: Any,
    *,
    factor: float = 1.0,
    factors: Mapping[str, float] | None = None,
    joules: Callable[[Any], float] | None = None,
    started: str = "",
    **facts: Any,
) -> Any:
    """The document as of a machine with these facts.

    Args:
        factor: all times are multiplied by this.
        factors: case id → its time is multiplied by this, too.
        joules: gives the energy of a call from its record.
    """
    made = json.loads(json.dumps(document))
    made[KEY]["machine"] |= facts
    made[KEY]["started"] = started or begun(crc32(repr(sorted(facts.items())).encode()) % 10_000)
    for record in records(made):
        timing, by = record["timing"], factor * (factors or {}).get(record["case"]["id"], 1.0)
        timing["blocks"] = [[seconds * by for seconds in rounds] for rounds in timing["blocks"]]
        for key in ("seconds", "low", "high"):
            timing[key] = timing[key] and timing[key] * by
        if joules:
            record["energy"] = {"joules": joules(record), "source": "rapl"}
    return made


def records(document: Any) -> list[Any]:
    """The records of a document, to be changed."""
    return [one["extra_info"][KEY] for one in document["benchmarks"]]


def record_of(document: Any, case: str) -> Any:
    """The record of a case by its id."""
    return next(record for record in records(document) if record["case"]["id"] == case)


def run_on(document: Any, name: str = "run.json", **given: Any) -> Run:
    """The same as a loaded run."""
    return from_json(on(document, **given), name)


def epyc(**given: Any) -> Run:
    """A machine without a GPU."""
    return run_on(make_run(), "epyc.json", **{"cpu": EPYC, **given})


def xeon(**given: Any) -> Run:
    """Another one, on which all takes 1.3 times as long."""
    return run_on(make_run(), "xeon.json", **{"cpu": XEON, "factor": 1.3, **given})


def h200(**given: Any) -> Run:
    """A machine with a GPU: three cases, on its CPU and on the GPU."""
    return run_on(make_gpu_run(), "h200.json", **{"cpu": EPYC, "gpu": H200, "gpus": 1, **given})


def disturbed(cpu: str, factor: float, *, wide: float, waits: bool = True) -> Run:
    """A run on a loaded machine, whose times and joules may be off by a factor of ``wide``."""
    made = on(make_run(), cpu=cpu, factor=factor, joules=lambda record: 100 * record["timing"]["seconds"])
    for record in records(made):
        timing = record["timing"]
        timing |= {"low": timing["seconds"] / wide, "high": timing["seconds"] * wide}
        record["notes"] = ["no verdict: more threads than free cores"] if waits else []
    made[KEY]["noise"] = {"grade": "disturbed", "causes": []}
    return from_json(made)
