"""Helpers that all charts share: axes measured in points, text that is never parsed as a formula, round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from torchduet.reports.charts.label_fit import fitted
from torchduet.reports.charts.svg import MUTED, RULE, STYLE, to_svg
from torchduet.reports.text import units

LABEL_POINTS = 220.0


def new_axes(width: float, height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A transparent figure with one pair of axes.

    Args:
        width, height: in points (1/72 inch).
        box: left, bottom, width and height of the axes in points.
    """
    figure = Figure(figsize=(width / 72, height / 72))
    figure.patch.set_visible(False)
    left, bottom, across, up = box
    axes = figure.add_axes((left / width, bottom / height, across / width, up / height))
    axes.patch.set_visible(False)
    return figure, axes


def place(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Where a value lies in the drawing, in per cent from its left and its top; valid once the limits are set."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    across, up = figure.transFigure.inverted().transform(axes.transData.transform((x, y)))
    return 100 * float(across), 100 * (1 - float(up))


def text_beside(
    axes: Axes, x: float, y: float, text: str, shift: float, align: str, *, colour: str, weight: str = "normal"
) -> None:
    """Text beside a row: ``x`` in the axes' width plus ``shift`` points; names are never parsed as formulae."""
    # Not an annotation: matplotlib lays those out three times, and text takes most of the time of a long chart.
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    shifted = beside + ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)
    axes.text(
        x,
        y,
        text,
        transform=shifted,
        ha=align,
        va="center_baseline",
        color=colour,
        fontweight=weight,
        parse_math=False,
    )


def text_below(axes: Axes, text: str) -> None:
    """The name of the horizontal axis, shortened to ``LABEL_POINTS``."""
    axes.annotate(
        fitted(text, LABEL_POINTS),
        (0.5, 0),
        xycoords="axes fraction",
        xytext=(0, -34),
        textcoords="offset points",
        ha="center",
        color=MUTED,
        annotation_clip=False,
        parse_math=False,
    )


def round_time(seconds: float) -> str:
    """A round time without the trailing zeros of a measured one: ``1 ms``."""
    number, unit = units.seconds(seconds).split(" ")
    return f"{float(number.replace(',', '')):g} {unit}"


def decades(bottom: float, top: float) -> list[float]:
    """Round values between two limits: powers of ten, and values between them where these are fewer than three."""
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**power for power in powers for step in steps if bottom <= step * 10.0**power <= top]
        if len(ticks) >= 3:
            break
    return ticks


def ticks_at(axis: Any, ticks: Sequence[float], labels: Sequence[str] | None) -> None:
    """Set an axis's ticks and their labels; None keeps matplotlib's labels."""
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    if labels is not None:
        axis.set_major_formatter(FixedFormatter(labels))
    axis.set_tick_params(color=RULE, labelcolor=MUTED, length=3, labelsize=10)


def key_of(colour: str, marker: str, style: str, prefix: str) -> str:
    """A legend's sample of a line or a mark, to stand before its name; SVG."""
    with rc_context(STYLE):
        figure, axes = new_axes(34, 12, (0, 0, 34, 12))
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.plot(
            [0.03, 0.5, 0.97],
            [0.5] * 3,
            color=colour,
            marker=marker,
            linestyle=style,
            markevery=[1],
            markersize=5,
            linewidth=1.5,
        )
        return to_svg(figure, prefix)
