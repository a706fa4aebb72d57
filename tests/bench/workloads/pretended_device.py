"""A kind of device from elsewhere, as a package registers one; its tensors lie in the host's memory."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from torchduet.bench.host.machine import Accelerator
from torchduet.bench.timing.clock import Block, Clock, SynchronizedClock
from torchduet.bench.timing.device import Device

LACKS = (("fp16", "this one has no fp16"), ("tf32", "this one has no TF32"), ("graph", "it has no graphs"))


class PretendedDevice(Device):
    """Two devices that compute on the CPU."""

    has_float64 = True
    waited = 0

    @classmethod
    def detect(cls, kind: str) -> Sequence[Accelerator]:
        """Both."""
        return tuple(Accelerator(f"{kind}:{index}", f"Pretended {index}", 2**30, LACKS) for index in range(2))

    @property
    def torch_device(self) -> torch.device:
        """Where its tensors are made."""
        return torch.device("cpu")

    def clock(self) -> Clock:
        """The wall clock."""
        return SynchronizedClock(self.synchronize, self.torch_device, lambda: 2**20)

    def synchronize(self) -> None:
        """Count how often it is waited for."""
        self.waited += 1


class DelayingClock(SynchronizedClock):
    """A clock that pretends that the device waits while its work is launched, and that this takes half of a call."""

    def behind_delay(
        self, call: Callable[..., Any], args: Sequence[Any], calls: int, launch_seconds: float
    ) -> Block | None:
        """Half of the time of a block; None where launching takes longer than such a device can be kept waiting."""
        block = self.block(call, args, calls)
        launched = calls * launch_seconds < 2e-3
        return Block(block.seconds / 2, block.host, block.wall) if launched else None


class DelayingDevice(PretendedDevice):
    """Two devices whose work can be told from its launches."""

    def clock(self) -> Clock:
        """The wall clock, and one for the device's work."""
        return DelayingClock(self.synchronize, self.torch_device, lambda: 2**20)
