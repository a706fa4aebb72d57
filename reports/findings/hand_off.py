"""The commands that call a case alone, by itself and under profilers of other makers."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchduet.bench.record.devices import device_kind, on_host
from torchduet.bench.record.duets.sides import from_new, sides
from torchduet.bench.record.schema import CaseRecord, Record, RunRecord, SideRecord

SAMPLED = "5s"  # of calls, for profilers that take samples: the process takes some seconds to start
TRACED_SECONDS, MAX_TRACED_CALLS = 5.0, 10  # for profilers that record every kernel
GRAPHS = ("reduce-overhead", "max-autotune", "graph")
COMPILED = (
    *("compile", "compile-model", "compile-regions", "compile-dynamic", "compile-static"),
    *("reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
)
PERF_OF_PYTHON = (3, 12)  # since then perf can name Python's functions: python -X perf
VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
COMPARED = "compare"  # the suite of torchduet.compare in files of versions that did not record sources


@dataclass(frozen=True)
class Command:
    """One line for a shell.

    Attributes:
        title: what it does, or the name of the profiler.
        line: the command.
    """

    title: str
    line: str


@dataclass(frozen=True)
class HandOff:
    """How to call a case alone.

    Attributes:
        side: of a duet, in words; empty in other runs.
        commands: the plain one first.
        notes: what has to be done before, sentence by sentence.
    """

    side: str
    commands: tuple[Command, ...]
    notes: tuple[str, ...] = ()


def hand_offs(about: RunRecord, record: Record) -> list[HandOff]:
    """The commands for a case, in a duet for each side.

    None for functions of a program, which are in no file, and for cases of several processes.
    """
    source = _source(about, record["case"])
    if source is None or "ranks" in record:  # one process alone would wait for the others
        return []
    if "against" not in about:
        return [_hand_off(about, record, source)]
    of = sides(about["against"])
    alike = of.base_side["python"] == of.new_side["python"]
    both = (("base", of.base_side), ("new", of.new_side))
    (seen,) = from_new(about["against"], [record]) or [record]
    return [_hand_off(about, seen, source, (role, side, alike)) for role, side in both]


def _source(about: RunRecord, case: CaseRecord) -> str | Sequence[str] | None:
    """Where its suite is: a file, or the files among which it is; empty for a built-in suite; None if in no file."""
    files = [part for part in str(about["options"].get("suite") or "").split(",") if _is_file(part)]
    if "source" in case:
        if not case["source"]:
            return None
        return case["source"] if _is_file(case["source"]) else ""
    return files or (None if case["suite"] == COMPARED else "")


def _is_file(source: str) -> bool:
    return source.endswith(".py") or "/" in source or "\\" in source


@dataclass(frozen=True)
class _Call:
    """What the lines of a case have in common.

    Attributes:
        seconds: per call, as measured.
        name: of the profilers' files, without their ends.
        variables: of the environment: those of the run, and of a duet's side.
        python: the interpreter, and its version.
        run: the arguments of Python that call the case.
    """

    machine: Mapping[str, Any]
    case: CaseRecord
    seconds: float
    name: str
    variables: Mapping[str, str]
    python: str
    version: str
    run: tuple[str, ...]


def _hand_off(
    about: RunRecord, record: Record, source: str | Sequence[str], of: tuple[str, SideRecord, bool] | None = None
) -> HandOff:
    """The commands for a case; ``of``: a side of a duet, its role, and whether both sides have one interpreter."""
    machine, case = about["machine"], record["case"]
    files = [file for file in ([source] if isinstance(source, str) else source) if file]
    arguments = _arguments(about, case, files)
    run = ("-m", "torchduet", "run", *arguments)
    name = _file_name(case["id"])
    environment, version = about.get("environment", {}), str(machine.get("python", ""))
    call = _Call(machine, case, record["timing"]["seconds"], name, environment, "python", version, run)
    words, notes = "", []
    if any(not file.startswith(("/", "~")) for file in files):
        notes.append("Use the folder in which the run was started: the suite’s path is relative to it.")
    if of is not None:
        role, side, alike = of
        words = side["label"]
        seconds = call.seconds
        if "against" in record:
            seconds = record["against"]["seconds" if role == "new" else "base_seconds"]
        variables = {**environment, **side["env"]}
        call = replace(
            call, seconds=seconds, name=f"{name}-{role}", variables=variables, version=side["python_version"]
        )
        if not alike:
            call = replace(call, python=side["python"])
            notes.append("This interpreter needs Torchduet, too: install it there with pip.")
        if own := side.get("settings"):
            listed = ", ".join(f"{name}={value}" for name, value in own.items())
            notes.append(f"This side has {listed}, which no variable sets: set it at the start of the suite’s file.")
        if side["rev"] is not None:
            notes.append(_checked_out(side))
    plain = ["torchduet", "run", *arguments] if call.python == "python" else [call.python, *run]
    profilers = PROFILERS.get(device_kind(case["device"]), _on_host)(call)
    return HandOff(words, (Command("Without a profiler", _line(call.variables, plain)), *profilers), tuple(notes))


def _checked_out(side: SideRecord) -> str:
    commit = side.get("commit") or side["rev"] or ""
    return (
        f"Its files are those of {side['rev']}. Check them out beside yours (git worktree add ../{commit[:7]} "
        f"{commit[:12]}), and use the command in that folder. A package that is installed with pip install -e is "
        "imported from your files all the same, unless PYTHONPATH names its folder among the others."
    )


def _arguments(about: RunRecord, case: CaseRecord, files: Sequence[str]) -> list[str]:
    """What makes ``torchduet run`` call this case as the run did."""
    options = about["options"]
    arguments = [part for file in files for part in ("--suite", file)]
    arguments += ["--case", case["id"], "--once"]
    for option, key in (("--threads", "threads"), ("--data", "data_source"), ("--cache", "cache")):
        if options.get(key) is not None:
            arguments += [option, str(options[key])]
    return arguments


def _on_gpu(call: _Call) -> list[Command]:
    """Nsight Systems for the order of the work, Nsight Compute for single kernels; on AMD's GPUs rocprofv3."""
    calls = max(1, min(MAX_TRACED_CALLS, round(TRACED_SECONDS / call.seconds)))
    several = [call.python, *call.run, "--calls", str(calls)]
    if call.machine.get("hip"):
        traced = ["rocprofv3", "--runtime-trace", "--output-format", "pftrace", "-d", call.name, "--"]
        return [Command("rocprofv3", _line(call.variables, [*traced, *several]))]
    systems = ["nsys", "profile", "--capture-range=cudaProfilerApi", "--capture-range-end=stop", "-t", "cuda,nvtx,osrt"]
    systems += ["--cuda-graph-trace=node"] if call.case["mode"] in GRAPHS else []
    compute = ["ncu", "--profile-from-start", "off", "--nvtx", "--set", "full", "-o", call.name]
    return [
        Command("Nsight Systems", _line(call.variables, [*systems, "-o", call.name, *several])),
        Command("Nsight Compute", _line(call.variables, [*compute, call.python, *call.run])),
    ]


