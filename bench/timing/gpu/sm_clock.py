"""Measures a GPU's SM clock right after timed blocks, by a kernel that waits for a known number of its cycles.

The kernel is PyTorch's own delay kernel, which compares ``clock64()``, the SM's counter of cycles, with a number. Time
between two CUDA events is in a unit of its own, so cycles over seconds is the clock at this moment. NVML's reading, in
contrast, comes every few tenths of a second, from whatever the GPU did then. nvbench reads the clock in the same place.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

import torch

from torchduet.bench.timing.slowed.delay import sleep

# Cycles of the kernels of a sample: about 30, 15 and 65 µs. The first keeps the GPU busy until all is launched. The
# second and the third are timed: their difference has neither what an event nor what the start of a kernel takes. An
# event is exact to about 0.5 µs (CUDA Runtime API, cudaEventElapsedTime), so a sample is exact to 2 %, without a bias.
LEAD, SHORT, LONG = 50_000, 20_000, 110_000
MIN_SECONDS = 0.01  # between two samples: a sample takes 0.11 ms, 1 % of the time
MAX_PENDING = 8  # samples that have not been read; the device is then far behind


@runtime_checkable
class ReadsSmClock(Protocol):
    """A clock that measures the GPU's SM clock, too."""

    sm_clock: SmClock


class SmClock:
    """Takes samples of a GPU's SM clock, without a wait for the device.

    Args:
        device: a CUDA device.
        now: seconds of a clock.
        enabled: whether the delay kernel counts SM cycles here: PyTorch for ROCm may count another clock.

    Attributes:
        late: samples that were launched too slowly, which are left out: the GPU was idle within them.
    """

    def __init__(
        self,
        device: torch.device,
        now: Callable[[], float] = perf_counter,
        enabled: bool | None = None,
    ) -> None:
        self.late = 0
        self._device, self._now = device, now
        self._enabled = torch.version.hip is None if enabled is None else enabled
        self._last = -MIN_SECONDS
        self._mhz: list[float] = []
        self._free: list[tuple[Any, Any, Any]] = []
        self._pending: list[tuple[tuple[Any, Any, Any], float]] = []  # events, seconds that launching took

    def after_block(self) -> None:
        """Launch the kernels of a sample behind what was timed; nothing if the last sample was a moment ago.

        Called when all figures of a block have been taken. It returns before the kernels have run.
        """
        began = self._now()
        if not self._enabled or began - self._last < MIN_SECONDS:
            return
        self._last = began
        self._collect()
        if len(self._pending) >= MAX_PENDING:
            return
        events = self._free.pop() if self._free else self._events()
        stream = torch.cuda.current_stream(self._device)
        began = self._now()  # creating events takes time
        sleep(self._device, LEAD)
        events[0].record(stream)
        sleep(self._device, SHORT)
        events[1].record(stream)
        sleep(self._device, LONG)
        launched = self._now() - began
        events[2].record(stream)
        self._pending.append((events, launched))

    def read(self) -> list[float]:
        """All samples so far in MHz, in order; waits for the last one."""
        for events, _ in self._pending:
            events[2].synchronize()
        self._collect()
        return [*self._mhz]

    def _events(self) -> tuple[Any, Any, Any]:
        with torch.cuda.device(self._device):
            first, second, third = (torch.cuda.Event(enable_timing=True) for _ in range(3))  # type: ignore[no-untyped-call]
        return first, second, third

    def _collect(self) -> None:
        """Read the samples that the device has finished."""
        while self._pending and self._pending[0][0][2].query():
            events, launched = self._pending.pop(0)
            self._free.append(events)
            first, second, third = events
            seconds = (second.elapsed_time(third) - first.elapsed_time(second)) * 1e-3
            mhz = (LONG - SHORT) * 1e-6 / seconds if seconds > 0 else 0.0
            # If launching took longer than the first kernel, the GPU may have waited between the others.
            if mhz and launched <= LEAD * 1e-6 / mhz:
                self._mhz.append(mhz)
            else:
                self.late += 1
