"""Placements × rounds: all cases of a family timed in alternation on the same tensors."""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

import torch

from bench.engine.clock import Block, Clock, median_block
from bench.engine.estimate import MIN_PLACEMENTS, seconds_per_call, speedup
from bench.engine.precision import matmul_precision
from bench.engine.prepare import Prepared
from bench.engine.slowdown import extra_work
from bench.engine.stopping import Stopping
from bench.engine.task import Interruptions

BLOCK_SECONDS = 2e-4
LEAD_IN_SECONDS = 5e-5
LED_IN_BELOW = 5e-3  # seconds per call; a layer norm of 0.6 ms took a fifth longer without
SIMILAR = 1.25
AIM_PLACEMENTS = 20
LEAST_ROUNDS, MOST_ROUNDS = 5, 100
WINDOW = 5
STILL_FALLING = 0.98
MOST_REPEATS = 50
LONG_CALL_SECONDS = 0.2
OVERDRAFT = 2.0
PLACEMENT_OVERDRAFT = 3.0


@dataclass
class Run:
    """One case while it is being timed: what to call, how often per block, and the blocks so far."""

    prepared: Prepared
    clock: Clock
    calls: int = 1
    repeats: int = 1  # blocks per round; the round counts as their median
    seconds: float = 0.0  # per call, as of the warm-up
    lead_in: int = 0  # untimed calls before each block
    placements: list[list[Block]] = field(default_factory=list)
    interruptions: Interruptions = field(default_factory=Interruptions)
    error: str | None = None
    skip: str | None = None
    extra: Callable[[], None] | None = None  # what a slowed copy does in each block beside its calls

    @property
    def blocks(self) -> list[list[float]]:
        """Seconds per call, per placement and round."""
        return [[block.seconds for block in placement] for placement in self.placements]

    def block(self) -> Block:
        """Time one block, with the case's global state entered around it and left again.

        The first calls after another case's find that one's data and code in the caches. Of short calls
        they go untimed: otherwise those of which fewer fit into a block would seem slower.
        """
        call, args = self.prepared.call, self.prepared.args
        with matmul_precision(self.prepared.case.precision):
            with self._unmetered():
                for _ in itertools.repeat(None, self.lead_in):
                    call(*args)
            return self.clock.block(call, args, self.calls, self.extra)

    @property
    def round_seconds(self) -> float:
        """What this case takes of a round, as of the warm-up."""
        return self.seconds * (self.calls + self.lead_in) * self.repeats

    def call(self) -> object:
        """One untimed call, of which the meter keeps nothing; waits for the device."""
        with self._unmetered(), matmul_precision(self.prepared.case.precision):
            result = self.prepared.call(*self.prepared.args)
            self.clock.synchronize()
            return result

    @contextlib.contextmanager
    def _unmetered(self) -> Iterator[None]:
        meter = self.prepared.context.meter
        meter.paused = True
        try:
            yield
        finally:
            meter.paused = False


OnError = Callable[[Run, Exception], str]


def slow_down(run: Run, original: Run) -> None:
    """Make ``run`` a copy of the one that is warm, slowed down by its case's factor."""
    case = run.prepared.case
    run.calls, run.lead_in, run.seconds = original.calls, original.lead_in, original.seconds
    typical = median(original.block().seconds for _ in range(WINDOW))
    run.extra = extra_work(case.device, (case.slowdown - 1) * typical * run.calls)


