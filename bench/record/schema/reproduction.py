"""How far repeated runs of the same code agree, and what duets of one interpreter with itself gave, on a machine."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Count
from torchduet.bench.record.schema.self_check import RateRecord


class ShareRecord(TypedDict):
    """How many of how many, with the Clopper-Pearson bounds of the chance."""

    count: Count
    trials: Count
    low: float
    high: float


class AgreementRecord(TypedDict):
    """How far several runs of the same code agree in some speed-ups."""

    comparisons: Count  # speed-ups that two runs or more have
    disjoint: ShareRecord  # of pairs of runs: their intervals do not overlap
    contradictions: ShareRecord  # of pairs of runs: one says faster, the other slower
    held: ShareRecord  # of intervals: they hold the median of the other runs' estimates
    unbounded: Count  # runs' answers without an interval; they count in `contradictions` and in what follows
    half_width: float | None  # of an interval of log ratios, in the median; None if that is infinite
    apart: Amount | None  # two runs' estimates, as a difference of log ratios: in the median …
    apart_eighth: Amount | None  # … and at the eighth decile


class AgreementOfRecord(AgreementRecord):
    """The same for one group of cases."""

    group: str  # one of GROUPS


class ReproductionRecord(AgreementRecord):
    """The figures of ``torchduet selfcheck reproduce`` on a machine."""

    measured: str  # ISO 8601, UTC: the start of the last run
    cpu: str | None
    cores: int | None
    torch: str | None
    gpu: str | None
    threads: int
    version: str  # of Torchduet
    runs: Count
    seconds: Amount  # that a run took, in the median
    incomplete: Count  # cases and speed-ups that a run lacks and another has
    confidence: float  # of the intervals
    bounds_confidence: float  # of the shares' bounds
    groups: list[AgreementOfRecord]  # groups with any speed-ups


class DuetCheckRecord(TypedDict):
    """Duets of one interpreter with itself on a machine: how often they call identical code different."""

    measured: str  # ISO 8601, UTC
    cpu: str | None
    cores: int | None
    torch: str | None
    gpu: str | None
    threads: int
    threshold: float
    bounds_confidence: float  # of the rates' bounds
    false_alarms: RateRecord  # called faster or slower
    confirmed: Count  # cases that looked different and were measured again
    half_width: float | None  # of log ratios, in the median
    seconds: Amount  # that the run took
    found: NotRequired[list[RateRecord]]  # known slow-downs of side B called slower, factor by factor
