"""How noisy the machine was in either run, beside what is concluded from the two."""

from __future__ import annotations

from collections.abc import Iterator

from bench.engine.schema import GRADES, NoiseRecord, Record
from reports.compare.match import Change, Comparison
from reports.load import Run

QUIET = GRADES[0]


def of_runs(one: Comparison) -> list[str]:
    """A sentence for each run that says how noisy it was, with what caused it."""
    return list(_of_runs(one.base, one.new))


def _of_runs(*runs: Run) -> Iterator[str]:
    for run in runs:
        noise = run.about.get("noise")
        if noise is None:
            yield f"{run.name} does not say how noisy its machine was."
        elif noise["grade"] == QUIET or not noise["causes"]:
            yield f"{run.name} was {noise['grade']}."
        else:
            yield f"{run.name} was {noise['grade']}: {noise['causes'][0]}."


def of_case(change: Change) -> str:
    """``base noisy, new disturbed``; empty where both were quiet, or where a file does not say."""
    grades = (("base", _grade(change.base)), ("new", _grade(change.new)))
    return ", ".join(f"{side} {grade}" for side, grade in grades if grade not in ("", QUIET))


def _grade(record: Record | None) -> str:
    noise: NoiseRecord | None = record.get("noise") if record else None
    return noise["grade"] if noise else ""
