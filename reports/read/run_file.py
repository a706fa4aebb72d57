"""Reads a run's JSON file and checks it, so that later code meets no malformed record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torchduet.bench.record.contract import (
    check_meaning,
    check_record,
    check_run,
    readable_case,
    with_readable_failures,
)
from torchduet.bench.record.decoding.typed import decode_typed
from torchduet.bench.record.machines.key import key_of
from torchduet.bench.record.schema import KEY, SCHEMA, NotMeasured, Record, RunRecord
from torchduet.bench.record.schema_check import ContractError, shown
from torchduet.reports.read import several, unfinished_run
from torchduet.reports.read.benchmarks import record_of
from torchduet.reports.read.jsonfile import HOW_TO_MAKE_ONE, TOO_LITTLE_MEMORY, content_of, decoded
from torchduet.reports.read.run import Run, RunFileError

__all__ = [
    "Run",
    "RunFileError",
    "commit_of",
    "document_of",
    "from_json",
    "load",
    "load_all",
    "read_all_fast",
    "read_fast",
    "readable_from_json",
    "runs_of",
    "without_unreadable",
]


def load(path: str | Path, read: Callable[[Any, str], Run] | None = None, machine: str | None = None) -> Run:
    """Read and check a run of Torchduet's; ``read.pytest_benchmark.load_any`` reads pytest-benchmark's own, too.

    Args:
        read: makes a run from decoded JSON that ``read_fast`` does not accept (default: ``readable_from_json``).
        machine: of a file of several machines the one that is meant: its key, or a part of its name.

    Raises:
        RunFileError: the file cannot be used, or holds several machines; the message is one line.
    """
    runs = load_all(path, read)
    try:
        return several.chosen(runs, machine)
    except ContractError as error:
        raise RunFileError(f"{path}: {error}") from None


def load_all(path: str | Path, read: Callable[[Any, str], Run] | None = None) -> list[Run]:
    """Read and check the runs in a file: one for each machine.

    Args:
        read: as for :func:`load`.

    Raises:
        RunFileError: the file cannot be used; the message is one line.
    """
    path = Path(path)
    try:
        content = content_of(path)
        name = path.name.encode("utf-8", "backslashreplace").decode()  # tables and pages are UTF-8
        return [
            replace(run, folder=path.parent, machine=run.machine or key_of(run.about))
            for run in runs_of(content, name, read)
        ]
    except ContractError as error:
        raise RunFileError(f"{path}: {error}") from None
    except MemoryError:
        raise RunFileError(f"{path}: {TOO_LITTLE_MEMORY}") from None


def runs_of(content: bytes, name: str, read: Callable[[Any, str], Run] | None = None) -> list[Run]:
    """The runs in a file's content, one for each machine.

    Args:
        read: as for :func:`load`.

    Raises:
        ContractError: it is none of Torchduet's, or malformed; the message names the key.
    """
    if runs := read_all_fast(content, name):
        return runs
    document = document_of(content)
    read = read or readable_from_json
    if several.is_of_several(document):
        return several.runs(document, name, read)
    return [read(document, name)]


def read_fast(content: bytes, name: str) -> Run | None:
    """A run from its file's content, types checked while it is decoded; None if anything may be wrong with it."""
    runs = read_all_fast(content, name)
    return runs[0] if len(runs) == 1 else None


def read_all_fast(content: bytes, name: str) -> list[Run]:
    """The runs of a file's content, one for each machine, as by :func:`read_fast`; none if anything may be wrong."""
    document = decode_typed(content)

    def read(of_machine: object, name: str) -> Run:
        return from_json(of_machine, name, types_checked=True)

    try:
        if document is None:
            return []
        return several.runs(document, name, read) if several.is_of_several(document) else [read(document, name)]
    except ContractError:
        return []


def document_of(content: bytes) -> Any:
    """The decoded JSON of a run's file, or of the journal of one that was cut short.

    Raises:
        ContractError: the content is neither.
    """
    return unfinished_run.document(content) if unfinished_run.is_journal(content) else decoded(content)


