"""Draws a run's pilots: how much slower than at its fastest the machine did fixed work, over the run."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib import rc_context

from torchduet.bench.record.schema import PilotRecord
from torchduet.reports.charts.axes import new_axes, text_below, ticks_at
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.scaling import key_of_line, line_look
from torchduet.reports.charts.svg import RULE, STYLE, to_svg
from torchduet.reports.text import units

WIDTH, HEIGHT = 660.0, 190.0
WORDS = {"arithmetic": "arithmetic (in the cache)", "memory": "memory (copying)", "calls": "calls (tiny operators)"}
STEPS = (1.0, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MIN = 1.1  # the axis goes at least so far: a quiet machine's pilots lie flat
ROOM = 1 / 12  # of the axis, between two named steps
MAX_TICKS = 8


def kinds_of(pilots: Sequence[PilotRecord]) -> list[str]:
    """The kinds that every pilot of a run has; a chart takes one at least."""
    return [kind for kind in pilots[0]["seconds"] if all(kind in one["seconds"] for one in pilots)] if pilots else []


def pilot_chart(pilots: Sequence[PilotRecord], prefix: str) -> Chart:
    """A line per pilot over the seconds of the run, each over its own fastest; with the same in words."""
    kinds = kinds_of(pilots)
    at = [one["at"] for one in pilots]
    lines = {}
    for kind in kinds:
        times = [one["seconds"][kind] for one in pilots]
        lines[kind] = [time / min(times) for time in times]
    slowest = max(max(line) for line in lines.values())
    top = next((step for step in STEPS if step >= max(slowest, MIN)), slowest)
    with rc_context(STYLE):
        figure, axes = new_axes(WIDTH, HEIGHT, (52, 40, WIDTH - 64, HEIGHT - 52))
        axes.set_yscale("log")
        axes.set_ylim(1 / (top**0.06), top**1.06)
        axes.set_xlim(min(at) - 0.02 * (max(at) - min(at)), max(at) + 0.02 * (max(at) - min(at)) + 1e-9)
        for place, line in enumerate(lines.values()):
            axes.plot(at, line, **line_look(place))
        ticks = _steps(top)
        ticks_at(axes.yaxis, ticks, [f"{tick:g}×" for tick in ticks])
        seconds = round_seconds(min(at), max(at))
        ticks_at(axes.xaxis, seconds, [f"{one:g}" for one in seconds])
        text_below(axes, "seconds into the run")
        axes.grid(visible=True, color=RULE, linewidth=0.6)
        for spine in axes.spines.values():
            spine.set_visible(False)
        svg = to_svg(figure, prefix)
    spoken = "; ".join(f"{kind} up to {units.ratio(max(line))}" for kind, line in lines.items())
    return Chart(
        svg=Markup(svg),
        title="Pilots over the run",
        alternative=f"Times of the pilots, taken {len(pilots)} times, over the fastest of each: {spoken}.",
        keys=tuple(
            (Markup(key_of_line(place, f"{prefix}-k{place}")), WORDS.get(kind, kind))
            for place, kind in enumerate(lines)
        ),
    )


def _steps(top: float) -> list[float]:
    """Named steps from 1 up to the top, none too near to the one below."""
    chosen = [1.0]
    for step in STEPS[1:]:
        if step <= top and step / chosen[-1] >= top**ROOM and (step == top or top / step >= top**ROOM):
            chosen.append(step)
    return chosen


def round_seconds(first: float, last: float) -> list[float]:
    """Round numbers of seconds between two, at most eight."""
    span = max(last - first, 1e-9)
    step = next(size * 10.0**power for power in range(-3, 7) for size in (1, 2, 5) if span / (size * 10.0**power) <= 7)
    begin = -(-first // step)
    return [step * (begin + place) for place in range(MAX_TICKS) if step * (begin + place) <= last]
