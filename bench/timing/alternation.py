"""Placements × rounds: the cases of a family timed in alternation on the same tensors; what rests apart."""

from __future__ import annotations

import contextlib
import gc
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from torchduet.bench.cases.case import Case
from torchduet.bench.host.suspension import MAX_RETAKES, awake
from torchduet.bench.record.schema import StopReason
from torchduet.bench.record.statistics import seconds_per_call, speedup
from torchduet.bench.timing.clock import Block, median_block
from torchduet.bench.timing.pacing import (
    LONG_CALL_SECONDS,
    PLACEMENT_OVERDRAFT,
    WARMED_UP_BELOW,
    Plan,
    round_seconds,
    set_block,
)
from torchduet.bench.timing.stopping import Stopping
from torchduet.bench.timing.timed_case import WINDOW, TimedCase

SIMILAR = 1.25
MAY_NEED_WARM_UP = 2.0

OnError = Callable[[TimedCase, Exception], str]
Fresh = Callable[[Sequence[TimedCase]], None]


def align_blocks(runs: Sequence[TimedCase], comparisons: Sequence[tuple[int, int]], on_error: OnError) -> None:
    """Time cases that are compared and take about as long alike, and all copies of a case.

    They get the same number of calls per block and of turns per round. What a block adds to its calls, the reading of
    the clock and the first call's last cold caches, then is the same share of both, and cancels where a small
    difference counts. A copy rests if its case does, and the other way round.

    Args:
        comparisons: pairs of indices into ``runs``.
        on_error: turns an exception of a run into the reason for the record.
    """
    # Those a little longer, too: a warm-up in a slow moment must not leave one of two equals without its lead-in.
    _time_in_turns([run for run in runs if run.seconds < MAY_NEED_WARM_UP * WARMED_UP_BELOW], on_error)
    alike = {index: {index} for index in range(len(runs))}
    for one, other in comparisons:
        low, high = sorted((runs[one].seconds, runs[other].seconds))
        copies = _copies(runs[one].prepared.case, runs[other].prepared.case)
        if copies:
            runs[one].rests = runs[other].rests = runs[one].rests or runs[other].rests
        if high <= SIMILAR * low or copies:
            joined = alike[one] | alike[other]
            alike |= dict.fromkeys(joined, joined)
    for index, group in alike.items():
        set_block(runs[index], min(runs[member].seconds for member in group))


def _copies(one: Case, other: Case) -> bool:
    return one != other and one.original == other.original


