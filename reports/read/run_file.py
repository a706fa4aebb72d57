"""Reads a run's JSON file and makes sure of it, so that nothing after it meets a malformed record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import (
    GRADES,
    KEY,
    SCHEMA,
    AgainstRecord,
    CeilingRecord,
    GpuRecord,
    NoiseRecord,
    Record,
    RunRecord,
    SpeedupRecord,
    TimingRecord,
)
from torchduet.bench.record.statistics import VERDICTS, Speedup
from torchduet.reports.read import unfinished_run
from torchduet.reports.read.fast_decode import typed
from torchduet.reports.read.jsonfile import MAKE_ONE, content_of, decoded
from torchduet.reports.read.schema_check import LEAST, MOST_PLACEMENTS, ContractError, check, shown


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
        typed: whoever decoded it has held it against the schema's types and its block times against their bounds.

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
    _check_noise(document[KEY].get("noise"), f"{KEY}.noise")
    for index, gpu in enumerate(document[KEY].get("gpus", [])):
        _check_gpu(gpu, f"{KEY}.gpus[{index}]")
    for index, pilot in enumerate(document[KEY].get("pilots", [])):
        for kind, seconds in pilot["seconds"].items():
            _positive(seconds, f"{KEY}.pilots[{index}].seconds.{kind}")
    seen: dict[str, str] = {}
    for index, record in found.items():
        where = f"benchmarks[{index}].extra_info.{KEY}"
        _check_version(record, where)
        if not typed:
            check(record, Record, where)
            _check_blocks(record["timing"], f"{where}.timing")
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


def _check_blocks(timing: TimingRecord, where: str) -> None:
    if not timing["blocks"] or not all(timing["blocks"]):
        raise ContractError(f"{where}.blocks: expected placements with at least one block each")
    if len(timing["blocks"]) > MOST_PLACEMENTS:
        raise ContractError(
            f"{where}.blocks: expected at most {MOST_PLACEMENTS} placements, got {len(timing['blocks'])}"
        )
    for row, rounds in enumerate(timing["blocks"]):
        for extreme in (min(rounds), max(rounds)):
            if not LEAST <= extreme <= 1 / LEAST:
                _positive(extreme, f"{where}.blocks[{row}][{rounds.index(extreme)}]")


def _check_meaning(record: Record, where: str) -> None:
    """What types cannot say: times are positive, intervals hold their estimate, verdicts follow from them."""
    timing = record["timing"]
    _positive(timing["seconds"], where, ".timing.seconds")
    _interval(timing["low"], timing["seconds"], timing["high"], where, ".timing")
    for index, one in enumerate(record["speedups"]):
        _check_speedup(one, f"{where}.speedups[{index}]")
    _check_noise(record.get("noise"), where, ".noise")
    if any(number < 0 for number in timing.get("disturbed", [])):
        raise ContractError(f"{where}.timing.disturbed: expected numbers of blocks, from 0")
    if "against" in record:
        _check_against(record["against"], f"{where}.against")
    for place, holder in ((where, record), (f"{where}.against", record.get("against", {}))):
        if "profile" in holder:
            for key in ("seconds", "plain_seconds"):
                _positive(holder["profile"][key], f"{place}.profile.{key}")
    for name, meter in record.get("meters", {}).items():
        if not meter["values"]:
            raise ContractError(f"{where}.meters.{name}.values: expected at least one")
    for key, number in (
        *((knob.name, int(knob.of(record["case"]) or 0)) for knob in KNOBS if knob.numeric),
        ("peak_bytes", record.get("peak_bytes")),
        ("reserved_bytes", record.get("reserved_bytes")),
        ("joules", record.get("energy", {}).get("joules")),
        ("device_seconds", timing.get("device_seconds")),
    ):
        if number is not None and number < 0:
            raise ContractError(f"{where}: expected {key} from 0, got {number}")


def _check_noise(noise: NoiseRecord | None, where: str, key: str = "") -> None:
    if noise is not None and noise["grade"] not in GRADES:
        raise ContractError(f"{where}{key}.grade: expected one of {', '.join(GRADES)}, got {shown(noise['grade'])}")


def _check_ceiling(ceiling: CeilingRecord, where: str) -> None:
    for precision, rate in ceiling["flops_per_second"].items():
        _positive(rate, f"{where}.flops_per_second.{precision}")
    for working_set, rate in ceiling["bytes_per_second"].items():
        if not working_set.isascii() or not working_set.isdigit():
            raise ContractError(f"{where}.bytes_per_second: expected whole bytes as keys, got {shown(working_set)}")
        _positive(rate, f"{where}.bytes_per_second.{working_set}")
    _positive(ceiling["operator_seconds"], f"{where}.operator_seconds")


def _check_gpu(gpu: GpuRecord, where: str) -> None:
    for name, column in gpu["samples"].items():
        if len(column) != len(gpu["at"]):
            raise ContractError(f"{where}.samples.{name}: expected {len(gpu['at'])} samples, got {len(column)}")


def _check_speedup(one: SpeedupRecord, where: str) -> None:
    _positive(one["ratio"], where, ".ratio")
    _positive(one["threshold"], where, ".threshold")
    if "baseline_seconds" in one:
        _positive(one["baseline_seconds"], where, ".baseline_seconds")
    _interval(one["low"], one["ratio"], one["high"], where)
    if not 0 < one["confidence"] < 1:
        raise ContractError(f"{where}.confidence: expected a number between 0 and 1, got {one['confidence']}")
    if one["verdict"] not in VERDICTS:
        raise ContractError(f"{where}.verdict: expected one of {', '.join(VERDICTS)}, got {shown(one['verdict'])}")
    follows = verdict_of(one)
    if one["verdict"] not in (follows, "unclear"):
        raise ContractError(f"{where}.verdict: is {one['verdict']!r}, but its interval says {follows!r}")


def _check_against(one: AgainstRecord, where: str) -> None:
    for name in ("ratio", "threshold", "base_seconds", "seconds"):
        _positive(one[name], f"{where}.{name}")
    _interval(one["low"], one["ratio"], one["high"], where)
    if one["verdict"] not in VERDICTS:
        raise ContractError(f"{where}.verdict: expected one of {', '.join(VERDICTS)}, got {shown(one['verdict'])}")


def verdict_of(one: SpeedupRecord) -> str:
    """The verdict that follows from a recorded interval."""
    if one["low"] is None or one["high"] is None:
        return "unclear"
    estimate = Speedup(one["ratio"], one["low"], one["high"], one["placements"], one["confidence"])
    return estimate.verdict(one["threshold"])


def _positive(value: float, where: str, key: str = "") -> None:
    if LEAST <= value <= 1 / LEAST:
        return
    where += key  # the path is put together where something is wrong only: there are hundreds of numbers per case
    if value <= 0:
        raise ContractError(f"{where}: expected a number above 0, got {value}")
    raise ContractError(f"{where}: expected a number from {LEAST:g} to {1 / LEAST:g}, got {value}")


def _interval(low: float | None, point: float, high: float | None, where: str, key: str = "") -> None:
    if (low is None) != (high is None):
        raise ContractError(f"{where}{key}: expected low and high to be numbers or null together")
    if low is not None and high is not None:
        _positive(low, where, f"{key}.low")
        slack = 1e-9 * point
        if not low - slack <= point <= high + slack:
            raise ContractError(f"{where}{key}: expected low <= {point} <= high, got {low} and {high}")


def commit_of(info: object) -> str:
    """The commit's id from ``commit_info``, shortened, with ``-dirty``; empty if there is none."""
    if not isinstance(info, dict) or not isinstance(info.get("id"), str) or info["id"] == "unversioned":
        return ""
    name = ascii(info["id"][:12]).strip("'")
    return f"{name}-dirty" if info.get("dirty") is True else name
