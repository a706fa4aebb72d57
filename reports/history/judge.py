"""Judges the series of one machine: what changed, between which runs, and whether the machine may explain it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from torchduet.bench.record.devices import device_of_pilot, numbered
from torchduet.bench.record.statistics import Interval
from torchduet.reports.compare.verdicts import percent
from torchduet.reports.history import changes
from torchduet.reports.history.changes import AFTER, MIN_RUNS, NEAR, Noise, Step
from torchduet.reports.history.creep import Creep, creep
from torchduet.reports.history.series import CaseName, History, Numbers, common_movement, pilots_together
from torchduet.reports.html.helper_process import Helper

Places = NDArray[np.intp]
VERDICTS = ("slower", "faster", "same", "unclear")
STRAYING = 4.0  # deviations from the level at which the latest run is reported
TIME, SPEEDUP = "time", "speed-up"


@dataclass(frozen=True)
class Change:
    """One step of one series.

    Attributes:
        what: ``TIME`` or ``SPEEDUP``.
        before: index of the last run before it.
        after: index of the first run after it.
        height: log(after / before) with its 99 % interval; infinite with too few runs.
        reach: how many runs of the series earlier or later it may lie (95 %).
        runs: number of runs at the new level.
        pilots: change of the pilots beside its family over the same runs, kind → log(after / before).
        verdict: slower, faster; "machine" where the pilots may explain it.
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
        logs: the judged values by run; NaN where the case was not measured or the machine's movement is not known.
        noise: None with too few runs.
        level: log of the median of the runs since the last change, at most 30; NaN without any.
        creep: slope of the series since its last change, where it is significant.
        why: a remark on its verdict, such as why it is unclear.
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


def judge(history: History, threshold: float, helper: Helper | None = None) -> Judged:
    """Judge every series of a machine.

    The movement common to all other families (``common_movement``) is subtracted from times. The rest counts as a
    change of the code only if it also exceeds the movement of the pilots beside the family; as in ``compare``, each
    pilot may explain anything from none to all of its own movement. Speed-ups need neither: their two sides are timed
    in alternation.

    Args:
        threshold: share of the time that a change must exceed to matter.
        helper: judges the speed-ups (default: this process).
    """
    speedups = (helper or Helper()).begin(judge_speedups, history, threshold)
    of_others, of_all = common_movement(history)
    logs = np.log(history.seconds)
    guarded = [
        bool(np.any(of_others[index])) or bool(_pilots_of(history, case)) for index, case in enumerate(history.cases)
    ]
    judge_of = _Judge(history, math.log1p(threshold))
    times = judge_of.lines(TIME, list(logs - of_others), raw=list(logs), guarded=guarded)
    a_case_of = {case.device: index for index, case in enumerate(history.cases)}
    common = {device: judge_of.common(device, of_all[index]) for device, index in a_case_of.items()}
    return Judged(history, tuple(line for line in times if line), speedups(), of_others, common, all(guarded))


def judge_speedups(history: History, threshold: float) -> tuple[Line | None, ...]:
    """A line per case; None for those without a speed-up."""
    ratios = [row if np.isfinite(row).any() else None for row in np.log(history.speedup)]
    return tuple(_Judge(history, math.log1p(threshold)).lines(SPEEDUP, ratios))


