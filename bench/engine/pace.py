"""How many calls make a block, how many blocks a round, how many rounds a placement. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

from bench.engine.estimate import MIN_PLACEMENTS
from bench.engine.stopping import MAX_PLACEMENTS

BLOCK_SECONDS = 2e-4
LEAD_IN_SECONDS = 5e-5
LED_IN_BELOW = 5e-3  # seconds per call; a layer norm of 0.6 ms took a fifth longer without
AIM_PLACEMENTS, MOST_AIMED = 20, 64
PLACEMENT_SECONDS = 0.1
LEAST_ROUNDS, MOST_ROUNDS = 5, 100
MOST_REPEATS = 50
MOST_STRETCH = 8
LONG_CALL_SECONDS = 0.2
OVERDRAFT = 2.0
PLACEMENT_OVERDRAFT = 3.0


class Paced(Protocol):
    """What is timed in blocks; :class:`bench.engine.run.Run` is."""

    calls: int  # per block
    cold: bool  # each call finds the cache full of something else
    lead_in: int  # untimed calls before each block
    repeats: int  # blocks per round
    seconds: float  # per call, as of the warm-up
    skip: str | None

    @property
    def most_calls(self) -> int:
        """Per block."""

    @property
    def round_seconds(self) -> float:
        """What it takes of a round."""


P = TypeVar("P", bound=Paced)


def set_block(run: Paced, seconds: float) -> None:
    """As many calls of so many seconds as make a block, and as a lead-in before it where they are short."""
    run.calls = max(1, min(round(BLOCK_SECONDS / max(seconds, 1e-9)), run.most_calls))
    short = seconds < LED_IN_BELOW and not run.cold
    run.lead_in = math.ceil(LEAD_IN_SECONDS / max(seconds, 1e-9)) if short else 0


def set_repeats(runs: Sequence[Paced]) -> None:
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
    """As many rounds as let 20 to 64 placements of a tenth of a second or more fit into ``seconds``: 5 to 100.

    Fewer than 5 where so many would not fit: long calls are averaged over placements instead. Placements
    differ by more than their rounds do (by 5 % and 2 % for a chain of products that took 30 ms), so that
    with much time there are to be more of them rather than longer ones.
    """
    one_round = sum(run.round_seconds for run in runs)
    aim = min(max(AIM_PLACEMENTS, seconds / PLACEMENT_SECONDS), MOST_AIMED)
    fitting = int(seconds / aim / max(one_round, 1e-9))
    if fitting >= LEAST_ROUNDS:
        return min(fitting, MOST_ROUNDS)
    least = int(seconds / MIN_PLACEMENTS / max(one_round, 1e-9))
    return max(1, min(least, LEAST_ROUNDS))


def stretch(runs: Sequence[Paced], rounds: int, seconds: float) -> None:
    """Give every block more turns per round where the most placements would leave time unused.

    What changes on the machine from one second to the next is only averaged out by lasting longer.
    """
    all_placements = MAX_PLACEMENTS * rounds * sum(run.round_seconds for run in runs)
    factor = min(math.ceil(seconds / max(all_placements, 1e-9)), MOST_STRETCH)
    for run in runs:
        run.repeats *= max(1, factor)
