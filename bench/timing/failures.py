"""What went wrong in a workload, in one line for people."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from torchduet import suites
from torchduet.bench.timing.check import CheckError
from torchduet.suites.registry import names

SUITES = Path(suites.__file__).parent


def describe(error: BaseException, source: str) -> str:
    """One line for people: what was raised and where in the workload's own file.

    Args:
        source: what the workload is loaded from: a built-in suite's name or a file.
    """
    message = " ".join(str(error).split("\n")[0].split()) or "no message"
    if isinstance(error, CheckError):
        return message
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
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
    """Whether nothing works on a GPU any more in this process.

    After an illegal access, or an assertion that failed in a kernel, each call raises that same error anew: what was
    called later is not to blame (CUDA Runtime API, cudaErrorIllegalAddress and cudaErrorAssert).
    """
    if device == "cpu" or not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize(device)
    except RuntimeError:
        return True
    return False


def free_device_memory(error: BaseException) -> None:
    """After an out-of-memory on the GPU, give what the allocator holds back to the cases that follow."""
    if isinstance(error, torch.OutOfMemoryError) and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