def _on_host(call: _Call) -> list[Command]:
    """perf (Linux) and py-spy for functions of C and of Python; perf reads a compiled case's code when it has ended."""
    system = str(call.machine.get("system", "")).partition(" ")[0]
    sampled = [*call.run, "--calls", SAMPLED]
    commands = []
    if system in ("Linux", "") and on_host(call.case["device"]):
        kept = {"TORCHINDUCTOR_CACHE_DIR": f"{call.name}-code"} if call.case["mode"] in COMPILED else {}
        python = [call.python, *(["-X", "perf"] if _at_least(call.version, PERF_OF_PYTHON) else [])]
        perf = ["perf", "record", "-g", "-o", f"{call.name}.perf", "--", *python, *sampled]
        commands.append(Command("perf", _line({**kept, **call.variables}, perf)))
    native = [] if system == "Darwin" else ["--native"]
    spy = ["py-spy", "record", *native, "-o", f"{call.name}.svg", "--", call.python, *sampled]
    return [*commands, Command("py-spy", _line(call.variables, spy))]


def _line(variables: Mapping[str, str], words: Sequence[str]) -> str:
    """A command for a POSIX shell, without variables whose names it could not set."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if VARIABLE.fullmatch(name)]
    return " ".join([*settings, shlex.join(words)])


def _file_name(case: str) -> str:
    """A case's id as the name of a file that needs no quotes."""
    readable = re.sub(r"[^A-Za-z0-9._=]+", "-", case).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(case.encode()).hexdigest()[:4]}"


PROFILERS = {"cuda": _on_gpu}  # kind of device → the commands of its maker's profilers; for others the host's


def _at_least(version: str, least: tuple[int, int]) -> bool:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) >= least
