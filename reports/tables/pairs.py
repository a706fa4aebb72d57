"""Holds any two records of a family against each other, from the blocks they were timed with in alternation.

The file has each case's comparison with the reference and with each single knob turned back; here is
every other: one step of a path against the step before, one number of workers against another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torchduet.bench.record.schema import Record
from torchduet.bench.record.statistics import THRESHOLD, speedup

NO_VERDICT = "no verdict: "  # begins the note of a case whose blocks had to wait for a core, so that none is given


@dataclass(frozen=True)
class Held:
    """How many times as fast a case is as its baseline, or another ratio of the two.

    Attributes:
        low, high: the 99 % interval; None where there are too few placements for one.
        verdict: faster, slower, same or unclear, of the interval against the threshold.
        left_open: unclear whatever the interval says, as the machine had too few free cores for the run's threads.
    """

    ratio: float
    low: float | None
    high: float | None
    verdict: str
    placements: int
    left_open: bool = False

    @property
    def extra(self) -> float:
        """How much longer the case takes, as a share of the baseline's time: 0.12 is 12 % more."""
        return 1 / self.ratio - 1


def held(baseline: Record, case: Record) -> Held | None:
    """Baseline's time / case's time; None if the two were not timed in the same rounds."""
    return _of_records(of_blocks(baseline["timing"]["blocks"], case["timing"]["blocks"]), baseline, case)


def without_verdict(record: Record) -> bool:
    """Whether the run itself gave no verdict on a case, however narrow its intervals."""
    return any(note.startswith(NO_VERDICT) for note in record["notes"])


def _of_records(found: Held | None, *records: Record) -> Held | None:
    """What came of two records' values, left open where the run gave no verdict on either."""
    if found is None or not any(map(without_verdict, records)):
        return found
    return replace(found, verdict="unclear", left_open=True)


def of_blocks(baseline: Sequence[Sequence[float]], case: Sequence[Sequence[float]]) -> Held | None:
    """Baseline / case from paired positive values, a list of rounds per placement; None if they do not pair."""
    if not baseline or [len(rounds) for rounds in baseline] != [len(rounds) for rounds in case]:
        return None
    if not all(value > 0 for blocks in (baseline, case) for rounds in blocks for value in rounds):
        return None
    estimate = speedup(baseline, case)
    known = estimate.low > 0 and math.isfinite(estimate.high)
    return Held(
        ratio=estimate.ratio,
        low=estimate.low if known else None,
        high=estimate.high if known else None,
        verdict=estimate.verdict(THRESHOLD),
        placements=estimate.placements,
    )


def of_meters(baseline: Record, case: Record, name: str) -> Held | None:
    """Baseline / case of a meter's values, paired by placement; None where either lacks it."""
    first, second = (record.get("meters", {}).get(name) for record in (baseline, case))
    if first is None or second is None:
        return None
    found = of_blocks([[value] for value in first["values"]], [[value] for value in second["values"]])
    return _of_records(found, baseline, case)


def of_peaks(baseline: Record, case: Record) -> Held | None:
    """Baseline / case of the peak of memory: one number each, the same whenever it is measured."""
    least, most = case.get("peak_bytes"), baseline.get("peak_bytes")
    if not least or not most:
        return None
    ratio = most / least
    verdict = "faster" if ratio > 1 + THRESHOLD else "slower" if ratio < 1 / (1 + THRESHOLD) else "same"
    return Held(ratio, None, None, verdict, 1)