def _time_in_turns(runs: Sequence[TimedCase], on_error: OnError) -> None:
    """Replace the warm-ups' times, between which the machine may have changed, by some taken in alternation."""
    times: dict[int, list[float]] = {id(run): [] for run in runs}
    for run in (one for _ in range(WINDOW) for one in runs if one.error is None):
        block = _attempt(run, run.block, on_error)
        if block is not None:
            times[id(run)].append(block.seconds)
    for run in runs:
        run.seconds = min(times[id(run)], default=run.seconds)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collection and no recompilation while blocks are timed."""
    gc.collect()
    gc.freeze()
    gc.disable()
    # Asking for the stance imports the compiler (2 s), without which nothing has been compiled.
    compiler = "torch._dynamo" in sys.modules
    try:
        with torch.compiler.set_stance("fail_on_recompile") if compiler else contextlib.nullcontext():
            yield
    finally:
        gc.enable()
        gc.unfreeze()


@dataclass(frozen=True)
class Alternation:
    """How runs are timed in alternation.

    Attributes:
        fresh: moves the inputs to fresh memory, for a new placement of the runs that it is given; where it cannot, it
            marks those concerned with the error.
        stopping: says when it is enough.
        plan: rounds per placement, each in a new random order, and what is done where some runs rest.
        rng: all orders come from it.
        on_error: turns an exception of a run into the reason for the record.
        tell: called after each placement.
    """

    fresh: Fresh
    stopping: Stopping
    plan: Plan
    rng: random.Random
    on_error: OnError
    tell: Callable[[], None]

    def time(self, runs: Sequence[TimedCase], comparisons: Sequence[tuple[int, int]]) -> StopReason | None:
        """Time the runs until the stopping rule says so; returns its reason, None where every run failed.

        Args:
            runs: the cases; a run that raises is marked with its error and left out from then on.
            comparisons: pairs (reference, case) of indices into ``runs``; their widths decide the stop.
        """
        self.stopping.start()
        placements = 0
        while True:
            self._placements([run for run in runs if run.error is None])
            live = [run for run in runs if run.error is None]
            if not live:
                return None
            before, placements = placements, even_out(live, placements)
            self.stopping.add(_estimates(runs, comparisons), placements - before)
            reason = self.stopping.finished()
            if reason:
                return reason

    def _placements(self, live: Sequence[TimedCase]) -> None:
        """The next placement of all; where some rest, the next few of these and of the others, by chance which first.

        What does not rest is slower for a while after the cores had nothing to do. Between the two nothing alternates.
        """
        groups = [group for rests in (False, True) if (group := [run for run in live if run.rests == rests])]
        together = self.stopping.room_for(self.plan.together) if len(groups) > 1 else 1
        for group in self.rng.sample(groups, len(groups)):
            wake = self.plan.wake if len(groups) > 1 and not group[0].rests else 0.0
            for done in range(together):
                able = [run for run in group if run.error is None]
                if not able or (all(run.placements for run in able) and self.stopping.must_end()):
                    break
                self._placement(able, 0.0 if done else wake)
                self.tell()

    def _placement(self, group: Sequence[TimedCase], wake: float) -> None:
        """Fresh memory, what is made anew for it, and the rounds."""
        self.fresh(group)
        gc.collect()
        live = [run for run in group if run.error is None]
        # In random order: of two copies the one that is made anew first may be the better off for the whole placement.
        # Graphs first: capturing one empties the allocator's cache.
        for run in sorted(self.rng.sample(live, len(live)), key=lambda run: run.prepared.graph is None):
            run.placements.append([])
            _attempt(run, run.settle, self.on_error)
        warm_cores(self.rng.sample(live, len(live)), wake, self.on_error)
        deadline = awake() + PLACEMENT_OVERDRAFT * self.plan.rounds * round_seconds(live)
        for done in range(self.plan.rounds):
            if done and awake() > deadline:
                break  # others took the machine: fewer rounds
            _round(live, self.rng, self.on_error)


def even_out(live: Sequence[TimedCase], since: int) -> int:
    """Leave every run as many placements as the one with the fewest, and as many rounds in each; returns how many.

    Args:
        since: placements that are even already.
    """
    placements = min(len(run.placements) for run in live)
    for run in live:
        del run.placements[placements:]
    for place in range(since, placements):
        rounds = min(len(run.placements[place]) for run in live)
        for run in live:
            del run.placements[place][rounds:]
    return placements


def warm_cores(runs: Sequence[TimedCase], seconds: float, on_error: OnError) -> None:
    """Untimed calls in turn for so long: the cores had nothing to do.

    What lies in memory beyond a core's own caches is slower for a while after the process has slept: sums over 4 MiB
    took 1.4 times as long for 10 to 100 ms, steps of an MLP 1.2 to 1.5 times for 0.1 to 0.5 s (2-core VM). Calls of
    0.2 s and more are not made for nothing.
    """
    end = awake() + seconds
    while awake() < end and (able := [run for run in runs if run.error is None and run.seconds < LONG_CALL_SECONDS]):
        for run in able:
            _attempt(run, run.call, on_error)


def _round(live: Sequence[TimedCase], rng: random.Random, on_error: OnError) -> None:
    """One round: all turns in random order; each case adds the median of its blocks."""
    turns = [run for run in live for _ in range(run.repeats)]
    rng.shuffle(turns)
    blocks: dict[int, list[Block]] = {id(run): [] for run in live}
    for run in turns:
        if run.error is None:
            block = _whole(run, on_error)
            if block is not None:
                blocks[id(run)].append(block)
                run.interruptions.add(block.switches, block.wall * run.calls)
    for run in live:
        if run.error is None:
            run.placements[-1].append(median_block(blocks[id(run)]))


def _whole(run: TimedCase, on_error: OnError) -> Block | None:
    """A block; one in which the process stood still is left out, and taken again."""
    for again in range(MAX_RETAKES + 1):
        block = _attempt(run, run.block, on_error)
        if block is None or not block.paused:
            return block
        run.left_out.seconds += block.paused
        if again < MAX_RETAKES:
            run.left_out.blocks += 1
    run.left_out.kept += 1  # it is stopped all the time: what limits a program's share of the CPU may do so
    return block


def _attempt(run: TimedCase, action: Callable[[], Block | object], on_error: OnError) -> Block | None:
    try:
        result = action()
    except Exception as error:  # noqa: BLE001 - any error of the workload becomes this case's reason
        run.error = on_error(run, error)
        return None
    return result if isinstance(result, Block) else None


def _estimates(runs: Sequence[TimedCase], comparisons: Sequence[tuple[int, int]]) -> Iterator[tuple[float, float]]:
    """(half-width, effect) of each comparison on the log scale; of each time where nothing is compared.

    One by one: the first that is too wide spares the rest.
    """
    live = [(one, other) for one, other in comparisons if runs[one].error is None and runs[other].error is None]
    for reference, case in live:
        estimate = speedup(runs[reference].blocks, runs[case].blocks)
        yield estimate.half_width, math.log(estimate.ratio)
    if not live:
        yield from ((seconds_per_call(run.blocks).half_width, 0.0) for run in runs if run.error is None)
