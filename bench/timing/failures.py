"""Describes an error of a workload in one line."""

from __future__ import annotations

import errno
import linecache
import os
import re
import shutil
import tempfile
import traceback
from pathlib import Path

import torch

from torchduet import suites
from torchduet.bench.host.error_words import first_line
from torchduet.bench.record.knobs import number_format
from torchduet.bench.state.entry import LastingChangeError
from torchduet.bench.timing.checking.dense import CheckError
from torchduet.bench.timing.device_registry import device_of, kinds
from torchduet.suites.registry import is_given, names
from torchduet.suites.workload import PURE

NO_PRIMITIVE = "could not create a primitive"  # also: a primitive descriptor
MPS_FULL = "MPS backend out of memory"  # a RuntimeError of no class of its own
MIN_FREE_BYTES = 2**16  # what a disk may have left on which nothing can be written
SUITES = Path(suites.__file__).parent
TORCH = str(Path(torch.__file__).parent)
EAGER_ONLY = 'use modes=("eager",)'
_FRAME = re.compile(r"filename: '(.*?)', function name: '(.*?)', line number: (\d+)")
_GUARD = re.compile(
    r"^\s*- (?:\d+/\d+: )?(?P<condition>.+?)(?:\s+# (?P<code>.*?)\s+# (?P<place>[^\n]*?:\d+) in [^\n]*)?$", re.MULTILINE
)
_SIZES = ("size mismatch", "stride mismatch", "rank mismatch", "shape mismatch")
_STACK = re.compile(r"___stack\d+")  # what Dynamo kept across a graph break, such as the result of .item()
_LIMITATION = re.compile(r"torch\.compile\b.*\bdoes not (?:currently |yet )?support\b")
_LOW_PRECISION = r"[\s']+(?:Half|BFloat16|c10::Half|c10::BFloat16)\b"
_NO_KERNEL = re.compile(
    rf"not implemented for{_LOW_PRECISION}|Unsupported dtype{_LOW_PRECISION}|Low precision dtypes not supported"
    r"|must be either float or double dtype|only works on Float Tensor"
)
_MIXED = re.compile(r"same dtype|type \(.*\) should be the same|expected scalar type|must match, but got")
_SCOPE = re.compile(r"\b[GL]\['(?P<name>\w+)'\]")  # a global or a local variable


class StatedError(Exception):
    """An error whose text is the reason as it stands, lines of output included."""


def describe(error: BaseException, source: str) -> str:
    """One line: the error, and its line in the workload's own file.

    Args:
        source: the origin of the workload: a built-in suite's name or a file.
    """
    if isinstance(error, StatedError):
        return str(error)
    message = first_line(error) or "no message"
    if isinstance(error, CheckError | LastingChangeError):
        return message
    full = isinstance(error, torch.OutOfMemoryError | MemoryError)
    if full or any(words in str(error) for words in ("can't allocate memory", MPS_FULL)):
        return f"out of memory: {message}"
    if "fail_on_recompile" in str(error):
        return recompilation(str(error))
    origin = error.__cause__
    if type(error).__module__.startswith("torch._dynamo") and origin is not None and str(origin):
        message += f": {' '.join(str(origin).split())[:200]}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _belongs(frame.filename, source)]
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"it raised {type(error).__name__}: {message}{where}{_full_disk(error)}"


def _full_disk(error: BaseException) -> str:
    """What to do if the folder for temporary files is full, or what later lines of the error say of a full disk."""
    try:
        if shutil.disk_usage(tempfile.gettempdir()).free < MIN_FREE_BYTES:
            return "; the disk of temporary files is full: make room on it, or set TMPDIR to a folder that has it"
    except OSError:
        pass
    said = [words for number in (errno.ENOSPC, errno.EDQUOT) if (words := os.strerror(number)) in str(error)]
    return f"; {said[0]}" if said and said[0] not in first_line(error) else ""


def limitation(error: BaseException) -> str | None:
    """torch's own words, if the error says that torch.compile does not support something, such as a double backward.

    Such a case is skipped, as it fails whoever wrote it. What the workload's own code raises is no limitation of torch.
    """
    message, frames = first_line(error), traceback.extract_tb(error.__traceback__)
    raised_by_torch = bool(frames) and frames[-1].filename.startswith(TORCH)
    return message if raised_by_torch and isinstance(error, RuntimeError) and _LIMITATION.match(message) else None


