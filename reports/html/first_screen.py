"""The first screen of a run's page: what it found in a sentence, the verdicts counted, and the one chart that matters.

The chart is the heat map of knobs and cases; with a single knob, the forest plot of its cases; of a run in which
nothing was compared, its times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torchduet.reports.findings.advice import Answer
from torchduet.reports.findings.headline import Headline
from torchduet.reports.html.heatmap import HeatMap, heatmap
from torchduet.reports.html.rows_chart import RowsChart, rows_chart
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import Frames, each

MAX_TIMES = 20  # cases whose times are listed where nothing was compared


@dataclass(frozen=True)
class FirstScreen:
    """What stands above everything else.

    Attributes:
        heat, forest, times: one of them is the chart; ``times`` are rows of ``frames.CASE_COLUMNS``, each with its
            share of the longest time, in per cent.
        answer: whose forest plot it is.
        links: of each column of the heat map: the key of the answer on it (empty where there is none), in how many
            cases it is faster, and of how many: as the answer counts, where it is on this setting alone.
    """

    headline: Headline
    heat: HeatMap | None = None
    forest: RowsChart | None = None
    times: tuple[tuple[Any, float], ...] = ()
    answer: Answer | None = None
    links: tuple[tuple[str, int, int], ...] = ()


def first_screen(run: Run, tables: Frames, found: Headline, given: Sequence[Answer]) -> FirstScreen | None:
    """The first screen; None where nothing was measured."""
    if not run.records:
        return None
    if not given or found.answer is None:
        longest = float(tables.cases["seconds"].max())
        slowest = tables.cases.sort_values("seconds", ascending=False).head(MAX_TIMES)
        return FirstScreen(found, times=tuple((row, 100 * row.seconds / longest) for row in each(slowest)))
    heat = heatmap(run)
    if heat is not None and (len(heat.columns) > 1 or len(given) > 1):
        return FirstScreen(found, heat=heat, links=tuple(_links(heat, given)))
    return FirstScreen(found, forest=rows_chart(found.answer.rows), answer=found.answer)


def _links(heat: HeatMap, given: Sequence[Answer]) -> Iterator[tuple[str, int, int]]:
    for column, (knob, value) in enumerate(heat.settings):
        answer = next((answer for answer in given if answer.knob == knob and answer.value in (value, "")), None)
        if answer is not None and (answer.value or not value):
            yield answer.key, answer.tally["faster"], len(answer.rows)
        else:
            yield answer.key if answer else "", *heat.counted(column, "faster")
