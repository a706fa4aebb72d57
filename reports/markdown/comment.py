"""A comment on a pull request: what a change does to the time and memory of each case, in at most 20 lines of Markdown.

All text of the run's file is shown in code spans: the file may come from a fork.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from torchduet.bench.record.duets import two_times
from torchduet.bench.record.duets.gate import memory_of
from torchduet.bench.record.duets.knob import knob, knob_headline
from torchduet.bench.record.duets.sides import from_new, short_knob, sides
from torchduet.bench.record.duets.words import MOVED
from torchduet.bench.record.schema import QUIET, DuetRecord, Record, SideRecord
from torchduet.reports.findings.unmeasured import UnmeasuredGroup, unmeasured
from torchduet.reports.markdown.comment_outcome import Outcome, outcome_of
from torchduet.reports.markdown.comment_words import control_words, headline, interval, memory_words, times
from torchduet.reports.read.run_file import Run
from torchduet.reports.text import units
from torchduet.reports.text.escaping import code_span

MARKER = "<!-- torchduet -->"  # by which a later comment finds the one that it replaces
MAX_LINES, MAX_ROWS = 20, 8
MAX_OPEN = 3  # unclear cases that are shown where none is slower or faster
MAX_REASON, MAX_LINK = 160, 2000  # letters
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
# The characters of RFC 3986 without those that end a destination in Markdown; a destination in <> may have the rest.
LINK = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:[/?#][A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*)?")


class CommentError(Exception):
    """No comment can be made; the message is one line."""


def comment(run: Run, link: str | None = None) -> str:
    """The comment: a hidden marker, the answer, a table of what moved, and what the answer rests on.

    If no case moved and nothing needs a reader's attention, it has the marker and one line.

    Args:
        link: address of the whole report; http or https.

    Raises:
        CommentError: the run is no duet, or the link is no such address.
    """
    duet = run.about.get("against")
    if duet is None:
        raise CommentError("is no duet, so no two sides are compared; make one with `torchduet against REV`")
    report = "" if link is None else f"[Report](<{checked_link(link).replace('&', '&amp;')}>)"
    outcome, groups = outcome_of(from_new(duet, run.records)), unmeasured(run)
    brief = _nothing_to_see(outcome, groups)
    lines = _brief(run, outcome, groups, duet, report) if brief else _lines(run, outcome, groups, duet, report)
    return "\n".join((MARKER, *islice(lines, MAX_LINES - 1))) + "\n"


def checked_link(link: str) -> str:
    """The same address.

    Raises:
        CommentError: it is none of http or https, or has characters that an address cannot have.
    """
    if len(link) > MAX_LINK or not LINK.fullmatch(link):
        raise CommentError(f"--link {link[:100]}: is no address that begins with http:// or https://")
    return link


def _nothing_to_see(outcome: Outcome, groups: Sequence[UnmeasuredGroup]) -> bool:
    return (
        outcome.judged > 0
        and not outcome.moved
        and not outcome.no_verdict
        and not outcome.moved_controls
        and all(group.status == "skipped" for group in groups)
    )


def _brief(
    run: Run, outcome: Outcome, groups: Sequence[UnmeasuredGroup], duet: DuetRecord, report: str
) -> Iterator[str]:
    base = _side(sides(duet).base_side)
    yield " ".join(filter(None, (f"{_answer(run, outcome, groups, duet)}. Base {base}.", report)))


def _lines(
    run: Run, outcome: Outcome, groups: Sequence[UnmeasuredGroup], duet: DuetRecord, report: str
) -> Iterator[str]:
    yield f"{_answer(run, outcome, groups, duet)}."
    yield ""
    decided = any(record["against"]["verdict"] in MOVED for record in outcome.moved)
    yield from _table((*outcome.moved, *(() if decided else outcome.open[:MAX_OPEN]))[:MAX_ROWS])
    if (more := len(outcome.moved) - MAX_ROWS) > 0:
        yield f"- {more} more in the report."
    if groups:
        yield f"- Not measured: {', '.join(map(_group, groups))}."
    if outcome.controls:
        yield f"- {control_words(outcome)}."
    of = sides(duet)
    yield f"- Base {_side(of.base_side)}, new {_side(of.new_side)}."
    yield f"- {_machine(run, duet)}."
    if report:
        yield f"- {report}"


def _answer(run: Run, outcome: Outcome, groups: Sequence[UnmeasuredGroup], duet: DuetRecord) -> str:
    """What the change does, or what the variable or the setting of one side brings."""
    records = [record for record in run.records if "against" in record]
    if not outcome.no_verdict and (name := knob(duet)):
        return f"**{knob_headline(code_span(short_knob(name)), records)}**"
    return headline(outcome, duet["threshold"], _numbers(groups))


def _table(shown: Sequence[Record]) -> Iterator[str]:
    """A row per case; the column of memory is left out where nothing is known of it."""
    if not shown:
        return
    memory = any(memory_of(record["against"]) for record in shown)
    yield "| case | base | new | times as long (interval) |" + (" peak memory |" if memory else "")
    yield "| --- | ---: | ---: | --- |" + (" --- |" if memory else "")
    for record in shown:
        against = record["against"]
        between = interval(against)
        cells = [
            code_span(record["case"]["id"], table=True) + _unchecked(record),
            units.seconds(against["base_seconds"]),
            units.seconds(against["seconds"]),
            f"{times(against)}{f' ({between})' if between else ''}, {against['verdict']}"
            + (f"; {two_times.BRIEF}" if two_times.differ(against) else ""),
        ]
        yield "| " + " | ".join([*cells, memory_words(against)] if memory else cells) + " |"
    yield ""


def _unchecked(record: Record) -> str:
    what = record["check"]["what"]
    return ", not checked" if what == "nothing" else ", shapes checked only" if what == "shapes" else ""


def _numbers(groups: Sequence[UnmeasuredGroup]) -> list[str]:
    return [f"{group.number} {group.status}" for group in groups]


def _group(group: UnmeasuredGroup) -> str:
    """``2 failed (`case`: `reason`)``, of the first reason."""
    reason = group.reasons[0]
    return (
        f"{group.number} {group.status} ({code_span(reason.cases[0])}: {code_span(reason.words, letters=MAX_REASON)})"
    )


def _side(side: SideRecord) -> str:
    """A side by its commit, and by the name of the revision; else by what distinguishes it from the other side."""
    commit, rev, files = side.get("commit", ""), side["rev"], side.get("uncommitted", 0)
    if not commit:
        return code_span(side["label"])
    words = code_span(commit[:7] if COMMIT.fullmatch(commit) else commit)
    if rev and not commit.startswith(rev):
        words += f" ({code_span(rev)})"
    return words + (f" with {files} uncommitted file{'' if files == 1 else 's'}" if files else "")


def _machine(run: Run, duet: DuetRecord) -> str:
    """The processor, the versions of PyTorch, the threads, and how noisy the machine was."""
    machine, threads = run.about["machine"], run.about["options"].get("threads")
    facts = [code_span(str(machine[key])) for key in ("gpu", "accelerator", "cpu") if machine.get(key)]
    versions = dict.fromkeys((duet["base"]["torch"], duet["against"]["torch"]))
    facts.append(f"torch {' → '.join(map(code_span, versions))}")
    if isinstance(threads, int):
        facts.append(f"{threads} thread{'' if threads == 1 else 's'}")
    grade = run.about["noise"]["grade"] if "noise" in run.about else QUIET
    return ", ".join(facts) + ("" if grade == QUIET else f"; the machine was {grade}")
