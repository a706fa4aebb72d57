"""Locks the clocks of GPUs for a run; a process of its own unlocks them when the run ends, however it ends.

NVML has no function that returns whether clocks are locked, so an earlier lock of somebody else is not restored.
"""

from __future__ import annotations

import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from torchduet.bench.host.gpu_clocks import guard
from torchduet.bench.host.nvml import FACTS, Device, Field, devices, failed

BASE: Literal["base"] = "base"
UNLOCK_SECONDS = 30.0  # for the guard
OPTION = "--lock-clocks"
MIG: Mapping[str, Field] = {"mig": FACTS["mig"]}

Frequency = int | Literal["base"]  # MHz, or the base clock


class ClockError(Exception):
    """The clocks cannot be locked as asked; the message names the option and says what to do."""


class Unlocks(Protocol):
    """Unlocks GPUs at the end."""

    def end(self) -> str:
        """Unlock them now; returns what failed, empty if nothing did."""


class Guard:
    """The process that unlocks GPUs.

    Args:
        uuids: of full GPUs, as NVML has them.
        nvml: the module, which the process loads from the same file.

    Raises:
        ClockError: it could not start, so nothing must be locked.
    """

    def __init__(self, uuids: Sequence[str], nvml: Any) -> None:
        self._nvml, self._uuids = nvml, [*uuids]
        try:
            self._process = subprocess.Popen(
                # -P: it imports no module that lies beside it
                [sys.executable, "-P", str(Path(guard.__file__)), nvml.__file__, *uuids],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # a signal to the run's group must not reach it
            )
        except OSError as error:
            raise ClockError(f"{OPTION}: the process that would unlock the clocks cannot be started: {error}") from None
        assert self._process.stdout is not None
        answer = self._process.stdout.readline().strip()
        if answer != guard.READY:
            self._process.communicate()
            raise ClockError(
                f"{OPTION}: the process that would unlock the clocks does not work: {answer or 'it gave no answer'}"
            )

    def end(self) -> str:
        """Have it unlock the GPUs, and wait for it; if it was killed, this process unlocks them."""
        try:
            answer, _ = self._process.communicate(timeout=UNLOCK_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            answer = self._process.communicate()[0]
        if answer.strip() == guard.UNLOCKED:
            return ""
        return "; ".join(guard.unlock(self._nvml, self._uuids))


class LockedClocks:
    """Clocks that this run has locked, until :meth:`unlock`.

    Attributes:
        words: ``cuda:N`` → at what they are locked.
    """

    def __init__(self, words: Mapping[str, str], ending: Unlocks, uuids: Sequence[str]) -> None:
        self.words = dict(words)
        self._ending: Unlocks | None = ending
        self._uuids = uuids

    def unlock(self) -> str:
        """Unlock them; returns a line on what could not be unlocked and what to do, empty if all was."""
        ending, self._ending = self._ending, None
        why = ending.end() if ending is not None else ""
        if not why:
            return ""
        commands = "; ".join(f"sudo nvidia-smi -i {uuid} -rgc" for uuid in self._uuids)
        return f"the GPU's clocks may still be locked ({why}); unlock them: {commands}"


def lock(
    uuids: Mapping[str, str],
    frequency: Frequency,
    nvml: Any = None,
    guarding: Callable[[Sequence[str], Any], Unlocks] = Guard,
) -> LockedClocks:
    """Lock the SM clocks of these GPUs (nvmlDeviceSetGpuLockedClocks, Volta and newer).

    The base clock is NVML's ``NVML_CLOCK_LIMIT_ID_TDP``: the clock that the GPU can hold within its power limit, so
    that neither power nor temperature changes it. nvbench's ``--lock-gpu-clocks base`` sets the same.

    Args:
        uuids: ``cuda:N`` → its UUID as CUDA has it.
        frequency: MHz, one of those that the GPU supports; or ``base``.

    Raises:
        ClockError: they cannot be locked; then none is.
    """
    gpus, limits = lockable(uuids, frequency, nvml)
    of_gpus = [str(gpu.nvml.nvmlDeviceGetUUID(gpu.handle)) for gpu in gpus.values()]
    ending = guarding(of_gpus, next(iter(gpus.values())).nvml)
    for name, gpu in gpus.items():
        try:
            gpu.nvml.nvmlDeviceSetGpuLockedClocks(gpu.handle, limits[name], limits[name])
        except gpu.nvml.NVMLError as error:
            ending.end()
            raise ClockError(_refusal(name, gpu, frequency, error)) from None
        except BaseException:
            ending.end()
            raise
    return LockedClocks(dict.fromkeys(gpus, frequency_words(frequency)), ending, of_gpus)


def frequency_words(frequency: Frequency) -> str:
    """``1,410 MHz``, or ``the base clock``."""
    return "the base clock" if frequency == BASE else f"{frequency:,} MHz"


def lockable(
    uuids: Mapping[str, str], frequency: Frequency, nvml: Any = None
) -> tuple[dict[str, Device], dict[str, int]]:
    """The GPUs, and NVML's number for the frequency of each; whether this user may lock them only locking can tell.

    Args:
        uuids, frequency: as in :func:`lock`.

    Raises:
        ClockError: the clocks of one cannot be locked as asked.
    """
    if not uuids:
        raise ClockError(f"{OPTION}: no CUDA GPU is measured; leave it out, or give --device cuda")
    found, why = devices([*uuids.values()], nvml)
    gpus: dict[str, Device] = {}
    for name, gpu in zip(uuids, found, strict=True):
        if gpu is None:
            raise ClockError(f"{OPTION}: the clocks of {name} cannot be set: {why}")
        if gpu.is_slice:
            raise ClockError(f"{OPTION}: {name} is a slice of a GPU (MIG); all share its clocks: leave the option out")
        if gpu.read(MIG).get("mig") == "on":
            raise ClockError(
                f"{OPTION}: {name} is in MIG mode; all of its slices share its clocks: leave the option out"
            )
        gpus[name] = gpu
    return gpus, {name: _limit(name, gpu, frequency) for name, gpu in gpus.items()}


def _limit(name: str, gpu: Device, frequency: Frequency) -> int:
    """NVML's number for a frequency, once it is checked.

    Raises:
        ClockError: this GPU does not support it.
    """
    if frequency == BASE:
        return int(getattr(gpu.nvml, "NVML_CLOCK_LIMIT_ID_TDP", 0xFFFFFF01))
    supported = _supported(gpu)
    if supported and frequency not in supported:
        place = bisect_left(supported, frequency)
        nearest = " and ".join(f"{mhz:,}" for mhz in supported[max(0, place - 1) : place + 1])
        raise ClockError(
            f"{OPTION}={frequency}: {name} supports {supported[0]:,} to {supported[-1]:,} MHz; the nearest: {nearest}"
        )
    return frequency


def _supported(gpu: Device) -> list[int]:
    """The SM clocks that a GPU supports at its highest memory clock, ascending; empty where NVML does not list them."""
    try:
        memory = max(gpu.nvml.nvmlDeviceGetSupportedMemoryClocks(gpu.handle), default=None)
        return [] if memory is None else sorted(gpu.nvml.nvmlDeviceGetSupportedGraphicsClocks(gpu.handle, memory))
    except gpu.nvml.NVMLError:
        return []


def _refusal(name: str, gpu: Device, frequency: Frequency, error: Exception) -> str:
    """Why NVML did not lock the clocks, and what to do."""
    if failed(gpu.nvml, error, ("NoPermission",)):
        uuid = gpu.nvml.nvmlDeviceGetUUID(gpu.handle)
        mhz = "MHZ" if frequency == BASE else frequency
        return (
            f"{OPTION}: this user may not set the clocks of {name} ({error}): run as root, or leave the option out and "
            f"use sudo nvidia-smi -i {uuid} -lgc {mhz},{mhz} before the run, sudo nvidia-smi -i {uuid} -rgc after it"
        )
    if frequency == BASE and failed(gpu.nvml, error, ("InvalidArgument", "NotSupported")) and _supported(gpu):
        return f"{OPTION}: {name} has no base clock that can be set ({error}): give a frequency, {OPTION}=MHZ"
    return f"{OPTION}: the clocks of {name} cannot be locked ({error}): leave the option out"
