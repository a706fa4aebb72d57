"""Withholds the verdict on a case where either of two runs withheld its own, or waited for a core.

What is no basis for a comparison in alternation is even less one for a comparison with another run.
"""

from __future__ import annotations

from collections.abc import Iterator

from torchduet.bench.noise.causes import Cause
from torchduet.bench.noise.figures import Figures
from torchduet.bench.noise.withheld import waited
from torchduet.bench.record.devices import on_host
from torchduet.bench.record.marks import NO_VERDICT
from torchduet.bench.record.schema import Record
from torchduet.reports.read.run_file import Run


def withheld(*sides: tuple[Run, Record]) -> str:
    """Why no verdict is given on a case: in which run, and what that run says of it; empty where there may be one.

    Args:
        sides: each run with its record of the case.
    """
    return "; ".join(
        f"{run.name} withheld its own verdicts: {words}" for run, record in sides for words in _withheld_by(record)
    )


def times_withheld(*sides: tuple[Run, Record]) -> str:
    """Why no verdict is given on a case's time per call: as ``withheld``, or it waited for a core; else empty.

    In alternation both sides of a comparison wait alike, so a run need not withhold a verdict where it waited. Its
    times cannot be compared with those of another run.
    """
    if why := withheld(*sides):
        return why
    waits = [(run, cause) for run, record in sides if (cause := _waited(run, record)) is not None]
    return "; ".join(f"{run.name} waited for a core: {cause.words}; {cause.remedy.words}" for run, cause in waits)


def _withheld_by(record: Record) -> Iterator[str]:
    """The run's reasons."""
    return (note.removeprefix(NO_VERDICT) for note in record["notes"] if note.startswith(NO_VERDICT))


def _waited(run: Run, record: Record) -> Cause | None:
    """Why its times measure the wait for a core, by the figures in its record; None where they do not."""
    threads, cores = run.about["options"].get("threads"), run.about["machine"].get("cores")
    figures = record.get("noise", {}).get("figures")
    if not figures or not isinstance(threads, int) or not isinstance(cores, int) or threads < 1:
        return None
    if not on_host(record["case"]["device"]):
        return None  # a GPU does not wait for its host's other processes, but for launches, which the record says
    return waited(Figures.of_record(figures, threads, cores, loaders=bool(record["case"].get("workers"))))
