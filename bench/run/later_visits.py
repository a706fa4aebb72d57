"""Makes the visits to families after their first: one at a time, each by a worker of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import monotonic

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.exchange import FamilyResult, Task
from torchduet.bench.cases.exchange import Progress as Stage
from torchduet.bench.host.run_clock import RunClock
from torchduet.bench.noise.monitor import Monitor
from torchduet.bench.record.telemetry import Timed
from torchduet.bench.record.visits.entry import VisitEntry
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.visiting import VisitedFamily, Visiting, entries_of
from torchduet.bench.timing.stopping import INTERRUPTED
from torchduet.bench.workers.launcher import EndedEarlyError, Launcher, OutOfTimeError, WorkerError
from torchduet.suites.workload import COMPILED


@dataclass(frozen=True)
class LaterVisit:
    """What a later visit to a family found.

    Attributes:
        began: seconds into the run.
        took: seconds of the visit, its process included.
        timing: seconds that it was to time.
        timed: the machine's figures meanwhile.
    """

    name: str
    began: float
    took: float
    timing: float
    entries: Mapping[Case, VisitEntry]
    stages: Mapping[str, float]
    timed: Timed | None


class LaterVisits:
    """Visits families again, as long as that decides something and the budget lasts.

    Args:
        task: makes the task of a family with so many seconds of timing.
        before: called before each visit, with the family's name.
    """

    def __init__(
        self,
        visiting: Visiting,
        launcher: Launcher,
        progress: Progress,
        monitor: Monitor,
        task: Callable[[Family, float], Task],
        before: Callable[[str], None],
        run_clock: RunClock,
    ) -> None:
        self._visiting, self._launcher, self._progress, self._monitor = visiting, launcher, progress, monitor
        self._task, self._before, self._run_clock = task, before, run_clock

    def next(self, seconds_left: Callable[[], float], time_left: Callable[[], str]) -> LaterVisit | None:
        """The next visit; None where none is left, or no time for one. A family whose visit fails gets no more.

        Raises:
            EndedEarlyError: the run is to end.
        """
        while (of := self._visiting.next(seconds_left())) is not None:
            name, number = of.family.name, of.visited.number + 1
            self._before(name)
            not_precise, all_of = self._visiting.unclear()
            text = (
                f"{of.family.name}, visit {of.visited.number + 1} · {not_precise} of {all_of} comparisons not precise"
            )
            self._progress.show(f"{text} · {time_left()}")
            try:
                return self._visit(of)
            except OutOfTimeError:
                return None
            except WorkerError as error:
                of.visited.failed = str(error)
                self._progress.warnings.append(f"{name}: visit {number} failed, so it gets no more: {error}")
        return None

    def _visit(self, of: VisitedFamily) -> LaterVisit:
        servers, compiled = self._launcher.servers, any(case.mode in COMPILED for case in of.family.cases)
        servers.choose(of.visited.number, compiler=compiled)
        spent = servers.cpu_seconds()
        name, at, started, began = of.family.name, self._progress.elapsed(), monotonic(), self._run_clock.awake()
        task = replace(
            self._task(of.family, of.visited.timing),
            share=of.visited.share,
            compiled=kept_folder(self._launcher, of.family),
            paces=of.paces,
            number=of.visited.number,
        )
        result = self._launcher.visit(task, self._listen)
        if result.stop == INTERRUPTED:
            raise EndedEarlyError
        took, entries = self._run_clock.awake() - began, entries_of(of.family, result)
        if not entries:
            raise WorkerError(_reason(result))
        of_cases = {case.id: entry for case, entry in entries.items()}
        self._visiting.add(name, of_cases, at, max(0.0, took - task.seconds))
        for stage, seconds in result.seconds.items():
            self._progress.seconds[stage] += seconds
        timed = self._monitor.add_family(started, result, servers.cpu_seconds() - spent)
        return LaterVisit(name, at, took, task.seconds, entries, result.seconds, timed)

    def _listen(self, stage: Stage) -> None:
        """Sample the GPUs after each placement, as in a first visit."""
        if stage.fraction:
            self._monitor.sample_gpus()


def kept_folder(launcher: Launcher, family: Family) -> str:
    """The folder for a family's compiled code; empty where it compiles nothing."""
    return launcher.kept_folder(family.name) if any(case.mode in COMPILED for case in family.cases) else ""


def _reason(result: FamilyResult) -> str:
    return next((each.error or each.skip for each in result.results if each.error or each.skip), None) or "no answer"
