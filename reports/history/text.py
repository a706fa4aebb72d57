"""Writes a history in a few lines for the terminal: the latest changes, and the files that were left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.bench.record.words.counting import plural
from torchduet.reports.history import words
from torchduet.reports.history.collect import Collection, left_out
from torchduet.reports.history.events import Event, events
from torchduet.reports.history.judged import SPEEDUP, TIME, Judged
from torchduet.reports.text.escaping import plain

MAX_ROWS = 12  # changes that are listed per machine
MAX_FILES = 5


def terminal(collection: Collection, judged: Sequence[Judged]) -> str:
    """All histories as plain text, a section each, and the files that were left out."""
    machines = [machine.history.machine for machine in judged]
    lines = [line for machine in judged for line in _machine(machine, words.label(machine.history.machine, machines))]
    for note in collection.notes:
        lines.append(f"! {note}")
    for name, rows in left_out(collection):
        lines.append(f"{name} ({len(rows)})")
        lines += [f"  {path}: {why}" for path, why in rows[:MAX_FILES]]
        if len(rows) > MAX_FILES:
            lines.append(f"  and {len(rows) - MAX_FILES} more, in the page")
    return "\n".join(map(plain, lines)).rstrip()


def _machine(judged: Judged, label: str) -> Iterator[str]:
    all_events = events(judged.changes())
    history = judged.history
    headline = words.headline(judged, all_events)
    yield f"{label} [{history.machine.key}]: {headline}"
    yield f"  {words.span(history)}, {plural(len(history.cases), 'case')}"
    yield from (f"  {sentence}" for sentence in words.common_changes(judged)[:1])
    if astray := words.besides(judged, headline):
        yield f"  {astray}"
    for suspicion in judged.suspicions()[:MAX_ROWS]:
        yield f"  suspected: {words.suspicion(judged, suspicion)}"
    recent = words.recent(judged, all_events)
    left = MAX_ROWS
    for event in recent:
        if left <= 0:
            break
        yield ""
        yield f"  {words.event_title(event).capitalize()} {words.came_with(judged, event)}"
        if versions := words.versions_of(judged, event):
            yield f"  New: {versions}"
        rows = list(_rows(judged, event))
        width = max(len(row[0]) for row in rows[:left])
        for case, what, change, interval, certainty in rows[:left]:
            yield f"    {case:{width}}  {what:8}  {change:>8}  {interval}{'; ' if interval else ''}{certainty}"
        left -= len(rows)
    hidden = sum(len(event.changes) for event in recent) - MAX_ROWS
    if hidden > 0:
        yield f"  and {plural(hidden, 'more change')}, in the page"
    if earlier := len(all_events) - len(recent):
        yield f"  {earlier} earlier run{' with changes is' if earlier == 1 else 's with changes are'} in the page"
    yield ""


def _rows(judged: Judged, event: Event) -> Iterator[tuple[str, str, str, str, str]]:
    for what in (TIME, SPEEDUP):
        for verdict in ("slower", "faster"):
            for change in event.of(what, verdict):
                certainty = words.certainty(judged, change)
                yield change.case.id, what, words.size(change), words.interval(change), certainty
