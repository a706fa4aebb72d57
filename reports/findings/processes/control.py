"""The control: whether a ratio from alternation is also that of segments in which no other case has a turn.

A collective may take another time when its ranks have slept before. If alternating changes one side more than the
other, the ratio of the segments differs from that of the alternation. Both are noisy, and the segments are few (five),
of one visit, and at one placement of the inputs. So the rule asks what a further placement of the alternation could
have shown, not where the mean of all placements lies:

- From the alternation: the interval in which the log ratio of one further placement lies with 99 % confidence,
  centre ± t(p − 1) · S · √(1 + 1/p), with S the standard deviation over the p placements of all visits. It is never
  narrower than the interval of the speed-up itself, which also knows what visits of the machine differ by.
- From the segments: the 99 % interval of their mean log ratio, mean ± t(k − 1) · s / √k over k segments. Each ratio is
  of two segments of one turn through all cases, so that slow drift is the same in both.
- They disagree if the two intervals do not meet, and the gap between them is more than the threshold of verdicts.
- They agree if the intervals meet and are so narrow that they would not have met, had alternating changed the ratio by
  half (``MAX_HIDDEN``): half of the width of each, and the threshold, are less than that together. Wider intervals
  always meet, which says nothing: the comparison is not judged.

For normal values two such intervals fail to meet far more rarely than once in a hundred. An outlier widens its own
interval. ``tests/reports/test_processes_control.py`` simulates the rule with lognormal noise, visits, drift, outliers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, stdev

from torchduet.bench.record.distributions.student_t import two_sided_quantile
from torchduet.bench.record.schema import Record, SpeedupRecord
from torchduet.bench.record.statistics import CONFIDENCE, placement_differences
from torchduet.reports.findings.processes.names import Names
from torchduet.reports.read.run_file import Run
from torchduet.reports.tables.ranks import Estimate
from torchduet.reports.tables.visits import by_visit, visited
from torchduet.reports.text import units

MIN_SEGMENTS = 3
MIN_PLACEMENTS = 3
MAX_NAMED = 5
MAX_HIDDEN = math.log(1.5)  # change of a log ratio that an agreement has to rule out


class Outcome(Enum):
    """Whether both ways of timing agree, or why it is not judged."""

    AGREES = "agrees"
    DIFFERS = "differs"
    FEW = "few"  # too few placements or segments
    WIDE = "wide"  # noise would hide a change of the ratio by MAX_HIDDEN


@dataclass(frozen=True)
class Control:
    """A comparison in both ways of timing.

    Attributes:
        alternated: the ratio of the alternation, with its interval.
        alone: the ratio of the segments, with its interval.
    """

    record: Record
    against: str
    alternated: Estimate
    alone: Estimate
    outcome: Outcome

    @property
    def agrees(self) -> bool | None:
        """Whether they agree within noise; None: it is not judged."""
        return {Outcome.AGREES: True, Outcome.DIFFERS: False}.get(self.outcome)


def controls(run: Run) -> list[Control]:
    """Every comparison of cases of which at least one has ranks, and both were timed in segments of their own."""
    by_id = {record["case"]["id"]: record for record in run.records}
    found = []
    for record in run.records:
        for against, speedup in {speedup["against"]: speedup for speedup in record["speedups"]}.items():
            baseline = by_id.get(against)
            if baseline is None or not ("ranks" in record or "ranks" in baseline):
                continue
            own, others = record.get("alone", []), baseline.get("alone", [])
            if own and len(own) == len(others):
                found.append(control(record, baseline, speedup))
    return found


def control(record: Record, baseline: Record, speedup: SpeedupRecord) -> Control:
    """Both ratios of two cases, and whether they agree; the rule is this module's.

    Args:
        record, baseline: with equal numbers of segments in ``alone``.
    """
    segments = [math.log(b / c) for b, c in zip(baseline["alone"], record["alone"], strict=True)]
    alternated = Estimate(speedup["ratio"], speedup["low"], speedup["high"])
    of_one = further_placement(math.log(speedup["ratio"]), differences(baseline, record))
    of_segments = mean_interval(segments)
    alone = Estimate(math.exp(fmean(segments)), *(map(math.exp, of_segments) if of_segments else (None, None)))
    if of_one is None or of_segments is None or speedup["low"] is None or speedup["high"] is None:
        return Control(record, speedup["against"], alternated, alone, Outcome.FEW)
    low, high = min(of_one[0], math.log(speedup["low"])), max(of_one[1], math.log(speedup["high"]))
    outcome = _outcome((low, high), of_segments, math.log1p(speedup["threshold"]))
    return Control(record, speedup["against"], alternated, alone, outcome)


def _outcome(alternated: tuple[float, float], alone: tuple[float, float], threshold: float) -> Outcome:
    (low, high), (alone_low, alone_high) = alternated, alone
    if max(alone_low - high, low - alone_high) > threshold:
        return Outcome.DIFFERS
    hidden = (high - low) / 2 + (alone_high - alone_low) / 2 + threshold
    return Outcome.AGREES if hidden <= MAX_HIDDEN else Outcome.WIDE


def differences(baseline: Record, case: Record) -> list[float]:
    """The log ratio of each placement that both have, in all visits."""
    first, second = baseline["timing"]["blocks"], case["timing"]["blocks"]
    parts: list[tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]]] = [(first, second)]
    if visited(baseline) and visited(case):
        of_baseline, of_case = by_visit(baseline, first), by_visit(case, second)
        parts = [(of_baseline[at], of_case[at]) for at in sorted(of_baseline.keys() & of_case.keys())]
    return [
        value
        for blocks, others in parts
        if [len(rounds) for rounds in blocks] == [len(rounds) for rounds in others]
        for value in placement_differences(blocks, others)
    ]


def further_placement(centre: float, values: Sequence[float]) -> tuple[float, float] | None:
    """The interval in which the log ratio of one further placement lies; None with too few placements."""
    number = len(values)
    if number < MIN_PLACEMENTS:
        return None
    half = two_sided_quantile(CONFIDENCE, number - 1) * stdev(values) * math.sqrt(1 + 1 / number)
    return centre - half, centre + half


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Student's interval of the mean of log ratios; None with too few of them."""
    number = len(values)
    if number < MIN_SEGMENTS:
        return None
    half = two_sided_quantile(CONFIDENCE, number - 1) * stdev(values) / math.sqrt(number)
    return fmean(values) - half, fmean(values) + half


