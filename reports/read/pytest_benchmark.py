"""Reads files of pytest-benchmark that have no records of Torchduet's.

pytest-benchmark times each benchmark in one stretch of one process. Consecutive rounds are no independent
measurements, so medians of consecutive batches, in the order taken, stand in for placements.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NotRequired, TypedDict, cast

from torchduet.bench.record.contract import readable_case
from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import KEY, SCHEMA, CaseRecord, NotMeasured, Record, StopReason
from torchduet.bench.record.schema_check import ContractError, check, shown
from torchduet.reports.read.benchmarks import record_of
from torchduet.reports.read.pytest_benchmark_facts import as_json, as_text, run_record, scalar
from torchduet.reports.read.run_file import Run, commit_of, load, load_all, readable_from_json

BATCHES = 20  # 10 to 30 suffice: more add little, and shorter batches are less independent (Schmeiser 1982)
MIN_SECONDS = 1e-15  # a shorter time was not measured: its timer did not advance
STOP = "pytest-benchmark's --benchmark-max-time and --benchmark-min-rounds"


class StatsRecord(TypedDict):
    """The keys of pytest-benchmark's ``stats`` that are used, in seconds per call; ``data``: all rounds in order."""

    median: float
    min: NotRequired[float]
    max: NotRequired[float]
    mean: NotRequired[float]
    stddev: NotRequired[float]
    q1: NotRequired[float]
    q3: NotRequired[float]
    total: NotRequired[float]
    outliers: NotRequired[str]
    rounds: NotRequired[int]
    iterations: NotRequired[int]
    data: NotRequired[list[float] | None]


class BenchmarkRecord(TypedDict):
    """The keys of one benchmark that are used."""

    name: str
    fullname: NotRequired[str | None]
    group: NotRequired[str | None]
    param: NotRequired[str | None]
    stats: StatsRecord


@dataclass(frozen=True)
class Benchmark:
    """What pytest-benchmark itself records of a benchmark; seconds per call.

    Attributes:
        group: the group that the test's marker names; empty without one.
        has_rounds: the file holds every round, not only a summary of them.
        extra_info: the test's own ``extra_info`` as JSON; empty if there is none.
    """

    group: str
    stats: StatsRecord
    has_rounds: bool
    extra_info: str = ""


@dataclass(frozen=True)
class PytestBenchmarkRun(Run):
    """A run of pytest-benchmark in the form of a run of Torchduet's.

    A record's ``blocks`` are the batches of a benchmark's rounds, or the median alone if the file has no rounds.
    There are no speed-ups, intervals, checks or first calls (NaN), because none were measured.

    Attributes:
        benchmarks: one per record.
    """

    benchmarks: tuple[Benchmark, ...] = ()


def load_any(path: str | Path, machine: str | None = None) -> Run:
    """Read and check a run of Torchduet's, or one of pytest-benchmark's own (a ``PytestBenchmarkRun``).

    Args:
        machine: of a file of several machines the one that is meant: its key, or a part of its name.

    Raises:
        RunFileError: the file cannot be used, or holds several machines; the message is one line.
    """
    return load(path, from_any, machine)


def load_all_of_any(path: str | Path) -> list[Run]:
    """The runs in a file, one for each machine, or one of pytest-benchmark's own.

    Raises:
        RunFileError: the file cannot be used; the message is one line.
    """
    return load_all(path, from_any)


def from_any(document: Any, name: str) -> Run:
    """A run from decoded JSON, of whichever kind.

    Raises:
        ContractError: the document is malformed; the message names the key.
    """
    return (from_pytest_benchmark if is_pytest_benchmark(document) else readable_from_json)(document, name)


def is_pytest_benchmark(document: object) -> bool:
    """Whether pytest-benchmark wrote the document, with no benchmark of Torchduet's in it."""
    if not isinstance(document, dict) or KEY in document or not document.get("benchmarks"):
        return False
    benchmarks = document["benchmarks"]
    return isinstance(benchmarks, list) and all(record_of(benchmark) is None for benchmark in benchmarks)


def from_pytest_benchmark(document: Mapping[str, Any], name: str = "run.json") -> PytestBenchmarkRun:
    """A run of pytest-benchmark's own from its decoded JSON; a benchmark that cannot be read is one that failed.

    Raises:
        ContractError: pytest-benchmark does not write any such benchmark; the message names the first key at fault.
    """
    entries, unreadable = _readable(document["benchmarks"])
    document = {**document, "benchmarks": entries}
    names, warnings = _unique([entry.get("fullname") or entry["name"] for entry in entries])
    records, benchmarks, failed = list[Record](), list[Benchmark](), list(unreadable)
    for case_id, entry in zip(names, entries, strict=True):
        case, batches = _case(case_id, entry), _batches(entry["stats"])
        if min(entry["stats"]["median"], *(median(batch) for batch in batches)) < MIN_SECONDS:
            failed.append(NotMeasured(case=case, reason="took 0 s by its timer, which is too coarse for it"))
            continue
        records.append(_record(case, entry, batches))
        extra_info = as_json(entry["extra_info"]) if entry.get("extra_info") else ""
        stats = entry["stats"]
        benchmarks.append(Benchmark(entry.get("group") or "", stats, bool(stats.get("data")), extra_info))
    return PytestBenchmarkRun(
        name=name,
        about=run_record(document, failed, warnings),
        records=tuple(records),
        commit=commit_of(document.get("commit_info")),
        benchmarks=tuple(benchmarks),
        unreadable=tuple(unreadable),
    )