def from_json(document: object, name: str = "run.json", *, types_checked: bool = False) -> Run:
    """A run from its decoded JSON.

    Args:
        types_checked: the decoder has checked the schema's types already.

    Raises:
        ContractError: the document is no run of Torchduet's, or malformed; the message names the key.
    """
    if not isinstance(document, dict) or not isinstance(document.get("benchmarks"), list):
        raise ContractError(f'has no "benchmarks" list, so another tool wrote it; {HOW_TO_MAKE_ONE}')
    benchmarks = document["benchmarks"]
    records = {
        index: record for index, benchmark in enumerate(benchmarks) if (record := record_of(benchmark)) is not None
    }
    if KEY not in document:
        if not benchmarks:
            raise ContractError(f"holds no benchmark; {HOW_TO_MAKE_ONE}")
        if not records:
            raise ContractError(
                "was written by pytest-benchmark without Torchduet's records, which this needs; run "
                "`torchduet run --benchmark-json FILE` (`render`, `compare` and `export` read such a file, too)"
            )
        raise ContractError(f"{KEY}: missing at the top level, so the run was cut short; run it again")
    if several.is_of_several(document):
        raise ContractError("holds the runs of several machines; choose one with --machine KEY")
    _check_version(document[KEY], KEY)
    check_run(document[KEY], types_checked=types_checked)
    seen: dict[str, str] = {}
    for index, record in records.items():
        where = f"benchmarks[{index}].extra_info.{KEY}"
        _check_version(record, where)
        if types_checked:
            check_meaning(record, where)
        else:
            check_record(record, where)
        first = seen.setdefault(record["case"]["id"], where)
        if first != where:
            raise ContractError(f"{where}.case.id: {shown(record['case']['id'])} is the id of {first}, too")
    return Run(
        name=name,
        about=cast(RunRecord, document[KEY]),
        records=tuple(cast(Record, record) for record in records.values()),
        other_benchmarks=len(benchmarks) - len(records),
        commit=commit_of(document.get("commit_info")),
    )


def readable_from_json(document: object, name: str = "run.json") -> Run:
    """A run from its decoded JSON; cases whose records cannot be read are listed among those that failed.

    Raises:
        ContractError: as ``from_json``, if no case can be read or the fault lies in the run's own record.
    """
    try:
        return from_json(document, name)
    except ContractError:
        rest, unreadable = without_unreadable(document)
        if rest is None:
            raise
    return replace(from_json(rest, name), unreadable=tuple(unreadable))


def without_unreadable(document: object) -> tuple[dict[str, Any] | None, list[NotMeasured]]:
    """The document without what cannot be read of it, and the cases left out; None if no case or no run is left."""
    if not isinstance(document, dict) or not isinstance(document.get("benchmarks"), list):
        return None, []
    kept, unreadable = [], []
    for index, benchmark in enumerate(document["benchmarks"]):
        record = record_of(benchmark)
        if record is None:
            kept.append(benchmark)
            continue
        where = f"benchmarks[{index}].extra_info.{KEY}"
        if isinstance(version := record.get("schema") if isinstance(record, dict) else None, int) and version > SCHEMA:
            return None, []
        try:
            _check_version(record, where)
            check_record(record, where)
        except ContractError as error:
            case = record.get("case") if isinstance(record, dict) else None
            label = benchmark.get("name") if isinstance(benchmark, dict) else None
            named = readable_case(case, label if isinstance(label, str) else where)
            unreadable.append(NotMeasured(case=named, reason=f"its record cannot be read: {error}"))
        else:
            kept.append(benchmark)
    if not any(record_of(benchmark) is not None for benchmark in kept):
        return None, []
    if not isinstance(document.get(KEY), dict):
        return None, []
    about = with_readable_failures(document[KEY])
    if not all(isinstance(about.get(key), list) for key in ("failed", "warnings")):
        return None, []
    cases = f"{len(unreadable)} case{'s' * (len(unreadable) != 1)}"
    lines = [f"{cases} cannot be read from this file; see the reasons of cases that failed"] if unreadable else []
    about["failed"] = [*about["failed"], *unreadable]
    about["warnings"] = [*about["warnings"], *lines]
    return {**document, "benchmarks": kept, KEY: about}, unreadable


def _check_version(record: object, where: str) -> None:
    version = record.get("schema") if isinstance(record, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ContractError(f"{where}.schema: expected a whole number, got {shown(version)}")
    if version > SCHEMA:
        from torchduet.suites.extras import upgrade  # only here: reading a file does not wait for the suites

        raise ContractError(
            f"{where}.schema: version {version} needs a newer Torchduet than this (it reads up to {SCHEMA}): "
            f"{upgrade()}"
        )
    if version < SCHEMA:
        raise ContractError(f"{where}.schema: version {version} is no longer read; run it again")


def commit_of(info: object) -> str:
    """The commit's id from ``commit_info``, shortened, with ``-dirty``; empty if there is none."""
    if not isinstance(info, dict) or not isinstance(info.get("id"), str) or info["id"] == "unversioned":
        return ""
    name = ascii(info["id"][:12]).strip("'")
    return f"{name}-dirty" if info.get("dirty") is True else name
