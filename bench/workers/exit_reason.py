"""Starts and ends a worker, and describes how it ended and what it printed last."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from torchduet.bench.host.child_processes import describe_exit as describe_exit
from torchduet.bench.host.child_processes import last_lines
from torchduet.bench.workers.ended import WorkerError

MAX_LOG_BYTES = 2**26
# What the system refuses when there is no room for another process, or for its files.
NO_ROOM = (errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)

NO_SERVER = "the process that forks it has ended; the kernel ends processes when the memory of a container runs out"


def truncate_log(log: Path) -> None:
    """Empty a worker's log when it is too long, so that it does not fill the disk; the worker can write on."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > MAX_LOG_BYTES:
            os.truncate(log, 0)


def last_output(log: Path) -> str:
    """A worker's last output, to follow the reason why it ended; empty if it printed nothing."""
    lines = last_lines(log)
    return f"\nIts last output:\n{lines}" if lines else ""


def raise_unless_full(error: OSError) -> None:
    """Raise an error, unless the system has no room for another process or its files."""
    if error.errno not in NO_ROOM:
        raise error


def start(process: BaseProcess) -> None:
    """Start a worker.

    Raises:
        WorkerError: the system has no room for another process or its files, or the process that forks it has ended.
    """
    try:
        process.start()
    except (OSError, EOFError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else NO_SERVER
        raise WorkerError(f"the worker could not be started: {why}") from error


def kill_group(leader: int | None) -> None:
    """Kill a process group, where there are such groups; None: there is none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if leader is not None and hasattr(os, "killpg"):
            os.killpg(leader, signal.SIGKILL)


def end(process: BaseProcess) -> None:
    """Kill the worker's process group, children included, and wait for it."""
    if process.pid is None:
        return
    try:
        process.join(0.5)
    finally:  # a second Ctrl-C must not leave it running
        kill_group(process.pid)
        if process.is_alive():
            process.kill()
        process.join(10)
