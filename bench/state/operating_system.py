"""Entries: what the operating system keeps for the process: environment, folder, cores, priority, limits. No torch."""

from __future__ import annotations

import locale
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchduet.bench.state.entry import Entry

THREADS = Path("/proc/self/task")
# Variables that inductor and Triton set while they compile, and read again later.
SET_BY_COMPILER = ("_TORCHINDUCTOR_", "TORCHINDUCTOR_CACHE_DIR", "TRITON_", "TORCH_WARM_POOL", "KMP_DUPLICATE_LIB_OK")
LIMITS = ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_STACK")


def entries() -> Iterator[Entry]:
    """All of them."""
    yield Entry(
        "environment",
        _environment,
        _set_environment,
        differing=lambda before, after: ", ".join(difference(before, after)),
    )
    yield Entry("working directory", _folder, _set_folder)
    yield Entry("locale", lambda: locale.setlocale(locale.LC_ALL), lambda value: locale.setlocale(locale.LC_ALL, value))
    if hasattr(os, "sched_getaffinity"):
        yield Entry(
            "cores that it may use",
            lambda: frozenset(os.sched_getaffinity(0)),
            lambda value: _for_each_thread(lambda thread: os.sched_setaffinity(thread, value)),
            lambda value: ",".join(map(str, sorted(value))),
            poisons=True,
        )
    if hasattr(os, "sched_getscheduler"):
        yield Entry(
            "scheduling policy",
            lambda: (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority),
            lambda value: _for_each_thread(
                lambda thread: os.sched_setscheduler(thread, value[0], os.sched_param(value[1]))
            ),
            lambda value: f"{value[0]}, priority {value[1]}",
            poisons=True,
        )
    if hasattr(os, "getpriority"):
        yield Entry(
            "niceness",
            lambda: os.getpriority(os.PRIO_PROCESS, 0),
            lambda value: _for_each_thread(lambda thread: os.setpriority(os.PRIO_PROCESS, thread, value)),
            poisons=True,
        )
    yield from _limits()


def _limits() -> Iterator[Entry]:
    try:
        import resource
    except ImportError:  # not on this system
        return
    for name in LIMITS:
        if (number := getattr(resource, name, None)) is not None:
            yield Entry(
                name,
                lambda number=number: resource.getrlimit(number),  # type: ignore[misc]
                lambda value, number=number: resource.setrlimit(number, value),  # type: ignore[misc]
                poisons=True,
            )


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The environment variables that differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(SET_BY_COMPILER)}


def _set_environment(value: Mapping[str, str]) -> None:
    for name in difference(_environment(), value):
        if name in value:
            os.environ[name] = value[name]
        else:
            del os.environ[name]


def _folder() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed
        return None


def _set_folder(value: str | None) -> None:
    if value is not None:
        os.chdir(value)


def _for_each_thread(action: Callable[[int], Any]) -> None:
    """Act on this thread, then on all others: threads inherit these properties from the one that starts them."""
    action(0)
    if THREADS.exists():
        for thread in THREADS.iterdir():
            with suppress(ProcessLookupError):  # it has ended
                action(int(thread.name))
