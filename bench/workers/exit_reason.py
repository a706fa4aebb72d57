"""How a worker ended, what it printed last, and seeing to it that it has ended."""

from __future__ import annotations

import contextlib
import os
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from torchduet.bench.workers import process

MAX_LOG_BYTES = 2**26


def keep_short(log: Path) -> None:
    """What a worker prints must not fill the disk; it goes on at the file's end."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > MAX_LOG_BYTES:
            os.truncate(log, 0)


def ending(exitcode: int | None) -> str:
    """How a process ended, in words that follow its name."""
    if exitcode is None:
        return "closed its channel and went on running; it was killed"
    if exitcode >= 0:
        return f"ended with exit code {exitcode} and no answer"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    hint = "; the kernel does that when memory runs out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def printed(log: Path) -> str:
    """A worker's last output behind the reason why it ended; empty if it printed nothing."""
    lines = process.last_lines(log)
    return f"\nIts last output:\n{lines}" if lines else ""


def end(process: BaseProcess) -> None:
    """Kill the worker's process group, children included, and wait for it."""
    if process.pid is None:
        return
    try:
        process.join(0.5)
    finally:  # a second Ctrl-C must not leave it running
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
        if process.is_alive():
            process.kill()
        process.join(10)
