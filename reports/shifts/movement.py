"""Estimates how much the machine itself changed between two measurements of a family: its movement.

It comes from the pilots beside the family, or from other cases that stand in for them. A movement is log(base time /
new time), as a shift of times is: above 0 the machine was faster in the new run.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TypeAlias

from torchduet.bench.record.schema import PilotRecord
from torchduet.reports.text import units


@dataclass(frozen=True)
class Movement:
    """The range of possible movements, ``low <= 0 <= high``: it always includes none.

    Attributes:
        source: what moved most, as the subject of a sentence: "the memory pilot beside it".
    """

    low: float
    high: float
    source: str

    @property
    def furthest(self) -> float:
        """The end of the range that is further from 0."""
        return self.low if -self.low > self.high else self.high

    @property
    def in_words(self) -> str:
        """``the memory pilot beside it took 4.1 % longer``."""
        return f"{self.source} took {longer(self.furthest)}"

    def extended_to(self, shift: float, source: str) -> Movement:
        """The range extended to another possible movement."""
        furthest = source if abs(shift) > abs(self.furthest) else self.source
        return Movement(min(self.low, shift), max(self.high, shift), furthest)


def longer(shift: float) -> str:
    """A shift as a change of time: ``4.1 % longer``, ``3 % less``."""
    change = math.expm1(-shift)
    return f"{units.percent(abs(change))} {'longer' if change > 0 else 'less'}"


PilotsBeside: TypeAlias = Mapping[str, Sequence[Mapping[str, float]]]


def pilots_beside(pilots: Sequence[PilotRecord]) -> PilotsBeside:
    """Family → the pilots right before and right after each of its measurements, in seconds per unit."""
    by_family: dict[str, list[Mapping[str, float]]] = {}
    ordered = sorted(pilots, key=lambda pilot: pilot["at"])
    for before, after in itertools.zip_longest(ordered, ordered[1:]):
        neighbours = (before, after) if after else (before,)
        by_family.setdefault(before["before"], []).extend(pilot["seconds"] for pilot in neighbours)
    return by_family


def pilots_around(pilots: Sequence[PilotRecord], visits: Mapping[str, Sequence[float]]) -> PilotsBeside:
    """Family → the pilots around each of its visits, in seconds per unit: the mean of the last before and the next.

    The mean is that of the logarithms. Before the first pilots and after the last there is only one of the two.

    Args:
        visits: family → when each of its visits began, in seconds into the run.
    """
    if not pilots:
        return {}
    ordered = sorted(pilots, key=lambda pilot: pilot["at"])
    times = [pilot["at"] for pilot in ordered]
    beside: dict[str, list[Mapping[str, float]]] = {}
    for family, moments in visits.items():
        for at in moments:
            next_one = bisect_right(times, at)
            around = [pilot["seconds"] for pilot in ordered[max(0, next_one - 1) : next_one + 1]]
            kinds = _kinds(around, around)
            beside.setdefault(family, []).append({kind: math.exp(fmean(_logs(around, kind))) for kind in kinds})
    return beside


def levels(base: PilotsBeside, new: PilotsBeside) -> dict[str, float]:
    """Per kind of pilot, its median movement over the families that both runs measured."""
    movements: dict[str, list[float]] = {}
    for family, first in base.items():
        second = new.get(family, ())
        for kind in _kinds(first, second):
            movements.setdefault(kind, []).append(median(_logs(first, kind)) - median(_logs(second, kind)))
    return {kind: median(values) for kind, values in movements.items()}


def by_pilots(
    base: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]], level: Mapping[str, float]
) -> Movement | None:
    """The range of movements that the pilots beside a family allow; None without a pilot that both runs have.

    For each kind of pilot, the range goes from the least to the greatest quotient of a base time and a new time. That
    covers the movement between the runs and within either while the family was measured. It is not known which kind
    affects a case, so the ranges of all kinds are joined, and 0 is included.

    Args:
        level: movements that are part of the question, as between two machines; they are subtracted.
    """
    low, high, source = 0.0, 0.0, ""
    for kind in _kinds(base, new):
        before, after = _logs(base, kind), _logs(new, kind)
        least = min(before) - max(after) - level.get(kind, 0.0)
        most = max(before) - min(after) - level.get(kind, 0.0)
        if max(-least, most) > max(-low, high) or not source:
            source = f"the {kind} pilot beside it"
        low, high = min(low, least), max(high, most)
    return Movement(low, high, source) if source else None


def by_visits(
    base: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]], level: Mapping[str, float]
) -> Movement | None:
    """The range of movements by the pilots around a family's visits; None without a pilot that both runs have.

    How much the machine changed from visit to visit is part of the spread between visits. What is left for the pilots
    is the change between the runs: for each kind, the median over the visits of one run less that over the other's; a
    burst of load beside a single visit does not count as one. It is not known which kind affects a case, so the range
    spans all kinds and 0.

    Args:
        base, new: for each visit, the pilots around it.
        level: movements that are part of the question, as between two machines; they are subtracted.
    """
    low, high, source = 0.0, 0.0, ""
    for kind in _kinds(base, new):
        shift = median(_logs(base, kind)) - median(_logs(new, kind)) - level.get(kind, 0.0)
        if abs(shift) > max(-low, high) or not source:
            source = f"the {kind} pilot around its visits"
        low, high = min(low, shift), max(high, shift)
    return Movement(low, high, source) if source else None


def _kinds(base: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]) -> list[str]:
    return [kind for kind in base[0] if all(kind in pilot for pilot in (*base, *new))] if base and new else []


def _logs(pilots: Sequence[Mapping[str, float]], kind: str) -> list[float]:
    return [math.log(pilot[kind]) for pilot in pilots]


def stand_in(own: float | None, common: float, source: str) -> Movement | None:
    """The movement without pilots: the range over ``own``, ``common`` and 0.

    Args:
        own: shift of the case's reference, or of the others in its family if it is the reference itself; None if
            nothing was timed together with it, which makes the movement unknown.
        common: median shift of all families.
        source: what ``own`` is the shift of.
    """
    if own is None:
        return None
    furthest = source if abs(own) >= abs(common) else "all families in the median"
    return Movement(min(0.0, own, common), max(0.0, own, common), furthest)
