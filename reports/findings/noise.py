"""The noise of a run for the page: its grade with causes, its pilots, and the cases that it affected."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchduet.bench.record.schema import GRADES, QUIET, NoiseRecord, Record
from torchduet.bench.record.speedups import counted
from torchduet.bench.record.words.counting import plural
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.pilots import kinds_of, pilot_chart
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor

MEANING = {
    "quiet": "Nothing stood out",
    "noisy": "Both sides of each comparison were affected alike, so speed-ups are valid; do not compare the times per "
    "call with those of another run",
    "disturbed": "One side may have been affected more than the other: intervals are wider, and more comparisons stay "
    "unclear",
}


@dataclass(frozen=True)
class Noise:
    """The part on noise of a run's report.

    Attributes:
        grade: of the run; empty if its file does not say.
        meaning: what follows from the grade.
        marks: anchor → grade and causes, of the cases that were not quiet.
        remedy: what would help, with options between backticks.
        counted: how many cases have each grade.
        unclear: how many comparisons stayed unclear, and how many of these for noise; empty if none for noise.
        chart: the pilots over the run; None for fewer than two.
    """

    grade: str
    meaning: str
    causes: tuple[str, ...]
    remedy: str
    marks: dict[str, str]
    counted: str
    unclear: str
    chart: Chart | None


def noise(run: Run) -> Noise | None:
    """The section; None for a file of an older version."""
    recorded = run.about.get("noise")
    pilots = run.about.get("pilots", [])
    if recorded is None and not pilots:
        return None
    marks = {
        anchor(index): _short(record["noise"])
        for index, record in enumerate(run.records)
        if "noise" in record and record["noise"]["grade"] != QUIET
    }
    grades = [record["noise"]["grade"] for record in run.records if "noise" in record]
    return Noise(
        grade=recorded["grade"] if recorded else "",
        meaning=MEANING[recorded["grade"]] if recorded else "",
        causes=tuple(recorded["causes"]) if recorded else (),
        remedy=re.sub(r"--\w+(?: \d+)?", r"`\g<0>`", recorded.get("remedy", "")) if recorded else "",
        marks=marks,
        counted=", ".join(f"{grades.count(grade)} {grade}" for grade in GRADES if grade in grades),
        unclear=_unclear(run),
        chart=pilot_chart(pilots, "pilots") if len(pilots) > 1 and kinds_of(pilots) else None,
    )


def of_case(record: Record) -> str:
    """A case's noise for its details; empty if the file does not say."""
    timing = record["timing"]
    parts = [_short(record["noise"])] if "noise" in record else []
    if "disturbed" in timing:
        blocks = sum(len(rounds) for rounds in timing["blocks"])
        number = sum(timing["disturbed"])
        parts.append(f"{number:,} of {blocks:,} blocks {'was' if number == 1 else 'were'} interrupted; all count")
    if left_out := timing.get("left_out", 0):
        were = "1 more was" if left_out == 1 else f"{left_out:,} more were"
        parts.append(f"{were} left out and taken again: the process or the machine was suspended")
    return "; ".join(parts)


def _short(graded: NoiseRecord) -> str:
    return f"{graded['grade']}: {'; '.join(graded['causes'])}" if graded["causes"] else graded["grade"]


def _unclear(run: Run) -> str:
    """How many comparisons stayed unclear, and how many of these are of cases that were not quiet."""
    noisy = [
        record.get("noise", {}).get("grade", QUIET) != QUIET
        for record in run.records
        for compared in (*counted(record), *((record["against"],) if "against" in record else ()))
        if compared["verdict"] == "unclear"
    ]
    if not any(noisy):
        return ""
    number, affected = len(noisy), sum(noisy)
    sentence = f"{plural(number, 'comparison')} stayed unclear"
    if affected == number:
        return f"{sentence}: the machine was too noisy to settle {'it' if number == 1 else 'them'} within this budget"
    return f"{sentence}; the machine was too noisy to settle {affected} of them within this budget"
