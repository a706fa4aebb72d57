"""Draws a GPU's power, clocks and temperature over the run, with the stretches in which it was held back shaded."""

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
    """One quantity over the run; ``limit`` is drawn as a line across: what it cannot exceed."""

    title: str
    unit: str
    values: Column
    limit: float | None = None


def timeline(at: Sequence[float], panels: Sequence[Panel], held_back: Sequence[bool], prefix: str, name: str) -> Chart:
    """The panels above each other over the seconds of the run.

    Args:
        held_back: of each sample, whether the GPU lowered its clocks for a fault.
    """
    step = max(1, len(at) // MAX_POINTS)
    height = BELOW + len(panels) * (PANEL + GAP)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        figure.patch.set_visible(False)
        for place, panel in enumerate(panels):
            bottom = BELOW + (len(panels) - 1 - place) * (PANEL + GAP)
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
            for begin, end in stretches(at, held_back):
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
            last = place == len(panels) - 1
            ticks_at(axes.xaxis, seconds, [f"{one:g}" if last else "" for one in seconds])
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
        + "; ".join(_spoken(panel) for panel in panels)
        + f". Held back in {sum(held_back)} of {len(held_back)} samples.",
    )


def stretches(at: Sequence[float], held_back: Sequence[bool]) -> list[tuple[float, float]]:
    """From when to when it was held back: from the first such sample to the one after the last."""
    found: list[tuple[float, float]] = []
    for place, held in enumerate(held_back):
        if not held:
            continue
        end = at[min(place + 1, len(at) - 1)]
        if found and found[-1][1] >= at[place]:
            found[-1] = (found[-1][0], end)
        else:
            found.append((at[place], end))
    return found


def _round(value: float) -> float:
    """A round number near a value, from below."""
    for power in range(6, -4, -1):
        for step in (5, 2.5, 2, 1):
            if step * 10.0**power <= value:
                return step * 10.0**power
    return value


def _spoken(panel: Panel) -> str:
    known = [value for value in panel.values if value is not None]
    said = f"{panel.title} {min(known):.0f} to {max(known):.0f} {panel.unit}"
    return said + (f", limit {panel.limit:.0f}" if panel.limit is not None else "")
