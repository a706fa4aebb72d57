"""Reads and checks a trace of torch.profiler; its interpretation is left to ``summary``."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from torchduet.bench.files.collecting import without_collecting
from torchduet.bench.files.regular import NotAFileError, open_file
from torchduet.bench.record.schema import PROFILED_CALL
from torchduet.bench.record.trace_repair import MAX_BYTES, NO_NUMBER, problem, repaired
from torchduet.reports.profile.runtime import (
    QUEUE_FULL,
    RUNTIME,
    by_correlation,
    of_threads_with_operators,
    told_apart,
)
from torchduet.reports.profile.span import Allocation, Span

MAX_LETTERS = 4000  # of a name: more than C++ templates have
MAX_EVENTS = 2_000_000
CHUNK = 2**20
MICROSECONDS = Annotated[float, Meta(gt=-1e18, lt=1e18)]  # thirty thousand years
BYTES = Annotated[int, Meta(gt=-(2**62), lt=2**62)]
HOST = {"cpu_op": "operator", "user_annotation": "annotation", "python_function": "python"}
DEVICE = ("kernel", "gpu_memcpy", "gpu_memset", "mtia_ccp_events")


class TraceError(Exception):
    """A trace that cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Trace:
    """The events of a trace by kind, in order of time.

    Attributes:
        calls: the profiled calls of the case.
        host: operators, annotations, Python functions, and calls of the GPU's runtime.
        device: kernels, copies and fills on GPUs.
        allocations: of PyTorch's allocators.
        launches: correlation → the call of the GPU's runtime that launched what has it.
    """

    calls: tuple[Span, ...]
    host: tuple[Span, ...]
    device: tuple[Span, ...]
    allocations: tuple[Allocation, ...]
    launches: Mapping[int, Span] = field(default_factory=dict)


def read(path: Path) -> Trace:
    """Read and check a trace.

    Raises:
        TraceError: there is no such file, it is not a complete trace, or another tool wrote it.
    """
    content = _unpacked(path)
    with without_collecting():
        return _read(content)


def _read(content: bytearray) -> Trace:
    interned: dict[Any, Any] = {}  # equal names, threads and shapes share one object
    calls, host, runtime, device, queue_full, allocations = [], [], [], [], [], []
    for raw in _events(content):
        try:
            event = _event(raw)
        except msgspec.MsgspecError:
            continue
        kind = event.cat
        if kind in HOST or kind in DEVICE or kind in RUNTIME:
            span = _span(event, kind, interned)
            if span is None:
                continue
            if kind in DEVICE:
                device.append(span)
            elif kind in RUNTIME:
                runtime.append(span)
            elif span.name == PROFILED_CALL:
                calls.append(span)
            else:
                host.append(span)
        elif event.name == "[memory]" and (allocation := _allocation(event)) is not None:
            allocations.append(allocation)
        elif event.name == QUEUE_FULL and (span := _span(event, QUEUE_FULL, interned)) is not None:
            queue_full.append(span)
    if not calls:
        raise TraceError(f"holds no annotation {PROFILED_CALL!r}, so another tool wrote it, or it was cut short")
    runtime = told_apart(runtime, device, queue_full)
    host += of_threads_with_operators(runtime, (*calls, *host))
    for spans in (calls, host, device):
        spans.sort(key=lambda span: (span.start, -span.end))
    allocations.sort()
    return Trace(tuple(calls), tuple(host), tuple(device), tuple(allocations), by_correlation(runtime))


def _event(raw: msgspec.Raw) -> _Event:
    """An event; a name that was cut within a character ends in a replacement character."""
    try:
        return _decoder().decode(raw)
    except UnicodeDecodeError:
        return _decoder().decode(bytes(raw).decode("utf-8", "replace"))


