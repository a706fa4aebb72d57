"""A summary of a run of pytest-benchmark's own as Markdown: at most 60 lines."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.reports.markdown.run import MAX_LINES
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.pytest_benchmark_cautions import MISSING
from torchduet.reports.tables.pytest_benchmark_rows import headline, rows_of
from torchduet.reports.tables.steadiness import signed
from torchduet.reports.text import units
from torchduet.reports.text.escaping import cell, inline

MAX_ROWS = 40


def markdown(run: PytestBenchmarkRun) -> str:
    """The longest times first, then what the file does not contain."""
    return "\n".join(list(_lines(run))[:MAX_LINES]) + "\n"


def _lines(run: PytestBenchmarkRun) -> Iterator[str]:
    rows = rows_of(run)
    yield f"## pytest-benchmark: {inline(run.name)}"
    yield ""
    yield f"{headline(run, rows)}. Times are listed, none is judged."
    yield ""
    if rows:
        yield "| benchmark | median | least | scatter | drift | its rounds |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for row in sorted(rows, key=lambda row: -row.record["timing"]["seconds"])[:MAX_ROWS]:
            minimum = row.benchmark.stats.get("min")
            cells = (
                row.record["case"]["id"],
                units.seconds(row.record["timing"]["seconds"]),
                "" if minimum is None else units.seconds(minimum),
                "" if row.steadiness.scatter is None else units.percent(row.steadiness.scatter),
                "" if row.steadiness.drift is None else signed(row.steadiness.drift),
                row.steadiness.grade,
            )
            yield "| " + " | ".join(cell(text) for text in cells) + " |"
        yield ""
    if len(rows) > MAX_ROWS:
        number = len(rows) - MAX_ROWS
        yield f"{number} faster {'benchmark is' if number == 1 else 'benchmarks are'} in the page."
        yield ""
    missing = ", ".join(name[0].lower() + name[1:] for name in MISSING)
    yield f"- The file has no {missing}; the page explains what therefore cannot be concluded."
    if number := len(run.about["failed"]):
        yield f"- {units.plural(number, 'benchmark')} without a usable time."
    for warning in run.about["warnings"][:3]:
        yield f"- Warning: {inline(warning)}"
