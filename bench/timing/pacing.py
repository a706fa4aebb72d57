"""Pacing: how many calls make a block, how many blocks a round, how many rounds a placement. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torchduet.bench.timing.stopping import MAX_VISIT_PLACEMENTS, MIN_VISIT_PLACEMENTS

BLOCK_SECONDS = 3e-4
BLOCK_WARM_UP_SECONDS = 5e-5
WARMED_UP_BELOW = 5e-3  # seconds per call; a layer norm of 0.6 ms took a fifth longer without
AIM_PLACEMENTS = 8  # in a visit
PLACEMENT_SECONDS = 0.1
FEW_ROUNDS, MAX_ROUNDS = 2, 100
MAX_REPEATS = 50
CORE_WARM_UP_SECONDS = 0.3  # of untimed calls per placement and group, at most, where there are several groups
CORE_WARM_UP_SHARE = 0.25  # of the time for the fewest placements, at most, for all groups
MAX_TOGETHER = 4  # consecutive placements
MAX_STRETCH = 8
LONG_CALL_SECONDS = 0.2
PLACEMENT_OVERDRAFT = 3.0


@dataclass(frozen=True)
class Pattern:
    """How long blocks are, and the untimed calls before them.

    Attributes:
        seconds: of a block's calls, unless one takes longer.
        lead_in: seconds of untimed calls before a block.
        led_in_below: seconds per call; only calls shorter than this have untimed ones before them.
    """

    seconds: float = BLOCK_SECONDS
    lead_in: float = BLOCK_WARM_UP_SECONDS
    led_in_below: float = WARMED_UP_BELOW


USUAL = Pattern()
FEW_PLACEMENTS, LONG_PLACEMENT_SECONDS = MIN_VISIT_PLACEMENTS, 0.5  # where each makes wrappers and optimisers again
# Where other processes have their turns in between, caches hold their data, and threads that slept have to wake up.
BESIDE_OTHERS = Pattern(seconds=5e-3, lead_in=1e-3, led_in_below=0.05)


class Place(Protocol):
    """What a case runs on, such as a :class:`torchduet.bench.timing.device.Device`."""

    name: str

    @property
    def asynchronous(self) -> bool:
        """Whether it works beside the host, which launches its work."""


class Paced(Protocol):
    """What is timed in blocks, such as a :class:`torchduet.bench.timing.timed_case.TimedCase`."""

    calls: int  # per block
    pattern: Pattern
    cold: bool  # the cache is filled with other data before each call
    warm_up_calls: int  # untimed calls before each block
    pacing_seconds: float  # per call; sets its calls per block and turns per round: equal for cases timed alike
    repeats: int  # blocks per round
    seconds: float  # per call, as of the warm-up
    idle_waiting: bool  # its calls leave the cores idle for a while

    @property
    def device(self) -> Place:
        """What it runs on."""

    @property
    def max_calls(self) -> int:
        """The most calls per block."""

    @property
    def round_seconds(self) -> float:
        """Its seconds per round."""


@dataclass(frozen=True)
class Plan:
    """What is done in each placement.

    Attributes:
        rounds: rounds per placement; in each a case takes one block or several.
        consecutive: number of placements that each group of cases takes in succession, see :func:`groups`.
        core_warm_up_seconds: seconds of untimed calls before those of each group that is not idle-waiting.
    """

    rounds: int
    consecutive: int = 1
    core_warm_up_seconds: float = 0.0


P = TypeVar("P", bound=Paced)


def set_block(run: Paced, seconds: float) -> None:
    """Set the calls per block, and the warm-up calls before it where calls are short, from the seconds per call."""
    run.pacing_seconds = seconds
    run.calls = max(1, min(round(run.pattern.seconds / max(seconds, 1e-9)), run.max_calls))
    short = seconds < run.pattern.led_in_below and not run.cold
    run.warm_up_calls = math.ceil(run.pattern.lead_in / max(seconds, 1e-9)) if short else 0


def set_repeats(runs: Sequence[Paced], seconds: float) -> None:
    """Give short blocks several turns per round beside a long one.

    A case of 200 ms per call leaves time for few rounds, too few for cases of 1 ms beside it. These take up to 50 turns
    in each round: together about as long as the longest block or, if that is more and the fewest placements then fit
    into ``seconds``, the square root of the ratio of the longest block to their own. Of two times with equal scatter,
    the difference is most precise for the time spent if the numbers of blocks are inversely proportional to the square
    roots of the cost of a block (Cochran, *Sampling Techniques*, §5.5). In a group that is warmed, the cost of a round
    includes its part of that.
    """
    longest = max(run.pacing_seconds * run.calls for run in runs)
    warm_up = core_warm_up_seconds(runs, seconds)
    for generous in (True, False):
        for run in runs:
            block = max(run.pacing_seconds * run.calls, 1e-9)
            turns = longest / block / len(runs)
            if generous:
                turns = max(turns, math.sqrt((longest + warm_up / FEW_ROUNDS * (not run.idle_waiting)) / block))
            run.repeats = max(1, min(int(turns), MAX_REPEATS))
        if MIN_VISIT_PLACEMENTS * (round_seconds(runs) + warmed_groups(runs) * warm_up) <= seconds:
            break


def round_seconds(runs: Sequence[Paced]) -> float:
    """Seconds of one round of these cases, as of the warm-up."""
    return sum(run.round_seconds for run in runs)


def groups(runs: Sequence[P]) -> list[list[P]]:
    """The cases that alternate with each other, group by group: the others have placements of their own.

    Idle-waiting cases are apart, as their waiting leaves the cores idle. So are the cases on each accelerator: while
    cases elsewhere have their turns it idles and lowers its clocks, and its own turns would begin on a slow device.
    """
    found: dict[tuple[str, bool], list[P]] = {}
    for run in runs:
        found.setdefault((run.device.name if run.device.asynchronous else "", run.idle_waiting), []).append(run)
    return [found[key] for key in sorted(found)]


def warmed_groups(runs: Sequence[Paced]) -> int:
    """How many groups are warmed before their placements: those that are not idle-waiting, if there are others."""
    apart = groups(runs)
    return sum(not group[0].idle_waiting for group in apart) if len(apart) > 1 else 0


def core_warm_up_seconds(runs: Sequence[Paced], seconds: float) -> float:
    """Seconds of each placement for warming a group: its cores, or its device and that one's clocks.

    At most 0.3 s for a group, and a quarter of ``seconds`` for all of them; 0 where all cases alternate.
    """
    number = warmed_groups(runs)
    return min(CORE_WARM_UP_SECONDS, CORE_WARM_UP_SHARE * seconds / MIN_VISIT_PLACEMENTS / number) if number else 0.0


def _warm_up_seconds(runs: Sequence[Paced], seconds: float) -> float:
    """Seconds of each placement for warming all groups that are warmed."""
    return warmed_groups(runs) * core_warm_up_seconds(runs, seconds)


def rounds_per_placement(
    runs: Sequence[Paced],
    seconds: float,
    placements: int = AIM_PLACEMENTS,
    placement_seconds: float = PLACEMENT_SECONDS,
) -> int:
    """As many rounds as let 8 to 16 placements, the longest of a tenth of a second, fit into ``seconds``: 2 to 100.

    Where 8 placements leave no time for two rounds in each: two if 3 placements do, else one. The number is even: the
    median of two is their mean, and that of three is little better (for normal scatter, variances of 0.50 and 0.45 of
    that of one). It is at least two, as each placement takes untimed calls. Placements differ by more than the rounds
    within one (by 5 % and 2 % for a chain of products that took 30 ms): with much time there are more placements rather
    than longer ones.

    Args:
        placements, placement_seconds: how many to aim at, and how long the longest is.
    """
    one_round, warm_up = max(round_seconds(runs), 1e-9), _warm_up_seconds(runs, seconds)
    aim = min(max(placements, seconds / max(placement_seconds, 2 * warm_up)), MAX_VISIT_PLACEMENTS)
    fitting = min(int((seconds / aim - warm_up) / one_round), MAX_ROUNDS)
    if fitting >= FEW_ROUNDS:
        return fitting - fitting % 2
    return max(1, min(int((seconds / MIN_VISIT_PLACEMENTS - warm_up) / one_round), FEW_ROUNDS))


def plan_of(runs: Sequence[Paced], rounds: int, seconds: float) -> Plan:
    """The plan with this number of rounds.

    Where the cases are in several groups, each takes up to four placements in succession, provided that the time is
    still divided into three parts or more: the times of two groups relative to each other are estimated from the parts.
    A group is warmed once in each part, for up to twice the share of one placement.
    """
    if len(groups(runs)) == 1:
        return Plan(rounds)
    fitting = int(seconds / max(rounds * round_seconds(runs) + _warm_up_seconds(runs, seconds), 1e-9))
    consecutive = max(1, min(fitting // MIN_VISIT_PLACEMENTS, MAX_TOGETHER))
    return Plan(rounds, consecutive, min(consecutive, 2) * core_warm_up_seconds(runs, seconds))


def stretch(runs: Sequence[Paced], rounds: int, seconds: float) -> None:
    """Give every case more turns per round where even the largest number of placements leaves time unused.

    Changes of the machine from one second to the next average out only over a longer time.
    """
    all_placements = MAX_VISIT_PLACEMENTS * (rounds * round_seconds(runs) + _warm_up_seconds(runs, seconds))
    factor = min(math.ceil(seconds / max(all_placements, 1e-9)), MAX_STRETCH)
    for run in runs:
        run.repeats *= max(1, factor)


def set_pace(
    runs: Sequence[Paced],
    seconds: float,
    placements: int = AIM_PLACEMENTS,
    placement_seconds: float = PLACEMENT_SECONDS,
) -> Plan:
    """Set the blocks per round of each case; returns the plan that makes use of ``seconds``.

    Args:
        placements, placement_seconds: see :func:`rounds_per_placement`.
    """
    set_repeats(runs, seconds)
    rounds = rounds_per_placement(runs, seconds, placements, placement_seconds)
    stretch(runs, rounds, seconds)
    return plan_of(runs, rounds, seconds)
