"""Reads a run's JSON file and checks it, so that later code meets no malformed record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import (
    KEY,
    SCHEMA,
    CeilingRecord,
    GpuRecord,
    Record,
    RunRecord,
    SpeedupRecord,
    Verdict,
)
from torchduet.bench.record.statistics import Speedup
from torchduet.reports.read import unfinished_run
from torchduet.reports.read.fast_decode import decode_typed
from torchduet.reports.read.jsonfile import HOW_TO_MAKE_ONE, content_of, decoded
from torchduet.reports.read.schema_check import ContractError, check, shown


class RunFileError(Exception):
    """A file that cannot be used; the message is one line: the file, what is wrong, what to do."""


@dataclass(frozen=True)
class Run:
    """One run as its file records it, checked.

    Attributes:
        name: the file's name, without its folder.
        about: the run as a whole.
        records: one per measured case, in the order of the file.
        other_benchmarks: how many benchmarks in the file are not Torchduet's.
        commit: id of the commit that was checked out, with ``-dirty`` if it had changes; empty if there was none.
        folder: the file's folder; paths of traces are relative to it.
    """

    name: str
    about: RunRecord
    records: tuple[Record, ...]
    other_benchmarks: int = 0
    commit: str = ""
    folder: Path = Path()


def load(path: str | Path, read: Callable[[Any, str], Run] | None = None) -> Run:
    """Read and check a run of Torchduet's; ``read.pytest_benchmark.load_any`` reads pytest-benchmark's own, too.

    Args:
        read: makes a run from decoded JSON that ``read_fast`` does not accept (default: ``from_json``).

    Raises:
        RunFileError: the file cannot be used; the message is one line.
    """
    path = Path(path)
    try:
        content = content_of(path)
        run = read_fast(content, path.name) or (read or from_json)(document_of(content), path.name)
        return replace(run, folder=path.parent)
    except ContractError as error:
        raise RunFileError(f"{path}: {error}") from None


def read_fast(content: bytes, name: str) -> Run | None:
    """A run from its file's content, types checked while it is decoded; None if anything may be wrong with it."""
    document = decode_typed(content)
    try:
        return None if document is None else from_json(document, name, types_checked=True)
    except ContractError:
        return None


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
                "`pytest bench/ --benchmark-json FILE` (`render`, `compare` and `export` read such a file, too)"
            )
        raise ContractError(f"{KEY}: missing at the top level, so the run was cut short; run it again")
    _check_version(document[KEY], KEY)
    if not types_checked:
        check(document[KEY], RunRecord, KEY)
    for index, ceiling in enumerate(document[KEY].get("ceilings", [])):
        _check_ceiling(ceiling, f"{KEY}.ceilings[{index}]")
    for index, gpu in enumerate(document[KEY].get("gpus", [])):
        _check_gpu(gpu, f"{KEY}.gpus[{index}]")
    seen: dict[str, str] = {}
    for index, record in records.items():
        where = f"benchmarks[{index}].extra_info.{KEY}"
        _check_version(record, where)
        if not types_checked:
            check(record, Record, where)
        _check_meaning(cast(Record, record), where)
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


def record_of(benchmark: object) -> Any:
    """Torchduet's record in a benchmark's ``extra_info``; None if there is none."""
    extra_info = benchmark.get("extra_info") if isinstance(benchmark, dict) else None
    return extra_info.get(KEY) if isinstance(extra_info, dict) else None


def _check_version(record: object, where: str) -> None:
    version = record.get("schema") if isinstance(record, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ContractError(f"{where}.schema: expected a whole number, got {shown(version)}")
    if version > SCHEMA:
        raise ContractError(
            f"{where}.schema: version {version} needs a newer Torchduet than this (it reads up to {SCHEMA}): "
            "pip install -U torchduet"
        )
    if version < SCHEMA:
        raise ContractError(f"{where}.schema: version {version} is no longer read; run it again")


def _check_meaning(record: Record, where: str) -> None:
    """Checks what types cannot express: intervals contain their estimate, verdicts follow from their intervals."""
    timing = record["timing"]
    if any(number < 0 for number in timing.get("disturbed", [])):
        raise ContractError(f"{where}.timing.disturbed: expected numbers of blocks, from 0")
    _interval(timing["low"], timing["seconds"], timing["high"], where, ".timing")
    for index, speedup in enumerate(record["speedups"]):
        _check_speedup(speedup, f"{where}.speedups[{index}]")
    if "against" in record:
        side = record["against"]
        _interval(side["low"], side["ratio"], side["high"], where, ".against")
    for knob in KNOBS:
        if knob.numeric and (number := int(knob.of(record["case"]) or 0)) < 0:
            raise ContractError(f"{where}: expected {knob.name} from 0, got {number}")


def _check_ceiling(ceiling: CeilingRecord, where: str) -> None:
    for working_set in ceiling["bytes_per_second"]:
        if not working_set.isascii() or not working_set.isdigit():
            raise ContractError(f"{where}.bytes_per_second: expected whole bytes as keys, got {shown(working_set)}")


def _check_gpu(gpu: GpuRecord, where: str) -> None:
    for name, column in gpu["samples"].items():
        if len(column) != len(gpu["at"]):
            raise ContractError(f"{where}.samples.{name}: expected {len(gpu['at'])} samples, got {len(column)}")


def _check_speedup(speedup: SpeedupRecord, where: str) -> None:
    _interval(speedup["low"], speedup["ratio"], speedup["high"], where)
    follows = verdict_of(speedup)
    if speedup["verdict"] not in (follows, "unclear"):
        raise ContractError(f"{where}.verdict: is {speedup['verdict']!r}, but its interval says {follows!r}")


def verdict_of(speedup: SpeedupRecord) -> Verdict:
    """The verdict that follows from a recorded interval."""
    low, high = speedup["low"], speedup["high"]
    if low is None or high is None:
        return "unclear"
    estimate = Speedup(speedup["ratio"], low, high, speedup["placements"], speedup["confidence"])
    return estimate.verdict(speedup["threshold"])


def _interval(low: float | None, point: float, high: float | None, where: str, key: str = "") -> None:
    if (low is None) != (high is None):
        raise ContractError(f"{where}{key}: expected low and high to be numbers or null together")
    if low is not None and high is not None:
        slack = 1e-9 * point
        if not low - slack <= point <= high + slack:
            raise ContractError(f"{where}{key}: expected low <= {point} <= high, got {low} and {high}")


def commit_of(info: object) -> str:
    """The commit's id from ``commit_info``, shortened, with ``-dirty``; empty if there is none."""
    if not isinstance(info, dict) or not isinstance(info.get("id"), str) or info["id"] == "unversioned":
        return ""
    name = ascii(info["id"][:12]).strip("'")
    return f"{name}-dirty" if info.get("dirty") is True else name
