"""The machine during a run: pilots, ceilings, GPUs, noise, suspensions and clock changes."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Positive
from torchduet.bench.record.schema.words import Grade


class PilotRecord(TypedDict):
    """Three small fixed workloads, and three on each GPU, timed between families: the machine's present speed."""

    at: float  # seconds since the run began
    before: str  # the family measured next, "" at the end
    seconds: dict[str, Positive]  # "arithmetic", "memory", "calls" → per unit, the median of its blocks; on a GPU
    # "cuda:0 arithmetic", "cuda:0 memory", "cuda:0 launch"
    busy: NotRequired[dict[str, Amount]]  # "cuda:0" → share of the time in which others used it, before these pilots


class CeilingRecord(TypedDict):
    """The best performance measured on one device, at the run's start and end."""

    device: str
    flops_per_second: dict[str, Positive]  # precision → matrix products
    bytes_per_second: dict[str, Positive]  # working set in bytes → copying, read plus written
    operator_seconds: Positive  # the cheapest operator on one value


class GpuRecord(TypedDict):
    """One GPU from the run's start to its end, as NVML sees it; ``samples[name]`` goes with ``at``."""

    device: str  # "cuda:0"
    facts: dict[str, float | int | str]  # name, uuid, driver, power_limit_w, most_sm_mhz, ecc, …
    slice: bool  # a part of a GPU (MIG): power and clocks are those of the full GPU
    update_seconds: dict[str, float]  # "power", "energy" → how often the counter takes a new value, measured
    missing: dict[str, str]  # field → why it cannot be read
    at: list[float]  # seconds since the run began
    samples: dict[str, list[float | None]]  # power_w, sm_mhz, memory_mhz, temperature_c, utilisation, …
    lost: NotRequired[str]  # why nothing could be read, or no longer


class NoiseRecord(TypedDict):
    """The machine's noise during the timing, with its causes."""

    grade: Grade
    causes: list[str]  # in words, with figures; the worst first
    remedy: NotRequired[str]  # what would help; in a run that was not quiet
    figures: NotRequired[dict[str, float]]  # the basis of the grade; figures that are not known are left out


class PassingRecord(TypedDict):
    """Suspensions and clock changes during a run, in seconds. No duration in the file is taken from the wall clock."""

    stopped: float  # pytest itself was suspended, as by Ctrl-Z
    suspended: float  # the machine was suspended
    clock_set: list[float]  # by how much the wall clock was set each time; positive: forward
