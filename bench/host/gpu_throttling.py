"""Samples NVML's reasons for lowered GPU clocks while a family is timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torchduet.bench.host.nvml import READINGS, devices
from torchduet.bench.record.schema import CLOCK_REASONS

REASONS = {"reasons": READINGS["reasons"]}


class Gpus:
    """Samples all GPUs of the run; a GPU that NVML does not have gives no samples.

    Args:
        uuids: of the GPUs, as CUDA names them, without the prefix ``GPU-``.
        nvml: the module ``pynvml``, or what has its interface.

    Attributes:
        why: why one of them cannot be sampled, "" if all can.
        samples: how many were taken since the last call of :meth:`shares`.
    """

    def __init__(self, uuids: Sequence[str], nvml: Any = None) -> None:
        self.devices, self.why = devices(uuids, nvml)
        self.samples = 0
        self._counts: Counter[str] = Counter()

    def sample(self) -> None:
        """Count each reason for which the clocks of any GPU are lowered at this moment."""
        readings = [device.read(REASONS) for device in self.devices if device is not None]
        masks = [int(reading["reasons"]) for reading in readings if "reasons" in reading]
        if masks:
            self.samples += 1
            self._counts.update(reason for reason, bits in CLOCK_REASONS.items() if any(mask & bits for mask in masks))

    def shares(self) -> dict[str, float]:
        """Reason → share of the samples since the last call in which it held; empty if there was no sample."""
        shares = {reason: count / self.samples for reason, count in self._counts.most_common()} if self.samples else {}
        self.samples = 0
        self._counts.clear()
        return shares