def warm_up(run: Run, seconds: float) -> None:
    """Call until block times stop falling, for at most about ``seconds``, and set the block length.

    A block is about 0.2 ms, or one call where that takes longer. Block times have stopped falling when
    the median of five blocks is no longer 2 % under that of the five before. Of calls of 0.2 s and more
    one is enough: the check has made another before.
    """
    deadline = monotonic() + seconds
    windows: list[float] = []
    while True:
        blocks = []
        for _ in range(WINDOW):
            block = run.block()
            blocks.append(block.seconds)
            if block.wall * run.calls < BLOCK_SECONDS / 2:
                run.calls = min(run.calls * 10, max(1, round(BLOCK_SECONDS / max(block.wall, 1e-9))))
                break
            if block.wall >= LONG_CALL_SECONDS or monotonic() >= deadline:
                deadline = monotonic()
                break
        else:
            windows.append(median(blocks))
            if len(windows) >= 2 and windows[-1] >= STILL_FALLING * windows[-2]:
                break
        if monotonic() >= deadline:
            break
    run.seconds = min([*windows, *blocks])
    set_block(run, run.seconds)


def set_block(run: Run, seconds: float) -> None:
    """As many calls of so many seconds as make a block, and as a lead-in before it where they are short."""
    run.calls = max(1, round(BLOCK_SECONDS / max(seconds, 1e-9)))
    run.lead_in = math.ceil(LEAD_IN_SECONDS / max(seconds, 1e-9)) if seconds < LED_IN_BELOW else 0


def align_blocks(runs: Sequence[Run], comparisons: Sequence[tuple[int, int]], on_error: OnError) -> None:
    """Give cases that are compared and take about as long the same number of calls per block.

    What a block adds to its calls, the reading of the clock and the first call's last cold caches, then
    is the same share of both, and cancels where a small difference counts.

    Args:
        comparisons: pairs of indices into ``runs``.
        on_error: turns an exception of a run into the reason for the record.
    """
    _time_in_turns([run for run in runs if run.seconds < LED_IN_BELOW], on_error)
    alike = {index: {index} for index in range(len(runs))}
    for one, other in comparisons:
        low, high = sorted((runs[one].seconds, runs[other].seconds))
        if high <= SIMILAR * low:
            joined = alike[one] | alike[other]
            alike |= dict.fromkeys(joined, joined)
    for index, group in alike.items():
        set_block(runs[index], min(runs[member].seconds for member in group))


def _time_in_turns(runs: Sequence[Run], on_error: OnError) -> None:
    """Replace the warm-ups' times, between which the machine may have changed, by some taken in alternation."""
    times: dict[int, list[float]] = {id(run): [] for run in runs}
    for run in (one for _ in range(WINDOW) for one in runs if one.error is None):
        block = _attempt(run, run.block, on_error)
        if block is not None:
            times[id(run)].append(block.seconds)
    for run in runs:
        run.seconds = min(times[id(run)], default=run.seconds)


def set_repeats(runs: Sequence[Run]) -> None:
    """Give short blocks several turns per round beside a long one.

    A case of 200 ms per call lets few rounds fit, too few for its neighbours of 1 ms. These take up to
    50 turns in each round, together about as long as the longest block.
    """
    longest = max(run.seconds * run.calls for run in runs)
    for run in runs:
        fitting = int(longest / max(len(runs) * run.seconds * run.calls, 1e-9))
        run.repeats = max(1, min(fitting, MOST_REPEATS))


def too_slow(seconds: float, family: float, share: float) -> str:
    """Why a case is left out: what one call takes, what its family would, and what there is (seconds)."""
    return (
        f"one call takes {seconds:.2g} s, so timing its family takes {family:.0f} s and its share of "
        f"the budget is {share:.1f} s; raise --budget or select fewer cases with -k"
    )


def leave_out_too_slow(runs: Sequence[Run], seconds: float) -> list[Run]:
    """The runs that can be timed in 8 placements within twice ``seconds``; the slowest are left out.

    What is left out is marked with the reason, which says what one call took.
    """
    kept = list(runs)
    while kept:
        needed = MIN_PLACEMENTS * sum(run.seconds * run.calls for run in kept)
        if needed <= OVERDRAFT * seconds:
            break
        slowest = max(kept, key=lambda run: run.seconds)
        kept.remove(slowest)
        slowest.skip = too_slow(slowest.seconds, needed, seconds)
    return kept


