"""The page on a run of plain pytest-benchmark: its times, how steady they were, what cannot be concluded from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from torchduet.bench.record.schema import Record
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.ranges import Range, ranges
from torchduet.reports.html.environment import date, environment, fixed
from torchduet.reports.read.pytest_benchmark import BATCHES, PlainRun, Timed
from torchduet.reports.read.pytest_benchmark_cautions import MISSING
from torchduet.reports.tables.steadiness import GRADES, MEANINGS, UNKNOWN, Steadiness, signed, steadiness
from torchduet.reports.text import units

MOST_ROWS, MOST_CHARTS = 40, 12


@dataclass(frozen=True)
class Row:
    """One benchmark with what the page says of it."""

    record: Record
    timed: Timed
    steady: Steadiness

    @property
    def group(self) -> str:
        """The test's group; its file where it names none."""
        return self.timed.group or self.record["case"]["suite"] or "no group"


def rows_of(run: PlainRun) -> list[Row]:
    """A row per benchmark, in the order of the file."""
    return [Row(record, timed, steadiness(record, timed)) for record, timed in zip(run.records, run.timed, strict=True)]


def headline(run: PlainRun, rows: Sequence[Row]) -> str:
    """``31 benchmarks of 30 functions: 27 steady, 4 scattering``."""
    functions = len({record["case"]["family"] for record in run.records})
    counted = Counter(row.steady.grade for row in rows)
    grades = ", ".join(f"{counted[grade]} {grade}" for grade in GRADES if counted[grade])
    many = f"{len(rows)} benchmark{'s' if len(rows) != 1 else ''}"
    return f"{many} of {functions} function{'s' if functions != 1 else ''}: {grades}" if rows else "No usable benchmark"


def render(run: PlainRun) -> str:
    """The page, as HTML."""
    rows = rows_of(run)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    several = [name for name, members in groups.items() if len(members) > 1]
    templates = environment()
    templates.filters.update(signed=signed)
    return templates.get_template("plain.html.j2").render(
        run=run,
        about=run.about,
        **fixed("report.js"),
        saved=date(run.about["started"]),
        headline=headline(run, rows),
        missing=MISSING,
        meanings={grade: MEANINGS[grade] for grade in GRADES},
        unknown=UNKNOWN,
        groups=groups,
        charts=[_chart(name, groups[name], place) for place, name in enumerate(several[:MOST_CHARTS])],
        undrawn=len(several) - MOST_CHARTS,
        choices={
            name: values
            for name, values in {
                "file": list(dict.fromkeys(row.record["case"]["suite"] for row in rows)),
                "rounds": [grade for grade in GRADES if any(row.steady.grade == grade for row in rows)],
            }.items()
            if len(values) > 1
        },
        extras=[row for row in rows if row.timed.extra],
        batches=BATCHES,
    )


def _chart(name: str, members: Sequence[Row], place: int) -> Chart:
    drawn = sorted(members, key=lambda row: row.record["timing"]["seconds"])[-MOST_ROWS:]
    bars = [
        Range(
            _short(row.record),
            row.record["timing"]["seconds"],
            *(row.timed.stats.get(key) for key in ("min", "q1", "q3")),  # type: ignore[arg-type]
        )
        for row in drawn
    ]
    left = len(members) - len(bars)
    least, most = bars[0], bars[-1]
    return Chart(
        svg=Markup(ranges(bars, f"group-{place + 1}")),
        narrow=Markup(ranges(bars, f"group-{place + 1}-n", narrow=True)),
        title=name,
        alternative=f"Times of {len(bars)} benchmarks, from {units.seconds(least.median)} ({least.label}) to "
        f"{units.seconds(most.median)} ({most.label}).",
        note=f"{left} faster ones are in the table." if left else "",
    )


def _short(record: Record) -> str:
    case = record["case"]
    return f"{case['workload']}[{case['size_label']}]" if case["size_label"] else case["workload"]
