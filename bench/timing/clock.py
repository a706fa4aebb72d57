"""Clocks: time a block of consecutive calls on a device; CUDA's own clock is in ``cuda_clock``.

All have the same interface, so that alternation does not depend on the device.
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


class ExtraWork(Protocol):
    """Work of a known length, which a slowed copy of a case does in each block behind its calls."""

    def __call__(self) -> None:
        """Do the work, or launch it."""

    def fit(self, block: Callable[[Work | None], float], share: float) -> None:
        """Adjust its length so that a block with it takes ``1 + share`` times as long as without it.

        Args:
            block: makes the calls, then calls the given function if there is one, and returns the seconds of all.
        """


@dataclass(frozen=True)
class Block:
    """Seconds per call of one block.

    Attributes:
        seconds: the time of record: wall clock until the device had finished, on CUDA device time between two events.
        host: until the last call returned: on an accelerator, until everything was launched.
        wall: until the device had finished; on CUDA the longer of ``seconds`` and ``host``.
        switches: involuntary context switches during the whole block, not per call.
        paused: seconds, at most, for which the process or the machine was suspended during the block.
        unfinished: seconds for which other streams of the device worked on after the block, not per call.
    """

    seconds: float
    host: float
    wall: float
    switches: int = 0
    paused: float = 0.0
    unfinished: float = 0.0


def median_block(blocks: Sequence[Block]) -> Block:
    """The median of each time, and the upper median of the context switches, over some blocks."""
    seconds, host, wall = (median(getattr(block, name) for block in blocks) for name in ("seconds", "host", "wall"))
    return Block(seconds, host, wall, median_high(block.switches for block in blocks))


class Clock(Protocol):
    """Times blocks on one kind of device.

    Attributes:
        name: as in records.
        cold_calls: the most calls per cold block.
        needs_lead_in: the device has to be busy when a block starts, with at least one untimed call.
    """

    name: str
    cold_calls: int
    needs_lead_in: bool

    def block(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        before: Work | None = None,
    ) -> Block:
        """Time ``calls`` consecutive calls as one block.

        Args:
            after: timed with the last call.
            before: untimed, directly before the first call.
        """

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time ``calls`` calls; before each, untimed, the cache is filled with other data.

        Args:
            after: timed with the last call.
            launch_seconds: seconds to launch one call in this case's last cold block, see ``Block.host``; 0 where there
                was none.
        """

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched."""


@runtime_checkable
class HoldingClock(Protocol):
    """A clock that can keep its device waiting before what follows."""

    def hold(self, seconds: float) -> None:
        """Keep the device waiting for somewhat longer than launching takes; returns at once.

        Args:
            seconds: to launch what follows on the host, see ``Block.host``; 0 where this is not known.
        """


@runtime_checkable
class DelayingClock(Clock, Protocol):
    """A clock of a device that can be kept waiting while work for it is launched."""

    def behind_delay(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        launch_seconds: float,
        before: Work | None = None,
    ) -> Block | None:
        """Time the device's work for ``calls`` calls, without the gaps between their launches.

        None where they cannot all be launched while the device waits.

        Args:
            launch_seconds: seconds to launch one call on the host, see ``Block.host``.
            before: untimed, before the delay.
        """


class CpuClock:
    """``time.perf_counter`` around the block; the CPU has finished when the call returns."""

    name = "perf_counter"
    cold_calls = 1  # filling the cache takes longer than most calls
    needs_lead_in = False

    def __init__(self) -> None:
        self._flush_buffer: torch.Tensor | None = None

    def block(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        before: Work | None = None,
    ) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        if before is not None:
            before()
        repeat = itertools.repeat(None, calls)
        switches = context_switches()
        start = perf_counter()
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        seconds = (perf_counter() - start) / calls
        return Block(seconds, seconds, seconds, context_switches() - switches)

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time single calls; before each, as many bytes as the last-level cache holds are written to other memory."""
        del launch_seconds  # nothing is launched
        if self._flush_buffer is None:
            self._flush_buffer = torch.zeros(last_level_bytes(), dtype=torch.uint8)
        before = context_switches()
        total = 0.0
        for remaining in reversed(range(calls)):
            self._flush_buffer.add_(1)
            start = perf_counter()
            call(*args)
            if after is not None and not remaining:
                after()
            total += perf_counter() - start
        return Block(total / calls, total / calls, total / calls, context_switches() - before)

    def synchronize(self) -> None:
        """Nothing to wait for."""


class SynchronizedClock:
    """``time.perf_counter`` around the block, which begins on an idle device and ends when the device has finished.

    For devices without events: the time includes launching the first call and waiting for the last one.

    Args:
        synchronize: waits until the device has finished.
        device: has the memory that fills its cache.
        cache_bytes: returns the size of the device's last-level cache; called before the first cold call.
    """

    name = "perf_counter_synchronized"
    cold_calls = 1
    needs_lead_in = False

    def __init__(self, synchronize: Work, device: torch.device, cache_bytes: Callable[[], int]) -> None:
        self.synchronize = synchronize
        self._device, self._cache_bytes = device, cache_bytes
        self._flush_buffer: torch.Tensor | None = None

    def block(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        before: Work | None = None,
    ) -> Block:
        """Time ``calls`` consecutive calls as one block."""
        if before is not None:
            before()
        self.synchronize()
        repeat = itertools.repeat(None, calls)
        switches = context_switches()
        start = perf_counter()
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        host = perf_counter() - start
        self.synchronize()
        wall = perf_counter() - start
        return Block(wall / calls, host / calls, wall / calls, context_switches() - switches)

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time single calls; before each, as many bytes as the cache holds are written to other memory."""
        del launch_seconds  # the clock waits for each call, so that none is launched behind another
        if self._flush_buffer is None:
            self._flush_buffer = torch.zeros(self._cache_bytes(), dtype=torch.uint8, device=self._device)
        before = context_switches()
        host = wall = 0.0
        for remaining in reversed(range(calls)):
            self._flush_buffer.add_(1)
            self.synchronize()
            start = perf_counter()
            call(*args)
            if after is not None and not remaining:
                after()
            host += perf_counter() - start
            self.synchronize()
            wall += perf_counter() - start
        return Block(wall / calls, host / calls, wall / calls, context_switches() - before)
