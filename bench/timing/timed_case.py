"""A case while it is being timed: its blocks, its warm-up, and its slowed copies."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from time import perf_counter
from typing import Any, ClassVar, TypeVar

from torchduet.bench.cases.exchange import ContextSwitches, LeftOut, Pace
from torchduet.bench.host import child_processes, suspension
from torchduet.bench.host.thread_sleep import seconds_asleep
from torchduet.bench.inputs.changes import NOTHING, Changes
from torchduet.bench.inputs.restoring import Restoring
from torchduet.bench.timing.callables import Prepared
from torchduet.bench.timing.clock import Block, Clock, HoldingClock
from torchduet.bench.timing.conversions import converted
from torchduet.bench.timing.device import Device
from torchduet.bench.timing.device_registry import device_of
from torchduet.bench.timing.pacing import LONG_CALL_SECONDS, USUAL, Pattern, set_block
from torchduet.bench.timing.precision import matmul_precision
from torchduet.suites.workload import GRAPHED

Result = TypeVar("Result")

WINDOW = 5
MAX_RESTORED_WARM_UP_CALLS = 3  # before a block of one call whose inputs are readied each time
RECORDING_CALLS = 3  # until inductor has recorded its CUDA graphs again, or TorchScript has optimised a program again
STILL_FALLING = 0.98
MAX_UNFINISHED = 200  # of the last blocks
WAITING_SECONDS, WAITING_SHARE = 2e-3, 0.1  # of a block


@dataclass
class TimedCase:
    """A case while it is being timed: what to call, how often per block, and the blocks so far."""

    prepared: Prepared
    clock: Clock
    calls: int = 1
    repeats: int = 1  # blocks per round; the round counts as their median
    seconds: float = 0.0  # per call, as of the warm-up
    pacing_seconds: float = 0.0  # per call; sets its calls per block and turns per round: equal for cases timed alike
    warm_up_calls: int = 0  # untimed calls before each block
    placements: list[list[Block]] = field(default_factory=list)
    context_switches: ContextSwitches = field(default_factory=ContextSwitches)
    left_out: LeftOut = field(default_factory=LeftOut)
    error: str | None = None
    skip: str | None = None
    too_slow: float | None = None  # seconds of one call, where that is why it is skipped
    extra_work: Callable[[], None] | None = None  # of a slowed copy, in each block beside its calls
    cold: bool = False  # the cache is filled with other data before each call
    flush_seconds: float = 0.0  # for filling the cache in the last block
    launch_seconds: float = 0.0  # per call, until it was launched, in the last block of an accelerator
    forks: bool = False  # its calls start processes that end with them
    idle_waiting: bool = False  # its calls leave the cores idle for a while
    children_ended: float = field(default_factory=child_processes.usage)  # of this process, as of its last call
    restoring: Restoring | None = None  # readies the inputs before each call
    changes: Changes = NOTHING  # what a call changes of its inputs
    pattern: Pattern = USUAL
    alone: list[float] = field(default_factory=list)  # seconds per call in segments without other cases between them
    # Of blocks after which other streams of the device worked on: for how long, and the seconds of the block.
    unfinished: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MAX_UNFINISHED))

    elsewhere: ClassVar[bool] = False  # its calls are made by other processes, for which this one waits

    @property
    def device(self) -> Device:
        """The device that it runs on."""
        return device_of(self.prepared.case.device)

    @property
    def captures(self) -> bool:
        """Whether it replays a CUDA graph of its call, which has to be captured again when inputs have moved."""
        return self.prepared.graph is not None

    @property
    def pace(self) -> Pace:
        """How it is timed, for another visit."""
        return Pace(self.seconds, self.pacing_seconds, self.calls, self.warm_up_calls, self.idle_waiting)

    def keep_to(self, pace: Pace) -> None:
        """Be timed as in an earlier visit."""
        self.seconds, self.pacing_seconds = pace.seconds, pace.pacing_seconds
        self.calls, self.warm_up_calls, self.idle_waiting = pace.calls, pace.warm_up_calls, pace.idle_waiting

    @property
    def blocks(self) -> list[list[float]]:
        """Seconds per call, per placement and round."""
        return [[block.seconds for block in placement] for placement in self.placements]

    def block(self) -> Block:
        """Time one block, with the case's global state entered around it and left again.

        Short calls have untimed warm-up calls first: after another case, the caches hold that case's data and code, and
        cases with fewer calls per block would seem slower. One call after child processes of another case have ended is
        untimed, too.
        """
        before, ended = suspension.moment(), child_processes.usage()
        block = self._block()
        suspended = suspension.suspended(before)
        if self.clock.needs_lead_in:
            self.unfinished.append((block.unfinished, block.seconds * self.calls))
        self.children_ended = child_processes.usage()
        self.forks = self.children_ended != ended
        return replace(block, paused=suspended) if suspended else block

    def _block(self) -> Block:
        with self.in_its_state():
            if self.clock.needs_lead_in and not self.cold:
                # Inputs made anew in the lead-in replace the arguments.
                call, args = (self._call, ()) if self.restored else (self.prepared.call, self.prepared.args)
                block = self.clock.block(call, args, self.calls, self.extra_work, self._lead_in)
                self.launch_seconds = block.host
                return block
            self._lead_in()
            call, args = self.prepared.call, self.prepared.args
            if self.cold:
                start = perf_counter()
                block = self.clock.cold(call, args, self.calls, self.extra_work, self.launch_seconds)
                self.launch_seconds = block.host
                self.flush_seconds = max(0.0, perf_counter() - start - block.seconds * self.calls)
                return block
            return self.clock.block(call, args, self.calls, self.extra_work)

    def _call(self) -> object:
        return self.prepared.call(*self.prepared.args)

    def _lead_in(self) -> None:
        """Make the untimed calls before a block, and ready the inputs of the next call."""
        with self.unmetered():
            self.ready()
            for _ in itertools.repeat(None, max(self._block_warm_up_calls, self._after_children())):
                self._call()
                self.ready()
        # What was launched last has put the inputs back, which takes the device less time than the next launch.
        if self.restored and not self.cold and isinstance(self.clock, HoldingClock):
            self.clock.hold(self.launch_seconds)

    @property
    def launch_hidden(self) -> bool:
        """Whether the device waits until a call is launched, so that its time has no gaps between launches."""
        return self.clock.needs_lead_in and (self.cold or self.restored)

    @property
    def restored(self) -> bool:
        """Whether each call begins with inputs that were put back or made anew; a block is then one call."""
        return self.restoring is not None and self.restoring.active

    @property
    def _block_warm_up_calls(self) -> int:
        number = min(self.warm_up_calls, MAX_RESTORED_WARM_UP_CALLS) if self.restored else self.warm_up_calls
        led_in = self.clock.needs_lead_in and self.seconds < LONG_CALL_SECONDS
        return max(1, number) if led_in else number

    def ready(self) -> None:
        """Ready the inputs of the next call, where calls change them or each has new ones."""
        if self.restoring is not None and self.restoring.active:
            self.restoring.before_call(self)

    @property
    def changes_inputs(self) -> bool:
        """Whether a call changes what the next one is given."""
        return bool(self.changes)

    def use(self, inputs: Sequence[Any]) -> None:
        """Take these inputs, made anew, for the next call."""
        self.prepared = self.prepared.with_inputs(converted(inputs, self.prepared.case))

    def _after_children(self) -> int:
        """Untimed calls after another case's processes have ended: 1 or 0.

        The first write to a page that was shared with them costs more: 5 training steps without workers took 8.6 ms
        after those with two workers, else 6.5 ms (2-core VM). A case that starts processes itself shares its pages
        again soon, and a long call is too expensive to repeat: neither has an untimed call.
        """
        others_ended = child_processes.usage() != self.children_ended
        return int(0 < self.seconds < LONG_CALL_SECONDS and not self.forks and others_ended)

    @property
    def round_seconds(self) -> float:
        """Seconds of this case per round, as of the warm-up."""
        warm_up_calls = self._block_warm_up_calls
        restoring = self.restoring.seconds * (1 + warm_up_calls) if self.restored and self.restoring else 0.0
        return (self.seconds * (self.calls + warm_up_calls) + self.flush_seconds + restoring) * self.repeats

    @property
    def max_calls(self) -> int:
        """The most calls per block."""
        if self.restored:
            return 1
        return self.clock.cold_calls if self.cold else sys.maxsize

    def call(self) -> object:
        """Make one untimed call, which the meter does not record; waits for the device."""
        with self.unmetered(), self.in_its_state():
            self.ready()
            result = self.prepared.call(*self.prepared.args)
            self.clock.synchronize()
            self.children_ended = child_processes.usage()
            return result

    def measure_call(self, measure: Callable[[Callable[[], object]], Result]) -> Result:
        """Measure one call by a function that makes it, in the state that calls follow each other in.

        A call before it leaves that state, such as gradients; inputs are put back outside of what is measured.
        """
        self.call()
        with self.unmetered(), self.in_its_state():
            self.ready()
            return measure(lambda: self.prepared.call(*self.prepared.args))

    def settle(self) -> None:
        """After its inputs have moved: recreate what it holds itself, and make the first calls, untimed.

        A call of 0.2 s and more is not repeated for this.
        """
        graph = self.prepared.graph
        if graph is not None:
            with self.in_its_state():
                graph.capture()
        case = self.prepared.case
        if self.prepared.renew is not None:
            with self.in_its_state():
                self.prepared = replace(self.prepared, call=self.prepared.renew())
        if case.mode in GRAPHED or self.prepared.renew is not None:
            for _ in range(RECORDING_CALLS):
                self.call()
            if case.mode in GRAPHED:
                self.device.prefer_newest_recordings()
        elif self.seconds < LONG_CALL_SECONDS:
            self.call()

    @contextlib.contextmanager
    def in_its_state(self, *, thorough: bool = False) -> Iterator[None]:
        """The process state for calls of this case: its precision, and what its calls leave changed; see ``OwnState``.

        Raises:
            LastingChangeError: a call has changed what cannot be put back for other cases.
        """
        precision = matmul_precision(self.prepared.case.precision)
        with self.device.current(), precision, self.prepared.own_state.entered(thorough=thorough):
            yield

    @contextlib.contextmanager
    def unmetered(self) -> Iterator[None]:
        """The meter records nothing of the calls within."""
        meter = self.prepared.context.meter
        meter.paused = True
        try:
            yield
        finally:
            meter.paused = False


def warm_up(run: TimedCase, seconds: float) -> None:
    """Call until block times stop falling, for at most about ``seconds``, and set the block length.

    A block is about 0.3 ms, or one call where that takes longer. Block times have stopped falling when the median of
    five blocks is no longer 2 % under that of the five before. One call of 0.2 s or more is enough: the check has made
    another before. A case is idle-waiting if its thread slept for 2 ms and a tenth of the time in each of the last
    blocks, up to five; never on a device for which the thread itself may sleep until it has finished.
    """
    deadline = suspension.awake() + seconds
    windows: list[float] = []
    while True:
        blocks, slept = [], []
        for _ in range(WINDOW):
            before = seconds_asleep()
            block = run.block()
            blocks.append(block.seconds)
            slept.append(seconds_asleep() - before >= max(WAITING_SECONDS, WAITING_SHARE * block.wall * run.calls))
            if block.wall * run.calls < run.pattern.seconds / 2 and run.calls < run.max_calls:
                fitting = max(1, round(run.pattern.seconds / max(block.wall, 1e-9)))
                run.calls = min(run.calls * 10, fitting, run.max_calls)
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
    run.idle_waiting = all(slept) and not (run.device.asynchronous or run.elsewhere)
    set_block(run, run.seconds)
