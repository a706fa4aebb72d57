"""What is checked before anything is measured: sources, data, the output's place, the load by others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchduet.bench.cases.knobs import check_declared
from torchduet.bench.host.machine import busy_cores
from torchduet.bench.plan.options import OptionError
from torchduet.suites.registry import load
from torchduet.suites.workload import SuiteError, Unavailable, cores

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


def check_data(source: str | None) -> str | None:
    """The name of the data set that was asked for, read through.

    Raises:
        OptionError: it is missing or not what it says.
    """
    if source is None:
        return None
    from torchduet.suites import data

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
    fit = round(cores() - busy)
    if threads <= fit:
        return []
    remedy = f"use --threads {fit}, or close what else is running" if fit else "close what else is running"
    return [f"other processes keep about {busy:.1f} of {cores()} cores busy: threads will be preempted; {remedy}"]
