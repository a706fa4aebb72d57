"""The machine during a run: pilots, ceilings, GPUs, noise, and how the run's time passed."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Positive
from torchduet.bench.record.schema.words import Grade


class PilotRecord(TypedDict):
    """Three fixed little workloads, timed between families: how fast the machine was just then."""

    at: float  # seconds since the run began
    before: str  # the family measured next, "" at the end
    seconds: dict[str, Positive]  # "arithmetic", "memory", "calls" → per unit, the median of its blocks


class CeilingRecord(TypedDict):
    """The best that this machine was seen to do, on one device; measured at the run's start and end."""

    device: str
    flops_per_second: dict[str, Positive]  # precision → matrix products
    bytes_per_second: dict[str, Positive]  # working set in bytes → copying, read plus written
    operator_seconds: Positive  # the cheapest operator on one value


class GpuRecord(TypedDict):
    """One GPU from the run's start to its end, as NVML sees it; ``samples[name]`` goes with ``at``."""

    device: str  # "cuda:0"
    facts: dict[str, float | int | str]  # name, uuid, driver, power_limit_w, most_sm_mhz, ecc, …
    slice: bool  # a part of a GPU (MIG): power and clocks are the whole's
    update_seconds: dict[str, float]  # "power", "energy" → how often the counter takes a new value, measured
    missing: dict[str, str]  # field → why it cannot be read
    at: list[float]  # seconds since the run began
    samples: dict[str, list[float | None]]  # power_w, sm_mhz, memory_mhz, temperature_c, utilisation, …
    lost: NotRequired[str]  # why nothing can be read, or could not from then on


class NoiseRecord(TypedDict):
    """How noisy the machine was while this was timed, and why."""

    grade: Grade
    causes: list[str]  # in words, with figures; the worst first
    remedy: NotRequired[str]  # what would help; of a run that was not quiet
    figures: NotRequired[dict[str, float]]  # what the grade follows from; what is not known here is missing


class PassingRecord(TypedDict):
    """How a run's time did not pass as it should; seconds. No duration in the file is taken from the wall clock."""

    stopped: float  # pytest itself did not run, as after Ctrl-Z
    suspended: float  # the machine was suspended
    clock_set: list[float]  # by how much the wall clock was set, forward above 0
