"""The seconds that each family took in an earlier run, from the records in its file (``--shard-by``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from torchduet.bench.cases.option_values import OptionError
from torchduet.bench.files.regular import read_bytes
from torchduet.bench.plan.visits import guess_beside
from torchduet.bench.record.journal import SUFFIX
from torchduet.suites.workload import COMPILED

ONLY = ""  # the machine of a file with one


@dataclass(frozen=True)
class Earlier:
    """What an earlier run took on one machine.

    Attributes:
        kind: of machine: the kind of its accelerator, or ``"cpu"``.
        seconds: family → seconds.
    """

    kind: str
    seconds: dict[str, float]


class _Case(msgspec.Struct):
    family: str
    mode: str


class _Timing(msgspec.Struct):
    calls_per_block: int
    blocks: list[list[float]]
    visits: list[Any] = []


class _FirstCall(msgspec.Struct):
    seconds: float


class _Record(msgspec.Struct):
    case: _Case
    timing: _Timing
    first_call: _FirstCall
    machine: str = ONLY


class _Extra(msgspec.Struct):
    torchduet: _Record | None = None


class _Benchmark(msgspec.Struct):
    extra_info: _Extra


class _Run(msgspec.Struct):
    """One machine's run; of a merged file, the run of each machine."""

    machine: dict[str, Any] = {}
    machines: dict[str, _Run] = {}


class _File(msgspec.Struct):
    benchmarks: list[_Benchmark]
    torchduet: _Run


def earlier_runs(path: Path) -> dict[str, Earlier]:
    """Key of the machine → what the run took there; a file with one machine has the key ``""``.

    Seconds are those of the timed blocks, the first calls, and the start of later visits, as the plan guesses it. What
    a run spent otherwise (checks, warm-up, pilots) is left out: only the proportions matter.

    Raises:
        OptionError: the file cannot be read, or it is no run of Torchduet.
    """
    where = f"--shard-by {path}"
    try:
        content = read_bytes(path)
    except OSError as error:
        raise OptionError(f"{where}: {error.strerror or error}") from None
    try:
        file = msgspec.json.decode(content, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        hint = "; render it, or continue that run with --resume" if path.name.endswith(SUFFIX) else ""
        what = "the file of a run (--benchmark-json) or of torchduet merge"
        raise OptionError(f"{where}: is not {what}{hint}") from None
    runs = file.torchduet.machines or {ONLY: file.torchduet}
    records: dict[str, dict[str, list[_Record]]] = {}
    for record in (benchmark.extra_info.torchduet for benchmark in file.benchmarks):
        if record is not None:
            records.setdefault(record.machine, {}).setdefault(record.case.family, []).append(record)
    found = {
        machine: Earlier(_kind(runs[machine].machine), {name: _seconds(of) for name, of in families.items()})
        for machine, families in records.items()
        if machine in runs
    }
    seconds = [each for earlier in found.values() for each in earlier.seconds.values()]
    if not seconds:
        raise OptionError(f"{where}: has no measured case of Torchduet")
    if not all(0 <= each < math.inf for each in seconds):
        raise OptionError(f"{where}: has times that are not numbers of seconds; it is damaged")
    return found


def _kind(facts: dict[str, Any]) -> str:
    if facts.get("gpus"):
        return "cuda"
    return "xpu" if facts.get("accelerators") else "cpu"


def _seconds(records: Sequence[_Record]) -> float:
    """The seconds of one family."""
    timed = [
        record.timing.calls_per_block * seconds
        for record in records
        for rounds in record.timing.blocks
        for seconds in rounds
    ]
    first_calls = [record.first_call.seconds for record in records]
    visits = max(len(record.timing.visits) for record in records)
    compiled = sum(record.case.mode in COMPILED for record in records)
    return math.fsum([*timed, *first_calls, max(0, visits - 1) * guess_beside(compiled)])