def rounds_per_placement(runs: Sequence[Run], seconds: float) -> int:
    """As many rounds as let about 20 placements fit into ``seconds``, between 5 and 100.

    Fewer than 5 where so many would not fit: long calls are averaged over placements instead.
    """
    one_round = sum(run.round_seconds for run in runs)
    fitting = int(seconds / AIM_PLACEMENTS / max(one_round, 1e-9))
    if fitting >= LEAST_ROUNDS:
        return min(fitting, MOST_ROUNDS)
    least = int(seconds / MIN_PLACEMENTS / max(one_round, 1e-9))
    return max(1, min(least, LEAST_ROUNDS))


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


def alternate(
    runs: Sequence[Run],
    comparisons: Sequence[tuple[int, int]],
    fresh: Callable[[], None],
    stopping: Stopping,
    rounds: int,
    rng: random.Random,
    on_error: OnError,
    tell: Callable[[int], None],
) -> str:
    """Time the runs in alternation until the stopping rule says so; returns its reason.

    Args:
        runs: the cases; a run that raises is marked with its error and left out from then on.
        comparisons: pairs (reference, case) of indices into ``runs``; their widths decide the stop.
        fresh: moves the inputs of all runs to fresh memory; one call is a new placement.
        rounds: blocks of each case per placement, each round in a new random order.
        on_error: turns an exception of a run into the reason for the record.
        tell: called after each placement with how many are done.
    """
    stopping.start()
    placements = 0
    while True:
        try:
            fresh()
        except Exception as error:  # noqa: BLE001 - out of memory: becomes the reason of every case
            for run in runs:
                run.error = run.error or f"no room for fresh inputs: {on_error(run, error)}"
            return "failed"
        gc.collect()
        live = [run for run in runs if run.error is None]
        for run in live:
            run.placements.append([])
            if run.seconds < LONG_CALL_SECONDS:
                _attempt(run, run.call, on_error)
        deadline = monotonic() + PLACEMENT_OVERDRAFT * rounds * sum(run.round_seconds for run in live)
        for _ in range(rounds):
            if monotonic() > deadline and live[0].placements[-1]:
                break  # others took the machine: fewer rounds, equally many of every case
            _round(live, rng, on_error)
        if all(run.error for run in runs):
            return "failed"
        placements += 1
        stopping.add(_estimates(runs, comparisons))
        tell(placements)
        reason = stopping.finished()
        if reason:
            return reason


def _round(live: Sequence[Run], rng: random.Random, on_error: OnError) -> None:
    """One round: all turns in random order; each case adds the median of its blocks."""
    turns = [run for run in live for _ in range(run.repeats)]
    rng.shuffle(turns)
    blocks: dict[int, list[Block]] = {id(run): [] for run in live}
    for run in turns:
        if run.error is None:
            block = _attempt(run, run.block, on_error)
            if block is not None:
                blocks[id(run)].append(block)
                run.interruptions.add(block.switches, block.wall * run.calls)
    for run in live:
        if run.error is None:
            run.placements[-1].append(median_block(blocks[id(run)]))


def _attempt(run: Run, action: Callable[[], Block | object], on_error: OnError) -> Block | None:
    try:
        result = action()
    except Exception as error:  # noqa: BLE001 - any error of the workload becomes this case's reason
        run.error = on_error(run, error)
        return None
    return result if isinstance(result, Block) else None


def _estimates(runs: Sequence[Run], comparisons: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """(half-width, effect) of each comparison on the log scale; of each time where nothing is compared."""
    found = []
    for reference, case in comparisons:
        if runs[reference].error is None and runs[case].error is None:
            estimate = speedup(runs[reference].blocks, runs[case].blocks)
            found.append((estimate.half_width, math.log(estimate.ratio)))
    return found or [(seconds_per_call(run.blocks).half_width, 0.0) for run in runs if run.error is None]
