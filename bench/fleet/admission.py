"""Decides which machines take part in a fleet, and plans the families of each kind of machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchduet.bench.fleet.continued import Continued
from torchduet.bench.fleet.journal import FleetJournal, with_plan_of
from torchduet.bench.fleet.kinds import Kind, kind_of, leading, name_of, other_versions
from torchduet.bench.fleet.member import Member
from torchduet.bench.fleet.messages import Begin, Planned
from torchduet.bench.fleet.options import FleetOptions
from torchduet.bench.fleet.queue import Queue
from torchduet.bench.plan.options import NO_CASE


class FleetError(Exception):
    """The fleet cannot measure; the message says why and what to do."""


class Admission:
    """The kinds of machines, and who belongs to them.

    Attributes:
        kinds: by name.
        continued: what machines have measured that are gone.
    """

    def __init__(self, options: FleetOptions, journal: FleetJournal, queue: Queue) -> None:
        self._options, self._journal, self._queue = options, journal, queue
        self.kinds: dict[str, Kind] = {}
        self.continued = Continued(journal, options.each)
        self._fleet: list[Planned] = []  # the machines whose versions are those of the fleet
        self._plans: list[Planned] = [log.planned for log in journal.logs.values()]

    def open(self, plans: Sequence[Planned]) -> None:
        """Plan the families of every kind among the first machines, and those of the fleet that is continued.

        Raises:
            FleetError: the machines cannot form one fleet; nothing has been measured.
        """
        everywhere = [*self.continued.plans(), *plans]
        if lines := other_versions(everywhere):
            raise FleetError(
                "machines have other versions, and their results could not be merged; install the same everywhere: "
                + "; ".join(lines)
            )
        if unmatched := set.intersection(*(set(planned.unmatched) for planned in plans)):
            raise FleetError(f"--case {min(unmatched)!r}: no case of any machine matches")
        if not any(planned.families for planned in plans):
            raise FleetError("the options select no case that any machine can measure")
        self._fleet += everywhere
        for name, planned in leading(everywhere, self._options.each).items():
            self._plan(name, planned, sum(name_of(other, self._options.each) == name for other in plans))

    def shared(self, planned: Planned) -> Planned:
        """The same, with the families of another machine where they are equal: a plan can have 10,000 of them."""
        for other in self._plans:
            if other.families == planned.families and other.identity["selection"] == planned.identity["selection"]:
                return with_plan_of(planned, other)
        self._plans.append(planned)
        return planned

    def obstacle(self, planned: Planned) -> str:
        """Why a machine takes no part; empty if it does. The families of a kind that is new are planned."""
        if lines := other_versions([*self._fleet, planned]):
            return f"its versions are not those of the fleet: {'; '.join(lines)}"
        if not planned.families:
            return "the options select no case that it can measure"
        self._fleet.append(planned)
        name = name_of(planned, self._options.each)
        if name not in self.kinds:
            self._plan(name, planned, 1)
        if planned.machine != self.kinds[name].machine:
            return f"it is another machine with the same accelerator ({planned.label}); --each machine measures it, too"
        return ""

    def begin(self, member: Member, members: Mapping[str, Member]) -> Begin:
        """Let a machine take part; returns the order with which it begins."""
        planned = member.planned
        assert planned is not None
        earlier = self.continued.claim(planned)
        member.kind = name_of(planned, self._options.each)
        member.log = earlier or self._journal.new_log(planned)
        # One machine of a kind makes the few warm starts that a tier chooses by itself; all make those asked for.
        asked = self._options.given.get("warm_start") not in (None, NO_CASE)
        first = not any(other.kind == member.kind for other in members.values() if other is not member)
        entries = self._journal.entries(earlier) if earlier is not None else []
        return Begin(entries=entries, warm_starts=asked or first)

    def able(self, member: Member) -> frozenset[str] | None:
        """The families of its kind that a machine can measure; None: all."""
        assert member.planned is not None
        own, of_kind = {family.name for family in member.planned.families}, self.kinds[member.kind].families.keys()
        return None if own >= of_kind else frozenset(own & of_kind)

    def _plan(self, name: str, planned: Planned, machines: int) -> None:
        kind = kind_of(planned, self._options.each)
        done = [family for family in self.continued.measured(name) if family in kind.families]
        self.kinds[name] = kind
        self._queue.plan(name, kind.order(max(1, machines) if self._options.split else 1), done)
