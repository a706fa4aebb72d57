"""Makes rows of the benchmarks in a file of pytest-benchmark's own, each with its steadiness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.record.schema import Record
from torchduet.bench.record.words.counting import plural
from torchduet.reports.read.pytest_benchmark import Benchmark, PytestBenchmarkRun
from torchduet.reports.tables.steadiness import GRADES, Steadiness, steadiness


@dataclass(frozen=True)
class Row:
    """One benchmark with its record and steadiness."""

    record: Record
    benchmark: Benchmark
    steadiness: Steadiness

    @property
    def group(self) -> str:
        """The test's group, or its file if it has none."""
        return self.benchmark.group or self.record["case"]["suite"] or "no group"


def rows_of(run: PytestBenchmarkRun) -> list[Row]:
    """A row per benchmark, in the order of the file."""
    return [
        Row(record, benchmark, steadiness(record, benchmark))
        for record, benchmark in zip(run.records, run.benchmarks, strict=True)
    ]


def headline(run: PytestBenchmarkRun, rows: Sequence[Row]) -> str:
    """``31 benchmarks of 30 functions: 27 steady, 4 scattering``."""
    functions = len({record["case"]["family"] for record in run.records})
    counted = Counter(row.steadiness.grade for row in rows)
    grades = ", ".join(f"{counted[grade]} {grade}" for grade in GRADES if counted[grade])
    benchmarks = f"{plural(len(rows), 'benchmark')}"
    return f"{benchmarks} of {plural(functions, 'function')}: {grades}" if rows else "No usable benchmark"
