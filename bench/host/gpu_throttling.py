"""Why GPUs lower their clocks, as NVML says, looked at while a family is timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torchduet.bench.host.nvml import READINGS, devices
from torchduet.bench.record.schema import CLOCK_REASONS

LOOK = {"reasons": READINGS["reasons"]}


class Gpus:
    """Looks at all GPUs of the run; without NVML, or for one that it does not know, there is nothing to see.

    Args:
        uuids: of the GPUs, as CUDA names them, without the prefix ``GPU-``.
        nvml: the module ``pynvml``, or what has its interface.

    Attributes:
        why: why one of them cannot be seen, "" if all can.
    """

    def __init__(self, uuids: Sequence[str], nvml: Any = None) -> None:
        self.devices, self.why = devices(uuids, nvml)
        self.looks = 0
        self._seen: Counter[str] = Counter()

    def look(self) -> None:
        """Note why any of them runs below its clocks just now."""
        readings = [device.read(LOOK) for device in self.devices if device is not None]
        bits = [int(one["reasons"]) for one in readings if "reasons" in one]
        if bits:
            self.looks += 1
            self._seen.update(words for words, mask in CLOCK_REASONS.items() if any(one & mask for one in bits))

    def shares(self) -> dict[str, float]:
        """Reason → share of the looks since the last call at which it held; empty if there was none."""
        found = {words: count / self.looks for words, count in self._seen.most_common()} if self.looks else {}
        self.looks = 0
        self._seen.clear()
        return found
