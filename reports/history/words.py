"""Writes a history in sentences, for the page and the terminal."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence

import numpy as np

from torchduet.bench.record.machines.key import Machine
from torchduet.bench.record.words.case_names import short_names
from torchduet.bench.record.words.counting import plural
from torchduet.reports.compare.verdicts import percent
from torchduet.reports.history.changes import AFTER, MIN_RUNS
from torchduet.reports.history.events import Event, commit_of, commits_of, runs_of
from torchduet.reports.history.judged import SPEEDUP, TIME, VERDICTS, Change, Judged
from torchduet.reports.history.series import History, RunMark
from torchduet.reports.history.suspicion import MIN_SUSPECTED
from torchduet.reports.html.environment import date
from torchduet.reports.text import units
from torchduet.reports.text.escaping import code_span

RECENT = 20  # runs


def recent(judged: Judged, events: Sequence[Event]) -> list[Event]:
    """The events of the latest runs."""
    return [event for event in events if event.after >= len(judged.history.runs) - RECENT]


def headline(judged: Judged, events: Sequence[Event]) -> str:
    """The answer in one sentence, with the case, the factor and the commit.

    ``layers.net became 1.80 times as slow with 56a4906``; of a step in few runs
    ``layers.net is suspected to be 1.80 times as slow since 56a4906``; without any ``No case became slower or faster in
    26 runs``.
    """
    runs = len(judged.history.runs)
    if runs < MIN_SUSPECTED:
        return f"{plural(runs, 'run')} so far; {MIN_SUSPECTED} are needed to suspect a change, {MIN_RUNS} to find one"
    if not judged.guarded and not any(judged.speedups):
        return "Nothing measures how much the machine changed, so no change can be told from drift"
    common = "".join(f"; all cases on {change.case.device} {size(change)}" for change in _common(judged))
    latest = recent(judged, events)
    if moved := moved_of(latest):
        return f"{_became(judged, moved)}{common}"
    if suspicions := judged.suspicions():
        return f"{_suspected(judged, suspicions)}{common}"
    astray = _astray(judged)
    if astray and runs < MIN_RUNS:
        return f"The {astray}{common}"
    return f"{_nothing(judged, latest, bool(common))}{common}{f'; the {astray}' if astray else ''}"


def moved_of(latest: Sequence[Event]) -> list[Change]:
    """The latest changes of time: slower first, of each the largest first."""
    changes = [change for event in latest for change in event.changes if change.what == TIME]
    return sorted(changes, key=lambda change: (change.verdict != "slower", -abs(change.height.point)))


def _became(judged: Judged, moved: Sequence[Change]) -> str:
    first, others = moved[0], {change.case.id: change.verdict for change in moved[1:]}
    others.pop(first.case.id, None)
    counts = Counter(others.values())
    rest = [
        f"{plural(counts[verdict], 'more case became', 'more cases became')} {verdict}"
        for verdict in ("slower", "faster")
        if counts[verdict]
    ]
    what = f"{_short(judged, first)} became {factor(first)} {commits_of(judged.history, first)}"
    return "; ".join((what, *rest))


def _suspected(judged: Judged, suspicions: Sequence[Change]) -> str:
    times = [change for change in suspicions if change.what == TIME] or list(suspicions)
    first = next((change for change in times if change.verdict == "slower"), times[0])
    speed = "" if first.what == TIME else "’s speed-up"
    more = len({change.case.id for change in times} - {first.case.id})
    rest = f"; {plural(more, 'more case is', 'more cases are')} suspected" if more else ""
    since = commits_of(judged.history, first, "since")
    return f"{_short(judged, first)}{speed} is suspected to be {factor(first)} {since}{rest}"


def besides(judged: Judged, headline: str) -> str:
    """That the latest run of a case is far off its level, if it is and the headline does not say so."""
    astray = _astray(judged)
    return f"The {astray}" if astray and astray not in headline else ""


def _astray(judged: Judged) -> str:
    """The latest run that is farthest off its case's level, which is no suspicion yet; empty without one."""
    found = judged.strays()
    if not found:
        return ""
    case, line = found[0]
    times = units.digits(math.exp(abs(line.stray)))
    what = f"took {times} times as long" if line.stray > 0 else f"was {times} times as fast"
    commit = commit_of(judged.history, int(np.flatnonzero(np.isfinite(line.logs))[-1]))
    more = f" ({plural(len(found) - 1, 'more case is', 'more cases are')} off, too)" if found[1:] else ""
    name = short_names([one.id for one in judged.history.cases])[case.id]
    return f"latest run of {name}, {commit}, {what}{more}; another such run may make it suspected"


def _nothing(judged: Judged, latest: Sequence[Event], common: bool) -> str:
    runs = len(judged.history.runs)
    if not any(line and line.noise for line in (*judged.times, *judged.speedups)):
        return f"No change is seen in {plural(runs, 'run')}; small ones are found from {MIN_RUNS} runs on"
    span = f"in the last {RECENT} runs" if runs > RECENT else f"in {runs} runs"
    by_speedup = len({change.case.id for event in latest for change in event.changes if change.what == SPEEDUP})
    more = f"; {plural(by_speedup, 'speed-up')} changed" if by_speedup else ""
    return f"No case became slower or faster{' than the others' if common else ''} {span}{more}"


def factor(change: Change) -> str:
    """``1.80 times as slow``, ``1.20 times as fast``; of a speed-up ``1.20 times as high``."""
    times = f"{units.digits(math.exp(abs(change.height.point)))} times as"
    if change.what == SPEEDUP:
        return f"{times} {'low' if change.verdict == 'slower' else 'high'}"
    return f"{times} {'slow' if change.verdict == 'slower' else 'fast'}"


def _short(judged: Judged, change: Change) -> str:
    return short_names([case.id for case in judged.history.cases])[change.case.id]


def _common(judged: Judged) -> list[Change]:
    """The changes of all cases of a device in the latest runs that the pilots do not explain."""
    first = len(judged.history.runs) - RECENT
    changes = [change for line in judged.common.values() for change in line.changes]
    return [change for change in changes if change.after >= first and change.pilots and change.verdict != "machine"]


def tally(judged: Judged) -> list[tuple[str, int]]:
    """The number of cases with each verdict, by the last change of their time."""
    counts = Counter(line.verdict for line in judged.times)
    return [(verdict, counts[verdict]) for verdict in VERDICTS if counts[verdict]]


def event_title(event: Event) -> str:
    """The changes that came with a run: ``2 slower, 1 faster, 3 speed-ups changed``."""
    slower, faster = (len(event.of(TIME, verdict)) for verdict in ("slower", "faster"))
    speedups = sum(change.what == SPEEDUP for change in event.changes)
    parts = [f"{number} {verdict}" for number, verdict in ((slower, "slower"), (faster, "faster")) if number]
    if speedups:
        parts.append(f"{plural(speedups, 'speed-up')} changed")
    return ", ".join(parts)


def run_name(history: History, index: int) -> str:
    """``0041.json (5 March 2026, 03:00 UTC, commit 1a2b3c)``."""
    run = history.runs[index]
    return f"{run.path} ({', '.join(filter(None, (date(run.started), run.commit and f'commit {run.commit}')))})"


def new_versions(run: RunMark) -> str:
    """``PyTorch 2.9.1 → 2.10.0, Python 3.12 → 3.13``; empty without a new version."""
    return ", ".join(f"{name} {before} → {now}" for name, (before, now) in run.changed.items())


def size(change: Change) -> str:
    """The size of a change: ``+14 %`` of time, ``−12 %`` of speed-up."""
    return percent(change.height.point)


def what(change: Change) -> str:
    """``time slower``, ``speed-up lower``."""
    if change.what == SPEEDUP:
        return f"{SPEEDUP} {'lower' if change.verdict == 'slower' else 'higher'}"
    return f"{TIME} {change.verdict}"


def interval(change: Change) -> str:
    """``+12 % to +16 %``; empty with too few runs."""
    if not math.isfinite(change.height.high - change.height.low):
        return ""
    return f"{percent(change.height.low)} to {percent(change.height.high)}"


def certainty(judged: Judged, change: Change) -> str:
    """``12 runs since; may lie 2 runs off``, ``12 runs since; in steps from c50b656 to 56a4906``."""
    off = f"; may lie {plural(change.reach, 'run')} off" if change.reach else ""
    if change.gradual:
        off = f"; {commits_of(judged.history, change)}"
    few = " (few)" if change.runs <= AFTER else ""
    return f"{plural(change.runs, 'run')} since{few}{off}"


def came_with(judged: Judged, event: Event) -> str:
    """``with 0041.json (5 March 2026, 03:00 UTC, commit 1a2b3c)``, ``in steps from 0041.json (…) to 0043.json (…)``."""
    return runs_of(event, lambda run: run_name(judged.history, run))


