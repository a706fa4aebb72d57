"""Keeps an eye on the machine during a run: pilots between families, and what was seen while each was timed.

When pilots are due and which figures belong to which family; what these mean is ``noise``'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from torchduet.bench.cases.exchange import FamilyResult
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.noise.family_noise import noise_of_family
from torchduet.bench.noise.grades import Graded, noise_of
from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import PilotRecord, Record
from torchduet.bench.record.telemetry import Timed
from torchduet.bench.workers.launcher import WorkerError
from torchduet.suites.cpus import usable_cpus

PILOT_SHARE = 0.015  # of the budget, for all pilots of a run
PILOT_SECONDS = (0.03, 0.1)  # at the least and at the most, inside the worker that times them once
AIM_PILOTS = 8  # in a run too short for one every ten seconds
PILOT_INTERVAL = 10.0  # seconds: the slow stretches seen on shared machines last from some seconds to minutes


class Piloting(Protocol):
    """What times the pilots: a :class:`torchduet.bench.workers.launcher.Launcher`."""

    def pilots(self, threads: int, seconds: float) -> dict[str, float]:
        """Seconds per unit of each pilot."""


class Monitor:
    """The run's pilots and its noise.

    Attributes:
        pilots: as timed so far.
        timed: what was seen of the machine while each family was timed.

    Args:
        threads: of the run; the pilots get as many.
        budget_seconds: of the run.
        warn: told once if the pilots cannot be timed.
        gpus: those of the machine.
        now: seconds of a clock.
    """

    def __init__(
        self,
        conductor: Piloting,
        threads: int,
        budget_seconds: float,
        warn: Callable[[str], None],
        gpus: Gpus | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._conductor, self._threads, self._warn, self._now = conductor, threads, warn, now
        self._allowed = PILOT_SHARE * budget_seconds
        self._begun = now()
        self._interval = PILOT_INTERVAL
        self._broken = False
        self._gpus = gpus or Gpus(())
        self.pilots: list[PilotRecord] = []
        self.timed: list[Timed] = []

    def pilots_before(self, family: str, *, due: bool = False) -> None:
        """Time the pilots if the last ones are old enough, or at any rate.

        One that took long makes the next come later, so that all together keep to their share.
        """
        at = self._now() - self._begun
        due = due or not self.pilots or at - self.pilots[-1]["at"] >= self._interval
        if self._broken or not due:
            return
        least, most = PILOT_SECONDS
        try:
            seconds = self._conductor.pilots(self._threads, min(most, max(least, self._allowed / AIM_PILOTS)))
        except WorkerError as error:
            self._broken = True
            self._warn(f"how steady the machine's speed was is not known, its pilots could not be timed: {error}")
            return
        self.pilots.append(PilotRecord(at=round(at, 6), before=family, seconds=_rounded(seconds)))
        took = self._now() - self._begun - at
        self._interval = max(PILOT_INTERVAL, took / PILOT_SHARE)

    def look(self) -> None:
        """A placement is done: look at the GPUs while they are warm."""
        self._gpus.look()

    def note(self, began: float, result: FamilyResult) -> Timed | None:
        """A family was timed, from ``began`` (of the clock ``now``) until now; None: nothing is known of it."""
        gpu = self._gpus.shares()
        if result.telemetry is None:
            return None
        on_gpu = not all(on_host(one.case.device) for one in result.results)
        times = began - self._begun, self._now() - self._begun
        found = noise_of_family(times, result, result.telemetry, gpu if on_gpu else {})
        self.timed.append(found)
        return found

    def restore(self, at: float, pilots: Sequence[PilotRecord], families: Sequence[Timed]) -> None:
        """Go on ``at`` seconds into a run of which another process saw the beginning."""
        self._begun = self._now() - at
        self.pilots, self.timed = [*pilots], [*families]

    def grade(self, records: Mapping[str, Record]) -> Graded:
        """The run's noise, and the records (by case id) with theirs.

        To be called again when more was timed: the pilots after a family are known only then.
        """
        return noise_of(self.timed, records, self.pilots, self._threads, len(usable_cpus()))


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in seconds.items()}
