"""Extra work on the CPU: an empty loop.

It uses no memory, so that the case's own calls run as without it. It is real work rather than waiting for a clock:
whatever slows the machine slows the work, too, and the factor stays constant.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from torchduet.bench.timing.clock import Work

PROBES = 9
PROBE_ITERATIONS = 20_000  # about 0.2 ms of an empty loop
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

    def fit(self, block: Callable[[Work | None], float], share: float) -> None:
        """Adjust the iterations so that it lasts for ``share`` of the time of the calls before it in a block.

        Args:
            block: makes the calls, then calls the given function if there is one, and returns the seconds of all.

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

    def _share(self, block: Callable[[Work | None], float]) -> float:
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
    return Spin(max(1, round(seconds / seconds_per_iteration())))


def seconds_per_iteration() -> float:
    """The time of one turn of an empty loop."""
    times = []
    for _ in range(PROBES):
        start = perf_counter()
        for _ in itertools.repeat(None, PROBE_ITERATIONS):
            pass
        times.append((perf_counter() - start) / PROBE_ITERATIONS)
    return median(times)
