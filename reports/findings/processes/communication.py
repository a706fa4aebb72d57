"""Exposed communication: the share of a step that computation does not hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchduet.bench.record.knobs import COMMUNICATION
from torchduet.bench.record.schema import Record
from torchduet.bench.record.words.counting import plural
from torchduet.reports.findings.processes.names import Names
from torchduet.reports.findings.processes.words import share_words
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.frames import anchor
from torchduet.reports.tables.ranks import Estimate, exposed, ranks_of, speedup_of

VERDICTS = {
    "slower": "exposed",
    "same": "hidden, or none",
    "faster": "takes less time than without",
    "unclear": "unclear",
}


@dataclass(frozen=True)
class Step:
    """A case held against the same step without communication.

    Attributes:
        without: seconds per call of the latter; None where the file does not say.
        share: of the case's time.
        verdict: in words.
        settled: whether there is a verdict.
    """

    name: str
    anchor: str
    record: Record
    ranks: int
    without: float | None
    share: Estimate
    verdict: str
    settled: bool


def steps(run: Run, names: Names) -> list[Step]:
    """Every case that was held against the same without communication, in the order of the file."""
    found = []
    seconds = {record["case"]["id"]: record["timing"]["seconds"] for record in run.records}
    for index, record in enumerate(run.records):
        speedup = speedup_of(record, COMMUNICATION)
        if speedup is not None:
            found.append(
                Step(
                    names.case(record),
                    anchor(index),
                    record,
                    ranks_of(record),
                    seconds.get(speedup["against"], speedup.get("baseline_seconds")),
                    exposed(speedup),
                    VERDICTS[speedup["verdict"]],
                    speedup["verdict"] != "unclear",
                )
            )
    return found


def sentences(found: Sequence[Step], names: Names) -> Iterator[str]:
    """Of the cases with a verdict the least and the largest share, and how many have none.

    With one rank nothing is sent, so the share is the overhead of the wrapper.
    """
    if several := [step for step in found if step.ranks > 1]:
        yield _range("Exposed communication", several, names)
    if single := [step for step in found if step.ranks == 1]:
        yield f"With one rank nothing is sent. {_range('The overhead of the wrapper', single, names)}"


def _range(subject: str, steps_of: Sequence[Step], names: Names) -> str:
    settled = [step for step in steps_of if step.settled]
    if not settled:
        return f"{subject} is not settled in {len(steps_of)} of {len(steps_of)} cases."
    least = min(settled, key=lambda step: step.share.value)
    most = max(settled, key=lambda step: step.share.value)
    if least is most:
        words = f"takes {share_words(least.share)} of the time of {names.spoken(least.record)}"
    else:
        words = (
            f"takes from {share_words(least.share)} of the time of {names.spoken(least.record)} "
            f"to {share_words(most.share)} of {names.spoken(most.record)}"
        )
    unsettled = len(steps_of) - len(settled)
    more = f"; it is not settled in {plural(unsettled, 'more case')}" if unsettled else ""
    return f"{subject} {words}{more}."
