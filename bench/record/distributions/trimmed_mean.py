"""The trimmed mean of a few values, with the variance that its standard error needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

TRIMMED = 5  # one value in so many is trimmed at either end: none of fewer than five


@dataclass(frozen=True)
class TrimmedMean:
    """A centre of ``count`` values.

    Its standard error is √(variance · inflation / count), where ``variance`` estimates that of one value.
    """

    centre: float
    variance: float  # 0 for a single value
    degrees: float  # of freedom of the variance; 0 for a single value
    inflation: float  # the variance of the centre, over that of the mean, of normal values
    count: int


def trimmed_mean(values: Sequence[float], at_least: int = TRIMMED) -> TrimmedMean:
    """The mean without the g = count // 5 least and greatest values; with all of fewer than ``at_least`` values.

    Its standard error is by the Winsorised variance: of the values with the trimmed ones replaced by the nearest that
    are kept (Tukey and McLaughlin 1963; Yuen 1974). Their degrees of freedom, count − 2g − 1, are too many for 99 %: of
    normal values the interval holds in 98.6 % (5 to 12 values). Those here match the spread of the logarithm of the
    variance. They and ``inflation`` are fitted to simulated normal samples of 5 to 40 values, within 2 % and 0.5 %.

    Raises:
        ValueError: no values.
    """
    count = len(values)
    if not count:
        raise ValueError("no values have no mean")
    trimmed = count // TRIMMED if count >= at_least else 0
    kept = sorted(values)[trimmed : count - trimmed]
    centre = fsum(kept) / len(kept)
    if count == 1:
        return TrimmedMean(centre, 0.0, 0.0, 1.0, count)
    share = trimmed / count
    inflation = 1 + 0.36 * share + 1.62 * share**2
    degrees = count - 1 - trimmed * (3.17 - 2.8 * share) + 2 * share
    replaced = [kept[0]] * trimmed + kept + [kept[-1]] * trimmed
    middle = fsum(replaced) / count
    squares = fsum((value - middle) ** 2 for value in replaced)
    variance = squares * count / (len(kept) * (len(kept) - 1)) / inflation
    return TrimmedMean(centre, variance, degrees, inflation, count)
