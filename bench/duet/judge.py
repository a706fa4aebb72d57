"""From pairs of processes to verdicts: differences → estimate → which cases are confirmed → judgement.

Each step is a pure function of the one before. The pair of fresh processes is the unit of replication:
what one process has by chance (where its code and data lie, the order of its dictionaries) stays for its
life, so blocks within a pair show how precise the pair is, and only other pairs show how accurate it is
(Kalibera & Jones 2013, *Rigorous benchmarking in reasonable time*; Curtsinger & Berger 2013, *STABILIZER*).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from torchduet.bench.record.schema import Verdict
from torchduet.bench.record.statistics import CONFIDENCE, THRESHOLD, Speedup, signed_rank_counts, speedup_of, walsh_rank

SCREENING_PAIRS = 5  # the fewest with a 90 % signed-rank interval
SCREENING_CONFIDENCE = 0.9
LOOKS_DIFFERENT = THRESHOLD / 2
SPARE_PAIRS = 2  # beyond the fewest, so that one disturbed pair does not decide
MORE_PAIRS = 12  # beyond pairs_needed: see ``pairs_worth_it``

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Judgement:
    """An estimate and the verdict that follows from it; ``faster`` means that B is faster than A."""

    estimate: Speedup
    verdict: Verdict


def difference(base: Sequence[float], against: Sequence[float]) -> float:
    """One pair: the median over its rounds of log(time of A / time of B)."""
    return median(math.log(a / b) for a, b in zip(base, against, strict=True))


def screened(differences: Sequence[float]) -> Judgement:
    """The verdict from screening alone: ``same`` if the interval lies within ±2 %, else ``unclear``."""
    estimate = speedup_of(differences, SCREENING_CONFIDENCE)
    return Judgement(estimate, "same" if estimate.side() == "same" else "unclear")


def looks_different(differences: Sequence[float]) -> bool:
    """Whether to confirm a case: its estimate is beyond ±1 %, and screening did not judge it ``same``.

    Lenient on purpose: a real difference that is missed here is lost, a false one costs only time.
    """
    judgement = screened(differences)
    return judgement.verdict != "same" and abs(math.log(judgement.estimate.ratio)) > LOOKS_DIFFERENT


def pairs_needed(cases: int, confidence: float = CONFIDENCE) -> int:
    """The fewest pairs with which the first step of Holm's procedure over ``cases`` cases can decide, and two more."""
    level = 1 - (1 - confidence) / max(cases, 1)
    return next(n for n in itertools.count(2) if walsh_rank(n, level) is not None) + SPARE_PAIRS


def pairs_worth_it(cases: int) -> int:
    """How many pairs the time must suffice for if so many cases are confirmed.

    A few cases with a verdict are better than many without. Simulated, with pairs that scatter by 2 % (standard
    deviation) and one in 14 that lies off by another tenth: this number of pairs finds 95 of 100 changes by 5 %,
    the fewest find 45 to 60 of 100.
    """
    return pairs_needed(cases) + MORE_PAIRS


def p_value(differences: Sequence[float]) -> float:
    """The smallest error probability at which the interval still lies wholly beyond ±2 %; 1 if there is none.

    This is the exact signed-rank test of "the ratio is within ±2 %", widened for drift as every interval is.
    """
    n = len(differences)
    counts = signed_rank_counts(n)
    for steps in range(1, len(counts) // 2):
        error = 2 * sum(counts[:steps]) / 2.0**n
        if error >= 1:
            break
        if speedup_of(differences, 1 - error).side() in ("faster", "slower"):
            return error
    return 1.0


def confirmed(differences: Mapping[Name, Sequence[float]], confidence: float = CONFIDENCE) -> dict[Name, Judgement]:
    """Judge all confirmed cases together, by the differences of their fresh pairs alone.

    Holm's step-down procedure (1979): the case with the smallest p-value of m cases is judged at the error
    probability α/m, the next at α/(m − 1), until the first that does not pass; that level then holds for the
    rest. The interval is given at the level that it was judged by, so that it and the verdict agree. The chance
    of even one false *faster* or *slower* among all confirmed cases is then at most α.
    """
    judgements: dict[Name, Judgement] = {}
    remaining, failed = len(differences), False
    for name in sorted(differences, key=lambda name: p_value(differences[name])):
        estimate = speedup_of(differences[name], 1 - (1 - confidence) / remaining)
        verdict = estimate.verdict(THRESHOLD)
        failed = failed or verdict not in ("faster", "slower")
        judgements[name] = Judgement(estimate, verdict)
        if not failed:
            remaining -= 1
    return judgements
