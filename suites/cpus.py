"""How many cores this process may use: its affinity, and the quota of CPU time of its control groups.

A container with ``--cpus 2`` on a machine of 64 cores has an affinity of 64, but threads or DataLoader workers beyond
its quota only wait for each other. Files are read as documented in the admin guide of the kernel (cgroup-v2,
``cpu.max``; cgroup-v1, sched-bwc) and in proc_pid_mountinfo(5).
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

CONTROLLER = "cpu"  # the name of the controller that limits CPU time
MAX_TWICE_CORES = 32  # the number that "2x cores" stands for on a large machine


def usable_cpus() -> set[int]:
    """The numbers of the cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def cores() -> int:
    """How many cores this process may keep busy at once: the number of workers that ``"cores"`` stands for."""
    return within_quota(len(usable_cpus()), _own_quota())


def within_quota(cpus: int, quota: float | None) -> int:
    """The smaller of a number of cores and a quota, the latter rounded up."""
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def twice(cores: int) -> int:
    """The number of workers that ``"2x cores"`` stands for."""
    return min(2 * cores, MAX_TWICE_CORES)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """How many cores the control groups allow on average, the least of all groups up the tree; None: no known limit.

    Args:
        root: the file system's root; another folder in tests.
    """
    limits = [limit for folder in _groups(root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


@functools.cache
def _own_quota() -> float | None:
    return cpu_quota()  # once, so that the cases of a run do not depend on the time when they are counted


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups of this process that can limit CPU time, and of all groups above them."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and CONTROLLER not in controllers.split(","):
            continue
        mounted, mount = _mount(root, version)
        group = Path("/" + path.lstrip("/"))
        # A container without a namespace of its own sees the path of the host, of which only the end is mounted.
        below = group.relative_to(mounted) if group.is_relative_to(mounted) else group.relative_to("/")
        folder = mount / below
        yield from (folder, *(above for above in folder.parents if above.is_relative_to(mount)))


def _mount(root: Path, version: int) -> tuple[Path, Path]:
    """(mounted path of the hierarchy, mount point), from lines ``id parent dev ROOT POINT options - TYPE …``."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mount, _, system = line.partition(" - ")
        fields, (kind, *rest) = mount.split(), system.split() or [""]
        wanted = kind == "cgroup2" if version == 2 else kind == "cgroup" and CONTROLLER in rest[-1].split(",")
        if wanted and len(fields) > 4:
            return Path(_unescaped(fields[3])), root / _unescaped(fields[4]).lstrip("/")
    return Path("/"), root / ("sys/fs/cgroup" if version == 2 else "sys/fs/cgroup/cpu")


def _unescaped(text: str) -> str:
    """A path from mountinfo, where a blank is written as ``\\040``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _limit(folder: Path) -> float | None:
    """How many cores one group allows: ``cpu.max`` is "QUOTA PERIOD" or "max PERIOD"; version 1 has -1 for no limit."""
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    limited = quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0
    return int(quota) / int(period) if limited else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # not Linux, or not readable
