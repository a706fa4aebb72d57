"""The verdicts of a duet: B held against A, from each pair's own estimates.

The pair of fresh processes is the unit of replication: what one process has by chance (where its code and data lie, the
order of its dictionaries) stays for its life, so blocks within a pair show how precise the pair is, and only other
pairs show how accurate it is (Kalibera and Jones 2013, *Rigorous benchmarking in reasonable time*; Curtsinger and
Berger 2013, *STABILIZER*). Pairs are visits: their variance is moderated by that of all cases of the duet.

Pure functions: they return new records and change none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torchduet.bench.record.distributions.student_t import two_sided_quantile, two_sided_tail
from torchduet.bench.record.moderation import Estimate, Prior, Visits, estimate
from torchduet.bench.record.schema import AgainstRecord, IntervalRecord, Record, Verdict
from torchduet.bench.record.statistics import (
    CONFIDENCE,
    THRESHOLD,
    placement_differences,
    seconds_per_call,
    side_of,
    value_of,
)

MIN_PAIRS = 3  # for a verdict: the interval of fewer rests on the other cases
LEVEL = 0.5  # of an interval from which the standard error is computed; any other would do


@dataclass(frozen=True)
class Judgement:
    """An estimate (of the logarithm of A's time / B's time) and the verdict that follows from it."""

    estimate: Estimate
    confidence: float
    verdict: Verdict


def pair_of(base: Sequence[Sequence[float]], against: Sequence[Sequence[float]]) -> tuple[float, float | None]:
    """One pair's own estimate of log(A's time / B's time), and its standard error by the pair's placements.

    Args:
        base, against: seconds per call, per placement and turn, paired turn by turn.
    """
    return value_of(placement_differences(base, against))


def first_pair(
    base: Sequence[Sequence[float]], against: Sequence[Sequence[float]], threshold: float = THRESHOLD
) -> AgainstRecord:
    """The record of a case after one pair."""
    empty = AgainstRecord(
        stage="screened",
        verdict="unclear",
        ratio=1.0,
        low=None,
        high=None,
        confidence=CONFIDENCE,
        threshold=threshold,
        pairs=0,
        base_seconds=1.0,
        seconds=1.0,
        base_blocks=[],
        blocks=[],
        pair_ratios=[],
        pair_errors=[],
    )
    record = with_pair(empty, base, against)
    return {**record, "ratio": record["pair_ratios"][0]}


def with_pair(
    record: AgainstRecord, base: Sequence[Sequence[float]], against: Sequence[Sequence[float]]
) -> AgainstRecord:
    """The record with another pair; its estimate and its verdict are made by :func:`with_verdicts`."""
    point, error = pair_of(base, against)
    added: AgainstRecord = {
        **record,
        "pairs": record["pairs"] + 1,
        "base_blocks": [*record["base_blocks"], [value for turns in base for value in turns]],
        "blocks": [*record["blocks"], [value for turns in against for value in turns]],
        "pair_ratios": [*record["pair_ratios"], math.exp(point)],
        "pair_errors": [*record["pair_errors"], error],
    }
    added["base_seconds"] = seconds_per_call(added["base_blocks"]).point
    added["seconds"] = seconds_per_call(added["blocks"]).point
    return added


def values_of(against: AgainstRecord) -> Visits:
    """A case's values by pair: logarithms of A's time / B's time."""
    return Visits(tuple(map(math.log, against["pair_ratios"])), tuple(against["pair_errors"]))


def has_pairs(record: Record) -> bool:
    """Whether the record is one of a duet, by a writer whose pairs are visits."""
    return "pair_ratios" in record.get("against", {})


def with_verdicts(records: Mapping[str, Record], prior: Prior | None) -> dict[str, Record]:
    """Those of the records that have pairs, with intervals and verdicts; all of them are judged together.

    Args:
        records: case id → record.
        prior: of the variance between pairs.
    """
    of_duet = {name: record for name, record in records.items() if has_pairs(record)}
    values = {name: values_of(record["against"]) for name, record in of_duet.items()}
    judgements = judged(
        values, prior, threshold=max((r["against"]["threshold"] for r in of_duet.values()), default=0.0)
    )
    return {
        name: {**record, "against": _against(record["against"], judgements[name])} for name, record in of_duet.items()
    }


def judged(
    cases: Mapping[str, Visits], prior: Prior | None, confidence: float = CONFIDENCE, threshold: float = THRESHOLD
) -> dict[str, Judgement]:
    """Judge all cases of a duet together.

    *faster* and *slower* by Holm's step-down procedure (1979): the case with the smallest p-value of m is judged at the
    error probability α/m, the next at α/(m − 1), until the first that does not pass. The chance of even one false
    *faster* or *slower* among all cases is then at most α. *same* if the interval at 1 − α lies within ±threshold. The
    interval is given at the level that the verdict was reached at, so that the two agree.
    """
    judgements: dict[str, Judgement] = {}
    remaining, failed = len(cases), False
    sure = {name: p_value(visits, prior, threshold) for name, visits in cases.items()}
    for name in sorted(cases, key=lambda name: sure[name]):
        visits, level = cases[name], 1 - (1 - confidence) / max(remaining, 1)
        failed = failed or sure[name] > 1 - level
        found = _judgement(visits, prior, level if not failed else confidence, threshold)
        if failed and found.verdict in ("faster", "slower"):  # by itself, but not among so many
            found = replace(_judgement(visits, prior, level, threshold), verdict="unclear")
        judgements[name] = found
        remaining -= not failed
    return judgements


def p_value(visits: Visits, prior: Prior | None, threshold: float = THRESHOLD) -> float:
    """The smallest error probability at which the interval still lies wholly beyond ±threshold; 1 if there is none.

    Fewer than three pairs have none: they allow no verdict.
    """
    found = estimate(visits, prior, LEVEL)
    excess = abs(found.point) - math.log1p(threshold)
    if excess <= 0 or len(visits.values) < MIN_PAIRS or not math.isfinite(found.half_width):
        return 1.0
    if found.half_width == 0:
        return 0.0
    error = found.half_width / two_sided_quantile(LEVEL, found.degrees)
    return two_sided_tail(excess / error, found.degrees)


def _judgement(visits: Visits, prior: Prior | None, confidence: float, threshold: float) -> Judgement:
    found = estimate(visits, prior, confidence)
    enough = len(visits.values) >= MIN_PAIRS and math.isfinite(found.half_width)
    return Judgement(found, confidence, side_of(found.low, found.high, threshold) if enough else "unclear")


def _against(record: AgainstRecord, judgement: Judgement) -> AgainstRecord:
    found = judgement.estimate
    known = math.isfinite(found.half_width) and found.half_width < MAX_LOG
    new: AgainstRecord = {
        **record,
        "stage": "confirmed" if record["pairs"] >= MIN_PAIRS else "screened",
        "verdict": judgement.verdict,
        "ratio": math.exp(found.point),
        "low": math.exp(found.low) if known else None,
        "high": math.exp(found.high) if known else None,
        "confidence": judgement.confidence,
    }
    if known:
        new["interval"] = IntervalRecord(
            visits=found.visits, deviation=found.deviation, degrees=min(found.degrees, 1e6), prior=found.prior
        )
    return new


MAX_LOG = 60.0  # half an interval of the logarithm that is wider says nothing