class _Judge:
    """Judges the series of a history by one threshold."""

    def __init__(self, history: History, threshold: float) -> None:
        self.history, self.threshold = history, threshold

    def lines(
        self,
        what: str,
        series: Sequence[Numbers | None],
        raw: Sequence[Numbers] | None = None,
        guarded: Sequence[bool] | None = None,
    ) -> list[Line | None]:
        """Every series judged; the noise of each is shrunk towards the common one."""
        measured = [np.flatnonzero(np.isfinite(logs)) if logs is not None else None for logs in series]
        noises = [
            changes.noise_of(logs[at]) if logs is not None and at is not None and len(at) >= MIN_RUNS else None
            for logs, at in zip(series, measured, strict=True)
        ]
        common = changes.pooled(known) if (known := [noise for noise in noises if noise]) else None
        return [
            None
            if logs is None or at is None
            else self._line(
                self.history.cases[index],
                what,
                logs,
                changes.shrunk(noise, len(at), common) if noise and common else None,
                raw[index] if raw else None,
                guarded[index] if guarded else True,
            )
            for index, (logs, at, noise) in enumerate(zip(series, measured, noises, strict=True))
        ]

    def common(self, device: str, logs: Numbers) -> Line:
        """The movement common to all families on a device, judged against the pilots."""
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
            why = few if noise is None else "no pilots, and too few other families to measure the machine’s movement"
            level = float(np.median(values[-NEAR:])) if len(values) else math.nan
            return Line(logs, noise, (), level, None, "unclear", why)
        steps = changes.steps(values, noise, self.threshold)
        judged = tuple(self._change(case, what, step, at, raw, len(at), following) for step, following in _pairs(steps))
        since = steps[-1].index if steps else 0
        level = float(np.median(values[max(since, len(values) - NEAR) :]))
        last = next((change for change in reversed(judged) if change.verdict != "machine"), None)
        verdict = last.verdict if last else "same"
        why = _straying(values[since:], level, noise, self.threshold)
        if why and not last:
            verdict = "unclear"
        return Line(logs, noise, judged, level, creep(values[since:], noise, self.threshold), verdict, why)

    def _change(
        self, case: CaseName, what: str, step: Step, at: Places, raw: Numbers | None, runs: int, following: int | None
    ) -> Change:
        before, after = int(at[step.index - 1]), int(at[step.index])
        pilots: Mapping[str, float] = {}
        verdict = "slower" if (step.height.point > 0) == (what == TIME) else "faster"
        if raw is not None:
            window = (at[max(0, step.index - NEAR) : step.index], at[step.index : (following or runs)][:NEAR])
            pilots = self._pilots(case, *window)
            if not _beyond(step.height, _rise(raw, *window), pilots):
                verdict = "machine"
        return Change(
            case, what, before, after, step.height, step.reach, (following or runs) - step.index, pilots, verdict
        )

    def _pilots(self, case: CaseName, before: Places, after: Places) -> Mapping[str, float]:
        rises = {}
        for kind, logs in _pilots_of(self.history, case).items():
            rise = _rise(logs, before, after)
            if math.isfinite(rise):
                rises[kind] = rise
        return rises


def _pilots_of(history: History, case: CaseName) -> Mapping[str, Numbers]:
    """The pilots on a case's device beside its family; of all families for the common movement.

    Those of the CPU say nothing on a GPU's speed, and runs of older versions have none on GPUs.
    """
    pilots = history.pilots.get(case.family, {}) if case.family else pilots_together(history)
    return {kind: logs for kind, logs in pilots.items() if device_of_pilot(kind) == numbered(case.device)}


def _rise(logs: Numbers, before: Places, after: Places) -> float:
    """The median after minus the median before; NaN where either has no run."""
    first, second = (logs[at][np.isfinite(logs[at])] for at in (before, after))
    return float(np.median(second) - np.median(first)) if len(first) and len(second) else math.nan


def _beyond(height: Interval, rise: float, pilots: Mapping[str, float]) -> bool:
    """Whether the original times changed by more, with their interval, than the pilots may explain.

    Args:
        height: of the step in the series without the common movement.
        rise: change of the original logs of times over the same runs.
    """
    if not pilots or not math.isfinite(rise):
        return True
    half_width = (height.high - height.low) / 2 if math.isfinite(height.high - height.low) else 0.0
    most, least = max(0.0, *pilots.values()), min(0.0, *pilots.values())
    return rise - half_width > most if height.point > 0 else rise + half_width < least


def _straying(values: Numbers, level: float, noise: Noise, threshold: float) -> str:
    """A remark if the latest run is far from the level, which it cannot change alone; else empty."""
    distance = float(values[-1]) - level
    if abs(distance) < max(STRAYING * noise.deviation, threshold):
        return ""
    return f"the latest run is {percent(distance)} off its level; it takes {AFTER} such runs in a row to be a change"


def _pairs(steps: Sequence[Step]) -> list[tuple[Step, int | None]]:
    """Every step with the index of the next one."""
    following = [step.index for step in steps[1:]]
    return list(zip(steps, [*following, None], strict=True)) if steps else []
