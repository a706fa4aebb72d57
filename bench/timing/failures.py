"""Describes an error of a workload in one line."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from torchduet import suites
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.device_registry import device_of, kinds
from torchduet.suites.registry import names

MPS_FULL = "MPS backend out of memory"  # a RuntimeError of no class of its own
SUITES = Path(suites.__file__).parent


def describe(error: BaseException, source: str) -> str:
    """One line: the error, and its line in the workload's own file.

    Args:
        source: the origin of the workload: a built-in suite's name or a file.
    """
    message = " ".join(str(error).split("\n")[0].split()) or "no message"
    if isinstance(error, CheckError):
        return message
    full = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if full or any(words in str(error) for words in ("can't allocate memory", MPS_FULL)):
        return f"out of memory: {message}"
    if "fail_on_recompile" in str(error):
        cause = next((line.strip(" -") for line in str(error).split("\n") if line.strip().startswith("- ")), "")
        return f"it was compiled again while being timed ({cause or message}); make its inputs' sizes constant"
    origin = error.__cause__
    if type(error).__module__.startswith("torch._dynamo") and origin is not None and str(origin):
        message += f": {' '.join(str(origin).split())[:200]}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _belongs(frame.filename, source)]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"it raised {type(error).__name__}: {message}{where}"


def _belongs(filename: str, source: str) -> bool:
    """Whether a file is the workload's own; compares paths, as PyTorch has a ``dataloader.py``, too."""
    path = Path(filename)
    return path.is_relative_to(SUITES) if source in names() else path.resolve() == Path(source).resolve()


def unusable(device: str) -> bool:
    """Whether every later call on a device fails in this process, whatever it does."""
    return device_of(device).unusable()


def free_device_memory(error: BaseException) -> None:
    """After an out-of-memory error on a device, empty the allocators' caches for the next cases."""
    if isinstance(error, torch.OutOfMemoryError) or MPS_FULL in str(error):
        for kind, device in kinds().items():
            device.give_back_memory(kind)
