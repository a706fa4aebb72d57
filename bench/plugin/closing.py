"""Writes the end of a run to the terminal: the answer, the speed-ups, warnings, how to render the report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torchduet.bench.duet import against
from torchduet.bench.plugin import closing_table, output
from torchduet.bench.plugin.against_command import BY_COMMAND
from torchduet.bench.record.marks import explained
from torchduet.bench.record.run_clock_words import words
from torchduet.bench.record.words.counting import plural
from torchduet.bench.record.words.overrun import overrun
from torchduet.bench.record.words.reasons import grouped
from torchduet.bench.record.words.times import compilation
from torchduet.bench.run.session import Session


def write(
    terminalreporter: pytest.TerminalReporter, session: Session, path: Path | None, duet: against.DuetOptions | None
) -> None:
    """Write the closing lines.

    Args:
        path: of the run's JSON file; None: it is not written.
        duet: the options of a duet; None: the run is none.
    """
    answer = against.closing(session, duet)
    if answer:
        terminalreporter.section(against.compared(session), sep="-")
        for line in answer:
            terminalreporter.write_line(line)
    noise, records = session.noise(), session.records()
    self_check = session.settings.options.self_check
    writer = terminalreporter.config.get_terminal_writer()
    width = writer.fullwidth if writer.hasmarkup else None
    lines = session.check_itself() if self_check else closing_table.table(records, width=width)
    if lines:
        title = "the suite against itself" if self_check else "speed-ups"
        terminalreporter.section(f"{title} (in alternation, on the same tensors)", sep="-")
        for line in lines:
            terminalreporter.write_line(closing_table.coloured(line, writer.markup))
    others = closing_table.alone(records) if duet is None and not self_check else []
    if others:
        terminalreporter.section("times per call" + (" of cases without a comparison" if lines else ""), sep="-")
        for line in closing_table.times(others):
            terminalreporter.write_line(line)
    for line in () if self_check else closing_table.communication(records):
        terminalreporter.write_line(line)
    for line in (
        *output.closing(session, path),
        *([] if duet is not None else _overrun(session)),
        *session.progress.hints,
        *(words(suspensions) if (suspensions := session.measuring.run_clock.record()) else ()),
        *(() if self_check else compilation(records)),
        *explained(records),
        *closing_table.noise_of(noise),
        *closing_table.unclear(records, noise),
    ):
        terminalreporter.write_line(line)
    for reason, number in _skipped(session).items():
        terminalreporter.write_line(f"{plural(number, 'case')} skipped: {reason}")
    if records and (next_step := _next_step(session, path)):
        terminalreporter.write_line(f"\n{next_step}")


def _overrun(session: Session) -> list[str]:
    """The sentence on a run that took much longer than its budget; no line where it did not.

    A run that was resumed has started several times, which its record does not hold apart from the rest.
    """
    progress, settings = session.progress, session.settings
    if session.measuring.budget is None or settings.check_only or progress.resumed:
        return []
    so_far = {**progress.seconds, "total": progress.elapsed(), "startup": progress.startup}
    suspended = session.measuring.run_clock.stopped
    line = overrun(settings.options.budget_seconds, session.recorded_seconds or so_far, suspended)
    return [] if line is None else [line]


def _skipped(session: Session) -> dict[str, int]:
    """Reason → number of cases; reasons that differ in their figures alone are one."""
    reasons = session.progress.skipped()
    numbers = list(reasons.values())
    return {words: sum(numbers[index] for index in members) for words, members in grouped(reasons).items()}


def _next_step(session: Session, path: Path | None) -> str:
    """How to read a report of the run; nothing where another command makes it."""
    if BY_COMMAND in os.environ:
        return ""
    if session.progress.unwritten:
        return ""  # the hint before says where it is
    if path is not None and path.exists():
        page = path.with_name("report.html") if path.name == "run.json" else path.with_suffix(".html")
        return f"Read the report: torchduet render {path} -o {page}"
    return "For a report, add --benchmark-json run.json"
