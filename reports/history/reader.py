"""Reads one run's file into the row that a history needs: a few numbers per case."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from torchduet.bench.record.machines.facts import facts_of
from torchduet.bench.record.machines.parts import digest_of
from torchduet.bench.record.schema import KEY, Record, SpeedupRecord
from torchduet.bench.record.schema_check import ContractError
from torchduet.reports.compare.settings import moment_of
from torchduet.reports.read.jsonfile import HOW_TO_MAKE_ONE, UnreadableError, content_of
from torchduet.reports.read.run_file import Run, runs_of
from torchduet.reports.read.unfinished_run import is_journal
from torchduet.reports.shifts.movement import pilots_beside
from torchduet.reports.text.settings import filter_values

RUN, DUET, BAD, OTHER = "run", "duet", "bad", "other"
IS_DUET = "holds two sides, and its times are those of one side; `torchduet compare FILE` shows its result"
SMALL = 2**20  # bytes; a larger file without the word "benchmarks", such as a profiler's trace, is not decoded
NEVER = -1  # no file has this modification time


@dataclass(frozen=True)
class Entry:
    """A file and its content; the lists have one item per case or per pilot.

    Attributes:
        path: relative to the folder of the history, with forward slashes.
        size: in bytes; with ``modified`` (nanoseconds) it shows whether the file has changed since it was read.
        kind: ``RUN``; ``DUET``, a run of two sides; ``BAD``, a run that cannot be used; ``OTHER``, another tool's file.
        why: why a file is no run of a history, or what is wrong with a case of a run that is left out.
        content: digest of the measurements, the same for every copy of a run.
        when: seconds since 1970 at which the run began; None where the file has no such time.
        facts: machine, settings and versions, as JSON.
        about: each case's family and its values of ``FILTERS``, as JSON lists.
        seconds: per call, with ``low`` and ``high``, its 99 % interval; NaN without one.
        speedup: over the family's reference, with its interval; NaN without one.
        against: id of that reference; empty without one.
        parts: digests of the runs that it was merged of; of another run its own digest.
        pilot_seconds: the median of the pilots of ``pilot_kind`` beside ``pilot_family``, seconds per unit.
    """

    path: str
    size: int
    modified: int
    kind: str
    why: str = ""
    content: str = ""
    started: str = ""
    when: float | None = None
    commit: str = ""
    grade: str = ""
    facts: str = "{}"
    case: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    reference: tuple[bool, ...] = ()
    seconds: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    speedup: tuple[float, ...] = ()
    speedup_low: tuple[float, ...] = ()
    speedup_high: tuple[float, ...] = ()
    against: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    pilot_family: tuple[str, ...] = ()
    pilot_kind: tuple[str, ...] = ()
    pilot_seconds: tuple[float, ...] = ()


FIELDS = tuple(field.name for field in fields(Entry))
NONE = float("nan")


def read(folder: Path, path: str) -> list[Entry]:
    """The entries of a file below ``folder``, one for each machine in it; none if it no longer exists."""
    file = folder / path
    try:
        status = file.stat()
    except OSError:
        return []
    stamp: dict[str, Any] = {"path": path, "size": status.st_size, "modified": status.st_mtime_ns}
    try:
        content = content_of(file)
    except UnreadableError as error:  # may pass without a change of the file, so the file is read again next time
        return [Entry(**stamp | {"modified": NEVER}, kind=BAD, why=str(error))]
    except ContractError as error:
        return [Entry(**stamp, kind=BAD, why=str(error))]
    if len(content) > SMALL and not is_journal(content) and b'"benchmarks"' not in content:
        return [
            Entry(**stamp, kind=OTHER, why=f'has no "benchmarks" list, so another tool wrote it; {HOW_TO_MAKE_ONE}')
        ]
    try:
        runs = runs_of(content, file.name)
    except ContractError as error:
        return [Entry(**stamp, kind=_kind_of(content), why=str(error))]
    if any("against" in run.about for run in runs):
        return [Entry(**stamp, kind=DUET, why=IS_DUET)]
    return [Entry(**stamp, kind=RUN, why=_why_incomplete(run), **_columns(run)) for run in runs]


def _why_incomplete(run: Run) -> str:
    """Which of a run's cases cannot be read; empty if all can be."""
    if not run.unreadable:
        return ""
    first, more = run.unreadable[0], len(run.unreadable) - 1
    rest = f" (and {more} more)" if more else ""
    return f"{first['case']['id']} is left out: {first['reason']}{rest}"


def _kind_of(content: bytes) -> str:
    """The kind of an unusable file: another tool's if it is valid JSON without any record of Torchduet's."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return BAD
    if not isinstance(document, dict):
        return OTHER
    benchmarks = document.get("benchmarks")
    for benchmark in benchmarks if isinstance(benchmarks, list) else ():
        extra = benchmark.get("extra_info") if isinstance(benchmark, dict) else None
        if isinstance(extra, dict) and KEY in extra:
            return BAD
    return BAD if KEY in document and "benchmarks" in document else OTHER


def _columns(run: Run) -> dict[str, Any]:
    facts_text = json.dumps(facts_of(run.about), sort_keys=True)
    speedups = [_over_reference(record) for record in run.records]
    cases = tuple(record["case"]["id"] for record in run.records)
    seconds = tuple(float(record["timing"]["seconds"]) for record in run.records)
    measured = json.dumps([run.about["started"], facts_text, cases, seconds])
    return {
        "content": hashlib.sha256(measured.encode()).hexdigest()[:24],
        "started": run.about["started"],
        "when": moment_of(run.about["started"]),
        "commit": run.commit,
        "grade": run.about["noise"]["grade"] if "noise" in run.about else "",
        "facts": facts_text,
        "case": cases,
        "about": tuple(_about(record) for record in run.records),
        "reference": tuple(record["case"]["reference"] for record in run.records),
        "seconds": seconds,
        "low": tuple(_number(record["timing"]["low"]) for record in run.records),
        "high": tuple(_number(record["timing"]["high"]) for record in run.records),
        "speedup": tuple(_number(speedup["ratio"] if speedup else None) for speedup in speedups),
        "speedup_low": tuple(_number(speedup["low"] if speedup else None) for speedup in speedups),
        "speedup_high": tuple(_number(speedup["high"] if speedup else None) for speedup in speedups),
        "against": tuple(speedup["against"] if speedup else "" for speedup in speedups),
        "parts": _parts(run),
        **_pilots(run),
    }


def _parts(run: Run) -> tuple[str, ...]:
    parts = run.about.get("parts")
    return tuple(part["digest"] for part in parts) if parts else (digest_of(run.about, run.records),)


def _about(record: Record) -> str:
    return json.dumps([record["case"]["family"], *filter_values(record["case"]).values()])


def _over_reference(record: Record) -> SpeedupRecord | None:
    return next((speedup for speedup in record["speedups"] if speedup["knob"] == "reference"), None)


def _number(value: float | None) -> float:
    return NONE if value is None else float(value)


def _pilots(run: Run) -> Mapping[str, tuple[Any, ...]]:
    pilots = pilots_beside(run.about.get("pilots", []))
    rows = [
        (family, kind, median(pilot[kind] for pilot in beside))
        for family in dict.fromkeys(record["case"]["family"] for record in run.records)
        if (beside := pilots.get(family, ()))
        for kind in beside[0]
        if all(kind in pilot for pilot in beside)
    ]
    columns = tuple(zip(*rows, strict=True)) or ((), (), ())
    return dict(zip(("pilot_family", "pilot_kind", "pilot_seconds"), columns, strict=True))
