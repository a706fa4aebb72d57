"""How much other processes compute on the run's GPUs: while a family is timed, by process; else of the whole GPU.

The use by each process is known only where the driver counts it (not for slices, not in WSL, not of MPS' clients, which
it books to their server) and where NVML's process numbers are those that this process sees (not in a container with a
namespace of its own).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep

from torchduet.bench.host.gpus.mps import uses_mps
from torchduet.bench.host.gpus.process_shares import MICROSECONDS, ProcessShares
from torchduet.bench.host.gpus.processes import comparable, own_processes
from torchduet.bench.host.gpus.use import PERIOD, busy_shares
from torchduet.bench.host.nvml import Device

INTERVAL = 0.5  # seconds between two samples: a sample of the driver covers up to a second


class _Gpu:
    """One GPU's samples.

    Attributes:
        shares: of each sample, the share of the time in which processes of others computed.
        together: its processes are not told apart now.
        since: seconds of the clock, from which on the next sample counts.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.by_process = ProcessShares(device)
        self.shares: list[float] = []
        self.together = False
        self.since = 0.0


class OtherProcesses:
    """How much processes that are not this run's compute on its GPUs, sampled between :meth:`begin` and :meth:`shares`.

    Args:
        devices: ``cuda:0`` → NVML's device; None where NVML does not have it.
        own: the numbers of this run's processes.
        now: seconds of a clock.
        wait: sleeps for some seconds.
        wall: seconds since 1970, the clock of the driver's samples.
    """

    def __init__(
        self,
        devices: Mapping[str, Device | None],
        own: Callable[[], set[int]] = own_processes,
        now: Callable[[], float] = monotonic,
        wait: Callable[[float], object] = sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._devices = devices
        known = comparable()
        self._gpus = {name: _Gpu(device) for name, device in devices.items() if device is not None and known}
        self._own, self._now, self._wait, self._wall = own, now, wait, wall
        self._ours: set[int] = set()  # ever since the run began: a driver has samples of processes that have ended
        self._theirs: set[int] = set()
        self._due = math.inf

    def busy(self, devices: Sequence[str]) -> dict[str, float]:
        """GPU → share of the time in which others keep it busy now, while no worker of this run uses it."""
        return busy_shares({name: self._devices.get(name) for name in devices}, now=self._now, wait=self._wait)

    def begin(self) -> None:
        """Begin anew: no sample counts that covers what was before, as of a worker that has ended since."""
        self._theirs.clear()
        clean = self._now() + PERIOD
        self._due = clean + INTERVAL
        for gpu in self._gpus.values():
            gpu.shares.clear()
            gpu.since = clean
            gpu.together = uses_mps(gpu.device)
            # A sample covers up to PERIOD before its time: this one does not reach back to now.
            gpu.by_process.seen = round((self._wall() + PERIOD) * MICROSECONDS)

    def sample(self) -> None:
        """Sample each GPU, if a sample is due; called while a worker times."""
        if not self._gpus or self._now() < self._due:
            return
        at = self._now()
        self._due = at + INTERVAL
        for gpu in self._gpus.values():
            by_process = None if gpu.together else gpu.by_process.read(self._wall())
            # No entry within less than a sample's period: the driver may not have taken one yet.
            if by_process or (by_process is not None and at - gpu.since >= PERIOD):
                gpu.since = at
                gpu.shares.append(min(1.0, sum(share for pid, share in by_process.items() if self._is_other(pid))))

    def _is_other(self, pid: int) -> bool:
        """Whether a process is not this run's; a worker may have started processes since the last look."""
        if pid not in self._ours and pid not in self._theirs:
            self._ours |= self._own()
            self._theirs |= {pid} - self._ours
        return pid in self._theirs

    def shares(self) -> dict[str, float]:
        """GPU → share of the time in which others computed since :meth:`begin`; without those that are not known."""
        return {name: sum(gpu.shares) / len(gpu.shares) for name, gpu in self._gpus.items() if gpu.shares}
