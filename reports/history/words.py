"""Writes a history in sentences, for the page and the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from torchduet.bench.record.machines.key import Machine
from torchduet.reports.compare.verdicts import percent
from torchduet.reports.history.changes import AFTER, MIN_RUNS
from torchduet.reports.history.collect import Collection
from torchduet.reports.history.events import Event
from torchduet.reports.history.judge import SPEEDUP, TIME, VERDICTS, Change, Judged
from torchduet.reports.history.series import History, RunMark
from torchduet.reports.html.environment import date
from torchduet.reports.text import units

RECENT = 20  # runs


def recent(judged: Judged, events: Sequence[Event]) -> list[Event]:
    """The events of the latest runs."""
    return [event for event in events if event.after >= len(judged.history.runs) - RECENT]


def headline(judged: Judged, events: Sequence[Event]) -> str:
    """The answer in one sentence: ``In the last 20 runs 2 cases became slower, 1 faster``."""
    runs = len(judged.history.runs)
    if runs < MIN_RUNS:
        return f"{many(runs, 'run')} so far; {MIN_RUNS} are needed to find changes"
    if not any(line and line.noise for line in (*judged.times, *judged.speedups)):
        return f"{many(runs, 'run')}, but no case is in {MIN_RUNS} of them yet, which are needed to find changes"
    if not judged.guarded and not any(judged.speedups):
        return "Nothing measures how much the machine changed, so no change can be told from drift"
    span = f"In the last {RECENT} runs" if runs > RECENT else f"In {runs} runs"
    latest = recent(judged, events)
    slower, faster = (_cases(latest, TIME, verdict) for verdict in ("slower", "faster"))
    by_speedup = len({change.case.id for event in latest for change in event.changes if change.what == SPEEDUP})
    common = "".join(f"; all cases on {change.case.device} {size(change)}" for change in _common(judged))
    if not slower and not faster:
        more = f"; {many(by_speedup, 'speed-up')} changed" if by_speedup else ""
        return f"{span} no case became slower or faster{' than the others' if common else ''}{more}{common}"
    if not slower:
        return f"{span} {many(faster, 'case')} became faster, none slower{common}"
    return f"{span} {many(slower, 'case')} became slower, {faster or 'none'} faster{common}"


def figure(judged: Judged, slower: int) -> tuple[int, str]:
    """The number above an answer and the words below it: how many cases became slower, or how many runs there are.

    Args:
        slower: number of cases that became slower in the latest runs.
    """
    runs = len(judged.history.runs)
    if runs < MIN_RUNS:
        return runs, f"{'run' if runs == 1 else 'runs'} so far; {MIN_RUNS} are needed to find changes"
    span = f"in the last {RECENT} runs" if runs > RECENT else f"in {runs} runs"
    return slower, f"of {many(len(judged.history.cases), 'case')} became slower {span}"


def _common(judged: Judged) -> list[Change]:
    """The changes of all cases of a device in the latest runs that the pilots do not explain."""
    first = len(judged.history.runs) - RECENT
    changes = [change for line in judged.common.values() for change in line.changes]
    return [change for change in changes if change.after >= first and change.pilots and change.verdict != "machine"]


def _cases(events: Sequence[Event], what: str, verdict: str) -> int:
    return len({change.case.id for event in events for change in event.of(what, verdict)})


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
        parts.append(f"{many(speedups, 'speed-up')} changed")
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


def certainty(change: Change) -> str:
    """``12 runs since; may lie 2 runs off``."""
    off = f"; may lie {many(change.reach, 'run')} off" if change.reach else ""
    few = " (few)" if change.runs <= AFTER else ""
    return f"{many(change.runs, 'run')} since{few}{off}"


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
            run = judged.history.runs[change.after]
            new = f" ({new_versions(run)})" if run.changed else ""
            texts.append(
                f"The times of {change.case.id} changed together by {size(change)} with {run.path}{new}; {cause}. "
                "This common change is subtracted from every case."
            )
    return texts


def guard(judged: Judged) -> str:
    """How changes of the machine are kept out of the verdicts on times."""
    if judged.guarded:
        return (
            "The movement common to all other families of the device is subtracted from times. A change of time must "
            "also exceed that of the pilots beside the family. Speed-ups are timed in alternation and need neither."
        )
    return (
        "Times of cases without pilots or at least four other families on their device are not judged: nothing "
        "measures how much the machine changed. Speed-ups are judged, because they are timed in alternation."
    )


def left_out(collection: Collection) -> list[tuple[str, list[tuple[str, str]]]]:
    """The files that are in no series: (heading, [(path, reason)])."""
    groups = (
        ("Cannot be used", list(collection.bad)),
        ("Duets", list(collection.duets)),
        ("Copies of a run", [(path, f"holds the same as {original}") for path, original in collection.copies]),
        ("Parts of a run", [(path, f"ended early, and was resumed to {run}") for path, run in collection.parts]),
        ("Parts of a merged run", [(path, f"is in {run}, which counts") for path, run in collection.merged]),
        ("Other tools’ files", list(collection.others)),
        ("Without a date", [(path, "is placed by the time its file was last changed") for path in collection.undated]),
    )
    return [(name, rows) for name, rows in groups if rows]


def span(history: History) -> str:
    """``41 runs from 5 January 2026, 03:00 UTC to 14 February 2026, 03:00 UTC``."""
    first, last = (date(history.runs[index].started) for index in (0, -1))
    return many(len(history.runs), "run") + (f" from {first} to {last}" if first != last else f" of {first}")


def many(number: int, word: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def creeping(total: float, runs: int) -> str:
    """``+4.1 % in 60 runs``."""
    return f"{percent(total)} in {many(runs, 'run')}"


def share(threshold: float) -> str:
    """The threshold in words."""
    return units.percent(threshold)
