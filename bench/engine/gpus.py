"""Why GPUs lower their clocks, as NVML says; seen from the pytest process, which never initialises CUDA."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

REASONS = {  # words → bits of nvmlDeviceGetCurrentClocksEventReasons (drivers from 535 on)
    "power cap": 0x04,  # SwPowerCap
    "temperature": 0x20 | 0x40,  # SwThermalSlowdown, HwThermalSlowdown
    "power brake": 0x80,  # HwPowerBrakeSlowdown: the supply asked for it
    "hardware slowdown": 0x08,  # HwSlowdown
}


class Gpus:
    """Looks at all GPUs of the run; without NVML, or for one that it does not know, there is nothing to see.

    Args:
        uuids: of the GPUs, as CUDA names them, without the prefix ``GPU-``.
        nvml: the module ``pynvml``, or what has its interface.
    """

    def __init__(self, uuids: Sequence[str], nvml: Any = None) -> None:
        self._handles: list[Any] = []
        self.looks = 0
        self._seen: Counter[str] = Counter()
        self._nvml = nvml
        if not any(uuids):
            return
        if nvml is None:
            try:
                import pynvml
            except ModuleNotFoundError:
                return
            self._nvml = pynvml
        try:
            self._nvml.nvmlInit()
            self._handles = [self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}") for uuid in uuids if uuid]
        except self._nvml.NVMLError:  # no driver's library, no permission, or a slice of a GPU
            self._handles = []

    def look(self) -> None:
        """Note why any of them runs below its clocks just now."""
        if not self._handles:
            return
        try:
            bits = [self._nvml.nvmlDeviceGetCurrentClocksEventReasons(handle) for handle in self._handles]
        except self._nvml.NVMLError:
            self._handles = []
            return
        self.looks += 1
        self._seen.update(words for words, mask in REASONS.items() if any(one & mask for one in bits))

    def shares(self) -> dict[str, float]:
        """Reason → share of the looks since the last call at which it held; empty if there was none."""
        found = {words: count / self.looks for words, count in self._seen.most_common()} if self.looks else {}
        self.looks = 0
        self._seen.clear()
        return found
