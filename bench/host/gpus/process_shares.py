"""The driver's own samples of how much each process computes on a GPU, without those that cannot be true.

NVML API reference, nvmlDeviceGetProcessUtilization: an entry for each process that computed since a time, in
microseconds since 1970. Drivers are known to add entries of no process at all, with loads of 37,100 % or
2,147,483,632 % and times years away (Syllo/nvtop#110).
"""

from __future__ import annotations

from typing import Any

from torchduet.bench.host.nvml import FOR_GOOD, Device, failed

MICROSECONDS = 1_000_000
AHEAD = 1 * MICROSECONDS  # by which a sample's time may lie after now: clocks are read one after the other
BEHIND = 60 * MICROSECONDS  # before now, and before the samples asked for: the driver keeps some seconds


class ProcessShares:
    """Reads one GPU's samples.

    Attributes:
        seen: the time of the last sample that was read, in the driver's microseconds; only newer ones are asked for.
        unsupported: this GPU, its driver or this user cannot count its use by process.
    """

    def __init__(self, device: Device, seen: int = 0) -> None:
        self._device, self.seen = device, seen
        self.unsupported = device.is_slice

    def read(self, wall: float) -> dict[int, float] | None:
        """Process → share of the time in which it computed, in the samples since the last call; {}: no process did.

        Args:
            wall: seconds since 1970, now.

        Returns:
            None: this time it is not known.
        """
        if self.unsupported or self._device.lost:
            return None
        nvml = self._device.nvml
        try:
            samples = list(nvml.nvmlDeviceGetProcessUtilization(self._device.handle, self.seen))
        except AttributeError:  # of an older nvidia-ml-py
            self.unsupported = True
            return None
        except nvml.NVMLError as error:
            return self._after(error)
        new = [sample for sample in samples if sample.timeStamp > self.seen]
        now = round(wall * MICROSECONDS)
        true = [sample for sample in new if _is_true(sample, now)]
        if new and not true:
            return None
        self.seen = max((min(now, sample.timeStamp) for sample in true), default=self.seen)
        shares: dict[int, list[float]] = {}
        for sample in true:
            shares.setdefault(sample.pid, []).append(sample.smUtil / 100)
        return {pid: sum(each) / len(each) for pid, each in shares.items()}

    def _after(self, error: Any) -> dict[int, float] | None:
        """What an error says: that no process computed, that this time nothing is known, or never."""
        nvml = self._device.nvml
        # pynvml raises "success" where the driver has no entry. The number of entries may grow between its two calls.
        if failed(nvml, error, ("NotFound",)) or getattr(error, "value", None) == nvml.NVML_SUCCESS:
            return {}
        self.unsupported = failed(nvml, error, FOR_GOOD)
        return None


def _is_true(sample: Any, now: int) -> bool:
    """Whether a sample may be of a process."""
    loads, times = range(101), range(now - BEHIND, now + AHEAD + 1)
    return bool(sample.pid) and sample.smUtil in loads and sample.timeStamp in times
