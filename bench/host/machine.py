"""The machine's devices and what each lacks, with the reason in words; the facts for the record."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from torchduet.bench.host.compilers import no_cpu_compiler, no_triton_compiler
from torchduet.bench.host.launch.processes import Processes
from torchduet.bench.record.devices import HOST, device_index, device_kind, numbered, on_host
from torchduet.suites.cpus import cpu_quota, usable_cpus, within_quota
from torchduet.suites.workload import COMPILED

Hardware = TypeVar("Hardware")

CUDA = "cuda"
TF32_NEEDS = "TF32 needs a CUDA GPU of compute capability 8.0 or newer"
FP16_NEEDS = "fp16 with a scaled loss needs a CUDA GPU"
GRAPH_NEEDS = "CUDA graphs need a CUDA GPU"
BF16_NEEDS = "bf16 needs a CUDA GPU of compute capability 8.0 or newer"
CUDA_GRAPHS = ("reduce-overhead", "graph")  # modes
# Setting that every CUDA GPU has, or that no CPU has → what it needs.
ANY_GPU: dict[str, str] = {"fp16": FP16_NEEDS, **dict.fromkeys(CUDA_GRAPHS, GRAPH_NEEDS)}
NOT_ON_HOSTS: dict[str, str] = {"tf32": TF32_NEEDS, **ANY_GPU}
NOT_ON_ACCELERATORS: dict[str, str] = {"tf32": TF32_NEEDS}  # precision that only CUDA devices have → what it needs
NO_TRITON = "torch.compile on CUDA needs Triton and compute capability 7.0 or newer: pip install triton"


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as torch sees it. Torch calls AMD's GPUs ``cuda``, too; they have no TF32.

    Attributes:
        triton: Triton is installed and supports it.
        no_compiler: why Triton cannot build its launcher here; "" where it can.
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    triton: bool
    uuid: str = ""
    amd: bool = False
    no_compiler: str = ""

    def lacks(self) -> dict[str, str]:
        """Precision or mode that it does not have → why."""
        has = f"; this one has {self.capability[0]}.{self.capability[1]}"
        lacking = {}
        if self.amd:
            lacking["tf32"] = f"{TF32_NEEDS}; this one is AMD's"
        elif self.capability < (8, 0):
            lacking |= {"tf32": TF32_NEEDS + has, **dict.fromkeys(("bf16", "bf16-pure"), BF16_NEEDS + has)}
        not_compiled = self.no_compiler if self.triton else NO_TRITON
        return lacking | dict.fromkeys(COMPILED if not_compiled else (), not_compiled)


@dataclass(frozen=True)
class Accelerator:
    """One device that is neither the CPU nor a CUDA device, as torch sees it.

    Attributes:
        device: ``xpu:0``.
        name: its product name.
        memory_bytes: None where torch does not report it.
        lacks: (precision or mode that it does not have, why).
        survives_fork: forked workers can use it.
    """

    device: str
    name: str
    memory_bytes: int | None = None
    lacks: tuple[tuple[str, str], ...] = ()
    survives_fork: bool = True


@dataclass(frozen=True)
class Machine:
    """Facts about the machine, gathered in a worker.

    Attributes:
        no_cuda: why there is no CUDA device, "" where there is one.
        no_cpu_compiler: why torch.compile cannot work on the CPU, "" where it can.
        accelerators: the devices that are neither the CPU nor CUDA devices.
        no_accelerator: (kind of device that could be measured, why there is none).
        hip: the version of ROCm that torch was built for.
        cores: how many this process may use.
        cpu_quota: how many of these it may keep busy at once on average; None: no limit.
        measured: the devices that the run measures; none: not known.
        processes: those that were started together with this one; None: there are no others.
    """

    torch: str
    cuda: str | None
    gpus: tuple[Gpu, ...]
    no_cuda: str
    no_cpu_compiler: str
    cpu: str
    cpu_capability: str
    cores: int
    memory_bytes: int | None
    governor: str | None
    accelerators: tuple[Accelerator, ...] = ()
    no_accelerator: tuple[tuple[str, str], ...] = ()
    hip: str | None = None
    cpu_quota: float | None = None
    measured: tuple[str, ...] = ()
    processes: Processes | None = None

    def measuring(self, devices: Sequence[str]) -> Machine:
        """This machine, of which these devices are measured: the facts are about them."""
        return replace(self, measured=tuple(dict.fromkeys(map(numbered, devices))))

    def kinds(self) -> list[str]:
        """Every kind of device that could be measured, whether the machine has one or not."""
        present = [device_kind(accelerator.device) for accelerator in self.accelerators]
        return list(dict.fromkeys([HOST, CUDA, *present, *(kind for kind, _ in self.no_accelerator)]))

    def _of_kind(self, kind: str) -> Sequence[Gpu | Accelerator]:
        by_kind: dict[str, list[Gpu | Accelerator]] = {CUDA: [*self.gpus]}
        for accelerator in self.accelerators:
            by_kind.setdefault(device_kind(accelerator.device), []).append(accelerator)
        return by_kind.get(kind, [])

    def absent(self, device: str) -> str:
        """Why this machine does not have a device, and what it needs; "" where it has it."""
        if on_host(device):
            return ""
        kind = device_kind(device)
        number = len(self._of_kind(kind))
        if not number:
            why = {CUDA: self.no_cuda, **dict(self.no_accelerator)}
            return why.get(kind) or f"PyTorch finds no {kind} device here; use {', '.join(self.kinds())}"
        if device_index(device) < number:
            return ""
        return f"{device} does not exist: this machine has {number} {kind.upper()} GPU{'s' if number > 1 else ''}"

    def lacks(self, device: str) -> dict[str, str]:
        """Precision or mode that a device of this machine does not have → why."""
        if not on_host(device):
            hardware = self._of_kind(device_kind(device))[device_index(device)]
            return hardware.lacks() if isinstance(hardware, Gpu) else dict(hardware.lacks)
        return dict.fromkeys(COMPILED if self.no_cpu_compiler else (), self.no_cpu_compiler) | NOT_ON_HOSTS

    def every(self) -> list[str]:
        """Each device of the machine, with its number."""
        return [
            HOST,
            *(f"{CUDA}:{index}" for index in range(len(self.gpus))),
            *(accelerator.device for accelerator in self.accelerators),
        ]

    def processors(self, device: str) -> int:
        """How many processes can have one of their own of this kind: cores, or devices from this one on."""
        if on_host(device):
            return within_quota(self.cores, self.cpu_quota)
        return len(self._of_kind(device_kind(device))) - device_index(device)

    def devices(self) -> list[str]:
        """Devices to use by default: the first of each kind."""
        kinds = [CUDA] * bool(self.gpus) + [device_kind(accelerator.device) for accelerator in self.accelerators]
        return [HOST, *dict.fromkeys(kinds)]

    def accelerator_names(self) -> list[str]:
        """The product names of its accelerators, CUDA's included."""
        return [*(gpu.name for gpu in self.gpus), *(accelerator.name for accelerator in self.accelerators)]

    def not_after_a_fork(self) -> list[str]:
        """Kinds of devices that a forked process cannot use."""
        unfit = [accelerator for accelerator in self.accelerators if not accelerator.survives_fork]
        return list(dict.fromkeys(device_kind(accelerator.device) for accelerator in unfit))

    def uuids(self) -> dict[str, str]:
        """CUDA device, under each of its names → its UUID."""
        uuids = {f"{CUDA}:{index}": gpu.uuid for index, gpu in enumerate(self.gpus)}
        return uuids | ({CUDA: self.gpus[0].uuid} if self.gpus else {})

    def gpus_of(self, devices: Sequence[str]) -> dict[str, str]:
        """``cuda:N`` → UUID of the GPUs that are among these devices; ``cuda`` is the first."""
        uuids = self.uuids()
        return {numbered(device): uuids[device] for device in devices if device in uuids}

    def _described(self, named: Sequence[tuple[str, Hardware]]) -> list[Hardware]:
        """Of these devices and their numbers, those that are measured; the first where none is."""
        return [hardware for device, hardware in named if device in self.measured] or [
            hardware for _, hardware in named[:1]
        ]

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """The machine as it stands in the record: the GPUs that are measured, or the first where none is.

        The names and capabilities of several are joined by commas, each once; memory is that of the smallest.
        """
        gpus = self._described([(f"{CUDA}:{index}", gpu) for index, gpu in enumerate(self.gpus)])
        facts: dict[str, str | int | float | bool | None] = {
            "cpu": self.cpu,
            "cpu_capability": self.cpu_capability,
            "cores": self.cores,
            **({} if self.cpu_quota is None else {"cpu_quota": self.cpu_quota}),
            "memory_bytes": self.memory_bytes,
            "governor": self.governor,
            "gpu": _each_once(gpu.name for gpu in gpus),
            "gpus": len(self.gpus),
            "gpu_memory_bytes": min((gpu.memory_bytes for gpu in gpus), default=None),
            "gpu_capability": _each_once(f"{gpu.capability[0]}.{gpu.capability[1]}" for gpu in gpus),
            "cuda": self.cuda,
            "torch": self.torch,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
            **({} if self.processes is None else self.processes.facts()),
        }
        if self.hip:
            facts["hip"] = self.hip
        if self.accelerators:
            described = self._described([(accelerator.device, accelerator) for accelerator in self.accelerators])
            memory = [accelerator.memory_bytes for accelerator in described if accelerator.memory_bytes is not None]
            facts |= {
                "accelerator": _each_once(accelerator.name for accelerator in described),
                "accelerators": len(self.accelerators),
                "accelerator_memory_bytes": min(memory, default=None),
            }
        return facts


