"""What machines have measured that are gone: of an earlier driver, or lost in this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchduet.bench.fleet.journal import FleetJournal, Log
from torchduet.bench.fleet.kinds import name_of
from torchduet.bench.fleet.messages import Planned
from torchduet.bench.run.resume import differences


@dataclass(frozen=True)
class _Left:
    """A log that no process continues.

    Attributes:
        measured: families that need not be measured again.
        used: seconds of the budget.
    """

    log: Log
    measured: Sequence[str]
    used: float


class Continued:
    """The logs of machines that are gone: each is continued by a process on the same machine, or stays as it is.

    Args:
        each: what the suite is measured once on.
    """

    def __init__(self, journal: FleetJournal, each: str) -> None:
        self._each = each
        self._left: dict[int, _Left] = {}
        for log in journal.logs.values():
            run_log = journal.run_log(log)
            if run_log is not None:
                names = [family.name for family in run_log.settled()]
                began = run_log.began()
                self._left[log.number] = _Left(log, names, run_log.seconds() - began.at if began else 0.0)

    def plans(self) -> Sequence[Planned]:
        """The machines that have measured something."""
        return [left.log.planned for left in self._left.values()]

    def measured(self, kind: str) -> Sequence[str]:
        """The families of a kind that are measured."""
        return list(dict.fromkeys(name for left in self._of(kind) for name in left.measured))

    def used(self, kind: str) -> float:
        """Seconds of the budget that machines of a kind have used which are not continued."""
        return sum(left.used for left in self._of(kind))

    def claim(self, planned: Planned) -> Log | None:
        """The log that a machine continues: that of the same machine, which no other continues; None: there is none."""
        for number, left in self._left.items():
            if not differences(left.log.planned.identity, planned.identity):
                del self._left[number]
                return left.log
        return None

    def leave(self, log: Log, measured: Sequence[str], used: float) -> None:
        """A machine is lost: its log can be continued if the machine comes back."""
        if log.spans or log.unwritten:
            self._left[log.number] = _Left(log, list(measured), used)

    def _of(self, kind: str) -> list[_Left]:
        return [left for left in self._left.values() if name_of(left.log.planned, self._each) == kind]
