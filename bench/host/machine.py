"""What the machine has: facts for the record, and which variants it cannot run and why."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchduet.bench.cases.case import Case
from torchduet.suites.cpus import cpu_quota, usable_cpus
from torchduet.suites.workload import COMPILED

TF32_NEEDS = "TF32 needs a CUDA GPU of compute capability 8.0 or newer"
NO_TRITON = "torch.compile on CUDA needs Triton and compute capability 7.0 or newer: pip install triton"
FP16_NEEDS = "fp16 with a scaled loss needs a CUDA GPU"
GRAPH_NEEDS = "CUDA graphs need a CUDA GPU"
CUDA_GRAPHS = ("reduce-overhead", "graph")  # modes
BF16_NEEDS = "bf16 needs a CUDA GPU of compute capability 8.0 or newer"


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
    cpu_quota: float | None = None

    def unavailable(self, case: Case) -> tuple[str, str] | None:
        """The knob whose setting this machine cannot run, and why; None if it can run ``case``."""
        kind, _, index = case.device.partition(":")
        gpu: Gpu | None = None
        if kind == "cuda":
            if self.no_cuda:
                return "device", self.no_cuda
            if int(index or 0) >= len(self.gpus):
                return (
                    "device",
                    f"{case.device} does not exist: this machine has {len(self.gpus)} CUDA GPU(s)",
                )
            gpu = self.gpus[int(index or 0)]
        found = "" if gpu is None else f"; this one has {gpu.capability[0]}.{gpu.capability[1]}"
        if case.precision == "tf32" and (gpu is None or gpu.capability < (8, 0)):
            return "precision", TF32_NEEDS + found
        if case.precision == "fp16" and gpu is None:
            return "precision", FP16_NEEDS
        if case.precision == "bf16" and gpu is not None and gpu.capability < (8, 0):
            return "precision", BF16_NEEDS + found
        if case.mode in CUDA_GRAPHS and gpu is None:
            return "mode", GRAPH_NEEDS
        if case.mode in COMPILED:
            if gpu is None and self.no_cpu_compiler:
                return "mode", self.no_cpu_compiler
            if gpu is not None and not gpu.triton:
                return "mode", NO_TRITON
        return None

    def missing(self) -> list[tuple[str, str]]:
        """(variant, reason) for what no case of this machine can use."""
        lacking = []
        if self.no_cuda:
            lacking.append(("cuda", self.no_cuda))
        if not any(gpu.capability >= (8, 0) for gpu in self.gpus):
            lacking.append(("tf32", TF32_NEEDS))
        elif not any(gpu.triton for gpu in self.gpus):
            lacking.append(("compile on cuda", NO_TRITON))
        if self.no_cpu_compiler:
            lacking.append(("compile", self.no_cpu_compiler))
        return lacking

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
        cores=len(usable_cpus()),
        memory_bytes=_memory_bytes(),
        governor=_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
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
