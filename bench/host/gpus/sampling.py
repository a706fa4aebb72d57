"""How much other processes compute on the run's GPUs: while a family is timed, by process; else of the whole GPU.

The use by each process is known only where the driver counts it (not for slices, not in WSL) and where NVML's process
numbers are those that this process sees (not in a container with a namespace of its own).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any

from torchduet.bench.host.gpus.processes import comparable, own_processes
from torchduet.bench.host.gpus.use import PERIOD, busy_shares
from torchduet.bench.host.nvml import Device

INTERVAL = 0.5  # seconds between two samples: a sample of the driver covers up to a second
MICROSECONDS = 1_000_000


class _Gpu:
    """One GPU's samples.

    Attributes:
        seen: the time of the driver's last sample, in its own microseconds.
        shares: of each sample, the share of the time in which processes of others computed.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.seen = 0
        self.shares: list[float] = []
        self.unsupported = device.is_slice

    def samples(self) -> list[Any]:
        """The driver's samples since the last call; none where no process computed."""
        if self.unsupported or self.device.lost:
            return []
        nvml = self.device.nvml
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(self.device.handle, self.seen)
        except nvml.NVMLError as error:
            # Not found: no process computed. Any other error: this GPU, its driver or this user cannot count it.
            self.unsupported = not isinstance(error, nvml.NVMLError_NotFound)
            return []
        new = [sample for sample in samples if sample.timeStamp > self.seen]
        self.seen = max((sample.timeStamp for sample in new), default=self.seen)
        return new


class OtherProcesses:
    """How much processes that are not this run's compute on its GPUs, sampled between :meth:`begin` and :meth:`shares`.

    Args:
        devices: ``cuda:0`` → NVML's device; None where NVML does not have it.
        own: the numbers of this run's processes.
        now: seconds of a clock.
        wait: sleeps for some seconds.
    """

    def __init__(
        self,
        devices: Mapping[str, Device | None],
        own: Callable[[], set[int]] = own_processes,
        now: Callable[[], float] = monotonic,
        wait: Callable[[float], object] = sleep,
    ) -> None:
        self._devices = devices
        known = comparable()
        self._gpus = {name: _Gpu(device) for name, device in devices.items() if device is not None and known}
        self._own, self._now, self._wait = own, now, wait
        self._ours: set[int] = set()
        self._theirs: set[int] = set()
        self._due = math.inf

    def busy(self, devices: Sequence[str]) -> dict[str, float]:
        """GPU → share of the time in which others keep it busy now, while no worker of this run uses it."""
        return busy_shares({name: self._devices.get(name) for name in devices}, now=self._now, wait=self._wait)

    def begin(self) -> None:
        """Forget what was sampled before: it may be of a worker that has ended since."""
        self._ours.clear()
        self._theirs.clear()
        self._due = self._now() + PERIOD  # the driver's next samples still cover what was before
        for gpu in self._gpus.values():
            gpu.shares.clear()
            gpu.samples()

    def sample(self) -> None:
        """Sample each GPU, if a sample is due; called while a worker times."""
        if not self._gpus or self._now() < self._due:
            return
        self._due = self._now() + INTERVAL
        for gpu in self._gpus.values():
            by_process: dict[int, list[float]] = {}
            for sample in gpu.samples():
                by_process.setdefault(sample.pid, []).append(sample.smUtil / 100)
            if not gpu.unsupported:
                others = [sum(shares) / len(shares) for pid, shares in by_process.items() if self._is_other(pid)]
                gpu.shares.append(min(1.0, sum(others)))

    def _is_other(self, pid: int) -> bool:
        """Whether a process is not this run's; a worker may have started processes since the last look."""
        if pid not in self._ours and pid not in self._theirs:
            self._ours |= self._own()
            self._theirs |= {pid} - self._ours
        return pid in self._theirs

    def shares(self) -> dict[str, float]:
        """GPU → share of the time in which others computed since :meth:`begin`; without those that are not known."""
        return {name: sum(gpu.shares) / len(gpu.shares) for name, gpu in self._gpus.items() if gpu.shares}
