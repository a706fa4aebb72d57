"""How much memory this process may still use: the least of its own limits, its control groups' and the machine's.

A container may have far less than ``MemAvailable`` says, which is the machine's. Files are read as documented in the
admin guide of the kernel (cgroup-v2, ``memory.max``; cgroup-v1, memory) and in proc_pid_statm(5).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

CGROUP, PROC = Path("/sys/fs/cgroup"), Path("/proc")


def available(cgroup: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Bytes that this process may still use: the least of its own limits, its cgroup's and the machine's.

    None: nothing limits it that is known here.
    """
    limits = [*_of_process(proc), *_of_cgroup(cgroup, proc), *_of_machine(proc)]
    return max(0, min(limits)) if limits else None


def _of_process(proc: Path) -> Iterator[int]:
    if resource is None or sys.platform != "linux":
        return
    pages = _text(proc / "self" / "statm").split()
    used = [int(pages[at]) * os.sysconf("SC_PAGE_SIZE") for at in (0, 5)] if len(pages) > 5 else [0, 0]
    for kind, taken in zip((resource.RLIMIT_AS, resource.RLIMIT_DATA), used, strict=True):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - taken


def _of_cgroup(cgroup: Path, proc: Path) -> Iterator[int]:
    """Of this process's cgroup and of those above it; version 2, and the root of a container in version 1."""
    own = next((line[3:] for line in _text(proc / "self" / "cgroup").splitlines() if line.startswith("0::")), "/")
    folder = cgroup / own.strip().lstrip("/")
    for place in (folder, *folder.parents):
        if not place.is_relative_to(cgroup):
            break
        yield from _limit(place / "memory.max", place / "memory.current", place / "memory.stat")
    old = cgroup / "memory"
    yield from _limit(old / "memory.limit_in_bytes", old / "memory.usage_in_bytes", old / "memory.stat")


def _limit(limit: Path, used: Path, details: Path) -> Iterator[int]:
    most, taken = _text(limit).strip(), _text(used).strip()
    if most.isdecimal() and taken.isdecimal():
        cached = (line.split()[1] for line in _text(details).splitlines() if line.startswith("inactive_file "))
        yield int(most) - int(taken) + int(next(cached, "0"))


def _of_machine(proc: Path) -> Iterator[int]:
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
