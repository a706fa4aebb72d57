"""States how noisy the machine was in either run of a comparison."""

from __future__ import annotations

from torchduet.bench.record.schema import QUIET, NoiseRecord, Record
from torchduet.reports.compare.comparison import Change, Comparison
from torchduet.reports.read.run_file import Run


def of_runs(comparison: Comparison) -> list[str]:
    """A sentence for each run on its noise and the main cause."""
    return [_of_run(run) for run in (comparison.base, comparison.new)]


def _of_run(run: Run) -> str:
    noise = run.about.get("noise")
    if noise is None:
        return f"{run.name} does not record how noisy its machine was."
    if noise["grade"] == QUIET or not noise["causes"]:
        return f"{run.name} was {noise['grade']}."
    return f"{run.name} was {noise['grade']}: {noise['causes'][0]}."


def of_case(change: Change) -> str:
    """``base noisy, new disturbed``; empty where both were quiet or the files have no grade."""
    grades = (("base", _grade(change.base)), ("new", _grade(change.new)))
    return ", ".join(f"{side} {grade}" for side, grade in grades if grade not in ("", QUIET))


def _grade(record: Record | None) -> str:
    noise: NoiseRecord | None = record.get("noise") if record else None
    return noise["grade"] if noise else ""
