"""``torchduet run --case ID --once``: calls one case in this process, for an external profiler around it."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torchduet.bench.cases import knobs
from torchduet.bench.cases.case import Case
from torchduet.bench.files.streams import note
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.temporary import HEADERS, RunFolder
from torchduet.bench.plan import case_globs, cli, preflight
from torchduet.bench.plan.availability import unavailable
from torchduet.bench.plan.options import OptionError, Options, parse, parse_duration
from torchduet.bench.plan.selection import Selection
from torchduet.bench.record.devices import HOST, device_kind
from torchduet.bench.record.units import digits
from torchduet.command_line import Parser
from torchduet.suites.registry import names
from torchduet.suites.workload import SuiteError, cores

TAKEN = ("--tier", "--suite", "--case", "--data", "--threads", "--cache", *(knob.flag for knob in knobs.OPTIONS))
OWN = ("--once", "--calls")
CACHE = "TORCHINDUCTOR_CACHE_DIR"
MAX_SHOWN = 3
UNUSABLE, NOT_CALLED = 2, 1


def run_once(arguments: Sequence[str]) -> int:
    """Call the case that the arguments name; returns the exit code: 0, 1 if it cannot be called, 2 for bad options."""
    kept = os.environ.get(CACHE, "")
    try:
        folder = RunFolder()
    except OSError as error:
        return _refuse(error.strerror or error, UNUSABLE)
    os.environ.setdefault(CACHE, str(folder.path / "inductor"))  # where the compiler makes its folder when imported
    try:
        return _called(arguments, folder.name, kept)
    except (OptionError, SuiteError) as error:
        return _refuse(error, UNUSABLE)
    finally:
        if not kept:
            del os.environ[CACHE]
        folder.cleanup()


def _called(arguments: Sequence[str], folder: str, kept: str) -> int:
    given = _parsed(arguments)
    calls, seconds = _calls(given.calls)
    options = parse(
        budget=None,
        **{name.removeprefix("--").replace("-", "_"): getattr(given, _dest(name)) for name in TAKEN},
    )
    sources = _sources(options)
    preflight.check_suites(sources)
    if options.data is not None:
        preflight.check_data(options.data)
    machine = _machine()
    case = select(options, machine, sources)
    from torchduet.bench.passes.once import NotCalledError, OnceTask, call_once
    from torchduet.bench.workers.environment import temporary_below
    from torchduet.bench.workers.process import like_a_users_process

    like_a_users_process()
    threads = options.threads or cores()
    code = str(Path(kept).resolve()) if kept else ""
    job = OnceTask(case, calls, threads, folder, code, options.data, options.cold, seconds)
    if kept:
        Path(job.compiled).mkdir(parents=True, exist_ok=True)
    os.environ |= temporary_below(Path(folder, "t")) | {HEADERS: str(Path(code or folder, "headers"))}
    try:
        called = call_once(job, lambda what, _: note(f"torchduet: {what}"))
    except NotCalledError as error:
        return _refuse(f"{case.id}: {error}", NOT_CALLED)
    several = called.calls > 1
    took = f"{called.calls:,} call{'s' * several} of {digits(1e3 * called.seconds)} ms{' each' * several}"
    print(
        f"{case.id}: {took}, after a warm-up, {threads} thread{'s' * (threads > 1)}. This is no measurement: it was "
        "taken once, and a profiler slows it down."
    )
    return 0


def _refuse(error: Exception | str, code: int) -> int:
    note(f"error: {' '.join(str(error).split())}")
    return code


def _dest(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="torchduet run",
        description="Calls one case alone, prepared as for its timing. On an NVIDIA GPU the calls are between "
        "cudaProfilerStart and cudaProfilerStop, in NVTX ranges named with the case's id and the number of the call.",
        allow_abbrev=False,
    )

    class Group:
        def addoption(self, name: str, **details: Any) -> None:
            if name == "--tier":
                details["help"] = argparse.SUPPRESS  # an id names its size, whatever the tier
            if name in (*TAKEN, *OWN):
                parser.add_argument(name, dest=_dest(name), **details)

    cli.add_to(Group())
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise OptionError(
            f"{unknown[0]}: cannot be combined with --once, which measures nothing; it takes "
            f"{', '.join((*TAKEN, *OWN[1:]))}"
        )
    if "--tier" not in arguments and not any(argument.startswith("--tier=") for argument in arguments):
        given.tier = "full"
    return given


def _calls(text: str | None) -> tuple[int, float]:
    """The number of calls, and the seconds to call for instead; 0: the number decides."""
    if text is None:
        return 1, 0.0
    if re.fullmatch(r"[1-9]\d{0,8}", text.strip()):
        return int(text), 0.0
    if re.search(r"[smh]$", text.strip()):
        return 1, parse_duration("--calls", text)
    raise OptionError(f"--calls {text!r}: use a whole number from 1 to 999999999, or a time such as 5s")


def _sources(options: Options) -> Sequence[str]:
    """The suites that the case can be in; importing others would only take time."""
    if not options.cases:
        raise OptionError("--once: name one case by its id, e.g. --case 'matmul.square[n=64] cpu eager fp32'")
    suites = {glob.partition(".")[0] for glob in options.cases}
    return options.suites or (tuple(sorted(suites)) if suites <= {*names()} else names())


def _machine() -> Machine:
    try:
        from torchduet.bench.workers import process

        machine = process.describe_machine(None, lambda *_: None)
    except ModuleNotFoundError as error:
        raise OptionError(f"{error.name} is not installed in this environment: pip install {error.name}") from None
    assert isinstance(machine, Machine)
    return machine


def select(options: Options, machine: Machine, sources: Sequence[str]) -> Case:
    """The one case that ``--case`` names; settings in its id need no option of their own.

    Raises:
        OptionError: it names none, or several, or one that this machine cannot run.
    """
    asked = _named(options, machine)
    for device in map(str, asked.get("device", ())):
        if why := machine.absent(device):
            raise OptionError(f"--case {', '.join(map(repr, options.cases))}: {why}")
    selection = Selection(replace(options, asked=asked), machine, claims_only=False)
    cases = {case.id: case for source in sources for _, case in selection.cases(source)}
    for glob in options.cases:
        case_globs.check("--case", glob, cases)
    found = [name for name in cases if any(case_globs.matches(glob, name) for glob in options.cases)]
    found = [name for name in found if name in options.cases] or found
    if len(found) > 1:
        more = f" and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
        raise OptionError(
            f"--once: --case names {len(found)} cases ({', '.join(found[:MAX_SHOWN])}{more}); give the whole id of one"
        )
    case = cases[found[0]]
    if (obstacle := unavailable(machine, case)) is not None:
        raise OptionError(f"--case {case.id!r}: {obstacle.why}")
    return case


def _named(options: Options, machine: Machine) -> dict[str, tuple[str | int, ...]]:
    """The settings that were asked for, by their options or as words of an id: ``graph``, ``cuda:1``, ``workers3``.

    Beside another device the CPU is asked for, too: a run of both measures the device at the CPU's sizes as well.
    """
    kinds = machine.kinds()
    parts = [_device_and_settings(glob, kinds) for glob in options.cases]
    devices = list(dict.fromkeys(device for device, _ in parts if device))
    words = list(dict.fromkeys(word for _, settings in parts for word in settings))
    asked = dict(options.asked)
    for knob in knobs.OPTIONS:
        if knob.name in asked:
            continue
        settings: list[str | int]
        if knob.name == "device":
            settings = [*dict.fromkeys([HOST, *devices])] if devices else []
        elif knob.numeric:
            numbers = [setting for word in words if (setting := knob.read(word)) is not None]
            settings = [int(number) for number in numbers if number.isdecimal()]
        else:
            settings = [word for word in words if word in knobs.values_of(knob)]
        if settings:
            asked[knob.name] = tuple(settings)
    return asked


def _device_and_settings(glob: str, kinds: Sequence[str]) -> tuple[str, list[str]]:
    """The device in a case's id, and the words after it; before it an implementation can have a setting's name.

    In a glob without a device ("" then) the first word with a wildcard may stand for it.
    """
    words = glob.split()
    for place in reversed(range(len(words))):
        if device_kind(words[place]) in kinds:
            return words[place], words[place + 1 :]
    wild = next((place for place, word in enumerate(words) if "*" in word or "?" in word), 0)
    return "", words[wild + 1 :]
