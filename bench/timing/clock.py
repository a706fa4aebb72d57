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

from torchduet.bench.host.counters import interruptions
from torchduet.bench.host.cpu_cache import last_level_bytes
from torchduet.bench.timing.slowdown import seconds_per_cycle, sleep

DELAY_FACTOR = 1.5  # a block is launched behind so many times what launching it takes
LEAST_DELAY, MOST_DELAY = 20e-6, 10e-3

Work = Callable[[], None]


@dataclass(frozen=True)
class Block:
    """Seconds per call of one block.

    Attributes:
        seconds: what counts: wall clock on the CPU, device time between two events on CUDA.
        host: until the last call returned (CUDA: everything is launched).
        wall: until the device had finished.
        switches: how often the process had to leave a core meanwhile; of the whole block, not per call.
        paused: seconds, at the most, for which the process was stopped or the machine suspended meanwhile.
    """

    seconds: float
    host: float
    wall: float
    switches: int = 0
    paused: float = 0.0


def median_block(blocks: Sequence[Block]) -> Block:
    """The median of each time over some blocks; it was interrupted if half of them were."""
    seconds, host, wall = (median(getattr(block, name) for block in blocks) for name in ("seconds", "host", "wall"))
    return Block(seconds, host, wall, median_high(block.switches for block in blocks))


class Clock(Protocol):
    """Times blocks on one kind of device."""

    name: str

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls, and ``after`` behind the last of them, as one block."""

    def cold(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` calls, each after the cache was filled with something else, untimed.

        ``after`` is timed with the last of them.
        """

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched."""


class CpuClock:
    """``time.perf_counter`` around the block; the CPU has finished when the call returns."""

    name = "perf_counter"

    def __init__(self) -> None:
        self._other: torch.Tensor | None = None

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

    def cold(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time calls one by one, each after as much memory as the last-level cache holds was written."""
        if self._other is None:
            self._other = torch.zeros(last_level_bytes(), dtype=torch.uint8)
        before = interruptions()
        total = 0.0
        for left in reversed(range(calls)):
            self._other.add_(1)
            start = perf_counter()
            call(*args)
            if after is not None and not left:
                after()
            total += perf_counter() - start
        return Block(total / calls, total / calls, total / calls, interruptions() - before)

    def synchronize(self) -> None:
        """Nothing to wait for."""


class CudaClock:
    """CUDA events around the block and one synchronisation after it.

    The device starts the block idle. When launching takes longer than computing, the time between the
    events includes the gaps in which the device waits for the host, as it does for the user;
    ``host`` close to ``seconds`` shows it, and :meth:`behind_delay` times the device's work alone.
    """

    name = "cuda_events"

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._other: torch.Tensor | None = None
        self._cycle = 0.0
        self._launching = 0.0  # what launching took in the last cold block
        self._pairs: list[tuple[Any, Any]] = []
        self._start, self._end = self._pair(0)

    def _pair(self, place: int) -> tuple[Any, Any]:
        """Two events; made once, as making them takes time."""
        with torch.cuda.device(self.device):
            while len(self._pairs) <= place:
                self._pairs.append(
                    (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
                )
        return self._pairs[place]

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        self.synchronize()
        return self._timed(call, args, calls, after)

    def behind_delay(
        self, call: Callable[..., Any], args: Sequence[Any], calls: int, launch_seconds: float
    ) -> Block | None:
        """Time what the device does for ``calls`` calls, all launched while it was kept busy.

        The device first waits in a kernel that does nothing for somewhat longer than launching takes, so
        that no gap between two launches counts. None where launching took as long as that: a call waits
        for the device, and so for this, too, or more was launched than can be pending.

        Args:
            launch_seconds: what launching one call takes on the host, see ``Block.host``.
        """
        self.synchronize()
        delay = self._delay(calls * launch_seconds)
        block = self._timed(call, args, calls, None)
        return block if block.host * calls < delay else None

    def _timed(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None) -> Block:
        stream = torch.cuda.current_stream(self.device)
        repeat = itertools.repeat(None, calls)
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

    def cold(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time calls one by one, each after as many bytes as the L2 holds were written to other memory."""
        if self._other is None:
            size = torch.cuda.get_device_properties(self.device).L2_cache_size
            self._other = torch.empty(size, dtype=torch.uint8, device=self.device)
        stream = torch.cuda.current_stream(self.device)
        pairs = [self._pair(place) for place in range(calls)]
        self.synchronize()
        before = interruptions()
        self._delay(self._launching)
        start = perf_counter()
        for place, (begin, end) in enumerate(pairs):
            self._other.zero_()
            begin.record(stream)
            call(*args)
            if after is not None and place == calls - 1:
                after()
            end.record(stream)
        self._launching = host = perf_counter() - start
        pairs[-1][1].synchronize()
        wall = perf_counter() - start
        switches = interruptions() - before
        seconds = sum(begin.elapsed_time(end) for begin, end in pairs) * 1e-3
        return Block(seconds / calls, host / calls, wall / calls, switches)

    def _delay(self, seconds: float) -> float:
        if not self._cycle:
            self._cycle = seconds_per_cycle(self.device)
        delay = max(LEAST_DELAY, min(DELAY_FACTOR * seconds, MOST_DELAY))
        sleep(self.device, round(delay / self._cycle))
        return delay

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched."""
        torch.cuda.synchronize(self.device)


def clock_for(device: str) -> Clock:
    """The clock of a device such as ``cpu``, ``cuda`` or ``cuda:1``."""
    return CpuClock() if device == "cpu" else CudaClock(device)
