"""CUDA's clock: events around a block behind a lead-in, and the device's work alone, behind a delay."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch

from torchduet.bench.host.counters import context_switches
from torchduet.bench.timing.clock import Block, Work
from torchduet.bench.timing.gpu.sm_clock import SmClock
from torchduet.bench.timing.slowed.delay import seconds_per_cycle, sleep

DELAY_FACTOR = 1.5  # the delay before a block, as a multiple of the time to launch it
# Beyond about 1,000 pending launches the host waits for the device, which takes some 5 ms of launching; from 2 ms on,
# quick launches reach that.
MIN_DELAY, MAX_DELAY = 20e-6, 2e-3
# The L2 does not replace the oldest lines first: after as many bytes as it holds a part of the old data is still there.
# NVBench writes the L2's size once, triton.testing.do_bench 256 MB.
FLUSHED_CACHES = 3
INFINITY_CACHE = 512 << 20  # bytes; AMD's last level, up to 256 MiB, is behind the L2 whose size is known


class CudaClock:
    """CUDA events around the block and one synchronisation after it.

    The start event stands in the stream directly behind the lead-in, without a synchronisation between: the device
    reaches it when it has finished the lead-in, and the host has launched the first call by then, as in a loop. On an
    idle device, the time between the events would include the host's way to the first kernel (5 to 150 µs).

    When launching takes longer than computing, the time between the events includes the gaps in which the device waits
    for the host, as a user's does. ``host`` is then close to ``seconds``, and :meth:`behind_delay` times the device's
    work alone.
    """

    name = "cuda_events"
    cold_calls = 10
    needs_lead_in = True

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.sm_clock = SmClock(self.device)
        self._flush_buffer: torch.Tensor | None = None
        self._cycle_seconds = 0.0
        self._pairs: list[tuple[Any, Any]] = []
        self._start, self._end = self._pair(0)
        self._holds, self._cycles = self._pair(1)[0], 0

    def _pair(self, index: int) -> tuple[Any, Any]:
        """Two events; each pair is created once, as this takes time."""
        with torch.cuda.device(self.device):
            while len(self._pairs) <= index:
                self._pairs.append(
                    (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))  # type: ignore[no-untyped-call]
                )
        return self._pairs[index]

    def block(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        before: Work | None = None,
    ) -> Block:
        """Time ``calls`` consecutive calls as one block, behind the device's work of ``before``.

        ``before`` should be calls that take as long to compute as the next one to launch; without it, the time includes
        the host's way to the first kernel.
        """
        self.synchronize()
        if before is not None:
            before()
        return self._timed(call, args, calls, after)

    def behind_delay(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        launch_seconds: float,
        before: Work | None = None,
    ) -> Block | None:
        """Time the device's work for ``calls`` calls, all launched while a delay kernel keeps it busy.

        The delay kernel takes somewhat longer than launching the calls, so that no gap between two launches counts.
        None where launching took as long as the kernel: a call waits for the device, or more was launched than can be
        pending.

        Args:
            launch_seconds: seconds to launch one call on the host, see ``Block.host``.
            before: untimed, before the delay.
        """
        self.synchronize()
        if before is not None:
            before()
        self.hold(calls * launch_seconds)
        block = self._timed(call, args, calls, None)
        return block if block.host * calls < self._held() else None

    def _timed(self, call: Callable[..., Any], args: Sequence[Any], calls: int, after: Work | None) -> Block:
        stream = torch.cuda.current_stream(self.device)
        repeat = itertools.repeat(None, calls)
        switches = context_switches()
        start = perf_counter()
        self._start.record(stream)
        for _ in repeat:
            call(*args)
        if after is not None:
            after()
        self._end.record(stream)
        host = (perf_counter() - start) / calls
        unfinished = self._wait(self._end)
        seconds = self._start.elapsed_time(self._end) * 1e-3 / calls
        self.sm_clock.after_block()
        return Block(seconds, host, max(seconds, host), context_switches() - switches, unfinished=unfinished)

    def _wait(self, end: Any) -> float:
        """Wait for an event, then for all streams; the seconds from one to the other, less those of not waiting."""
        end.synchronize()
        finished = perf_counter()
        self.synchronize()
        waited = perf_counter()
        self.synchronize()
        return max(0.0, 2 * waited - finished - perf_counter())

    def cold(
        self,
        call: Callable[..., Any],
        args: Sequence[Any],
        calls: int,
        after: Work | None = None,
        launch_seconds: float = 0.0,
    ) -> Block:
        """Time the device's work of single calls; before each, other memory of three times the L2's size is written.

        A delay kernel between the writing and each call hides its launch, as in :meth:`behind_delay`.
        """
        if self._flush_buffer is None:
            size = FLUSHED_CACHES * torch.cuda.get_device_properties(self.device).L2_cache_size
            if torch.version.hip:
                size = max(size, INFINITY_CACHE)
            self._flush_buffer = torch.empty(size, dtype=torch.uint8, device=self.device)
        stream = torch.cuda.current_stream(self.device)
        pairs = [self._pair(index) for index in range(2, 2 + calls)]
        self.synchronize()
        switches = context_switches()
        host = 0.0
        for index, (begin, end) in enumerate(pairs):
            self._flush_buffer.zero_()
            self.hold(launch_seconds)
            start = perf_counter()
            begin.record(stream)
            call(*args)
            if after is not None and index == calls - 1:
                after()
            end.record(stream)
            host += perf_counter() - start
        unfinished = self._wait(pairs[-1][1])
        seconds = sum(begin.elapsed_time(end) for begin, end in pairs) * 1e-3 / calls
        host /= calls
        self.sm_clock.after_block()
        return Block(seconds, host, max(seconds, host), context_switches() - switches, unfinished=unfinished)

    def hold(self, seconds: float) -> None:
        """Launch a delay kernel that takes somewhat longer than ``seconds``, of launching what follows."""
        if not self._cycle_seconds:
            self._cycle_seconds = seconds_per_cycle(self.device)
        delay = max(MIN_DELAY, min(DELAY_FACTOR * seconds, MAX_DELAY))
        self._cycles = round(delay / self._cycle_seconds)
        self._holds.record(torch.cuda.current_stream(self.device))
        sleep(self.device, self._cycles)

    def _held(self) -> float:
        """Seconds that the device was held before the block that has just been timed.

        Where it was shorter than asked for, as the SM clock has risen since the delay was calibrated, later ones are
        longer.
        """
        held = float(self._holds.elapsed_time(self._start)) * 1e-3
        if held > 0:
            self._cycle_seconds = min(self._cycle_seconds, held / self._cycles)
        return held

    def synchronize(self) -> None:
        """Wait until the device has finished all that was launched, on whatever stream."""
        torch.cuda.synchronize(self.device)