def lacking(error: BaseException, precision: str = "") -> str | None:
    """What an operation lacks in this precision, in the library's own words; None for any other error.

    oneDNN may have no kernel on this CPU, as for a bf16 LSTM. In a pure precision PyTorch may have no kernel for an
    operation, or the code may mix converted inputs with tensors of float32 that it creates.
    """
    message = first_line(error)
    if not isinstance(error, RuntimeError):
        return None
    if message.startswith(NO_PRIMITIVE):
        return f"oneDNN has no kernel for it on this CPU: {message.partition('. ')[0]}"
    text = str(error)
    if precision not in PURE:
        return None
    if _NO_KERNEL.search(text):
        return (
            f"PyTorch has no kernel for an operation of it in {precision} on this device ({message}): it would take "
            f"one, or float32 for that operation; {number_format(precision)} autocast may do that"
        )
    if _MIXED.search(text):
        return (
            f"it mixes inputs in {precision} with tensors of another type that it creates ({message}): create these in "
            "the type of an input, e.g. torch.zeros_like(x), or leave the precision out of precisions="
        )
    return None


def recompilation(message: str) -> str:
    """Why compiled code was compiled again while it was timed, in the author's words, and what to do.

    Args:
        message: of the error that the stance ``fail_on_recompile`` raises: the function, and a line for each guard that
            failed, such as ``- 0/0: h.n == 3   # return x * h.n  # step.py:9 in step``.
    """
    again = "it was compiled again while being timed"
    where = _FRAME.search(message)
    file, function, line = where.groups() if where else ("", "", "0")
    source = linecache.getline(file, int(line)).strip()
    place = f"{Path(file).name}:{line}" + (f" ({source})" if source else "")
    resumed = function.startswith("torch_dynamo_resume_in")
    guard = _GUARD.search(message)
    if guard is None:
        if resumed:
            return (
                f"{again}: the data chose a branch at {place} that no earlier call took; let the first calls take "
                f"every branch, write it with torch.where or torch.cond, or {EAGER_ONLY}"
            )
        return f"{again}: {function} at {place} was not called before; call it in the first calls, too, or {EAGER_ONLY}"
    condition, used = guard["condition"].strip(), guard["place"]
    at = f" at {used} ({guard['code'].strip()})" if used else ""
    if "mismatch" in condition:
        size = any(word in condition for word in _SIZES)
        kept = "sizes and strides" if size else "dtypes, devices and requires_grad"
        return f"{again}: {condition}; make its inputs' {kept} constant, or {EAGER_ONLY}"
    if condition.startswith("GLOBAL_STATE changed"):
        changed = condition.partition(":")[2].strip()
        return f"{again}: PyTorch's state changed ({changed}); leave it as it is between calls, or {EAGER_ONLY}"
    if any(word in condition for word in ("len(", ".size()", "shape")):
        return f"{again}: its guard {condition} failed{at}; make its inputs' sizes constant, or {EAGER_ONLY}"
    if _STACK.search(condition):
        condition = _STACK.sub("the number", condition)
        return f"{again}: a number that is read at {place} changed ({condition}); keep it in a tensor, or {EAGER_ONLY}"
    condition = _SCOPE.sub(lambda scope: scope["name"], condition)
    return f"{again}: its guard {condition} failed{at}; keep it constant, pass it as a tensor, or {EAGER_ONLY}"


def _belongs(filename: str, source: str) -> bool:
    """Whether a file is the workload's own; compares paths, as PyTorch has a ``dataloader.py``, too."""
    path = Path(filename)
    if is_given(source):  # a program's functions may be in any of its files, or in a cell of a notebook
        return "site-packages" not in path.parts and not path.is_relative_to(SUITES.parent / "bench")
    return path.is_relative_to(SUITES) if source in names() else path.resolve() == Path(source).resolve()


def unusable(device: str) -> bool:
    """Whether every later call on a device fails in this process, whatever it does."""
    return device_of(device).unusable()


def free_device_memory(error: BaseException) -> None:
    """After an out-of-memory error on a device, empty the allocators' caches for the next cases."""
    if isinstance(error, torch.OutOfMemoryError) or MPS_FULL in str(error):
        for kind, device in kinds().items():
            device.give_back_memory(kind)
