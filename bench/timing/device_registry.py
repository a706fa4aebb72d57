"""Which class a device's name belongs to, and what devices beside the CPU this machine has.

A kind of device from elsewhere is registered by an installed package, as PyTorch's own backends are::

    [project.entry-points."torchduet.devices"]
    npu = "my_package.device:NpuDevice"      # a subclass of torchduet.bench.timing.device.Device

so that it is known in every process of a run: pytest's own, the fork server and the workers. A kind that nothing is
registered for is measured by what ``torch.accelerator`` offers, if it is that of the PyTorch installed here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import entry_points

import torch

from torchduet.bench.host.machine import Accelerator
from torchduet.bench.record.devices import HOST, device_kind
from torchduet.bench.timing.device import CpuDevice, Device
from torchduet.bench.timing.device_accelerator import AcceleratorDevice, MpsDevice, XpuDevice
from torchduet.bench.timing.device_cuda import CudaDevice

GROUP = "torchduet.devices"
BUILT_IN: Mapping[str, type[Device]] = {HOST: CpuDevice, "cuda": CudaDevice, "xpu": XpuDevice, "mps": MpsDevice}


@functools.cache
def device_of(name: str) -> Device:
    """The device of a name such as ``cpu``, ``cuda`` or ``xpu:1``; the same object each time.

    Raises:
        LookupError: nothing is known of devices of this kind.
    """
    kind = device_kind(name)
    found = BUILT_IN.get(kind) or _from_elsewhere().get(kind)
    if found is None:
        raise LookupError(f"{name}: PyTorch has no {kind} device here, and no package registers one in {GROUP!r}")
    return found(name)


def kinds() -> Mapping[str, type[Device]]:
    """Every kind of device that can be measured here if the machine has one → its class."""
    return {**BUILT_IN, **_from_elsewhere()}


@functools.cache
def _from_elsewhere() -> Mapping[str, type[Device]]:
    """The kinds that installed packages register, and PyTorch's own accelerator."""
    registered = {one.name: one.load() for one in entry_points(group=GROUP)}
    current = torch.accelerator.current_accelerator()
    return registered if current is None else {current.type: AcceleratorDevice} | registered


def accelerators() -> tuple[tuple[Accelerator, ...], tuple[tuple[str, str], ...]]:
    """The devices beside the CPU and CUDA's GPUs, and (kind, why there is none) for each kind without one.

    May initialise drivers, so that it must run in a worker where PyTorch has an accelerator.
    """
    known = kinds()
    found = {kind: here for kind, device in known.items() if (here := device.found(kind)) is not None}
    missing = tuple((kind, known[kind].why_none(kind)) for kind, here in found.items() if not here)
    return tuple(one for here in found.values() for one in here), missing
