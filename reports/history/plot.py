"""Places a series over runs for the page: points, noise band, levels and labels, in per cent of the plot.

The page's style sheet draws it at any width, so letters keep their size on a telephone. Each point is an element that
takes the focus and says what it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from torchduet.bench.record.words.counting import plural
from torchduet.reports.history.chart_data import Drawn
from torchduet.reports.history.judged import SPEEDUP, Change, Line
from torchduet.reports.history.series import Numbers, RunMark, of_one_day
from torchduet.reports.history.spark import binned, levels
from torchduet.reports.text import units

Places = NDArray[np.intp]
MAX_POINTS = 150  # runs with a point each; of more only the latest, and medians of neighbours before them
MAX_LINE = 400
APART = 0.25  # of the axis: labels in a narrow window
LABELS = 8  # below the axis
QUANTILES = (0.02, 0.98)  # of the runs' values, which the axis always shows
ROOM = 0.15
BAND = 2.576  # standard deviations of a single run about its level, 99 %
GOES_ON = "its interval goes on beyond the frame"
SIZE = 1000  # of the drawing, in its own units


@dataclass(frozen=True)
class Point:
    """A run: its position in per cent from the left and from the top, what it stands for, and its own report."""

    across: float
    down: float
    words: str
    href: str
    kind: str


@dataclass(frozen=True)
class Cut:
    """A change, a suspicion or a new version: its position in per cent from the left, its kind and its label."""

    across: float
    kind: str
    label: str


@dataclass(frozen=True)
class Beyond:
    """Where an interval goes on beyond the frame: per cent from the left, and the side, top or bottom."""

    across: float
    side: str


@dataclass(frozen=True)
class Plot:
    """One series.

    Attributes:
        line, whiskers, levels, band: paths in a square of ``SIZE``.
        down, across: (position in per cent, label) of the ticks; of runs, also whether narrow windows leave it out.
        words: what it shows, for readers who cannot see it.
        beyond: the intervals that the frame cuts.
        note: what lies outside.
    """

    anchor: str
    title: str
    words: str
    points: tuple[Point, ...]
    line: str
    whiskers: str
    levels: str
    band: str
    beyond: tuple[Beyond, ...]
    cuts: tuple[Cut, ...]
    down: tuple[tuple[float, str], ...]
    across: tuple[tuple[float, str, bool], ...]
    note: str


def plot(drawn: Drawn, name: str, what: str, runs: Sequence[RunMark], reports: Mapping[str, str], anchor: str) -> Plot:
    """The plot of a series; ``reports``: path of a run → address of its own report, where there is one."""
    line = drawn.line
    at = np.flatnonzero(np.isfinite(line.logs))
    deviation = line.noise.deviation if line.noise else 0.0
    low, high = _limits(drawn, at, deviation)

    def across(run: float) -> float:
        return 100 * (run + 0.5) / len(runs)

    def down(log: float) -> float:
        return 100 * (high - min(max(log, low), high)) / (high - low)

    def place(run: float, log: float) -> str:
        return f"{across(run) * SIZE / 100:.0f},{down(log) * SIZE / 100:.0f}"

    x, y = binned(at.astype(float), line.logs[at], MAX_LINE)
    singles = at[-MAX_POINTS:]
    changes = [*line.changes, *([line.suspicion] if line.suspicion else [])]
    starts = {change.after: change for change in changes}
    its_levels, one_day = levels(line), of_one_day(runs)
    beyond = {
        run: sides for run in singles.tolist() if (sides := _sides_cut(drawn.low[run], drawn.high[run], low, high))
    }
    unit = 1.0 if what == SPEEDUP else _unit(math.exp(high))
    ticks = MaxNLocator(4).tick_values(math.exp(low) / unit, math.exp(high) / unit)
    return Plot(
        anchor=anchor,
        title=name,
        words=_in_words(line, name, what, len(at)),
        points=tuple(
            Point(
                across(run),
                down(line.logs[run]),
                words_of(runs[run], what, line.logs[run], drawn.low[run], drawn.high[run], starts.get(run))
                + (f", {GOES_ON}" if run in beyond else ""),
                reports.get(runs[run].path, ""),
                _kind(starts.get(run)),
            )
            for run in singles.tolist()
        ),
        line="M" + "L".join(place(run, log) for run, log in zip(x.tolist(), y.tolist(), strict=True)),
        whiskers="".join(
            f"M{place(run, drawn.low[run])}L{place(run, drawn.high[run])}"
            for run in singles.tolist()
            if np.isfinite(drawn.low[run] + drawn.high[run])
        ),
        levels="".join(f"M{place(begin - 0.4, level)}L{place(end + 0.4, level)}" for begin, end, level in its_levels),
        band="".join(
            f"M{place(begin - 0.5, level + BAND * deviation)}L{place(end + 0.5, level + BAND * deviation)}"
            f"L{place(end + 0.5, level - BAND * deviation)}L{place(begin - 0.5, level - BAND * deviation)}Z"
            for begin, end, level in its_levels
            if deviation
        ),
        beyond=tuple(Beyond(across(run), side) for run, sides in beyond.items() for side in sides),
        cuts=(
            *(Cut(across(run - 0.5), "version", f"v{number}") for number, run in enumerate(_versions(runs), start=1)),
            *(Cut(across(change.after - 0.5), _kind(change), cut_label(change)) for change in changes),
        ),
        down=tuple(
            (down(math.log(tick * unit)), _tick(tick, unit, what))
            for tick in ticks
            if tick > 0 and low <= math.log(tick * unit) <= high
        ),
        across=tuple(
            (across(run), label_of(runs[run], run, of_one_day=one_day), _minor(run, at, starts))
            for run in _labelled(at, starts)
        ),
        note=_outside(line.logs[at], low, high, len(beyond)),
    )


def label_of(run: RunMark, number: int, *, of_one_day: bool) -> str:
    """A run on the axis: its commit, else its day, or its time if all runs are of one day, else its number."""
    return run.commit[:7] or run.moment(of_one_day=of_one_day) or f"run {number + 1}"


def cut_label(change: Change) -> str:
    """``slower``, ``slower?`` of a suspicion, ``machine``."""
    return f"{change.verdict}?" if change.suspected else change.verdict


def words_of(run: RunMark, what: str, log: float, low: float, high: float, change: Change | None) -> str:
    """``56a4906, 5 January 2026: 302 µs (297 to 307 µs), slower from here``."""
    value = units.ratio(math.exp(log)) if what == SPEEDUP else units.seconds(math.exp(log))
    interval = ""
    if np.isfinite(low + high):
        ends = (math.exp(low), math.exp(high))
        interval = units.ratio_interval(*ends) if what == SPEEDUP else units.seconds_interval(*ends)
    name = ", ".join(filter(None, (run.commit[:7], run.day))) or run.path
    moved = {"slower": "slower from here", "faster": "faster from here", "machine": "the machine changed here"}
    parts = [
        f"{name}: {value}{f' ({interval})' if interval else ''}",
        f"{'suspected: ' if change.suspected else ''}{moved[change.verdict]}" if change else "",
        f"the machine was {run.grade}" if run.grade not in ("", "quiet") else "",
    ]
    return ", ".join(filter(None, parts))


def _kind(change: Change | None) -> str:
    if change is None:
        return ""
    return f"{change.verdict} suspected" if change.suspected else change.verdict


def _versions(runs: Sequence[RunMark]) -> list[int]:
    return [index for index, run in enumerate(runs) if run.changed]


def _labelled(at: Places, starts: Mapping[int, Change]) -> list[int]:
    """The runs that are named below the axis: the latest, those of changes, and others between, not too close."""
    if not len(at):
        return []
    evenly = [int(at[round(index)]) for index in np.linspace(0, len(at) - 1, min(LABELS, len(at)))]
    span = max(int(at[-1] - at[0]), 1) / LABELS
    kept: list[int] = []
    for run in (*starts, int(at[-1]), *evenly):
        if all(abs(run - other) >= 0.9 * span or span < 1 for other in kept) and run not in kept:
            kept.append(run)
    return sorted(kept)


def _minor(run: int, at: Places, starts: Mapping[int, Change]) -> bool:
    """Whether a narrow window leaves a run's label out: it has those of changes, and of both ends if far from these."""
    if run in starts:
        return False
    far = all(abs(run - start) >= APART * int(at[-1] - at[0]) for start in starts)
    return not far or run not in (int(at[0]), int(at[-1]))


