"""Extra work on a GPU: a delay kernel, which keeps a stream busy for a number of the GPU's cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

from torchduet.bench.timing.clock import Work

PROBES = 9
PROBE_CYCLES = 1_000_000  # about 0.5 ms of a GPU
FITTINGS = 2
FITTING_SECONDS = 0.02  # of each
MIN_FITTED, MAX_FITTED = 5, 51  # pairs of blocks


@dataclass
class Delay:
    """A delay kernel as extra work. It uses no memory, and the lower the GPU's clock, the longer it takes."""

    device: torch.device
    cycles: int
    cycle_seconds: float

    def __call__(self) -> None:
        sleep(self.device, self.cycles)

    def fit(self, block: Callable[[Work | None], float], share: float) -> None:
        """Adjust the cycles so that a block with it takes ``1 + share`` times as long as one without it.

        Blocks with and without it alternate: what it adds to a block includes its launch and the pause before a kernel,
        some microseconds, which its own cycles do not.

        Args:
            block: makes the calls, then calls the given function if there is one, and returns the seconds of all.
        """
        for _ in range(FITTINGS):
            plain, added = self._times(block)
            missing = share * plain - added
            self.cycles = max(1, self.cycles + round(missing / self.cycle_seconds))

    def _times(self, block: Callable[[Work | None], float]) -> tuple[float, float]:
        """Seconds of a block without it, and what it adds: medians over blocks in turns."""
        start = perf_counter()
        plain: list[float] = []
        added: list[float] = []
        while len(plain) < MIN_FITTED or (perf_counter() - start < FITTING_SECONDS and len(plain) < MAX_FITTED):
            if len(plain) % 2:
                slowed, own = block(self), block(None)
            else:
                own, slowed = block(None), block(self)
            plain.append(own)
            added.append(slowed - own)
        return median(plain), median(added)


def delay(device: str, seconds: float) -> Delay:
    """A delay kernel of about ``seconds`` by itself, which is still to be fitted to its block."""
    gpu = torch.device(device)
    cycle_seconds = seconds_per_cycle(gpu)
    return Delay(gpu, max(1, round(seconds / cycle_seconds)), cycle_seconds)


def sleep(device: torch.device, cycles: int) -> None:
    """Keep a GPU's current stream busy for ``cycles`` of its clock; returns at once."""
    with torch.cuda.device(device):
        # PyTorch's own tests of streams use this; there is no public function.
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]


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
