"""The machine's own counters while something is timed: load by others, steal, clocks, throttling, swapping.

Read from Linux' ``/proc`` and ``/sys`` (proc(5), the kernel's admin-guide on cpufreq, thermal and cgroup-v2).
What a system does not have is None, "not known here"; what follows from it is left to ``noise``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from torchduet.bench.record.telemetry import Telemetry
from torchduet.suites.cpus import cpu_quota, usable_cpus

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

CPU = "sys/devices/system/cpu"
MAX_CLOCKS = 16  # cores whose clock is read: reading one may take a fraction of a millisecond
COUNTS_INTERRUPTIONS = resource is not None

if resource is not None:
    _getrusage, _SELF = resource.getrusage, resource.RUSAGE_SELF

    def interruptions() -> int:
        """Involuntary context switches of this process so far, those of all its threads together.

        getrusage(2), ``ru_nivcsw``: a thread that could have gone on had to leave its core to somebody else.
        """
        return _getrusage(_SELF).ru_nivcsw

else:

    def interruptions() -> int:
        """Nobody counts them here."""
        return 0


@dataclass(frozen=True)
class Reading:
    """The counters at one moment; None: not known here.

    Attributes:
        at: seconds of the monotonic clock.
        busy, steal, total: seconds of the cores that this process may use, since the machine started: running
            something, kept back by the hypervisor while something wanted to run, and altogether.
        own: seconds of CPU time of this process' session.
        swapped: pages read from and written to swap.
        throttled: how often a core or its package was slowed down for its temperature.
        stopped: seconds for which the container's quota of CPU time was used up.
    """

    at: float
    busy: float | None = None
    steal: float | None = None
    total: float | None = None
    own: float | None = None
    swapped: int | None = None
    throttled: int | None = None
    stopped: float | None = None


class Gauge:
    """Reads the counters when it is started and finished, and the clocks in between.

    Args:
        root: the file system's root; another folder in tests.
        cpus: the cores that count; those that this process may use.
    """

    def __init__(self, root: Path = Path("/"), cpus: Iterable[int] | None = None) -> None:
        self.root = root
        self.cpus = sorted(usable_cpus() if cpus is None else cpus)
        self._clocks: list[float] = []
        self._clock_files = [
            path
            for cpu in self.cpus[:MAX_CLOCKS]
            if (path := root / CPU / f"cpu{cpu}/cpufreq/scaling_cur_freq").exists()
        ]
        self._before = self.read()

    def read(self) -> Reading:
        """The counters now."""
        busy, steal, total = self._cores()
        return Reading(
            monotonic(), busy, steal, total, self._own(), self._swapped(), self._throttled(), self._stopped()
        )

    def sample(self) -> None:
        """Look at the clocks; costs nothing where they are not shown."""
        found = [int(text) for path in self._clock_files if (text := _text(path).strip()).isdigit()]
        if found:
            self._clocks.append(max(found) * 1e3)

    def finish(self) -> Telemetry:
        """What happened since this gauge was made."""
        before, after = self._before, self.read()
        seconds = max(after.at - before.at, 1e-9)
        busy, own = _since(before.busy, after.busy), _since(before.own, after.own)
        steal, total = _since(before.steal, after.steal), _since(before.total, after.total)
        stopped = _since(before.stopped, after.stopped)
        governors = {_text(self.root / CPU / f"cpu{cpu}/cpufreq/scaling_governor").strip() for cpu in self.cpus[:1]}
        return Telemetry(
            seconds=seconds,
            others=None if busy is None or own is None else max(0.0, busy - own) / seconds,
            steal=None if steal is None or not total else steal / total,
            stopped=None if stopped is None else min(1.0, stopped / seconds),
            quota=cpu_quota(self.root),
            swapped=_whole(_since(before.swapped, after.swapped)),
            throttled=_whole(_since(before.throttled, after.throttled)),
            slowest=min(self._clocks, default=None),
            fastest=max(self._clocks, default=None),
            governor=next(iter(governors), None) or None,
            virtual=self._virtual(),
        )

    def _cores(self) -> tuple[float | None, float | None, float | None]:
        """(busy, steal, total) seconds, from the lines ``cpuN user nice system idle iowait irq softirq steal``."""
        wanted = {f"cpu{cpu}" for cpu in self.cpus}
        busy = steal = total = 0
        seen = False
        for line in _text(self.root / "proc/stat").splitlines():
            if not line.startswith("cpu"):
                break
            name, *fields = line.split()[:9]
            if name in wanted and len(fields) == 8:
                user, nice, system, idle, iowait, irq, softirq, stolen = map(int, fields)
                running = user + nice + system + irq + softirq
                busy, steal, total = busy + running, steal + stolen, total + running + idle + iowait + stolen
                seen = True
        return (busy / _ticks(), steal / _ticks(), total / _ticks()) if seen else (None, None, None)

    def _own(self) -> float | None:
        """CPU seconds of the session's processes, with those of children that have ended.

        A worker leads a session of its own, to which the processes belong that its workload starts.
        """
        if not hasattr(os, "getsid"):
            return None
        session = str(os.getsid(0)).encode()
        spent, seen = 0, False
        try:
            processes = [name for name in os.listdir(self.root / "proc") if name.isdigit()]  # noqa: PTH208 - a third
        except OSError:
            return None
        folder = f"{self.root}/proc"
        for number in processes:
            fields = _bytes(f"{folder}/{number}/stat").rpartition(b")")[2].split()  # its name may hold anything
            if len(fields) > 14 and fields[3] == session:
                spent += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
                seen = True
        return spent / _ticks() if seen else None

    def _swapped(self) -> int | None:
        found = dict(_pairs(_text(self.root / "proc/vmstat")))
        return found["pswpin"] + found["pswpout"] if {"pswpin", "pswpout"} <= found.keys() else None

    def _throttled(self) -> int | None:
        folders = (self.root / CPU / f"cpu{cpu}/thermal_throttle" for cpu in self.cpus)
        counts = [
            int(text)
            for folder in folders
            for name in ("core_throttle_count", "package_throttle_count")
            if (text := _text(folder / name).strip()).isdigit()
        ]
        return sum(counts) if counts else None

    def _stopped(self) -> float | None:
        """Seconds for which the control group, version 2, that this process is in had used up its quota."""
        lines = _text(self.root / "proc/self/cgroup").splitlines()
        own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
        if own is None:
            return None
        stopped = dict(_pairs(_text(self.root / "sys/fs/cgroup" / own / "cpu.stat"))).get("throttled_usec")
        return None if stopped is None else stopped * 1e-6

    def _virtual(self) -> bool | None:
        """From x86's flag ``hypervisor``."""
        for line in _text(self.root / "proc/cpuinfo", 16_384).splitlines():
            if line.startswith("flags"):
                return "hypervisor" in line.split()
        return None


def _ticks() -> int:
    """Clock ticks per second in ``/proc``."""
    return os.sysconf("SC_CLK_TCK")


def _text(path: Path, most: int = -1) -> str:
    """A file's text; empty where there is none, or where it may not be read."""
    try:
        with path.open(errors="replace") as file:
            return file.read(most)
    except OSError:
        return ""


def _bytes(path: str) -> bytes:
    """As ``_text``, and three times as fast: there may be thousands of processes."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def _pairs(text: str) -> Iterator[tuple[str, int]]:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            yield name, int(value)


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
