"""Checks before anything is measured: suites, devices, data, the output's path, the load by other processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torchduet.bench.cases.knobs import check_declared
from torchduet.bench.files.places import try_place
from torchduet.bench.files.regular import NotAFileError
from torchduet.bench.host.counters import busy_cores
from torchduet.bench.host.machine import Machine
from torchduet.bench.host.temporary import parent
from torchduet.bench.host.time_limit import limited
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.devices import device_kind
from torchduet.bench.record.journal import path_for
from torchduet.suites.files.as_script import ImportTooLongError
from torchduet.suites.registry import load, names
from torchduet.suites.workload import SuiteError, Unavailable, cores, usable_cpus

BUSY_SECONDS = 0.25
SILENT_SECONDS = 600.0  # for the import of a file, unless --hang-after says otherwise
REPEAT_SECONDS = 1.0  # between attempts to end an import that catches every exception


def check_suites(
    sources: Sequence[str],
    max_seconds: float = SILENT_SECONDS,
    around: Callable[[str], AbstractContextManager[None]] | None = None,
) -> None:
    """Load every source. The working directory is afterwards what it was before.

    Args:
        max_seconds: for the import of each.
        around: file → a context for its import.

    Raises:
        SuiteError: a source cannot be used or declares an unknown knob, or two suites have the same name.
    """
    source_of: dict[str, str] = {}
    for source in sources:
        with (
            contextlib.chdir(Path.cwd()),
            limited(max_seconds, lambda: _too_long(max_seconds), REPEAT_SECONDS),
            around(source) if around and source not in names() else contextlib.nullcontext(),
        ):
            suites = load(source)
        for suite in suites:
            before = source_of.setdefault(suite.name, source)
            if before != source:
                raise SuiteError(f"--suite {source}: {before} has a suite named {suite.name!r}, too; rename it")
            for workload in suite.workloads.values():
                check_declared(workload)


def _too_long(seconds: float) -> ImportTooLongError:
    return ImportTooLongError(
        f"its import has not ended after {seconds:.0f} s; put what takes long into inputs=, or raise --hang-after"
    )


def check_devices(asked: Sequence[str], machine: Machine, *, selecting_only: bool) -> None:
    """Check that something can be measured on the devices that were asked for.

    Args:
        selecting_only: nothing is measured, so cases of a device that the machine lacks may be listed.

    Raises:
        OptionError: the kind of a device is unknown here, or the machine has none of the devices.
    """
    absent = {device: why for device in asked if (why := machine.absent(device))}
    unknown = [device for device in absent if device_kind(device) not in machine.kinds()]
    if absent and (unknown or (len(absent) == len(asked) and not selecting_only)):
        first = (unknown or list(absent))[0]
        raise OptionError(f"--device {first}: {absent[first]}")


def check_test_files(folder: Path) -> None:
    """Check that every built-in suite has a test file; without one its cases would be left out silently.

    Raises:
        SuiteError: a suite has none.
    """
    for name in names():
        if not (folder / f"test_{name}.py").is_file():
            raise SuiteError(
                f"suite {name}: pytest collects it from {folder.name}/test_{name}.py, which does not exist; "
                f"copy {folder.name}/test_{names()[0]}.py and rename its function"
            )


def check_data(source: str | None) -> str | None:
    """The name of the data set that was asked for, after reading all of it.

    Raises:
        OptionError: it is missing or invalid.
    """
    if source is None:
        return None
    from torchduet.suites.datasets import data

    try:
        return data.check(source)
    except (data.DataError, Unavailable) as error:
        raise OptionError(str(error)) from None


def check_temporary() -> None:
    """Check that there is a folder for temporary files.

    Raises:
        OptionError: there is none.
    """
    try:
        parent()
    except OSError as error:
        raise OptionError(str(error.strerror)) from None


def json_path(value: Any) -> Path | None:
    """The path of the run's file, from ``--benchmark-json``: pytest-benchmark before 5.3 has opened the file."""
    if value is None or isinstance(value, str | Path):
        return Path(value) if value else None
    return Path(value.name)


def check_output(path: Path | None, *, selecting_only: bool = False) -> None:
    """Check that the run's file can be written, with its journal beside it, by writing there.

    Args:
        selecting_only: nothing is written, so nothing is tried.

    Raises:
        OptionError: it cannot; the message says why.
    """
    if path is None or selecting_only:
        return
    try:
        try_place(path, only_files=True)
        _try_journal(path_for(path))
    except IsADirectoryError:
        problem = "is a folder; name a file"
    except NotAFileError as error:
        problem = f"is {error.what}, not a file; a run has a journal beside its file: name a file in a folder"
    except (OSError, ValueError) as error:
        problem = f"cannot be written: {getattr(error, 'strerror', None) or error}; name a file in another folder"
    else:
        return
    raise OptionError(f"--benchmark-json {path}: {problem}")


def _try_journal(path: Path) -> None:
    """Try the place of a journal; one that exists is opened later, with its own errors."""
    if os.path.lexists(path):
        return
    try:
        try_place(path)
    except OSError as error:
        raise OSError(error.errno, f"its journal {path.name} cannot be written: {error.strerror or error}") from None


def load_warnings(threads: int) -> list[str]:
    """A warning where other processes leave fewer cores free than there are threads."""
    busy = busy_cores(BUSY_SECONDS)
    if busy is None:
        return []
    usable = len(usable_cpus())
    free = min(cores(), round(usable - busy))
    if threads <= free:
        return []
    remedy = f"use --threads {free}, or close what else is running" if free else "close what else is running"
    return [f"other processes keep about {busy:.1f} of {usable} cores busy: threads will be preempted; {remedy}"]
