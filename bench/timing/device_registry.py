"""The registry of devices: finds the class of a device name, and the machine's devices beside the CPU.

An installed package registers another kind of device, as for PyTorch's own backends::

    [project.entry-points."torchduet.devices"]
    npu = "my_package.device:NpuDevice"      # a subclass of torchduet.bench.timing.device.Device

so that every process of a run finds it: pytest's own, the fork server and the workers. A kind that no package registers
is measured through ``torch.accelerator``, if the installed PyTorch supports it.
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
        LookupError: there is no class for this kind of device.
    """
    kind = device_kind(name)
    device = BUILT_IN.get(kind) or _registered().get(kind)
    if device is None:
        raise LookupError(f"{name}: PyTorch has no {kind} device here, and no package registers one in {GROUP!r}")
    return device(name)


def kinds() -> Mapping[str, type[Device]]:
    """Every kind of device that can be measured if the machine has one → its class."""
    return {**BUILT_IN, **_registered()}


@functools.cache
def _registered() -> Mapping[str, type[Device]]:
    """The kinds that installed packages register, and PyTorch's own accelerator."""
    registered = {entry.name: entry.load() for entry in entry_points(group=GROUP)}
    current = torch.accelerator.current_accelerator()
    return registered if current is None else {current.type: AcceleratorDevice} | registered


def accelerators() -> tuple[tuple[Accelerator, ...], tuple[tuple[str, str], ...]]:
    """The devices beside the CPU and CUDA's GPUs, and (kind, why there is none) for each kind without one.

    It may initialise drivers: where PyTorch has an accelerator, it must run in a worker.
    """
    classes = kinds()
    detected = {kind: devices for kind, device in classes.items() if (devices := device.detect(kind)) is not None}
    missing = tuple((kind, classes[kind].why_none(kind)) for kind, devices in detected.items() if not devices)
    return tuple(accelerator for devices in detected.values() for accelerator in devices), missing
