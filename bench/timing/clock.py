"""Clocks: how long one block of consecutive calls takes on a device; CUDA's own is in ``cuda_clock``.

All have the same interface, so that the rounds need not know what they time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, median_high
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

import torch

from torchduet.bench.host.counters import context_switches
from torchduet.bench.host.cpu_cache import last_level_bytes

Work = Callable[[], None]


@dataclass(frozen=True)
class Block:
    """Seconds per call of one block.

    Attributes:
        seconds: what counts: wall clock until the device had finished, on CUDA device time between two events.
        host: until the last call returned: on an accelerator, until everything was launched.
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
    """Times blocks on one kind of device.

    Attributes:
        name: as records have it.
        cold_calls: the most calls of a cold block.
    """

    name: str
    cold_calls: int

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls, and ``after`` behind the last of them, as one block."""

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time ``calls`` calls, each after the cache was filled with something else, untimed.

        Args:
            after: timed with the last of them.
            launch_seconds: what launching one call took in this case's last cold block, see ``Block.host``;
                0 where there was none.
        """

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched."""


@runtime_checkable
class DelayingClock(Clock, Protocol):
    """A clock of a device that can be kept waiting while work for it is launched."""

    def behind_delay(
        self, call: Callable[..., Any], args: Sequence[Any], calls: int, launch_seconds: float
    ) -> Block | None:
        """Time what the device does for ``calls`` calls, without the gaps between their launches.

        None where they cannot all be launched while the device waits.

        Args:
            launch_seconds: what launching one call takes on the host, see ``Block.host``.
        """


class CpuClock:
    """``time.perf_counter`` around the block; the CPU has finished when the call returns."""

    name = "perf_counter"
    cold_calls = 1  # its cache takes longer to fill than most calls take

    def __init__(self) -> None:
        self._other: torch.Tensor | None = None

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        repeat = itertools.repeat(None, calls)
        before = context_switches()
        start = perf_counter()
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        seconds = (perf_counter() - start) / calls
        return Block(seconds, seconds, seconds, context_switches() - before)

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time calls one by one, each after as much memory as the last-level cache holds was written."""
        del launch_seconds  # nothing is launched
        if self._other is None:
            self._other = torch.zeros(last_level_bytes(), dtype=torch.uint8)
        before = context_switches()
        total = 0.0
        for left in reversed(range(calls)):
            self._other.add_(1)
            start = perf_counter()
            call(*args)
            if after is not None and not left:
                after()
            total += perf_counter() - start
        return Block(total / calls, total / calls, total / calls, context_switches() - before)

    def synchronize(self) -> None:
        """Nothing to wait for."""


class SynchronizedClock:
    """``time.perf_counter`` around the block, which begins on an idle device and ends when that has finished.

    For devices without events: launching the first call and waiting for the last one are within the time.

    Args:
        synchronize: waits until the device has finished.
        device: where the memory lies that fills its cache.
        cache_bytes: tells the size of the device's last-level cache; asked before the first cold call.
    """

    name = "perf_counter_synchronized"
    cold_calls = 1

    def __init__(self, synchronize: Work, device: torch.device, cache_bytes: Callable[[], int]) -> None:
        self.synchronize = synchronize
        self._device, self._cache_bytes = device, cache_bytes
        self._other: torch.Tensor | None = None

    def block(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None = None) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        self.synchronize()
        repeat = itertools.repeat(None, calls)
        before = context_switches()
        start = perf_counter()
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        host = perf_counter() - start
        self.synchronize()
        wall = perf_counter() - start
        return Block(wall / calls, host / calls, wall / calls, context_switches() - before)

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time calls one by one, each after as many bytes as the cache holds were written to other memory."""
        del launch_seconds  # each call is waited for, so that none is launched behind another
        if self._other is None:
            self._other = torch.zeros(self._cache_bytes(), dtype=torch.uint8, device=self._device)
        before = context_switches()
        host = wall = 0.0
        for left in reversed(range(calls)):
            self._other.add_(1)
            self.synchronize()
            start = perf_counter()
            call(*args)
            if after is not None and not left:
                after()
            host += perf_counter() - start
            self.synchronize()
            wall += perf_counter() - start
        return Block(wall / calls, host / calls, wall / calls, context_switches() - before)
