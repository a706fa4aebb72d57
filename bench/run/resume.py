"""Writes a run's journal entries, and restores a run from its journal in another process.

A family's entry holds all that the run learned from it: a session that restores the entries has the state of the
session that wrote them.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torchduet
from torchduet import bench, suites
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.cases.outcome import Measured
from torchduet.bench.files.regular import read_bytes
from torchduet.bench.host.gpus import variables
from torchduet.bench.plan.budget import Spent
from torchduet.bench.record.devices import numbered
from torchduet.bench.record.journal import Journal, JournalError, path_for, set_aside
from torchduet.bench.record.journal_events import (
    Ended,
    FamilyDone,
    Header,
    PilotsTimed,
    Resumed,
    RunLog,
    SpentEntry,
    VisitDone,
    entry_of,
    read_log,
)
from torchduet.bench.record.run_record import run_record
from torchduet.bench.record.schema import ResumedRecord, VisitsRecord
from torchduet.bench.record.visits.intervals import prior_record
from torchduet.bench.record.words.counting import plural
from torchduet.bench.run.later_visits import LaterVisit
from torchduet.bench.run.measuring import Measurement, Measuring
from torchduet.bench.run.outcomes import outcome_entry, outcome_of
from torchduet.bench.run.run_facts import facts_of
from torchduet.suites.registry import names

FOLDERS = {"bench": Path(bench.__file__).parent, "suites": Path(suites.__file__).parent}
PACKAGES = ("numpy", "torch")
MEMORY_TOLERANCE = 0.01  # the kernel reserves a different amount at each start
MAX_NAMED = 5


def begin(measuring: Measuring, run: Path, *, resume: bool) -> list[str]:
    """Open the run's journal, to continue it or to begin a new one; returns lines for the terminal.

    Raises:
        JournalError: it cannot be written or continued; the message says why.
    """
    path, progress = path_for(run), measuring.progress
    if resume and path.exists():
        journal, content = Journal.reopen(path)
        try:
            log = read_log(content, str(path))
            changes = differences(log.header.identity, identity(measuring))
            if changes:
                raise JournalError(
                    f"--resume: {path} is of another run; without --resume it is kept under another name\n"
                    + "\n".join(f"  {change}" for change in changes)
                )
        except JournalError:
            journal.close()
            raise
        progress.journal = journal
        restore(measuring, log)
        lines = [f"resumed from {path}: {progress.measured} of {len(progress.families)} families are measured"]
        if content.dropped:
            damaged = f"{plural(content.dropped, 'damaged line')}"
            lines.append(f"warning: {damaged} of {path} left out; their cases are measured again")
        return lines
    lines = [f"--resume: there is no {path}, so all cases are measured"] if resume else []
    kept = set_aside(path)
    if kept is not None:
        lines.append(
            f"the journal of an unfinished run in {path} is kept as {kept.name} "
            f"(to continue that run, rename it back and give --resume)"
        )
    progress.journal = Journal.create(path, entry_of(header(measuring)))
    return lines


def header(measuring: Measuring) -> Header:
    """The journal's header: the run's identity, what earlier runs taught it of visits, and its plan."""
    record = run_record(facts_of(measuring))
    if taught := [prior_record(of, prior) for of, prior in measuring.visiting.machine.items()]:
        record["visits"] = VisitsRecord(fewest=0, median=0, most=0, priors=taught)
    return Header(
        identity=identity(measuring),
        run=dict(measuring.completed(record)),
        plan=[(family.name, [case.id for case in family.reported]) for family in measuring.progress.families],
    )


def identity(measuring: Measuring) -> dict[str, dict[str, Any]]:
    """All that must be equal for the records of two processes to form one run.

    How the cases were selected (``-k``, ``--case``) need not be: the cases themselves are compared.
    """
    settings = measuring.settings
    options = asdict(replace(settings.options, hang_seconds=None)) | {
        "threads": settings.threads,
        "claims_only": settings.claims_only,
    }
    del options["cases"]
    options |= options.pop("asked")
    machine = settings.machine.facts() | {"node": platform.node()}
    machine |= {name: uuid for name, uuid in settings.machine.uuids().items() if name == numbered(name)}
    return {
        "machine": machine,
        "environment": variables.environment() if settings.machine.gpus else {},
        "version": {"torchduet": torchduet.__version__} | {name: metadata.version(name) for name in PACKAGES},
        "option": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        "source": sources(settings.options.suites or ()),
        "selection": {"cases": [case.id for family in measuring.progress.families for case in family.cases]},
        **measuring.identity(),
    }


def sources(suite_sources: Iterable[str]) -> dict[str, str]:
    """A digest of each source of the cases and their timing: our packages, and the user's suite files."""
    digests = {name: _digest(sorted(folder.rglob("*.py"))) for name, folder in FOLDERS.items()}
    return digests | {name: _digest([Path(name)]) for name in suite_sources if name not in names()}


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + read_bytes(file))
    return digest.hexdigest()[:16]


