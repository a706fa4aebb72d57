"""Stops and continues a side's process group: a stopped side uses no core, whatever its threads would do."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from time import monotonic, sleep

STOP_SECONDS = 1.0  # a process that hangs in the kernel stops later
POLL_SECONDS = 2e-5


def resume(group: int) -> None:
    """Continue a process group."""
    _signal(group, signal.SIGCONT)


def stop(group: int) -> None:
    """Stop a process group; returns when the first thread of its first process has stopped.

    The signal takes effect when that thread runs again. If the other side continued before that, this thread might wait
    for a core until the time slice of the other side ends; meanwhile the other threads of this process would spin on a
    core that the other side needs.
    """
    _signal(group, signal.SIGSTOP)
    deadline = monotonic() + STOP_SECONDS
    while _is_running(group) and monotonic() < deadline:
        sleep(POLL_SECONDS)


def _is_running(pid: int) -> bool:
    """Whether its first thread has not stopped yet, by proc_pid_stat(5); False if that cannot be read."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rsplit(b") ", 1)[1][:1]
    except (OSError, IndexError):
        return False  # it has ended, or this system has no /proc
    return state not in (b"T", b"t", b"Z", b"X")


def _signal(group: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, which)
