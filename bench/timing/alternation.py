"""Placements × rounds: times a family's cases in alternation, or in groups with placements of their own."""

from __future__ import annotations

import contextlib
import gc
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.host.suspension import MAX_RETAKES, awake
from torchduet.bench.record.schema import StopReason
from torchduet.bench.timing.clock import Block, median_block
from torchduet.bench.timing.pacing import (
    LONG_CALL_SECONDS,
    PLACEMENT_OVERDRAFT,
    WARMED_UP_BELOW,
    Plan,
    groups,
    round_seconds,
    set_block,
)
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import WINDOW, TimedCase
from torchduet.suites.workload import GRAPHED

SIMILAR = 1.25
MAY_NEED_WARM_UP = 2.0
MUCH_LONGER, CONFIRMATIONS = 4.0, 30

OnError = Callable[[TimedCase, Exception], str]
MoveInputs = Callable[[Sequence[TimedCase]], None]


def align_blocks(runs: Sequence[TimedCase], comparisons: Sequence[tuple[int, int]], on_error: OnError) -> None:
    """Give compared cases of similar length, and all copies of a case, the same calls per block and turns per round.

    A block adds a little to its calls: reading the clock, and the first call's last cold caches. With equal blocks this
    is the same share of both times, and cancels where a small difference counts. A case and its copies are idle-waiting
    if one of them is.

    Args:
        comparisons: pairs of indices into ``runs``.
        on_error: turns an exception of a run into the reason for the record.
    """
    # Slightly longer ones, too: a warm-up in a slow moment must not deprive one of two equal cases of warm-up calls.
    _confirm_long(runs, comparisons, on_error)
    _time_in_turns([run for run in runs if run.seconds < MAY_NEED_WARM_UP * WARMED_UP_BELOW], on_error)
    alike = {index: {index} for index in range(len(runs))}
    for reference, compared in comparisons:
        pair = runs[reference], runs[compared]
        low, high = sorted(run.seconds for run in pair)
        copies = _copies(*(run.prepared.case for run in pair))
        if copies:
            pair[0].idle_waiting = pair[1].idle_waiting = any(run.idle_waiting for run in pair)
        if high <= SIMILAR * low or copies:
            joined = alike[reference] | alike[compared]
            alike |= dict.fromkeys(joined, joined)
    for index, group in alike.items():
        set_block(runs[index], min(runs[member].seconds for member in group))


def _copies(reference: Case, case: Case) -> bool:
    return reference != case and reference.original == case.original


def _confirm_long(runs: Sequence[TimedCase], comparisons: Sequence[tuple[int, int]], on_error: OnError) -> None:
    """Time cases again that seem to take much longer than what they are compared with, until a call confirms it.

    While other processes keep all cores busy, the first calls with several threads can take a thousand times as long
    (0.3 s instead of 0.4 ms, 2-core VM). A case that was warmed up at such a moment would be timed in single calls
    without warm-up calls, and the other in blocks: a difference that every placement repeats.
    """
    for pair in comparisons:
        slow, fast = sorted((runs[index] for index in pair), key=lambda run: -run.seconds)
        for _ in range(CONFIRMATIONS if slow.seconds > MUCH_LONGER * fast.seconds else 0):
            before, slow.calls = slow.seconds, 1
            block = _attempt(slow, slow.block, on_error) if slow.error is None else None
            if block is None or block.wall > before / SIMILAR:
                break
            slow.seconds = block.seconds


