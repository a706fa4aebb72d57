"""Renders a run of plain pytest-benchmark as a page: times, how steady they were, what they cannot show."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from torchduet.bench.record.schema import Record
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.ranges import Range, ranges
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.read.pytest_benchmark import BATCHES, PytestBenchmarkRun
from torchduet.reports.read.pytest_benchmark_cautions import MISSING
from torchduet.reports.tables.pytest_benchmark_rows import Row, headline, rows_of
from torchduet.reports.tables.steadiness import GRADES, MEANINGS, UNKNOWN, signed
from torchduet.reports.text import units

MAX_ROWS, MAX_CHARTS = 40, 12


def render(run: PytestBenchmarkRun) -> str:
    """The page, as HTML."""
    rows = rows_of(run)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    to_draw = [name for name, members in groups.items() if len(members) > 1]
    templates = environment()
    templates.filters.update(signed=signed)
    return templates.get_template("pytest_benchmark.html.j2").render(
        run=run,
        about=run.about,
        **fixed("report.js"),
        saved=date(run.about["started"]),
        headline=headline(run, rows),
        missing=MISSING,
        meanings={grade: MEANINGS[grade] for grade in GRADES},
        unknown=UNKNOWN,
        groups=groups,
        charts=[_chart(name, groups[name], index) for index, name in enumerate(to_draw[:MAX_CHARTS])],
        undrawn=len(to_draw) - MAX_CHARTS,
        choices={
            name: values
            for name, values in {
                "file": list(dict.fromkeys(row.record["case"]["suite"] for row in rows)),
                "rounds": [grade for grade in GRADES if any(row.steadiness.grade == grade for row in rows)],
            }.items()
            if len(values) > 1
        },
        extras=[row for row in rows if row.benchmark.extra_info],
        batches=BATCHES,
    )


def _chart(name: str, members: Sequence[Row], index: int) -> Chart:
    drawn = sorted(members, key=lambda row: row.record["timing"]["seconds"])[-MAX_ROWS:]
    bars = [
        Range(
            _short(row.record),
            row.record["timing"]["seconds"],
            *(row.benchmark.stats.get(key) for key in ("min", "q1", "q3")),  # type: ignore[arg-type]
        )
        for row in drawn
    ]
    hidden = len(members) - len(bars)
    least, most = bars[0], bars[-1]
    return Chart(
        svg=Markup(ranges(bars, f"group-{index + 1}")),
        narrow=Markup(ranges(bars, f"group-{index + 1}-n", narrow=True)),
        title=name,
        alternative=f"Times of {len(bars)} benchmarks, from {units.seconds(least.median)} ({least.label}) to "
        f"{units.seconds(most.median)} ({most.label}).",
        note=f"{hidden} faster benchmark{'s are' if hidden != 1 else ' is'} in the table." if hidden else "",
    )


def _short(record: Record) -> str:
    case = record["case"]
    return f"{case['workload']}[{case['size_label']}]" if case["size_label"] else case["workload"]
