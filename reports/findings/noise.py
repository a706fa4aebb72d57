"""What a run says of the machine's noise: its grade with causes, its pilots, and the cases that it reached."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchduet.bench.record.schema import GRADES, QUIET, NoiseRecord, Record
from torchduet.bench.record.speedups import counted
from torchduet.reports.charts.model import Chart
from torchduet.reports.charts.pilots import kinds_of, pilot_chart
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor

MEANING = {
    "quiet": "Nothing stood out",
    "noisy": "Both sides of each comparison were hit alike, so speed-ups stand; the times per call are not to be held "
    "against those of another run",
    "disturbed": "One side may have been hit harder than the other: intervals are wider, and more comparisons stay "
    "unclear",
}


@dataclass(frozen=True)
class Noise:
    """The part on noise of a run's report.

    Attributes:
        grade: of the run; empty where its file does not say.
        meaning: what follows from that.
        marks: of the cases that were not quiet, their place in the page → grade and causes.
        remedy: what would help, with options between backticks.
        unclear: in words, what stayed unclear in them; empty if nothing did.
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
    """What there is to say; None for a file of an older version."""
    whole = run.about.get("noise")
    pilots = run.about.get("pilots", [])
    if whole is None and not pilots:
        return None
    marks = {
        anchor(index): _short(record["noise"])
        for index, record in enumerate(run.records)
        if "noise" in record and record["noise"]["grade"] != QUIET
    }
    graded = [record["noise"]["grade"] for record in run.records if "noise" in record]
    return Noise(
        grade=whole["grade"] if whole else "",
        meaning=MEANING[whole["grade"]] if whole else "",
        causes=tuple(whole["causes"]) if whole else (),
        remedy=re.sub(r"--\w+(?: \d+)?", r"`\g<0>`", whole.get("remedy", "")) if whole else "",
        marks=marks,
        counted=", ".join(f"{graded.count(grade)} {grade}" for grade in GRADES if grade in graded),
        unclear=_unclear(run),
        chart=pilot_chart(pilots, "pilots") if len(pilots) > 1 and kinds_of(pilots) else None,
    )


def of_case(record: Record) -> str:
    """A case's noise for its details; empty where the file does not say."""
    timing = record["timing"]
    parts = [_short(record["noise"])] if "noise" in record else []
    if "disturbed" in timing:
        blocks = sum(len(rounds) for rounds in timing["blocks"])
        number = sum(timing["disturbed"])
        parts.append(f"{number:,} of {blocks:,} blocks {'was' if number == 1 else 'were'} interrupted; all count")
    if left_out := timing.get("left_out", 0):
        were = "1 more was" if left_out == 1 else f"{left_out:,} more were"
        parts.append(f"{were} left out and taken again: the process was stopped, or the machine suspended")
    return "; ".join(parts)


def _short(one: NoiseRecord) -> str:
    return f"{one['grade']}: {'; '.join(one['causes'])}" if one["causes"] else one["grade"]


def _unclear(run: Run) -> str:
    """How many comparisons stayed unclear, and how many of these of cases that were not quiet."""
    found = [
        record.get("noise", {}).get("grade", QUIET) != QUIET
        for record in run.records
        for one in counted(record)
        if one["verdict"] == "unclear"
    ]
    if not any(found):
        return ""
    number, hit = len(found), sum(found)
    what = f"{number} comparison{'s' if number != 1 else ''} stayed unclear"
    if hit == number:
        return f"{what}: the machine was too noisy to settle {'it' if number == 1 else 'them'} within this budget"
    return f"{what}; the machine was too noisy to settle {hit} of them within this budget"
