"""Judges the series of one machine: what changed, between which runs, and whether the machine may explain it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from torchduet.bench.record.devices import device_of_pilot, numbered
from torchduet.bench.record.statistics import Interval
from torchduet.bench.record.words.counting import plural
from torchduet.reports.history import changes
from torchduet.reports.history.changes import MIN_RUNS, NEAR, Noise, Step
from torchduet.reports.history.creep import creep
from torchduet.reports.history.judged import SPEEDUP, TIME, Change, Judged, Line, few_since, straying
from torchduet.reports.history.series import CaseName, History, Numbers, common_movement, pilots_together
from torchduet.reports.history.suspicion import (
    MIN_SUSPECTED,
    STRAYING,
    Others,
    latest,
    others_of,
    outlying,
    strays,
    suspected,
)
from torchduet.reports.html.helper_process import Helper

Places = NDArray[np.intp]
ENDS = 2 * 2.576  # standard errors between the ends of a 99 % interval


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
    of_others, of_all, known = common_movement(history)
    logs = np.log(history.seconds)
    guarded = [known[index] or bool(_pilots_of(history, case)) for index, case in enumerate(history.cases)]
    judge_of = _Judge(history, math.log1p(threshold))
    within = np.log(history.high / history.low) / ENDS
    times = judge_of.lines(TIME, list(logs - of_others), within, raw=list(logs), guarded=guarded)
    a_case_of = {case.device: index for index, case in enumerate(history.cases)}
    common = {device: judge_of.common(device, of_all[index]) for device, index in a_case_of.items()}
    return Judged(history, tuple(line for line in times if line), speedups(), of_others, common, all(guarded))


def judge_speedups(history: History, threshold: float) -> tuple[Line | None, ...]:
    """A line per case; None for those without a speed-up."""
    ratios = [row if np.isfinite(row).any() else None for row in np.log(history.speedup)]
    within = np.log(history.speedup_high / history.speedup_low) / ENDS
    return tuple(_Judge(history, math.log1p(threshold)).lines(SPEEDUP, ratios, within))


@dataclass(frozen=True)
class _Rest:
    """What a suspicion needs beside a series: the others, how many there are, and its runs' own standard error."""

    others: Others
    asked: int
    within: float


