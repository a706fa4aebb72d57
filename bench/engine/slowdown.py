"""Extra work of a known length in a block: what a case slowed down by a known factor does beside its calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

PROBES = 9
PROBE_TURNS = 20_000  # some 0.2 ms of an empty loop
PROBE_CYCLES = 1_000_000  # some 0.5 ms of a GPU
FITTING_SECONDS = 0.02
FEWEST_FITTING, MOST_FITTING = 3, 25  # blocks


@dataclass
class Spin:
    """A loop that does nothing, on the CPU."""

    turns: int

    def __call__(self) -> None:
        for _ in itertools.repeat(None, self.turns):
            pass

    def fit(self, block: Callable[[Callable[[], None]], float], share: float) -> None:
        """Make it last for ``share`` of the time of what comes before it in a block.

        Args:
            block: makes that and then what it is given, and returns what both took (seconds).

        After other code the loop takes longer than when it is repeated: 1.05 times as long after additions of ten
        values, 1.2 times after products of 96×96 (2-core VM). As that is overhead in part, a short block's loop is
        fitted twice.
        """
        own: list[float] = []

        def timed() -> None:
            start = perf_counter()
            self()
            own.append(perf_counter() - start)

        for _ in range(2):
            own.clear()
            whole = [block(timed)]
            blocks = min(max(int(FITTING_SECONDS / max(whole[0], 1e-9)), FEWEST_FITTING), MOST_FITTING)
            whole += [block(timed) for _ in range(blocks - 1)]
            wanted = share * median(both - extra for both, extra in zip(whole, own, strict=True))
            self.turns = max(1, round(self.turns * wanted / max(median(own), 1e-9)))
            if blocks < MOST_FITTING:
                break


def extra_work(device: str, seconds: float) -> Callable[[], None]:
    """A function that keeps the device busy for about ``seconds``, as calibrated now.

    On the CPU a :class:`Spin`, on CUDA a kernel that waits: neither touches memory, so that the
    case's own calls run as they do without it. Real work and no waiting for a clock: what slows the
    machine down slows it down as well, and the factor stays what it was.
    """
    if device == "cpu":
        return Spin(max(1, round(seconds / _seconds_per_turn())))
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
