"""The visits of a run's cases: which placements belong to which, and what the variance between them is moderated by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from torchduet.bench.record.moderation import Prior, prior_for
from torchduet.bench.record.schema import PriorOf, PriorRecord, Record
from torchduet.bench.record.visits.intervals import parts_of, ratios_of
from torchduet.reports.read.run_file import Run

PerPlacement = TypeVar("PerPlacement")


def visited(record: Record) -> bool:
    """Whether a case's placements are divided into visits; in files of earlier versions they are not."""
    timing = record["timing"]
    return "visits" in timing and sum(visit["placements"] for visit in timing["visits"]) == len(timing["blocks"])


def placements_by_visit(record: Record) -> list[int]:
    """How many placements each visit took, in the order taken; empty for a file without visits."""
    visits = record["timing"]["visits"] if visited(record) else []
    return [visit["placements"] for visit in visits if visit["placements"]]


def number_of_visits(record: Record) -> int:
    """How many visits a case's times come from; 0 for a file without visits."""
    return len(placements_by_visit(record))


def by_visit(record: Record, values: Sequence[PerPlacement]) -> dict[float, Sequence[PerPlacement]]:
    """When each visit began, in seconds into the run → its part of ``values``; visits without a placement are left out.

    All cases of a family that a visit measured have the same moment for it, so that visits of two cases can be paired.

    Args:
        record: of a case that was ``visited``.
        values: one per placement, in the order taken.
    """
    return {at: values[part] for at, part in parts_of(record)}


def visit_numbers(record: Record) -> list[int]:
    """The number of each placement's visit, from 1 in the order taken; 0 for a file without visits."""
    numbers = enumerate(placements_by_visit(record), 1)
    return [number for number, placements in numbers for _ in range(placements)] or [0] * len(
        record["timing"]["blocks"]
    )


def prior_of(run: Run, of: PriorOf = "speedups") -> Prior | None:
    """What the variance between the visits of a run's cases is moderated by: as recorded, else by its own families.

    None where the visits speak for themselves, and for a file without visits.
    """
    recorded = priors_of(run)
    if recorded or of != "speedups":
        return recorded.get(of)
    own = [
        (record["case"]["family"], ratios_of(speedup))
        for record in run.records
        if visited(record)
        for speedup in {speedup["against"]: speedup for speedup in record["speedups"]}.values()
        if len(speedup.get("visit_ratios", [])) == len(speedup.get("visit_errors", []))
    ]
    return prior_for("speedups", own, None)


def priors_of(run: Run) -> dict[PriorOf, Prior]:
    """The priors that a run recorded; empty where its visits speak for themselves, and for a file without visits."""
    return {prior["of"]: _prior(prior) for prior in run.about.get("visits", {}).get("priors", [])}


def _prior(record: PriorRecord) -> Prior:
    degrees = math.inf if record["degrees"] is None else record["degrees"]
    return Prior(record["deviation"], degrees, record["families"], record["source"])