def _readable(entries: Sequence[Any]) -> tuple[list[Any], list[NotMeasured]]:
    """The benchmarks that can be read, and the others with the reason.

    Raises:
        ContractError: none of them can be read.
    """
    kept, unreadable, first = list[Any](), list[NotMeasured](), None
    for index, entry in enumerate(entries):
        where = f"benchmarks[{index}]"
        try:
            _check(entry, where)
        except ContractError as error:
            first = first or error
            names = [entry.get("fullname"), entry.get("name")] if isinstance(entry, dict) else []
            label = next((name for name in names if isinstance(name, str) and name), where)
            unreadable.append(NotMeasured(case=readable_case(None, label), reason=f"it cannot be read: {error}"))
        else:
            kept.append(entry)
    if first is not None and not kept:
        raise first
    return kept, unreadable


def _check(entry: object, where: str) -> None:
    try:
        check(entry, BenchmarkRecord, where)
    except ContractError as error:
        raise ContractError(f"is no file of pytest-benchmark: {error}") from None
    if isinstance(entry, dict):
        if not (entry.get("fullname") or entry["name"]):
            raise ContractError(f"{where}.fullname: expected a name, got {shown(entry.get('fullname'))}")
        data = entry["stats"].get("data")
        if data == []:
            raise ContractError(f"{where}.stats.data: expected at least one round, got none")
        stats = [(key, entry["stats"].get(key, 0.0)) for key in ("median", "min", "q1", "q3")]
        for key, value in (*stats, ("data", min(data) if data else 0.0)):
            if value < 0:
                raise ContractError(
                    f"{where}.stats.{key}: expected seconds from 0, got {value}; was the clock set back?"
                )


def _unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names without repeats (these are numbered in order), and a warning for each name that was repeated."""
    counted = Counter(names)
    taken, seen, unique = set(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        if seen[name] > 1:
            number = seen[name]
            while f"{name} #{number}" in taken:
                number += 1
            seen[name] = number
            name = f"{name} #{number}"
            taken.add(name)
        unique.append(name)
    return unique, [
        f"{name} occurs {number} times in the file; the repeats are numbered in order"
        for name, number in counted.items()
        if number > 1
    ]


def _batches(stats: StatsRecord) -> list[list[float]]:
    """At most 20 batches of consecutive rounds, of lengths as equal as possible; without rounds, the median alone."""
    data = stats.get("data")
    if not data:
        return [[stats["median"]]]
    number = min(len(data), BATCHES)
    ends = [batch * len(data) // number for batch in range(number + 1)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def _case(case_id: str, entry: Mapping[str, Any]) -> CaseRecord:
    """A benchmark as a case; its family is its function, as a change of the code affects all parameters together."""
    full, param = entry.get("fullname") or entry["name"], entry.get("param") or ""
    function = full.removesuffix(f"[{param}]") if param else full
    file, _, within = function.rpartition("::")
    params = entry.get("params")
    named = params.items() if isinstance(params, dict) else ()
    sizes: dict[str, int | float | bool | str] = {as_text(key): scalar(value) for key, value in named}
    return CaseRecord(
        id=case_id,
        family=function,
        suite=file.partition("::")[0],
        workload=within,
        about="",
        size=sizes,
        size_label=param,
        implementation="",
        device="",
        mode="",
        precision="",
        reference=False,
        settings={knob.name: "" for knob in KNOBS if not knob.own_key},
    )


def _record(case: CaseRecord, entry: Mapping[str, Any], batches: list[list[float]]) -> Record:
    stats = entry["stats"]
    options = entry.get("options")
    timer = options.get("timer") if isinstance(options, dict) else None
    return Record(
        schema=SCHEMA,
        case=case,
        timing={
            "clock": as_text(timer or "unknown"),
            "calls_per_block": stats.get("iterations", 1),
            "blocks": batches,
            "stop": cast(StopReason, STOP),  # shown as it is
            "seconds": stats["median"],
            "low": None,
            "high": None,
        },
        speedups=[],
        first_call={"seconds": float("nan"), "calls": 0},
        compile=None,
        check={"what": "nothing", "relative_error": None, "tolerance": None},
        cost={},
        notes=[],
    )
