"""The environment variables of the processes that fork workers."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from torchduet.bench.workers.ended import WorkerError
from torchduet.bench.workers.messages import PRELOAD_COMPILER, PRELOAD_LIBRARIES
from torchduet.suites.registry import libraries

LONGEST_TEMPORARY = 75  # bytes: of the 107 that unix(7) allows, less those that multiprocessing adds


def room_for_sockets() -> bool:
    """Whether the temporary folder's path is short enough for the fork server's socket below it."""
    return len(os.fsencode(tempfile.gettempdir())) <= LONGEST_TEMPORARY


def scratch(folder: str) -> tempfile.TemporaryDirectory[str]:
    """A folder for one worker, in that of the run, which is made again if another program has removed it.

    Raises:
        WorkerError: it cannot be made, as the disk is full.
    """
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True)
    except OSError as error:
        reason = f"no temporary folder can be made in {folder}: {error.strerror}"
        raise WorkerError(f"{reason}; make room there, or set TMPDIR to a folder that has it") from None


def for_workers(toolchain: Path, *, compiler: bool, suites: Collection[str] = ()) -> dict[str, str]:
    """The environment of a process that forks workers.

    Args:
        toolchain: folder for what inductor builds once for all workers.
        compiler: whether it imports the compiler.
        suites: those whose packages it imports.
    """
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(toolchain),
        "TORCH_WARM_POOL": "0",  # inductor's helper processes would outlive the fork
        PRELOAD_COMPILER: "1" if compiler else "0",
        PRELOAD_LIBRARIES: json.dumps(libraries(suites)),
    }


@contextlib.contextmanager
def changed(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
