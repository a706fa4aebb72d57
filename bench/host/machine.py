"""What the machine has, and in words what it has not: facts for the record, and for what can run on it."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.record.devices import HOST, device_index, device_kind, numbered, on_host
from torchduet.suites.cpus import cpu_quota, usable_cpus
from torchduet.suites.workload import COMPILED

CUDA = "cuda"
TF32_NEEDS = "TF32 needs a CUDA GPU of compute capability 8.0 or newer"
FP16_NEEDS = "fp16 with a scaled loss needs a CUDA GPU"
GRAPH_NEEDS = "CUDA graphs need a CUDA GPU"
BF16_NEEDS = "bf16 needs a CUDA GPU of compute capability 8.0 or newer"
CUDA_GRAPHS = ("reduce-overhead", "graph")  # modes
# Setting that every one of CUDA's GPUs has, or that no host's processor has → what it needs.
ANY_GPU: dict[str, str] = {"fp16": FP16_NEEDS, **dict.fromkeys(CUDA_GRAPHS, GRAPH_NEEDS)}
NOT_ON_HOSTS: dict[str, str] = {"tf32": TF32_NEEDS, **ANY_GPU}
NOT_ON_ACCELERATORS: dict[str, str] = {"tf32": TF32_NEEDS}  # precision that only CUDA devices have → what it needs
NO_TRITON = "torch.compile on CUDA needs Triton and compute capability 7.0 or newer: pip install triton"


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as torch sees it; AMD's, for which torch's name is ``cuda``, too, have no TF32."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    triton: bool
    uuid: str = ""
    amd: bool = False

    def lacks(self) -> dict[str, str]:
        """Precision or mode that it does not have → why."""
        found = f"; this one has {self.capability[0]}.{self.capability[1]}"
        lacking = {}
        if self.amd:
            lacking["tf32"] = f"{TF32_NEEDS}; this one is AMD's"
        elif self.capability < (8, 0):
            lacking |= {"tf32": TF32_NEEDS + found, "bf16": BF16_NEEDS + found}
        return lacking if self.triton else lacking | dict.fromkeys(COMPILED, NO_TRITON)


@dataclass(frozen=True)
class Accelerator:
    """One device that is neither the CPU nor one of CUDA's, as torch sees it.

    Attributes:
        device: ``xpu:0``.
        name: what its maker calls it.
        memory_bytes: None where torch does not say.
        lacks: (precision or mode that it does not have, why).
        survives_fork: workers that are forked can use it.
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
        accelerators: the devices that are neither the CPU nor CUDA's.
        no_accelerator: (kind of device that could be measured, why there is none).
        hip: the version of ROCm that torch was built for.
        cores: those that this process may use.
        cpu_quota: how many of these it may keep busy at once on average; None: as many as it likes.
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

    def kinds(self) -> list[str]:
        """Every kind of device that could be measured, whether the machine has one or not."""
        here = [device_kind(one.device) for one in self.accelerators]
        return list(dict.fromkeys([HOST, CUDA, *here, *(kind for kind, _ in self.no_accelerator)]))

    def _of_kind(self, kind: str) -> Sequence[Gpu | Accelerator]:
        by_kind: dict[str, list[Gpu | Accelerator]] = {CUDA: [*self.gpus]}
        for one in self.accelerators:
            by_kind.setdefault(device_kind(one.device), []).append(one)
        return by_kind.get(kind, [])

    def absent(self, device: str) -> str:
        """Why this machine does not have a device, and what it takes; "" where it has it."""
        if on_host(device):
            return ""
        kind = device_kind(device)
        number = len(self._of_kind(kind))
        if not number:
            why = {CUDA: self.no_cuda, **dict(self.no_accelerator)}
            return why.get(kind) or f"PyTorch finds no {kind} device here; use {', '.join(self.kinds())}"
        if device_index(device) < number:
            return ""
        return f"{device} does not exist: this machine has {number} {kind.upper()} GPU(s)"

    def lacks(self, device: str) -> dict[str, str]:
        """Precision or mode that a device, which this machine has, does not have → why."""
        if not on_host(device):
            one = self._of_kind(device_kind(device))[device_index(device)]
            return one.lacks() if isinstance(one, Gpu) else dict(one.lacks)
        return dict.fromkeys(COMPILED if self.no_cpu_compiler else (), self.no_cpu_compiler) | NOT_ON_HOSTS

    def every(self) -> list[str]:
        """Each device that it has, by number."""
        return [
            HOST,
            *(f"{CUDA}:{index}" for index in range(len(self.gpus))),
            *(one.device for one in self.accelerators),
        ]

    def devices(self) -> list[str]:
        """Devices to use when none is asked for: the first of each kind."""
        kinds = [CUDA] * bool(self.gpus) + [device_kind(one.device) for one in self.accelerators]
        return [HOST, *dict.fromkeys(kinds)]

    def accelerator_names(self) -> list[str]:
        """What the makers of its accelerators, CUDA's among them, call them."""
        return [*(gpu.name for gpu in self.gpus), *(one.name for one in self.accelerators)]

    def not_after_a_fork(self) -> list[str]:
        """Kinds of devices that a forked process cannot use."""
        return list(dict.fromkeys(device_kind(one.device) for one in self.accelerators if not one.survives_fork))

    def uuids(self) -> dict[str, str]:
        """CUDA device, under each of its names → its UUID."""
        found = {f"{CUDA}:{index}": gpu.uuid for index, gpu in enumerate(self.gpus)}
        return found | ({CUDA: self.gpus[0].uuid} if self.gpus else {})

    def gpus_of(self, devices: Sequence[str]) -> dict[str, str]:
        """``cuda:N`` → UUID of the GPUs that are among these devices; ``cuda`` is the first."""
        uuids = self.uuids()
        return {numbered(device): uuids[device] for device in devices if device in uuids}

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """The machine as it stands in the record."""
        gpu = self.gpus[0] if self.gpus else None
        found: dict[str, str | int | float | bool | None] = {
            "cpu": self.cpu,
            "cpu_capability": self.cpu_capability,
            "cores": self.cores,
            **({} if self.cpu_quota is None else {"cpu_quota": self.cpu_quota}),
            "memory_bytes": self.memory_bytes,
            "governor": self.governor,
            "gpu": gpu.name if gpu else None,
            "gpus": len(self.gpus),
            "gpu_memory_bytes": gpu.memory_bytes if gpu else None,
            "gpu_capability": f"{gpu.capability[0]}.{gpu.capability[1]}" if gpu else None,
            "cuda": self.cuda,
            "torch": self.torch,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
        }
        if self.hip:
            found["hip"] = self.hip
        if self.accelerators:
            found |= {
                "accelerator": self.accelerators[0].name,
                "accelerators": len(self.accelerators),
                "accelerator_memory_bytes": self.accelerators[0].memory_bytes,
            }
        return found


