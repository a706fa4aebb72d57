"""Ends what workloads have started and left running, in sessions of its own too, by a mark in its environment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection
from multiprocessing import resource_tracker
from pathlib import Path
from time import monotonic, sleep
from typing import Any

MARK = "TORCHDUET_RUN"  # of the environment: the temporary folder of the run that has started a process
GRACE_SECONDS = 1.0  # what is about to end by itself does so
POLL_SECONDS = 0.05
SCANS = 3  # in a row that find nothing: a process that is being started, or that starts another program, is in none
PROC = Path("/proc")


def end_marked(folder: Path, spared: Collection[int | None] = ()) -> int:
    """End every process that a run's processes have started and left; returns how many had to be killed.

    Args:
        folder: of the run, whose name is the mark.
        spared: processes that are not killed; nor is this one, or the one that tracks its shared memory.
    """
    tracker: Any = resource_tracker._resource_tracker
    kept = {os.getpid(), tracker._pid, *spared}
    end, quiet, killed = monotonic() + GRACE_SECONDS, 0, set[int]()
    while monotonic() < end + GRACE_SECONDS:  # what has not ended by then cannot be killed
        left = _marked(folder) - kept
        quiet = 0 if left else quiet + 1
        if quiet == SCANS or not PROC.is_dir():
            break
        for pid in left if monotonic() >= end else ():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        sleep(POLL_SECONDS)
    return len(killed)


def _marked(folder: Path) -> set[int]:
    """The processes with the mark; a process that has ended and is not waited for has no environment."""
    mark, found = f"{MARK}={folder}\0".encode(), set()
    for process in PROC.glob("[0-9]*") if PROC.is_dir() else ():
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            if mark in (process / "environ").read_bytes():
                found.add(int(process.name))
    return found
