"""Reads a trace of torch.profiler and makes sure of it; what it means is left to ``summary``."""

from __future__ import annotations

import gc
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from bench.engine.schema import PROFILED_CALL

MAX_BYTES = 600 * 2**20  # unpacked
CHUNK = 2**20
MOST_ALLOCATED = 2**63  # bytes
LARGEST = 1e18  # microseconds: thirty thousand years
HOST = {"cpu_op": "operator", "user_annotation": "annotation", "python_function": "python"}
DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")


class TraceError(Exception):
    """A trace that cannot be explained; the message says what is wrong with it."""


class Span(NamedTuple):
    """Something that ran from ``start`` to ``end`` (microseconds) on a thread, or a stream of a device."""

    start: float
    end: float
    name: str
    kind: str  # operator, annotation, python; of a device: kernel, gpu_memcpy, gpu_memset
    thread: tuple[str, str]
    shapes: str


class Allocation(NamedTuple):
    """Memory taken (``bytes`` above 0) or released at a moment (microseconds)."""

    at: float
    bytes: int
    address: int
    on_cpu: bool
    thread: tuple[str, str]


@dataclass(frozen=True)
class Trace:
    """What a trace holds, by kind and in order of time.

    Attributes:
        calls: the profiled calls of the case.
        host: operators, annotations and Python functions.
        device: kernels, copies and fills on GPUs.
        allocations: of PyTorch's allocators.
    """

    calls: tuple[Span, ...]
    host: tuple[Span, ...]
    device: tuple[Span, ...]
    allocations: tuple[Allocation, ...]


def read(path: Path) -> Trace:
    """Read and check a trace.

    Raises:
        TraceError: no such file, not a whole trace, or none of ours.
    """
    content = _unpacked(path)
    collecting = gc.isenabled()
    gc.disable()  # so many objects at once, none of which refers back: collecting among them doubles the time
    try:
        return _read(content)
    finally:
        if collecting:
            gc.enable()


def _read(content: bytes) -> Trace:
    events = _events(content)
    calls, host, device, allocations = [], [], [], []
    for event in events:
        kind = event.get("cat")
        if isinstance(kind, str) and (kind in HOST or kind in DEVICE):
            span = _span(event, kind)
            if span is None:
                continue
            if kind in DEVICE:
                device.append(span)
            elif span.name == PROFILED_CALL and kind == "user_annotation":
                calls.append(span)
            else:
                host.append(span)
        elif event.get("name") == "[memory]" and (allocation := _allocation(event)) is not None:
            allocations.append(allocation)
    if not calls:
        raise TraceError(f"holds no annotation {PROFILED_CALL!r}, so another tool wrote it, or it was cut short")
    for spans in (calls, host, device):
        spans.sort(key=lambda span: (span.start, -span.end))
    allocations.sort()
    return Trace(tuple(calls), tuple(host), tuple(device), tuple(allocations))


def _unpacked(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise TraceError("is no regular file")
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _limited(iter(lambda: file.read(CHUNK), b""))
            with gzip.open(file) as unpacked:
                return _limited(iter(lambda: unpacked.read(CHUNK), b""))
    except FileNotFoundError:
        raise TraceError("no such file; traces stay beside the run's file, where `--profile` wrote them") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise TraceError("is cut short or damaged; profile the case again") from None
    except (OSError, ValueError) as error:
        raise TraceError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _limited(chunks: Iterator[bytes]) -> bytes:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_BYTES:
            raise TraceError(f"is larger than {MAX_BYTES // 2**20} MiB unpacked; profile without stacks")
    return bytes(content)


def _events(content: bytes) -> Iterator[dict[str, Any]]:
    if not content.strip():
        raise TraceError("is empty; profile the case again")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise TraceError("is not JSON, or cut short; profile the case again") from None
    events = document.get("traceEvents") if isinstance(document, dict) else None
    if not isinstance(events, list):
        raise TraceError('has no list "traceEvents", so it is no trace of torch.profiler')
    return (event for event in events if isinstance(event, dict))


def _span(event: dict[str, Any], kind: str) -> Span | None:
    start, lasted, name = event.get("ts"), event.get("dur"), event.get("name")
    if not (_number(start) and _number(lasted) and isinstance(name, str)):
        return None
    args = event.get("args")
    shapes = args.get("Input Dims") if isinstance(args, dict) else None
    return Span(
        float(start),
        float(start) + max(0.0, float(lasted)),
        name,
        HOST.get(kind, kind),
        (str(event.get("pid")), str(event.get("tid"))),
        _shapes(shapes),
    )


def _shapes(dims: object) -> str:
    """``100×784, 784×100`` of the tensors among an operator's inputs."""
    if not isinstance(dims, list):
        return ""
    tensors = [one for one in dims if isinstance(one, list) and one and all(isinstance(size, int) for size in one)]
    return ", ".join("×".join(map(str, tensor)) for tensor in tensors)


def _allocation(event: dict[str, Any]) -> Allocation | None:
    args, at = event.get("args"), event.get("ts")
    if not isinstance(args, dict) or not _number(at):
        return None
    size, address = args.get("Bytes"), args.get("Addr")
    if not isinstance(size, int) or not isinstance(address, int) or abs(size) >= MOST_ALLOCATED:
        return None
    thread = (str(event.get("pid")), str(event.get("tid")))
    return Allocation(float(at), size, address, args.get("Device Type") == 0, thread)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST
