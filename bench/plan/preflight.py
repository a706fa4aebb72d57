"""What is checked before anything is measured: sources, data, the output's place, the load by others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchduet.bench.cases.knobs import check_declared
from torchduet.bench.host.machine import Machine, busy_cores
from torchduet.bench.plan.options import OptionError
from torchduet.bench.record.devices import device_kind
from torchduet.suites.registry import load, names
from torchduet.suites.workload import SuiteError, Unavailable, cores, usable_cpus

BUSY_SECONDS = 0.25


def check_suites(sources: Sequence[str]) -> None:
    """Load every source.

    Raises:
        SuiteError: one that cannot be used or declares an unknown knob, or two whose suites have the same name.
    """
    found: dict[str, str] = {}
    for source in sources:
        for suite in load(source):
            before = found.setdefault(suite.name, source)
            if before != source:
                raise SuiteError(
                    f"--suite {source}: its suite {suite.name!r} has the name of one in {before}; rename it"
                )
            for workload in suite.workloads.values():
                check_declared(workload)


def check_devices(asked: Sequence[str], machine: Machine, *, selecting_only: bool) -> None:
    """Whether anything can be measured on the devices that were asked for.

    Args:
        selecting_only: nothing is measured, so that cases of a device that is not here may be listed.

    Raises:
        OptionError: one is of a kind that is not known here, or the machine has none of them.
    """
    absent = {device: why for device in asked if (why := machine.absent(device))}
    unknown = [device for device in absent if device_kind(device) not in machine.kinds()]
    if absent and (unknown or (len(absent) == len(asked) and not selecting_only)):
        first = (unknown or list(absent))[0]
        raise OptionError(f"--device {first}: {absent[first]}")


def check_test_files(folder: Path) -> None:
    """Whether pytest finds a test function for every built-in suite; without one its cases would silently be left out.

    Raises:
        SuiteError: one has none.
    """
    for name in names():
        if not (folder / f"test_{name}.py").is_file():
            raise SuiteError(
                f"suite {name}: pytest collects it from {folder.name}/test_{name}.py, which does not exist; "
                f"copy {folder.name}/test_{names()[0]}.py and rename its function"
            )


def check_data(source: str | None) -> str | None:
    """The name of the data set that was asked for, read through.

    Raises:
        OptionError: it is missing or not what it says.
    """
    if source is None:
        return None
    from torchduet.suites.datasets import data

    try:
        return data.check(source)
    except (data.DataError, Unavailable) as error:
        raise OptionError(str(error)) from None


def json_path(given: Any) -> Path | None:
    """Where the run will be written; pytest-benchmark before 5.3 has the file open already."""
    if given is None or isinstance(given, str | Path):
        return Path(given) if given else None
    return Path(given.name)


def check_output(path: Path | None) -> None:
    """Whether the run can be written there.

    Raises:
        OptionError: it cannot; the message says why.
    """
    if path is None:
        return
    folder = path.parent
    if path.is_dir():
        problem = "is a folder; name a file"
    elif not folder.is_dir():
        problem = f"cannot be written: {folder} is not a folder; create it first"
    elif not os.access(path if path.exists() else folder, os.W_OK):
        problem = "cannot be written: permission denied"
    else:
        return
    raise OptionError(f"--benchmark-json {path}: {problem}")


def load_warnings(threads: int) -> list[str]:
    """A warning where other processes leave fewer cores free than there are threads."""
    busy = busy_cores(BUSY_SECONDS)
    if busy is None:
        return []
    usable = len(usable_cpus())
    fit = min(cores(), round(usable - busy))
    if threads <= fit:
        return []
    remedy = f"use --threads {fit}, or close what else is running" if fit else "close what else is running"
    return [f"other processes keep about {busy:.1f} of {usable} cores busy: threads will be preempted; {remedy}"]
