"""Extra work of a known length: what a slowed copy of a case does in each block beside its calls.

An empty loop on the CPU, a delay kernel on CUDA. Neither uses memory, so that the case's own calls run as without it.
It is real work rather than waiting for a clock: whatever slows the machine slows the work, too, and the factor stays
constant.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

PROBES = 9
PROBE_ITERATIONS = 20_000  # about 0.2 ms of an empty loop
PROBE_CYCLES = 1_000_000  # about 0.5 ms of a GPU
FITTING_SECONDS = 0.02  # each of the two times
MIN_FITTED, MAX_FITTED = 3, 25  # blocks
LONG_SECONDS = 0.1  # no more blocks are made once they have taken this together


@dataclass
class Spin:
    """An empty loop on the CPU."""

    iterations: int

    def __call__(self) -> None:
        for _ in itertools.repeat(None, self.iterations):
            pass

    def fit(self, block: Callable[[Callable[[], None]], float], share: float) -> None:
        """Adjust the iterations so that it lasts for ``share`` of the time of the calls before it in a block.

        Args:
            block: makes the calls, then calls the given function, and returns the seconds of both.

        A loop of some microseconds takes longer after other code than when it is repeated: 1.05 times as long after
        additions of ten values, 1.2 times after products of 96×96 (2-core VM, shared Xeon). A part of that does not
        grow with the loop; therefore it is fitted twice.
        """
        for _ in range(2):
            start = perf_counter()
            shares = [self._share(block)]
            while len(shares) < MAX_FITTED and (spent := perf_counter() - start) < LONG_SECONDS:
                if spent >= FITTING_SECONDS and len(shares) >= MIN_FITTED:
                    break
                shares.append(self._share(block))
            self.iterations = max(1, round(self.iterations * share / max(median(shares), 1e-9)))
            if perf_counter() - start >= LONG_SECONDS:
                break

    def _share(self, block: Callable[[Callable[[], None]], float]) -> float:
        """Its time in one block, as a share of the time of the calls before it."""
        own = 0.0

        def timed() -> None:
            nonlocal own
            start = perf_counter()
            self()
            own = perf_counter() - start

        total = block(timed)
        return own / max(total - own, 1e-9)


def spin(seconds: float) -> Spin:
    """A loop of about ``seconds`` by itself, which is still to be fitted to its block."""
    return Spin(max(1, round(seconds / _seconds_per_iteration())))


def kernel(device: str, seconds: float) -> Callable[[], None]:
    """A function that keeps a GPU waiting for about ``seconds``; it is calibrated alone, not within a block."""
    gpu = torch.device(device)
    cycles = round(seconds / seconds_per_cycle(gpu))
    return lambda: sleep(gpu, cycles)


def sleep(device: torch.device, cycles: int) -> None:
    """Keep a GPU's current stream busy for ``cycles`` of its clock; returns at once."""
    with torch.cuda.device(device):
        # PyTorch's own tests of streams use this; there is no public function.
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]


def _seconds_per_iteration() -> float:
    times = []
    for _ in range(PROBES):
        start = perf_counter()
        for _ in itertools.repeat(None, PROBE_ITERATIONS):
            pass
        times.append((perf_counter() - start) / PROBE_ITERATIONS)
    return median(times)


def seconds_per_cycle(device: torch.device) -> float:
    """Seconds of one cycle of :func:`sleep` on a GPU, measured now."""
    times: list[float] = []
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        for _ in range(PROBES):
            start.record()
            sleep(device, PROBE_CYCLES)
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1e-3 / PROBE_CYCLES)
    return median(times)
