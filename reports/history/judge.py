"""From the series of one machine to verdicts: what changed, between which runs, and what the machine may have done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchduet.bench.record.devices import on_host
from torchduet.bench.record.statistics import Interval
from torchduet.reports.compare.verdicts import percent
from torchduet.reports.history import changes
from torchduet.reports.history.changes import AFTER, MIN_RUNS, NEAR, Noise, Step
from torchduet.reports.history.creep import Creep, creep
from torchduet.reports.history.series import CaseName, History, Numbers, common_movement, pilots_together
from torchduet.reports.html.helper_process import Helper

Places = NDArray[np.intp]
VERDICTS = ("slower", "faster", "same", "unclear")
STRAYING = 4.0  # deviations from its level at which a latest run is named
TIME, SPEEDUP = "time", "speed-up"


@dataclass(frozen=True)
class Change:
    """One step of one series.

    Attributes:
        what: ``TIME`` or ``SPEEDUP``.
        before: the last run before it, as its place among the history's runs.
        after: the first run after it.
        height: log(after / before) with its 99 % interval; infinite where too few runs carry one.
        reach: so many runs of the series earlier or later it may lie as well (95 %).
        runs: how many runs the new level has lasted.
        pilots: what the pilots beside its family did meanwhile, kind → log(after / before).
        verdict: slower, faster; "machine" where the pilots may account for it.
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


@dataclass(frozen=True)
class Line:
    """One judged series.

    Attributes:
        logs: as it was judged, by run; NaN where it was not measured, or nothing says how far the machine moved.
        noise: None with too few runs.
        level: log of the median of the runs since the last change, at most 30; NaN without any.
        creep: how the series moved since its last change, where that is significant.
        why: what keeps its verdict open.
    """

    logs: Numbers
    noise: Noise | None
    changes: tuple[Change, ...]
    level: float
    creep: Creep | None
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Judged:
    """All that there is to say of one machine's history.

    Attributes:
        times: one per case, in the order of ``history.cases``; likewise ``speedups``, None for cases without one.
        removed: what was taken off the logs of times: what all other families have in common, ``[case, run]``.
        together: device → the changes of what all families on it have in common, as a series of its own.
        guarded: whether something says how far the machine moved: pilots, or enough other families.
    """

    history: History
    times: tuple[Line, ...]
    speedups: tuple[Line | None, ...]
    removed: Numbers
    together: Mapping[str, Line]
    guarded: bool

    def found(self) -> list[Change]:
        """All changes that are not the machine's."""
        lines = [line for line in (*self.times, *self.speedups) if line]
        return [one for line in lines for one in line.changes if one.verdict != "machine"]


def judge(history: History, threshold: float, helper: Helper | None = None) -> Judged:
    """Judge every series of a machine.

    Times are judged without what all other families have in common (``common_movement``). What is left is a change
    of the code only if it is more than the pilots beside the family moved, too: as ``compare`` does, any pilot may
    account for all of its own movement, and none has to. Speed-ups are free of both, as their two sides are timed
    in alternation.

    Args:
        threshold: the share of the time that a change has to exceed to matter.
        helper: judges the speed-ups (default: this process).
    """
    begun = (helper or Helper()).begin(judge_speedups, history, threshold)
    others, everyone = common_movement(history)
    logs = np.log(history.seconds)
    guarded = [
        bool(np.any(others[place])) or bool(_pilots_of(history, case)) for place, case in enumerate(history.cases)
    ]
    judge_of = _Judge(history, math.log1p(threshold))
    times = judge_of.lines(TIME, list(logs - others), raw=list(logs), guarded=guarded)
    a_case_of = {case.device: place for place, case in enumerate(history.cases)}
    together = {device: judge_of.together(device, everyone[place]) for device, place in a_case_of.items()}
    return Judged(history, tuple(one for one in times if one), begun(), others, together, all(guarded))


def judge_speedups(history: History, threshold: float) -> tuple[Line | None, ...]:
    """A line per case; None for those without a speed-up."""
    ratios = [row if np.isfinite(row).any() else None for row in np.log(history.speedup)]
    return tuple(_Judge(history, math.log1p(threshold)).lines(SPEEDUP, ratios))


