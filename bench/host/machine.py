"""What the machine has, and in words what it has not: facts for the record, and for what can run on it."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.suites.workload import cores

NO_TRITON = "torch.compile on CUDA needs Triton and compute capability 7.0 or newer: pip install triton"


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as torch sees it."""

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    triton: bool
    uuid: str = ""


@dataclass(frozen=True)
class Machine:
    """Facts about the machine, gathered in a worker.

    Attributes:
        no_cuda: why there is no CUDA device, "" where there is one.
        no_cpu_compiler: why torch.compile cannot work on the CPU, "" where it can.
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

    def no_device(self, device: str) -> str:
        """Why there is no such device as ``cuda`` or ``cuda:1``, "" where there is."""
        kind, _, index = device.partition(":")
        if kind == "cpu":
            return ""
        if self.no_cuda:
            return self.no_cuda
        if int(index or 0) >= len(self.gpus):
            return f"{device} does not exist: this machine has {len(self.gpus)} CUDA GPU(s)"
        return ""

    def no_compiler(self, device: str) -> str:
        """Why torch.compile cannot work on a device that is there, "" where it can."""
        gpu = self._gpu(device)
        if gpu is None:
            return self.no_cpu_compiler
        return "" if gpu.triton else NO_TRITON

    def capability(self, device: str) -> tuple[int, int] | None:
        """A GPU's compute capability; None for the CPU."""
        gpu = self._gpu(device)
        return gpu.capability if gpu else None

    def every(self, kind: str) -> list[str]:
        """The devices of a kind."""
        return [kind] if kind == "cpu" else [f"{kind}:{index}" for index in range(len(self.gpus))]

    def _gpu(self, device: str) -> Gpu | None:
        kind, _, index = device.partition(":")
        return None if kind == "cpu" else self.gpus[int(index or 0)]

    def devices(self) -> list[str]:
        """Devices to use when none is asked for."""
        return ["cpu"] if self.no_cuda else ["cpu", "cuda"]

    def uuids(self) -> dict[str, str]:
        """CUDA device, under each of its names → its UUID."""
        found = {f"cuda:{index}": gpu.uuid for index, gpu in enumerate(self.gpus)}
        return found | ({"cuda": self.gpus[0].uuid} if self.gpus else {})

    def gpus_of(self, devices: Sequence[str]) -> dict[str, str]:
        """``cuda:N`` → UUID of the GPUs that are among these devices; ``cuda`` is the first."""
        numbers = [int(device.partition(":")[2] or 0) for device in devices if device != "cpu"]
        return {f"cuda:{number}": self.gpus[number].uuid for number in numbers if number < len(self.gpus)}

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """The machine as it stands in the record."""
        gpu = self.gpus[0] if self.gpus else None
        return {
            "cpu": self.cpu,
            "cpu_capability": self.cpu_capability,
            "cores": self.cores,
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


def busy_cores(seconds: float, stat: Path = Path("/proc/stat")) -> float | None:
    """How many cores others kept busy during the last ``seconds`` (blocks that long); None if unknown."""
    import time

    def ticks() -> tuple[int, int] | None:
        try:
            fields = [int(value) for value in stat.read_text().split("\n")[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        idle = fields[3] + fields[4]
        return sum(fields), idle

    before = ticks()
    time.sleep(seconds)
    after = ticks()
    if before is None or after is None or after[0] == before[0]:
        return None
    return cores() * (1 - (after[1] - before[1]) / (after[0] - before[0]))


def probe() -> Machine:
    """Gather the facts. Initialises CUDA, so it must run in a worker."""
    import torch

    gpus: list[Gpu] = []
    no_cuda = ""
    if torch.version.cuda is None:
        no_cuda = "CUDA needs a CUDA build of PyTorch; this is a CPU build"
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
            compiles = triton and capability >= (7, 0)
            gpus.append(Gpu(properties.name, capability, properties.total_memory, compiles, uuid))
    return Machine(
        torch=torch.__version__,
        cuda=torch.version.cuda,
        gpus=tuple(gpus),
        no_cuda=no_cuda,
        no_cpu_compiler=_no_cpu_compiler(),
        cpu=_cpu_name(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        cores=cores(),
        memory_bytes=_memory_bytes(),
        governor=_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
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
