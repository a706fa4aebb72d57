"""How much of the budget each machine of a fleet may use."""

from __future__ import annotations

from collections.abc import Mapping

from torchduet.bench.fleet.admission import Admission
from torchduet.bench.fleet.member import Member, State


class Parts:
    """The parts of the machines of a kind add up to the budget of the suite on one machine.

    So N machines take about 1/N of the time, and their results are about as precise as those of one.

    Args:
        split: whether the machines of a kind share the suite.
    """

    def __init__(self, members: Mapping[str, Member], admission: Admission, *, split: bool) -> None:
        self._members, self._admission, self._split = members, admission, split

    def until_all_are_measured(self, member: Member) -> float:
        """Seconds that a machine may use while first visits go out: its part of what all have left."""
        of_kind = [other for other in self._members.values() if other.kind == member.kind]
        used = sum(other.used for other in of_kind) + self._admission.continued.used(member.kind)
        measuring = sum(other.state in (State.BEGINNING, State.IDLE, State.BUSY) for other in of_kind)
        sharing = max(1, measuring) if self._split else 1
        return member.used + max(0.0, self._admission.kinds[member.kind].budget - used) / sharing

    def by_families(self, member: Member) -> float:
        """Seconds that a machine may use in all, by the families that it has measured."""
        kind = self._admission.kinds[member.kind]
        return kind.budget * kind.share(member.measured)
