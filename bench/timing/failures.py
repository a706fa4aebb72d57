"""What went wrong in a workload, in one line for people."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from torchduet import suites
from torchduet.bench.timing.check import CheckError
from torchduet.bench.timing.device_registry import device_of, kinds
from torchduet.suites.registry import names

MPS_FULL = "MPS backend out of memory"  # a RuntimeError of no class of its own
SUITES = Path(suites.__file__).parent


def describe(error: BaseException, source: str) -> str:
    """One line for people: what was raised and where in the workload's own file.

    Args:
        source: what the workload is loaded from: a built-in suite's name or a file.
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
    """Whether code in a file is the author's: PyTorch, too, has a ``dataloader.py``."""
    path = Path(filename)
    return path.is_relative_to(SUITES) if source in names() else path.resolve() == Path(source).resolve()


def unusable(device: str) -> bool:
    """Whether nothing works on a device any more in this process: what was called later is not to blame."""
    return device_of(device).unusable()


def free_device_memory(error: BaseException) -> None:
    """After an out-of-memory on a device, give what the allocators hold back to the cases that follow."""
    if isinstance(error, torch.OutOfMemoryError) or MPS_FULL in str(error):
        for kind, device in kinds().items():
            device.give_back_memory(kind)
