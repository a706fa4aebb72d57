"""Grades how steady a benchmark was while it was timed in one stretch: drift, scatter, too few rounds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.reports.read.pytest_benchmark import Benchmark
from torchduet.reports.text import units

DRIFT = 0.05  # the default of `compare --threshold`
SCATTER = 0.10  # distance of the quartiles, as a share of the median
STEADY, DRIFTS, SCATTERS, FEW, UNKNOWN = GRADES = ("steady", "drifting", "scattering", "few rounds", "no rounds kept")
MEANINGS = {
    STEADY: f"both halves of its rounds agree within {units.percent(DRIFT)}, and the middle half of all rounds lies "
    f"within {units.percent(SCATTER)} of the median",
    DRIFTS: f"the second half of its rounds took over {units.percent(DRIFT)} more or less than the first: it was still "
    "warming up, or the machine changed meanwhile",
    SCATTERS: f"the quartiles lie over {units.percent(SCATTER)} of the median apart: the machine was busy, or the "
    "function does not always do the same",
    FEW: f"fewer than {MIN_PLACEMENTS} rounds: too few to grade",
    UNKNOWN: "the file has only a summary of them",
}


@dataclass(frozen=True)
class Steadiness:
    """A grade with the figures behind it, as shares of the time; None where the file does not say.

    Attributes:
        drift: how much longer the second half of the rounds took than the first.
        scatter: the distance of the quartiles / the median.
    """

    grade: str
    drift: float | None
    scatter: float | None


def steadiness(record: Record, benchmark: Benchmark) -> Steadiness:
    """The grade of one benchmark: the first of drift and scatter that is too large."""
    stats = benchmark.stats
    scatter = (stats["q3"] - stats["q1"]) / stats["median"] if "q1" in stats and "q3" in stats else None
    if not benchmark.has_rounds:
        return Steadiness(UNKNOWN, None, scatter)
    batches = [median(batch) for batch in record["timing"]["blocks"]]
    if len(batches) < MIN_PLACEMENTS:
        return Steadiness(FEW, None, scatter)
    middle = len(batches) // 2
    drift = median(batches[middle:]) / median(batches[:middle]) - 1
    grade = DRIFTS if abs(drift) > DRIFT else SCATTERS if scatter is not None and scatter > SCATTER else STEADY
    return Steadiness(grade, drift, scatter)


def signed(share: float) -> str:
    """``+4.1 %``, ``−3 %``."""
    return f"{'+' if share >= 0 else '−'}{units.percent(abs(share))}"
