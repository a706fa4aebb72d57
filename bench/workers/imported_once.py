"""Decides which files of users the fork server imports once for all workers, from their import in the pytest process.

A worker is forked from the server, and gets what an import leaves in it: modules, but neither threads nor a usable
accelerator; and the position in an open file is shared with the workers after it. A file that leaves such things behind
is imported by each worker, as is one that changes the state of the process, which is for its own cases alone.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from torchduet.bench.state.entry import listed
from torchduet.bench.state.own_state import OF_LIBRARIES, restored
from torchduet.suites.registry import load

MIN_SECONDS = 0.2  # a shorter import is repeated in each worker: nothing then passes from one suite to another
HARMLESS = OF_LIBRARIES - {"signal handlers"}
ACCELERATORS = ("cuda", "xpu", "hpu", "npu", "mtia")


@dataclass
class Imports:
    """The imports of a run's files in the pytest process.

    Attributes:
        alone: there is one file only.
        once: the files that the fork server imports.
        warnings: a sentence for each file that takes long in every worker.
    """

    alone: bool
    once: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def observed(self, source: str) -> Iterator[None]:
        """Around the first import of a file: times it, finds out what it leaves, and puts the state back.

        The environment stays as the file leaves it, if it is the only one: workers inherit it, and some of it counts
        only before torch is imported.
        """
        start, before = perf_counter(), remains()
        try:
            with restored() as outcome:
                yield
                environment = dict(os.environ)
            if self.alone:
                os.environ.update(environment)
        finally:
            seconds = perf_counter() - start
        after = remains()
        changes = [change for change in outcome.changed if change.entry.name not in HARMLESS]
        reason = left_behind(before, after) or (f"it changes {listed(changes)}" if changes else "")
        if seconds < MIN_SECONDS:
            return
        if not reason:
            self.once.append(source)
        else:
            self.warnings.append(
                f"the import of {Path(source).name} takes {seconds:.1f} s in each worker, beyond the budget: {reason}, "
                "so that it cannot be imported once for all; do that in inputs= or in the function instead"
            )


def remains() -> Mapping[str, frozenset[str]]:
    """What an import can leave in a process that a fork of it cannot use, or that forks share: kind → its members."""
    return {
        "a thread": frozenset(_threads()),
        "an open file": frozenset(_open_files()),
        "a child process": frozenset(_children()),
        "an accelerator in use": frozenset(_accelerators()),
    }


def left_behind(before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]) -> str:
    """What is new, in words that follow the file's name; empty if there is nothing."""
    new = [(kind, sorted(after[kind] - before[kind])) for kind in before if after[kind] - before[kind]]
    return "" if not new else "it leaves " + " and ".join(f"{kind} ({', '.join(names[:3])})" for kind, names in new)


def import_files(sources: Iterable[str]) -> str:
    """In the fork server: import files, silently; returns why no worker may be forked afterwards, if that is so."""
    return _imported(load, sources)


def import_modules(names: Iterable[str]) -> str:
    """The same for modules, by their names."""
    return _imported(importlib.import_module, names)


def import_libraries(names: Iterable[str]) -> None:
    """In a fork server: import modules of the packages that built-in suites use, as far as they are installed.

    They may start a pool of BLAS, as NumPy's import does: such pools start again in a worker.
    """
    with _silence():
        for name in names:
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - a worker imports it again and reports the reason
                continue


def _imported(load_one: Callable[[str], object], sources: Iterable[str]) -> str:
    before = remains()
    with _silence():
        for source in sources:
            try:
                load_one(source)
            except Exception:  # noqa: BLE001 - a worker imports it again and reports the reason
                continue
    return left_behind(before, remains())


def _threads() -> Iterator[str]:
    """Threads of Python by name, and others by their number: a pool of OpenMP is no thread of Python."""
    yield from (thread.name for thread in threading.enumerate())
    folder = Path("/proc/self/task")
    count = len(list(folder.iterdir())) if folder.is_dir() else 0
    yield from (f"thread {number} of the process" for number in range(len(threading.enumerate()), count))


def _open_files() -> Iterator[str]:
    for entry in _entries("/proc/self/fd"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue  # of the listing itself
        if not target.startswith(("pipe:", "/dev/null", "/dev/urandom", "anon_inode:", "/memfd:")):
            yield target


def _children() -> Iterator[str]:
    for entry in _entries("/proc/self/task"):
        try:
            yield from (f"process {pid}" for pid in (entry / "children").read_text().split())
        except OSError:
            continue  # the thread has ended


def _accelerators() -> Iterator[str]:
    torch = sys.modules.get("torch")
    for kind in ACCELERATORS:
        initialized = getattr(getattr(torch, kind, None), "is_initialized", None)
        if initialized is not None and initialized():
            yield kind


def _entries(folder: str) -> list[Path]:
    return list(Path(folder).iterdir()) if Path(folder).is_dir() else []


@contextmanager
def _silence() -> Iterator[None]:
    """What is printed within is discarded: the server's output is the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        yield
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nothing)
