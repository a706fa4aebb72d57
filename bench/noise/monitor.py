"""Monitors the machine during a run: times the pilots between families, and collects each family's figures.

What the figures mean is left to ``grades`` and ``causes``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Protocol

from torchduet.bench.cases.exchange import FamilyResult
from torchduet.bench.host.gpu_throttling import Gpus
from torchduet.bench.host.gpus.sampling import OtherProcesses
from torchduet.bench.noise.family_noise import noise_of_family
from torchduet.bench.noise.grades import Graded, noise_of
from torchduet.bench.record.devices import on_host
from torchduet.bench.record.schema import PilotRecord, Record
from torchduet.bench.record.telemetry import Timed
from torchduet.bench.workers.launcher import WorkerError
from torchduet.suites.cpus import usable_cpus

PILOT_SHARE = 0.03  # of the time after the first 10 s, for all pilots of a run
FIRST_PILOT_SHARE = 0.1  # of the time until then, at most, of a run that measures GPUs
PILOT_SECONDS = (0.03, 0.1)  # minimum and maximum, inside the worker that times them once
TARGET_PILOTS = 8  # in a run too short for one every ten seconds
PILOT_INTERVAL = 10.0  # seconds: the slow stretches seen on shared machines last from some seconds to minutes
SHORT_INTERVAL = 2.0  # at first: a run of a few workloads ends within half a minute, and is compared by its pilots, too
INTERVAL_SHARE = 0.2  # of the time so far


class PilotTimer(Protocol):
    """What times the pilots: a :class:`torchduet.bench.workers.launcher.Launcher`."""

    def pilots(self, threads: int, seconds: float, devices: Sequence[str] = ()) -> dict[str, float]:
        """Seconds per unit of each pilot: of the CPU, or of these GPUs."""


class Monitor:
    """The run's pilots and its noise.

    Attributes:
        pilot_timer: times the pilots, at first the launcher.
        pilots: the pilots timed so far.
        timed: the figures of each family timed so far.
        piloted: the GPUs on which pilots are timed, too.
        sure_visits: see :func:`torchduet.bench.noise.grades.noise_of`.

    Args:
        threads: of the run; the pilots use as many.
        budget_seconds: of the run.
        warn: gets a warning, once, if the pilots cannot be timed.
        gpus: those of the machine.
        now: seconds of a clock.
        others: what other processes do with the GPUs; the pilots are timed on these, too.
    """

    def __init__(
        self,
        launcher: PilotTimer,
        threads: int,
        budget_seconds: float,
        warn: Callable[[str], None],
        gpus: Gpus | None = None,
        now: Callable[[], float] = monotonic,
        others: OtherProcesses | None = None,
    ) -> None:
        self.pilot_timer, self._threads, self._warn, self._now = launcher, threads, warn, now
        self._allowed = PILOT_SHARE / 2 * budget_seconds
        self._begun = now()
        self._interval = SHORT_INTERVAL
        self._failed = self._failed_on_gpus = False
        self._gpus, self._others = gpus or Gpus(()), others or OtherProcesses({})
        self.piloted: tuple[str, ...] = ()
        self.pilots: list[PilotRecord] = []
        self.timed: list[Timed] = []
        self.sure_visits = math.inf

    def pilots_before(self, family: str, *, due: bool = False) -> None:
        """Time the pilots if ``due``, or if the interval since the last ones is over.

        The interval grows with the time that the pilots take, so that all of them keep to their share of the budget.
        """
        at = self._now() - self._begun
        due = due or not self.pilots or at - self.pilots[-1]["at"] >= self._interval
        if due and not self._failed:
            self._time_pilots(family, at)
        self.begin_sampling()

    def begin_sampling(self) -> None:
        """Begin to sample what other processes do with the GPUs; called before each visit, while no worker runs."""
        self._others.begin()

    def _time_pilots(self, family: str, at: float) -> None:
        shortest, longest = PILOT_SECONDS
        allowed = min(longest, max(shortest, self._allowed / TARGET_PILOTS))
        busy = self._others.busy(self.piloted)
        try:
            seconds = self.pilot_timer.pilots(self._threads, allowed)
        except WorkerError as error:
            self._failed = True
            self._warn(f"changes of the machine's speed are not known, as its pilots could not be timed: {error}")
            return
        seconds = {**seconds, **self._on_gpus(allowed)}
        self.pilots.append(PilotRecord(at=round(at, 6), before=family, seconds=_rounded(seconds)))
        if busy:
            self.pilots[-1]["busy"] = {device: float(f"{share:.3g}") for device, share in busy.items()}
        took = self._now() - self._begun - at
        self._interval = min(PILOT_INTERVAL, max(SHORT_INTERVAL, INTERVAL_SHARE * at))
        if INTERVAL_SHARE * at > SHORT_INTERVAL:
            self._interval = max(self._interval, took / PILOT_SHARE)
        elif self.piloted:  # starting CUDA, and waiting until an idle GPU reads as idle, take some tenths of a second
            self._interval = max(self._interval, min(PILOT_INTERVAL, took / FIRST_PILOT_SHARE))

    def _on_gpus(self, seconds: float) -> dict[str, float]:
        """The pilots on the GPUs, in a worker of their own: that CUDA fails there leaves those of the CPU."""
        if not self.piloted or self._failed_on_gpus:
            return {}
        try:
            return self.pilot_timer.pilots(self._threads, seconds, self.piloted)
        except WorkerError as error:
            self._failed_on_gpus = True
            self._warn(f"changes of the GPU's speed are not known, as its pilots could not be timed: {error}")
            return {}

    def sample_gpus(self) -> None:
        """Sample the GPUs' clocks and processes; called after each placement, while the GPUs are warm."""
        self._gpus.sample()
        self._others.sample()

    def add_family(self, began: float, result: FamilyResult, beside: float = 0.0) -> Timed | None:
        """Add the figures of a family timed from ``began`` (of the clock ``now``) until now; None: there are none.

        Args:
            beside: seconds of the cores that the run itself has used meanwhile for its next interpreter.
        """
        gpu, others = self._gpus.shares(), self._others.shares()
        if result.telemetry is None or not result.results:
            return None
        telemetry = result.telemetry
        if beside and telemetry.others is not None:
            load = beside / max(self._now() - began, 1e-9)
            telemetry = replace(telemetry, others=max(0.0, telemetry.others - load))
        on_gpu = not all(on_host(case_result.case.device) for case_result in result.results)
        times = began - self._begun, self._now() - self._begun
        timed = noise_of_family(times, result, telemetry, gpu if on_gpu else {}, others)
        self.timed.append(timed)
        return timed

    def restore(self, at: float, pilots: Sequence[PilotRecord], families: Sequence[Timed]) -> None:
        """Continue a run ``at`` seconds into it, with an earlier process' pilots and figures."""
        self._begun = self._now() - at
        self.pilots, self.timed = [*pilots], [*families]

    def grade(self, records: Mapping[str, Record]) -> Graded:
        """The run's noise, and the records (by case id) with their noise.

        Call it again when more was timed: the pilots after a family are known only then.
        """
        return noise_of(self.timed, records, self.pilots, self._threads, len(usable_cpus()), self.sure_visits)


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.6g}") for name, value in seconds.items()}
