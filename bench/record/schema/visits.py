"""How often a run visited its families, and how much the visits differed."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from torchduet.bench.record.schema.bounds import Amount, Count, Positive
from torchduet.bench.record.schema.words import PriorOf, PriorSource


class PriorRecord(TypedDict):
    """What visits to one family are expected to differ by: the distribution of its variance (Smyth 2004).

    The variance between visits of a family is distributed as ``deviation**2 * degrees / chi2(degrees)``.
    """

    of: PriorOf  # what the deviations are of; on the scale of logarithms
    deviation: Amount  # standard deviation between visits, typical of the families
    degrees: Positive | None  # degrees of freedom; None: without end, all families have the same variance
    families: Count  # from how many it was estimated
    source: PriorSource  # this run, earlier runs on this machine, or built in


class VisitsRecord(TypedDict):
    """The visits of a run."""

    fewest: Count  # visits to one family
    median: Count
    most: Count
    priors: NotRequired[list[PriorRecord]]
