"""The judged series of a machine: each case's changes, what is suspected of it, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torchduet.bench.record.statistics import Interval
from torchduet.bench.record.words.counting import plural
from torchduet.reports.compare.verdicts import percent
from torchduet.reports.history.changes import AFTER, MIN_RUNS, Noise
from torchduet.reports.history.creep import Creep
from torchduet.reports.history.series import CaseName, History, Numbers

VERDICTS = ("slower", "faster", "suspected", "same", "unclear")
TIME, SPEEDUP = "time", "speed-up"


@dataclass(frozen=True)
class Change:
    """One step of one series.

    Attributes:
        what: ``TIME`` or ``SPEEDUP``.
        before: index of the last run before it.
        after: index of the first run after it.
        height: log(after / before) with its 99 % interval; infinite with too few runs.
        reach: how many runs earlier or later it may lie (95 %).
        runs: number of runs at the new level.
        pilots: change of the pilots beside its family over the same runs, kind → log(after / before).
        verdict: slower, faster; "machine" where the pilots may explain it.
        suspected: whether it has too few runs for a change point (``suspicion``).
        perhaps: the runs with any of which it may have come (95 %), in the order of time; also those that did not
            measure the case. Empty: ``after`` alone.
        gradual: whether it came in steps with several of these runs, as values between both levels show.
    """

    case: CaseName
    what: str
    before: int
    after: int
    height: Interval
    reach: int
    runs: int
    pilots: Mapping[str, float]
    verdict: str
    suspected: bool = False
    perhaps: tuple[int, ...] = ()
    gradual: bool = False


@dataclass(frozen=True)
class Line:
    """One judged series.

    Attributes:
        logs: the judged values by run; NaN where the case was not measured or the machine's movement is not known.
        noise: None with too few runs.
        level: log of the median of the runs since the last change, at most 30; NaN without any.
        creep: slope of the series since its last change, where it is significant.
        verdict: that of its last change; "suspected" where there is a suspicion after it.
        why: a remark on its verdict, such as why it is unclear.
        suspicion: a step after its last change that may be one, too; None without any.
        stray: log of the latest run over the level before it, if it is far off; else 0.
    """

    logs: Numbers
    noise: Noise | None
    changes: tuple[Change, ...]
    level: float
    creep: Creep | None
    verdict: str
    why: str = ""
    suspicion: Change | None = None
    stray: float = 0.0


@dataclass(frozen=True)
class Judged:
    """The judged history of one machine.

    Attributes:
        times: one per case, in the order of ``history.cases``; likewise ``speedups``, None for cases without one.
        removed: the movement common to all other families, subtracted from the logs of times, ``[case, run]``.
        common: device → the movement common to all families on it, judged as a series of its own.
        guarded: whether the machine's movement is known for all cases, from pilots or enough other families.
    """

    history: History
    times: tuple[Line, ...]
    speedups: tuple[Line | None, ...]
    removed: Numbers
    common: Mapping[str, Line]
    guarded: bool

    def changes(self) -> list[Change]:
        """All changes of times and speed-ups that the machine does not explain."""
        lines = [line for line in (*self.times, *self.speedups) if line]
        return [change for line in lines for change in line.changes if change.verdict != "machine"]

    def strays(self) -> list[tuple[CaseName, Line]]:
        """The cases whose latest time is far off its level, the farthest first."""
        found = [one for one in zip(self.history.cases, self.times, strict=True) if one[1].stray]
        return sorted(found, key=lambda one: -abs(one[1].stray))

    def suspicions(self) -> list[Change]:
        """All steps that are suspected only, the largest first."""
        lines = [line for line in (*self.times, *self.speedups) if line]
        found = [line.suspicion for line in lines if line.suspicion]
        return sorted(found, key=lambda change: -abs(change.height.point))


def straying(line: Line) -> Line:
    """A line whose latest run is far off its level, with the remark that says so."""
    why = (
        f"the latest run is {percent(line.stray)} off its level; two such runs in a row may be suspected, and it takes "
        f"{AFTER} to be a change, in {MIN_RUNS} runs or more"
    )
    return replace(line, verdict="unclear" if line.verdict == "same" else line.verdict, why=why)


def few_since(suspicion: Change) -> str:
    """The remark on a suspected step."""
    return (
        f"suspected: {percent(suspicion.height.point)} in {plural(suspicion.runs, 'run')}; a change takes {AFTER} in "
        f"a row, in {MIN_RUNS} runs or more"
    )
