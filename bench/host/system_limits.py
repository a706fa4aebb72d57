"""What a run cannot do on systems other than Linux, in one line."""

from __future__ import annotations

import importlib.util
import multiprocessing
import platform
import sys
from pathlib import Path

STAT = Path("/proc/stat")


def can_fork() -> bool:
    """Whether workers can be forked from a process that has imported torch: frameworks of macOS do not survive it."""
    return sys.platform != "darwin" and "forkserver" in multiprocessing.get_all_start_methods()


def limits() -> list[str]:
    """A warning that names everything that is missing here; none where nothing is."""
    missing = []
    if importlib.util.find_spec("fcntl") is None:
        missing.append("other runs of Torchduet are not detected")
    if not STAT.exists():
        missing.append("load by other processes is not measured")
    if importlib.util.find_spec("resource") is None:
        missing.append("context switches are not counted")
    if not can_fork():
        missing.append("each worker imports torch itself, which takes some seconds")
    return [f"on {platform.system()} {'; '.join(missing)}"] if missing else []
