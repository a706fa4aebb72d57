"""What a run writes into its journal, and how another process goes on with it.

A family's entry holds all that its session learned from it, so that a session that is given the entries
stands where the one that wrote them stood.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchduet import bench, suites
from torchduet.bench.cases.case import Case, Family
from torchduet.bench.noise.family_noise import Timed
from torchduet.bench.record.devices import numbered
from torchduet.bench.record.journal import Content, Entry, Journal, JournalError, path_for, set_aside
from torchduet.bench.record.schema import ResumedRecord
from torchduet.bench.run import run_record
from torchduet.bench.run.outcomes import outcome_entry, outcome_of
from torchduet.bench.run.records import Outcome, highest
from torchduet.suites.registry import names

if TYPE_CHECKING:
    from torchduet.bench.run.state import State

FOLDERS = {"bench": Path(bench.__file__).parent, "suites": Path(suites.__file__).parent}
PACKAGES = ("torchduet", "numpy", "torch")
MEMORY_TOLERANCE = 0.01  # the kernel keeps another amount for itself at each start
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Spent:
    """What a family cost, and what its session learned from it.

    Attributes:
        fixed: seconds of its stages before timing; None: unknown.
        timing: seconds (allotted, used) for timing; None: it came to none.
        stages: seconds by stage.
        slow: (case, seconds of one call) of what was too slow.
        again: its worker gave no answer, or it was cut short: resumed, the run tries it again, if it was the last.
    """

    fixed: float | None = None
    timing: tuple[float, float] | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    slow: tuple[tuple[Case, float], ...] = ()
    again: bool = False


def begin(session: State, run: Path, *, resume: bool) -> list[str]:
    """Open the run's journal, to go on with it or to begin a new one; returns what to tell the user.

    Raises:
        JournalError: it cannot be written, or gone on with: the message says why.
    """
    path = path_for(run)
    if resume and path.exists():
        journal, content = Journal.reopen(path)
        found = differences(content.header["identity"], identity(session))
        if found:
            journal.close()
            raise JournalError(
                f"--resume: {path} is of another run; without --resume it is kept under another name\n"
                + "\n".join(f"  {one}" for one in found)
            )
        session.journal = journal
        restore(session, content)
        lines = [f"resumed from {path}: {session.measured} of {len(session.families)} families are measured"]
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
    session.journal = Journal.create(path, header(session))
    return lines


def header(session: State) -> Entry:
    """The first entry: which run this is, and what is planned."""
    return {
        "identity": identity(session),
        "run": run_record.about(session),
        "plan": [[family.name, [case.id for case in family.reported]] for family in session.families],
    }


def identity(session: State) -> dict[str, dict[str, Any]]:
    """All that must be the same for two processes' records to be one run's."""
    options = asdict(replace(session.options, hang_seconds=None)) | {
        "threads": session.threads,
        "claims_only": session.claims_only,
    }
    options |= options.pop("asked")
    machine = session.machine.facts() | {"node": platform.node()}
    machine |= {name: uuid for name, uuid in session.machine.uuids().items() if name == numbered(name)}
    return {
        "machine": machine,
        "version": {name: metadata.version(name) for name in PACKAGES},
        "option": {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        "source": sources(session.options.suites or ()),
        "selection": {"cases": [case.id for family in session.families for case in family.cases]},
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
            rest = f" and {len(cases) - MOST_NAMED} more" if len(cases) > MOST_NAMED else ""
            found.append(f"selection: {words}: {', '.join(cases[:MOST_NAMED])}{rest}")
    return found or ["selection: the same cases in another order"]


def _about(one: Any, other: Any) -> bool:
    return isinstance(one, int) and isinstance(other, int) and abs(one - other) <= MEMORY_TOLERANCE * max(one, other)


def _shown(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def family_entry(
    session: State, family: Family, outcomes: Mapping[Case, Outcome], spent: Spent, timed: Timed | None
) -> Entry:
    """A finished family."""
    return {
        "kind": "family",
        "name": family.name,
        "at": session.elapsed(),
        "outcomes": {case.id: outcome_entry(case, outcome) for case, outcome in outcomes.items()},
        "spent": asdict(spent) | {"slow": [[case.id, seconds] for case, seconds in spent.slow]},
        "timed": None if timed is None else timed.to_json(),
        "warnings": session.warnings,
        "passing": session.passing.record(),
        "hints": session.hints,
        "gpus": session.timeline.news(),
    }


def finished(content: Content) -> list[Entry]:
    """The families' entries, the last of each."""
    found = {str(entry["name"]): entry for entry in content.entries if entry["kind"] == "family"}
    return list(found.values())


def settled(content: Content) -> list[Entry]:
    """The families that need not be measured again: without those at the end whose workers died, or that were cut
    short: what killed them may have been what ended the run.
    """
    found = finished(content)
    while found and found[-1]["spent"]["again"]:
        found.pop()
    return found


def restore(session: State, content: Content) -> None:
    """Put a session where the one that wrote the journal stood after its last entry."""
    families = {family.name: family for family in session.families}
    cases = {case.id: case for family in session.families for case in family.cases}
    entries, at = content.entries, max((entry["at"] for entry in content.entries), default=0.0)
    timings: list[Timed] = []
    before, known = list(session.warnings), settled(content)
    places = {id(entry): place for entry, place in zip(entries, content.places, strict=True)}
    for entry in known:
        outcomes = {case: outcome_of(one) for case, one in entry["outcomes"].items()}
        own = [cases[case] for case in outcomes]
        session.outcomes.update(zip(own, outcomes.values(), strict=True))
        session.outcomes.put_away(own, session.journal, places[id(entry)])
        if entry["timed"] is not None:
            timings.append(Timed.from_json(entry["timed"], session.outcomes.of(own)))
        session.learn(families[entry["name"]], spent_of(entry["spent"], cases))
    for entry in (one for one in entries if one["kind"] == "family"):
        session.warnings[:] = dict.fromkeys([*entry["warnings"], *before])
        session.hints[:] = dict.fromkeys([*session.hints, *entry["hints"]])
        session.passing.restore(entry.get("passing"))
    began = next((entry for entry in entries if entry["kind"] == "began"), None)
    session.startup = began["startup"] if began else 0.0
    session.spent = (at - began["at"], began["set_aside"]) if began else None
    session.ceilings = highest(entry["ceilings"] for entry in entries if entry["kind"] == "ceilings")
    session.started = datetime.fromisoformat(content.header["run"]["started"])
    session.go_on_after(at)
    session.watch.restore(at, [entry["pilot"] for entry in entries if entry["kind"] == "pilot"], timings)
    session.timeline.restore(at, [entry["gpus"] for entry in known if entry["gpus"]])
    session.finished = any(entry["kind"] == "end" for entry in entries)
    resumed = ResumedRecord(
        at=round(at, 3),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=session.machine.facts(),
        warnings=before,
        families=len(known),
    )
    session.resumed = [*(entry["resumed"] for entry in entries if entry["kind"] == "resumed"), resumed]
    session.write({"kind": "resumed", "resumed": resumed})


def spent_of(entry: Entry, cases: Mapping[str, Case]) -> Spent:
    """What a family's entry says that it cost."""
    timing = entry["timing"]
    slow = tuple((cases[case], seconds) for case, seconds in entry["slow"])
    return Spent(**{**entry, "timing": None if timing is None else tuple(timing), "slow": slow})