def _unpacked(path: Path) -> bytearray:
    try:
        with open_file(path) as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                return _limited(iter(lambda: file.read(CHUNK), b""))
            with gzip.open(file) as unpacked:
                return _limited(iter(lambda: unpacked.read(CHUNK), b""))
    except FileNotFoundError:
        raise TraceError("no such file; traces stay beside the run's file, where `--profile` wrote them") from None
    except (NotAFileError, IsADirectoryError):
        raise TraceError("is no regular file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise TraceError("is cut short or damaged; profile the case again") from None
    except (OSError, ValueError) as error:
        raise TraceError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _limited(chunks: Iterator[bytes]) -> bytearray:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MAX_BYTES:
            raise TraceError(f"is larger than {MAX_BYTES // 2**20} MiB unpacked; profile without stacks")
    return content


def _events(content: bytearray) -> Sequence[msgspec.Raw]:
    """The events, not yet decoded, so that one with an unexpected shape is skipped alone."""
    if not content or content.isspace():
        raise TraceError("is empty; profile the case again")
    try:
        events = _document(content).traceEvents
    except msgspec.ValidationError:
        raise TraceError('has no list "traceEvents", so it is no trace of torch.profiler') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not content.rstrip().endswith(b"}"):
            raise TraceError("is not JSON, or cut short; profile the case again") from None
        raise TraceError(f"cannot be used: {problem(content)}; give that annotation a plain name") from None
    if len(events) > MAX_EVENTS:
        raise TraceError(
            f"holds {len(events):,} events, more than the {MAX_EVENTS:,} that can be explained; profile a smaller "
            "size, or without stacks"
        )
    return events


def _span(event: _Event, kind: str, interned: dict[Any, Any]) -> Span | None:
    if event.ts is None or event.dur is None or event.name is None:
        return None
    thread = (str(event.pid), str(event.tid))
    shapes = _shapes(event.args) if kind == "cpu_op" else ""
    return Span(
        event.ts,
        event.ts + max(0.0, event.dur),
        interned.setdefault(event.name, _short(event.name)),
        HOST.get(kind, kind),
        interned.setdefault(thread, thread),
        interned.setdefault(shapes, shapes),
        _correlation(event.args) if kind in DEVICE or kind in RUNTIME else 0,
    )


def _short(name: str) -> str:
    """``CompiledFxGraph fndswo…``: inductor's name without the rest of the 52 letters of its key."""
    return re.sub(r"## Call (CompiledFxGraph \w{6})\w* ##", r"\1…", name[:MAX_LETTERS])


def _shapes(args: msgspec.Raw) -> str:
    """``100×784, 784×100`` of the tensors among an operator's inputs."""
    try:
        dims = msgspec.json.decode(args, type=_Inputs).dims
    except msgspec.MsgspecError:
        return ""
    shapes = [dim for dim in dims if isinstance(dim, list) and dim and all(isinstance(size, int) for size in dim)]
    return ", ".join("×".join(map(str, shape)) for shape in shapes)


def _correlation(args: msgspec.Raw) -> int:
    try:
        return msgspec.json.decode(args, type=_Correlated).correlation
    except msgspec.MsgspecError:
        return 0


def _allocation(event: _Event) -> Allocation | None:
    try:
        args = msgspec.json.decode(event.args, type=_Change)
    except msgspec.MsgspecError:
        return None
    if event.ts is None:
        return None
    return Allocation(event.ts, args.size, args.address, args.device == 0, (str(event.pid), str(event.tid)))


def _document(content: bytearray) -> _Document:
    """The decoded file; what C++ writes that is no JSON is repaired: names as they are, ``nan`` and ``inf``."""
    try:
        return msgspec.json.decode(content, type=_Document)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        if not content.rstrip().endswith(b"}"):
            raise
    try:
        return msgspec.json.decode(NO_NUMBER.sub(b"null", content), type=_Document)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(repaired(content), type=_Document)


class _Document(msgspec.Struct):
    traceEvents: list[msgspec.Raw]


class _Event(msgspec.Struct, gc=False):
    cat: str | None = None
    name: str | None = None
    ts: MICROSECONDS | None = None
    dur: MICROSECONDS | None = None
    pid: int | str | None = None
    tid: int | str | None = None
    args: msgspec.Raw = msgspec.Raw(b"")


class _Inputs(msgspec.Struct):
    dims: list[Any] = msgspec.field(name="Input Dims", default_factory=list)


class _Correlated(msgspec.Struct):
    correlation: int = 0


class _Change(msgspec.Struct):
    size: BYTES = msgspec.field(name="Bytes")
    address: int = msgspec.field(name="Addr")
    device: int | None = msgspec.field(name="Device Type", default=None)


@cache
def _decoder() -> msgspec.json.Decoder[_Event]:
    return msgspec.json.Decoder(_Event)
