"""One run: its families' measurement on first demand, the journal, and its records."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Outcome, Skipped
from torchduet.bench.host.signals import StopRequest
from torchduet.bench.noise.grades import Graded
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.record.journal import Place
from torchduet.bench.record.journal_events import Ended
from torchduet.bench.record.run_record import run_record
from torchduet.bench.record.schema import NoiseRecord, Record, RunRecord, SelfCheckRecord
from torchduet.bench.run import aa_summary
from torchduet.bench.run.measuring import Measuring
from torchduet.bench.run.progress import Progress
from torchduet.bench.run.resume import family_event
from torchduet.bench.run.run_facts import facts_of
from torchduet.bench.run.settings import Settings
from torchduet.bench.workers.launcher import StoppedError


class Session:
    """One ``pytest bench/``.

    Args:
        stop_request: whether the run was asked to stop.
    """

    def __init__(self, measuring: Measuring, stop_request: StopRequest | None = None) -> None:
        self.measuring, self.stop_request = measuring, stop_request or StopRequest()
        self._asked_for: Sequence[Case] = ()  # the family that was measured last
        self._written: Place | None = None  # where it stands in the journal
        self._family: dict[Case, Family] = {}
        self._graded: tuple[tuple[int, ...], Graded] | None = None  # and of which state of the run

    @property
    def settings(self) -> Settings:
        """What the run was asked for."""
        return self.measuring.settings

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self.measuring.progress

    def outcome(self, case: Case) -> Outcome:
        """What came out for the case, measuring its whole family at the first of its cases."""
        progress = self.progress
        obstacle = unavailable(self.settings.machine, case)
        if obstacle is not None:
            progress.outcomes[case] = Skipped(obstacle.why)
            return progress.outcomes[case]
        try:
            if case not in progress.outcomes:
                self._bring(self._family_of(case))
            if progress.families and progress.measured == len(progress.families):
                self._end()
        except StoppedError:
            progress.stopped = progress.stopped or f"it was interrupted by {self.stop_request.name}"
        return progress.outcomes.get(case, Skipped(f"not measured: {progress.stopped}"))

    def reaches(self, case: Case) -> bool:
        """Whether there is an outcome of the case, or the run still goes on to it."""
        if self.stop_request.received() and not self.progress.stopped:
            self.progress.stopped = f"it was interrupted by {self.stop_request.name}"
        return not self.progress.stopped or case in self.progress.outcomes

    def _family_of(self, case: Case) -> Family:
        if not self._family:
            self._family = {case: family for family in self.progress.families for case in family.reported}
        return self._family[case]

    def _bring(self, family: Family) -> None:
        """Measure a family, and keep what came out."""
        if self.stop_request.received():
            raise StoppedError
        progress = self.progress
        progress.outcomes.put_away(self._asked_for, progress.journal, self._written)
        self._asked_for, self._written = family.reported, None
        found = self.measuring.measure(family)
        progress.outcomes.update(found.outcomes)
        if progress.journal is not None:
            self._written = progress.write(family_event(self.measuring, family, found))

    def _end(self) -> None:
        """After the last family, once; profiles are not in the journal, and a resumed run makes them anew."""
        progress, settings = self.progress, self.settings
        if not progress.finished:
            self.measuring.finish()
            progress.finished = True
            progress.write(Ended(at=progress.elapsed()))
        if settings.profiling is not None and not settings.check_only and "profiling" not in progress.seconds:
            self.measuring.profile(settings.profiling)

    def records(self) -> list[Record]:
        """Every record so far, with its noise by all that is known so far; what was measured stays as it is."""
        return list(self._grade().records.values())

    def noise(self) -> NoiseRecord | None:
        """The run's noise; None where nothing is known of the machine."""
        return self._grade().noise

    def _grade(self) -> Graded:
        watch, outcomes = self.measuring.monitor, self.progress.outcomes
        state = (outcomes.revision, len(watch.timed), len(watch.pilots))
        if self._graded is None or self._graded[0] != state:
            self._graded = state, watch.grade({case.id: record for case, record in self.progress.records().items()})
        return self._graded[1]

    def run_record(self) -> RunRecord:
        """The run as it stands in the JSON."""
        self.measuring.timeline.stop()
        made = run_record(facts_of(self.measuring, gpus=self.measuring.timeline.records(), noise=self.noise()))
        checked = self._last_self_check(made["warnings"])
        if checked is not None:
            made["self_check"] = checked
        return self.measuring.completed(made)

    def check_itself(self) -> list[str]:
        """``--aa``: keep the figures for later runs, and say them."""
        found = self._self_check()
        said = aa_summary.lines(found)
        try:
            aa_summary.keep(found)
        except OSError as error:
            said.append(f"warning: these figures are not kept for later runs: {error}")
        return said

    def _self_check(self) -> SelfCheckRecord:
        return aa_summary.summary(
            self.records(),
            measured=self.progress.started.isoformat(timespec="seconds"),
            machine=self.settings.machine.facts(),
            threads=self.settings.threads,
        )

    def _last_self_check(self, warnings: list[str]) -> SelfCheckRecord | None:
        """The figures of this run, or the last on this machine; a warning is added where they cannot be read."""
        if self.settings.options.self_check:
            return self._self_check()
        try:
            return aa_summary.last(self.settings.machine.facts(), self.settings.threads)
        except ValueError as error:
            warnings.append(str(error))
            return None


def samples(record: Record) -> list[float]:
    """What pytest-benchmark gets: the placements' block medians, seconds per call, in order."""
    return [median(rounds) for rounds in record["timing"]["blocks"]]
