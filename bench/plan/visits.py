"""Which family a run visits next, and for how long: after the first visit to every family, where it is worth most.

It looks at the widths of intervals, the sizes of effects and what a visit costs, never at which side is faster.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torchduet.bench.cases.case import Family
from torchduet.bench.record.moderation import Estimate
from torchduet.bench.record.statistics import wanted

MIN_VISITS = 3  # to every family before any gets more
MAX_VISITS = 40
PRECISE_VISITS, PRECISE_SPAN = 4, 20.0  # and seconds from the first to the last: a family is not precise before
LONE_VISITS, FEW_LONE_VISITS = 5, 2  # to a family in which nothing is compared; before others get more than three
MIN_VISIT_SECONDS = 0.25
IN_RANKS_SECONDS = 1.5  # the same where processes of a group have to be started for each visit
BESIDE, BESIDE_COMPILED = 0.2, 0.6  # a guess: seconds of a later visit beside its timing, and for a compiled case
BESIDE_RANKS = 1.0  # the same for processes of a group
BESIDE_CALLS = 2  # of a long call, in a later visit: the first one and the warm-up
SECONDS_PER_CASE = 0.06
MAX_VISIT_SECONDS = 4.0
VISITS_PER_SHARE = 8  # a visit is no longer than this part of what a family may take
TIMED_SHARE = 1.0  # seconds of timing for each second that a visit takes beside it
SPARE = 1.1  # a visit may take this much longer than those before


@dataclass
class Visited:
    """A family's visits so far.

    Attributes:
        cases: how many are timed.
        share: seconds that all visits to it may time.
        compared: whether anything is compared; else the times alone are measured.
        begun: when each visit's timing began, in seconds into the run.
        beside: seconds that a later visit takes beside its timing, as of the last one; before that a guess.
        least: seconds that the fewest placements of a visit take.
        needs: how many times the wanted half-width its widest interval has; infinite without an interval.
        failed: why no further visit is made; empty while there may be one.
        shortest: seconds that a visit times at least.
    """

    name: str
    cases: int
    share: float
    compared: bool
    begun: list[float] = field(default_factory=list)
    beside: float = BESIDE
    least: float = 0.0
    needs: float = math.inf
    failed: str = ""
    shortest: float = MIN_VISIT_SECONDS

    @property
    def number(self) -> int:
        """How many visits were made."""
        return len(self.begun)

    @property
    def done(self) -> bool:
        """Whether another visit would decide nothing."""
        if self.failed or self.number >= MAX_VISITS:
            return True
        if not self.compared:
            return self.number >= LONE_VISITS
        return self.needs <= 1 and self.number >= PRECISE_VISITS and self.begun[-1] - self.begun[0] >= PRECISE_SPAN

    @property
    def timing(self) -> float:
        """Seconds that the next visit times: as long as it takes beside that, within bounds."""
        beside = self.beside if self.number > 1 else 0.0
        return max(self.least, visit_seconds(self.cases, self.share, beside, self.shortest))

    @property
    def cost(self) -> float:
        """Seconds that the next visit takes."""
        return self.beside + self.timing

    @property
    def gain(self) -> float:
        """What another visit gains: how much narrower the widest interval becomes, as far as that is needed."""
        if not self.compared:
            return 0.0
        narrower = 1 / self.number if self.number else 1.0  # in logarithms; the quantile of t falls, too
        return min(narrower, math.log(self.needs)) if self.needs > 1 else 0.1 * narrower


def visit_seconds(cases: int, share: float, beside: float = 0.0, shortest: float = MIN_VISIT_SECONDS) -> float:
    """Seconds that one visit to a family of so many cases times.

    Visits are short and many: what differs from visit to visit is more than what differs within one. But the time that
    a visit takes beside its timing (a process, inputs, loading compiled code) is to be worth it.
    """
    least = max(shortest, SECONDS_PER_CASE * cases)
    return max(least, min(TIMED_SHARE * beside, share / VISITS_PER_SHARE, MAX_VISIT_SECONDS))


def shortest_visit(family: Family, seconds: float = MIN_VISIT_SECONDS) -> float:
    """Seconds that a visit to a family times at least.

    Args:
        seconds: the same where all cases run in one process.
    """
    return max(seconds, IN_RANKS_SECONDS) if in_ranks(family) else seconds


def in_ranks(family: Family) -> bool:
    """Whether cases of a family run in several processes."""
    return any(case.ranks is not None for case in family.cases)


def guess_beside(compiled: int, starting: float = 0.0, *, ranks: bool = False, calls: float = 0.0) -> float:
    """Seconds that a later visit takes beside its timing, before there was one.

    Args:
        calls: seconds of one call of each case whose calls are long.
        ranks: processes of a group have to be started for it.
        compiled: how many of the cases are compiled.
        starting: seconds of starting its devices in the first visit: each visit is a process of its own.
    """
    return BESIDE + BESIDE_COMPILED * compiled + BESIDE_RANKS * ranks + starting + BESIDE_CALLS * calls


def needs_of(estimates: Iterable[Estimate]) -> float:
    """How many times as wide as wanted the widest interval is."""
    return max((found.half_width / wanted(found.point) for found in estimates), default=1.0)


class Rounds:
    """The order of the visits after the first ones.

    Until every family has three visits (two where nothing is compared), families take turns, each turn in a new random
    order (where the time is too short for all, the cheapest first). Then the family comes next whose interval becomes
    narrowest for what a visit costs. No family is visited twice in a row while another is left.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._last = ""

    def next(self, families: Sequence[Visited], seconds: float) -> Visited | None:
        """The family to visit in the ``seconds`` that are left; None where no visit fits or decides anything."""
        fitting = [family for family in families if not family.done and SPARE * family.cost <= seconds]
        others = [family for family in fitting if family.name != self._last] or fitting
        if not others:
            return None
        chosen = self._few(others, seconds) or max(others, key=lambda family: family.gain / family.cost)
        self._last = chosen.name
        return chosen

    def _few(self, families: Sequence[Visited], seconds: float) -> Visited | None:
        """One of those with the fewest visits, if fewer than three; two are enough where nothing is compared."""
        due = [family for family in families if family.number < (MIN_VISITS if family.compared else FEW_LONE_VISITS)]
        if not due:
            return None
        fewest = min(family.number for family in due)
        few = [family for family in due if family.number == fewest]
        if sum(family.cost for family in few) > seconds:
            return min(few, key=lambda family: family.cost)
        return self._rng.choice(few)
