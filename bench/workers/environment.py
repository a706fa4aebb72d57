"""The environment variables of the processes that fork workers."""

from __future__ import annotations

import contextlib
import json
import multiprocessing.process
import os
import signal
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from torchduet.bench.host.process.left_behind import MARK
from torchduet.bench.host.temporary import HEADERS
from torchduet.bench.workers.ended import WorkerError
from torchduet.bench.workers.messages import PRELOAD_COMPILER, PRELOAD_LIBRARIES
from torchduet.suites.registry import libraries

MAX_SOCKET = 107  # bytes of the path of a socket, by unix(7)
LONGEST_TEMPORARY = 75  # bytes: less those that multiprocessing adds: /pymp-12345678/listener-12345678
LONGEST_PRIVATE = 73  # less those that torch adds: /torch-shm-dir-123456/manager.sock


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


def for_workers(folder: Path, *, compiler: bool, suites: Collection[str] = (), side: str = "") -> dict[str, str]:
    """The environment of a process that forks workers.

    Names in the shared temporary folder that others can foresee, such as ``torchinductor_<user>``, can be taken by
    another user first. So everything temporary of these processes, and of the compilers that they start, is made in a
    folder of the run.

    Args:
        folder: the run's temporary folder.
        compiler: whether it imports the compiler.
        suites: those whose packages it imports.
        side: of a duet: its letter; sides share no folder.
    """
    toolchain = folder / f"toolchain{side}"  # for what inductor builds once for all workers
    return {
        **temporary_below(folder / f"t{side}"),
        MARK: str(folder),
        "TORCHINDUCTOR_CACHE_DIR": str(toolchain),
        HEADERS: str(toolchain / "headers"),
        "TORCH_WARM_POOL": "0",  # inductor's helper processes would outlive the fork
        PRELOAD_COMPILER: "1" if compiler else "0",
        PRELOAD_LIBRARIES: json.dumps(libraries(suites)),
    }


def temporary_below(folder: Path) -> dict[str, str]:
    """The variable that lets programs make temporary files in a folder; none where sockets in it had too long a path.

    The folder is made, for this user alone.
    """
    if len(os.fsencode(folder)) > LONGEST_PRIVATE:
        return {}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {"TMPDIR": str(folder)}


@contextlib.contextmanager
def sockets_in(folder: Path) -> Iterator[None]:
    """multiprocessing makes this process's sockets in a folder, not in one of its own that a killed process leaves.

    Nothing changes where the sockets' paths would be too long.
    """
    own: Any = multiprocessing.process.current_process()
    before = own._config.get("tempdir")
    if len(os.fsencode(folder)) + len("/listener-12345678") <= MAX_SOCKET:
        own._config["tempdir"] = str(folder)
    try:
        yield
    finally:
        own._config.pop("tempdir", None)
        if before is not None:
            own._config["tempdir"] = before


@contextlib.contextmanager
def without_ctrl_c() -> Iterator[None]:
    """A process that is started within the context is not interrupted by Ctrl-C; it passes that on to its children.

    A terminal sends Ctrl-C to it, too, and while it imports it would end with a traceback. The run ends it anyway.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
