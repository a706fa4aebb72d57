"""A history in sentences, for the page and the terminal alike."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from torchduet.reports.compare.verdicts import percent
from torchduet.reports.history.changes import AFTER, MIN_RUNS
from torchduet.reports.history.collect import Collection
from torchduet.reports.history.events import Event
from torchduet.reports.history.judge import SPEEDUP, TIME, VERDICTS, Change, Judged
from torchduet.reports.history.key import Machine
from torchduet.reports.history.series import History, RunMark
from torchduet.reports.html.environment import date
from torchduet.reports.text import units

LATELY = 20  # runs


def lately(judged: Judged, found: Sequence[Event]) -> list[Event]:
    """The events of the latest runs."""
    return [one for one in found if one.after >= len(judged.history.runs) - LATELY]


def headline(judged: Judged, found: Sequence[Event]) -> str:
    """The answer in one sentence: ``In the last 20 runs 2 cases became slower, 1 faster``."""
    runs = len(judged.history.runs)
    if runs < MIN_RUNS:
        return f"{_many(runs, 'run')} so far; changes are sought from {MIN_RUNS} on"
    if not any(line and line.noise for line in (*judged.times, *judged.speedups)):
        return f"{_many(runs, 'run')}, but no case is in {MIN_RUNS} of them yet; changes are sought from there on"
    if not judged.guarded and not any(judged.speedups):
        return "Nothing says how far the machine moved, so that no change can be told from drift"
    span = f"In the last {LATELY} runs" if runs > LATELY else f"In {runs} runs"
    recent = lately(judged, found)
    slower, faster = (_cases(recent, TIME, verdict) for verdict in ("slower", "faster"))
    by_speedup = len({one.case.id for event in recent for one in event.changes if one.what == SPEEDUP})
    shared = "".join(f"; all on {one.case.device} together {change(one)}" for one in _shared(judged))
    if not slower and not faster:
        more = f"; {_many(by_speedup, 'speed-up')} changed" if by_speedup else ""
        return f"{span} no case became slower or faster{' than the others' if shared else ''}{more}{shared}"
    if not slower:
        return f"{span} {_many(faster, 'case')} became faster, none slower{shared}"
    return f"{span} {_many(slower, 'case')} became slower, {faster or 'none'} faster{shared}"


def _shared(judged: Judged) -> list[Change]:
    """What lately became of all cases of a device in common that the pilots do not account for."""
    first = len(judged.history.runs) - LATELY
    changes = [one for line in judged.together.values() for one in line.changes]
    return [one for one in changes if one.after >= first and one.pilots and one.verdict != "machine"]


def _cases(found: Sequence[Event], what: str, verdict: str) -> int:
    return len({one.case.id for event in found for one in event.of(what, verdict)})


def tally(judged: Judged) -> list[tuple[str, int]]:
    """How many cases have which verdict by the last change of their time."""
    counted = Counter(line.verdict for line in judged.times)
    return [(verdict, counted[verdict]) for verdict in VERDICTS if counted[verdict]]


def event_title(event: Event) -> str:
    """What came with a run: ``2 slower, 1 faster, 3 speed-ups changed``."""
    slower, faster = (len(event.of(TIME, verdict)) for verdict in ("slower", "faster"))
    ratios = sum(one.what == SPEEDUP for one in event.changes)
    parts = [f"{number} {verdict}" for number, verdict in ((slower, "slower"), (faster, "faster")) if number]
    if ratios:
        parts.append(f"{_many(ratios, 'speed-up')} changed")
    return ", ".join(parts)


def run_name(history: History, place: int) -> str:
    """``0041.json (5 March 2026, 03:00 UTC, commit 1a2b3c)``."""
    run = history.runs[place]
    return f"{run.path} ({', '.join(filter(None, (date(run.started), run.commit and f'commit {run.commit}')))})"


def news(run: RunMark) -> str:
    """``PyTorch 2.9.1 → 2.10.0, Python 3.12 → 3.13``; empty without a new version."""
    return ", ".join(f"{name} {before} → {now}" for name, (before, now) in run.changed.items())


def change(one: Change) -> str:
    """By how much: ``+14 %`` of time, ``−12 %`` of speed-up."""
    return percent(one.height.point)


def what(one: Change) -> str:
    """``time slower``, ``speed-up lower``."""
    if one.what == SPEEDUP:
        return f"{SPEEDUP} {'lower' if one.verdict == 'slower' else 'higher'}"
    return f"{TIME} {one.verdict}"


def interval(one: Change) -> str:
    """``+12 % to +16 %``; empty where too few runs carry one."""
    if not math.isfinite(one.height.high - one.height.low):
        return ""
    return f"{percent(one.height.low)} to {percent(one.height.high)}"


def sureness(one: Change) -> str:
    """``12 runs since; may lie 2 runs off``."""
    off = f"; may lie {_many(one.reach, 'run')} off" if one.reach else ""
    few = " (few)" if one.runs <= AFTER else ""
    return f"{_many(one.runs, 'run')} since{few}{off}"


def pilots(one: Change) -> str:
    """``pilots −0.3 % to +1.2 %``; empty without any."""
    if not one.pilots:
        return ""
    low, high = (_tenths(pick(one.pilots.values())) for pick in (min, max))
    return f"pilots {low} to {high}" if low != high else f"pilots {low}"


def meanwhile(event: Event, one: Change) -> str:
    """What else moved: the pilots beside a time, the reference of a speed-up."""
    if one.what == TIME:
        return pilots(one)
    held = [two for two in event.changes if two.what == TIME and two.case.reference]
    return "".join(f"its reference {change(two)}" for two in held if two.case.family == one.case.family)


def label(machine: Machine, others: Sequence[Machine]) -> str:
    """A machine's name, with what sets it apart from others of that name."""
    return ", ".join(filter(None, (machine.label, machine.detail(others))))


