"""The benchmarks of a plain pytest-benchmark file as rows, with how steady each was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import Record
from torchduet.reports.read.pytest_benchmark import PytestBenchmarkRun, Timed
from torchduet.reports.tables.steadiness import GRADES, Steadiness, steadiness


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


def rows_of(run: PytestBenchmarkRun) -> list[Row]:
    """A row per benchmark, in the order of the file."""
    return [Row(record, timed, steadiness(record, timed)) for record, timed in zip(run.records, run.timed, strict=True)]


def headline(run: PytestBenchmarkRun, rows: Sequence[Row]) -> str:
    """``31 benchmarks of 30 functions: 27 steady, 4 scattering``."""
    functions = len({record["case"]["family"] for record in run.records})
    counted = Counter(row.steady.grade for row in rows)
    grades = ", ".join(f"{counted[grade]} {grade}" for grade in GRADES if counted[grade])
    many = f"{len(rows)} benchmark{'s' if len(rows) != 1 else ''}"
    return f"{many} of {functions} function{'s' if functions != 1 else ''}: {grades}" if rows else "No usable benchmark"