def _limits(drawn: Drawn, at: Places, deviation: float) -> tuple[float, float]:
    """The limits of the axis, in logs: all levels and nearly all runs."""
    finite = drawn.line.logs[at]
    its_levels = [level for _, _, level in levels(drawn.line)]
    shown = [
        *np.quantile(finite, QUANTILES).tolist(),
        *(level + side for level in its_levels for side in (-deviation, deviation)),
    ]
    if len(at) <= MAX_POINTS:
        shown += [float(finite.min()), float(finite.max())]
    room = ROOM * max(max(shown) - min(shown), 0.05)
    return min(shown) - room, max(shown) + room


def _unit(seconds: float) -> float:
    return next((scale for scale in (1.0, 1e-3, 1e-6) if seconds >= scale), 1e-9)


def _tick(value: float, unit: float, what: str) -> str:
    if what == SPEEDUP:
        return f"{value:.4g}×"
    return f"{value:.4g} {({1.0: 's', 1e-3: 'ms', 1e-6: 'µs', 1e-9: 'ns'})[unit]}"


def _sides_cut(first: float, last: float, low: float, high: float) -> list[str]:
    """The sides of the frame that cut an interval of logs; none of an interval that is not known."""
    if not math.isfinite(first + last):
        return []
    return [side for side, cut in (("top", last > high), ("bottom", first < low)) if cut]


def _outside(logs: Numbers, low: float, high: float, intervals: int) -> str:
    outside = int(((logs < low) | (logs > high)).sum())
    notes = (
        f"{plural(outside, 'run lies', 'runs lie')} outside the axis." if outside else "",
        f"{plural(intervals, 'interval goes', 'intervals go')} on beyond the frame (▲, ▼)." if intervals else "",
    )
    return " ".join(filter(None, notes))


def _in_words(line: Line, name: str, what: str, runs: int) -> str:
    values = [
        units.ratio(math.exp(level)) if what == SPEEDUP else units.seconds(math.exp(level))
        for *_, level in levels(line)
    ]
    word = "Speed-up" if what == SPEEDUP else "Time per call"
    unsure = ", suspected" if line.suspicion else ""
    return f"{word} of {name} over {plural(runs, 'run')}: {', then '.join(values)}{unsure}."
