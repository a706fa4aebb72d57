"""The processes that use a GPU, as NVML lists them, and which processes are this run's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torchduet.bench.host.nvml import Device

# Linux numbers the first process namespace so, include/linux/proc_ns.h: PROC_PID_INIT_INO.
FIRST_NAMESPACE = "pid:[4026531836]"
COMPUTING = ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetMPSComputeRunningProcesses")
DRAWING = "nvmlDeviceGetGraphicsRunningProcesses"
MAX_NAME = 40  # characters
_started: set[int] = set()  # by note_started


@dataclass(frozen=True)
class Process:
    """One process that uses a GPU.

    Attributes:
        name: its program; empty where that is not known, as in a container.
        memory_bytes: of the GPU; None where the driver does not tell.
        computes: it has a context for computing; else it only draws, as a display server does.
        draws: it has one for drawing, as a display server or a program with a window does.
    """

    pid: int
    name: str = ""
    memory_bytes: int | None = None
    computes: bool = True
    draws: bool = False


def processes(device: Device, root: Path = Path("/proc")) -> tuple[Process, ...]:
    """The processes that use a GPU, those that compute first; none where NVML cannot list them."""
    found: dict[int, Process] = {}
    for function in (*COMPUTING, DRAWING):
        for listed in _listed(device, function):
            draws = function == DRAWING
            if listed.pid not in found:
                name = _name(device, listed.pid, root)
                found[listed.pid] = Process(listed.pid, name, listed.usedGpuMemory, computes=not draws, draws=draws)
            elif draws:
                found[listed.pid] = replace(found[listed.pid], draws=True)
    return tuple(found.values())


def _listed(device: Device, function: str) -> list[Any]:
    """What one of NVML's functions lists of the GPU, or of the slice of it that is measured."""
    nvml = device.nvml
    get = getattr(nvml, function, None)  # MPS' is missing in older versions of nvidia-ml-py
    mismatch = getattr(nvml, "NVMLLibraryMismatchError", nvml.NVMLError)  # the driver is older than nvidia-ml-py
    if get is None or device.lost:
        return []
    try:
        return list(get(device.handle))
    except (nvml.NVMLError, mismatch):
        return []


def _name(device: Device, pid: int, root: Path) -> str:
    """The name of a process' program, from NVML; where that has none, from ``/proc`` if the numbers are the same."""
    nvml = device.nvml
    try:
        name = str(nvml.nvmlSystemGetProcessName(pid))
    except (nvml.NVMLError, UnicodeDecodeError):
        name = ""
    if not name and comparable(root):
        try:
            name = (root / str(pid) / "comm").read_text(errors="replace").strip()
        except OSError:
            name = ""
    program = name.split(" ")[0].rpartition("/")[2] or name  # the driver gives a path, on some systems with arguments
    printable = "".join(letter for letter in program if letter.isprintable())
    return printable if len(printable) <= MAX_NAME else f"{printable[: MAX_NAME - 1]}…"


def comparable(root: Path = Path("/proc")) -> bool:
    """Whether NVML's process numbers are those that this process sees.

    The driver numbers processes as the host does, whatever namespace asks (NVIDIA/nvidia-docker#1483).
    """
    if sys.platform != "linux":
        return True
    try:
        return str((root / "self/ns/pid").readlink()) == FIRST_NAMESPACE
    except OSError:
        return False


def note_started(pid: int | None) -> None:
    """Note a process that this one has started: it stays its own after its end, when the driver still has samples."""
    if pid is not None:
        _started.add(pid)


def own_processes(root: Path = Path("/proc"), pid: int | None = None) -> set[int]:
    """This process, its descendants, every process of a session that one of these leads, and the workers that ended.

    A worker leads a session of its own: what its workload starts belongs to it, even after its parent has ended.
    """
    first = os.getpid() if pid is None else pid
    parents = dict(_parents_and_sessions(root))
    own = {first} | (_started if pid is None else set())
    grown = True
    while grown:
        new = {number for number, (parent, session) in parents.items() if parent in own or session in own} - own
        own |= new
        grown = bool(new)
    return own


def _parents_and_sessions(root: Path) -> Iterator[tuple[int, tuple[int, int]]]:
    """Process → its parent and its session, from proc(5)'s ``stat``: fields 4 and 6."""
    try:
        numbers = [int(entry.name) for entry in root.iterdir() if entry.name.isdigit()]
    except OSError:
        return
    for number in numbers:
        try:
            text = (root / str(number) / "stat").read_bytes()
        except OSError:  # it has ended
            continue
        fields = text.rpartition(b")")[2].split()  # a process' name may hold any text
        if len(fields) > 3:
            yield number, (int(fields[1]), int(fields[3]))
