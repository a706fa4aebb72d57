"""Finds the machine with the least of something, and those that are not shown to need more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UNKNOWN = 1.5  # a time without an interval, or that waited, may be off by so much: two runs of one code differ by 1.48


@dataclass(frozen=True)
class Figure:
    """A positive number of which less is better, such as seconds, with the ends of its interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Figure:
        """All of it times a positive factor."""
        return Figure(self.value * factor, self.low * factor, self.high * factor)


def figure(value: float, low: float | None, high: float | None, doubtful: bool = False) -> Figure:
    """A figure with its interval; without one, it may be off by ``UNKNOWN``.

    Args:
        doubtful: it may be off by ``UNKNOWN`` beyond its interval, which is then wider by that at both ends.
    """
    if low is None or high is None:
        low, high = value / UNKNOWN, value * UNKNOWN
    return Figure(value, low / UNKNOWN, high * UNKNOWN) if doubtful else Figure(value, low, high)


def leaders(figures: Sequence[Figure | None], threshold: float) -> tuple[int, ...]:
    """The indices of the least figure and of all that are not shown to be more; the least comes first.

    A figure is more if its whole interval lies above that of the least by more than ``threshold``, a share of it.
    Empty where fewer than two figures are known: nothing is compared then.
    """
    known = [(given, at) for at, given in enumerate(figures) if given is not None]
    if len(known) < 2:
        return ()
    least, first = min(known, key=lambda one: (one[0].value, one[1]))
    close = [at for given, at in known if at != first and given.low <= least.high * (1 + threshold)]
    return (first, *close)


@dataclass(frozen=True)
class Tally:
    """How often each machine leads.

    Attributes:
        compared: cases in which at least two machines have a figure.
        wins: of each machine, in how many of them it alone leads.
        close: in how many of them no machine alone leads.
    """

    compared: int
    wins: tuple[int, ...]
    close: int

    @property
    def mostly_close(self) -> bool:
        """Whether no machine alone leads in most cases."""
        return self.close > self.compared / 2

    @property
    def order(self) -> list[int]:
        """The indices of the machines, the most wins first."""
        return sorted(range(len(self.wins)), key=lambda at: -self.wins[at])


def tally(of_cases: Iterable[tuple[int, ...]], number: int) -> Tally:
    """Count the leaders of all cases, over ``number`` machines."""
    wins, compared, close = [0] * number, 0, 0
    for first in of_cases:
        compared += bool(first)
        close += len(first) > 1
        if len(first) == 1:
            wins[first[0]] += 1
    return Tally(compared, tuple(wins), close)
