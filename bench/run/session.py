"""One run: measures each family when its first case is asked for, writes the journal, gives the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import cast

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Failed, Outcome, Skipped
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.noise.grades import Graded
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.record.journal import Span
from torchduet.bench.record.journal_events import Ended
from torchduet.bench.record.run_record import run_record
from torchduet.bench.record.schema import NoiseRecord, Record, RunRecord, SelfCheckRecord, StopReason, VisitsRecord
from torchduet.bench.record.visits.intervals import Judged, judged
from torchduet.bench.run import aa_summary, machine_figures
from torchduet.bench.run.machine_prior import save_run
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.resume import family_event, visit_event
from torchduet.bench.run.run_facts import facts_of
from torchduet.bench.run.settings import Settings
from torchduet.bench.run.warm_starts import STAGE, measure_warm_starts
from torchduet.bench.workers.launcher import EndedEarlyError, WorkerError


class Session:
    """One ``pytest bench/``.

    Args:
        stop_request: whether the run is to end, and how.
    """

    def __init__(self, measuring: Measuring, stop_request: StopRequest | None = None) -> None:
        self.measuring, self.stop_request = measuring, stop_request or StopRequest()
        self.recorded_seconds: Mapping[str, float] = {}  # by stage, as the run's record has them
        self._last_cases: Sequence[Case] = ()  # of the family that was measured last
        self._last_span: Span | None = None  # that family's position in the journal
        self._family: dict[Case, Family] = {}
        self._judged = Judged({}, None, {})
        self._graded: tuple[tuple[int, ...], Graded] | None = None  # with the state of the run that was graded

    @property
    def settings(self) -> Settings:
        """The run's settings."""
        return self.measuring.settings

    @property
    def progress(self) -> Progress:
        """The run's progress."""
        return self.measuring.progress

    def outcome(self, case: Case) -> Outcome:
        """The case's outcome; the first case of a family measures the whole family."""
        progress = self.progress
        obstacle = unavailable(self.settings.machine, case)
        if obstacle is not None:
            progress.outcomes[case] = Skipped(obstacle.why)
            return progress.outcomes[case]
        try:
            if case not in progress.outcomes:
                for family in self.measuring.before(self._family_of(case)):
                    self._measure(family)
            if progress.families and progress.measured == len(progress.families):
                self._end()
        except EndedEarlyError:
            progress.stopped = progress.stopped or self.stop_reason()
        except WorkerError as error:  # not one of a family, but the first: there will be no others
            progress.stopped = progress.stopped or "no worker can be used"
            if case not in progress.outcomes:
                progress.outcomes[case] = Failed(str(error))
        return progress.outcomes.get(case, Skipped(f"not measured: {progress.stopped}"))

    def reaches(self, case: Case) -> bool:
        """Whether there is an outcome of the case, or the run will still measure it."""
        if self.stop_request.received() and not self.progress.stopped:
            self.progress.stopped = self.stop_reason()
        return not self.progress.stopped or case in self.progress.outcomes

    def stop_reason(self) -> str:
        """Why the run ends early, in words, after a stop request."""
        return f"stopped by {self.stop_request.name}"

    def _family_of(self, case: Case) -> Family:
        if not self._family:
            self._family = {case: family for family in self.progress.families for case in family.reported}
        return self._family[case]

    def measure(self, family: Family) -> None:
        """Measure a family by itself, whatever comes before it in the plan, and keep its outcomes.

        Raises:
            EndedEarlyError: the run is to end, and too little of the family was timed.
            WorkerError: no worker can be used.
        """
        self.measuring.begin()
        self._measure(family)

    def _measure(self, family: Family) -> None:
        """Measure a family, and keep its outcomes."""
        if self.stop_request.received():
            raise EndedEarlyError
        progress = self.progress
        self._store_last()
        self._last_cases = family.reported
        measurement = self.measuring.measure(family)
        progress.outcomes.update(measurement.outcomes)
        if progress.journal is not None:
            self._last_span = progress.write(family_event(self.measuring, family, measurement))

    def _store_last(self) -> None:
        """Move the outcomes of the family that was measured last out of memory."""
        self.progress.outcomes.store(self._last_cases, self.progress.journal, self._last_span)
        self._last_cases, self._last_span = (), None

    def visit(self) -> bool:
        """Visit the family again for which that is worth most; False where no visit is left, or no time for one.

        Raises:
            EndedEarlyError: the run is to end.
        """
        self._store_last()
        if self.stop_request.received():
            raise EndedEarlyError
        if (visit := self.measuring.visit()) is None:
            return False
        self.progress.outcomes.add_visit(visit.entries, visit.began)
        self.progress.write(visit_event(self.measuring, visit))
        return True

    def _visit_again(self) -> None:
        """Visit the families again until all is precise, or the budget is used up."""
        while self.visit():
            pass
        if self.stop_request.received():
            raise EndedEarlyError

    def _end(self) -> None:
        """Finish the run after its last family."""
        if not self.progress.finished and not self.settings.check_only:
            self._visit_again()
        self.finish()

    def finish(self) -> None:
        """Measure what comes after the last visit. Profiles are not in the journal: a resumed run makes them again."""
        progress, settings = self.progress, self.settings
        if not progress.finished:
            self.measuring.finish()
            self._teach_later_runs()
            progress.finished = True
            progress.write(Ended(at=progress.elapsed()))
        if not settings.check_only and self.measuring.warm_starts and STAGE not in progress.seconds:
            measure_warm_starts(settings.options, progress, self.measuring.launcher, self.measuring.task_of)
        if settings.profiling is not None and not settings.check_only and "profiling" not in progress.seconds:
            self.measuring.profile(settings.profiling)

    def _teach_later_runs(self) -> None:
        """Keep how much the visits differed, for runs of a few families on this machine."""
        settings, progress = self.settings, self.progress
        if settings.check_only or settings.options.cold:
            return
        save_run(
            progress.records().values(),
            measured=progress.started.isoformat(timespec="seconds"),
            machine=settings.machine.facts(),
            threads=settings.threads,
            warnings=progress.warnings,
        )

    def records(self) -> list[Record]:
        """Every record so far, with its noise as graded from all figures so far."""
        return list(self._grade().records.values())

    def noise(self) -> NoiseRecord | None:
        """The run's noise; None if nothing was measured of the machine."""
        return self._grade().noise

    def _grade(self) -> Graded:
        monitor, outcomes = self.measuring.monitor, self.progress.outcomes
        state = (outcomes.revision, len(monitor.timed), len(monitor.pilots))
        if self._graded is None or self._graded[0] != state:
            stop: StopReason = "interrupted" if self.progress.stopped else "budget"
            measured = {case.id: record for case, record in self.progress.records().items()}
            self._judged = judged(measured, self.measuring.visiting.machine, stop)
            self._graded = state, monitor.grade(self._judged.records)
        return self._graded[1]

    def visits(self) -> VisitsRecord | None:
        """How often the families were visited; None if nothing was."""
        self._grade()
        return self._judged.visits

    def run_record(self) -> RunRecord:
        """The run's record for the JSON."""
        self.measuring.timeline.stop()
        record = run_record(facts_of(self.measuring, gpus=self.measuring.timeline.records(), noise=self.noise()))
        self.recorded_seconds = cast(Mapping[str, float], record["seconds"])
        if (visits := self.visits()) is not None:
            record["visits"] = visits
        figures = self._last_self_check(record["warnings"])
        if figures is not None:
            record["self_check"] = figures
        machine_figures.add_last(record, self.settings.machine.facts(), self.settings.threads)
        return self.measuring.completed(record)

    def check_itself(self) -> list[str]:
        """``--aa``: save the figures for later runs; returns their lines for the terminal."""
        figures = self._self_check()
        lines = aa_summary.lines(figures)
        try:
            aa_summary.save(figures)
        except OSError as error:
            lines.append(f"warning: these figures are not kept for later runs: {error}")
        return lines

    def _self_check(self) -> SelfCheckRecord:
        return aa_summary.summary(
            self.records(),
            measured=self.progress.started.isoformat(timespec="seconds"),
            machine=self.settings.machine.facts(),
            threads=self.settings.threads,
        )

    def _last_self_check(self, warnings: list[str]) -> SelfCheckRecord | None:
        """The figures of this run, or the last ones on this machine; adds a warning if they cannot be read."""
        if self.settings.options.self_check:
            return self._self_check()
        try:
            return aa_summary.last(self.settings.machine.facts(), self.settings.threads)
        except ValueError as error:
            warnings.append(str(error))
            return None


def samples(record: Record) -> list[float]:
    """The samples for pytest-benchmark: the placements' block medians, seconds per call, in order."""
    return [median(rounds) for rounds in record["timing"]["blocks"]]
