"""Chooses the charts of a run's page: which cases share a scaling chart, the steps of a path, numbers of workers.

Drawing them is left to ``charts``; each chart has a text alternative.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from torchduet.bench.record.knobs import NAMES
from torchduet.reports.charts.axes import key_of
from torchduet.reports.charts.bars import FOOT, REST, Column, columns, in_words, waterfall
from torchduet.reports.charts.bars import Step as BarStep
from torchduet.reports.charts.model import Chart, Dot
from torchduet.reports.charts.scaling import Curve, key_of_line, scaling
from torchduet.reports.findings.ablation import Path
from torchduet.reports.findings.loaders import Choice
from torchduet.reports.tables.frames import each
from torchduet.reports.text import units
from torchduet.reports.text.settings import value_words

MAX_CURVES = 6
MAX_PANELS = 36


def scalings(cases: pd.DataFrame) -> list[Chart]:
    """A chart per workload and numeric size axis that has at least two values, the other axes fixed.

    At most ``MAX_PANELS``, in the order of the file: of more, a table is quicker to read.
    """
    return [
        _scaling(workload, axis, fixed, rows, f"scaling-{index}")
        for index, (workload, axis, fixed, rows) in enumerate(itertools.islice(_panels(cases), MAX_PANELS))
    ]


def _panels(cases: pd.DataFrame) -> Iterator[tuple[str, str, str, list[tuple[float, Any]]]]:
    """(workload, axis, the other axes' values, its (size, case) pairs)."""
    panels: dict[tuple[str, str, str], list[tuple[float, Any]]] = {}
    for case in each(cases):
        for axis, value in case.sizes.items():
            if isinstance(value, str) or value <= 0:
                continue
            fixed = ", ".join(f"{other}={size}" for other, size in case.sizes.items() if other != axis)
            key = (f"{case.suite}.{case.workload}", axis, fixed)
            panels.setdefault(key, []).append((float(value), case))
    for (workload, axis, fixed), rows in panels.items():
        if len({size for size, _ in rows}) >= 2:
            yield workload, axis, fixed, rows


def _scaling(workload: str, axis: str, fixed: str, rows: list[tuple[float, Any]], prefix: str) -> Chart:
    knobs = [knob for knob in NAMES if len({getattr(case, knob) for _, case in rows}) > 1]
    lines: dict[str, list[tuple[float, float, Any]]] = {}
    for size, case in rows:
        name = " ".join(value_words(knob, str(getattr(case, knob))) for knob in knobs) or case.mode
        lines.setdefault(name, []).append((size, float(case.seconds), case))
    lines = {name: sorted(points, key=lambda point: point[:2]) for name, points in lines.items()}
    curves = [Curve(name, tuple((size, seconds) for size, seconds, _ in points)) for name, points in lines.items()]
    shown, hidden = curves[:MAX_CURVES], len(curves) - MAX_CURVES
    ends = "; ".join(
        f"{curve.label}: {units.seconds(curve.points[0][1])} at {curve.points[0][0]:g}, "
        f"{units.seconds(curve.points[-1][1])} at {curve.points[-1][0]:g}"
        for curve in shown
    )
    drawn = scaling(shown, axis, prefix)
    marked = [case for curve in shown for _, _, case in lines[curve.label]]
    return Chart(
        svg=Markup(drawn.svg),
        title=f"{workload}" + (f" ({fixed})" if fixed else ""),
        alternative=f"Time per call of {workload} over {axis}. {ends}.",
        note=f"{units.plural(hidden, 'more variant is', 'more variants are')} in the table." if hidden > 0 else "",
        keys=tuple(
            (Markup(key_of_line(index, f"{prefix}-k{index}")), curve.label) for index, curve in enumerate(shown)
        ),
        dots=tuple(
            Dot(*at, case.anchor, case.id, _time(case.seconds, _number(case.low), _number(case.high)))
            for at, case in zip(drawn.places, marked, strict=True)
        ),
    )


def _time(seconds: float, low: float | None, high: float | None) -> str:
    interval = units.seconds_interval(low, high)
    return f"{units.seconds(seconds)} per call" + (f" ({interval})" if interval else "")


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def loader_panels(choices: Sequence[Choice], anchors: Mapping[str, str]) -> list[Chart]:
    """A chart per choice: a bar per number of workers, with the wait for the first batch as its lower part.

    Args:
        anchors: of each case's details within the page, by its id.
    """
    charts = []
    for index, choice in enumerate(choices[:MAX_PANELS]):
        bars = [
            Column(
                label=str(count.workers),
                seconds=count.record["timing"]["seconds"],
                low=count.record["timing"]["low"],
                high=count.record["timing"]["high"],
                foot=count.first_batch,
            )
            for count in choice.counts
        ]
        prefix = f"loader-{index + 1}"
        feet = any(bar.foot is not None for bar in bars)
        keys = [(REST, "after the first batch" if feet else "a call")] + [(FOOT, "until the first batch")] * feet
        drawn = columns(bars, "DataLoader workers", prefix)
        charts.append(
            Chart(
                svg=Markup(drawn.svg),
                title=choice.name,
                alternative=f"Time of {choice.name} by number of DataLoader workers. "
                + "; ".join(in_words(bar) for bar in bars)
                + ".",
                keys=tuple(
                    (Markup(key_of(colour, "s", "none", f"{prefix}-k{number}")), words)
                    for number, (colour, words) in enumerate(keys)
                ),
                dots=tuple(
                    Dot(*at, anchors[case], case, _time(bar.seconds, bar.low, bar.high))
                    for at, bar, case in zip(
                        drawn.places, bars, (count.record["case"]["id"] for count in choice.counts), strict=True
                    )
                ),
            )
        )
    return charts


def path_chart(path: Path) -> Chart:
    """A path as a waterfall: each step's bar goes from the time of the step before to its own."""
    bars: list[BarStep] = []
    for step in path.steps:
        before = bars[-1].seconds if bars and not step.off_path else 0.0
        follows = step.over_previous is not None
        speedup = step.over_previous if follows else step.over_first
        caption = units.seconds(step.seconds) + (f" ({units.ratio(speedup.ratio)})" if speedup else "")
        verdict = step.over_previous.verdict if step.over_previous else ""
        bars.append(BarStep(step.name, before if follows else 0.0, step.seconds, verdict, caption))
    return Chart(
        svg=Markup(waterfall(bars, path.key)),
        title=f"Time of {path.name}, step by step",
        alternative=f"Waterfall chart of {path.name}: "
        + "; ".join(f"{bar.label} {bar.caption}" for bar in bars)
        + ". Each ratio is over the step before; for cases beside the path, over the first step.",
    )
