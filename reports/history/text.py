"""A history in a few lines for the terminal: what changed lately, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchduet.reports.history import words
from torchduet.reports.history.collect import Collection
from torchduet.reports.history.events import Event, events
from torchduet.reports.history.judge import SPEEDUP, TIME, Judged
from torchduet.reports.text.escaping import plain

MAX_ROWS = 12  # changes that are listed per machine
MAX_FILES = 5


def terminal(collection: Collection, judged: Sequence[Judged]) -> str:
    """All histories as plain text, a section each, and the files that none rests on."""
    machines = [one.history.machine for one in judged]
    lines = [line for one in judged for line in _machine(one, words.label(one.history.machine, machines))]
    for note in collection.notes:
        lines.append(f"! {note}")
    for name, rows in words.left_out(collection):
        lines.append(f"{name} ({len(rows)})")
        lines += [f"  {path}: {why}" for path, why in rows[:MAX_FILES]]
        if len(rows) > MAX_FILES:
            lines.append(f"  and {len(rows) - MAX_FILES} more, in the page")
    return "\n".join(map(plain, lines)).rstrip()


def _machine(judged: Judged, label: str) -> Iterator[str]:
    found = events(judged.found())
    history = judged.history
    yield f"{label} [{history.machine.key}]: {words.headline(judged, found)}"
    yield f"  {words.span(history)}, {len(history.cases)} cases"
    yield from (f"  {sentence}" for sentence in words.together(judged)[:1])
    recent = words.lately(judged, found)
    left = MAX_ROWS
    for event in recent:
        if left <= 0:
            break
        yield ""
        yield f"  {words.event_title(event).capitalize()} with {words.run_name(history, event.after)}"
        if news := words.news(history.runs[event.after]):
            yield f"  New: {news}"
        rows = list(_rows(event))
        width = max(len(row[0]) for row in rows[:left])
        for case, what, change, interval, sure in rows[:left]:
            yield f"    {case:{width}}  {what:8}  {change:>8}  {interval}{'; ' if interval else ''}{sure}"
        left -= len(rows)
    hidden = sum(len(event.changes) for event in recent) - MAX_ROWS
    if hidden > 0:
        yield f"  and {hidden} more changes, in the page"
    if earlier := len(found) - len(recent):
        yield f"  {earlier} earlier run{' with changes is' if earlier == 1 else 's with changes are'} in the page"
    yield ""


def _rows(event: Event) -> Iterator[tuple[str, str, str, str, str]]:
    for what in (TIME, SPEEDUP):
        for verdict in ("slower", "faster"):
            for one in event.of(what, verdict):
                yield one.case.id, what, words.change(one), words.interval(one), words.sureness(one)
