"""Extra work of a known length in a block: what a case slowed down by a known factor does beside its calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch

PROBES = 9
PROBE_TURNS = 20_000  # some 0.2 ms of an empty loop
PROBE_CYCLES = 1_000_000  # some 0.5 ms of a GPU


def extra_work(device: str, seconds: float) -> Callable[[], None]:
    """A function that keeps the device busy for about ``seconds``, as calibrated now.

    On the CPU a loop that does nothing, on CUDA a kernel that waits: neither touches memory, so that the
    case's own calls run as they do without it. Real work and no waiting for a clock: what slows the
    machine down slows it down as well, and the factor stays what it was.
    """
    if device == "cpu":
        turns = round(seconds / _seconds_per_turn())

        def spin() -> None:
            for _ in itertools.repeat(None, turns):
                pass

        return spin
    index = torch.device(device)
    cycles = round(seconds / seconds_per_cycle(index))
    return lambda: sleep(index, cycles)


def sleep(device: torch.device, cycles: int) -> None:
    """Keep a GPU's current stream busy for so many of its clock's cycles; returns at once."""
    with torch.cuda.device(device):
        # What PyTorch's own tests of streams use; there is no public one.
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]


def _seconds_per_turn() -> float:
    found = []
    for _ in range(PROBES):
        start = perf_counter()
        for _ in itertools.repeat(None, PROBE_TURNS):
            pass
        found.append((perf_counter() - start) / PROBE_TURNS)
    return median(found)


def seconds_per_cycle(device: torch.device) -> float:
    """What one of :func:`sleep`'s cycles takes on a GPU just now."""
    found: list[float] = []
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        for _ in range(PROBES):
            start.record()
            sleep(device, PROBE_CYCLES)
            end.record()
            end.synchronize()
            found.append(start.elapsed_time(end) * 1e-3 / PROBE_CYCLES)
    return median(found)
