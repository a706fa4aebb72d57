"""Puts changes together that came with the same run: what one looks for is the run, or its commit or version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.reports.history.judge import Change


@dataclass(frozen=True)
class Event:
    """All changes that came with the same run.

    Attributes:
        after: the first run with them.
        before: the latest run that any of them holds against it.
    """

    before: int
    after: int
    changes: tuple[Change, ...]

    def of(self, what: str, verdict: str) -> list[Change]:
        """Its changes of that kind, the largest first."""
        found = [one for one in self.changes if (one.what, one.verdict) == (what, verdict)]
        return sorted(found, key=lambda one: -abs(one.height.point))


def events(found: Sequence[Change]) -> list[Event]:
    """Changes by the run that they came with, the latest first.

    One that may lie a few runs earlier or later is taken to have come with surer ones nearby, of other series.
    """
    places: dict[int, list[Change]] = {}
    for one in sorted(found, key=lambda one: (one.reach, -abs(one.height.point))):
        series = (one.case, one.what)
        near = [
            place
            for place, together in places.items()
            if abs(place - one.after) <= one.reach and series not in [(two.case, two.what) for two in together]
        ]
        place = min(near, key=lambda place: abs(place - one.after), default=one.after)
        places.setdefault(place, []).append(one)
    return [
        Event(max((one.before for one in together if one.before < place), default=place - 1), place, tuple(together))
        for place, together in sorted(places.items(), reverse=True)
    ]
