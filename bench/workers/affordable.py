"""What the time that is left for a family pays for: whose first call is made, who is warmed up, and who is timed."""

from __future__ import annotations

from statistics import mean
from time import perf_counter

from torchduet.bench.cases.case import Case
from torchduet.bench.host.suspension import awake
from torchduet.bench.plan.family_time import (
    FEWEST_CALLS,
    OVERDRAFT,
    TimeLeft,
    leave_out_too_slow,
    not_begun,
    out_of_time,
    too_slow,
)
from torchduet.bench.record.schema import STARTING
from torchduet.bench.record.statistics import MIN_PLACEMENTS
from torchduet.bench.timing.alternation import undisturbed
from torchduet.bench.timing.timed_case import TimedCase, warm_up
from torchduet.bench.workers.ranks import WithRanks
from torchduet.suites.workload import COMPILED

HOPELESS_SECONDS = 1.0  # a call longer than this and twice the family's share is not repeated
WARM_UP_SHARE, WARM_UP_SECONDS = 0.03, 0.1  # of the family's time, and at least, for a case, until its times are steady


class Affordable(WithRanks):
    """The stages of a family that are left out where its time is too short.

    The first case on a device comes first: no other there is timed without it. Of the family it is the reference, or
    what is compared with that on another device.
    """

    warmed: tuple[TimedCase, ...] = ()  # references that were warmed up before other cases' first calls

    @property
    def share(self) -> float:
        """The family's seconds for the timing in all of its visits."""
        return self.task.share or self.task.seconds

    def reference(self, device: str) -> TimedCase | None:
        """What the other cases on a device are compared with; None where its first call has failed."""
        first = next(case for case in self.family.cases if case.device == device)
        return next((run for run in self.runs if run.prepared.case == first), None)

    def is_warm(self, run: TimedCase | None) -> bool:
        """Whether it was warmed up before other cases' first calls."""
        return any(run is one for one in self.warmed)

    def left(self) -> TimeLeft:
        """The seconds that are left for the family; starting its devices has taken nothing of them."""
        used = awake() - self.started - self.seconds[STARTING]
        return TimeLeft(self.task.max_seconds - used, self.task.seconds, self.task.grace)

    def unaffordable(self, case: Case) -> str | None:
        """Why there is no time for the first call of a case; None where there is.

        The reference is always called. What others take is expected from the cases before them on the same device: the
        first compilation of a run is tried. As a first call may be long for reasons of its own, the reference is warmed
        up before a case is left out for what it takes.
        """
        task, reference = self.task, self.reference(case.device)
        if task.patient or task.check_only or task.paces is not None or case == self.family.reference:
            return None
        if self._fits(case):
            return None
        if reference is not None and not (self.is_warm(reference) or reference.error or reference.captures):
            with undisturbed():
                self.warm(reference)
            self.warmed = (*self.warmed, reference)
        if reference is not None and reference.skip:
            return reference.skip
        if self._fits(case):
            return None
        return not_begun(self.stages(), self.left().named, self._expected(case), self._reserved(case.device))

    def _fits(self, case: Case) -> bool:
        return self._expected(case) + self._reserved(case.device) <= self.left().for_all

    def _expected(self, case: Case) -> float:
        """Seconds of a case's first call, with its check; 0 where nothing like it was called yet."""
        compiled = case.mode in COMPILED
        alike = [
            seconds
            for other, seconds in self.took.items()
            if (other.mode in COMPILED) == compiled and other.device == case.device
        ]
        if compiled:
            return mean(alike) if alike else self.task.compiling
        reference = self.reference(case.device)
        if reference is not None and self.is_warm(reference) and reference.prepared.case.mode not in COMPILED:
            first = self.results[reference.prepared.case].first_call
            took = self.took.get(reference.prepared.case, 0.0) - (first["seconds"] if first else 0.0)
            alike.append(max(0.0, took) + reference.seconds)
        return min(alike, default=0.0)

    def _reserved(self, device: str) -> float:
        """Seconds for timing the cases that were called on a device, in the fewest placements."""
        able = [run for run in self.runs if run.skip is None and run.error is None]
        known = [self._seconds(run) for run in able if run.prepared.case.device == device]
        eager = [seconds for seconds in known if seconds is not None]
        return FEWEST_CALLS * (sum(eager) + (len(known) - len(eager)) * min(eager, default=0.0))

    def _seconds(self, run: TimedCase) -> float | None:
        """Seconds of a call; None where it is not known, as the first one was compiled."""
        first = self.results[run.prepared.case].first_call
        if self.is_warm(run) or first is None:
            return run.seconds
        return None if run.prepared.case.mode in COMPILED else first["seconds"]

    def warm(self, run: TimedCase) -> bool:
        """Warm up a case, and set its block length; False where that failed or would take too long."""
        if run.skip or run.error:
            return False
        if self.is_warm(run):
            return True
        self.report(f"warming up {run.prepared.case.id}", 0.0)
        share = max(WARM_UP_SECONDS, self.share * WARM_UP_SHARE / max(len(self.runs), 1))
        try:
            if run.captures:
                run.settle()  # other cases' first calls have moved the inputs since
            if self.hopeless(run):
                return False
            warm_up(run, share)
        except Exception as error:  # noqa: BLE001 - becomes this case's reason
            run.error = self.reason(run, error)
            return False
        return True

    def reason(self, run: TimedCase, error: Exception) -> str:
        """Why a case failed."""
        raise NotImplementedError

    def hopeless(self, run: TimedCase) -> bool:
        """Whether a call takes so long that the case is skipped, which saves its warm-up.

        A long first call decides nothing: it may have loaded a library or filled a cache. Another one does.
        """
        case, reference = run.prepared.case, self.reference(run.prepared.case.device)
        if reference is not None and reference.skip:
            run.skip = reference.skip
            return True
        first = self.results[case].first_call
        limit = max(HOPELESS_SECONDS, OVERDRAFT * self.share)
        if self.task.patient or first is None or case.mode in COMPILED or first["seconds"] <= limit:
            return False
        left = self.left()
        if first["seconds"] > (left.for_reference if run is reference else left.for_all):
            whose = "the first call of its reference" if run is reference else "its first call"
            run.skip = f"{whose} took {first['seconds']:.2g} s; {out_of_time({}, left.named)}"
            return True
        start = perf_counter()
        run.call()
        seconds = perf_counter() - start
        if seconds > limit:
            run.seconds = run.too_slow = seconds
            of = " of its reference" if run is reference else ""
            run.skip = too_slow(seconds, MIN_PLACEMENTS * seconds, self.share, of=of)
        return run.skip is not None

    def timed(self) -> list[TimedCase]:
        """The cases that are timed; those whose calls are too long are skipped."""
        able = [run for run in self.runs if run.error is None and run.skip is None]
        if self.task.patient:
            return able
        references = []
        for device in dict.fromkeys(run.prepared.case.device for run in able):
            reference = self.reference(device)
            if reference is not None and reference.skip is not None:
                for run in able:
                    if run.prepared.case.device == device:
                        run.skip = reference.skip
            elif reference is not None and reference.error is None:
                references.append(reference)
        able = [run for run in able if run.skip is None]
        return leave_out_too_slow(able, self.share, self.left(), self.stages(), references)

    def stages(self) -> dict[str, float]:
        """The seconds of the stages so far."""
        before = sum(self.seconds[stage] for stage in (STARTING, "compiling", "checking"))
        return self.seconds | {"warming": awake() - self.started - before}
