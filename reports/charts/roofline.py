"""Draws a device's roofline: performance over arithmetic intensity, both logarithmic, with the ceilings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter

from torchduet.bench.record.schema import CeilingRecord
from torchduet.reports.charts.axes import decades, key_of, new_axes, place, text_below, ticks_at
from torchduet.reports.charts.label_fit import fitted, text_width
from torchduet.reports.charts.model import Chart, Dot
from torchduet.reports.charts.svg import INK, LINE_COLOURS, MUTED, RULE, STYLE, to_svg
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.roofline import KINDS, Bound, Point, ceiling_of, points
from torchduet.reports.text import units

LOOKS = {
    "compute": (LINE_COLOURS[0], "s"),
    "memory": (LINE_COLOURS[1], "^"),
    "overhead": (LINE_COLOURS[3], "o"),
}
WIDTH, HEIGHT = 660.0, 380.0
MAX_NAME = 150.0  # points


def roofcharts(run: Run, names: Mapping[str, str], limits: Mapping[str, Bound]) -> list[Chart]:
    """One chart per device that has ceilings and cases whose operations and bytes are known."""
    charts: list[Chart] = []
    anchors = {names[record["case"]["id"]]: anchor(index) for index, record in enumerate(run.records)}
    for device in dict.fromkeys(record["case"]["device"] for record in run.records):
        ceiling = ceiling_of(run, device)
        cases = points(run, device, names, limits)
        if cases and ceiling and ceiling["flops_per_second"] and ceiling["bytes_per_second"]:
            charts.append(roofchart(device, ceiling, cases, anchors, f"roofline-{len(charts) + 1}"))
    return charts


def roofchart(
    device: str, ceiling: CeilingRecord, cases: list[Point], anchors: Mapping[str, str], prefix: str
) -> Chart:
    """The chart of one device, with its content in words."""
    best, memory, cache = _roofs(ceiling)
    lines = [(memory, "-"), (cache, "--")] if cache > 1.05 * memory else [(memory, "-")]
    rates = sorted(ceiling["flops_per_second"].items(), key=lambda item: item[1])
    with rc_context(STYLE):
        names = max(text_width(_name(*rate)) for rate in rates)
        figure, axes = new_axes(WIDTH, HEIGHT, (74, 44, WIDTH - 84 - names, HEIGHT - 60))
        left, right = _limits([point.intensity for point in cases] + [best / memory], 3)
        bottom, top = _limits([point.flops_per_second for point in cases] + [rate for _, rate in rates], 2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        for bandwidth, style in lines:
            ridge = min(best / bandwidth, right)
            axes.plot([left, ridge], [left * bandwidth, ridge * bandwidth], color=INK, linewidth=1.2, linestyle=style)
        for _, rate in rates:
            axes.plot([max(left, rate / max(cache, memory)), right], [rate, rate], color=INK, linewidth=1.2)
        _names(axes, rates, right, (HEIGHT - 60) / math.log(top / bottom))
        for kind, (colour, marker) in LOOKS.items():
            bound = [point for point in cases if point.bound.kind == kind]
            axes.plot(
                [point.intensity for point in bound],
                [point.flops_per_second for point in bound],
                color=colour,
                marker=marker,
                linestyle="none",
                markersize=5.5,
                alpha=0.85,
            )
        _round_ticks(axes)
        text_below(axes, "arithmetic intensity in FLOP per byte")
        return Chart(
            svg=Markup(to_svg(figure, prefix)),
            title=f"Roofline of {device}",
            alternative=_in_words(device, ceiling, cases),
            dots=tuple(_dot(point, anchors[point.name], axes) for point in cases if point.name in anchors),
            points=WIDTH,
            keys=tuple(
                (Markup(key_of(INK, "", style, f"{prefix}-k{style}")), f"{name} {units.rate(bandwidth, 'B/s')}")
                for (bandwidth, style), name in zip(lines, ("from memory", "from cache"), strict=False)
            )
            + tuple(
                (Markup(key_of(colour, marker, "none", f"{prefix}-k-{kind}")), f"bound by {kind}")
                for kind, (colour, marker) in LOOKS.items()
                if any(point.bound.kind == kind for point in cases)
            ),
        )


def _dot(point: Point, case_anchor: str, axes: Axes) -> Dot:
    """Where a point lies in the drawing, and what it says."""
    return Dot(
        *place(axes, point.intensity, point.flops_per_second),
        case_anchor,
        point.name,
        f"{units.rate(point.flops_per_second, 'FLOP/s')} at {point.intensity:.3g} FLOP per byte; "
        f"{units.percent(point.bound.share)} of its ceiling, bound by {point.bound.kind}",
    )


def _roofs(ceiling: CeilingRecord) -> tuple[float, float, float]:
    """The highest rate of operations, the bandwidth of the largest working set, and the highest bandwidth."""
    rates = {int(size): rate for size, rate in ceiling["bytes_per_second"].items()}
    return max(ceiling["flops_per_second"].values()), rates[max(rates)], max(rates.values())


def _names(axes: Axes, rates: list[tuple[str, float]], right: float, points_per_log: float) -> None:
    """The ceilings' names at the right, at least a line of text apart."""
    label = -math.inf
    for precision, rate in rates:
        position = math.log(rate) * points_per_log
        label = max(position, label + 12)
        axes.annotate(
            _name(precision, rate),
            (right, rate),
            xytext=(5, label - position - 3),
            textcoords="offset points",
            color=MUTED,
            annotation_clip=False,
            parse_math=False,
            fontsize=10,
        )


def _name(precision: str, rate: float) -> str:
    return fitted(f"{precision} {units.rate(rate, 'FLOP/s')}", MAX_NAME)


def _limits(values: list[float], room: float) -> tuple[float, float]:
    return min(values) / room, max(values) * room


def _round_ticks(axes: Axes) -> None:
    """Round ticks, at most about eight per axis."""
    for axis, (low, high), unit in ((axes.xaxis, axes.get_xlim(), ""), (axes.yaxis, axes.get_ylim(), "FLOP/s")):
        ticks = decades(low, high)
        ticks = ticks[:: max(1, math.ceil(len(ticks) / 8))]
        ticks_at(axis, ticks, None)
        axis.set_major_formatter(FixedFormatter([_rate(tick) if unit else f"{tick:g}" for tick in ticks]))
    axes.grid(visible=True, color=RULE, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _rate(value: float) -> str:
    """``1e9`` → ``1 GFLOP/s``."""
    number, unit = units.rate(value, "FLOP/s").split(" ")
    return f"{float(number.replace(',', '')):g} {unit}"


def _in_words(device: str, ceiling: CeilingRecord, cases: list[Point]) -> str:
    best, memory, cache = _roofs(ceiling)
    counts = Counter(point.bound.kind for point in cases)
    number = units.plural(len(cases), "case")
    kinds = ", ".join(f"{counts[kind]} bound by {kind}" for kind in KINDS if counts[kind])
    lowest = min(cases, key=lambda point: point.bound.share)
    highest = max(cases, key=lambda point: point.bound.share)
    return (
        f"Roofline of {device}: {number} under ceilings of {units.rate(best, 'FLOP/s')} "
        f"and {units.rate(memory, 'B/s')} from memory ({units.rate(cache, 'B/s')} from cache): {kinds}. "
        f"Shares of the ceiling range from {units.percent(lowest.bound.share)} ({lowest.name}) "
        f"to {units.percent(highest.bound.share)} ({highest.name})."
    )
