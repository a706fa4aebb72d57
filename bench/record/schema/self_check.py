"""What ``--aa`` measures of Torchduet itself: false alarms, slow-downs found, widths of intervals."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Length, Positive
from torchduet.bench.record.schema.timing import IntervalRecord
from torchduet.bench.record.schema.words import Verdict


class TrialRecord(TypedDict):
    """``--aa``: a copy of a case held against the case: an A/A copy, or one slowed down by a known factor."""

    slowdown: float  # 1: an A/A copy; 1.05: the copy takes 1.05 times as long
    ratio: float  # the case's time / the copy's
    low: float | None
    high: float | None
    placements: int
    visit_ratios: NotRequired[Annotated[list[Positive], Length("visit")]]  # each visit's own estimate of the ratio
    visit_errors: NotRequired[list[Amount | None]]  # standard error of its logarithm, by the visit's placements alone
    interval: NotRequired[IntervalRecord]  # with visits only
    verdict: Verdict  # at the self-check's own threshold
    seconds: float  # of the case's timed blocks
    minimum_effect: float | None  # the least slow-down that would be found in 95 of 100, as a share


class RateRecord(TypedDict):
    """A rate with its Clopper-Pearson bounds."""

    slowdown: float
    count: int
    trials: int
    low: float
    high: float


class RatesRecord(TypedDict):
    """The rates of ``--aa`` over some cases."""

    false_alarms: RateRecord  # identical code called faster or slower
    found: list[RateRecord]  # slow-downs called slower, factor by factor
    narrow: RateRecord  # half-widths within ±1 %
    seconds: float | None  # spent on a case, in the median


class KindRecord(RatesRecord):
    """The figures of ``--aa`` for cases of one kind: calls of similar length, or calls that wait."""

    kind: str  # one of KINDS


class SelfCheckRecord(RatesRecord):
    """The figures of ``--aa`` on a machine; medians over the cases' A/A copies."""

    measured: str  # ISO 8601, UTC
    cpu: str | None
    cores: int | None
    torch: str | None
    gpu: str | None
    threads: int
    threshold: float
    confidence: float  # of the intervals
    bounds_confidence: float  # of the rates' bounds
    outside: int  # intervals of identical code that do not hold 1
    half_width: float | None  # of log ratios
    half_width_after_1s: float | None  # half-width × √seconds
    minimum_effect: float | None
    kinds: NotRequired[list[KindRecord]]  # kinds with any cases; not in files of older versions
