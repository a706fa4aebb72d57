"""Extra work of a known length in a block: what a case slowed down by a known factor does beside its calls.

On the CPU an empty loop, on CUDA a kernel that waits: neither touches memory, so that the case's own calls run as they
do without it. Real work and no waiting for a clock: what slows the machine down slows it down as well, and the factor
stays what it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

PROBES = 9
PROBE_ITERATIONS = 20_000  # some 0.2 ms of an empty loop
PROBE_CYCLES = 1_000_000  # some 0.5 ms of a GPU
FITTING_SECONDS = 0.02  # each time
FEWEST_FITTED, MAX_FITTED = 3, 25  # blocks
LONG_SECONDS = 0.1  # of blocks that took this together no more are made for nothing


@dataclass
class Spin:
    """A loop that does nothing, on the CPU."""

    iterations: int

    def __call__(self) -> None:
        for _ in itertools.repeat(None, self.iterations):
            pass

    def fit(self, block: Callable[[Callable[[], None]], float], share: float) -> None:
        """Make it last for ``share`` of the time of the calls before it in a block.

        Args:
            block: makes the calls, then calls the function it is given, and returns the seconds of both.

        After other code a loop of some microseconds takes longer than when it is repeated: 1.05 times as long after
        additions of ten values, 1.2 times after products of 96×96 (2-core VM, shared Xeon). A part of that does not
        grow with the loop, so that it is fitted twice.
        """
        for _ in range(2):
            start = perf_counter()
            shares = [self._share(block)]
            while len(shares) < MAX_FITTED and (spent := perf_counter() - start) < LONG_SECONDS:
                if spent >= FITTING_SECONDS and len(shares) >= FEWEST_FITTED:
                    break
                shares.append(self._share(block))
            self.iterations = max(1, round(self.iterations * share / max(median(shares), 1e-9)))
            if perf_counter() - start >= LONG_SECONDS:
                break

    def _share(self, block: Callable[[Callable[[], None]], float]) -> float:
        """What it takes in one block, as a share of the time of the calls before it."""
        own = 0.0

        def timed() -> None:
            nonlocal own
            start = perf_counter()
            self()
            own = perf_counter() - start

        whole = block(timed)
        return own / max(whole - own, 1e-9)


def spin(seconds: float) -> Spin:
    """A loop that takes about so long by itself, and is still to be fitted to its block."""
    return Spin(max(1, round(seconds / _seconds_per_iteration())))


def kernel(device: str, seconds: float) -> Callable[[], None]:
    """A function that keeps a GPU waiting for about so long: calibrated by itself, not within a block."""
    index = torch.device(device)
    cycles = round(seconds / seconds_per_cycle(index))
    return lambda: sleep(index, cycles)


def sleep(device: torch.device, cycles: int) -> None:
    """Keep a GPU's current stream busy for so many of its clock's cycles; returns at once."""
    with torch.cuda.device(device):
        # What PyTorch's own tests of streams use; there is no public one.
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]


def _seconds_per_iteration() -> float:
    found = []
    for _ in range(PROBES):
        start = perf_counter()
        for _ in itertools.repeat(None, PROBE_ITERATIONS):
            pass
        found.append((perf_counter() - start) / PROBE_ITERATIONS)
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
