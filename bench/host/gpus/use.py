"""How much other processes use the GPUs while this run does not: a reading of each, with its processes.

NVML's utilisation counts every process: it is the evidence only while no worker of this run uses the GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from torchduet.bench.host.gpus.process_shares import MICROSECONDS, ProcessShares
from torchduet.bench.host.gpus.processes import Process, own_processes, processes
from torchduet.bench.host.nvml import READINGS, Device, Field
from torchduet.bench.record.units import size

POLL_SECONDS = 0.05
# NVML's utilisation is that of its last sample period, 1/6 s to 1 s depending on the product (NVML API reference,
# nvmlUtilization_t): what a worker did before it ended has left the reading after as long.
PERIOD = 1.0
WINDOW = 0.6  # seconds of readings after that
# Share of the time. Two processes take turns on a GPU: that share of a call's time may be another's. Chosen, not
# measured yet: 3 % is the least change that matters, and one sample of a desktop that draws a window lies below 5 %.
BUSY = 0.05
IDLE_SECONDS = 0.4  # before the first worker: a job may pause between two of its steps
MAX_NAMED = 3
COMPUTING, DRAWING, UNKNOWN = "computing", "drawing", "unknown"
HINT_SHARE = 0.5  # of a GPU's memory, that others hold without computing

UTILISATION: Mapping[str, Field] = {"utilisation": READINGS["utilisation"]}
MEMORY: Mapping[str, Field] = {
    "memory_used_bytes": READINGS["memory_used_bytes"],
    "memory_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total,
}


@dataclass(frozen=True)
class Use:
    """What other processes do with a GPU.

    Attributes:
        device: ``cuda:0``.
        name: of the product.
        busy: share of the time in which a kernel ran; None where NVML does not report it, as for a slice (MIG).
        processes: of others, those that compute first; none where NVML lists none.
        shares: process → share of the time in which it used the GPU; None where the driver does not tell.
        memory_used, memory_bytes: bytes, of all processes; None: not known.
    """

    device: str
    name: str
    busy: float | None
    processes: tuple[Process, ...] = ()
    memory_used: int | None = None
    memory_bytes: int | None = None
    shares: Mapping[int, float] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether others compute so much that times on the GPU are not those of an idle one."""
        return self.busy is not None and self.busy >= BUSY

    @property
    def by(self) -> str:
        """What keeps it busy: ``COMPUTING``, ``DRAWING``, or ``UNKNOWN``.

        A process that both computes and draws is a program with a window, or a training that shows its progress. One
        that computes beside a display may be idle: then only the driver's own counts tell which of the two it is.
        """
        jobs = [process.pid for process in self.processes if process.computes and not process.draws]
        if self.processes and not any(process.computes for process in self.processes):
            return DRAWING
        if self.shares:
            if sum(self.shares.get(pid, 0.0) for pid in jobs) >= BUSY:
                return COMPUTING
            listed = {process.pid: process for process in self.processes}
            users = [listed.get(pid) for pid, share in self.shares.items() if share >= BUSY]
            none_computes = all(user is not None and not user.computes for user in users)
            return DRAWING if none_computes and any(process.draws for process in self.processes) else UNKNOWN
        return COMPUTING if jobs and len(jobs) == len(self.processes) else UNKNOWN

    @property
    def full(self) -> bool:
        """Whether others hold most of its memory."""
        return bool(self.memory_bytes) and (self.memory_used or 0) >= HINT_SHARE * (self.memory_bytes or 0)

    def words(self) -> str:
        """``cuda:0 (NVIDIA H200) is 83 % busy with other processes: python (pid 4242, 20 GiB)``."""
        listed = self.listed()
        share = f"{100 * (self.busy or 0.0):.0f} %"
        return f"{self.titled()} is {share} busy with other processes{f': {listed}' if listed else ''}"

    def titled(self) -> str:
        """``cuda:0 (NVIDIA H200)``."""
        return f"{self.device} ({self.name})" if self.name else self.device

    def listed(self) -> str:
        """The processes in words: those that use it, else those that compute, else all; empty where none is known."""
        computing = [process for process in self.processes if process.computes] or list(self.processes)
        if self.is_busy and self.shares:
            computing = [one for one in self.processes if self.shares.get(one.pid, 0.0) >= BUSY] or computing
        words = [_words(process) for process in computing[:MAX_NAMED]]
        more = len(computing) - MAX_NAMED
        return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def _words(process: Process) -> str:
    memory = "" if process.memory_bytes is None else f", {size(process.memory_bytes)}"
    return f"{process.name or 'a process'} (pid {process.pid}{memory})"


def busy_shares(
    devices: Mapping[str, Device | None],
    idle_seconds: float = 0.0,
    now: Callable[[], float] = monotonic,
    wait: Callable[[float], object] = sleep,
) -> dict[str, float]:
    """Device → share of the time in which others keep it busy; read while no worker of this run uses it.

    It ends as soon as every GPU was idle for long enough, at the latest after ``PERIOD`` and ``WINDOW``. A GPU whose
    load cannot be read is left out.

    Args:
        idle_seconds: for which all readings of an idle GPU are below ``BUSY``; 0: the first such reading is enough.
    """
    begun = now()
    readable = {name: device for name, device in devices.items() if device is not None}
    shares: dict[str, float] = {}
    idle_from: dict[str, float] = {}
    late: dict[str, list[float]] = {name: [] for name in readable}
    while True:
        at = now() - begun
        for name, device in list(readable.items()):
            value = device.read(UTILISATION).get("utilisation")
            if value is None:
                if device.lost or "utilisation" in device.missing:
                    del readable[name]
                continue
            share = float(value) / 100
            if at >= PERIOD:
                late[name].append(share)
            if share >= BUSY:
                idle_from.pop(name, None)
            elif at - idle_from.setdefault(name, at) >= idle_seconds:
                shares[name] = share
                del readable[name]
        if not readable or at >= PERIOD + WINDOW:
            break
        wait(POLL_SECONDS)
    return shares | {name: sum(late[name]) / len(late[name]) for name in readable if late[name]}


def uses(
    devices: Mapping[str, Device | None],
    names: Mapping[str, str],
    now: Callable[[], float] = monotonic,
    wait: Callable[[float], object] = sleep,
    wall: Callable[[], float] = time.time,
) -> list[Use]:
    """What others do with each GPU that NVML has.

    Args:
        names: device → its product's name.
        wall: seconds since 1970.
    """
    began = wall()
    shares = busy_shares(devices, IDLE_SECONDS, now, wait)
    own = own_processes()
    found = []
    for device, handle in devices.items():
        if handle is None:
            continue
        memory = handle.read(MEMORY)
        used, total = (int(memory[key]) if key in memory else None for key in MEMORY)
        theirs = tuple(process for process in processes(handle) if process.pid not in own)
        by_process = None
        if shares.get(device, 0.0) >= BUSY:
            by_process = ProcessShares(handle, round(began * MICROSECONDS)).read(wall())
        found.append(Use(device, names.get(device, ""), shares.get(device), theirs, used, total, by_process))
    return found


def busy(found: Sequence[Use]) -> list[Use]:
    """Those that others keep busy."""
    return [use for use in found if use.is_busy]
