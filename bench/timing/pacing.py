"""How many calls make a block, how many blocks a round, how many rounds a placement. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.timing.stopping import MAX_PLACEMENTS

BLOCK_SECONDS = 2e-4
BLOCK_WARM_UP_SECONDS = 5e-5
WARMED_UP_BELOW = 5e-3  # seconds per call; a layer norm of 0.6 ms took a fifth longer without
AIM_PLACEMENTS, MAX_AIMED = 20, 64
PLACEMENT_SECONDS = 0.1
FEW_ROUNDS, MAX_ROUNDS = 2, 100
MAX_REPEATS = 50
CORE_WARM_UP_SECONDS = 0.3  # of untimed calls per placement, at the most, where others have rested
CORE_WARM_UP_SHARE = 0.25  # of the time for the fewest placements, at the most
MAX_TOGETHER = 4  # placements
MAX_STRETCH = 8
LONG_CALL_SECONDS = 0.2
OVERDRAFT = 2.0
PLACEMENT_OVERDRAFT = 3.0


class Paced(Protocol):
    """What is timed in blocks; :class:`torchduet.bench.timing.timed_case.TimedCase` is."""

    calls: int  # per block
    cold: bool  # each call finds the cache full of something else
    lead_in: int  # untimed calls before each block
    paced: float  # seconds per call that its blocks and turns are set by: the same for all that are timed alike
    repeats: int  # blocks per round
    seconds: float  # per call, as of the warm-up
    skip: str | None
    rests: bool  # its calls leave the cores idle for a while

    @property
    def most_calls(self) -> int:
        """Per block."""

    @property
    def round_seconds(self) -> float:
        """What it takes of a round."""


@dataclass(frozen=True)
class Plan:
    """What is done in each placement.

    Attributes:
        rounds: blocks of each case, or turns of several.
        together: so many placements of the cases that rest follow each other, and so many of the others.
        wake: seconds of untimed calls before those of the others.
    """

    rounds: int
    together: int = 1
    wake: float = 0.0


P = TypeVar("P", bound=Paced)


def set_block(run: Paced, seconds: float) -> None:
    """As many calls of so many seconds as make a block, and as a lead-in before it where they are short."""
    run.paced = seconds
    run.calls = max(1, min(round(BLOCK_SECONDS / max(seconds, 1e-9)), run.most_calls))
    short = seconds < WARMED_UP_BELOW and not run.cold
    run.lead_in = math.ceil(BLOCK_WARM_UP_SECONDS / max(seconds, 1e-9)) if short else 0


def set_repeats(runs: Sequence[Paced], seconds: float) -> None:
    """Give short blocks several turns per round beside a long one.

    A case of 200 ms per call lets few rounds fit, too few for its neighbours of 1 ms. These take up to
    50 turns in each round, together about as long as the longest block; or, if that is more and the fewest
    placements then fit into ``seconds``, the root of how many would take as long as that one: of two times that
    scatter alike the difference is known best, for the time that it takes, if their numbers are inversely as the
    roots of what one of each costs (Cochran, *Sampling Techniques*, §5.5). A round beside cases that rest costs its
    part of waking, too.
    """
    longest = max(run.paced * run.calls for run in runs)
    wakes = core_warm_up_seconds(runs, seconds)
    for generous in (True, False):
        for run in runs:
            own = max(run.paced * run.calls, 1e-9)
            turns = longest / own / len(runs)
            if generous:
                turns = max(turns, math.sqrt((longest + wakes / FEW_ROUNDS * (not run.rests)) / own))
            run.repeats = max(1, min(int(turns), MAX_REPEATS))
        if MIN_PLACEMENTS * (round_seconds(runs) + wakes) <= seconds:
            break


def round_seconds(runs: Sequence[Paced]) -> float:
    """What a round of these takes, as of the warm-up."""
    return sum(run.round_seconds for run in runs)


def mixed(runs: Sequence[Paced]) -> bool:
    """Whether some leave the cores idle for a while, and some do not."""
    return len({run.rests for run in runs}) > 1


def core_warm_up_seconds(runs: Sequence[Paced], seconds: float) -> float:
    """What waking the cores may take of each placement, where some rest: 0.3 s, or less where ``seconds`` are few."""
    return min(CORE_WARM_UP_SECONDS, CORE_WARM_UP_SHARE * seconds / MIN_PLACEMENTS) if mixed(runs) else 0.0


def too_slow(seconds: float, family: float, share: float) -> str:
    """Why a case is left out: what one call takes, what its family would, and what there is (seconds)."""
    return (
        f"one call takes {seconds:.2g} s, so timing its family takes {family:.0f} s and its share of "
        f"the budget is {share:.1f} s; raise --budget or select fewer cases with -k"
    )


def leave_out_too_slow(runs: Sequence[P], seconds: float, most: float = math.inf) -> list[P]:
    """The runs that can be timed in 8 placements within twice ``seconds``, and ``most``; the slowest are left out.

    What is left out is marked with the reason, which says what one call took.
    """
    kept = list(runs)
    seconds, most = min(seconds, most), min(OVERDRAFT * seconds, most)
    while kept:
        needed = MIN_PLACEMENTS * sum(run.seconds * run.calls for run in kept)
        if needed <= most:
            break
        slowest = max(kept, key=lambda run: run.seconds)
        kept.remove(slowest)
        slowest.skip = too_slow(slowest.seconds, needed, seconds)
    return kept


def rounds_per_placement(runs: Sequence[Paced], seconds: float) -> int:
    """As many rounds as let 20 to 64 placements of a tenth of a second or more fit into ``seconds``: 2 to 100.

    Where not even two fit into each of 20, two as long as there are 8 placements, else one. An even number: the median
    of two is their mean, and that of three not much better (for normal scatter variances of 0.50 and 0.45 of one's);
    at least two, as each placement takes untimed calls. Placements differ by more than their rounds do (by 5 % and 2 %
    for a chain of products that took 30 ms), so that with much time there are to be more of them rather than longer
    ones; of fewer than 20 the interval is much the wider for being taken from few.
    """
    one_round, wakes = max(round_seconds(runs), 1e-9), core_warm_up_seconds(runs, seconds)
    aim = min(max(AIM_PLACEMENTS, seconds / max(PLACEMENT_SECONDS, 2 * wakes)), MAX_AIMED)
    fitting = min(int((seconds / aim - wakes) / one_round), MAX_ROUNDS)
    if fitting >= FEW_ROUNDS:
        return fitting - fitting % 2
    return max(1, min(int((seconds / MIN_PLACEMENTS - wakes) / one_round), FEW_ROUNDS))


def plan_of(runs: Sequence[Paced], rounds: int, seconds: float) -> Plan:
    """With so many rounds.

    Where some rest, up to four placements of theirs follow each other, and then as many of the others, if these are
    then divided into eight parts or more: what the two are like relative to each other is told by the parts. Those that
    do not rest are woken once in each part, for up to twice as long as one placement's share of waking.
    """
    if not mixed(runs):
        return Plan(rounds)
    wakes = core_warm_up_seconds(runs, seconds)
    fitting = int(seconds / max(rounds * round_seconds(runs) + wakes, 1e-9))
    together = max(1, min(fitting // MIN_PLACEMENTS, MAX_TOGETHER))
    return Plan(rounds, together, min(together, 2) * wakes)


def stretch(runs: Sequence[Paced], rounds: int, seconds: float) -> None:
    """Give every block more turns per round where the most placements would leave time unused.

    What changes on the machine from one second to the next is only averaged out by lasting longer.
    """
    all_placements = MAX_PLACEMENTS * (rounds * round_seconds(runs) + core_warm_up_seconds(runs, seconds))
    factor = min(math.ceil(seconds / max(all_placements, 1e-9)), MAX_STRETCH)
    for run in runs:
        run.repeats *= max(1, factor)


def set_pace(runs: Sequence[Paced], seconds: float) -> Plan:
    """Set how many blocks each has per round, and say what is done in each placement to make use of ``seconds``."""
    set_repeats(runs, seconds)
    rounds = rounds_per_placement(runs, seconds)
    stretch(runs, rounds, seconds)
    return plan_of(runs, rounds, seconds)
