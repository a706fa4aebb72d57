"""The machine's own counters while something is timed: load by others, steal, clocks, throttling, swapping.

They are read from Linux' ``/proc`` and ``/sys`` (proc(5), the kernel's admin-guide on cpufreq, thermal and cgroup-v2).
A counter that the system does not have is None. What the counters mean for noise is left to ``noise``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from torchduet.bench.record.telemetry import Telemetry
from torchduet.suites.cpus import cpu_quota, usable_cpus

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

CPU = "sys/devices/system/cpu"
MAX_CLOCKS = 16  # cores whose clock is read: reading one may take a fraction of a millisecond
COUNTS_CONTEXT_SWITCHES = resource is not None

if resource is not None:
    _getrusage, _SELF = resource.getrusage, resource.RUSAGE_SELF

    def context_switches() -> int:
        """Involuntary context switches of this process so far, those of all its threads together.

        getrusage(2), ``ru_nivcsw``: a thread that was ready to run had to leave its core to another one.
        """
        return _getrusage(_SELF).ru_nivcsw

else:

    def context_switches() -> int:
        """Always 0: this system does not count them."""
        return 0


@dataclass(frozen=True)
class Reading:
    """The counters at one moment; None: the system does not have the counter.

    Attributes:
        at: seconds of the monotonic clock.
        busy, steal, total: seconds since the machine started, summed over the cores that this process may use: busy,
            kept back by the hypervisor while something was ready to run, and in all.
        own: seconds of CPU time of this process' session.
        swapped: pages read from and written to swap.
        heat_throttled: how often a core or its package was slowed down for its temperature.
        quota_throttled: seconds for which the container was throttled, as its quota of CPU time was used up.
    """

    at: float
    busy: float | None = None
    steal: float | None = None
    total: float | None = None
    own: float | None = None
    swapped: int | None = None
    heat_throttled: int | None = None
    quota_throttled: float | None = None


class Gauge:
    """Reads the counters at its start and its end, and the clocks in between.

    Args:
        root: the file system's root; another folder in tests.
        cpus: the cores that count (default: those that this process may use).
        sessions: of the processes whose CPU time is not that of others (default: this process' session).
    """

    def __init__(
        self, root: Path = Path("/"), cpus: Iterable[int] | None = None, sessions: Iterable[int] | None = None
    ) -> None:
        self.root = root
        own = [os.getsid(0)] if sessions is None and hasattr(os, "getsid") else sessions
        self._sessions = {str(session).encode() for session in own or ()}
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
            at=monotonic(),
            busy=busy,
            steal=steal,
            total=total,
            own=self._own(),
            swapped=self._swapped(),
            heat_throttled=self._heat_throttled(),
            quota_throttled=self._quota_throttled(),
        )

    def sample(self) -> None:
        """Read the clocks; costs nothing where the system does not show them."""
        kilohertz = [int(text) for path in self._clock_files if (text := _text(path).strip()).isdigit()]
        if kilohertz:
            self._clocks.append(max(kilohertz) * 1e3)

    def finish(self) -> Telemetry:
        """What the counters say of the time since this gauge was created."""
        before, after = self._before, self.read()
        seconds = max(after.at - before.at, 1e-9)
        busy, own = _since(before.busy, after.busy), _since(before.own, after.own)
        steal, total = _since(before.steal, after.steal), _since(before.total, after.total)
        throttled = _since(before.quota_throttled, after.quota_throttled)
        governors = {_text(self.root / CPU / f"cpu{cpu}/cpufreq/scaling_governor").strip() for cpu in self.cpus[:1]}
        return Telemetry(
            seconds=seconds,
            others=None if busy is None or own is None else max(0.0, busy - own) / seconds,
            steal=None if steal is None or not total else steal / total,
            stopped=None if throttled is None else min(1.0, throttled / seconds),
            quota=cpu_quota(self.root),
            swapped=_integer(_since(before.swapped, after.swapped)),
            throttled=_integer(_since(before.heat_throttled, after.heat_throttled)),
            slowest=min(self._clocks, default=None),
            fastest=max(self._clocks, default=None),
            governor=next(iter(governors), None) or None,
            virtual=self._virtual(),
        )

    def _cores(self) -> tuple[float | None, float | None, float | None]:
        """(busy, steal, total) seconds, from the lines ``cpuN user nice system idle iowait irq softirq steal``."""
        wanted = {f"cpu{cpu}" for cpu in self.cpus}
        busy = steal = total = 0
        known = False
        for line in _text(self.root / "proc/stat").splitlines():
            if not line.startswith("cpu"):
                break
            name, *fields = line.split()[:9]
            if name in wanted and len(fields) == 8:
                user, nice, system, idle, iowait, irq, softirq, stolen = map(int, fields)
                running = user + nice + system + irq + softirq
                busy, steal, total = busy + running, steal + stolen, total + running + idle + iowait + stolen
                known = True
        return (busy / _ticks(), steal / _ticks(), total / _ticks()) if known else (None, None, None)

    def _own(self) -> float | None:
        """CPU seconds of the session's processes and of their children that have ended.

        A worker leads a session of its own; the processes that its workload starts belong to it.
        """
        if not self._sessions:
            return None
        spent, known = 0, False
        try:
            numbers = [name for name in os.listdir(self.root / "proc") if name.isdigit()]  # noqa: PTH208 - a third
        except OSError:
            return None
        folder = f"{self.root}/proc"
        for number in numbers:
            fields = _bytes(f"{folder}/{number}/stat").rpartition(b")")[2].split()  # a process' name may hold any text
            if len(fields) > 14 and fields[3] in self._sessions:
                spent += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
                known = True
        return spent / _ticks() if known else None

    def _swapped(self) -> int | None:
        counts = dict(_pairs(_text(self.root / "proc/vmstat")))
        return counts["pswpin"] + counts["pswpout"] if {"pswpin", "pswpout"} <= counts.keys() else None

    def _heat_throttled(self) -> int | None:
        folders = (self.root / CPU / f"cpu{cpu}/thermal_throttle" for cpu in self.cpus)
        counts = [
            int(text)
            for folder in folders
            for name in ("core_throttle_count", "package_throttle_count")
            if (text := _text(folder / name).strip()).isdigit()
        ]
        return sum(counts) if counts else None

    def _quota_throttled(self) -> float | None:
        """Seconds for which this process' control group, version 2, was throttled: its quota was used up."""
        lines = _text(self.root / "proc/self/cgroup").splitlines()
        own = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
        if own is None:
            return None
        microseconds = dict(_pairs(_text(self.root / "sys/fs/cgroup" / own / "cpu.stat"))).get("throttled_usec")
        return None if microseconds is None else microseconds * 1e-6

    def _virtual(self) -> bool | None:
        """Whether this is a virtual machine, from x86's flag ``hypervisor``."""
        for line in _text(self.root / "proc/cpuinfo", 16_384).splitlines():
            if line.startswith("flags"):
                return "hypervisor" in line.split()
        return None


def _ticks() -> int:
    """Clock ticks per second in ``/proc``."""
    return os.sysconf("SC_CLK_TCK")


def _text(path: Path, max_characters: int = -1) -> str:
    """A file's text; empty where the file does not exist or may not be read."""
    try:
        with path.open(errors="replace") as file:
            return file.read(max_characters)
    except OSError:
        return ""


def _bytes(path: str) -> bytes:
    """A file's bytes; three times as fast as ``_text``, as there may be thousands of processes."""
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


def _integer(value: float | None) -> int | None:
    return None if value is None else int(value)


def busy_cores(seconds: float, stat: Path = Path("/proc/stat"), cpus: Collection[int] | None = None) -> float | None:
    """How many of this process' cores other processes keep busy, measured while this one sleeps for ``seconds``.

    Args:
        cpus: the numbers of these cores (default: all that this process may use).

    Returns:
        None where the system does not report it.
    """
    wanted = {f"cpu{cpu}" for cpu in (usable_cpus() if cpus is None else cpus)}

    def ticks() -> tuple[int, int] | None:
        """(idle, total) ticks of these cores so far, from lines ``cpuN user nice system idle iowait …``."""
        try:
            lines = [line.split() for line in stat.read_text().splitlines()]
            fields = [[int(value) for value in line[1:9]] for line in lines if line and line[0] in wanted]
            return sum(values[3] + values[4] for values in fields), sum(map(sum, fields))
        except (OSError, ValueError, IndexError):
            return None

    before = ticks()
    sleep(seconds)
    after = ticks()
    if before is None or after is None or after[1] == before[1]:
        return None
    return len(wanted) * (1 - (after[0] - before[0]) / (after[1] - before[1]))
