"""Shares the run's time among its families, and measures how much of it is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from time import monotonic

from torchduet.bench.cases.case import Case, Family, workload_of
from torchduet.bench.plan.first_visits import in_turns
from torchduet.bench.record.devices import HOST, device_kind
from torchduet.bench.record.schema import STARTING
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.suites.workload import COMPILED

TIER_BUDGET = {"quick": 90.0, "default": 900.0, "full": 3600.0}  # seconds
FIRST_GUESS = {"eager": 0.05, "compile": 6.0}  # seconds until a case can be timed
STARTING_GUESS = 2.0  # seconds until a process can use an accelerator: CUDA's context, cuBLAS and cuDNN
MIN_SECONDS = 0.4
SECONDS_PER_CASE = 2.0
ENERGY_SECONDS = (
    5.5  # of a case with --energy, about: the window of passes/energy, and half the wait for its first change
)
CALLS_SET_ASIDE = 1.25 * MIN_PLACEMENTS  # one a placement, and those of the check and the warm-up
GUESS_COUNTS = 5  # the first guess weighs as much as this many families
SMALL_WEIGHT = 0.3  # of a family that gets a small share, in cases
TOLERANCE = 0.05  # of a --budget: by how much families may overdraw it for the minimum that they need
TOLERATED_SECONDS = 60.0  # the same for a tier's default budget
GRACE = 0.2  # of the budget: by how much more a call in progress may overdraw it


@dataclass(frozen=True, slots=True)
class Spent:
    """What a family cost, and what the run learned from it.

    Attributes:
        fixed: seconds of its stages before timing; None: unknown.
        timing: seconds (allotted, used) for timing; None: nothing was timed.
        stages: seconds by stage.
        slow: (case, seconds of one call) of each case that was too slow.
        retry: its worker gave no answer, or it ended early; a resumed run measures it again if it was the last one.
    """

    fixed: float | None = None
    timing: tuple[float, float] | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    slow: tuple[tuple[Case, float], ...] = ()
    retry: bool = False

    @property
    def starting(self) -> float | None:
        """Seconds of starting its devices, among ``fixed``; None: unknown."""
        return self.stages.get(STARTING)


class Budget:
    """Time for the run: the first visit to every family, and the share that all visits to one may take.

    Three things are set aside for each family: the start of its accelerators in its process and its first calls
    (mainly compilation), whose costs are estimated from the families so far, and the minimum number of calls of each
    case whose author declares long calls. The rest is shared so that every case has the same time; the calls set aside
    count towards it. A share says which cases are too slow to be measured, and how long a visit takes at most; how many
    visits a family gets is decided in :mod:`torchduet.bench.plan.visits`.

    Args:
        call_seconds: family name → roughly how long one call takes, where its author declares it.
        extra: seconds that every case takes in addition, such as for its energy.
        asked_for: the user has set the budget, so it is kept; a tier's default may be overdrawn by a minute instead of
            leaving families out.
        spent: seconds of it that a resumed run has spent already.
        now: seconds of a clock (default: the monotonic one).
    """

    def __init__(
        self,
        seconds: float,
        families: Sequence[Family],
        call_seconds: Mapping[str, float] | None = None,
        extra: float = 0.0,
        *,
        asked_for: bool = True,
        spent: float = 0.0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._extra, self._now, self._seconds = extra, now or monotonic, seconds
        self._begun = self._now() - spent
        self._deadline, self._part = self._begun + seconds, seconds
        self._tolerance = TOLERANCE * seconds
        self._tolerated = self._tolerance if asked_for else TOLERATED_SECONDS
        self._families, self._left = list(families), list(families)
        self._call_seconds = call_seconds or {}
        self._costs: dict[str, list[float]] = {"eager": [], "compile": []}
        self._starts = [STARTING_GUESS]
        self._tried = self._measured = False

    def set_aside(self, seconds: float) -> None:
        """Reserve ``seconds`` for the time after the last family."""
        self._deadline -= seconds

    def use_only(self, seconds: float) -> None:
        """Let this process use only so many seconds of the budget, as other machines use the rest; can be changed.

        The shares of families, by which cases are too slow and visits are long, stay those of the whole budget.
        """
        self._deadline += seconds - self._part
        self._part = seconds

    def used(self) -> float:
        """Seconds since the budget began, with those that a resumed run had spent before."""
        return self._now() - self._begun

    def _fixed(self, family: Family) -> float:
        first_calls = sum(self._cost(_kind(case.mode)) + self._extra for case in family.cases if case.slowdown == 1)
        return self._starting(family) + first_calls

    def _starting(self, family: Family) -> float:
        # The lower median: the first start may read libraries from a slow disk, which does not happen again.
        return median_low(self._starts) * accelerators(family)

    def _cost(self, kind: str) -> float:
        # One family with a long compilation must not take the time of all families after it.
        costs = self._costs[kind]
        return (GUESS_COUNTS * FIRST_GUESS[kind] + sum(costs)) / (GUESS_COUNTS + len(costs))

    def _long_calls(self, family: Family) -> float:
        return CALLS_SET_ASIDE * self._call_seconds.get(family.name, 0.0) * len(family.cases)

    def seconds_left(self) -> float:
        """Seconds until the budget is used up; negative when it is overdrawn."""
        return self._deadline - self._now()

    def max_seconds(self) -> float:
        """Seconds that a family may take in all; 0 or less where the start of the run has used up the budget."""
        return self.seconds_left() + self._tolerated

    def of_first_visit(self) -> tuple[float, float]:
        """Seconds of grace for a family's first visit, and those that a compilation is expected to take.

        The grace is unlimited until anything is measured: a run has a result, however long a call takes. Of
        compilations nothing is expected until there was one.
        """
        costs = self._costs["compile"]
        return GRACE * self._seconds if self._measured else math.inf, sum(costs) / len(costs) if costs else 0.0

    def in_turns_first(self, family: Family) -> list[Family]:
        """Where too little may be left for all families: those to measure before this one.

        The suites take turns, the most relevant first, each with its cheapest family. So nothing is left out because
        its name comes late.
        """
        needed = sum(self._minimum(other) for other in self._left)
        if len(self._costs["compile"]) < GUESS_COUNTS:  # how long this machine compiles is hardly known yet
            needed += sum(self._cost("compile") * _compiled(other) for other in self._left)
        if needed <= self.seconds_left() + self._tolerated:
            return []
        order = in_turns(self._left, self._minimum)
        return order[: order.index(family)] if family in order else []

    def allot(self, family: Family) -> float | None:
        """Seconds for timing ``family`` in all of its visits; None when too little of the budget is left for it."""
        available = self.seconds_left() + self._tolerated
        first_try = not self._tried  # a run whose start has used up its budget still measures one family
        if not first_try and (available <= 0 or (self._minimum(family) > available and self._measured)):
            return None
        spare = max(0.0, self._seconds - sum(self._minimum(other) for other in self._families))
        return self._long_calls(family) + MIN_SECONDS + self._beyond_minimum(family, self._per_case(spare))

    def guess(self, family: Family) -> float:
        """The seconds that all visits to a family take, their first calls included, before anything is measured."""
        spare = max(0.0, self._seconds - math.fsum(map(self._minimum, self._families)))
        return self._minimum(family) + self._beyond_minimum(family, self._per_case(spare))

    def least(self, family: Family) -> float:
        """The seconds that a family takes at least, as far as is known so far."""
        return self._minimum(family)

    def _minimum(self, family: Family) -> float:
        return self._fixed(family) + self._long_calls(family) + MIN_SECONDS

    def _beyond_minimum(self, family: Family, per_case: float) -> float:
        """Seconds beyond those set aside for a family, where each case gets ``per_case``.

        A family of one case gets a small share: nothing is compared. So does a family whose long calls set aside take
        more than its share: each further call would cost as much as several short cases need.
        """
        fair = 0.0 if len(family.cases) == 1 else len(family.cases) * per_case - self._long_calls(family)
        return max(SMALL_WEIGHT * per_case, fair)

    def _per_case(self, spare: float) -> float:
        """The seconds per case with which the families use up all of ``spare``."""
        weight, set_aside = SMALL_WEIGHT * len(self._families), 0.0
        compared = [family for family in self._families if len(family.cases) > 1]
        additional = [(len(family.cases) - SMALL_WEIGHT, self._long_calls(family)) for family in compared]
        # Families with the fewest seconds set aside per case get more than the small share.
        for cases, long_calls in sorted(additional, key=lambda item: item[1] / item[0]):
            if long_calls / cases >= (spare + set_aside) / weight:
                break
            weight += cases
            set_aside += long_calls
        return (spare + set_aside) / weight

    def done(
        self,
        family: Family,
        fixed_seconds: float | None = None,
        *,
        measured: bool = False,
        starting: float | None = None,
    ) -> None:
        """Account for a family after its first visit.

        Args:
            fixed_seconds: seconds of its stages before timing, None if unknown.
            measured: whether anything of it was timed.
            starting: seconds of these for starting its devices, None if unknown.
        """
        self._left = [other for other in self._left if other is not family]
        self._tried = True
        self._measured = self._measured or measured
        if fixed_seconds is None:
            return
        if starting is not None and (devices := accelerators(family)):
            self._starts.append(starting / devices)
        fixed_seconds -= self._starting(family) if starting is None else starting
        fixed_seconds -= self._extra * sum(case.slowdown == 1 for case in family.cases)
        if compiled := _compiled(family):
            eager = (len(family.cases) - compiled) * self._cost("eager")
            self._costs["compile"].append(max(0.0, fixed_seconds - eager) / compiled)
        elif family.cases and not self._long_calls(family):
            self._costs["eager"].append(max(0.0, fixed_seconds) / len(family.cases))


def accelerators(family: Family) -> int:
    """How many devices a process starts before it can measure a family; the CPU needs no start."""
    return len({case.device for case in family.cases} - {HOST})


def call_seconds(families: Sequence[Family]) -> dict[str, float]:
    """Family's name → roughly the seconds of one call, as its workload declares; 0 if it does not."""
    return {family.name: _call_seconds(family.reference) for family in families}


def _call_seconds(reference: Case) -> float:
    return workload_of(reference).seconds_of(dict(reference.size), device_kind(reference.device))


def enough_for(families: Sequence[Family], seconds_per_case: float = SECONDS_PER_CASE) -> float:
    """A budget (seconds) that gives each case ``seconds_per_case``, and the time for first calls and starting GPUs."""
    cases = [case for family in families for case in family.cases]
    starting = STARTING_GUESS * sum(accelerators(family) for family in families)
    first_calls = sum(FIRST_GUESS[_kind(case.mode)] for case in cases if case.slowdown == 1)
    return starting + first_calls + seconds_per_case * len(cases)


def _compiled(family: Family) -> int:
    return sum(_kind(case.mode) == "compile" and case.slowdown == 1 for case in family.cases)


def _kind(mode: str) -> str:
    return "compile" if mode in COMPILED else "eager"
