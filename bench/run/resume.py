"""What a run writes into its journal, and how another process goes on with it.

A family's entry holds all that its session learned from it, so that a session that is given the entries
stands where the one that wrote them stood.
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

from torchduet import bench, suites
from torchduet.bench.cases.case import Case, Family
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
    entry_of,
    read_log,
)
from torchduet.bench.record.run_record import run_record
from torchduet.bench.record.schema import ResumedRecord
from torchduet.bench.run.measuring import Measurement, Measuring
from torchduet.bench.run.outcomes import outcome_entry, outcome_of
from torchduet.bench.run.run_facts import facts_of
from torchduet.suites.registry import names

FOLDERS = {"bench": Path(bench.__file__).parent, "suites": Path(suites.__file__).parent}
PACKAGES = ("torchduet", "numpy", "torch")
MEMORY_TOLERANCE = 0.01  # the kernel keeps another amount for itself at each start
MAX_NAMED = 5


def begin(measuring: Measuring, run: Path, *, resume: bool) -> list[str]:
    """Open the run's journal, to go on with it or to begin a new one; returns what to tell the user.

    Raises:
        JournalError: it cannot be written, or gone on with: the message says why.
    """
    path, progress = path_for(run), measuring.progress
    if resume and path.exists():
        journal, content = Journal.reopen(path)
        try:
            log = read_log(content, str(path))
            found = differences(log.header.identity, identity(measuring))
            if found:
                raise JournalError(
                    f"--resume: {path} is of another run; without --resume it is kept under another name\n"
                    + "\n".join(f"  {one}" for one in found)
                )
        except JournalError:
            journal.close()
            raise
        progress.journal = journal
        restore(measuring, log)
        lines = [f"resumed from {path}: {progress.measured} of {len(progress.families)} families are measured"]
        if content.dropped:
            lines.append(f"warning: {content.dropped} damaged line(s) of {path} left out: measured again")
        return lines
    lines = [f"--resume: there is no {path}, so all is measured"] if resume else []
    kept = set_aside(path)
    if kept is not None:
        lines.append(
            f"an unfinished run lay in {path}; it is kept as {kept.name} "
            f"(to go on with it: rename it back and give --resume)"
        )
    progress.journal = Journal.create(path, entry_of(header(measuring)))
    return lines


def header(measuring: Measuring) -> Header:
    """Which run this is, and what is planned."""
    return Header(
        identity=identity(measuring),
        run=dict(run_record(facts_of(measuring))),
        plan=[(family.name, [case.id for case in family.reported]) for family in measuring.progress.families],
    )


def identity(measuring: Measuring) -> dict[str, dict[str, Any]]:
    """All that must be the same for two processes' records to be one run's."""
    settings = measuring.settings
    options = asdict(replace(settings.options, hang_seconds=None)) | {
        "threads": settings.threads,
        "claims_only": settings.claims_only,
    }
    options |= options.pop("asked")
    machine = settings.machine.facts() | {"node": platform.node()}
    machine |= {name: uuid for name, uuid in settings.machine.uuids().items() if name == numbered(name)}
    return {
        "machine": machine,
        "version": {name: metadata.version(name) for name in PACKAGES},
        "option": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        "source": sources(settings.options.suites or ()),
        "selection": {"cases": [case.id for family in measuring.progress.families for case in family.cases]},
    }


def sources(chosen: Iterable[str]) -> dict[str, str]:
    """What the cases and their timing are made of → a digest of it."""
    found = {name: _digest(sorted(folder.rglob("*.py"))) for name, folder in FOLDERS.items()}
    return found | {name: _digest([Path(name)]) for name in chosen if name not in names()}


def _digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def differences(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is not the same, one line each: ``option tier: quick there, full here``."""
    found = []
    for kind, values in now.items():
        earlier = before.get(kind, {})
        for name in [*values, *(name for name in earlier if name not in values)]:
            one, other = earlier.get(name), values.get(name)
            if one == other or (name == "memory_bytes" and _about(one, other)):
                continue
            if name == "cases":
                found += _cases(one or [], other or [])
            elif kind == "source":
                found.append(f"source {name}: it has been edited")
            else:
                found.append(f"{kind} {name}: {_shown(one)} there, {_shown(other)} here")
    return found


