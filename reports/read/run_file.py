"""Reads a run's JSON file and makes sure of it, so that nothing after it meets a malformed record."""

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
from torchduet.reports.read.fast_decode import typed
from torchduet.reports.read.jsonfile import MAKE_ONE, content_of, decoded
from torchduet.reports.read.schema_check import ContractError, check, shown


class RunFileError(Exception):
    """A file that cannot be reported on; the message is one line: the file, what is wrong, what to do."""


@dataclass(frozen=True)
class Run:
    """One run as it stands in its file, checked.

    Attributes:
        name: the file's name, without its folder.
        about: the run as a whole.
        records: one per measured case, in the order of the file.
        others: how many benchmarks in the file are not Torchduet's.
        commit: id of the commit that was checked out, with ``-dirty``; empty if there was none.
        folder: where the file lies; traces are named from there.
    """

    name: str
    about: RunRecord
    records: tuple[Record, ...]
    others: int = 0
    commit: str = ""
    folder: Path = Path()


def load(path: str | Path, read: Callable[[Any, str], Run] | None = None) -> Run:
    """Read and check a run of Torchduet's; ``read.pytest_benchmark.load_any`` reads others, too.

    Args:
        read: makes a run of decoded JSON that is not surely one of Torchduet's (default: ``from_json``).

    Raises:
        RunFileError: whatever is wrong with the file, in one line.
    """
    path = Path(path)
    try:
        content = content_of(path)
        run = quickly(content, path.name) or (read or from_json)(document_of(content), path.name)
        return replace(run, folder=path.parent)
    except ContractError as error:
        raise RunFileError(f"{path}: {error}") from None


def quickly(content: bytes, name: str) -> Run | None:
    """A run from its file's content, types checked while it is decoded; None where anything may be wrong with it."""
    document = typed(content)
    try:
        return None if document is None else from_json(document, name, typed=True)
    except ContractError:
        return None


def document_of(content: bytes) -> Any:
    """The decoded JSON of a run's file, or of the journal of one that was cut short.

    Raises:
        ContractError: it is neither.
    """
    return unfinished_run.document(content) if unfinished_run.is_journal(content) else decoded(content)


def from_json(document: object, name: str = "run.json", *, typed: bool = False) -> Run:
    """A run from its decoded JSON.

    Args:
        typed: whoever decoded it has held it against the schema's types.

    Raises:
        ContractError: it is not a run of Torchduet's, or not well-formed; the message names the key.
    """
    if not isinstance(document, dict) or not isinstance(document.get("benchmarks"), list):
        raise ContractError(f'has no "benchmarks" list, so another tool wrote it; {MAKE_ONE}')
    benchmarks = document["benchmarks"]
    found = {index: record for index, one in enumerate(benchmarks) if (record := record_of(one)) is not None}
    if KEY not in document:
        if not benchmarks:
            raise ContractError(f"holds no benchmark; {MAKE_ONE}")
        if not found:
            raise ContractError(
                "was written by pytest-benchmark without Torchduet's records, which this needs; run "
                "`pytest bench/ --benchmark-json FILE` (`render`, `compare` and `export` read the plain ones, too)"
            )
        raise ContractError(f"{KEY}: missing at the top level, so the run was cut short; run it again")
    _check_version(document[KEY], KEY)
    if not typed:
        check(document[KEY], RunRecord, KEY)
    for index, ceiling in enumerate(document[KEY].get("ceilings", [])):
        _check_ceiling(ceiling, f"{KEY}.ceilings[{index}]")
    for index, gpu in enumerate(document[KEY].get("gpus", [])):
        _check_gpu(gpu, f"{KEY}.gpus[{index}]")
    seen: dict[str, str] = {}
    for index, record in found.items():
        where = f"benchmarks[{index}].extra_info.{KEY}"
        _check_version(record, where)
        if not typed:
            check(record, Record, where)
        _check_meaning(cast(Record, record), where)
        before = seen.setdefault(record["case"]["id"], where)
        if before != where:
            raise ContractError(f"{where}.case.id: {shown(record['case']['id'])} is {before}'s id too")
    return Run(
        name=name,
        about=cast(RunRecord, document[KEY]),
        records=tuple(cast(Record, record) for record in found.values()),
        others=len(benchmarks) - len(found),
        commit=commit_of(document.get("commit_info")),
    )


def record_of(benchmark: object) -> Any:
    """What a benchmark's ``extra_info`` holds of Torchduet; None if nothing."""
    extra = benchmark.get("extra_info") if isinstance(benchmark, dict) else None
    return extra.get(KEY) if isinstance(extra, dict) else None


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
    """What types cannot say: intervals hold their estimate, verdicts follow from them."""
    timing = record["timing"]
    if any(number < 0 for number in timing.get("disturbed", [])):
        raise ContractError(f"{where}.timing.disturbed: expected numbers of blocks, from 0")
    _interval(timing["low"], timing["seconds"], timing["high"], where, ".timing")
    for index, one in enumerate(record["speedups"]):
        _check_speedup(one, f"{where}.speedups[{index}]")
    if "against" in record:
        one_side = record["against"]
        _interval(one_side["low"], one_side["ratio"], one_side["high"], where, ".against")
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


def _check_speedup(one: SpeedupRecord, where: str) -> None:
    _interval(one["low"], one["ratio"], one["high"], where)
    follows = verdict_of(one)
    if one["verdict"] not in (follows, "unclear"):
        raise ContractError(f"{where}.verdict: is {one['verdict']!r}, but its interval says {follows!r}")


def verdict_of(one: SpeedupRecord) -> Verdict:
    """The verdict that follows from a recorded interval."""
    if one["low"] is None or one["high"] is None:
        return "unclear"
    estimate = Speedup(one["ratio"], one["low"], one["high"], one["placements"], one["confidence"])
    return estimate.verdict(one["threshold"])


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
