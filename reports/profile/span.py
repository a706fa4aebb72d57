"""Defines what a trace consists of: spans on threads and streams, and changes of memory."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """An operator, annotation or kernel that ran from ``start`` to ``end`` (microseconds) on a thread or a stream.

    Attributes:
        kind: of the host: operator, annotation, python, launching, waiting; of a device: kernel, gpu_memcpy,
            gpu_memset.
        correlation: number that a call of the GPU's runtime shares with what it launched; 0 for none.
    """

    start: float
    end: float
    name: str
    kind: str
    thread: tuple[str, str]
    shapes: str
    correlation: int = 0


class Allocation(NamedTuple):
    """Memory taken (``bytes`` above 0) or released at a moment (microseconds)."""

    at: float
    bytes: int
    address: int
    on_cpu: bool
    thread: tuple[str, str]
