"""How far the machine itself moved between two measurements of a family: by its pilots, or by what stands in for them.

A movement is log(base time / new time), as a shift of times is: above 0 the machine was faster in the new run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from torchduet.bench.record.schema import PilotRecord
from torchduet.reports.text import units


@dataclass(frozen=True)
class Movement:
    """The movements that are possible, ``low <= 0 <= high``: that the machine did not move always is.

    Attributes:
        source: what moved furthest, for a sentence: "the memory pilot beside it".
    """

    low: float
    high: float
    source: str

    @property
    def furthest(self) -> float:
        """The larger of both movements, with its sign."""
        return self.low if -self.low > self.high else self.high

    @property
    def said(self) -> str:
        """``the memory pilot beside it took 4.1 % longer``."""
        return f"{self.source} took {longer(self.furthest)}"

    def reaching(self, shift: float, source: str) -> Movement:
        """The same with another possible movement."""
        named = source if abs(shift) > abs(self.furthest) else self.source
        return Movement(min(self.low, shift), max(self.high, shift), named)


def longer(shift: float) -> str:
    """A shift as a change of time: ``4.1 % longer``, ``3 % less``."""
    change = math.expm1(-shift)
    return f"{units.percent(abs(change))} {'longer' if change > 0 else 'less'}"


Beside: TypeAlias = Mapping[str, Sequence[Mapping[str, float]]]


def beside(pilots: Sequence[PilotRecord]) -> Beside:
    """Family → the pilots right before and right after each time that it was measured, in seconds per unit."""
    found: dict[str, list[Mapping[str, float]]] = {}
    ordered = sorted(pilots, key=lambda pilot: pilot["at"])
    for before, after in itertools.zip_longest(ordered, ordered[1:]):
        both = (before, after) if after else (before,)
        found.setdefault(before["before"], []).extend(one["seconds"] for one in both)
    return found


def levels(base: Beside, new: Beside) -> dict[str, float]:
    """Per kind of pilot, its median movement over the families that both runs measured."""
    found: dict[str, list[float]] = {}
    for family, first in base.items():
        second = new.get(family, ())
        for kind in _kinds(first, second):
            found.setdefault(kind, []).append(median(_logs(first, kind)) - median(_logs(second, kind)))
    return {kind: median(values) for kind, values in found.items()}


def by_pilots(
    base: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]], level: Mapping[str, float]
) -> Movement | None:
    """All movements that the pilots beside a family leave possible; None without a pilot that both runs have.

    For each kind of pilot, from the least to the greatest quotient of a base time and a new time: what the
    machine moved between the runs, and within either while the family was measured. Which kind a case feels
    is not known, so that any may have moved it, and none.

    Args:
        level: movements that are part of the question and therefore no excuse, as between two machines.
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


def _kinds(base: Sequence[Mapping[str, float]], new: Sequence[Mapping[str, float]]) -> list[str]:
    return [kind for kind in base[0] if all(kind in one for one in (*base, *new))] if base and new else []


def _logs(pilots: Sequence[Mapping[str, float]], kind: str) -> list[float]:
    return [math.log(one[kind]) for one in pilots]


def stand_in(own: float | None, common: float, source: str) -> Movement | None:
    """Without pilots: as far as what was timed together with the case moved, and all cases in the median.

    Args:
        own: the shift of the case's reference, or of the others in its family if it is the reference itself;
            None if there is nothing beside it, so that nothing can be said.
        common: the median shift of all families.
        source: what ``own`` is the shift of.
    """
    if own is None:
        return None
    named = source if abs(own) >= abs(common) else "all families in the median"
    return Movement(min(0.0, own, common), max(0.0, own, common), named)