def busy_cores(seconds: float, stat: Path = Path("/proc/stat"), cpus: Collection[int] | None = None) -> float | None:
    """How many of the cores that this process may use others keep busy during ``seconds``, which it sleeps.

    Args:
        cpus: the numbers of these cores; by default all that this process may use.

    Returns:
        None where it is not known.
    """
    wanted = {f"cpu{cpu}" for cpu in (usable_cpus() if cpus is None else cpus)}

    def ticks() -> tuple[int, int] | None:
        """(idle, altogether) of these cores so far, from lines ``cpuN user nice system idle iowait …``."""
        try:
            lines = [line.split() for line in stat.read_text().splitlines()]
            fields = [[int(value) for value in line[1:9]] for line in lines if line and line[0] in wanted]
            return sum(one[3] + one[4] for one in fields), sum(map(sum, fields))
        except (OSError, ValueError, IndexError):
            return None

    before = ticks()
    time.sleep(seconds)
    after = ticks()
    if before is None or after is None or after[1] == before[1]:
        return None
    return len(wanted) * (1 - (after[0] - before[0]) / (after[1] - before[1]))


def probe() -> Machine:
    """Gather the facts, without :attr:`Machine.accelerators`. Initialises CUDA, so it must run in a worker."""
    import torch

    gpus: list[Gpu] = []
    no_cuda = ""
    if torch.version.cuda is None and torch.version.hip is None:
        built_for = torch.accelerator.current_accelerator()
        this_one = "is a CPU build" if built_for is None else f"was built for {built_for.type}"
        no_cuda = f"CUDA needs a CUDA build of PyTorch; this {this_one}"
    elif not torch.cuda.is_available():
        no_cuda = (
            "CUDA needs an NVIDIA GPU and its driver; PyTorch finds none here (nvidia-smi shows the driver's view)"
        )
    else:
        from torch.utils._triton import has_triton

        triton = has_triton()
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            capability = (properties.major, properties.minor)
            uuid = str(getattr(properties, "uuid", ""))
            amd = torch.version.hip is not None
            compiles = triton and (amd or capability >= (7, 0))
            gpus.append(Gpu(properties.name, capability, properties.total_memory, compiles, uuid, amd))
    return Machine(
        torch=torch.__version__,
        cuda=torch.version.cuda,
        gpus=tuple(gpus),
        no_cuda=no_cuda,
        no_cpu_compiler=_no_cpu_compiler(),
        cpu=_cpu_name(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        cores=len(usable_cpus()),
        memory_bytes=_memory_bytes(),
        governor=_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        hip=torch.version.hip,
        cpu_quota=cpu_quota(),
    )


def _no_cpu_compiler(names: Sequence[str] = ("g++", "clang++")) -> str:
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else list(names)
    if platform.system() == "Windows":
        return ""
    if not any(shutil.which(name.split()[0]) for name in candidates):
        return "torch.compile on the CPU needs a C++ compiler: install g++ or clang++, or set CXX"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "torch.compile on the CPU needs Python's headers: install them (Debian: python3-dev)"
    return ""


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
