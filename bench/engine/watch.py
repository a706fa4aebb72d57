"""Keeps an eye on the machine during a run: pilots between families, and what was seen while each was timed.

When pilots are due and which figures belong to which family; what these mean is ``noise``'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from bench.engine.abstain import leave_open, preempted
from bench.engine.case import Case
from bench.engine.conductor import WorkerError
from bench.engine.drift import around, drift, pilots_moved
from bench.engine.gpus import Gpus
from bench.engine.grades import case_record, run_record
from bench.engine.noise import Cause, Figures, causes
from bench.engine.record import Outcome
from bench.engine.schema import NoiseRecord, PilotRecord
from bench.engine.task import CaseResult, FamilyResult
from bench.engine.telemetry import Telemetry
from suites.workload import cores

PILOT_SHARE = 0.015  # of the budget, for all pilots of a run
PILOT_SECONDS = (0.03, 0.1)  # at the least and at the most, inside the worker that times them once
AIM_PILOTS = 8  # in a run too short for one every ten seconds
PILOT_INTERVAL = 10.0  # seconds: the slow stretches seen on shared machines last from some seconds to minutes


class Piloting(Protocol):
    """What times the pilots: a :class:`bench.engine.conductor.Conductor`."""

    def pilots(self, threads: int, seconds: float) -> dict[str, float]:
        """Seconds per unit of each pilot."""


@dataclass
class _Timed:
    """A family that was timed, from when to when (seconds into the run)."""

    begun: float
    ended: float
    result: FamilyResult
    outcomes: Mapping[Case, Outcome]
    gpu: Mapping[str, float]
    left_open: bool = False


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
        self._timed: list[_Timed] = []
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

    def note(self, began: float, result: FamilyResult, outcomes: Mapping[Case, Outcome]) -> None:
        """A family was timed, from ``began`` (of the clock ``now``) until now.

        Where its threads did not fit on the free cores its verdicts are left open.
        """
        gpu = self._gpus.shares()
        if result.telemetry is not None:
            on_gpu = any(one.case.device != "cpu" for one in result.results)
            figures = Figures(self._threads, cores(), result.telemetry)
            times = began - self._begun, self._now() - self._begun
            self._timed.append(_Timed(*times, result, outcomes, gpu if on_gpu else {}))
            _abstain(self._timed[-1], with_interruptions(figures, result.results))

    def grade(self) -> NoiseRecord | None:
        """Put its noise into the record of each case; returns that of the run, None if nothing was timed.

        To be called again when more was timed: the pilots after a family are known only then.
        """
        if not self._timed:
            return None
        seen = [timed.result.telemetry for timed in self._timed if timed.result.telemetry is not None]
        return run_record([self._grade_family(timed) for timed in self._timed], pilots_moved(self.pilots), means(seen))

    def _grade_family(self, timed: _Timed) -> list[Cause]:
        results = {one.case: one for one in timed.result.results}
        drifted = None
        if not any(one.meters for one in results.values()):  # what notes phases of its own may do other work each time
            drifted = drift(one.blocks for one in results.values() if one.blocks and one.error is None)
        moved = pilots_moved(around(self.pilots, timed.begun, timed.ended))
        assert timed.result.telemetry is not None
        figures = Figures(self._threads, cores(), timed.result.telemetry, pilots=moved, drift=drifted, gpu=timed.gpu)
        for case, outcome in timed.outcomes.items():
            if isinstance(outcome, dict):
                its_own = with_interruptions(figures, [results[case]])
                outcome["noise"] = case_record(causes(its_own), its_own)
        figures = with_interruptions(figures, list(results.values()))
        _abstain(timed, figures)
        return causes(figures)


def _abstain(timed: _Timed, figures: Figures) -> None:
    """Leave the verdicts open, once, where the figures say that none can be given."""
    if not timed.left_open and (cause := preempted(figures)) is not None:
        leave_open(timed.outcomes, cause)
        timed.left_open = True


def with_interruptions(figures: Figures, results: Sequence[CaseResult]) -> Figures:
    """The figures with the interruptions of some cases; those with loaders of their own only for want of others."""
    counted = [one for one in results if not one.case.workers] or results
    share, rate = interrupted(counted)
    return replace(figures, interrupted=share, interruptions=rate, loaders=bool(counted[0].case.workers))


def interrupted(results: Sequence[CaseResult]) -> tuple[float | None, float | None]:
    """Share of the blocks that were interrupted, and interruptions per second of blocks; None if not counted."""
    counted = [one.interruptions for one in results if one.disturbed is not None and one.interruptions.blocks]
    if not counted:
        return None, None
    share = sum(one.interrupted for one in counted) / sum(one.blocks for one in counted)
    return share, sum(one.switches for one in counted) / max(sum(one.seconds for one in counted), 1e-9)


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