def _time_in_turns(runs: Sequence[TimedCase], on_error: OnError) -> None:
    """Replace the times of the warm-ups by times taken in alternation: the machine may change between warm-ups."""
    times: dict[int, list[float]] = {id(run): [] for run in runs}
    for _ in range(WINDOW):
        for run in runs:
            block = _attempt(run, run.block, on_error) if run.error is None else None
            if block is not None:
                times[id(run)].append(block.seconds)
    for run in runs:
        run.seconds = min(times[id(run)], default=run.seconds)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Suspend garbage collection and forbid recompilation while blocks are timed."""
    collecting = gc.isenabled()  # a suite may switch it off when it is imported
    frozen = gc.get_freeze_count() > 0  # by whoever started this process: what is unfrozen is all of it
    gc.collect()
    if not frozen:
        gc.freeze()  # collections between placements look at new objects only
    gc.disable()
    # Setting the stance imports the compiler (2 s). Where it is not imported, nothing has been compiled.
    compiler = "torch._dynamo" in sys.modules
    try:
        with torch.compiler.set_stance("fail_on_recompile") if compiler else contextlib.nullcontext():
            yield
    finally:
        if collecting:
            gc.enable()
        if not frozen:
            gc.unfreeze()


@dataclass(frozen=True)
class Alternation:
    """How cases are timed in alternation.

    Attributes:
        move_inputs: moves the inputs of the given cases to fresh memory for a new placement; where that fails, it sets
            the error of the cases concerned.
        stopping: decides when to stop.
        plan: rounds per placement, each in a new random order, and how groups of cases alternate with each other.
        rng: source of all orders.
        on_error: turns an exception of a case into the reason for the record.
        report: called after each placement.
        after_rounds: called with the cases of each placement, before the next one moves their inputs.
    """

    move_inputs: MoveInputs
    stopping: Stopping
    plan: Plan
    rng: random.Random
    on_error: OnError
    report: Callable[[], None]
    after_rounds: Callable[[Sequence[TimedCase]], None] = lambda _: None

    def time(self, runs: Sequence[TimedCase]) -> StopReason | None:
        """Time the cases until the stopping rule ends it; returns its reason, None where every case failed.

        Args:
            runs: the cases; one that raises gets its error and is left out from then on.
        """
        self.stopping.start()
        placements = 0
        while True:
            self._placements([run for run in runs if run.error is None])
            live = [run for run in runs if run.error is None]
            if not live:
                return None
            previous, placements = placements, even_out(live, placements)
            self.stopping.add(placements - previous)
            reason = self.stopping.finished()
            if reason:
                return reason

    def _placements(self, live: Sequence[TimedCase]) -> None:
        """Take the next placement of all cases; groups of them take a few each, in random order.

        Cases of different groups do not alternate, see :func:`torchduet.bench.timing.pacing.groups`. After the cores or
        the device were idle, cases are slower for a while.
        """
        apart = groups(live)
        consecutive = self.stopping.room_for(self.plan.consecutive) if len(apart) > 1 else 1
        for group in self.rng.sample(apart, len(apart)):
            warm_up_seconds = self.plan.core_warm_up_seconds if len(apart) > 1 and not group[0].idle_waiting else 0.0
            for index in range(consecutive):
                usable = [run for run in group if run.error is None]
                if not usable or (all(run.placements for run in usable) and self.stopping.must_end()):
                    break
                self._placement(usable, 0.0 if index else warm_up_seconds)
                self.report()

    def _placement(self, group: Sequence[TimedCase], warm_up_seconds: float) -> None:
        """Move the inputs to fresh memory, recreate what depends on it, warm up, and take the rounds."""
        self.move_inputs(group)
        gc.collect()
        live = [run for run in group if run.error is None]
        # In random order: of two copies the one recreated first may have the better memory for the whole placement.
        # Graphs first, inductor's too: capturing one empties the allocator's cache.
        for run in sorted(self.rng.sample(live, len(live)), key=lambda run: not _captures(run)):
            run.placements.append([])
            _attempt(run, run.settle, self.on_error)
        warm_cores(self.rng.sample(live, len(live)), warm_up_seconds, self.on_error)
        deadline = awake() + PLACEMENT_OVERDRAFT * self.plan.rounds * round_seconds(live)
        for index in range(self.plan.rounds):
            if index and awake() > deadline:
                break  # other processes occupy the machine: fewer rounds
            _round(live, self.rng, self.on_error)
        self.after_rounds(live)


def _captures(run: TimedCase) -> bool:
    return run.captures or run.prepared.case.mode in GRAPHED


def even_out(live: Sequence[TimedCase], since: int) -> int:
    """Cut every case to as many placements as the one with the fewest, and to equal rounds in each; returns how many.

    Args:
        since: number of placements that are even already.
    """
    placements = min(len(run.placements) for run in live)
    for run in live:
        del run.placements[placements:]
    for index in range(since, placements):
        rounds = min(len(run.placements[index]) for run in live)
        for run in live:
            del run.placements[index][rounds:]
    return placements


def warm_cores(runs: Sequence[TimedCase], seconds: float, on_error: OnError) -> None:
    """Warm the cores, or a device, after they were idle: untimed calls of the cases in turn, for ``seconds``.

    Calls of 0.2 s and more are not repeated for this. After the process has slept, memory beyond a core's own caches
    is slower for a while: sums over 4 MiB took 1.4 times as long for 10 to 100 ms, steps of an MLP 1.2 to 1.5 times for
    0.1 to 0.5 s (2-core VM).
    """
    end = awake() + seconds
    while awake() < end and (short := [run for run in runs if run.error is None and run.seconds < LONG_CALL_SECONDS]):
        for run in short:
            _attempt(run, run.call, on_error)


def _round(live: Sequence[TimedCase], rng: random.Random, on_error: OnError) -> None:
    """Take one round: all turns in random order; each case adds the median of its blocks."""
    turns = [run for run in live for _ in range(run.repeats)]
    rng.shuffle(turns)
    blocks: dict[int, list[Block]] = {id(run): [] for run in live}
    for run in turns:
        if run.error is None:
            block = _unsuspended_block(run, on_error)
            if block is not None:
                blocks[id(run)].append(block)
                run.context_switches.add(block.switches, block.wall * run.calls)
    for run in live:
        if run.error is None:
            run.placements[-1].append(median_block(blocks[id(run)]))


def _unsuspended_block(run: TimedCase, on_error: OnError) -> Block | None:
    """Time a block. One during which the process was suspended is left out and taken again, a few times at most."""
    for attempt in range(MAX_RETAKES + 1):
        block = _attempt(run, run.block, on_error)
        if block is None or not block.paused:
            return block
        run.left_out.seconds += block.paused
        if attempt < MAX_RETAKES:
            run.left_out.blocks += 1
    run.left_out.kept += 1  # suspended all the time: a program that limits another's share of the CPU does that
    return block


def _attempt(run: TimedCase, action: Callable[[], Block | object], on_error: OnError) -> Block | None:
    try:
        result = action()
    except Exception as error:  # noqa: BLE001 - any error of the workload becomes this case's reason
        run.error = on_error(run, error)
        return None
    return result if isinstance(result, Block) else None


def next_placement(runs: Sequence[TimedCase]) -> None:
    """Begin another placement of these cases. A slowed copy shares its original's context, whose seed advances once."""
    for prepared in {id(run.prepared.context): run.prepared for run in runs}.values():
        prepared.next_placement()
