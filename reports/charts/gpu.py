"""Draws a GPU's power, clocks and temperature over the run; stretches in which it was throttled are shaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from torchduet.reports.charts.axes import text_below, ticks_at
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.pilots import round_seconds
from torchduet.reports.charts.svg import BAND, LINE_COLOURS, MUTED, RULE, STYLE, to_svg

WIDTH, PANEL, LEFT, GAP, BELOW = 660.0, 92.0, 58.0, 16.0, 44.0
MAX_POINTS = 600  # per line: more than the eye tells apart

Column = Sequence[float | None]


@dataclass(frozen=True)
class Panel:
    """One quantity over the run; its upper limit, if any, is drawn as a horizontal line."""

    title: str
    unit: str
    values: Column
    limit: float | None = None


def timeline(at: Sequence[float], panels: Sequence[Panel], throttled: Sequence[bool], prefix: str, name: str) -> Chart:
    """The panels above each other over the seconds of the run.

    Args:
        at: seconds into the run of each sample.
        throttled: for each sample, whether the GPU lowered its clocks for power, temperature or a fault.
        prefix: of the ids in the SVG.
        name: of the GPU.
    """
    step = max(1, len(at) // MAX_POINTS)
    height = BELOW + len(panels) * (PANEL + GAP)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        figure.patch.set_visible(False)
        for index, panel in enumerate(panels):
            bottom = BELOW + (len(panels) - 1 - index) * (PANEL + GAP)
            box = (LEFT / WIDTH, bottom / height, (WIDTH - LEFT - 12) / WIDTH, (PANEL - 14) / height)
            axes = figure.add_axes(box)
            axes.patch.set_visible(False)
            values = [float("nan") if value is None else value for value in panel.values[::step]]
            axes.plot(at[::step], values, color=LINE_COLOURS[0], linewidth=1.2)
            top = max([*(value for value in panel.values if value is not None), panel.limit or 0.0, 1e-9])
            axes.set_ylim(0, 1.08 * top)
            axes.set_xlim(at[0], at[-1])
            if panel.limit is not None:
                axes.axhline(panel.limit, color=MUTED, linewidth=0.8, linestyle="--")
            for begin, end in stretches(at, throttled):
                axes.axvspan(begin, end, color=BAND, linewidth=0)
            axes.annotate(
                f"{panel.title}, {panel.unit}",
                (0, 1),
                xycoords="axes fraction",
                xytext=(0, 4),
                textcoords="offset points",
                color=MUTED,
                annotation_clip=False,
                parse_math=False,
            )
            middle = _round(top / 2)
            ticks_at(axes.yaxis, [0, middle, 2 * middle], [f"{tick:g}" for tick in (0, middle, 2 * middle)])
            seconds = round_seconds(at[0], at[-1])
            last = index == len(panels) - 1
            ticks_at(axes.xaxis, seconds, [f"{tick:g}" if last else "" for tick in seconds])
            if last:
                text_below(axes, "seconds into the run")
            axes.grid(visible=True, color=RULE, linewidth=0.6)
            for spine in axes.spines.values():
                spine.set_visible(False)
        svg = to_svg(figure, prefix)
    return Chart(
        svg=Markup(svg),
        title=f"{name} over the run",
        alternative=f"Lines over the run's seconds for {name}. "
        + "; ".join(_in_words(panel) for panel in panels)
        + f". Throttled in {sum(throttled)} of {len(throttled)} samples.",
    )


def stretches(at: Sequence[float], throttled: Sequence[bool]) -> list[tuple[float, float]]:
    """The stretches of throttling, (begin, end): each from its first sample to the sample after its last."""
    intervals: list[tuple[float, float]] = []
    for index, is_throttled in enumerate(throttled):
        if not is_throttled:
            continue
        end = at[min(index + 1, len(at) - 1)]
        if intervals and intervals[-1][1] >= at[index]:
            intervals[-1] = (intervals[-1][0], end)
        else:
            intervals.append((at[index], end))
    return intervals


def _round(value: float) -> float:
    """The largest round number that does not exceed a value."""
    for power in range(6, -4, -1):
        for step in (5, 2.5, 2, 1):
            if step * 10.0**power <= value:
                return step * 10.0**power
    return value


def _in_words(panel: Panel) -> str:
    known = [value for value in panel.values if value is not None]
    limit = f", limit {panel.limit:.0f}" if panel.limit is not None else ""
    return f"{panel.title} {min(known):.0f} to {max(known):.0f} {panel.unit}{limit}"