def _tenths(shift: float) -> str:
    """A shift of logs to a tenth of a percent: ``+0.3 %``."""
    text = f"{math.expm1(shift) * 100:+.1f}".replace("-", "−")
    return f"{'0.0' if text in ('+0.0', '−0.0') else text} %"


def together(judged: Judged) -> list[str]:
    """What became of all cases of a device in common, a sentence per change, the latest first."""
    said = []
    for line in judged.together.values():
        for one in reversed(line.changes):
            moved = pilots(one)
            if one.verdict == "machine":
                why = f"{moved}, so that it may be the machine’s"
            elif moved:
                why = f"{moved}: not the machine alone, but what all cases share, as a new version may be"
            else:
                why = "no pilot says whether the machine did that"
            run = judged.history.runs[one.after]
            new = f" ({news(run)})" if run.changed else ""
            said.append(
                f"Times of {one.case.id} together changed by {change(one)} with {run.path}{new}; {why}. "
                "It is taken off every case."
            )
    return said


def guard(judged: Judged) -> str:
    """What guards the times."""
    if judged.guarded:
        return (
            "Times are judged without what all other families of the same device have in common, and only beyond what "
            "the pilots beside the family moved. Speed-ups are timed in alternation and need neither."
        )
    return (
        "Times of cases without pilots or at least four other families on their device are not judged: nothing says "
        "how far the machine moved. Speed-ups are, as they are timed in alternation."
    )


def left_out(collection: Collection) -> list[tuple[str, list[tuple[str, str]]]]:
    """Files that no series rests on: (what they are, [(path, why)])."""
    groups = (
        ("Cannot be used", list(collection.bad)),
        ("Copies of a run", [(path, f"holds the same as {first}") for path, first in collection.copies]),
        ("Parts of a run", [(path, f"was stopped, and resumed to {whole}") for path, whole in collection.parts]),
        ("Other tools’ files", list(collection.others)),
        ("Without a date", [(path, "stands where its file was last changed") for path in collection.undated]),
    )
    return [(name, rows) for name, rows in groups if rows]


def span(history: History) -> str:
    """``41 runs from 5 January 2026, 03:00 UTC to 14 February 2026, 03:00 UTC``."""
    first, last = (date(history.runs[place].started) for place in (0, -1))
    return _many(len(history.runs), "run") + (f" from {first} to {last}" if first != last else f" of {first}")


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def creeping(total: float, runs: int) -> str:
    """``+4.1 % in 60 runs``."""
    return f"{percent(total)} in {runs} runs"


def share(threshold: float) -> str:
    """The threshold in words."""
    return units.percent(threshold)
