"""Memory within one call of a trace: how much is held when, and by which operators at the peak."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from reports.profile.categories import is_optimizer
from reports.profile.trace import Allocation, Span, Trace

OUTSIDE = "no operator"
ENGINE = "autograd::engine::evaluate_function: "


@dataclass(frozen=True)
class Memory:
    """What a call holds beyond what was held when it began.

    Attributes:
        points: (seconds since the call began, bytes held), after each change.
        peak: the most bytes held at once.
        at: when, in seconds.
        holders: (operator, bytes) of what was held then, the largest first.
        released: bytes that were held before the call and are released before the peak.
    """

    points: tuple[tuple[float, int], ...]
    peak: int
    at: float
    holders: tuple[tuple[str, int], ...]
    released: int


def memory(trace: Trace, call: Span, *, on_cpu: bool) -> Memory | None:
    """The memory of the CPU or the GPU within a call; None where the trace says nothing of it."""
    changes = [one for one in trace.allocations if one.on_cpu == on_cpu and call.start <= one.at <= call.end]
    if not changes:
        return None
    named = _names(trace, call, changes)
    held = peak = released = 0
    at = call.start
    points, live = [], dict[int, tuple[str, int]]()
    holders: dict[int, tuple[str, int]] = {}
    released_then = 0
    for one, name in zip(changes, named, strict=True):
        held += one.bytes
        if one.bytes > 0:
            live[one.address] = (name, one.bytes)
        elif live.pop(one.address, None) is None:
            released -= one.bytes
        points.append(((one.at - call.start) / 1e6, held))
        if held > peak:
            peak, at, holders, released_then = held, one.at, dict(live), released
    by_name: dict[str, int] = {}
    for name, size in holders.values():
        by_name[name] = by_name.get(name, 0) + size
    ordered = sorted(by_name.items(), key=lambda item: -item[1])
    return Memory(tuple(points), peak, (at - call.start) / 1e6, tuple(ordered), released_then)


def _names(trace: Trace, call: Span, changes: Sequence[Allocation]) -> list[str]:
    """The outermost operator around each change: what a user called, rather than how it allocates."""
    outermost: dict[tuple[str, str], list[Span]] = {}
    for span in trace.host:
        if span.end < call.start or span.start > call.end:
            continue
        if span.kind != "operator" and not is_optimizer(span.name):
            continue
        spans = outermost.setdefault(span.thread, [])
        if not spans or span.start >= spans[-1].end:
            spans.append(span)
    starts = {thread: [span.start for span in spans] for thread, spans in outermost.items()}
    found = []
    for change in changes:
        spans = outermost.get(change.thread, [])
        place = bisect.bisect_right(starts.get(change.thread, []), change.at) - 1
        inside = place >= 0 and change.at <= spans[place].end
        found.append(spans[place].name.removeprefix(ENGINE) if inside else OUTSIDE)
    return found
