"""How often a change is seen where there is none, and how often one that is there is found: measured by simulation."""

from __future__ import annotations

from dataclasses import dataclass

SETTING = "TO BE MEASURED"


@dataclass(frozen=True)
class Rates:
    """Shares of simulated series.

    Attributes:
        noise: deviation of single runs about their level, and how they are made.
        runs: of a series.
        false_alarms: without a change, at least one is seen.
        five, ten: a step of 5 % or 10 % is found, at most 2 runs off or within its own reach.
        located: it lies within the reach that is given for it (95 % is aimed at), of those found, at 10 %.
    """

    noise: str
    runs: int
    false_alarms: float
    five: float
    ten: float
    located: float


MEASURED: tuple[Rates, ...] = ()