def sentences(found: Sequence[Control], names: Names, by_id: Mapping[str, Record]) -> Iterator[str]:
    """In how many comparisons both ways agree, how many are not judged and why, and each in which they do not agree."""
    if not found:
        return
    apart = [of for of in found if of.outcome is Outcome.DIFFERS]
    yield f"The control, which times each case in segments of its own, {_counted(found)}."
    for of in apart[:MAX_NAMED]:
        baseline = by_id[of.against]
        yield (
            f"{names.spoken(of.record)} against {names.spoken(baseline)}: {_ratio(of.alternated)} in alternation, "
            f"{_ratio(of.alone)} in segments of their own. Alternating changes this ratio: prefer the second for a "
            "program that runs nothing else in between."
        )
    if (more := len(apart) - MAX_NAMED) > 0:
        yield f"{more} more comparison{' differs' if more == 1 else 's differ'} from the control."


def _counted(found: Sequence[Control]) -> str:
    number = Counter(of.outcome for of in found)
    few, wide = number[Outcome.FEW], number[Outcome.WIDE]
    because = ", ".join(
        ([f"{few} had too few placements or segments"] if few else [])
        + ([f"in {wide} noise would hide a change of the ratio by half"] if wide else [])
    )
    agree, judged = number[Outcome.AGREES], len(found) - few - wide
    if not judged:
        return f"could judge 0 of {_comparisons(len(found))}: {because}"
    which = f"{'all ' if agree == judged > 1 else '' if agree == judged else f'{agree} of '}{_comparisons(judged)}"
    words = f"agrees with the alternation in {which}"
    if not because:
        return f"{words}, within the noise of both"
    return f"{words} that could be judged, within the noise of both; of {len(found)} in all, {because}"


def _comparisons(number: int) -> str:
    return f"{units.plural(number, 'comparison')}"


def _ratio(of: Estimate) -> str:
    return f"{units.ratio(of.value)} ({units.ratio_interval(of.low, of.high) or 'no interval'})"
