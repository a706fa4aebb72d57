"""Keeps an eye on the machine during a run: pilots between families, and what was seen while each was timed.

When pilots are due and which figures belong to which family; what these mean is ``noise``'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Protocol

from torchduet.bench.cases.case import Case
from torchduet.bench.cases.exchange import FamilyResult
from torchduet.bench.host.counters import Telemetry
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.noise.causes import Cause, Figures, causes
from torchduet.bench.noise.drift import around, pilots_moved
from torchduet.bench.noise.family_noise import Timed, timed
from torchduet.bench.noise.grades import case_record, run_record
from torchduet.bench.noise.withheld import leave_open, preempted
from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import NoiseRecord, PilotRecord
from torchduet.bench.run.records import Outcome
from torchduet.bench.workers.launcher import WorkerError
from torchduet.suites.workload import usable_cpus

PILOT_SHARE = 0.015  # of the budget, for all pilots of a run
PILOT_SECONDS = (0.03, 0.1)  # at the least and at the most, inside the worker that times them once
AIM_PILOTS = 8  # in a run too short for one every ten seconds
PILOT_INTERVAL = 10.0  # seconds: the slow stretches seen on shared machines last from some seconds to minutes


class Piloting(Protocol):
    """What times the pilots: a :class:`torchduet.bench.workers.launcher.Conductor`."""

    def pilots(self, threads: int, seconds: float) -> dict[str, float]:
        """Seconds per unit of each pilot."""


class Watch:
    """The run's pilots and its noise.

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
        self._timed: list[Timed] = []
        self._broken = False
        self._gpus = gpus or Gpus(())
        self.pilots: list[PilotRecord] = []

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

    def note(self, began: float, result: FamilyResult, outcomes: Mapping[Case, Outcome]) -> Timed | None:
        """A family was timed, from ``began`` (of the clock ``now``) until now; None if nothing is known of the machine.

        Where its threads did not fit on the free cores its verdicts are left open.
        """
        gpu = self._gpus.shares()
        if result.telemetry is None:
            return None
        on_gpu = not all(on_host(one.case.device) for one in result.results)
        times = began - self._begun, self._now() - self._begun
        found = timed(times, result, result.telemetry, gpu if on_gpu else {}, outcomes)
        self._timed.append(found)
        _abstain(found, found.whole.added_to(Figures(self._threads, len(usable_cpus()), found.telemetry)))
        return found

    def restore(self, at: float, pilots: Sequence[PilotRecord], families: Sequence[Timed]) -> None:
        """Go on ``at`` seconds into a run of which another process saw the beginning."""
        self._begun = self._now() - at
        self.pilots, self._timed = [*pilots], [*families]

    def grade(self) -> NoiseRecord | None:
        """Put its noise into the record of each case; returns that of the run, None if nothing was timed.

        To be called again when more was timed: the pilots after a family are known only then.
        """
        if not self._timed:
            return None
        return noise_of(self._timed, self.pilots, self._threads, len(usable_cpus()))


def noise_of(families: Sequence[Timed], pilots: Sequence[PilotRecord], threads: int, cores: int) -> NoiseRecord:
    """The noise of a run of these families; that of each case is put into its record."""
    seen = [one.telemetry for one in families]
    found = [_grade_family(one, pilots, threads, cores) for one in families]
    return run_record(found, pilots_moved(pilots), means(seen))


def _grade_family(family: Timed, pilots: Sequence[PilotRecord], threads: int, cores: int) -> list[Cause]:
    moved = pilots_moved(around(pilots, family.begun, family.ended))
    figures = Figures(threads, cores, family.telemetry, pilots=moved, drift=family.drift, gpu=family.gpu)
    for case, outcome in family.outcomes.items():
        if isinstance(outcome, dict):
            its_own = family.each[case].added_to(figures)
            outcome["noise"] = case_record(causes(its_own), its_own)
    figures = family.whole.added_to(figures)
    _abstain(family, figures)
    return causes(figures)


def _abstain(family: Timed, figures: Figures) -> None:
    """Leave the verdicts open, once, where the figures say that none can be given."""
    if not family.left_open and (cause := preempted(figures)) is not None:
        leave_open(family.outcomes, cause)
        family.left_open = True


def means(seen: Sequence[Telemetry]) -> dict[str, float]:
    """Load by others (cores), steal and quota (shares), each the mean over the time for which it is known."""
    found = {}
    for name in ("others", "steal", "stopped"):
        known = [(value, one.seconds) for one in seen if (value := getattr(one, name)) is not None]
        if known:
            found[name] = sum(value * seconds for value, seconds in known) / sum(seconds for _, seconds in known)
    return found


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in seconds.items()}