def _each_once(texts: Iterable[str]) -> str | None:
    return ", ".join(dict.fromkeys(texts)) or None


def probe() -> Machine:
    """Gather the facts but for :attr:`Machine.accelerators`. This initialises CUDA: it must run in a worker."""
    import torch

    gpus: list[Gpu] = []
    no_cuda = ""
    if torch.version.cuda is None and torch.version.hip is None:
        built_for = torch.accelerator.current_accelerator()
        build = "is a CPU build" if built_for is None else f"was built for {built_for.type}"
        no_cuda = f"CUDA needs a CUDA build of PyTorch; this {build}"
    elif not torch.cuda.is_available():
        no_cuda = (
            "CUDA needs an NVIDIA GPU and its driver; PyTorch finds none here (nvidia-smi shows the driver's view)"
        )
    else:
        from torch.utils._triton import has_triton

        triton, no_compiler = has_triton(), no_triton_compiler("CUDA")
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            capability = (properties.major, properties.minor)
            uuid = str(getattr(properties, "uuid", ""))
            amd = torch.version.hip is not None
            compiles = triton and (amd or capability >= (7, 0))
            gpus.append(Gpu(properties.name, capability, properties.total_memory, compiles, uuid, amd, no_compiler))
    return Machine(
        torch=torch.__version__,
        cuda=torch.version.cuda,
        gpus=tuple(gpus),
        no_cuda=no_cuda,
        no_cpu_compiler=no_cpu_compiler(),
        cpu=_cpu_name(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        cores=len(usable_cpus()),
        memory_bytes=_memory_bytes(),
        governor=_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        hip=torch.version.hip,
        cpu_quota=cpu_quota(),
    )


def _cpu_name() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def _first_line(path: str) -> str | None:
    return next(iter(_lines(path)), None)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").split("\n")
    except OSError:
        return []