class _Judge:
    """Judges the series of a history by one threshold."""

    def __init__(self, history: History, threshold: float) -> None:
        self.history, self.threshold = history, threshold

    def lines(
        self,
        what: str,
        series: Sequence[Numbers | None],
        within: Numbers,
        raw: Sequence[Numbers] | None = None,
        guarded: Sequence[bool] | None = None,
    ) -> list[Line | None]:
        """Every series judged; the noise of each is shrunk towards the common one.

        Args:
            within: standard errors of the values by their runs alone, ``[case, run]``.
        """
        measured = [np.flatnonzero(np.isfinite(logs)) if logs is not None else None for logs in series]
        noises = [
            changes.noise_of(logs[at]) if logs is not None and at is not None and len(at) >= MIN_RUNS else None
            for logs, at in zip(series, measured, strict=True)
        ]
        common = changes.pooled(known) if (known := [noise for noise in noises if noise]) else None
        finite = [
            logs[at] if logs is not None and at is not None else np.empty(0)
            for logs, at in zip(series, measured, strict=True)
        ]
        others = others_of(finite)
        asked = sum(len(values) >= MIN_SUSPECTED for values in finite)
        lines = [
            None
            if logs is None or at is None
            else self._line(
                self.history.cases[index],
                what,
                logs,
                changes.shrunk(noise, len(at), common) if noise and common else None,
                raw[index] if raw else None,
                guarded[index] if guarded else True,
                _Rest(others[index], asked, _middle(within[index])),
                common,
            )
            for index, (logs, at, noise) in enumerate(zip(series, measured, noises, strict=True))
        ]
        return _without_outliers(lines, others, asked)

    def common(self, device: str, logs: Numbers) -> Line:
        """The movement common to all families on a device, judged against the pilots."""
        case = CaseName(f"all cases on {device}", "", "", device, "", "", False)
        at = np.flatnonzero(np.isfinite(logs))
        if len(at) < MIN_RUNS:
            return self._line(case, TIME, logs, None, logs, True)
        noise = changes.noise_of(logs[at])
        return self._line(case, TIME, logs, changes.shrunk(noise, len(at), noise), logs, True, common=noise)

    def _line(
        self,
        case: CaseName,
        what: str,
        logs: Numbers,
        noise: Noise | None,
        raw: Numbers | None,
        guarded: bool,
        rest: _Rest | None = None,
        common: Noise | None = None,
    ) -> Line:
        at = np.flatnonzero(np.isfinite(logs))
        values = logs[at]
        if not guarded:
            why = "no pilots, and too few other families to measure the machine’s movement"
            return Line(logs, noise, (), _level(values), None, "unclear", why)
        if noise is None:
            return self._of_few(case, what, logs, raw, rest)

        def earlier(runs: int) -> Noise:
            own = changes.noise_of(values[:runs])
            return changes.shrunk(own, runs, common) if common else own

        steps = changes.steps(values, noise, self.threshold, earlier)
        judged = tuple(self._change(case, what, step, at, raw, len(at), following) for step, following in _pairs(steps))
        since = steps[-1].index if steps else 0
        level = float(np.median(values[max(since, len(values) - NEAR) :]))
        last = next((change for change in reversed(judged) if change.verdict != "machine"), None)
        verdict = last.verdict if last else "same"
        stray = _straying(values[since:], level, noise, self.threshold)
        stray = self._of_code(case, stray, STRAYING * noise.deviation, at[since:], raw)
        suspicion = self._suspicion(case, what, at, values, since, raw, rest)
        why = few_since(suspicion) if suspicion else ""
        verdict = "suspected" if suspicion else verdict
        creeping = creep(values[since:], noise, self.threshold)
        return Line(logs, noise, judged, level, creeping, verdict, why, suspicion, 0.0 if suspicion else stray)

    def _of_few(self, case: CaseName, what: str, logs: Numbers, raw: Numbers | None, rest: _Rest | None) -> Line:
        """A series of too few runs for change points."""
        at = np.flatnonzero(np.isfinite(logs))
        values = logs[at]
        suspicion = self._suspicion(case, what, at, values, 0, raw, rest)
        if suspicion:
            return Line(logs, None, (), _level(values), None, "suspected", few_since(suspicion), suspicion)
        stray = strays(values, rest.others, rest.asked, self.threshold, rest.within) if rest else 0.0
        stray = self._of_code(case, stray, 0.0, at, raw)
        why = f"{plural(len(at), 'run')} of it; {MIN_RUNS} are needed"
        return Line(logs, None, (), _level(values), None, "unclear", why, stray=stray)

    def _suspicion(
        self,
        case: CaseName,
        what: str,
        at: Places,
        values: Numbers,
        since: int,
        raw: Numbers | None,
        rest: _Rest | None,
    ) -> Change | None:
        """What the runs since the last change point let suspect, unless the pilots may explain it."""
        if rest is None:
            return None
        step = suspected(values[since:], rest.others, rest.asked, self.threshold, rest.within)
        if step is None:
            return None
        change = self._change(case, what, replace(step, index=step.index + since), at, raw, len(at), None)
        return None if change.verdict == "machine" else replace(change, suspected=True)

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
        since = (following or runs) - step.index
        # A run that did not measure the case may be the one as well as the next one that did.
        first, last = int(at[step.index - step.earlier - 1]) + 1, int(at[step.index + step.later])
        perhaps, reach = tuple(range(first, last + 1)), max(after - first, last - after)
        return Change(
            case, what, before, after, step.height, reach, since, pilots, verdict, perhaps=perhaps, gradual=step.gradual
        )

    def _of_code(self, case: CaseName, stray: float, noise: float, at: Places, raw: Numbers | None) -> float:
        """By how much the latest run strays, if that is more than the pilots may explain; else 0."""
        if not stray or raw is None:
            return stray
        window = at[:-1][-NEAR:], at[-1:]
        height = Interval(stray, stray - noise, stray + noise)
        return stray if _beyond(height, _rise(raw, *window), self._pilots(case, *window)) else 0.0

    def _pilots(self, case: CaseName, before: Places, after: Places) -> Mapping[str, float]:
        rises = {}
        for kind, logs in _pilots_of(self.history, case).items():
            rise = _rise(logs, before, after)
            if math.isfinite(rise):
                rises[kind] = rise
        return rises


def _without_outliers(lines: Sequence[Line | None], others: Sequence[Others], asked: int) -> list[Line | None]:
    """The lines, those of latest runs that lie far off with the remark on it; other outliers were as far off before."""
    latest_of = []
    for line, rest in zip(lines, others, strict=True):
        at = np.flatnonzero(np.isfinite(line.logs)) if line else np.empty(0, np.intp)
        steps = [change.after for change in (*line.changes, *filter(None, [line.suspicion]))] if line else []
        deviation = line.noise.deviation if line and line.noise else rest.deviation
        values = line.logs[at] if line else np.empty(0)
        latest_of.append(latest(values, np.searchsorted(at, steps).tolist(), line.stray if line else 0.0, deviation))
    return [
        line and (straying(line) if far else replace(line, stray=0.0))
        for line, far in zip(lines, outlying(latest_of, asked), strict=True)
    ]


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


def _straying(values: Numbers, level: float, noise: Noise, threshold: float) -> float:
    """How far the latest run is from the level, which it cannot change alone; 0 where it is near."""
    distance = float(values[-1]) - level
    return 0.0 if abs(distance) < max(STRAYING * noise.deviation, threshold) else distance


def _level(values: Numbers) -> float:
    return float(np.median(values[-NEAR:])) if len(values) else math.nan


def _middle(errors: Numbers) -> float:
    """The median of standard errors; 0 without any."""
    known = errors[np.isfinite(errors)]
    return float(np.median(known)) if len(known) else 0.0


def _pairs(steps: Sequence[Step]) -> list[tuple[Step, int | None]]:
    """Every step with the index of the next one."""
    following = [step.index for step in steps[1:]]
    return list(zip(steps, [*following, None], strict=True)) if steps else []