def paths_of(judged: Judged, event: Event) -> str:
    """``with 0041.json``, ``with 0041.json or 0042.json``."""
    return runs_of(event, lambda run: judged.history.runs[run].path)


def versions_of(judged: Judged, event: Event) -> str:
    """The new versions of the runs that an event may have come with."""
    return ", ".join(filter(None, (new_versions(judged.history.runs[run]) for run in event.perhaps)))


def suspicion(judged: Judged, change: Change) -> str:
    """``layers.net[n=256] cpu eager fp32: +80 % since 56a4906, +75 % to +85 %; 2 runs since, so not a change yet``."""
    what = "" if change.what == TIME else f" of its {SPEEDUP}"
    since = commits_of(judged.history, change, "since")
    runs = plural(change.runs, "run")
    return f"{change.case.id}: {size(change)}{what} {since}, {interval(change)}; {runs} since, so not a change yet"


def markdown(judged: Judged, case: str, changes: Sequence[Change]) -> str:
    """A case's changes as a line of Markdown, for a comment or an issue."""
    parts = [
        f"{'suspected ' if change.suspected else ''}{size(change)} ({interval(change) or 'too few runs'}) of "
        f"{change.what} {commits_of(judged.history, change)}"
        for change in changes
        if change.verdict != "machine"
    ]
    runs = plural(len(judged.history.runs), "run")
    off = next(
        (f"; its latest run is {percent(line.stray)} off its level" for one, line in judged.strays() if one.id == case),
        "",
    )
    return f"- {code_span(case)}: {'; '.join(parts) or 'no change'}, in {runs}{off}"


def command(judged: Judged, changes: Sequence[Change]) -> str:
    """Compares the run before a case's last change with the run after it; without one, the first with the latest.

    Of the runs that the change may have come with, it is the one before the first, and the last.
    """
    history = judged.history
    before, after = 0, len(history.runs) - 1
    if changes:
        last = changes[-1]
        before, after = (last.perhaps[0] - 1, last.perhaps[-1]) if last.perhaps else (last.before, last.after)
    return shlex.join(["torchduet", "compare", history.runs[before].path, history.runs[after].path])


def pilots(change: Change) -> str:
    """``pilots −0.3 % to +1.2 %``; empty without any."""
    if not change.pilots:
        return ""
    low, high = (_tenths(pick(change.pilots.values())) for pick in (min, max))
    return f"pilots {low} to {high}" if low != high else f"pilots {low}"


def meanwhile(event: Event, change: Change) -> str:
    """What else changed over the same runs: the pilots beside a time, the reference of a speed-up."""
    if change.what == TIME:
        return pilots(change)
    references = [other for other in event.changes if other.what == TIME and other.case.reference]
    return "".join(f"its reference {size(other)}" for other in references if other.case.family == change.case.family)


def label(machine: Machine, others: Sequence[Machine]) -> str:
    """A machine's label, with the facts that distinguish it from others with that label."""
    return ", ".join(filter(None, (machine.label, machine.detail(others))))


def _tenths(shift: float) -> str:
    """A shift of logs to a tenth of a percent: ``+0.3 %``."""
    text = f"{math.expm1(shift) * 100:+.1f}".replace("-", "−")
    return f"{'0.0' if text in ('+0.0', '−0.0') else text} %"


def common_changes(judged: Judged) -> list[str]:
    """The changes common to all cases of a device, a text each, the latest first."""
    texts = []
    for line in judged.common.values():
        for change in reversed(line.changes):
            moved = pilots(change)
            if change.verdict == "machine":
                cause = f"{moved}, so the machine may be the cause"
            elif moved:
                cause = f"{moved}: not the machine alone, but something that all cases share, such as a new version"
            else:
                cause = "no pilots show whether the machine is the cause"
            event = Event(change.before, change.after, (change,))
            versions = versions_of(judged, event)
            runs = f"{paths_of(judged, event)}{f' ({versions})' if versions else ''}"
            texts.append(
                f"The times of {change.case.id} changed together by {size(change)} {runs}; {cause}. "
                "This common change is subtracted from every case."
            )
    return texts


def span(history: History) -> str:
    """``41 runs from 5 January 2026, 03:00 UTC to 14 February 2026, 03:00 UTC``."""
    first, last = (date(history.runs[index].started) for index in (0, -1))
    return plural(len(history.runs), "run") + (f" from {first} to {last}" if first != last else f" of {first}")


def creeping(total: float, runs: int) -> str:
    """``+4.1 % in 60 runs``."""
    return f"{percent(total)} in {plural(runs, 'run')}"