def differences(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each difference: ``option tier: quick there, full here``; ``there`` is the journal's run."""
    lines = []
    for kind, values in now.items():
        earlier = before.get(kind, {})
        for name in [*values, *(name for name in earlier if name not in values)]:
            there, here = earlier.get(name), values.get(name)
            if there == here or (name == "memory_bytes" and _nearly_equal(there, here)):
                continue
            if name == "cases":
                lines += _case_differences(there or [], here or [])
            elif kind == "source":
                lines.append(f"source {name}: it has been edited")
            else:
                lines.append(f"{kind} {name}: {_shown(there)} there, {_shown(here)} here")
    return lines


def _case_differences(there: list[str], here: list[str]) -> list[str]:
    removed, added = [case for case in there if case not in here], [case for case in here if case not in there]
    lines = []
    for words, cases in (("no longer selected", removed), ("not selected there", added)):
        if cases:
            rest = f" and {len(cases) - MAX_NAMED} more" if len(cases) > MAX_NAMED else ""
            lines.append(f"selection: {words}: {', '.join(cases[:MAX_NAMED])}{rest}")
    return lines or ["selection: the same cases in another order"]


def _nearly_equal(first: Any, second: Any) -> bool:
    if not (isinstance(first, int) and isinstance(second, int)):
        return False
    return abs(first - second) <= MEMORY_TOLERANCE * max(first, second)


def _shown(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def family_event(measuring: Measuring, family: Family, measurement: Measurement) -> FamilyDone:
    """The event of the family that has just finished."""
    progress = measuring.progress
    _, spent = progress.finished_families[-1]
    return FamilyDone(
        at=progress.elapsed(),
        name=family.name,
        outcomes={case.id: outcome_entry(case, outcome) for case, outcome in measurement.outcomes.items()},
        spent=spent_entry(spent),
        timed=measurement.timed,
        warnings=progress.warnings,
        hints=progress.hints,
        passing=measuring.run_clock.record(),
        gpus=measuring.timeline.news(),
        visits=measuring.visiting.first_visit(family.name),
    )


def visit_event(measuring: Measuring, visit: LaterVisit) -> VisitDone:
    """The event of a later visit."""
    return VisitDone(
        at=measuring.progress.elapsed(),
        name=visit.name,
        began=visit.began,
        took=visit.took,
        timing=visit.timing,
        cases={case.id: entry for case, entry in visit.entries.items()},
        stages=dict(visit.stages),
        timed=visit.timed,
        passing=measuring.run_clock.record(),
        gpus=measuring.timeline.news(),
    )


def restore(measuring: Measuring, log: RunLog) -> None:
    """Restore the state that the process which wrote the journal had after its last event."""
    progress = measuring.progress
    families = {family.name: family for family in progress.families}
    cases = {case.id: case for family in progress.families for case in family.cases}
    new_warnings, settled, at = list(progress.warnings), log.settled(), log.seconds()
    spans = {id(event): span for event, span in zip(log.events, log.spans, strict=True)}
    for family in settled:
        outcomes = {cases[case]: outcome_of(entry) for case, entry in family.outcomes.items()}
        progress.outcomes.update(outcomes)
        progress.outcomes.store(list(outcomes), progress.journal, spans[id(family)])
        progress.add_finished(families[family.name], spent_of(family.spent, cases))
        if family.visits is not None:
            measured = [outcome.record for outcome in outcomes.values() if isinstance(outcome, Measured)]
            measuring.visiting.restore_first(families[family.name], family.visits, measured)
    visits = log.visits(settled)
    for visit in visits:
        measuring.visiting.restore(visit)
        progress.outcomes.add_visit({cases[case]: entry for case, entry in visit.cases.items()}, visit.began)
        for stage, seconds in visit.stages.items():
            progress.seconds[stage] += seconds
    for done in log.of(FamilyDone):
        progress.warnings[:] = dict.fromkeys([*done.warnings, *new_warnings])
        progress.hints[:] = dict.fromkeys([*progress.hints, *done.hints])
    of_all: list[FamilyDone | VisitDone] = [*settled, *visits]
    for event in log.events:
        if isinstance(event, FamilyDone | VisitDone):
            measuring.run_clock.restore(event.passing)
    began = log.began()
    progress.startup = began.startup if began else 0.0
    progress.spent_before = (at - began.at, began.set_aside) if began else None
    progress.ceilings = log.ceilings()
    progress.started = datetime.fromisoformat(log.header.run["started"])
    progress.continue_after(at)
    timed = [event.timed for event in of_all if event.timed is not None]
    measuring.monitor.restore(at, [event.pilot for event in log.of(PilotsTimed)], timed)
    measuring.timeline.restore(at, [event.gpus for event in of_all if event.gpus])
    progress.finished = bool(log.of(Ended))
    progress.killed_before = frozenset(family.name for family in log.finished() if family.killed)
    resumed = ResumedRecord(
        at=round(at, 3),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=measuring.settings.machine.facts(),
        warnings=new_warnings,
        families=len(settled),
    )
    progress.resumed = [*(event.resumed for event in log.of(Resumed)), resumed]
    progress.write(Resumed(at=progress.elapsed(), resumed=resumed))


def continue_at(measuring: Measuring, at: float) -> None:
    """Continue a run ``at`` seconds into it: what passed since is no part of it, as a wait for a GPU."""
    measuring.progress.continue_after(at)
    measuring.monitor.restore(at, measuring.monitor.pilots, measuring.monitor.timed)
    measuring.timeline.restore(at, [])


def spent_entry(spent: Spent) -> SpentEntry:
    """A family's cost as its journal entry."""
    return SpentEntry(
        fixed=spent.fixed,
        timing=spent.timing,
        stages=dict(spent.stages),
        slow=[(case.id, seconds) for case, seconds in spent.slow],
        again=spent.retry,
    )


def spent_of(entry: SpentEntry, cases: Mapping[str, Case]) -> Spent:
    """The inverse of :func:`spent_entry`."""
    slow = tuple((cases[case], seconds) for case, seconds in entry.slow)
    return Spent(entry.fixed, entry.timing, entry.stages, slow, entry.again)
