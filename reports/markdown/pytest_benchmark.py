"""A run of plain pytest-benchmark in brief, as Markdown: at most 60 lines."""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.reports.markdown.run import MAX_LINES
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun
from torchduet.reports.read.pytest_benchmark_cautions import MISSING
from torchduet.reports.tables.pytest_benchmark_rows import headline, rows_of
from torchduet.reports.tables.steadiness import signed
from torchduet.reports.text import units
from torchduet.reports.text.escaping import cell

MAX_ROWS = 40


def markdown(run: PytestBenchmarkRun) -> str:
    """The longest times first, then what the file cannot say."""
    return "\n".join(list(_lines(run))[:MAX_LINES]) + "\n"


def _lines(run: PytestBenchmarkRun) -> Iterator[str]:
    rows = rows_of(run)
    yield f"## pytest-benchmark: {cell(run.name)}"
    yield ""
    yield f"{headline(run, rows)}. Times are listed, none is judged."
    yield ""
    if rows:
        yield "| benchmark | median | least | scatter | drift | its rounds |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for row in sorted(rows, key=lambda row: -row.record["timing"]["seconds"])[:MAX_ROWS]:
            least = row.timed.stats.get("min")
            cells = (
                row.record["case"]["id"],
                units.seconds(row.record["timing"]["seconds"]),
                "" if least is None else units.seconds(least),
                "" if row.steady.scatter is None else units.percent(row.steady.scatter),
                "" if row.steady.drift is None else signed(row.steady.drift),
                row.steady.grade,
            )
            yield "| " + " | ".join(cell(text) for text in cells) + " |"
        yield ""
    if len(rows) > MAX_ROWS:
        yield f"{len(rows) - MAX_ROWS} faster ones are in the page."
        yield ""
    missing = ", ".join(name[0].lower() + name[1:] for name in MISSING)
    yield f"- The file has no {missing}; what it cannot say therefore is in the page."
    if run.about["failed"]:
        yield f"- {len(run.about['failed'])} without a usable time."
    for warning in run.about["warnings"][:3]:
        yield f"- Warning: {cell(warning)}"