class _Judge:
    """A history with the threshold that its series are judged by."""

    def __init__(self, history: History, threshold: float) -> None:
        self.history, self.threshold = history, threshold

    def lines(
        self,
        what: str,
        series: Sequence[Numbers | None],
        raw: Sequence[Numbers] | None = None,
        guarded: Sequence[bool] | None = None,
    ) -> list[Line | None]:
        """Every series judged; their noises steady each other."""
        places = [np.flatnonzero(np.isfinite(one)) if one is not None else None for one in series]
        own = [
            changes.noise_of(one[at]) if one is not None and at is not None and len(at) >= MIN_RUNS else None
            for one, at in zip(series, places, strict=True)
        ]
        common = changes.pooled(known) if (known := [one for one in own if one]) else None
        return [
            None
            if one is None or at is None
            else self._line(
                self.history.cases[place],
                what,
                one,
                changes.steadied(noise, len(at), common) if noise and common else None,
                raw[place] if raw else None,
                guarded[place] if guarded else True,
            )
            for place, (one, at, noise) in enumerate(zip(series, places, own, strict=True))
        ]

    def together(self, device: str, logs: Numbers) -> Line:
        """What all families on a device have in common, as a series; the pilots are held against it."""
        case = CaseName(f"all cases on {device}", "", "", device, "", "", False)
        at = np.flatnonzero(np.isfinite(logs))
        noise = changes.noise_of(logs[at]) if len(at) >= MIN_RUNS else None
        return self._line(case, TIME, logs, noise, logs, True)

    def _line(
        self, case: CaseName, what: str, logs: Numbers, noise: Noise | None, raw: Numbers | None, guarded: bool
    ) -> Line:
        at = np.flatnonzero(np.isfinite(logs))
        values = logs[at]
        if noise is None or not guarded:
            few = f"{len(at)} run{'' if len(at) == 1 else 's'} of it; {MIN_RUNS} are needed"
            why = few if noise is None else "no pilots, and too few other families to tell how far the machine moved"
            level = float(np.median(values[-NEAR:])) if len(values) else math.nan
            return Line(logs, noise, (), level, None, "unclear", why)
        steps = changes.steps(values, noise, self.threshold)
        found = tuple(self._change(case, what, step, at, raw, len(at), following) for step, following in _pairs(steps))
        since = steps[-1].place if steps else 0
        level = float(np.median(values[max(since, len(values) - NEAR) :]))
        last = next((one for one in reversed(found) if one.verdict != "machine"), None)
        verdict, why = (last.verdict if last else "same"), ""
        if stray := _straying(values[since:], level, noise, self.threshold):
            why = stray
            verdict = verdict if last else "unclear"
        return Line(logs, noise, found, level, creep(values[since:], noise, self.threshold), verdict, why)

    def _change(
        self, case: CaseName, what: str, step: Step, at: Places, raw: Numbers | None, runs: int, following: int | None
    ) -> Change:
        before, after = int(at[step.place - 1]), int(at[step.place])
        pilots: Mapping[str, float] = {}
        verdict = "slower" if (step.height.point > 0) == (what == TIME) else "faster"
        if raw is not None:
            window = (at[max(0, step.place - NEAR) : step.place], at[step.place : (following or runs)][:NEAR])
            pilots = self._pilots(case, *window)
            if not _beyond(step.height, _rise(raw, *window), pilots):
                verdict = "machine"
        return Change(
            case, what, before, after, step.height, step.reach, (following or runs) - step.place, pilots, verdict
        )

    def _pilots(self, case: CaseName, before: Places, after: Places) -> Mapping[str, float]:
        found = {}
        for kind, logs in _pilots_of(self.history, case).items():
            rise = _rise(logs, before, after)
            if math.isfinite(rise):
                found[kind] = rise
        return found


def _pilots_of(history: History, case: CaseName) -> Mapping[str, Numbers]:
    """The pilots beside a case's family; of all families for what all have in common. They run on the CPU only."""
    if not on_host(case.device):
        return {}
    if case.family:
        return history.pilots.get(case.family, {})
    return pilots_together(history)


def _rise(logs: Numbers, before: Places, after: Places) -> float:
    """The median after less the median before; NaN where either has no run."""
    first, second = (logs[at][np.isfinite(logs[at])] for at in (before, after))
    return float(np.median(second) - np.median(first)) if len(first) and len(second) else math.nan


def _beyond(height: Interval, rise: float, pilots: Mapping[str, float]) -> bool:
    """Whether a change is more than what pilots may account for: in the untouched times, with its interval.

    Args:
        height: of the step in the series without what all have in common.
        rise: of the untouched logs of times over the same runs.
    """
    if not pilots or not math.isfinite(rise):
        return True
    wide = (height.high - height.low) / 2 if math.isfinite(height.high - height.low) else 0.0
    most, least = max(0.0, *pilots.values()), min(0.0, *pilots.values())
    return rise - wide > most if height.point > 0 else rise + wide < least


def _straying(values: Numbers, level: float, noise: Noise, threshold: float) -> str:
    """A latest run far from its level, which too few runs confirm."""
    away = float(values[-1]) - level
    if abs(away) < max(STRAYING * noise.deviation, threshold):
        return ""
    return f"the latest run is {percent(away)} off its level; {AFTER} runs in a row tell a change from an outlier"


def _pairs(steps: Sequence[Step]) -> list[tuple[Step, int | None]]:
    """Every step with where the next one lies."""
    following = [one.place for one in steps[1:]]
    return list(zip(steps, [*following, None], strict=True)) if steps else []
