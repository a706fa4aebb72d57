"""From pairs of processes to verdicts: differences → estimate → who is confirmed → judgement.

Each step is a pure function of the one before. The pair of fresh processes is the unit of replication:
what one process has by chance (where its code and data lie, the order of its dictionaries) stays for its
life, so that blocks within a pair say how precise the pair is, and only other pairs how right
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
SPARE_PAIRS = 2  # beyond the fewest: one disturbed pair must not decide
MORE_PAIRS = 12  # beyond these: see ``pairs_worth_it``

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Judgement:
    """An estimate and what follows from it; ``faster`` means that B is faster than A."""

    estimate: Speedup
    verdict: Verdict


def difference(base: Sequence[float], against: Sequence[float]) -> float:
    """One pair: the median over its rounds of log(time of A / time of B)."""
    return median(math.log(a / b) for a, b in zip(base, against, strict=True))


def screened(differences: Sequence[float]) -> Judgement:
    """What screening alone says: ``same`` where its interval lies within ±2 %, else ``unclear``."""
    estimate = speedup_of(differences, SCREENING_CONFIDENCE)
    return Judgement(estimate, "same" if estimate.side() == "same" else "unclear")


def looks_different(differences: Sequence[float]) -> bool:
    """Whether to confirm a case: its estimate is beyond ±1 %, and it has not been shown to be the same.

    Lenient on purpose: what is real must not be lost here, and what is not costs only time.
    """
    found = screened(differences)
    return found.verdict != "same" and abs(math.log(found.estimate.ratio)) > LOOKS_DIFFERENT


def pairs_needed(cases: int, confidence: float = CONFIDENCE) -> int:
    """How many pairs it takes until the first step of Holm's procedure over ``cases`` cases can decide."""
    level = 1 - (1 - confidence) / max(cases, 1)
    return next(n for n in itertools.count(2) if walsh_rank(n, level) is not None) + SPARE_PAIRS


def pairs_worth_it(cases: int) -> int:
    """How many pairs should be affordable for so many cases: better few cases with a verdict than many without.

    Simulated: of changes by 5 % so many pairs find 95 in 100 where pairs scatter by 2 % (standard deviation) and
    one in 14 lies off by another tenth; the fewest find 45 to 60 in 100.
    """
    return pairs_needed(cases) + MORE_PAIRS


def p_value(differences: Sequence[float]) -> float:
    """The smallest error probability at which the interval still lies wholly beyond ±2 %; 1 where none does.

    That is the exact signed-rank test of "the ratio is within ±2 %", widened for drift as every interval is.
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


def confirmed(found: Mapping[Name, Sequence[float]], confidence: float = CONFIDENCE) -> dict[Name, Judgement]:
    """Judge all confirmed cases together, by their fresh pairs alone.

    Holm's step-down procedure (1979): the surest of m cases at the error probability α/m, the next at
    α/(m − 1), until the first that does not pass; that level then holds for the rest. The interval is
    given at the level that it was judged by, so that it and the verdict agree; with it, the chance of
    even one false *faster* or *slower* among all confirmed cases is at most α.
    """
    judged: dict[Name, Judgement] = {}
    left, stopped = len(found), False
    for name in sorted(found, key=lambda one: p_value(found[one])):
        estimate = speedup_of(found[name], 1 - (1 - confidence) / left)
        verdict = estimate.verdict(THRESHOLD)
        stopped = stopped or verdict not in ("faster", "slower")
        judged[name] = Judgement(estimate, verdict)
        if not stopped:
            left -= 1
    return judged
