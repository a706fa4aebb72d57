"""Memory within one call of a trace: how much is held when, and by which operators at the peak."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torchduet.reports.profile.categories import COMPILED, category, is_optimizer
from torchduet.reports.profile.trace import Allocation, Span, Trace

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
    """The outermost operator around each change: what a user called, rather than how it allocates.

    A compiled region holds all there is; it is named only for what none of its operators allocates.
    """
    inside = [span for span in trace.host if span.end >= call.start and span.start <= call.end]
    operators = _Outermost(
        span for span in inside if is_optimizer(span.name) or (span.kind == "operator" and not _is_compiled(span))
    )
    regions = _Outermost(span for span in inside if _is_compiled(span))
    found = []
    for change in changes:
        around = operators.around(change) or regions.around(change)
        found.append(around.name.removeprefix(ENGINE) if around else OUTSIDE)
    return found


def _is_compiled(span: Span) -> bool:
    return category(span.name) == COMPILED


class _Outermost:
    """Of spans in order of their starts, those of each thread that are within no other."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        for span in spans:
            of_thread = self._spans.setdefault(span.thread, [])
            if not of_thread or span.start >= of_thread[-1].end:
                of_thread.append(span)
        self._starts = {thread: [span.start for span in spans] for thread, spans in self._spans.items()}

    def around(self, change: Allocation) -> Span | None:
        """The one in which a change falls."""
        place = bisect.bisect_right(self._starts.get(change.thread, []), change.at) - 1
        span = self._spans[change.thread][place] if place >= 0 else None
        return span if span and change.at <= span.end else None
