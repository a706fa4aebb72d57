"""Clocks: how long one block of consecutive calls takes on a device.

Both have the same interface, so that the rounds need not know what they time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, median_high
from time import perf_counter
from typing import Any, Protocol

import torch

from bench.engine.telemetry import interruptions

Work = Callable[[], None]


@dataclass(frozen=True)
class Block:
    """Seconds per call of one block.

    Attributes:
        seconds: what counts: wall clock on the CPU, device time between two events on CUDA.
        host: until the last call returned (CUDA: everything is launched).
        wall: until the device had finished.
        switches: how often the process had to leave a core meanwhile; of the whole block, not per call.
    """

    seconds: float
    host: float
    wall: float
    switches: int = 0


def median_block(blocks: Sequence[Block]) -> Block:
    """The median of each time over some blocks; it was interrupted if half of them were."""
    seconds, host, wall = (median(getattr(block, name) for block in blocks) for name in ("seconds", "host", "wall"))
    return Block(seconds, host, wall, median_high(block.switches for block in blocks))


class Clock(Protocol):
    """Times blocks on one kind of device."""

    name: str

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls, and ``after`` behind the last of them, as one block."""

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched."""


class CpuClock:
    """``time.perf_counter`` around the block; the CPU has finished when the call returns."""

    name = "perf_counter"

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        repeat = itertools.repeat(None, calls)
        before = interruptions()
        start = perf_counter()
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        seconds = (perf_counter() - start) / calls
        return Block(seconds, seconds, seconds, interruptions() - before)

    def synchronize(self) -> None:
        """Nothing to wait for."""


class CudaClock:
    """CUDA events around the block and one synchronisation after it.

    The device starts the block idle. When launching takes longer than computing, the time between the
    events includes the gaps in which the device waits for the host, as it does for the user;
    ``host`` close to ``seconds`` shows it.
    """

    name = "cuda_events"

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        with torch.cuda.device(self.device):
            self._start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            self._end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        stream = torch.cuda.current_stream(self.device)
        repeat = itertools.repeat(None, calls)
        self.synchronize()
        before = interruptions()
        start = perf_counter()
        self._start.record(stream)
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        self._end.record(stream)
        host = perf_counter() - start
        self._end.synchronize()
        wall = perf_counter() - start
        switches = interruptions() - before
        return Block(self._start.elapsed_time(self._end) * 1e-3 / calls, host / calls, wall / calls, switches)

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched."""
        torch.cuda.synchronize(self.device)


def clock_for(device: str) -> Clock:
    """The clock of a device such as ``cpu``, ``cuda`` or ``cuda:1``."""
    return CpuClock() if device == "cpu" else CudaClock(device)
