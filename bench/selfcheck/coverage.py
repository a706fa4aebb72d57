"""Simulates runs and counts how often the 99 % intervals over visits hold the true value."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from torchduet.bench.record.moderation import MIN_TRIMMED_ALONE
from torchduet.bench.record.proportions import BOUNDS_CONFIDENCE, clopper_pearson
from torchduet.bench.record.statistics import CONFIDENCE
from torchduet.bench.selfcheck.many_moderations import Floats, centres, half_widths, half_widths_alone, priors
from torchduet.bench.selfcheck.simulated_visits import Cell, Simulated, draw

SEED = 22
VISITS = (3, 4, 6, 8, 12)
FAMILIES = (10, 30, 100, 300)
DEVIATIONS = (0.005, 0.01, 0.02, 0.05)  # and 0, for which it does not matter how alike families are
DEGREES = (1.4, 4.0, math.inf)
FEW_FAMILIES = (1, 2, 5)
GOAL = (0.985, 0.995)
COMPARISONS, QUICK_COMPARISONS = 40_000, 4_000  # simulated in each cell …
MIN_RUNS = 100  # … of so many runs or more
LEARNED_FAMILIES, LEARNED_VISITS = 30, 4  # of the earlier run on the machine that a run of few families learns from

Intervals = tuple[Floats, Floats]  # centres and half widths, runs × comparisons
Method = Callable[[Cell, Simulated, np.random.Generator], Intervals]


@dataclass(frozen=True)
class Coverage:
    """The share of intervals that hold the true value, with bounds at 95 %; widths are on the log scale."""

    share: float
    low: float
    high: float
    half_width: float  # the median

    @property
    def within_goal(self) -> bool:
        """Whether the share is within the goal, as far as the bounds tell."""
        return self.high >= GOAL[0] and self.low <= GOAL[1]


def moderated(cell: Cell, simulated: Simulated, _: np.random.Generator) -> Intervals:
    """By a prior that the families of the same run give."""
    of = centres(simulated.values, simulated.errors)
    return of.centre, half_widths(of, *priors(of, 1 / cell.comparisons))


def least_alike(cell: Cell, simulated: Simulated, generator: np.random.Generator) -> Intervals:
    """As :func:`moderated`, of the tenth of each run's families that truly differ most from visit to visit."""
    most = np.argsort(simulated.deviation, axis=1)[:, -(cell.families // 10) :]
    centre, widths = moderated(cell, simulated, generator)
    return np.take_along_axis(centre, most, axis=1), np.take_along_axis(widths, most, axis=1)


def alone(_cell: Cell, simulated: Simulated, _: np.random.Generator) -> Intervals:
    """By the plain t of the visits."""
    of = centres(simulated.values, simulated.errors, MIN_TRIMMED_ALONE)
    return of.centre, half_widths_alone(of)


def learned(cell: Cell, simulated: Simulated, generator: np.random.Generator) -> Intervals:
    """By a prior that an earlier run of many families gave."""
    of = centres(simulated.values, simulated.errors)
    earlier = replace(cell, families=LEARNED_FAMILIES, visits=LEARNED_VISITS, comparisons=1)
    before = draw(earlier, len(of.centre), generator)
    return of.centre, half_widths(of, *priors(centres(before.values, before.errors)))


def coverage(cell: Cell, method: Method = moderated, comparisons: int = COMPARISONS) -> Coverage:
    """Simulate at least so many comparisons of a cell; the same ones whenever it is called."""
    runs = max(MIN_RUNS, math.ceil(comparisons / (cell.families * cell.comparisons)))
    generator = np.random.default_rng([SEED, cell.visits, cell.families, cell.comparisons, int(cell.heavy)])
    centre, widths = method(cell, draw(cell, runs, generator), generator)
    held = np.abs(centre) <= widths
    return Coverage(float(held.mean()), *bounds(held), float(np.median(widths)))


def bounds(held: np.typing.NDArray[np.bool_]) -> tuple[float, float]:
    """Clopper-Pearson bounds for the share that is held; runs × comparisons.

    The comparisons of a run share a prior: n of them count as n / (variance of the runs' shares / binomial variance).
    """
    share, number = float(held.mean()), held.size
    binomial = share * (1 - share) / held.shape[1]
    excess = max(1.0, float(held.mean(axis=1).var(ddof=1)) / binomial) if binomial else 1.0
    independent = round(number / excess)
    low, high = clopper_pearson(round((1 - share) * independent), independent)
    return 1 - high, 1 - low


def grid(families: Sequence[int] = FAMILIES) -> Iterator[tuple[Cell, ...]]:
    """The rows of the table: cells that differ in their visits alone."""
    for heavy in (False, True):
        spreads = [(0.0, math.inf), *itertools.product(DEVIATIONS, DEGREES)]
        for (deviation, degrees), number in itertools.product(spreads, families):
            yield tuple(Cell(visits, number, deviation, degrees, heavy) for visits in VISITS)


def few_families() -> Iterator[tuple[Cell, ...]]:
    """Rows for runs of one to five families, which get no prior of their own or hardly one."""
    for heavy, number, deviation in itertools.product((False, True), FEW_FAMILIES, (0.0, 0.02)):
        yield tuple(Cell(visits, number, deviation, 4.0 if deviation else math.inf, heavy) for visits in VISITS)


def tables(quick: bool = False) -> Iterator[tuple[str, Iterator[tuple[Cell, ...]], Method]]:
    """What each table shows, its rows, and how its intervals are made."""
    yield "Moderated by the families of the run", grid(FAMILIES[:2] if quick else FAMILIES), moderated
    yield "A few families without a prior: plain t of the visits", few_families(), alone
    earlier = f"{LEARNED_FAMILIES} families with {LEARNED_VISITS} visits"
    yield f"A few families, moderated by an earlier run of {earlier}", few_families(), learned
    different = (tuple(Cell(visits, 30, 0.02, degrees) for visits in VISITS) for degrees in DEGREES[:2])
    yield "The tenth of the families of a run that differ most from visit to visit", different, least_alike
    dependent = tuple(replace(cell, comparisons=3) for cell in (Cell(visits, 30, 0.02, 1.4) for visits in VISITS))
    yield "Three comparisons in each family, which share its reference", iter([dependent]), moderated


def report(quick: bool = False) -> Iterator[str]:
    """Simulate all cells: yields the lines of the tables, and at the end the cells beyond the goal.

    Args:
        quick: a tenth of the comparisons, and of the grid only runs of 10 and of 30 families.
    """
    number = QUICK_COMPARISONS if quick else COMPARISONS
    yield (
        f"Share of {CONFIDENCE:.0%} intervals over visits that hold the true value, its bounds at "
        f"{BOUNDS_CONFIDENCE:.0%}, and the median of half their widths; * beyond {GOAL[0]:.1%} to {GOAL[1]:.1%}"
    )
    cells = beyond = 0
    for title, rows, method in tables(quick):
        yield f"\n{title}\n{HEADINGS}" + "".join(f"{f'{visits} visits':<37}" for visits in VISITS)
        for row in rows:
            found = [coverage(cell, method, number) for cell in row]
            yield _row(row[0]) + "".join(map(_entry, found)).rstrip()
            cells, beyond = cells + len(row), beyond + sum(not one.within_goal for one in found)
    yield f"\n{beyond} of {cells} cells are beyond {GOAL[0]:.1%} to {GOAL[1]:.1%}"


HEADINGS = f"{'tails':<8}{'deviation':>9}{'alike':>7}{'families':>10}   "


def _row(cell: Cell) -> str:
    alike = "" if not cell.deviation else "all" if math.isinf(cell.degrees) else f"{cell.degrees:g}"
    return f"{'heavy' if cell.heavy else 'normal':<8}{cell.deviation:>9.1%}{alike:>7}{cell.families:>10}   "


def _entry(found: Coverage) -> str:
    share = f"{found.share:.2%} ({found.low:.2%} to {found.high:.2%})"
    return f"{share:<28}±{found.half_width:.1%}{' ' if found.within_goal else '*'}".ljust(37)
