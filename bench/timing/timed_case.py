"""One case while it is being timed: its blocks, its warm-up, and a copy of it that is slowed down."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from statistics import median
from time import perf_counter

from torchduet.bench.cases.exchange import ContextSwitches, LeftOut
from torchduet.bench.host import child_processes, suspension
from torchduet.bench.host.thread_sleep import seconds_asleep
from torchduet.bench.timing.callables import Prepared
from torchduet.bench.timing.clock import Block, Clock
from torchduet.bench.timing.device import Device
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.pacing import BLOCK_SECONDS, LONG_CALL_SECONDS, set_block
from torchduet.bench.timing.precision import matmul_precision
from torchduet.bench.timing.slowdown import spin
from torchduet.suites.workload import IMPLIED

WINDOW = 5
RECORDING_CALLS = 3  # until inductor has recorded its CUDA graphs anew, or TorchScript has optimised a program anew
STILL_FALLING = 0.98
WAITING_SECONDS, WAITING_SHARE = 2e-3, 0.1  # of a block


@dataclass
class TimedCase:
    """One case while it is being timed: what to call, how often per block, and the blocks so far."""

    prepared: Prepared
    clock: Clock
    calls: int = 1
    repeats: int = 1  # blocks per round; the round counts as their median
    seconds: float = 0.0  # per call, as of the warm-up
    paced: float = 0.0  # per call, that its blocks and turns are set by: the same for all that are timed alike
    lead_in: int = 0  # untimed calls before each block
    placements: list[list[Block]] = field(default_factory=list)
    interruptions: ContextSwitches = field(default_factory=ContextSwitches)
    left_out: LeftOut = field(default_factory=LeftOut)
    error: str | None = None
    skip: str | None = None
    extra: Callable[[], None] | None = None  # what a slowed copy does in each block beside its calls
    cold: bool = False  # each call finds the cache full of something else
    flushing: float = 0.0  # seconds that this took in the last block
    launching: float = 0.0  # seconds per call until it was launched, in the last block of such calls
    forks: bool = False  # its calls start processes that end with them
    rests: bool = False  # its calls leave the cores idle for a while
    ended: float = field(default_factory=child_processes.usage)  # this process's children, as of its last call

    @property
    def device(self) -> Device:
        """Where it is called."""
        return device_of(self.prepared.case.device)

    @property
    def blocks(self) -> list[list[float]]:
        """Seconds per call, per placement and round."""
        return [[block.seconds for block in placement] for placement in self.placements]

    def block(self) -> Block:
        """Time one block, with the case's global state entered around it and left again.

        The first calls after another case's find that one's data and code in the caches. Of short calls
        they go untimed: otherwise those of which fewer fit into a block would seem slower. So does the first
        call after processes that another case started.
        """
        before, ended = suspension.moment(), child_processes.usage()
        block = self._block()
        stood_still = suspension.suspended(before)
        self.ended = child_processes.usage()
        self.forks = self.ended != ended
        return replace(block, paused=stood_still) if stood_still else block

    def _block(self) -> Block:
        call, args = self.prepared.call, self.prepared.args
        with matmul_precision(self.prepared.case.precision):
            with self.unmetered():
                for _ in itertools.repeat(None, max(self.lead_in, self._after_children())):
                    call(*args)
            if self.cold:
                start = perf_counter()
                block = self.clock.cold(call, args, self.calls, self.extra, self.launching)
                self.launching = block.host
                self.flushing = max(0.0, perf_counter() - start - block.seconds * self.calls)
                return block
            return self.clock.block(call, args, self.calls, self.extra)

    def _after_children(self) -> int:
        """Untimed calls after another case's processes have ended: what they shared with this one is written first.

        5 training steps without workers took 8.6 ms after those with two workers, else 6.5 ms (2-core VM). A case that
        has processes itself would write nothing for long; a long call is not made for nothing.
        """
        return int(0 < self.seconds < LONG_CALL_SECONDS and not self.forks and child_processes.usage() != self.ended)

    @property
    def round_seconds(self) -> float:
        """What this case takes of a round, as of the warm-up."""
        return (self.seconds * (self.calls + self.lead_in) + self.flushing) * self.repeats

    @property
    def most_calls(self) -> int:
        """Per block."""
        return self.clock.cold_calls if self.cold else sys.maxsize

    def call(self) -> object:
        """One untimed call, of which the meter keeps nothing; waits for the device."""
        with self.unmetered(), matmul_precision(self.prepared.case.precision):
            result = self.prepared.call(*self.prepared.args)
            self.clock.synchronize()
            self.ended = child_processes.usage()
            return result

    def settle(self) -> None:
        """After its inputs have moved: make anew what it holds itself, and make the first calls, untimed.

        A long call is not made for nothing.
        """
        graph = self.prepared.graph
        if graph is not None:
            with matmul_precision(self.prepared.case.precision):
                graph.capture()
        case = self.prepared.case
        if self.prepared.renew is not None:
            self.prepared = replace(self.prepared, call=self.prepared.renew())
        if case.mode in IMPLIED or self.prepared.renew is not None:
            for _ in range(RECORDING_CALLS):
                self.call()
            if case.mode in IMPLIED:
                self.device.look_at_newest_recordings_first()
        elif self.seconds < LONG_CALL_SECONDS:
            self.call()

    @contextlib.contextmanager
    def unmetered(self) -> Iterator[None]:
        """Calls meanwhile note nothing."""
        meter = self.prepared.context.meter
        meter.paused = True
        try:
            yield
        finally:
            meter.paused = False


def slow_down(run: TimedCase, original: TimedCase) -> None:
    """Make ``run`` a copy of the one that is warm, slowed down by its case's factor.

    Where no kernel keeps the device waiting, the host does the extra work, once the device has finished: it is fitted
    within the copy's own blocks.
    """
    case, device = run.prepared.case, run.device
    run.calls, run.lead_in, run.seconds = original.calls, original.lead_in, original.seconds
    run.paced, run.rests, run.launching = original.paced, original.rests, original.launching
    share = case.slowdown - 1
    if device.waits_in_a_kernel:
        typical = median(original.block().seconds for _ in range(WINDOW))
        run.extra = device.delay(share * typical * run.calls)
        return

    def block(extra: Callable[[], None]) -> float:
        run.extra = _after_the_calls(extra, device)
        return run.block().seconds * run.calls

    work = spin(share * original.seconds * run.calls)
    work.fit(block, share)
    run.extra = _after_the_calls(work, device)


def _after_the_calls(work: Callable[[], None], device: Device) -> Callable[[], None]:
    """``work`` of the host that does not go on beside what the device was given to do before."""
    if not device.asynchronous:
        return work

    def waited() -> None:
        device.synchronize()
        work()

    return waited


def warm_up(run: TimedCase, seconds: float) -> None:
    """Call until block times stop falling, for at most about ``seconds``, and set the block length.

    A block is about 0.2 ms, or one call where that takes longer. Block times have stopped falling when
    the median of five blocks is no longer 2 % under that of the five before. Of calls of 0.2 s and more
    one is enough: the check has made another before. A case rests if its thread slept for 2 ms and a tenth of the
    time in each of the last blocks, up to five; not where the thread may sleep until the device has finished.
    """
    deadline = suspension.awake() + seconds
    windows: list[float] = []
    while True:
        blocks, rests = [], []
        for _ in range(WINDOW):
            before = seconds_asleep()
            block = run.block()
            blocks.append(block.seconds)
            rests.append(seconds_asleep() - before >= max(WAITING_SECONDS, WAITING_SHARE * block.wall * run.calls))
            if block.wall * run.calls < BLOCK_SECONDS / 2 and run.calls < run.most_calls:
                fitting = max(1, round(BLOCK_SECONDS / max(block.wall, 1e-9)))
                run.calls = min(run.calls * 10, fitting, run.most_calls)
                break
            if block.wall >= LONG_CALL_SECONDS or suspension.awake() >= deadline:
                deadline = suspension.awake()
                break
        else:
            windows.append(median(blocks))
            if len(windows) >= 2 and windows[-1] >= STILL_FALLING * windows[-2]:
                break
        if suspension.awake() >= deadline:
            break
    run.seconds = min([*windows, *blocks])
    run.rests = all(rests) and not run.device.asynchronous
    set_block(run, run.seconds)
