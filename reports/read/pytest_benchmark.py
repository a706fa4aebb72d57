"""Reads runs of plain pytest-benchmark, without Torchduet's records, into what can honestly be said of them.

Each benchmark there is timed in one stretch of one process. Its rounds follow each other at once, so that they are no
independent measurements: medians of consecutive batches, in the order taken, stand in for placements.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NotRequired, TypedDict, cast

from torchduet.bench.record.knobs import KNOBS
from torchduet.bench.record.schema import KEY, SCHEMA, CaseRecord, NotMeasured, Record, StopReason
from torchduet.reports.read.pytest_benchmark_facts import about, as_json, as_text, scalar
from torchduet.reports.read.run_file import Run, commit_of, from_json, load, record_of
from torchduet.reports.read.schema_check import ContractError, check, shown

BATCHES = 20  # of 10 to 30 more tell little more, and fewer rounds each are less independent (Schmeiser 1982)
MIN_SECONDS = 1e-15  # what takes less was not timed: its timer did not move
STOP = "pytest-benchmark's --benchmark-max-time and --benchmark-min-rounds"


class StatsRecord(TypedDict):
    """What is used of pytest-benchmark's ``stats``: seconds per call; ``data`` has every round in the order taken."""

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
    """What is used of one benchmark."""

    name: str
    fullname: NotRequired[str | None]
    group: NotRequired[str | None]
    param: NotRequired[str | None]
    stats: StatsRecord


@dataclass(frozen=True)
class Timed:
    """What pytest-benchmark itself says of a benchmark; seconds per call.

    Attributes:
        group: as the test's marker says; empty without one.
        sampled: the file holds every round, not only their summary.
        extra: the test's own ``extra_info`` as JSON; empty if there is none.
    """

    group: str
    stats: StatsRecord
    sampled: bool
    extra: str = ""


@dataclass(frozen=True)
class PytestBenchmarkRun(Run):
    """A run of plain pytest-benchmark in the form of one of Torchduet's.

    A record's ``blocks`` are the batches of a benchmark's rounds; the median alone where the file has no rounds.
    There are no speed-ups, intervals, checks or first calls (NaN): none were measured.

    Attributes:
        timed: one per record.
    """

    timed: tuple[Timed, ...] = ()


def load_any(path: str | Path) -> Run:
    """Read and check a run of Torchduet's, or one of plain pytest-benchmark (a ``PytestBenchmarkRun``).

    Raises:
        RunFileError: whatever is wrong with the file, in one line.
    """
    return load(path, lambda document, name: (from_plain if is_plain(document) else from_json)(document, name))


def is_plain(document: object) -> bool:
    """Whether pytest-benchmark wrote it, and no benchmark in it is Torchduet's."""
    if not isinstance(document, dict) or KEY in document or not document.get("benchmarks"):
        return False
    benchmarks = document["benchmarks"]
    return isinstance(benchmarks, list) and all(record_of(one) is None for one in benchmarks)


def from_plain(document: Mapping[str, Any], name: str = "run.json") -> PytestBenchmarkRun:
    """A plain run from its decoded JSON.

    Raises:
        ContractError: it is not what pytest-benchmark writes; the message names the key.
    """
    found = document["benchmarks"]
    for index, one in enumerate(found):
        _check(one, f"benchmarks[{index}]")
    names, warnings = _unique([one.get("fullname") or one["name"] for one in found])
    records, timed, failed = [], [], []
    for case_id, one in zip(names, found, strict=True):
        case, batches = _case(case_id, one), _batches(one["stats"])
        if min(one["stats"]["median"], *(median(batch) for batch in batches)) < MIN_SECONDS:
            failed.append(NotMeasured(case=case, reason="took 0 s by its timer, which is too coarse for it"))
            continue
        records.append(_record(case, one, batches))
        extra = as_json(one["extra_info"]) if one.get("extra_info") else ""
        timed.append(Timed(one.get("group") or "", one["stats"], bool(one["stats"].get("data")), extra))
    return PytestBenchmarkRun(
        name=name,
        about=about(document, failed, warnings),
        records=tuple(records),
        commit=commit_of(document.get("commit_info")),
        timed=tuple(timed),
    )


def _check(one: object, where: str) -> None:
    try:
        check(one, BenchmarkRecord, where)
    except ContractError as error:
        raise ContractError(f"is no file that pytest-benchmark writes: {error}") from None
    if isinstance(one, dict):
        if not (one.get("fullname") or one["name"]):
            raise ContractError(f"{where}.fullname: expected a name, got {shown(one.get('fullname'))}")
        data = one["stats"].get("data")
        if data == []:
            raise ContractError(f"{where}.stats.data: expected at least one round, got none")
        stats = [(key, one["stats"].get(key, 0.0)) for key in ("median", "min", "q1", "q3")]
        for key, value in (*stats, ("data", min(data) if data else 0.0)):
            if value < 0:
                raise ContractError(f"{where}.stats.{key}: expected seconds from 0, got {value}; a clock was set back?")


def _unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names of which none stands twice, and a warning for each that did: repeats are numbered in their order."""
    counted = Counter(names)
    taken, seen, found = set(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        if seen[name] > 1:
            number = seen[name]
            while f"{name} #{number}" in taken:
                number += 1
            seen[name] = number
            name = f"{name} #{number}"
            taken.add(name)
        found.append(name)
    return found, [
        f"{name} stands {number} times in the file; the repeats are numbered in its order"
        for name, number in counted.items()
        if number > 1
    ]


def _batches(stats: StatsRecord) -> list[list[float]]:
    """At most 20 runs of consecutive rounds, as even as possible; the median alone without rounds."""
    data = stats.get("data")
    if not data:
        return [[stats["median"]]]
    many = min(len(data), BATCHES)
    ends = [place * len(data) // many for place in range(many + 1)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def _case(case_id: str, one: Mapping[str, Any]) -> CaseRecord:
    """A benchmark as a case: its family is its function, whose parameters a change of the code reaches together."""
    full, param = one.get("fullname") or one["name"], one.get("param") or ""
    function = full.removesuffix(f"[{param}]") if param else full
    file, _, within = function.rpartition("::")
    params = one.get("params")
    sizes = {as_text(key): scalar(value) for key, value in params.items()} if isinstance(params, dict) else {}
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


def _record(case: CaseRecord, one: Mapping[str, Any], batches: list[list[float]]) -> Record:
    stats = one["stats"]
    options = one.get("options")
    timer = options.get("timer") if isinstance(options, dict) else None
    return Record(
        schema=SCHEMA,
        case=case,
        timing={
            "clock": as_text(timer or "unknown"),
            "calls_per_block": stats.get("iterations", 1),
            "blocks": batches,
            "stop": cast(StopReason, STOP),  # shown as it stands
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