def _cases(there: list[str], here: list[str]) -> list[str]:
    lacking, more = [case for case in there if case not in here], [case for case in here if case not in there]
    found = []
    for words, cases in (("no longer selected", lacking), ("not selected there", more)):
        if cases:
            rest = f" and {len(cases) - MAX_NAMED} more" if len(cases) > MAX_NAMED else ""
            found.append(f"selection: {words}: {', '.join(cases[:MAX_NAMED])}{rest}")
    return found or ["selection: the same cases in another order"]


def _about(one: Any, other: Any) -> bool:
    return isinstance(one, int) and isinstance(other, int) and abs(one - other) <= MEMORY_TOLERANCE * max(one, other)


def _shown(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def family_event(measuring: Measuring, family: Family, found: Measurement) -> FamilyDone:
    """A family that is done just now."""
    progress = measuring.progress
    _, spent = progress.learned[-1]
    return FamilyDone(
        at=progress.elapsed(),
        name=family.name,
        outcomes={case.id: outcome_entry(case, outcome) for case, outcome in found.outcomes.items()},
        spent=spent_entry(spent),
        timed=found.timed,
        warnings=progress.warnings,
        hints=progress.hints,
        passing=measuring.run_clock.record(),
        gpus=measuring.timeline.news(),
    )


def restore(measuring: Measuring, log: RunLog) -> None:
    """Put a run where the process that wrote the journal stood after its last event."""
    progress, passing = measuring.progress, measuring.run_clock
    families = {family.name: family for family in progress.families}
    cases = {case.id: case for family in progress.families for case in family.cases}
    before, known, at = list(progress.warnings), log.settled(), log.seconds()
    places = {id(event): place for event, place in zip(log.events, log.places, strict=True)}
    for event in known:
        outcomes = {cases[case]: outcome_of(entry) for case, entry in event.outcomes.items()}
        progress.outcomes.update(outcomes)
        progress.outcomes.put_away(list(outcomes), progress.journal, places[id(event)])
        progress.learn(families[event.name], spent_of(event.spent, cases))
    for event in log.of(FamilyDone):
        progress.warnings[:] = dict.fromkeys([*event.warnings, *before])
        progress.hints[:] = dict.fromkeys([*progress.hints, *event.hints])
        passing.restore(event.passing)
    began = log.began()
    progress.startup = began.startup if began else 0.0
    progress.spent = (at - began.at, began.set_aside) if began else None
    progress.ceilings = log.ceilings()
    progress.started = datetime.fromisoformat(log.header.run["started"])
    progress.go_on_after(at)
    timed = [event.timed for event in known if event.timed is not None]
    measuring.monitor.restore(at, [event.pilot for event in log.of(PilotsTimed)], timed)
    measuring.timeline.restore(at, [event.gpus for event in known if event.gpus])
    progress.finished = bool(log.of(Ended))
    resumed = ResumedRecord(
        at=round(at, 3),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=measuring.settings.machine.facts(),
        warnings=before,
        families=len(known),
    )
    progress.resumed = [*(event.resumed for event in log.of(Resumed)), resumed]
    progress.write(Resumed(at=progress.elapsed(), resumed=resumed))


def spent_entry(spent: Spent) -> SpentEntry:
    """What a family cost as it stands in the journal."""
    return SpentEntry(
        fixed=spent.fixed,
        timing=spent.timing,
        stages=dict(spent.stages),
        slow=[(case.id, seconds) for case, seconds in spent.slow],
        again=spent.again,
    )


def spent_of(entry: SpentEntry, cases: Mapping[str, Case]) -> Spent:
    """What :func:`spent_entry` was given."""
    slow = tuple((cases[case], seconds) for case, seconds in entry.slow)
    return Spent(entry.fixed, entry.timing, entry.stages, slow, entry.again)
